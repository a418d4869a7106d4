"""The hungarian solver: exact, exact on integers of any size, and careful with its engines."""

import math
from importlib.metadata import version

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matchopt_hungarian import Hungarian
from matchopt_hungarian import hungarian as module
from matchopt_hungarian.exact import shortest_paths
from scipy.optimize import linear_sum_assignment
from solvers.small import COSTS, assignment, columns, listed, objective, scale_of, solved

from matchopt import Assignment, AssignmentInstance, MissingExtra, Status, solve
from matchopt.kernels import assignment as assignment_kernel
from matchopt.testing import brute_force

ENGINES = ("lap", "scipy", "compiled")
seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("sparse", [False, True])
@given(seed=seeds, costs=st.sampled_from(COSTS))
@settings(deadline=None, max_examples=25)
def test_equals_enumeration(engine: str, sparse: bool, seed: int, costs: str) -> None:
    """Every engine finds the enumerated optimum, exactly on integers, and infeasible is what enumeration finds so."""
    instance = assignment(np.random.default_rng(seed), costs, sparse=sparse)
    best = brute_force(instance)
    result = solved(Hungarian(engine=engine), instance)
    if best.solution is None:
        assert (result.status, result.solution) == (Status.INFEASIBLE, None)
        return
    assert result.status is Status.OPTIMAL
    assert objective(instance, result.solution) - best.value <= 1e-13 * scale_of(instance)


@given(seed=seeds)
@settings(deadline=None, max_examples=30)
def test_engines_agree_where_enumeration_ends(seed: int) -> None:
    """On up to 40 x 70 costs both dense engines, the sparse one and the exact path agree on cost and infeasibility."""
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(5, 40))
    cost = rng.integers(-60, 60, (rows, rows + int(rng.integers(0, 30))))
    allowed = rng.random(cost.shape) >= rng.choice([0.0, 0.5, 0.9, 0.95])
    sparse, dense = listed(cost, allowed), AssignmentInstance(np.where(allowed, cost, math.inf))
    results = [solved(Hungarian(engine=engine), dense) for engine in ENGINES] + [solved(Hungarian(), sparse)]
    exact = None if (sparse.indptr is None or (np.diff(sparse.indptr) == 0).any()) else shortest_paths(sparse)
    if results[0].solution is None:
        assert exact is None
        assert {result.status for result in results} == {Status.INFEASIBLE}
        return
    assert exact is not None
    values = {objective(sparse, result.solution) for result in results} | {objective(sparse, Assignment(exact))}
    assert len(values) == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_equals_scipy_on_layer_sized_costs(engine: str) -> None:
    """On 150 x 220 float costs the value is that of scipy's engine called directly."""
    cost = np.random.default_rng(1).lognormal(size=(150, 220))
    result = solved(Hungarian(engine=engine), AssignmentInstance(cost))
    assert objective(AssignmentInstance(cost), result.solution) == pytest.approx(
        cost[linear_sum_assignment(cost)].sum(), rel=1e-12
    )


@given(seed=seeds)
@settings(deadline=None, max_examples=30)
def test_symmetries(seed: int) -> None:
    """A constant added to a row is added to the optimum; permuted columns and a transposed square keep it."""
    rng = np.random.default_rng(seed)
    cost = rng.integers(0, 1000, (8, 8))

    def optimum(costs: np.ndarray) -> float | int:
        instance = AssignmentInstance(costs)
        return objective(instance, solved(Hungarian(), instance).solution)

    raised = cost.copy()
    raised[3] += 17
    assert optimum(raised) == optimum(cost) + 17
    assert optimum(cost[:, rng.permutation(8)]) == optimum(cost.T) == optimum(cost)


def test_a_difference_of_one_at_2_to_the_53_decides() -> None:
    """Costs that differ only below the precision of floats are told apart."""
    big = 2**53
    instance = AssignmentInstance(np.array([[big + 1, 2**60], [2**60, -big]]) + np.array([[0, 0], [0, 0]]))
    assert columns(solved(Hungarian(), instance)) == [0, 1]
    close = AssignmentInstance(np.array([[2**62 + 1, 2**62], [-(2**62), -(2**62)]]))
    assert columns(solved(Hungarian(), close)) == [1, 0]


def test_the_bound_of_a_huge_optimum_is_rounded_down() -> None:
    """Where the optimum is no float, the bound is the float below it."""
    result = solved(Hungarian(), AssignmentInstance(np.array([[2**60 + 1, 2**62]])))
    assert result.bound == 2.0**60


def test_listed_zeros_are_costs() -> None:
    """A sparse pair of cost 0 is allowed and cheapest."""
    instance = listed(np.array([[0, 5], [0, 9]]), np.ones((2, 2), bool))
    assert columns(solved(Hungarian(), instance)) == [1, 0]


def test_small_sparse_costs_survive_the_shift() -> None:
    """Costs of 1e-20 still decide: what is added to keep scipy from dropping zeros is of their own size."""
    cost = 1e-20 * np.array([[1.0, 2.0], [3.0, 1.0]])
    assert columns(solved(Hungarian(), listed(cost, np.ones((2, 2), bool)))) == [0, 1]
    assert columns(solved(Hungarian(), listed(cost[:, ::-1], np.ones((2, 2), bool)))) == [1, 0]


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("engine", ENGINES)
def test_costs_near_the_largest_float(engine: str, sparse: bool) -> None:
    """Sums that would overflow do not turn allowed pairs into forbidden ones."""
    cost = 1.7e308 * np.array([[1.0, -1.0, 0.5], [-1.0, 1.0, 0.25], [0.1, 0.2, 1.0]])
    instance = listed(cost, np.ones((3, 3), bool)) if sparse else AssignmentInstance(cost)
    result = Hungarian(engine=engine).solve(instance, module.Limits(), np.random.default_rng(0))
    assert (result.status, columns(result)) == (Status.OPTIMAL, [1, 0, 2])


def test_large_sparse_instances_are_not_expanded() -> None:
    """20,000 x 20,000 with three pairs a row, 3.2 GB of dense costs, is solved as it is."""
    n, rng = 20_000, np.random.default_rng(0)
    at = np.sort(np.stack([np.arange(n), (np.arange(n) + 1) % n, (np.arange(n) + 7) % n], axis=1), axis=1)
    instance = AssignmentInstance(rng.integers(1, 9, at.size), np.arange(0, at.size + 1, 3), at.ravel(), n)
    result = Hungarian().solve(instance, module.Limits(), rng)
    assert result.status is Status.OPTIMAL
    assert result.bound == instance.value(Assignment(columns(result)))


def test_infeasible_by_hall_names_the_shortage() -> None:
    """Three rows that share two columns are infeasible, whatever a fourth row allows, and the message counts them."""
    inf = math.inf
    cost = np.array([[1.0, 2.0, inf, inf], [3.0, 1.0, inf, inf], [2.0, 2.0, inf, inf], [1.0, 1.0, 1.0, 1.0]])
    for engine in ENGINES:
        for instance in (AssignmentInstance(cost), listed(cost, np.isfinite(cost))):
            result = solved(Hungarian(engine=engine), instance)
            assert result.status is Status.INFEASIBLE
            assert result.message == "3 rows share only 2 allowed columns"


def test_a_row_without_pair_is_named() -> None:
    """A row with nothing but inf makes the instance infeasible, and the message names it."""
    cost = np.ones((3, 3))
    cost[1] = math.inf
    result = solved(Hungarian(), AssignmentInstance(cost))
    assert (result.status, result.message) == (Status.INFEASIBLE, "row 1 has no allowed column")


def test_no_rows() -> None:
    """An instance without rows has one solution, of cost 0."""
    result = solved(Hungarian(), AssignmentInstance(np.zeros((0, 3))))
    assert (result.status, columns(result), result.bound) == (Status.OPTIMAL, [], 0.0)


def test_engines_that_miss_a_solution_are_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """If no engine finds an assignment though one exists, that is an error and not INFEASIBLE."""
    monkeypatch.setattr(module, "assign", lambda cost, engine="scipy": None)
    assert solved(Hungarian(), AssignmentInstance(np.ones((2, 2)))).status is Status.ERROR


def test_a_missing_lapx_is_named_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """engine=auto does without lapx, engine=lap names the pip command."""
    monkeypatch.setattr(assignment_kernel, "find_lap", lambda: None)
    instance = AssignmentInstance(np.ones((2, 2)))
    assert solved(Hungarian(), instance).stats["engine"] == "scipy"
    with pytest.raises(MissingExtra, match=r"lapx.*matchopt\[engines\]"):
        solved(Hungarian(engine="lap"), instance)


def test_the_record_tells_the_version_of_an_engine_that_may_be_missing() -> None:
    """What is found depends on whether lapx is installed, so its version is recorded where it is."""
    run = solve(AssignmentInstance(np.array([[1.0, 2.0], [1.0, 4.0]])), "hungarian")
    assert (run.stats["engine"], run.versions["lapx"]) == ("lap", f"lapx {version('lapx')}")


def test_an_unknown_engine_is_refused() -> None:
    """A wrong option names the allowed ones."""
    with pytest.raises(ValueError, match="engine must be one of auto, compiled, scipy, lap"):
        Hungarian(engine="auction")  # type: ignore[arg-type]


def test_too_many_huge_integers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What only the slow exact path keeps exact is refused beyond its size; small integers of that number are not."""
    monkeypatch.setattr(module, "MAX_EXACT_PAIRS", 3)
    assert "2^53" in (Hungarian().refuses(AssignmentInstance(np.array([[2**60, 0], [0, 2**60]]))) or "")
    assert Hungarian().refuses(AssignmentInstance(np.array([[2, 0], [0, 2]]))) is None
