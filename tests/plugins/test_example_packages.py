"""The outside plugins in examples/ install in a fresh environment, solve, and pass the conformance kit."""

import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matchopt import AssignmentInstance, Hardware, LayerInstance, Target, write

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("c-hungarian", "line-search", "scip")


class Fresh:
    """A fresh environment over this one's packages, which has pip's ways but no plugin of the examples."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder)  # without a pip of its own: this one's can install there
        self.python, self.folder = folder / "bin" / "python", folder
        site = next((folder / "lib").glob("python*")) / "site-packages"
        (site / "others.pth").write_text(f"import site; site.addsitedir({sysconfig.get_paths()['purelib']!r})\n")

    def install(self, package: str, copies: Path) -> None:
        """Install a copy, as building writes beside the sources."""
        ignored = ("--exclude", "build", "--exclude", "*.egg-info", "--exclude", "*.so")
        done = subprocess.run(["tar", "-C", str(ROOT / "examples"), *ignored, "-cf", "-", package], capture_output=True,
                              check=True)  # fmt: skip
        subprocess.run(["tar", "-C", str(copies), "-xf", "-"], input=done.stdout, check=True)
        pip = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(self.python),
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
        ]
        self._run([*pip, "--no-build-isolation", str(copies / package)], copies)

    def run(self, folder: Path, *words: str) -> str:
        """Run a module of this environment."""
        return self._run([str(self.python), "-m", *words], folder)

    def _run(self, words: list[str], folder: Path) -> str:
        done: Any = subprocess.run(words, cwd=folder, text=True, capture_output=True, timeout=1500)
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return str(done.stdout)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fresh]:
    """An environment with all three."""
    pytest.importorskip("pyscipopt")
    made, copies = Fresh(tmp_path_factory.mktemp("fresh")), tmp_path_factory.mktemp("copies")
    for package in PACKAGES:
        made.install(package, copies)
    return made


@pytest.mark.slow
def test_they_install_are_listed_and_solve(fresh: Fresh, tmp_path: Path) -> None:
    """Each solves an instance of its kind as well as the house does, and its own test asks the laws."""
    rng = np.random.default_rng(0)
    write(AssignmentInstance(rng.integers(0, 99, (40, 50))), tmp_path / "a.matchopt")
    layer = LayerInstance(
        Target.from_dense(rng.normal(size=(5, 6))), Hardware(rng.normal(size=(6, 7)), bus=np.zeros(6, int))
    )
    write(layer, tmp_path / "crossbar.matchopt")
    listed = fresh.run(tmp_path, "matchopt.cli", "plugins")
    assert all(f"matchopt-{package}" in listed for package in PACKAGES), listed
    for instance, solver in (("a", "c-hungarian"), ("a", "scip"), ("crossbar", "line-search")):
        said = fresh.run(tmp_path, "matchopt.cli", "solve", f"{instance}.matchopt", "--solver", solver)
        assert ("optimal, proven" if instance == "a" else "feasible") in said, said
    tests = str(ROOT / "examples" / "line-search" / "tests")
    assert "passed" in fresh.run(tmp_path, "pytest", "-q", "-p", "no:cacheprovider", "-k", "class or spare", tests)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("package", PACKAGES)
def test_they_pass_check_solver(fresh: Fresh, package: str, tmp_path: Path) -> None:
    """All laws, on all tiny instances of all kinds."""
    said = fresh.run(tmp_path, "matchopt.cli", "check-solver", package, "--time-limit", "1500")
    assert " 0 failed" in said and " 0 expected-failure" in said, said
