"""A wheel built from the tree has everything, and its demo, on a small network, goes from end to end in any folder."""

import csv
import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from matchopt.checker import check
from matchopt.cli import main
from matchopt.formats import read, read_instance
from matchopt.study import find_study

pytest.importorskip("torch")
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
    for folder in (ROOT, ROOT / "plugins"):
        keep_machine_code(folder, site)
    (site / "others.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")) + "\n")
    return program


def keep_machine_code(tree: Path, site: Path) -> None:
    """What the tree's loops were compiled to serves the same sources in `site`: compiling is tested elsewhere."""
    for code in tree.glob("matchopt*/**/__pycache__/*.nb[ic]"):
        source = code.parents[1] / f"{code.name.partition('.')[0]}.py"
        installed = site / source.relative_to(tree)
        if installed.is_file() and source.is_file() and installed.read_bytes() == source.read_bytes():
            times = source.stat()  # numba takes a file of the same time and size for the same
            os.utime(installed, ns=(times.st_atime_ns, times.st_mtime_ns))
            (installed.parent / "__pycache__").mkdir(exist_ok=True)
            shutil.copy2(code, installed.parent / "__pycache__")


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


def test_the_installed_demo_does_every_step_and_resumes(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offline from an empty folder: network, instances, checked solutions, table and page with every solver.

    A second run repeats no work, neither the wheel's nor one from the tree.
    """
    env = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "MATCHOPT_LIBRARY"}}
    command = [str(python), "-m", "matchopt.cli", "demo", "--quick"]
    where = "import matchopt; print(matchopt.__file__ or matchopt.__path__)"
    home = subprocess.run([str(python), "-c", where], cwd=tmp_path, env=env, text=True, capture_output=True, check=True)
    assert str(ROOT / "matchopt") not in home.stdout
    first = subprocess.run(command, cwd=tmp_path, env=env, text=True, capture_output=True, timeout=300)
    assert first.returncode == 0, first.stdout + first.stderr
    folder = tmp_path / "demo-output"
    lines = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    records = [line | line["made_from"]["mapping"] for line in lines if "mapping" in line["made_from"]]
    assert {record["solver"] for record in records} == {run["solver"] for run in find_study("demo-quick").runs["cpu"]}
    solved = [record for record in records if record["value"] is not None]
    assert {"random", "greedy", "hungarian"} <= {record["solver"] for record in solved}
    page = (folder / "index.html").read_text()
    for solver in {record["solver"] for record in solved}:
        assert f"<td>{solver}</td>" in page and f" {solver} " in first.stdout
    assert "target (unmapped)" in first.stdout
    instances = {path.stem: read_instance(path) for path in (folder / "instances").glob("*.matchopt")}
    assert len(instances) == 4
    for record in solved:
        file = read(folder / record["solution_file"])
        instance = instances[Path(record["instance_file"]).stem]
        assert file.instance == instance.digest  # type: ignore[union-attr]
        report = check(instance, file.solution)  # type: ignore[union-attr]
        assert report.feasible and report.objective == pytest.approx(record["value"], rel=1e-12)
        assert record["test"] is not None
    with (folder / "results.csv").open(newline="") as table:
        assert len(list(csv.DictReader(table))) == len(records)
    second = subprocess.run(command, cwd=tmp_path, env=env, text=True, capture_output=True, timeout=60)
    assert second.returncode == 0
    assert f"{len(records)} of them from an earlier run" in second.stdout

    def never(*arguments: object, **named: object) -> None:
        raise AssertionError("a second run must train and solve nothing")

    monkeypatch.setattr("matchopt.grid.lines.LocalProcesses.submit", never)
    again = CliRunner().invoke(main, ["demo", "--quick", "--output", str(folder)])
    assert again.exit_code == 0, again.output
    assert f"{len(records)} of them from an earlier run" in again.output
    assert len((folder / "results.jsonl").read_text().splitlines()) == len(lines)
    (folder / solved[0]["solution_file"]).unlink()
    monkeypatch.undo()
    mended = CliRunner().invoke(main, ["demo", "--quick", "--output", str(folder)])
    assert f"{len(records) - 1} of them from an earlier run" in mended.output
    assert (folder / solved[0]["solution_file"]).is_file()
