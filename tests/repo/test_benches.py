"""What stands behind `make mutants` and `make bench-record`."""

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from matchopt.grid.task import Place
from matchopt.study import find_studies
from matchopt.study.engine import task_of

BENCHES = Path(__file__).resolve().parents[2] / "benches"
SOURCE = '''
"""A module."""
LIMIT = 3


def least(values: list[float], low: float = 0.5) -> float:
    """The least value of some above low."""
    if not values:
        raise ValueError("no values, 0 found")
    best = values[0]
    for value in values[1:]:
        if low < value and value < best:
            best = value + 0 * LIMIT
    return best
'''


def loaded(name: str) -> ModuleType:
    """A module of the benches, whose folder is no package."""
    spec = importlib.util.spec_from_file_location(Path(name).name, BENCHES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_mutant_is_one_change_of_what_decides() -> None:
    """Distinct programs, each unlike the source; texts, annotations and words of errors are left alone."""
    operators = loaded("mutants/operators")
    found = operators.mutants("m.py", SOURCE)
    programs = {ast.unparse(operators.mutated(SOURCE, mutant.index)) for mutant in found}
    assert len(programs) == len(found) == len({mutant.key for mutant in found})
    assert ast.unparse(ast.parse(SOURCE)) not in programs
    kinds = {mutant.operator for mutant in found}
    assert {"constant", "negated comparison", "shifted comparison", "and/or", "removed raise", "sign or not"} <= kinds
    assert all("no values, 0 found" in program for program in programs if "raise" in program)
    assert {mutant.function for mutant in found} == {"", "least"}  # the limit and the default are outside


def test_a_result_stays_until_its_function_changes() -> None:
    """Keys of a function's mutants depend on its own text, wherever it stands."""
    operators = loaded("mutants/operators")

    def keys(source: str) -> set[str]:
        return {mutant.key for mutant in operators.mutants("m.py", source) if mutant.function}

    assert keys(SOURCE) == keys(f"import math\n{SOURCE}")
    assert not keys(SOURCE) & keys(SOURCE.replace("best = values[0]", "best = values[-1]"))


def test_ratios_are_of_the_same_work() -> None:
    """Ours against each peer of the same test with the same other parameters, by the least times."""

    def bench(test: str, least: float, **params: Any) -> dict[str, Any]:
        return {"fullname": f"b.py::{test}[x]", "params": params or None, "stats": {"min": least}}

    found = loaded("record").ratios(
        [
            bench("test_read", 2.0, reader="matchopt", size=1),
            bench("test_read", 3.0, reader="peer", size=1),
            bench("test_read", 9.0, reader="peer", size=2),
            bench("test_write", 9.0, reader="peer", size=1),
            bench("test_alone", 1.0),
        ]
    )
    assert found == [("read 1", "matchopt", "peer", 1.5)]


def test_the_history_is_there() -> None:
    """With the columns that the next run appends to."""
    record = loaded("record")
    head, *rows = (line.split(",") for line in record.HISTORY.read_text().splitlines())
    assert tuple(head) == record.COLUMNS and rows and all(float(row[-1]) > 0 for row in rows)


def test_the_device_script_asks_for_runs_that_exist(tmp_path: Path) -> None:
    """Its studies are read, and the settings of every run fit, at the tiny scale and at that of a device."""
    script = (BENCHES / "device.sh").read_text()
    for study in find_studies([str(BENCHES / "device")]):
        assert f" {study.name}" in script
        for settings in (*study.runs["cpu"], *study.runs["paper"]):
            task_of(study, settings, Place(tmp_path))


@pytest.mark.slow
def test_the_device_script_runs_on_a_cpu(tmp_path: Path) -> None:
    """Where no time is left it says so; given time it leaves every table, with costs that agree."""
    pytest.importorskip("torch")
    command = ["bash", str(BENCHES / "device.sh"), str(tmp_path)]
    about = {**os.environ, "DEVICE": "cpu", "SCALE": "cpu", "PYTHON": sys.executable}
    short = subprocess.run(command, env={**about, "LIMIT": "0"}, capture_output=True, text=True, timeout=60)
    assert short.returncode == 3 and short.stdout.splitlines() == ["kernels: no time left", "studies: no time left"]
    done = subprocess.run(command, env=about, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len((tmp_path / "kernels.csv").read_text().splitlines()) == 2
    pages = {f"{path.stem}{end}" for path in (BENCHES / "device").glob("*.toml") for end in (".md", ".csv")}
    assert {path.name for path in (tmp_path / "published").iterdir()} == pages | {"runtimes.md"}
