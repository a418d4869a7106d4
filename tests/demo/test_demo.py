"""The demo from end to end, on a small network."""

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from matchopt.checker import check
from matchopt.cli import main
from matchopt.formats import read, read_instance
from matchopt.plugins import load_plugins

pytest.importorskip("torch")


@pytest.mark.slow
def test_the_quick_demo_does_every_step_and_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Network, instances, checked solutions, table and page with every solver; a second run repeats no work."""
    folder = tmp_path / "out"
    done = CliRunner().invoke(main, ["demo", "--quick", "--output", str(folder)])
    assert done.exit_code == 0, done.output
    records = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    assert {record["solver"] for record in records} >= set(load_plugins().solvers)
    solved = [record for record in records if record["objective"] is not None]
    assert {"random", "greedy", "hungarian"} <= {record["solver"] for record in solved}
    page = (folder / "index.html").read_text()
    for solver in {record["solver"] for record in solved}:
        assert f"<td>{solver}</td>" in page and f" {solver} " in done.output
    assert "target (unmapped)" in done.output
    instances = {path.stem: read_instance(path) for path in (folder / "instances").glob("*.matchopt")}
    assert len(instances) == 4
    for record in solved:
        file = read(folder / record["solution"])
        assert file.instance == record["digest"] == instances[record["instance"]].digest  # type: ignore[union-attr]
        report = check(instances[record["instance"]], file.solution)  # type: ignore[union-attr]
        assert report.feasible and report.objective == pytest.approx(record["objective"], rel=1e-12)
        assert record["test_accuracy"] is not None
    with (folder / "results.csv").open(newline="") as table:
        assert len(list(csv.DictReader(table))) == len(records)

    def never(*arguments: object, **named: object) -> None:
        raise AssertionError("a second run must train and solve nothing")

    monkeypatch.setattr("matchopt.network.GradualPruning.train", never)
    monkeypatch.setattr("matchopt.run.solving.perform_guarded", never)
    again = CliRunner().invoke(main, ["demo", "--quick", "--output", str(folder)])
    assert again.exit_code == 0, again.output
    assert f"{len(records)} of them in an earlier run" in again.output
    assert len((folder / "results.jsonl").read_text().splitlines()) == len(records)
