"""Dual certificates of assignments: every optimum is proved, nothing else is."""

import gzip
import inspect
import itertools
import time
from pathlib import Path

import numpy as np
import pytest

from matchopt.errors import Refused
from matchopt.instances import Assignment, AssignmentInstance, ProgramInstance, ProgramPoint
from matchopt.library import library_folder
from matchopt.proofs import Certificate, certify

FAMILIES = {
    "small integers with ties": lambda rng, shape: rng.integers(-2, 3, shape),
    "negative integers": lambda rng, shape: rng.integers(-100, 1, shape),
    "spread over int64": lambda rng, shape: rng.integers(-(2**62), 2**62, shape),
    "just below the end of int64": lambda rng, shape: rng.integers(2**63 - 6, 2**63 - 1, shape),
    "floats": lambda rng, shape: rng.normal(size=shape),
    "floats with ties": lambda rng, shape: 0.1 * rng.integers(0, 3, shape),
    "prohibitive floats": lambda rng, shape: np.where(rng.random(shape) < 0.3, 1e9, rng.random(shape)),
    "forbidden pairs": lambda rng, shape: np.where(rng.random(shape) < 0.4, np.inf, rng.normal(size=shape)),
}


def sparse(cost: np.ndarray) -> AssignmentInstance:
    """The same instance with its allowed pairs listed."""
    allowed = cost.astype(object) != np.inf
    starts = np.concatenate([[0], np.cumsum(allowed.sum(axis=1))])
    return AssignmentInstance(cost[allowed], starts, np.nonzero(allowed)[1], cost.shape[1])


def costs_of_all(cost: np.ndarray) -> dict[tuple[int, ...], float]:
    """The exact cost of every assignment."""
    rows, cols = cost.shape
    listed = cost.tolist()
    every = itertools.permutations(range(cols), rows)
    return {columns: sum(listed[i][k] for i, k in enumerate(columns)) for columns in every}


@pytest.mark.parametrize("instance", [AssignmentInstance(np.zeros((0, 2))), sparse(np.zeros((0, 2)))])
def test_nothing_to_assign_costs_nothing(instance: AssignmentInstance) -> None:
    """And is proved."""
    certificate = certify(instance, Assignment(np.zeros(0, int)))
    assert certificate.optimal and certificate.bound == 0


@pytest.mark.parametrize("tables", [25, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_optimum_is_proved_and_nothing_else(family: str, tables: int) -> None:
    """Against all assignments of small tables: proved exactly when optimal, bettered exactly when not."""
    rng = np.random.default_rng(7)
    proved = rejected = 0
    for _ in range(tables):
        rows = int(rng.integers(1, 5))
        cost = FAMILIES[family](rng, (rows, rows + int(rng.integers(0, 3))))
        values = {columns: value for columns, value in costs_of_all(cost).items() if value < np.inf}
        if not values:
            continue
        best = min(values.values())
        tolerance = 0 if cost.dtype.kind == "i" else 1e-12 * max(1.0, np.abs(cost[cost < np.inf]).max())
        optimum = min(values, key=lambda columns: values[columns])
        for columns in (optimum, list(values)[int(rng.integers(len(values)))]):
            for instance in (AssignmentInstance(cost), sparse(cost)):
                found = certify(instance, Assignment(np.array(columns)))
                is_optimal = values[columns] - best <= tolerance
                assert (found.optimal, found.improvable) == (is_optimal, not is_optimal)
                assert best - tolerance <= found.bound <= best
                proved, rejected = proved + is_optimal, rejected + (not is_optimal)
    assert proved > tables
    assert rejected > tables // 5


def test_integers_are_exact() -> None:
    """On integers the bound is an int and the allowance 0, however large the costs."""
    cost = np.array([[2**62, 2**62 - 1], [2**62 - 1, 2**62 - 3]])
    found = certify(AssignmentInstance(cost), Assignment(np.array([1, 0])))
    assert found == Certificate(2**63 - 3, False, True, 0.0, "dual, exact")
    best = certify(AssignmentInstance(cost), Assignment(np.array([0, 1])))
    assert (best.bound, best.optimal, best.allowance) == (2**63 - 3, True, 0.0)
    assert isinstance(best.bound, int)


def test_one_unit_too_much_is_seen() -> None:
    """Raising one assigned cost by 1 in 2^53 destroys the proof."""
    cost = np.array([[2**53, 2**53], [0, 0]])
    assert certify(AssignmentInstance(cost), Assignment(np.array([0, 1]))).optimal
    cost[0, 0] += 1
    found = certify(AssignmentInstance(cost), Assignment(np.array([0, 1])))
    assert (found.optimal, found.improvable, found.bound) == (False, True, 2**53)


@pytest.mark.parametrize("sparsely", [False, True])
def test_no_time_still_gives_a_valid_bound(sparsely: bool) -> None:
    """Stopped at once, the weak bound is finite and valid, and nothing is claimed."""
    cost = np.random.default_rng(1).integers(0, 1000, (60, 70))
    instance = sparse(cost) if sparsely else AssignmentInstance(cost)
    full = certify(instance, Assignment(np.arange(60)))
    stopped = certify(instance, Assignment(np.arange(60)), seconds=-1.0)
    assert not stopped.optimal
    assert not stopped.improvable
    assert cost.min(axis=1).sum() <= stopped.bound <= full.bound


def test_a_bad_start_still_gives_the_optimum_as_bound() -> None:
    """From a random assignment the bound ends at the optimal cost, which SciPy finds too."""
    from scipy.optimize import linear_sum_assignment

    cost = np.random.default_rng(2).random((80, 90))
    rows, cols = linear_sum_assignment(cost)
    found = certify(AssignmentInstance(cost), Assignment(np.arange(80)))
    assert found.improvable
    assert found.bound == pytest.approx(cost[rows, cols].sum(), abs=1e-12)
    assert certify(AssignmentInstance(cost), Assignment(cols)).optimal


def test_long_chains_are_quick() -> None:
    """Products i * j, whose shortest paths have n arcs, take few passes."""
    n = 300
    cost = np.outer(np.arange(1, n + 1), np.arange(1, n + 1))
    began = time.process_time()
    assert certify(AssignmentInstance(cost), Assignment(np.arange(n)[::-1])).optimal
    assert time.process_time() - began < 1.0


def test_empty_and_single() -> None:
    """No rows cost 0, proved; one row takes its cheapest column."""
    assert certify(AssignmentInstance(np.zeros((0, 3))), Assignment(np.zeros(0, int))).optimal
    assert certify(AssignmentInstance(np.zeros((0, 0), int)), Assignment(np.zeros(0, int))).bound == 0
    assert certify(AssignmentInstance(np.array([[2, 1, 3]])), Assignment(np.array([1]))).optimal
    assert certify(AssignmentInstance(np.array([[2, 1, 3]])), Assignment(np.array([2]))).improvable


@pytest.mark.parametrize("columns", [[0, 0], [0, 3], [-1, 0], [0], [1, 2]])
def test_infeasible_solutions_are_refused(columns: list[int]) -> None:
    """A solution that is no assignment, or uses a forbidden pair, is refused with a pointer to the checker."""
    cost = np.array([[1.0, np.inf, 2.0], [1.0, 1.0, np.inf]])
    for instance in (AssignmentInstance(cost), sparse(cost)):
        with pytest.raises(Refused, match="check tells"):
            certify(instance, Assignment(np.array(columns)))


def test_other_kinds_are_refused() -> None:
    """Programs have no independent proof, and a solution must be of its instance's kind."""
    program = ProgramInstance(np.zeros(1), np.array([0]), np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0))
    with pytest.raises(Refused, match="no independent proof"):
        certify(program, ProgramPoint(np.zeros(1)))
    with pytest.raises(Refused, match="of kind assignment"):
        certify(program, Assignment(np.zeros(1)))
    with pytest.raises(Refused, match="no room"):
        certify(AssignmentInstance(np.array([[1e300, 0.0]])), Assignment(np.array([1])))


def _tokens(path: Path) -> np.ndarray:
    return np.array(gzip.decompress(path.read_bytes()).split(), dtype=np.int64)


def _or_library() -> list[str]:
    folder = library_folder()
    if folder is None:
        return []
    return sorted(path.name for path in (folder / "instances" / "orlib-assignment").glob("*.txt.gz"))


@pytest.mark.skipif(not _or_library(), reason="MATCHOPT_LIBRARY is not set: the OR-Library files are not here")
@pytest.mark.parametrize("name", _or_library())
def test_or_library_optima_are_proved(name: str) -> None:
    """SciPy's optimum of every OR-Library instance is proved and equals the catalogue's."""
    from scipy.optimize import linear_sum_assignment
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    folder = library_folder()
    assert folder is not None
    listing = (folder / "instances" / "catalogue.csv").read_text().splitlines()
    (line,) = [line.split(",") for line in listing if line.startswith(f"orlib-assignment/{name},")]
    tokens = _tokens(folder / "instances" / "orlib-assignment" / name)
    n = int(tokens[0])
    if name.startswith("assignp"):
        arcs = tokens[1:].reshape(-1, 3)
        arcs = arcs[np.lexsort((arcs[:, 1], arcs[:, 0]))] - [1, 1, 0]
        starts = np.searchsorted(arcs[:, 0], np.arange(n + 1))
        instance = AssignmentInstance(arcs[:, 2], starts, arcs[:, 1], n)
        table = csr_matrix((arcs[:, 2] + 1.0, arcs[:, 1], starts), (n, n))
        columns = min_weight_full_bipartite_matching(table)[1]
    else:
        instance = AssignmentInstance(tokens[1:].reshape(n, n))
        columns = linear_sum_assignment(instance.cost)[1]
    began = time.process_time()
    found = certify(instance, Assignment(columns))
    assert time.process_time() - began < 2.0
    assert (found.bound, found.optimal, found.allowance) == (int(line[3]), True, 0.0)


def test_what_is_no_solution_is_told() -> None:
    """A bare array is none."""
    with pytest.raises(Refused, match="no kind but a ndarray, its instance of kind assignment"):
        inspect.unwrap(certify)(AssignmentInstance(np.eye(2)), np.arange(2))
