"""The outside plugins in examples/ install in a fresh environment, solve, and pass the conformance kit."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from fresh import Fresh

from matchopt import AssignmentInstance, Hardware, LayerInstance, Target, write

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("c-hungarian", "line-search", "scip")
BUILT = shutil.ignore_patterns("build", "*.egg-info", "*.so")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    """An environment with all three, installed from copies, as building writes beside the sources."""
    pytest.importorskip("pyscipopt")
    made, copies = Fresh(tmp_path_factory.mktemp("fresh")), tmp_path_factory.mktemp("copies")
    for package in PACKAGES:
        made.install(shutil.copytree(ROOT / "examples" / package, copies / package, ignore=BUILT))
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
    said = fresh.run(tmp_path, "matchopt.cli", "check-solver", package, "--time-limit", "1500", seconds=1500)
    assert " 0 failed" in said and " 0 expected-failure" in said, said
