"""Public instances have the published sizes, and reach the published optima with engines that are not ours."""

import gzip

import numpy as np
import pytest
from formats.test_mps import optimum
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from matchopt.formats import CatalogueEntry, find_entry, read_catalogue, read_instance, write
from matchopt.instances import AssignmentInstance, ProgramInstance
from matchopt.library import library_folder

pytestmark = pytest.mark.skipif(library_folder() is None, reason="MATCHOPT_LIBRARY is not set")

# rows, columns, whole columns, entries of A, from the comments at the top of the files (entries count the objective)
MIPLIB = {
    "dcmulti": (290, 548, 75),
    "egout": (98, 141, 55),
    "flugpl": (18, 18, 11),
    "gt2": (29, 188, 188),
    "lseu": (28, 89, 89),
    "p0548": (176, 548, 548),
    "rgn": (24, 180, 100),
}


def program(name: str) -> ProgramInstance:
    found = read_instance(find_entry(name).locate())
    assert isinstance(found, ProgramInstance)
    return found


def assignment(entry: CatalogueEntry) -> AssignmentInstance:
    found = read_instance(entry.locate())
    assert isinstance(found, AssignmentInstance)
    return found


def close(value: float, entry: CatalogueEntry) -> bool:
    """Equal to the printed digits; integers up to what a float solver allows."""
    assert entry.best_value is not None
    return abs(value - entry.best_value) <= max(1e-6 * abs(entry.best_value), 5e-5 * (entry.best_value % 1 != 0))


@pytest.mark.parametrize("name", MIPLIB)
def test_miplib_sizes(name: str) -> None:
    """Rows, columns and whole columns are those the files announce."""
    found = program(name)
    assert (found.n_rows, found.n_variables, int(found.integral.sum())) == MIPLIB[name]


@pytest.mark.parametrize(
    "name",
    [
        *("egout", "flugpl", "gt2", "lseu", "p01", "rgn"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("dcmulti", "p0548")),
    ],
)
def test_miplib_optima(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """HiGHS finds the published optimum from what we read, and again from what we write."""
    found = program(name)
    assert close(optimum(found), find_entry(name))
    path = tmp_path_factory.mktemp("mps") / "x.mps.gz"
    write(found, path)
    again = read_instance(path)
    assert isinstance(again, ProgramInstance)
    assert again.digest == found.digest


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6])
def test_gap_optima(number: int) -> None:
    """HiGHS finds the published minimum of the first problem of each small set."""
    entry = find_entry(f"gap{number}-0")
    assert close(optimum(program(entry.name)), entry)


@pytest.mark.parametrize("name", ["assign100", "assign200", "assign400", "assign800"])
def test_dense_assignment_optima(name: str) -> None:
    """scipy finds the published optimum; costs are whole, one per pair, and equal to those in the text."""
    entry = find_entry(name)
    found = assignment(entry)
    n = int(name.removeprefix("assign"))
    assert found.cost.shape == (n, n)
    assert found.cost.dtype == np.int64
    rows, columns = linear_sum_assignment(found.cost)
    assert int(found.cost[rows, columns].sum()) == entry.best_value


@pytest.mark.parametrize("name", ["assignp800", "assignp1500", "assignp5000"])
def test_sparse_assignment_optima(name: str) -> None:
    """scipy's sparse matcher, with costs raised by one as it drops zeros, finds the published optimum."""
    entry = find_entry(name)
    found = assignment(entry)
    assert found.is_sparse
    assert len(gzip.decompress(entry.locate().read_bytes()).split()) == 1 + 3 * found.n_pairs
    graph = csr_array((found.cost + 1, found.indices, found.indptr), shape=(found.n_rows, found.n_cols))
    rows, columns = min_weight_full_bipartite_matching(graph)
    assert int(graph[rows, columns].sum()) - found.n_rows == entry.best_value


@pytest.mark.slow
def test_each_public_instance_survives_our_own_format(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Written as .matchopt and read back, the digest is the same for every file of the catalogue but the largest."""
    path = tmp_path_factory.mktemp("own") / "x.matchopt"
    entries = [entry for entry in read_catalogue() if entry.place == "library" and "00" not in entry.name]
    assert len(entries) >= 38
    for entry in entries:
        instance = read_instance(entry.locate())
        write(instance, path)
        assert read_instance(path).digest == instance.digest
