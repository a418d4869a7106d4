"""A wheel built from the tree has everything, and works from any folder."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the tree with the tools that are installed."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment with nothing but the wheel, seeing this one's third-party packages."""
    folder = tmp_path_factory.mktemp("env") / "venv"
    venv.create(folder)  # without a pip of its own: this one's can install there
    program = folder / "bin" / "python"
    site = next((folder / "lib").glob("python*")) / "site-packages"
    pip = [sys.executable, "-m", "pip", "--python", str(program), "install", "--quiet", "--no-deps", "--no-index"]
    install = [*pip, str(wheel)]
    subprocess.run(install, check=True, capture_output=True, timeout=300)
    # A path file adds the folders but does not run the editable install's own path file there.
    (site / "others.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")) + "\n")
    return program


def test_the_wheel_carries_data_template_and_plugins(wheel: Path) -> None:
    """MNIST, the catalogue, the exported instances, the plugin template and all solver packages are inside."""
    names = zipfile.ZipFile(wheel).namelist()
    for part in (
        "matchopt/problems/mnist/train-images-idx3-ubyte.gz",
        "matchopt/problems/catalogue.csv",
        "matchopt/problems/instances/row8-gaussian-k1.25-r1.matchopt",
        "matchopt/template/",
        "matchopt/py.typed",
        "matchopt_hungarian/__init__.py",
        "matchopt_cpsat/__init__.py",
    ):
        assert any(name.startswith(part) for name in names), part
    assert not [name for name in names if name.startswith(("tests/", "benches/"))]


def test_the_installed_demo_runs_offline_from_any_folder(python: Path, tmp_path: Path) -> None:
    """`matchopt demo --quick` of the wheel ends well in an empty folder, and a second run finds the first."""
    env = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "MATCHOPT_LIBRARY"}}
    command = [str(python), "-m", "matchopt.cli", "demo", "--quick"]
    where = "import matchopt; print(matchopt.__file__ or matchopt.__path__)"
    home = subprocess.run([str(python), "-c", where], cwd=tmp_path, env=env, text=True, capture_output=True, check=True)
    assert str(ROOT / "matchopt") not in home.stdout
    first = subprocess.run(command, cwd=tmp_path, env=env, text=True, capture_output=True, timeout=300)
    assert first.returncode == 0, first.stdout + first.stderr
    assert (tmp_path / "demo-output" / "index.html").is_file()
    second = subprocess.run(command, cwd=tmp_path, env=env, text=True, capture_output=True, timeout=60)
    assert second.returncode == 0
    assert "earlier run" in second.stdout
