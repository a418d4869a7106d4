"""A Dask cluster gives the records that this machine gives, also when one of its workers dies half-way; one that is
gone ends in a sentence, with nothing lost."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from grid.cases import Told

from matchopt.bench import BenchPlan, News, find_instances, find_variants, run_bench, said
from matchopt.bench.course import RESULTS
from matchopt.cli import main
from matchopt.errors import NoCluster
from matchopt.grid.engine import run_grid
from matchopt.grid.lines import dask_executor
from matchopt.grid.records import ResultLog
from matchopt.study import read_study, run_study

pytestmark = pytest.mark.skipif(find_spec("distributed") is None, reason="the extra cluster is not installed")

STUDY = """
title = "t"
kind = "mapping"
by = ["solver"]
show = ["validation"]
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
sweep = { solver = ["hungarian", "random", "no-such-solver"], hardware_seed = [0, 1] }
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """The address of a scheduler on the loopback, its process, and those of its two workers."""
    file = tmp_path / "scheduler.json"
    address = ["--scheduler-file", str(file), "--no-dashboard", "--host", "127.0.0.1"]
    programs = [["dask_scheduler", *address, "--port", "0"]]
    programs += [["dask_worker", *address, "--no-nanny", "--nthreads", "1", "--local-directory", str(tmp_path)]] * 2
    known = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}  # where the tasks of these tests are
    start = partial(subprocess.Popen, stderr=subprocess.DEVNULL, env=known)
    started = [start([sys.executable, "-m", f"distributed.cli.{name}", *options]) for name, *options in programs]
    try:
        for _ in range(600):
            if file.exists() and file.stat().st_size:
                break
            with pytest.raises(subprocess.TimeoutExpired):
                started[0].wait(0.1)
        yield json.loads(file.read_text())["address"], started
    finally:
        for process in started:
            process.kill()
            process.wait(10)


@pytest.mark.slow
def test_a_cluster_gives_the_same_records(
    tmp_path: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Apart from times; one worker is killed after the second result, and the command finds everything done."""
    address, (_, *workers) = cluster
    monkeypatch.setattr("matchopt.grid.lines.PATIENCE", 60.0)
    (tmp_path / "mine.toml").write_text(STUDY, "utf-8")
    study = read_study(tmp_path / "mine.toml")

    def kill_one(done: int, total: int, note: str) -> None:
        assert total == 7, note
        if done == 2:
            workers[0].kill()

    with dask_executor(address) as executor:
        there = run_study(study, tmp_path / "out" / "mine" / "cpu", executor=executor, notify=kill_one)
    here = run_study(study, tmp_path / "here")
    assert workers[0].wait(10) != 0 and workers[1].poll() is None
    assert [timeless(record) for record in there.records] == [timeless(record) for record in here.records]
    assert len(there.failed) == 2
    command = ["reproduce", str(tmp_path / "mine.toml"), "--output", str(tmp_path / "out"), "--cluster", address]
    again = CliRunner().invoke(main, command)
    assert "6 runs, 4 of them from an earlier run" in again.output, again.output


@pytest.mark.slow
def test_a_bench_on_a_cluster_gives_the_same_records(
    tmp_path: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its command, too, finds them done; one worker is killed half-way, and a scheduler that dies is one sentence."""
    address, (scheduler, *workers) = cluster
    monkeypatch.setattr("matchopt.grid.lines.PATIENCE", 60.0)
    names = ["row8-output-uniform-*", "row8-output-gaussian-*"]
    plan = BenchPlan(find_instances(names), find_variants(["hungarian", "greedy", "slots"]), seeds=2, time_limit=60.0)
    there, here = tmp_path / "there", tmp_path / "here"

    def kill_one(news: News) -> None:
        if news.done == news.total // 2:
            workers[0].kill()

    with dask_executor(address) as executor:
        found = run_bench(plan, there, executor=executor, notify=kill_one)
    assert workers[0].wait(10) != 0 and not found.failed
    alike = [timeless(record) for record in run_bench(plan, here, jobs=2).records]
    assert len(alike) == 24 and [timeless(record) for record in found.records] == alike
    lines = (there / RESULTS).read_bytes()
    solvers = ["--solver", "hungarian", "--solver", "greedy", "--solver", "slots"]
    command = ["bench", *names, *solvers, "--time-limit", "60", "--cluster", address, "--output", str(there)]
    again = CliRunner().invoke(main, [*command, "--seeds", "2"])
    assert again.exit_code == 0 and "16 runs, 24 of them from an earlier run" in again.output, again.output
    assert (there / RESULTS).read_bytes() == lines
    monkeypatch.setattr("matchopt.bench.said", lambda news: scheduler.kill() or said(news))
    lost = CliRunner().invoke(main, [*command, "--seeds", "9"])
    told = [line for line in lost.stderr.splitlines() if line.startswith("Error: ")]
    assert lost.exit_code == 2 and len(told) == 1 and "is gone; what is finished is kept" in told[0], lost.output
    after = (there / RESULTS).read_bytes()
    assert after.startswith(lines) and b'"error"' not in after and after.count(b"\n") > 24


@pytest.mark.slow
def test_a_cluster_without_workers_is_said(
    tmp_path: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the last worker dies, nothing waits for ever."""
    address, (_, *workers) = cluster
    for name, value in (("lines.PATIENCE", 60.0), ("lines.WORKERLESS", 0.1), ("engine.LOOK", 0.2)):
        monkeypatch.setattr(f"matchopt.grid.{name}", value)
    with dask_executor(address) as executor, ResultLog(tmp_path / "r.jsonl") as log:
        for worker in workers:
            worker.kill()
        with pytest.raises(NoCluster, match=r"has lost all its workers; what is finished is kept: start others"):
            run_grid([Told("one", tmp_path / "seen")], log, executor=executor)
    assert not (tmp_path / "r.jsonl").exists()


def timeless(record: Any) -> dict[str, Any]:
    """A record without what depends on the clock or the machine's memory."""
    timed = {"peak_memory", "reference", "trace"}
    return {name: value for name, value in record.items() if "seconds" not in name and name not in timed}


def test_an_address_without_a_cluster_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence, and soon."""
    monkeypatch.setattr("matchopt.grid.lines.PATIENCE", 0.5)
    with pytest.raises(NoCluster, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        dask_executor("tcp://127.0.0.1:9").__enter__()
