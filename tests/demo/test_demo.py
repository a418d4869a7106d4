"""The demo from end to end, on a small network."""

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from matchopt.checker import check
from matchopt.cli import main
from matchopt.formats import read, read_instance
from matchopt.study import find_study

pytest.importorskip("torch")


@pytest.mark.slow
def test_the_quick_demo_does_every_step_and_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Network, instances, checked solutions, table and page with every solver; a second run repeats no work."""
    folder = tmp_path / "out"
    done = CliRunner().invoke(main, ["demo", "--quick", "--output", str(folder)])
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    records = [line | line["made_from"]["mapping"] for line in lines if "mapping" in line["made_from"]]
    assert {record["solver"] for record in records} == {run["solver"] for run in find_study("demo-quick").runs["cpu"]}
    solved = [record for record in records if record["value"] is not None]
    assert {"random", "greedy", "hungarian"} <= {record["solver"] for record in solved}
    page = (folder / "index.html").read_text()
    for solver in {record["solver"] for record in solved}:
        assert f"<td>{solver}</td>" in page and f" {solver} " in done.output
    assert "target (unmapped)" in done.output
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

    def never(*arguments: object, **named: object) -> None:
        raise AssertionError("a second run must train and solve nothing")

    monkeypatch.setattr("matchopt.grid.engine.LocalProcesses", never)
    again = CliRunner().invoke(main, ["demo", "--quick", "--output", str(folder)])
    assert again.exit_code == 0, again.output
    assert f"{len(records)} of them from an earlier run" in again.output
    assert len((folder / "results.jsonl").read_text().splitlines()) == len(lines)
    (folder / solved[0]["solution_file"]).unlink()
    monkeypatch.undo()
    mended = CliRunner().invoke(main, ["demo", "--quick", "--output", str(folder)])
    assert f"{len(records) - 1} of them from an earlier run" in mended.output
    assert (folder / solved[0]["solution_file"]).is_file()
