"""Sums of hard-wired cells against plain enumeration, and proofs that do not use them."""

import itertools
import time
from dataclasses import replace

import numpy as np
import pytest

from matchopt import (
    Assignment,
    AssignmentInstance,
    Gains,
    Hardware,
    LayerInstance,
    OutputError,
    Refused,
    Rules,
    Target,
    assign,
    certify,
)
from matchopt.checker import check
from matchopt.kernels import HardWired
from matchopt.kernels.subset_sums import nearest_sums, room
from matchopt.proofs import hard_wired as proofs
from matchopt.reduce import reduction


def layer(seed: int, most: int = 4) -> LayerInstance:
    """A small layer of every rule and fault: up to `most` cells on each input, in any order."""
    rng = np.random.default_rng(seed)
    m, n = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    cells = np.append(0, np.repeat(np.arange(n), rng.integers(0, most, n)))
    shape = (m + int(rng.integers(0, 2)), len(cells))
    shared = bool(rng.random() < 0.3)
    own = np.tile(rng.permutation(cells), (shape[0], 1)) if shared else np.array([rng.permutation(cells)] * shape[0])
    own = own if shared else np.array([rng.permutation(row) for row in own]).reshape(shape)
    support = rng.random((m, n)) < 0.7
    hardware = Hardware(
        rng.normal(size=shape),
        rng.random(shape) * 0.2 if rng.random() < 0.5 else None,
        rng.random(shape) < 0.8 if rng.random() < 0.5 else None,
        rng.normal(size=shape) * 0.3 * (rng.random(shape) < 0.5) if rng.random() < 0.6 else None,
        np.zeros(shape[0], int) if shared else None,
        input=own,
    )
    importance = rng.uniform(0.1, 3.0, (m, n)) if rng.random() < 0.5 else None
    gains = (Gains(), Gains.finite(0.5, -1.0), Gains.finite(0.0, 1.0))[int(rng.integers(3))]
    target = Target.from_dense(np.where(support, rng.normal(size=(m, n)), 0.0), support, importance)
    rules = Rules(int(rng.integers(1, most + 2)), bool(rng.random() < 0.5), bool(rng.random() < 0.4), gains)
    objective = OutputError(np.diag(rng.random(n)))
    made = LayerInstance(target, hardware, rules)
    return replace(made, objective=objective) if rng.random() < 0.2 else made


def least_cost(made: LayerInstance, i: int, j: int) -> float:
    """The cost of row i on neuron j, from the definition: all sets of cells on every input at every gain."""
    target, chip, best = made.target, made.hardware, np.inf
    support = set(target.indices[target.row(i)].tolist())
    wanted, factor = target.dense()[i], made.objective.row_quadratic(target, i)
    for gain in made.rules.gains.values or ():
        total = 0.0
        for x in range(target.n_inputs):
            here = np.flatnonzero(chip.input[j] == x)
            most = made.rules.cells_per_weight if x in support or made.rules.extra_inputs else 0
            fewest = 1 if x in support and not made.rules.drop else 0
            costs = [np.inf]
            for n in range(fewest, most + 1):
                for chosen in itertools.combinations(here[chip.usable[j, here]], n):
                    on = np.isin(here, chosen)
                    value = gain * np.where(on, chip.weights[j, here], chip.off[j, here]).sum()
                    noise = gain**2 * chip.variance[j, here[on]].sum()
                    costs.append(factor[x] * ((wanted[x] - value) ** 2 + noise))
            total += min(costs)
        best = min(best, total)
    return best


@pytest.mark.parametrize("seeds", [range(40), pytest.param(range(40, 240), marks=[pytest.mark.slow, pytest.mark.long])])
def test_pairs_cost_what_enumeration_finds_and_assignments_are_proved(
    seeds: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under every rule; the wiring has that cost by the checker, and a proof of its own, compiled or not."""
    proved = 0
    for seed in seeds:
        made = layer(seed)
        down = reduction(made, AssignmentInstance)
        costs = down.parts[0].dense  # type: ignore[attr-defined]
        pairs = itertools.product(range(made.n_rows), range(made.hardware.n_neurons))
        known = np.array([least_cost(made, i, j) for i, j in pairs]).reshape(costs.shape)
        np.testing.assert_allclose(costs, known, rtol=1e-9, atol=1e-12)
        chosen = assign(costs)
        if chosen is None or not np.isfinite(costs[np.arange(made.n_rows), chosen]).all():
            continue
        mapping = down.lift([Assignment(chosen)])
        value = costs[np.arange(made.n_rows), chosen].sum()
        assert check(made, mapping).objective == pytest.approx(value, rel=1e-9, abs=1e-12)
        for plain, together in ((10**9, 12), (-1, 12), (-1, 2)):
            monkeypatch.setattr(proofs, "PLAIN", plain)
            monkeypatch.setattr(proofs, "SORTED", together)
            found = certify(made, mapping)
            assert found.optimal and found.bound <= value * (1 + 1e-9) + 1e-12
        if made.hardware.n_neurons > 1 and made.rules.drop:
            other = down.lift([Assignment(np.roll(np.arange(made.hardware.n_neurons), 1)[: made.n_rows])])
            if made.value(other) > value + 1e-6:
                assert certify(made, other).improvable and not certify(made, other).optimal
        proved += 1
    assert proved > 0.7 * len(seeds)


@pytest.mark.parametrize("noisy", [False, True])
def test_halves_meet_where_tables_would_be_too_large(noisy: bool) -> None:
    """Of 8 to 11 cells the best sum for one weight, with all limits on how many are used."""
    rng = np.random.default_rng(5)
    for n in (8, 9, 11):
        cells, noise, wanted = rng.normal(size=n + 2), 0.3 * rng.random(n + 2) * noisy, rng.normal(size=1)
        sets = np.array(list(itertools.product([False, True], repeat=n)))
        for least, most in ((0, n), (1, n), (0, 1), (1, 2), (0, 3), (1, n - 1), (1, 62)):
            counts = sets.sum(axis=1)
            allowed = sets[(counts >= least) & (counts <= most)]
            known = ((wanted - allowed @ cells[1:-1]) ** 2 + allowed @ noise[1:-1]).min()
            cost, code = np.empty(1), np.empty(1, np.int64)
            nearest_sums(cells, noise, 1, n + 1, least, most, wanted, 1, noisy, cost, code, room(4096))
            on = np.array([int(code[0]) >> k & 1 for k in range(n)])
            assert cost[0] == pytest.approx(known, rel=1e-9)
            assert (wanted[0] - on @ cells[1:-1]) ** 2 + on @ noise[1:-1] == pytest.approx(known, rel=1e-9)


def columns(d: int, inputs: int, rows: int = 1, seed: int = 0) -> LayerInstance:
    """Dense rows of weights in -1 .. 1, on neurons with d uniform cells in -1 .. 1 on every input."""
    rng = np.random.default_rng(seed)
    own = np.tile(np.repeat(np.arange(inputs), d), (rows, 1))
    hardware = Hardware(rng.uniform(-1, 1, own.shape), input=own)
    return LayerInstance(Target.from_dense(rng.uniform(-1, 1, (rows, inputs))), hardware, Rules(d))


@pytest.mark.parametrize(("cells", "known"), [(8, 4e-3), (12, 3e-4), (16, 2e-5), (20, 2e-6)])
def test_errors_fall_as_subset_sums_do(cells: int, known: float) -> None:
    """The median error of sums of d uniform values is what is known of them, and the optimum is proved (seed 0)."""
    made = columns(cells, 200)
    down = reduction(made, AssignmentInstance)
    mapping = down.lift([Assignment(np.zeros(1, int))])
    errors = np.abs(made.target.dense() - made.realised(mapping))
    assert known / 1.6 < np.median(errors) < known * 1.6
    if cells <= 16:  # above, the proof takes some seconds
        assert certify(made, mapping).optimal


def test_what_is_not_taken_is_refused_at_once_by_its_name() -> None:
    """Cells that listen anywhere among others, more sums than can be tried, gains in an interval."""
    made = columns(25, 300, 400)
    own = made.hardware.input.copy()
    own[3, 5] = -1
    few = columns(2, 3)
    cases = {
        "hard-wired cells: up to 25 of the 25 cells on one input make more sums": made,
        "hard-wired cells: some cells can listen to any input": replace(
            made, hardware=replace(made.hardware, input=own), rules=Rules(2)
        ),
        "gain-interval": replace(few, rules=Rules(2, gains=Gains.interval(0.5, 2.0))),
        "tunable": replace(few, rules=Rules(2, tunable=1)),
    }
    for reason, case in cases.items():
        began = time.process_time()
        with pytest.raises(Refused, match=reason):
            reduction(case, AssignmentInstance)
        assert time.process_time() - began < 1
    with pytest.raises(Refused, match="more sums than are tried"):
        HardWired(made.target, made.hardware, made.rules)
    assert HardWired(made.target, made.hardware, Rules(1)).costs().shape == (400, 400)
