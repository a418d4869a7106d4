"""A Dask cluster gives the records that this machine gives, also when one of its workers dies half-way."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from matchopt.cli import main
from matchopt.errors import NoCluster
from matchopt.grid.lines import dask_executor
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
    """The address of a scheduler on the loopback, and the processes of its two workers."""
    file = tmp_path / "scheduler.json"
    address = ["--scheduler-file", str(file), "--no-dashboard", "--host", "127.0.0.1"]
    programs = [["dask_scheduler", *address, "--port", "0"]]
    programs += [["dask_worker", *address, "--no-nanny", "--nthreads", "1", "--local-directory", str(tmp_path)]] * 2
    started = [
        subprocess.Popen([sys.executable, "-m", f"distributed.cli.{name}", *options], stderr=subprocess.DEVNULL)
        for name, *options in programs
    ]
    try:
        for _ in range(600):
            if file.exists() and file.stat().st_size:
                break
            with pytest.raises(subprocess.TimeoutExpired):
                started[0].wait(0.1)
        yield json.loads(file.read_text())["address"], started[1:]
    finally:
        for process in started:
            process.kill()
            process.wait(10)


@pytest.mark.slow
def test_a_cluster_gives_the_same_records(
    tmp_path: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Apart from times; one worker is killed after the second result, and the command finds everything done."""
    address, workers = cluster
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


def timeless(record: Any) -> dict[str, Any]:
    """A record without what depends on the clock."""
    return {name: value for name, value in record.items() if "seconds" not in name}


def test_an_address_without_a_cluster_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence, and soon."""
    monkeypatch.setattr("matchopt.grid.lines.PATIENCE", 0.5)
    with pytest.raises(NoCluster, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        dask_executor("tcp://127.0.0.1:9").__enter__()
