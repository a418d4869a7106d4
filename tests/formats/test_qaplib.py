"""Quadratic assignment problems are read as crossbars of the same values, and written back."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from matchopt import Hardware, LayerInstance, LayerMapping, Provenance, Refused, Target, check, read_instance, write
from matchopt.errors import FormatError
from matchopt.formats.qaplib import offset
from matchopt.library import library_folder

FOLDER = library_folder()


def placed(layer: LayerInstance, rows: list[int], lines: list[int]) -> float:
    """What it costs with these neurons for rows and these lines for inputs, by the checker."""
    cells = np.array([lines[x] for x in layer.target.indices.tolist()])
    report = check(layer, LayerMapping.from_cells(layer.target, np.array(rows), cells))
    assert report.feasible and report.objective is not None
    return float(report.objective)


def numbers(path: Path) -> np.ndarray:
    """All tokens of a file."""
    return np.array(path.read_text().split(), float)


def matrices(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Both matrices, from the end of the file."""
    tokens = numbers(path)
    n = int(tokens[0])
    return tokens[-2 * n * n : -n * n].reshape(n, n), tokens[-n * n :].reshape(n, n)


def shift(layer: LayerInstance) -> float:
    """t, as the provenance says it."""
    return float(layer.provenance.source.split("t = ")[1].split(";")[0])


@pytest.mark.skipif(FOLDER is None, reason="MATCHOPT_LIBRARY is not set: no public instances")
def test_all_files_of_the_library_come_back(tmp_path: Path) -> None:
    """All hundred: matrices as they were, and on a random permutation the objective is the value and the constant."""
    assert FOLDER is not None
    paths, rng = sorted((FOLDER / "instances" / "qaplib").glob("*.dat")), np.random.default_rng(3)
    assert len(paths) == 100
    for path in paths:
        layer = read_instance(path)
        assert isinstance(layer, LayerInstance)
        write(layer, tmp_path / path.name)
        first, second = matrices(path)
        assert all(np.array_equal(a, b) for a, b in zip(matrices(tmp_path / path.name), (first, second), strict=True))
        p = rng.permutation(len(first))
        mapping = LayerMapping.from_cells(layer.target, p, p[layer.target.indices])
        value = float((first * second[np.ix_(p, p)]).sum())
        assert layer.value(mapping) - offset(first, second, shift(layer)) == pytest.approx(value, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_the_optimum_is_the_problems(seed: int, tmp_path: Path) -> None:
    """On 4 x 4 problems, symmetric or not, of either sign, by enumerating both permutations of the crossbar."""
    rng = np.random.default_rng(seed)
    first, second = rng.integers(-4 if seed % 2 else 0, 9, (2, 4, 4))
    path = tmp_path / "q.dat"
    path.write_text(f"4\n{' '.join(map(str, first.ravel()))}\n{' '.join(map(str, second.ravel()))}\n")
    layer = read_instance(path)
    assert isinstance(layer, LayerInstance)
    orders = [list(p) for p in itertools.permutations(range(4))]
    values = [float((first * second[np.ix_(p, p)]).sum()) for p in orders]
    costs = [placed(layer, p, q) for p in orders for q in orders]
    assert min(costs) - offset(first * 1.0, second * 1.0, shift(layer)) == pytest.approx(min(values), abs=1e-6)


@pytest.mark.skipif(FOLDER is None, reason="MATCHOPT_LIBRARY is not set: no public instances")
def test_a_number_behind_the_size() -> None:
    """It is no entry of a matrix: the least value by enumeration is the one that the file knows."""
    assert FOLDER is not None
    path = FOLDER / "instances" / "qaplib" / "esc8b.dat"
    layer = read_instance(path)
    assert isinstance(layer, LayerInstance)
    first, second = matrices(path)
    orders = list(map(list, itertools.permutations(range(8))))
    values = [float((first * second[np.ix_(p, p)]).sum()) for p in orders]
    assert min(values) == 8 == numbers(path)[1]
    best = orders[int(np.argmin(values))]
    assert placed(layer, best, best) - offset(first, second, shift(layer)) == pytest.approx(8.0, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0\n", "must begin with the size, a whole number in 1 .. 4096, found 0"),
        ("2.5 1", "must begin with the size"),
        ("2\n1 2 3 4\n5 6 7\n", "n = 2 needs two matrices, 8 numbers, found 7"),
        ("2\n1 2 3 4\n5 6 7 8 9 10\n", "n = 2 needs two matrices, 8 numbers, found 10"),
        ("2\n1 2 3 4\n5 6 7 x\n", "expected a number, found 'x'"),
        ("2\n1 2\n3 4\n5 1e308\n7 8\n", r":4: entries are at most 1e\+12, found 1e\+308"),
    ],
)
def test_broken_files(text: str, reason: str, tmp_path: Path) -> None:
    """Each defect is named."""
    path = tmp_path / "b.dat"
    path.write_text(text)
    with pytest.raises(FormatError, match=reason):
        read_instance(path, "qaplib")


def test_what_no_quadratic_assignment_is(tmp_path: Path) -> None:
    """Only square crossbars of full support are written; without provenance a constant diagonal says t."""
    rng = np.random.default_rng(0)
    target, chip = Target.from_dense(rng.normal(size=(3, 3))), Hardware(rng.normal(size=(3, 3)), bus=np.zeros(3, int))
    with pytest.raises(Refused, match="constant diagonal"):
        write(LayerInstance(target, chip), tmp_path / "a.dat")
    with pytest.raises(Refused, match="cannot hold"):
        write(LayerInstance(target, Hardware(chip.weights)), tmp_path / "a.dat")
    first = np.array([[0.0, 1.5], [2.0, 0.0]])
    target, chip = Target.from_dense(9 * np.eye(2) - first / 2), Hardware(9 * np.eye(2) + first, bus=np.zeros(2, int))
    layer = LayerInstance(target, chip, provenance=Provenance("named", "as of t = 9.0."))
    write(layer, tmp_path / "a.dat")
    assert all(np.array_equal(matrix, first) for matrix in matrices(tmp_path / "a.dat"))
    layer = LayerInstance(target, chip, provenance=Provenance("named"))
    write(layer, tmp_path / "a.dat")
    assert all(np.array_equal(matrix, first) for matrix in matrices(tmp_path / "a.dat"))
    target, chip = Target.from_dense(np.eye(2) - first / 2), Hardware(np.eye(2) + first, bus=np.zeros(2, int))
    with pytest.raises(
        Refused, match="t = 1 is too small: the rows of this crossbar may be better off in another order"
    ):
        write(LayerInstance(target, chip), tmp_path / "a.dat")
