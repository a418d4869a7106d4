"""`hungarian-streamed` finds what `hungarian` finds, from few pairs of each row."""

from itertools import count

import numpy as np
import pytest
from matchopt_hungarian import Hungarian, HungarianStreamed

from matchopt import AssignmentInstance, Gains, Hardware, LayerInstance, Limit, Limits, Rules, Status, Target, reduction

RULES = [Rules(), Rules(drop=True, gains=Gains.finite(-1.0, 1.0)), Rules(gains=Gains.interval(0.5, 2.0))]


def layer(rows: int, neurons: int, rules: Rules = Rules(), usable: float = 1.0) -> LayerInstance:  # noqa: B008
    """Random weights on random cells, rows of three to six connections, of equal or of unequal importance."""
    rng = np.random.default_rng(7)
    mask = np.argsort(rng.random((rows, 12)), axis=1) < rng.integers(3, 7, (rows, 1))
    cells = rng.standard_normal((neurons, 8))
    hardware = Hardware(cells, usable=rng.random(cells.shape) < usable)
    target = Target.from_dense(rng.standard_normal(mask.shape), mask)
    if rules.drop:
        target = Target(target.indptr, target.indices, target.weights, 12, rng.random(target.n_connections))
    return LayerInstance(target, hardware, rules)


@pytest.mark.parametrize("rules", RULES, ids=["plain", "drop, gains, importance", "gains of an interval"])
@pytest.mark.parametrize("neurons", [40, 60])
def test_equals_hungarian(rules: Rules, neurons: int) -> None:
    """The optimum of the full matrix, proved by a bound, whether or not two pairs of each row contain it."""
    instance = layer(40, neurons, rules, usable=0.9)
    (pairs,) = (way := reduction(instance, AssignmentInstance)).parts
    wanted = instance.value(way.lift([Hungarian().solve(pairs, Limits(), np.random.default_rng(0)).solution]))  # type: ignore[list-item, arg-type]
    result = HungarianStreamed(keep=2).solve(instance, Limits(), np.random.default_rng(0))
    assert result.status is Status.OPTIMAL and result.stats["rounds"] > 1
    assert instance.value(result.solution) == pytest.approx(wanted, rel=1e-9)  # type: ignore[arg-type]
    assert wanted * (1 - 1e-9) <= result.bound <= wanted * (1 + 1e-9)


def test_spare_neurons_need_one_round() -> None:
    """With twice as many neurons as rows 16 pairs of each row prove themselves, of 200."""
    result = HungarianStreamed(keep=16).solve(layer(100, 200), Limits(), np.random.default_rng(0))
    assert result.status is Status.OPTIMAL and result.stats == {"pairs": 1600, "rounds": 1}


def test_stopped_early_it_has_a_bound() -> None:
    """After one pass of its loop it answers with what it has, and a bound below the optimum."""
    instance = layer(40, 40)
    whole = HungarianStreamed(keep=4).solve(instance, Limits(), np.random.default_rng(0))
    part = HungarianStreamed(keep=4).solve(instance, Limits(iterations=1), np.random.default_rng(0))
    assert part.status in (Status.FEASIBLE, Status.UNKNOWN) and part.limit is Limit.ITERATION
    assert part.bound <= whole.bound


def test_the_clock_counts_within_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever the time is up it ends at the next look: with what it has, and a bound below the optimum."""
    instance = layer(40, 60)
    whole = HungarianStreamed(keep=4).solve(instance, Limits(), np.random.default_rng(0))
    optimum, ends, n = instance.value(whole.solution), [], 0  # type: ignore[arg-type]
    while not ends or ends[-1].status is not Status.OPTIMAL:
        n += 3
        limits = Limits(threads=1, seconds=float(n), began=0.0)
        with monkeypatch.context() as clock:
            clock.setattr("matchopt.solver.time.monotonic", map(float, count()).__next__)  # a second for each look
            ends.append(HungarianStreamed(keep=4).solve(instance, limits, np.random.default_rng(0)))
        if ends[-1].solution is not None:
            assert ends[-1].bound <= optimum <= instance.value(ends[-1].solution) + 1e-9
    assert {result.status for result in ends} == {Status.UNKNOWN, Status.FEASIBLE, Status.OPTIMAL}
    assert all(result.limit is Limit.TIME for result in ends[:-1]) and len(ends) > whole.stats["rounds"] + 3  # type: ignore[operator]


def test_rows_that_fit_nowhere_and_no_rows() -> None:
    """More connections than usable cells: infeasible. No rows: optimal at 0."""
    result = HungarianStreamed().solve(layer(9, 9, usable=0.2), Limits(), np.random.default_rng(0))
    assert result.status is Status.INFEASIBLE and result.solution is None
    empty = LayerInstance(Target([0], np.zeros(0, int), np.zeros(0), 3), Hardware(np.ones((2, 2))))  # type: ignore[arg-type]
    result = HungarianStreamed().solve(empty, Limits(), np.random.default_rng(0))
    assert result.status is Status.OPTIMAL and result.bound == 0.0
