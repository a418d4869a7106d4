"""Assignment engines side by side: same costs, same run, one thread, the optimum asserted in every round.

The reference value of a case is proved by its certificate, not believed. Compare within a group of one run only.
"""

from collections.abc import Callable
from functools import cache

import lap
import numpy as np
import pytest
from matchopt_hungarian import Hungarian
from ortools.graph.python.linear_sum_assignment import SimpleLinearSumAssignment
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.optimize import linear_sum_assignment

from matchopt import Assignment, AssignmentInstance, Hardware, LayerInstance, Limits, Target, assign, certify, reduction

SMOKE = 20  # sizes are divided by this where timing is off, as in CI


def layer_costs(rows: int, neurons: int, fan_in: int = 8, cells: int = 10) -> np.ndarray:
    """Pair costs of a layer where cells are scarce, the costs these engines are for."""
    rng = np.random.default_rng(0)
    mask = np.argsort(rng.random((rows, 4 * fan_in)), axis=1) < fan_in
    target = Target.from_dense(rng.standard_normal(mask.shape), mask)
    layer = LayerInstance(target, Hardware(rng.standard_normal((neurons, cells))))
    (pairs,) = reduction(layer, AssignmentInstance).parts
    assert isinstance(pairs, AssignmentInstance)
    return np.array(pairs.cost)


CASES: dict[str, Callable[[int], np.ndarray]] = {
    "layer-300": lambda part: layer_costs(300 // part, 300 // part),
    "layer-300-spare": lambda part: layer_costs(300 // part, 600 // part),
    "layer-1000": lambda part: layer_costs(1000 // part, 1000 // part),
    "layer-2000": lambda part: layer_costs(2000 // part, 2000 // part),
    "layer-2000-78-of-100": lambda part: layer_costs(2000 // part, 2000 // part, 78, 100),
    "uniform-1000": lambda part: np.random.default_rng(1).random((1000 // part, 1000 // part)),
    "integers-1000": lambda part: np.random.default_rng(1).integers(1, 101, (1000 // part,) * 2).astype(float),
    "product-500": lambda part: np.outer(np.arange(1.0, 501 // part), np.arange(1.0, 501 // part)),
}


def ours(cost: np.ndarray) -> np.ndarray:
    """What hungarian takes."""
    col_of = assign(cost, engine="compiled")
    assert col_of is not None
    return col_of


def rust(cost: np.ndarray) -> np.ndarray:
    """lapx's engine of Jonker and Volgenant, in Rust."""
    return np.asarray(lap.lapjvr(cost, extend_cost=True, return_cost=False)[1])


def classic(cost: np.ndarray) -> np.ndarray:
    """lapx's older C++ engine, the one the package lap has too."""
    return np.asarray(lap.lapjv(cost, extend_cost=cost.shape[0] != cost.shape[1], return_cost=False)[0])


ENGINES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "compiled": ours,
    "lapx-lapjvr": rust,
    "lapx-lapjv": classic,
    "scipy": lambda cost: np.asarray(linear_sum_assignment(cost)[1]),
}


@cache
def case(name: str, part: int) -> tuple[np.ndarray, float]:
    """The costs of a case and their proved optimum."""
    cost = CASES[name](part)
    reference = Assignment(linear_sum_assignment(cost)[1])
    instance = AssignmentInstance(cost)
    assert certify(instance, reference).optimal
    return cost, instance.value(reference)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", CASES)
def test_dense(benchmark: BenchmarkFixture, name: str, engine: str) -> None:
    """The engine alone, on costs it may read as they are."""
    cost, optimum = case(name, 1 if benchmark.enabled else SMOKE)
    benchmark.group = name
    col_of = benchmark(ENGINES[engine], cost)
    assert len(set(col_of.tolist())) == len(cost)
    assert cost[np.arange(len(cost)), col_of].sum() == pytest.approx(optimum, rel=1e-11)


@pytest.mark.parametrize("name", ["integers-1000", "product-500"])
def test_cost_scaling(benchmark: BenchmarkFixture, name: str) -> None:
    """OR-Tools' push-relabel engine, which takes whole costs only; the arcs are built outside the clock."""
    cost, optimum = case(name, 1 if benchmark.enabled else SMOKE)
    benchmark.group = name
    rows, columns = (part.ravel() for part in np.indices(cost.shape))
    engine = SimpleLinearSumAssignment()
    engine.add_arcs_with_cost(rows, columns, cost.astype(np.int64).ravel())
    assert benchmark(engine.solve) == engine.OPTIMAL
    assert engine.optimal_cost() == optimum


@pytest.mark.parametrize("per_row", [5, 60])
@pytest.mark.parametrize("form", ["sparse", "dense"])
def test_sparse(benchmark: BenchmarkFixture, per_row: int, form: str) -> None:
    """The whole solver on listed pairs, and on the same pairs expanded to a matrix with inf."""
    n = 1500 if benchmark.enabled else 100
    rng = np.random.default_rng(2)
    others = np.argsort(rng.random((n, n)), axis=1)[:, : per_row - 1]
    listed = [np.union1d(row, [i]) for i, row in enumerate(others)]  # the diagonal makes it feasible
    cost = rng.integers(1, 1000, sum(map(len, listed)))
    starts = np.concatenate([[0], np.cumsum([len(row) for row in listed])])
    instance = AssignmentInstance(cost, starts, np.concatenate(listed), n)
    given = instance if form == "sparse" else AssignmentInstance(instance.dense)
    benchmark.group = f"sparse-{n}-{per_row}"
    result = benchmark(Hungarian().solve, given, Limits(), rng)
    assert isinstance(result.solution, Assignment)
    assert certify(instance, result.solution).optimal
