"""The engine of grids: every task once, whatever one raises costs its own line, nothing finished is lost."""

import json
import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from grid.cases import Told

from matchopt.errors import FolderInUse, FormatError, InvalidOption
from matchopt.grid.engine import run_grid
from matchopt.grid.records import ResultLog, as_json, content_key


def told(folder: Path, *words: str) -> list[Told]:
    """One task for each word."""
    return [Told(word, folder / "seen") for word in words]


def run(folder: Path, tasks: list[Told], **settings: object) -> list[dict[str, object]]:
    """The records of a run into `folder`."""
    with ResultLog(folder / "results.jsonl") as log:
        return run_grid(tasks, log, **settings)  # type: ignore[arg-type]


@pytest.mark.slow
def test_each_key_is_performed_once_and_failures_again(tmp_path: Path) -> None:
    """Two tasks of one key are one; a second run performs only what failed; records are in the order of the tasks."""
    tasks = told(tmp_path, "a", "RuntimeError", "b", "a")
    found = run(tmp_path, tasks, jobs=2)
    assert [record.get("figure") for record in found] == ["a", None, "b", "a"]
    assert found[1]["error"] == "RuntimeError: because"
    assert sorted(tasks[0].performances()) == ["RuntimeError", "a", "b"]
    assert run(tmp_path, tasks)[2] == found[2]
    assert sorted(tasks[0].performances()) == ["RuntimeError", "RuntimeError", "a", "b"]
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert lines[0]["made_from"] == {"what": lines[0].get("figure", "RuntimeError")}


@pytest.mark.slow
def test_whatever_a_task_does_costs_its_own_line(tmp_path: Path) -> None:
    """Exceptions of every kind, an exit, a killed process: each is a sentence in its line, all others are there."""
    bad = {
        "RuntimeError": "RuntimeError: because",
        "MemoryError": "MemoryError: because",
        "KeyError": "KeyError: 'because'",
        "ValueError": "because",
        "exit": "SystemExit: 3",
        "KeyboardInterrupt": "KeyboardInterrupt: by hand",
        "be killed": "the process that performed it ended without an answer",
    }
    tasks = told(tmp_path, "a", *bad, "b", "c")
    found = run(tmp_path, tasks, jobs=2)
    assert [record.get("error") for record in found] == [None, *bad.values(), None, None]
    assert [found[n]["figure"] for n in (0, -2, -1)] == ["a", "b", "c"]
    assert tasks[0].performances().count("be killed") == 2  # once beside another, once alone: it is the one


def test_any_executor_performs_the_tasks(tmp_path: Path) -> None:
    """Through threads, too; what cannot be sent is no matter there, and nothing is submitted before what it needs."""
    first, last = told(tmp_path, "a")[0], Told("b", tmp_path / "seen", tuple(told(tmp_path, "a")))
    with ThreadPoolExecutor(2) as pool:
        found = run(tmp_path, [last, *told(tmp_path, "nothing that can be sent")], executor=pool)
    assert found[0]["figure"] == "b" and str(found[1]["error"]).startswith("Unsendable")
    assert first.performances().index("a") < first.performances().index("b")


def test_what_needs_a_failure_is_not_performed(tmp_path: Path) -> None:
    """Its line says what failed; tasks without that need go on."""
    need = told(tmp_path, "KeyError")[0]
    tasks = [Told("after", tmp_path / "seen", (need,)), *told(tmp_path, "other")]
    with ThreadPoolExecutor(2) as pool:
        found = run(tmp_path, tasks, executor=pool)
    assert found[0]["error"] == "what it needs failed: KeyError: 'because'"
    assert found[1]["figure"] == "other" and "after" not in need.performances()


def test_what_nobody_expects_is_a_sentence_too(tmp_path: Path) -> None:
    """Exceptions that no program raises on purpose, or that cannot be shown; the others' figures are there."""
    bad = {
        "KeyboardInterrupt": "KeyboardInterrupt: by hand",
        "GeneratorExit": "GeneratorExit: ",
        "Speechless": "Speechless: (its text cannot be had: RuntimeError)",
        "half": "OSError: b\ufffdd",
    }
    with ThreadPoolExecutor(1) as pool:
        found = run(tmp_path, told(tmp_path, *bad, "digits", "half a character"), executor=pool)
    assert [record.get("error") for record in found] == [*bad.values(), None, None]
    assert [record["figure"] for record in found[-2:]] == [None, "\ufffd"]


def test_numbers_that_are_none_are_recorded_as_missing(tmp_path: Path) -> None:
    """NaN and infinities, in lists, too; the line is plain JSON, and the task counts as done."""
    with ThreadPoolExecutor(1) as pool:
        found = run(tmp_path, told(tmp_path, "nan", "inf"), executor=pool)
    assert [(record["figure"], record["series"]) for record in found] == [(None, [None])] * 2
    assert "NaN" not in (tmp_path / "results.jsonl").read_text()
    assert run(tmp_path, told(tmp_path, "nan")) == [found[0]]


@pytest.mark.slow
def test_an_interrupt_keeps_what_is_finished_and_leaves_no_process(tmp_path: Path) -> None:
    """Ctrl-C while a result comes in: that result is on the disk, and the processes are gone."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, told(tmp_path, "a", "b", "c", "d"), jobs=1, notify=interrupt)
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 1
    deadline = time.monotonic() + 10
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not multiprocessing.active_children()


def test_jobs_are_at_least_one(tmp_path: Path) -> None:
    """A wrong number is named before anything runs."""
    with pytest.raises(InvalidOption, match="jobs must be >= 1, found 0"):
        run(tmp_path, told(tmp_path, "a"), jobs=0)


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    """While one run holds the folder another is told so; afterwards it may."""
    path = tmp_path / "results.jsonl"
    with ResultLog(path), pytest.raises(FolderInUse, match="another run writes into"), ResultLog(path):
        pass
    with ResultLog(path) as log:
        assert list(log) == []


def test_results_survive_a_torn_line_and_damage_is_named(tmp_path: Path) -> None:
    """What a power cut left of the last line is dropped; a broken line in the middle is told with its number."""
    path = tmp_path / "results.jsonl"
    with ResultLog(path) as log:
        log.append("a", {"x": 1})
        log.append("b", {"x": 2})
        log.append("a", {"x": 3})
    path.write_bytes(path.read_bytes() + b'{"key": "c", "x"')
    with ResultLog(path) as again:
        assert list(again) == ["a", "b"] and again.get("a") == {"key": "a", "x": 3} and again.get("c") is None
        again.append("d", {"x": 4})
    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == ["a", "b", "a", "d"]
    path.write_text('{"key": "a"}\nnonsense\n{"key": "b"}\n')
    with pytest.raises(FormatError, match="line 2 is no result"), ResultLog(path):
        pass
    with ResultLog(tmp_path / "other.jsonl"):  # a refusal leaves no lock behind
        pass


def test_keys_are_of_content() -> None:
    """The order of facts does not matter, their values do; whatever JSON cannot say is text."""
    assert content_key({"a": 1, "b": 2}) == content_key({"b": 2, "a": 1}) != content_key({"a": 2, "b": 2})
    assert as_json({"path": Path("x"), "pair": (1, 2.5)}) == {"path": "x", "pair": [1, 2.5]}
