"""Reading files: our readers beside what a user would write, in one run. `pytest benches/test_formats.py`.

Each test reads one file made in the same run, so the page cache is warm; the number to compare is the minimum.
"""

import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from matchopt.formats import read
from matchopt.formats.mps_write import write_mps
from matchopt.formats.orlib_assignment import write_dense, write_sparse
from matchopt.formats.own import write_own
from matchopt.instances import AssignmentInstance, ProgramInstance


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An 800 x 800 text, a sparse one of 100,000 pairs, 50 MB of our own, a program of 30,000 entries."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(5)
    names = {name: folder / name for name in ("dense.txt", "dense.txt.gz", "sparse.txt", "big.matchopt", "program.mps")}
    square = AssignmentInstance(rng.integers(1, 101, (800, 800)))
    write_dense(square, names["dense.txt"])
    write_dense(square, names["dense.txt.gz"])
    columns = np.sort(np.argsort(rng.random((1000, 1000)), axis=1)[:, :100], axis=1).reshape(-1)
    pairs = AssignmentInstance(rng.integers(0, 101, 100_000), np.arange(0, 100_001, 100), columns, 1000)
    write_sparse(pairs, names["sparse.txt"])
    write_own(AssignmentInstance(rng.random((2500, 2500))), names["big.matchopt"])
    columns = np.sort(np.argsort(rng.random((3000, 2000)), axis=1)[:, :10], axis=1).reshape(-1)
    program = ProgramInstance(
        rng.integers(1, 50, 2000).astype(float),
        np.arange(0, 30_001, 10),
        columns,
        rng.random(30_000),
        np.full(3000, -np.inf),
        np.full(3000, 5.0),
        integral=np.ones(2000, bool),
        high=np.ones(2000),
    )
    write_mps(program, names["program.mps"])
    return names


def peer_loadtxt(path: Path) -> np.ndarray:
    """What a user would write first: numpy's text reader, which needs one row per line."""
    return np.loadtxt(path, dtype=np.int64, skiprows=1)


def peer_split(path: Path) -> np.ndarray:
    """What a user would write second: split and convert, no checks."""
    return np.array(path.read_text().split(), dtype=np.int64)[1:].reshape(800, 800)


def peer_fromstring(path: Path) -> np.ndarray:
    """The floor: numpy's bare tokeniser, which takes anything and says nothing."""
    return np.fromstring(path.read_text(), dtype=np.int64, sep=" ")[1:].reshape(800, 800)


DENSE: dict[str, Any] = {
    "matchopt": lambda path: read(path, "orlib-assignment").cost,
    "matchopt-recognised": lambda path: read(path).cost,
    "numpy-loadtxt": peer_loadtxt,
    "numpy-split": peer_split,
    "numpy-fromstring": peer_fromstring,
}


@pytest.mark.parametrize("reader", DENSE)
def test_dense_text(benchmark: Any, files: dict[str, Path], reader: str) -> None:
    """An 800 x 800 OR-Library file, 2 MB of text."""
    costs = benchmark.pedantic(DENSE[reader], (files["dense.txt"],), rounds=5, warmup_rounds=1)
    assert costs.shape == (800, 800)


@pytest.mark.parametrize("reader", ["matchopt", "gzip-and-split"])
def test_dense_text_compressed(benchmark: Any, files: dict[str, Path], reader: str) -> None:
    """The same file behind gzip."""

    def peer(path: Path) -> np.ndarray:
        return np.array(gzip.decompress(path.read_bytes()).split(), dtype=np.int64)[1:].reshape(800, 800)

    read_it = DENSE["matchopt"] if reader == "matchopt" else peer
    costs = benchmark.pedantic(read_it, (files["dense.txt.gz"],), rounds=5, warmup_rounds=1)
    assert costs.shape == (800, 800)


@pytest.mark.parametrize("reader", ["matchopt", "numpy-loadtxt"])
def test_sparse_text(benchmark: Any, files: dict[str, Path], reader: str) -> None:
    """100,000 triples; the peer only reads the numbers, ours checks and sorts them."""
    read_it: dict[str, Any] = {
        "matchopt": lambda path: read(path, "orlib-assignment-sparse").n_pairs,
        "numpy-loadtxt": lambda path: len(np.loadtxt(io.BytesIO(path.read_bytes()), dtype=np.int64, skiprows=1)),
    }
    assert benchmark.pedantic(read_it[reader], (files["sparse.txt"],), rounds=5, warmup_rounds=1) == 100_000


@pytest.mark.parametrize("reader", ["matchopt", "safetensors", "numpy-load"])
def test_own_format(benchmark: Any, files: dict[str, Path], reader: str) -> None:
    """50 MB; the peers neither check SHA-256 nor that every cost is a number, nor copy into a read-only instance."""
    plain = files["big.matchopt"].with_suffix(".npy")
    if not plain.exists():
        np.save(plain, load_file(files["big.matchopt"])["cost"])
    read_it: dict[str, Any] = {
        "matchopt": lambda: read(files["big.matchopt"]).cost,  # type: ignore[union-attr]
        "safetensors": lambda: load_file(files["big.matchopt"])["cost"],
        "numpy-load": lambda: np.load(plain, allow_pickle=False),
    }
    assert benchmark.pedantic(read_it[reader], rounds=5, warmup_rounds=1).shape == (2500, 2500)


def test_mps(benchmark: Any, files: dict[str, Path]) -> None:
    """A program of 3,000 rows, 2,000 columns and 30,000 entries; no peer that reads MPS is installed with us."""
    found = benchmark.pedantic(lambda: read(files["program.mps"]), rounds=3, warmup_rounds=1)
    assert len(found.coefficients) == 30_000
