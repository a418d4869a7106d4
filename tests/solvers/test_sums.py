"""Sums of cells under free routing: the search against enumeration, and what a second cell is worth."""

from dataclasses import replace

import numpy as np
import pytest
from matchopt_sums import SumSearch
from solvers.proven_layers import proven_optimum

from matchopt import Gains, Hardware, LayerInstance, Limit, Limits, OutputError, Rules, Solver, Status, Target, certify
from matchopt.checker import check
from matchopt.contract import refusal


def layer(seed: int) -> LayerInstance:
    """Two small rows under any rule that is taken, with as few cells as they need, or some more."""
    rng = np.random.default_rng(seed)
    most, n = int(rng.integers(2, 4)), int(rng.integers(1, 4))
    shape = (2 + seed % 2, int(rng.integers(n, 6)))
    support = rng.random((2, n)) < 0.9
    hardware = Hardware(
        rng.normal(size=shape),
        rng.random(shape) * 0.1 if rng.random() < 0.5 else None,
        rng.random(shape) < 0.9 if rng.random() < 0.3 else None,
    )
    gains = Gains() if rng.random() < 0.6 else Gains.finite(0.5, -1.0)
    importance = rng.uniform(0.1, 3.0, (2, n)) if rng.random() < 0.5 else None
    target = Target.from_dense(np.where(support, rng.normal(size=(2, n)), 0.0), support, importance)
    made = LayerInstance(target, hardware, Rules(most, bool(rng.random() < 0.4), bool(rng.random() < 0.2), gains))
    return replace(made, objective=OutputError(np.diag(rng.random(n)))) if rng.random() < 0.2 else made


def agree(seed: int, *engines: Solver) -> None:
    """See `proven_optimum`."""
    proven_optimum(layer(seed), SumSearch(), *engines)


@pytest.mark.parametrize("seed", range(12))
def test_small_layers_are_solved_to_their_proven_optimum(seed: int) -> None:
    """By the search, against enumeration."""
    agree(seed)


LONG = [pytest.mark.slow, pytest.mark.long]


@pytest.mark.parametrize(
    "seeds", [pytest.param(range(12, 42), marks=pytest.mark.slow), pytest.param(range(42, 212), marks=LONG)]
)
def test_engines_agree_on_small_layers(seeds: range) -> None:
    """CP-SAT and HiGHS on the program of binaries, enumeration, the search and its proof."""
    pytest.importorskip("ortools")
    from matchopt_cpsat import CpSat
    from matchopt_milp import Milp

    for seed in seeds:
        agree(seed, CpSat(), Milp(presolve=False))  # with it, what HiGHS searches on takes twice as long


@pytest.mark.parametrize("cells", [12, pytest.param(14, marks=pytest.mark.slow)])
def test_rows_of_a_dozen_are_solved_to_their_proven_optimum(cells: int) -> None:
    """Twelve rows of six weights on fourteen neurons, two cells for each weight."""
    rng = np.random.default_rng(1)
    target, hardware = Target.from_dense(rng.normal(size=(12, 6))), Hardware(rng.normal(size=(14, cells)))
    made = LayerInstance(target, hardware, Rules(2))
    result = SumSearch().solve(made, Limits(), np.random.default_rng(0))
    assert result.status is Status.OPTIMAL and certify(made, result.solution).optimal  # type: ignore[arg-type]


def rms(cells: int, seed: int) -> float:
    """The root mean square error of 64 rows of fan-in 4 on as many neurons with 64 cells, all gaussian."""
    rng = np.random.default_rng(seed)
    target = Target.from_dense(rng.normal(size=(64, 4)))
    made = LayerInstance(target, Hardware(rng.normal(size=(64, 64))), Rules(cells))
    result = SumSearch(rounds=1, kicks=2).solve(made, Limits(), np.random.default_rng(0))
    found = check(made, result.solution).objective  # type: ignore[arg-type]
    assert found is not None
    return float(np.sqrt(found / 256))


def test_a_second_cell_per_weight_is_worth_a_factor_of_ten() -> None:
    """At 64 cells and fan-in 4 (seeds 0 and 1; the bench has five): more than ten times, in fact more than twenty."""
    assert all(rms(1, seed) > 20 * rms(2, seed) for seed in (0, 1))


def test_time_is_kept_and_what_is_not_taken_is_named() -> None:
    """No time gives the start, a little gives a mapping; shared lines, hard-wired cells, budgets are refused."""
    rng = np.random.default_rng(0)
    made = LayerInstance(Target.from_dense(rng.normal(size=(20, 8))), Hardware(rng.normal(size=(20, 40))), Rules(3))
    start = SumSearch(rounds=1, kicks=0).solve(made, Limits(), np.random.default_rng(0)).solution
    stopped = SumSearch().solve(made, Limits(0.0, start=start), np.random.default_rng(0))
    assert stopped.limit is Limit.TIME and stopped.solution is not None
    own = replace(made.hardware, input=np.tile(np.arange(40) % 8, (20, 1)))
    refused = {
        "shared-bus": replace(made, hardware=replace(made.hardware, bus=np.zeros(20, int))),
        "hard-wired": replace(made, hardware=own),
        "tunable": replace(made, rules=Rules(2, tunable=1)),
        "gain-interval": replace(made, rules=Rules(2, gains=Gains.interval(0.5, 2.0))),
    }
    for name, case in refused.items():
        assert name in (refusal(SumSearch(), case) or "")
