"""Small files for the commands."""

from pathlib import Path

import numpy as np
import pytest

from matchopt import AssignmentInstance, Hardware, LayerInstance, Target, write

COSTS = [[4, 1, 3], [2, 0, 5], [3, 2, 2]]  # optimum 5 by enumeration: columns 1, 0, 2


@pytest.fixture
def assignment(tmp_path: Path) -> Path:
    """A dense OR-Library assignment of three rows, optimum 5."""
    path = tmp_path / "three.txt"
    path.write_text("3\n" + "\n".join(" ".join(map(str, row)) for row in COSTS) + "\n")
    return path


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    """A layer of six target neurons with two connections each on eight hardware neurons with three cells."""
    rng = np.random.default_rng(5)
    target = Target.from_dense(np.where(np.arange(4) < 2, rng.normal(size=(6, 4)), 0.0))
    path = tmp_path / "layer.matchopt"
    write(LayerInstance(target, Hardware(rng.normal(size=(8, 3)))), path)
    return path


@pytest.fixture
def infeasible(tmp_path: Path) -> Path:
    """Two rows that both need the one column they may take."""
    path = tmp_path / "infeasible.matchopt"
    write(AssignmentInstance(np.array([[1.0, np.inf], [2.0, np.inf]])), path)
    return path
