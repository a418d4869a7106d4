"""A bench: every run once, refusals not at all, targets, results of several folders, one sentence when a disk fails."""

import contextlib
import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from repo.test_benches import loaded

from matchopt import AssignmentInstance, Provenance, solve, write
from matchopt.bench import BenchPlan, News, find_instances, find_variants, read_results, run_bench, said, write_tables
from matchopt.bench.course import RESULTS
from matchopt.bench.plan import _meant
from matchopt.bench.reference import TOLERANCE, drifts, reference_seconds
from matchopt.bench.results import as_parquet
from matchopt.cli import main
from matchopt.errors import DataError, InvalidOption, UnknownName
from matchopt.formats.catalogue import read_problems
from matchopt.library import problems_folder

SLOW_STEPS = '''
"""A solver that reports ever better assignments, a step every hundredth of a second."""
import time
from dataclasses import dataclass
import numpy as np
from matchopt import Assignment, AssignmentInstance, Result, Solver, hookimpl

@dataclass(frozen=True)
class Steps(Solver):
    """Random assignments, the best so far."""
    name = "steps"
    solves = AssignmentInstance
    pause: float = 0.01  # seconds

    def solve(self, instance, limits, rng):
        for _ in limits.steps():
            time.sleep(self.pause)
            found = Assignment(rng.permutation(instance.n_cols)[: instance.n_rows])
            limits.offer(found, instance.value(found))
        return Result(limits.best)

@hookimpl
def register_solvers(register):
    register(Steps)
'''


def folder_of(tmp_path: Path, count: int = 2, size: int = 3) -> Path:
    """A folder of assignment instances, whose best value is the enumerated one."""
    made = tmp_path / "instances"
    made.mkdir()
    for number in range(count):
        cost = np.random.default_rng(number).integers(1, 20, (size, size)).astype(float)
        instance = AssignmentInstance(cost)
        if size == 3:
            least = min(cost[0, a] + cost[1, b] + cost[2, 3 - a - b] for a in range(3) for b in range(3) if a != b)
            instance = replace(instance, provenance=Provenance(name=f"a{number}", best_value=float(least)))
        write(instance, made / f"a{number}.matchopt")
    return made


def run(plan: BenchPlan, folder: Path, **more: Any) -> Any:
    """A bench in threads of this process."""
    with ThreadPoolExecutor(1) as pool:
        return run_bench(plan, folder, executor=pool, **more)


def test_every_pair_once_and_no_refusal_run(tmp_path: Path) -> None:
    """Runs and refusals are all there, with checked figures; the same call again does nothing, more seeds add to it."""
    plan = BenchPlan(find_instances([str(folder_of(tmp_path))]), find_variants(["hungarian", "greedy-pairs", "slots"]))
    news: list[News] = []
    found = run(plan, tmp_path / "r", notify=news.append)
    by = {(record["instance"], record["solver"]): record for record in found.records}
    assert len(by) == 6 and not found.failed and found.reused == found.stale == 0
    for instance in plan.instances:
        best, greedy = by[instance.name, "hungarian"], by[instance.name, "greedy-pairs"]
        assert best["objective"] == instance.best_value and best["proof"] == "proven" and best["gap"] < 1e-9
        assert greedy["objective"] >= best["objective"] and greedy["trace"][-1][1] == greedy["objective"]
        alone = solve(instance.read(), "greedy-pairs", time_limit=plan.time_limit)  # as `matchopt solve` and benches do
        assert all(greedy[name] == getattr(alone, name) for name in ("objective", "bound", "gap", "proof"))
        assert by[instance.name, "slots"]["status"] == "refused" and "trace" not in by[instance.name, "slots"]
        assert len(best["reference"]) == 2 and min(best["reference"]) > 0
    assert [item.done for item in news] == [1, 2, 3, 4] and news[-1].seconds_left == 0.0 and news[0].total == 4
    assert "4 of 4, 0 s to go: " in said(news[-1])
    lines = (tmp_path / "r" / RESULTS).read_bytes()
    assert run(plan, tmp_path / "r").reused == 6 and (tmp_path / "r" / RESULTS).read_bytes() == lines
    more = run(replace(plan, seeds=2), tmp_path / "r")
    assert (len(more.records), more.reused) == (12, 6)
    assert run(plan, tmp_path / "r").stale == 6  # those of the second seed are none of this bench's


def test_options_make_variants_and_mistakes_are_named(tmp_path: Path) -> None:
    """An option with two values is two variants, crossed with the others; wrong words are said before anything runs."""
    options = [("greedy.order", "norm"), ("greedy.order", "regret"), ("hungarian+slots.slots.epochs", "3")]
    labels = [v.label for v in find_variants(["greedy", "auto", "hungarian+slots"], options)]
    assert labels == ["greedy order=norm", "greedy order=regret", "auto", "hungarian+slots slots.epochs=3"]
    with pytest.raises(UnknownName, match="unknown solver 'gredy'; did you mean 'greedy'"):
        find_variants(["gredy"])
    with pytest.raises(UnknownName, match="solver of an option"):
        find_variants(["greedy"], [("greedy-pairs.order", "norm")])
    with pytest.raises(InvalidOption, match=r"option 'order' must name its solver, as in greedy\.order"):
        find_variants(["greedy"], [("order", "norm")])
    with pytest.raises(InvalidOption, match="order"):
        find_variants(["greedy"], [("greedy.order", "size")])
    with pytest.raises(UnknownName, match="crossbar-8x9"):
        find_instances(["crossbar-8x9"])
    assert {entry.name for entry in _meant("graded", read_problems())} == {
        row["name"] for row in csv.DictReader((problems_folder() / "graded.csv").read_text().splitlines())
    }
    shipped = find_instances(["shipped", "crossbar-*[0-9]x[0-9]*"])
    assert len(shipped) >= 30 and sum(i.name.startswith("crossbar-") for i in shipped) == 4
    with pytest.raises(InvalidOption, match="twice"):
        BenchPlan(shipped[:1] * 2, find_variants(["greedy"]))
    (folder := tmp_path / "i").mkdir()
    write(AssignmentInstance(np.eye(2)), folder / "a.matchopt")
    (other := tmp_path / "j").mkdir()
    write(AssignmentInstance(np.eye(3)), other / "a.matchopt")
    assert len(find_instances([str(folder), str(folder / "a.matchopt")])) == 1
    with pytest.raises(InvalidOption, match="instance 'a' is in the bench twice"):  # none of the two is left out
        BenchPlan(find_instances([str(folder), str(other)]), find_variants(["greedy"]))
    with pytest.raises(InvalidOption, match="no best value of a is known"):
        BenchPlan(find_instances([str(folder)]), find_variants(["greedy"]), target_gap=0.1)


def test_auto_without_a_choice_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is run, and nothing has failed."""
    monkeypatch.setattr("matchopt.run.choice.SUGGESTIONS", ())
    found = run(BenchPlan(find_instances([str(folder_of(tmp_path, 1))]), find_variants(["auto"])), tmp_path / "r")
    assert not found.failed and [record["status"] for record in found.records] == ["refused"]
    assert "no solver that is installed takes this assignment" in found.records[0]["message"]


def test_a_target_ends_a_run_and_is_timed(tmp_path: Path) -> None:
    """A solver that would go on for a minute stops as soon as it is close enough, and when it was is recorded."""
    (plugin := tmp_path / "steps.py").write_text(SLOW_STEPS)
    instances = find_instances([str(folder_of(tmp_path, 1))])
    plan = BenchPlan(instances, find_variants(["steps"], plugin_files=[plugin]), time_limit=60.0, target_gap=0.0)
    (record,) = run(plan, tmp_path / "r", plugin_files=[plugin]).records
    assert (record["limit"], record["objective"]) == ("target", instances[0].best_value)
    assert 0.0 < record["target_seconds"] <= record["solver_seconds"] < 60.0
    (tables,) = list(csv.DictReader(io.StringIO((write_tables([record], tmp_path)[0]).read_text())))
    assert float(tables["target_seconds"]) == record["target_seconds"] and tables["target_gap"] == "0.0"


def test_folders_merge_and_failures_are_tried_again(tmp_path: Path) -> None:
    """A run that two folders hold counts once; what failed there may be done elsewhere; drift marks its own run."""
    plan = BenchPlan(find_instances([str(folder_of(tmp_path))]), find_variants(["hungarian"]))
    done = run(plan, tmp_path / "a")
    lines = (tmp_path / "a" / RESULTS).read_text().splitlines()
    (tmp_path / "b").mkdir()
    lost = json.dumps({"key": json.loads(lines[1])["key"], "error": "it was lost"})
    (tmp_path / "b" / RESULTS).write_text(f"{lines[0]}\n{lost}\n" + '{"torn')
    merged = read_results([tmp_path / "b", tmp_path / "a"])
    assert [r["objective"] for r in merged] == [r["objective"] for r in done.records] and len(merged) == 2
    with pytest.raises(DataError, match="holds no results of a bench"):
        read_results([tmp_path])
    times = [{"machine": m, "reference": r} for m, r in [("x", [1, 1]), ("x", [1, 2]), ("y", [9, 9]), ("y", None)]]
    assert drifts(times) == [1.0, 2.0, 1.0, None] and TOLERANCE < 2.0 and 0 < reference_seconds() < 1


def test_parquet_holds_the_rows_and_traces(tmp_path: Path) -> None:
    """What pandas or DuckDB would read equals the records."""
    parquet = pytest.importorskip("pyarrow.parquet")
    plan = BenchPlan(find_instances([str(folder_of(tmp_path))]), find_variants(["hungarian", "slots"]))
    run(plan, tmp_path / "r")
    records = read_results([tmp_path / "r"])
    table = parquet.read_table(io.BytesIO(as_parquet(records))).to_pylist()
    assert [row["objective"] for row in table] == [record.get("objective") for record in records]
    assert [row["trace"] for row in table] == [[e[:2] for e in record.get("trace", [])] for record in records]


@pytest.mark.slow
@pytest.mark.parametrize("cluster", [False, True], ids=["processes", "cluster"])
def test_killed_at_any_moment_every_run_is_there_once(tmp_path: Path, cluster: bool) -> None:
    """`kill -9` of the driver or of what performs runs: no line lost, none twice; the full trial is the script's."""
    if cluster:
        pytest.importorskip("distributed")
    kills = loaded("kills")
    place = kills.Cluster(tmp_path) if cluster else None
    try:
        said: list[str] = []
        assert kills.trial(tmp_path, 40, 3, 0, place, said.append).startswith("good: 40 results of 40 runs"), said
    finally:
        if place is not None:
            place.close()
    assert len(said) == 3 and any("driver" in line for line in said) and any("worker" in line for line in said)


@contextlib.contextmanager
def small_disk(place: Path, options: str) -> Iterator[Path]:
    """A file system of its own, where this machine allows that."""
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can mount a file system")
@pytest.mark.parametrize(
    ("options", "reason"),
    [pytest.param("size=8k", "No space left", marks=pytest.mark.slow), ("ro", "Read-only file system")],
)
def test_a_disk_that_takes_no_more_is_one_sentence(tmp_path: Path, options: str, reason: str) -> None:
    """A full disk and a read-only one end the command with exit status 2; whole lines stay, and space lets it go on."""
    with small_disk(tmp_path / "disk", options) as disk:
        words = ["bench", str(folder_of(tmp_path, 2)), "--solver", "slots", "--solver", "tune", "--seeds", "8"]
        done = CliRunner().invoke(main, [*words, "--output", str(disk / "r")])
        assert done.exit_code == 2 and done.stderr.startswith("Error: ") and reason in done.stderr, done.stderr
        assert str(disk) in done.stderr and len(done.stderr.splitlines()) == 1
        if options != "ro":
            assert all(record["status"] == "refused" for record in read_results([disk / "r"]))
            content = (disk / "r" / RESULTS).read_bytes()
            subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
            again = CliRunner().invoke(main, [*words, "--output", str(disk / "r")])
            assert again.exit_code == 0 and "0 runs" in again.stdout and "32 refusals" in again.stdout, again.output
            after = (disk / "r" / RESULTS).read_bytes()
            assert after.startswith(content[: content.rfind(b"\n") + 1]) and after.count(b"\n") == 32
