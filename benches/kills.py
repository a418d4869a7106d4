"""Is anything lost or done twice when a bench is killed again and again? Short runs, killed at random moments.

    python benches/kills.py [--runs 500] [--kills 50] [--seed 0] [--cluster] [--folder DIR]

`kill -9` of the driver or of a process that performs runs (of this machine's pool, or the workers of a Dask cluster on
the loopback), a random number of results and a random moment after the kill before; what ended is started again, with
the same command. After each kill, what was on the disk must still be there as it was; in the end every run must be
there exactly once. (One that loses its process twice in a row is given up with an error, which the next start mends.)
Prints a line for each kill, and a verdict. With --folder it goes on where it was stopped itself.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import psutil  # type: ignore[import-untyped]  # it ships no types

from matchopt import AssignmentInstance, write
from matchopt.bench.course import RESULTS

SOLVERS = ("hungarian", "greedy-pairs", "random", "greedy")
INSTANCES = 5
KEPT = "kills.jsonl"  # in the folder: the kills so far
PATIENCE = 600.0  # seconds for the next result
Process = subprocess.Popen[bytes]


class Cluster:
    """A Dask scheduler and two workers on the loopback; `folder` gets their files."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "scheduler.json"
        self._file.unlink(missing_ok=True)
        self._where = ["--scheduler-file", str(self._file), "--no-dashboard", "--host", "127.0.0.1"]
        self._scheduler = self._start("dask_scheduler", "--port", "0")
        wait_until(lambda: self._file.exists() and self._file.stat().st_size > 0, self._scheduler)
        self._local = ["--no-nanny", "--nthreads", "1", "--local-directory", str(folder)]
        self.workers = [self._start("dask_worker", *self._local) for _ in range(2)]

    @property
    def address(self) -> str:
        """Of the scheduler."""
        return str(json.loads(self._file.read_text())["address"])

    def renew(self) -> None:
        """Start what has been killed again."""
        for n, worker in enumerate(self.workers):
            if worker.poll() is not None:
                self.workers[n] = self._start("dask_worker", *self._local)

    def close(self) -> None:
        """End it."""
        for process in [self._scheduler, *self.workers]:
            process.kill()
            process.wait()

    def _start(self, name: str, *more: str) -> Process:
        program = [sys.executable, "-m", f"distributed.cli.{name}", *self._where, *more]
        return subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def trial(
    folder: Path, runs: int, kills: int, seed: int, cluster: Cluster | None = None, say: Callable[[str], None] = print
) -> str:
    """Kill a bench in this folder that often, and let it end.

    Returns
    -------
    str
        the verdict, which begins with "good" where nothing was lost and nothing done twice.
    """
    words, total = command(folder, runs, cluster)
    results, kept = folder / "r" / RESULTS, folder / KEPT
    done = len(kept.read_text().splitlines()) if kept.exists() else 0
    before, driver = whole_lines(results), None
    for number in range(done, kills):
        chance = random.Random(f"{seed}-{number}")
        if driver is None or driver.poll() is not None:
            driver = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        left = total - len(before.splitlines()) - 1
        wanted = len(before.splitlines()) + chance.randint(0, max(0, 2 * left // (kills - number)))
        wait_until(lambda wanted=wanted: len(whole_lines(results).splitlines()) >= wanted, driver)  # type: ignore[misc]
        time.sleep(chance.random() * 0.5)
        victim = chosen(driver, cluster, chance)
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        if victim == driver.pid:
            driver.wait()
        elif cluster is not None:
            cluster.renew()
        now, who = whole_lines(results), "driver" if victim == driver.pid else "worker"
        if not now.startswith(before):
            return f"bad: kill {number + 1} changed what was on the disk"
        before, count = now, len(now.splitlines())
        with kept.open("a") as file:
            file.write(json.dumps({"victim": who, "results": count}) + "\n")
        say(f"kill {number + 1} of {kills}: {who}, {count} of {total} results")
    if driver is None or driver.poll() is not None or driver.wait(PATIENCE):
        subprocess.run(words, stdout=subprocess.DEVNULL, check=True)
    return verdict(results, before, total, kills)


def command(folder: Path, runs: int, cluster: Cluster | None) -> tuple[list[str], int]:
    """The bench, and how many runs it has."""
    made = folder / "instances"
    if not made.exists():
        made.mkdir(parents=True)
        for number in range(INSTANCES):
            instance = AssignmentInstance(np.random.default_rng(number).random((8, 8)))
            write(instance, made / f"a{number}.matchopt")
    seeds = max(1, runs // (INSTANCES * len(SOLVERS)))
    where = ["--jobs", "2"] if cluster is None else ["--cluster", cluster.address]
    words = [sys.executable, "-m", "matchopt.cli", "bench", str(made), "--seeds", str(seeds), "--time-limit", "60"]
    words += [*(word for name in SOLVERS for word in ("--solver", name)), *where, "--output", str(folder / "r")]
    return words, seeds * INSTANCES * len(SOLVERS)


def chosen(driver: Process, cluster: Cluster | None, chance: random.Random) -> int:
    """The number of the process to kill: the driver's in half of the cases and where it has no other."""
    pool = [worker.pid for worker in cluster.workers] if cluster else []
    with contextlib.suppress(psutil.Error):
        if cluster is None:
            children = psutil.Process(driver.pid).children()
            pool = sorted(child.pid for child in children if "spawn_main" in " ".join(child.cmdline()))
    return chance.choice(pool) if pool and chance.random() < 0.5 else driver.pid


def whole_lines(path: Path) -> bytes:
    """The file without a line that has no end yet."""
    content = path.read_bytes() if path.exists() else b""
    return content[: content.rfind(b"\n") + 1]


def wait_until(ready: Callable[[], bool], process: Process) -> None:
    """Until something is so, or the process has ended."""
    deadline = time.monotonic() + PATIENCE
    while not ready() and process.poll() is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing new in {PATIENCE:g} s")
        time.sleep(0.02)


def verdict(results: Path, before: bytes, total: int, kills: int) -> str:
    """Whether every run is there exactly once, all that was there before among them."""
    content = results.read_bytes()
    records = [json.loads(line) for line in content.splitlines()]
    finished = [record["key"] for record in records if "error" not in record]
    lost = {record["key"] for record in records if "error" in record}  # whose process was killed twice in a row
    sound = content.startswith(before) and len(finished) == len(set(finished)) == total and lost <= set(finished)
    again = f"; {len(lost)} were given up after two kills, and made up for" if lost else ""
    told = f"{len(finished)} results of {total} runs after {kills} kills, {len(set(finished))} different{again}"
    return f"{'good' if sound else 'bad'}: {told}"


@contextlib.contextmanager
def place(given: Path | None) -> Iterator[Path]:
    """The folder, or one that is gone afterwards."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def main(words: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("runs", 500), ("kills", 50), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--cluster", action="store_true")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args(words)
    with place(given.folder) as folder:
        cluster = Cluster(folder) if given.cluster else None
        try:
            said = trial(folder, given.runs, given.kills, given.seed, cluster, lambda text: print(text, flush=True))
        finally:
            if cluster is not None:
                cluster.close()
    print(said)
    return 0 if said.startswith("good") else 1


if __name__ == "__main__":
    sys.exit(main())
