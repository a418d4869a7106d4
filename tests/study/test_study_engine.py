"""Studies are run once, resumed where they stopped, and the same in any number of processes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from matchopt.cli import main
from matchopt.errors import InvalidOption, UnknownName
from matchopt.grid.records import ResultLog
from matchopt.study import Outcome, Study, read_study, run_study

TRAINING = """
title = "t"
kind = "training"
by = ["method"]
show = ["validation", "test", "connectivity"]
[fixed]
architecture = "mlp:784-12-10"
images = [600, 100, 100]
[[runs]]
set = { method = "deep-rewiring", "options.epochs" = 2, "options.connectivity" = 0.1, every_epoch = true }
sweep = { seed = [0, 1] }
[[runs]]
set = { method = "dense", "options.epochs" = 2, correlations = true, labels = "permuted" }
"""
MAPPING = """
title = "t"
kind = "mapping"
by = ["solver", "law"]
show = ["validation", "weight_error"]
[targets.small]
method = "gradual-pruning"
architecture = "mlp:784-12-10"
images = [600, 100, 100]
"options.fan_in" = [6, 6]
"options.prune_epochs" = 1
"options.retrain_epochs" = 1
[fixed]
target = "small"
[[runs]]
sweep = { solver = ["hungarian", "random"] }
[[runs]]
label = "noisy"
set = { solver = "hungarian", noise = 0.3, noise_draws = 3 }
[[runs]]
label = "without a way"
set = { solver = "no-such-solver" }
"""


pytestmark = pytest.mark.usefixtures("shared_processes")


def study_of(folder: Path, text: str) -> Study:
    (folder / "mine.toml").write_text(text, "utf-8")
    return read_study(folder / "mine.toml")


def figures(records: object) -> list[dict[str, object]]:
    """What does not depend on the clock."""
    return [
        {k: v for k, v in record.items() if "seconds" not in k}  # type: ignore[attr-defined]
        for record in records  # type: ignore[attr-defined]
    ]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Path, Outcome]:
    """The study of trainings, run once in one process after the other: the study, its folder and what was found."""
    folder = tmp_path_factory.mktemp("trained")
    study = study_of(folder, TRAINING)
    return study, folder / "out", run_study(study, folder / "out")


@pytest.mark.slow
def test_training_studies_record_accuracies_connectivity_and_series(trained: tuple[Study, Path, Outcome]) -> None:
    """Each run has its final figures and one value per epoch in its series; no checkpoint is left."""
    _, folder, found = trained
    assert not found.failed
    rewired, _, dense = found.records
    assert 0.2 < rewired["test"] <= 1.0
    assert rewired["connectivity"] == pytest.approx(0.1, abs=2e-4)
    assert len(rewired["series"]["validation"]) == 2
    assert None not in rewired["series"]["validation"]
    assert dense["connectivity"] == 1.0
    assert dense["series"]["weight_correlation_1"][0] is None
    assert 0.9 < dense["series"]["weight_correlation_1"][1] <= 1.0
    assert not list((folder / "checkpoints").glob("*"))


@pytest.mark.slow
def test_what_is_done_is_not_done_again(trained: tuple[Study, Path, Outcome]) -> None:
    """A second run of the same study takes all records from the first, with the same figures."""
    study, folder, first = trained
    again = run_study(study, folder)
    assert (first.reused, again.reused) == (0, 3)
    assert figures(first.records) == figures(again.records)


@pytest.mark.slow
def test_several_processes_find_what_one_finds(trained: tuple[Study, Path, Outcome], tmp_path: Path) -> None:
    """All that does not depend on the clock is the same with one job and with two."""
    study, _, one = trained
    two = run_study(study, tmp_path, jobs=2)
    assert two.reused == 0 and figures(one.records) == figures(two.records)


@pytest.mark.slow
def test_mapping_studies_train_their_target_once_and_keep_going_past_failures(tmp_path: Path) -> None:
    """Four runs share one trained target; the one that fails costs its line alone and is tried again."""
    study = study_of(tmp_path, MAPPING)
    found = run_study(study, tmp_path / "out")
    hungarian, random, noisy, failed = found.records
    assert "no-such-solver" in failed["error"]
    assert {record["law"] for record in found.records} == {"gaussian"}  # a default, named as the table has it
    assert hungarian["proof"] == "proven"
    assert hungarian["weight_error"] < random["weight_error"]
    assert noisy["weight_error"] == pytest.approx(hungarian["weight_error"], rel=0.5)
    assert noisy["validation"] != hungarian["validation"]
    assert len(list((tmp_path / "out" / "targets").glob("small-*.safetensors"))) == 1
    assert run_study(study, tmp_path / "out").reused == 3  # the failed one is tried again


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ('method = "dense"', 'method = "dense", speed = 3', UnknownName, "unknown setting 'speed'"),
        (
            'method = "dense"',
            'method = "dense", seed = -1',
            InvalidOption,
            "settings: seed must be a whole number >= 0",
        ),
        (
            '"options.epochs" = 2',
            '"options.epochs" = "2"',
            InvalidOption,
            "trainer deep-rewiring: epochs must be a whole number",
        ),
        ("images = [600, 100, 100]", "images = [600]", InvalidOption, "images must be three numbers"),
        ('method = "dense"', "method = 3", InvalidOption, "settings: method must be text, found 3"),
    ],
)
def test_wrong_settings_are_named_before_anything_runs(
    tmp_path: Path, old: str, new: str, error: type[Exception], message: str
) -> None:
    """A mistake in the settings is told at the start, with its name, and no record is made."""
    study = study_of(tmp_path, TRAINING.replace(old, new))
    with pytest.raises(error, match=message):
        run_study(study, tmp_path / "out")
    assert not (tmp_path / "out" / "results.jsonl").exists()


@pytest.mark.parametrize("command", [["reproduce", "learned"], ["demo"]])
def test_a_second_writer_gets_one_sentence(tmp_path: Path, command: list[str]) -> None:
    """Exit status 2, at once, and nothing is written."""
    folder = tmp_path / ("learned/cpu" if command[0] == "reproduce" else "")
    with ResultLog(folder / "results.jsonl"):
        done = CliRunner().invoke(main, [*command, "--output", str(tmp_path)])
    assert done.exit_code == 2
    assert done.stderr.splitlines() == [
        f"Error: another run writes into {folder}; wait until it has ended, or name another folder"
    ]
    assert not (folder / "results.jsonl").exists()


@pytest.mark.slow
def test_results_of_older_versions_are_counted_and_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command says once how many there are; they stay in the file."""
    study_of(tmp_path, MAPPING.split("[[runs]]")[0] + '[[runs]]\nset = { solver = "random", target = "row8" }\n')
    log = tmp_path / "out" / "mine" / "cpu" / "results.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text('{"key": "0123", "solver": "random", "validation": 0.5}\n', "utf-8")
    command = ["reproduce", str(tmp_path / "mine.toml"), "--output", str(tmp_path / "out"), "--jobs", "1"]
    first = CliRunner().invoke(main, command)
    assert f"not used: 1 result in {log.parent}" in first.stderr and "1 run;" in first.stdout
    monkeypatch.setattr("matchopt.__version__", "99")
    again = CliRunner().invoke(main, command)
    assert f"not used: 2 results in {log.parent}" in again.stderr and "1 run;" in again.stdout
    assert len(log.read_text().splitlines()) == 3


@pytest.mark.slow
def test_an_interrupted_study_keeps_what_is_finished(tmp_path: Path) -> None:
    """Ctrl-C ends with 130; every line that was written before is a whole record."""
    longer = TRAINING.replace("seed = [0, 1]", "seed = [0, 1, 2, 3, 4, 5, 6, 7]").replace(
        'epochs" = 2, "', 'epochs" = 20, "'
    )
    study_of(tmp_path, longer)
    command = [sys.executable, "-m", "matchopt.cli", "reproduce", "mine.toml", "--output", "out", "--jobs", "1"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=os.environ.copy(), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    log = tmp_path / "out" / "mine" / "cpu" / "results.jsonl"
    deadline = time.monotonic() + 60
    while not (log.exists() and log.read_bytes().count(b"\n") >= 1) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    lines = log.read_text().splitlines()
    assert 1 <= len(lines) < 9
    assert all("test" in json.loads(line) for line in lines)
