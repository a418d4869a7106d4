"""The light core works alone: no torch, no OR-tools, no plots, no faster engine."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from matchopt import LayerInstance, write
from matchopt.instances.generators import draw_hardware, draw_target

BLOCKER = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "ortools", "matplotlib", "lap", "distributed", "pandas", "onnx", "h5py"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None

sys.meta_path.insert(0, Blocker())
"""


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """An environment in which every process acts as if the extras were not installed."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(BLOCKER)
    return {**os.environ, "PYTHONPATH": str(tmp_path / "site")}


def matchopt(*words: str, env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line in this environment."""
    command = [sys.executable, "-m", "matchopt.cli", *words]
    return subprocess.run(command, env=env, cwd=cwd, text=True, capture_output=True, timeout=120)


def test_import_and_door_need_no_extra(bare: dict[str, str], tmp_path: Path) -> None:
    """`import matchopt` and every public name load without the extras."""
    code = "import matchopt\nfor name in dir(matchopt): getattr(matchopt, name)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=bare, cwd=tmp_path, text=True, capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["greedy", "hungarian"])
def test_an_exported_layer_is_solved_without_extras(solver: str, bare: dict[str, str], tmp_path: Path) -> None:
    """Greedy and hungarian solve a layer file with the core alone, and the solution checks."""
    rng = np.random.default_rng(0)
    layer = LayerInstance(draw_target(20, 50, 5, rng), draw_hardware("gaussian", 20, 8, rng))
    write(layer, tmp_path / "layer.matchopt")
    done = matchopt("solve", "layer.matchopt", "--solver", solver, "--output", "best.matchopt", env=bare, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert matchopt("check", "layer.matchopt", "best.matchopt", env=bare, cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(("file", "extra"), [("net.onnx", "onnx"), ("net.nir", "nir")])
def test_networks_of_others_say_which_extra_reads_them(
    file: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without onnx or h5py one sentence names the pip command."""
    from matchopt.errors import MissingExtra
    from matchopt.network import read_network

    for package in ("onnx", "h5py"):
        monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / file).write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(MissingExtra, match=rf"pip install 'matchopt\[{extra}\]'"):
        read_network(tmp_path / file)


def test_a_missing_extra_is_one_sentence_with_the_command(bare: dict[str, str], tmp_path: Path) -> None:
    """Without OR-tools, cpsat says which pip command brings it, without a traceback."""
    (tmp_path / "tiny.txt").write_text("2\n1 2\n3 1\n")
    done = matchopt("solve", "tiny.txt", "--solver", "cpsat", "--format", "orlib-assignment", env=bare, cwd=tmp_path)
    assert done.returncode in {1, 2}
    assert "pip install 'matchopt[ortools]'" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
