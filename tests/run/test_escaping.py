"""Nothing of a solve outlives it, and nothing it ends is the host's."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from matchopt import Status
from matchopt.run import Task, solve, solve_all, warm
from matchopt.run.task import allow

FILE = Path(__file__).with_name("escaping.py")
HOSTILE = Path(__file__).with_name("hostile.py")
pytestmark = [
    pytest.mark.skipif(not warm.server.possible(), reason="orphans are adopted on Linux only"),
    pytest.mark.usefixtures("light_server"),
]


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.slow)], ids=["warm", "cold"])
def cold(request):
    """Whether the worker is a fresh interpreter."""
    return request.param


@pytest.fixture
def escaped(tmp_path, monkeypatch):
    """The folder in which processes that stay write their numbers."""
    monkeypatch.setenv("ESCAPED", str(tmp_path))
    return tmp_path


def alive(folder):
    """The processes that have written their numbers and are still there."""
    numbers = [int(path.read_text() or 0) if path.name == "chain" else path.name for path in folder.iterdir()]
    pids = [int(number) for number in numbers if str(number).isdigit()]
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize(
    "name", ["forks-a-daemon", "leaves-a-daemon-at-once", "dies-with-a-daemon", "starts-services", "forks-in-a-chain"]
)
def test_no_process_outlives_a_solve(instance, escaped, name, cold):
    """However its parents ended and whatever session it is in; gone by the time the record is there."""
    run = solve(instance, name, plugin_files=[FILE], certify=False, time_limit=20, cold=cold)
    assert run.objective == 27 and list(escaped.iterdir()), (run.message, run.log)
    assert not alive(escaped)
    if name == "forks-in-a-chain":
        before = (escaped / "chain").read_text()
        time.sleep(0.1)
        assert (escaped / "chain").read_text() == before


def test_no_process_outlives_a_solve_beside_others(instance, escaped):
    """Several workers of one server, each with what it leaves."""
    names = ["forks-a-daemon", "dies-with-a-daemon", "starts-services"] * 2
    runs = solve_all([Task(instance, name, plugin_files=(FILE,), certify=False) for name in names], jobs=3)
    assert all(run.objective == 27 for run in runs) and not alive(escaped)
    assert list(escaped.iterdir())


HOST = """
import sys
from matchopt import AssignmentInstance
from matchopt.run import solve
solve(AssignmentInstance([[1, 2], [3, 4]]), "forks-and-waits", plugin_files=[sys.argv[1]], cold=sys.argv[2] == "True")
"""


@pytest.mark.slow
def test_no_process_outlives_a_killed_host(escaped, cold):
    """Nor its fork server."""
    host = subprocess.Popen([sys.executable, "-c", HOST, str(FILE), str(cold)])
    try:
        deadline = time.monotonic() + 60
        while not alive(escaped) and time.monotonic() < deadline:
            time.sleep(0.02)
        family = psutil.Process(host.pid).children(recursive=True)
        daemons = alive(escaped)
        assert daemons and len(family) >= 3
    finally:
        host.kill()
        host.wait()
    assert not psutil.wait_procs([psutil.Process(pid) for pid in daemons if psutil.pid_exists(pid)] + family, 10)[1]


@pytest.mark.slow
def test_a_solver_that_kills_its_parent_hurts_itself(instance, escaped, cold):
    """The server is its parent, never the host; it gets one more try, and the solves beside it do."""
    once = solve(instance, "kills-its-parent-once", plugin_files=[FILE], certify=False, cold=cold)
    assert once.objective == 27 and once.message == ""
    names = ["good", "kills-its-parent", "good"]
    tasks = [Task(instance, name, plugin_files=(FILE, HOSTILE), certify=False, cold=cold) for name in names]
    for run in solve_all(tasks, jobs=3):
        if run.solver == "good":
            assert (run.status, run.objective) == (Status.OPTIMAL, 9), run.message
        else:
            assert run.status is Status.FEASIBLE and "was killed, twice" in run.message
    assert solve(instance, "good", plugin_files=[HOSTILE]).objective == 9


@pytest.mark.parametrize("name", ["fills-shared-memory", "fills-a-nameless-file"])
def test_shared_memory_counts(instance, escaped, name, cold):
    """Files in memory are memory, and what is left of them goes."""
    allowed = allow(20.0, 0.25)
    (run,) = solve_all([Task(instance, name, allowance=allowed, plugin_files=(FILE,), cold=cold)])
    assert (run.status, run.limit) == (Status.FEASIBLE, "memory"), run.message
    assert run.peak_memory < 0.9e9
    assert not [left for left in os.listdir("/dev/shm") if left.startswith("matchopt-test-")]


def test_shared_memory_is_not_left(instance, escaped, cold):
    """Neither blocks of multiprocessing nor segments of System V."""
    before = set(os.listdir("/dev/shm"))
    solve(instance, "maps-shared-memory", plugin_files=[FILE], certify=False, cold=cold)
    assert not {name for name in set(os.listdir("/dev/shm")) - before if name.startswith("psm_")}
    solve(instance, "leaves-a-segment", plugin_files=[FILE], certify=False, cold=cold)
    (made,) = [path.name.removeprefix("segment-") for path in escaped.glob("segment-*")]
    assert made not in [line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()]


def test_what_a_process_maps_counts_once(instance, escaped):
    """Memory that is shared with nobody but counts as such is no reason to stop at half the limit."""
    run = solve(instance, "maps-its-own", plugin_files=[FILE], certify=False, memory_limit=0.3)
    assert run.limit is None, run.message
