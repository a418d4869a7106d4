"""Warm workers: forked from a server that holds imports, and in nothing else different from cold ones."""

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import psutil
import pytest

from matchopt import Hardware, LayerInstance, Status, Target
from matchopt.plugins import load_plugins
from matchopt.run import Task, fork_server, solve, solve_all, warm
from matchopt.run.task import allow

HOSTILE = Path(__file__).with_name("hostile.py")
FEW = Path(__file__).with_name("few.py")
SURROUNDINGS = Path(__file__).with_name("surroundings.py")
pytestmark = [
    pytest.mark.skipif(not warm.server.possible(), reason="workers are forked on Linux only"),
    pytest.mark.usefixtures("light_server"),
]


@pytest.fixture
def look(instance, tmp_path, monkeypatch):
    """Solve by the solver that looks around; returns what it found and its statistics."""
    told = tmp_path / "told.json"
    monkeypatch.setenv("SURROUNDINGS", str(told))

    def solved(**arguments):
        run = solve(instance, "surroundings", plugin_files=(SURROUNDINGS,), certify=False, **arguments)
        assert run.status is Status.FEASIBLE, (run.message, run.log)
        return json.loads(told.read_text()), run.stats

    return solved


def server():
    """The fork server of this process."""
    mine = psutil.Process()
    (found,) = [child for child in mine.children() if any("fork_server" in word for word in child.cmdline())]
    return found


def test_a_warm_worker_finds_what_a_cold_one_finds(look, tmp_path, monkeypatch):
    """As in a fresh interpreter, and as in one that the host itself starts; what the host changed meanwhile counts."""
    look()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("A_NEW_VARIABLE", "x")
    monkeypatch.syspath_prepend(str(tmp_path))
    with changed_rights():
        warm_found, warm_stats = look()
        cold_found, cold_stats = look(cold=True)
        monkeypatch.setenv("MATCHOPT_COLD", "1")
        plain_found, plain_stats = look()
    assert plain_found["environment"].pop("MATCHOPT_COLD") == "1"
    assert warm_found == cold_found == plain_found
    assert warm_found["rights"][:2] == ["0077", os.cpu_count() > 1]
    assert warm_stats["parent"] == cold_stats["parent"] == server().pid and plain_stats["parent"] == os.getpid()


@contextlib.contextmanager
def changed_rights():
    """Another mask for new files, one core less, and fewer open files."""
    mask, cores, files = os.umask(0o77), os.sched_getaffinity(0), resource.getrlimit(resource.RLIMIT_NOFILE)
    os.sched_setaffinity(0, sorted(cores)[:1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (files[0] - 1, files[1]))
    try:
        yield
    finally:
        os.umask(mask)
        os.sched_setaffinity(0, cores)
        resource.setrlimit(resource.RLIMIT_NOFILE, files)


def test_a_host_in_a_folder_that_is_gone_may_solve(instance, tmp_path, monkeypatch):
    """Neither worker needs it."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    for cold in (False, True):
        assert solve(instance, "good", plugin_files=(HOSTILE,), cold=cold).objective == 9


HOST = """
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
from matchopt import AssignmentInstance
from matchopt.run import solve
runs = [solve(AssignmentInstance([[1, 2], [3, 4]]), "hungarian", cold=cold) for cold in (False, True)]
os.environ["MATCHOPT_COLD"] = "1"
print([run.objective for run in [*runs, solve(AssignmentInstance([[1, 2], [3, 4]]), "hungarian")]])
"""


@pytest.mark.slow
def test_a_host_that_ignores_its_children_may_solve():
    """The server hears of its own children all the same."""
    done = subprocess.run([sys.executable, "-c", HOST], capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout == "[5, 5, 5]\n", done


def test_random_numbers_are_not_inherited(look):
    """What a plugin draws from a global generator differs from worker to worker."""
    first, second = look()[1], look()[1]
    assert first["pid"] != second["pid"]
    assert first["numpy"] != second["numpy"] and first["random"] != second["random"]


@pytest.mark.parametrize("libraries", ["blas", "numba", pytest.param("torch", marks=pytest.mark.slow)])
@pytest.mark.usefixtures("heavy_server")
def test_threads_are_counted_anew_in_every_worker(look, libraries):
    """Also by libraries that count when they are imported, and by now are in the server."""
    pytest.importorskip("threadpoolctl")
    pytest.importorskip(libraries.replace("blas", "numpy"))
    for threads in (1, 2, 3, 1):
        assert look(threads=threads, options={"libraries": libraries})[1][libraries] == threads


def test_a_changed_setting_of_a_library_gets_another_server(look, monkeypatch):
    """What numba and the like read when they are imported is never that of an earlier solve."""
    look()
    before = server()
    monkeypatch.setenv("NUMBA_BOUNDSCHECK", "1")
    found, _ = look()
    assert found["environment"]["NUMBA_BOUNDSCHECK"] == "1" and server().pid != before.pid


def left():
    """Descriptors of this process and of its server, and its descendants."""
    descriptors = [len(os.listdir(f"/proc/{pid}/fd")) for pid in (os.getpid(), server().pid)]
    return descriptors, [child.pid for child in psutil.Process().children(recursive=True)]


def abandoned(before):
    """New entries of shared memory that no process maps; other programs of this machine make and use some."""
    mapped = []
    for process in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):
            mapped.append(process.read_text())
    return [name for name in set(os.listdir("/dev/shm")) - before if not any(name in text for text in mapped)]


@pytest.mark.parametrize("solves", [12, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.no_cover])])
def test_many_solves_leave_nothing(instance, solves):
    """No process, no file descriptor, no shared memory; whatever the solver did."""
    names = list(load_plugins((FEW,), ()).solvers)
    solve(instance, "good", plugin_files=(FEW,))
    before, shared, threads = left(), set(os.listdir("/dev/shm")), threading.active_count()
    for number in range(solves):
        solve(instance, names[number % len(names)], plugin_files=(FEW,), certify=False)
    assert left() == before and threading.active_count() == threads
    assert not abandoned(shared)


def test_workers_side_by_side_share_one_server(instance):
    """Threads ask in turn; the server outlives the thread that started it."""
    warm.server.close()
    tasks = [Task(instance, "random-draw", seed=seed, plugin_files=(HOSTILE,)) for seed in range(8)]
    runs = solve_all(tasks, jobs=4)
    assert all(run.status is Status.FEASIBLE for run in runs)
    asked = server()
    assert solve(instance, "good", plugin_files=(HOSTILE,)).objective == 9 and server() == asked


def test_a_server_that_was_killed_is_replaced(instance):
    """The next solve notices."""
    solve(instance, "modest", plugin_files=(HOSTILE,))
    before = server()
    before.kill()
    before.wait()
    assert solve(instance, "good", plugin_files=(HOSTILE,)).objective == 9 and server() != before


def test_a_server_that_dies_in_a_solve_costs_nothing_but_time(instance):
    """Its workers die with it; the solve begins again in a cold one."""
    killed = []

    def kill(incumbent):
        if not killed:
            killed.append(server().pid)
            os.kill(killed[0], signal.SIGKILL)

    run = solve(instance, "ten-thousand-incumbents", plugin_files=(HOSTILE,), on_incumbent=kill)
    assert (run.status, run.objective, run.message) == (Status.FEASIBLE, 9, "") and killed


def test_an_interrupt_while_asking_leaves_no_half_sentence(instance, monkeypatch):
    """The server that has heard half a request is ended; the next solve starts another."""

    def interrupted(line, data, fds):
        line.sendall(data[0])
        raise KeyboardInterrupt

    solve(instance, "modest", plugin_files=(HOSTILE,))
    before = server()
    with monkeypatch.context() as patch:
        patch.setattr(socket, "send_fds", interrupted)
        with pytest.raises(KeyboardInterrupt):
            solve(instance, "good", plugin_files=(HOSTILE,))
    assert solve(instance, "good", plugin_files=(HOSTILE,)).objective == 9 and server() != before


def test_without_a_server_workers_are_cold(look, monkeypatch):
    """By the environment, and where the system has no descriptors of processes."""
    monkeypatch.setenv("MATCHOPT_COLD", "1")
    assert look()[1]["parent"] == os.getpid()
    monkeypatch.delenv("MATCHOPT_COLD")
    monkeypatch.delattr(os, "pidfd_open")
    assert look()[1]["parent"] == os.getpid()


def test_servers_that_fail_are_given_up(look, monkeypatch):
    """Every solve succeeds; after three in a row no further one is started."""
    warm.server.close()
    monkeypatch.setattr(warm, "server", warm.ForkServer())
    started = []

    def broken(module, *arguments):
        started.append(module)
        return start("no_such_module", *arguments)

    start = warm.start_python
    monkeypatch.setattr(warm, "start_python", broken)
    for _ in range(2):  # the first gives them up
        assert look()[1]["parent"] == os.getpid()
    assert len(started) == warm.MOST_FAILURES


@pytest.mark.usefixtures("heavy_server")
def test_shared_memory_is_not_charged(instance):
    """A small limit that a cold worker keeps is kept however much the server holds."""
    warm.server.begin("numba")
    run = solve(instance, "good", plugin_files=(HOSTILE,), memory_limit=0.1)
    assert run.objective == 9, run.message
    assert server().memory_info().rss > 0.11e9


@pytest.mark.slow
def test_what_one_worker_imports_the_server_holds_for_the_next(monkeypatch):
    """Modules, and the kernels of a reduction: the second solve of a kind tells the server, the third finds them."""
    warm.server.close()
    monkeypatch.setattr(warm, "server", warm.ForkServer())
    layer = LayerInstance(Target.from_dense(np.eye(3)), Hardware(np.eye(4)))
    held = []
    for _ in range(3):
        assert solve(layer, "hungarian", certify=False).solution is not None
        held.append(server().memory_info().rss)
    warm.server.close()
    assert held[0] < 0.1e9 < held[1] and held[2] < 1.1 * held[1]


def test_the_server_imports_no_plugin(monkeypatch, tmp_path):
    """Only what it may hold, whatever a worker asks for."""
    (tmp_path / "some_plugin.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    fork_server._hold(["some_plugin", "antigravity", "numpy.no_such_part", '{"no": "rules"}', "{", ""])
    assert set(sys.modules) == before


def test_a_solver_may_solve(instance):
    """Its process is a host of its own; killed, it leaves neither its worker nor its fork server."""

    def stop(best):
        raise KeyboardInterrupt

    run = solve(
        instance, "nests", plugin_files=(SURROUNDINGS,), on_incumbent=stop, keep_on_interrupt=True, certify=False
    )
    assert (run.status, run.limit, run.objective) == (Status.FEASIBLE, "interrupted", 9), (run.message, run.log)


def solve_in_a_child(instance, pipe):
    """In a process that the host has forked."""
    run = solve(instance, "good", plugin_files=(HOSTILE,))
    pipe.send((run.objective, server().ppid()))
    warm.server.close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_host_has_a_server_of_its_own(instance):
    """It leaves its parent's alone."""
    solve(instance, "modest", plugin_files=(HOSTILE,))
    before = server()
    here, there = get_context("fork").Pipe()
    child = get_context("fork").Process(target=solve_in_a_child, args=(instance, there))
    child.start()
    assert here.poll(60) and here.recv() == (9, child.pid)
    child.join()
    assert solve(instance, "good", plugin_files=(HOSTILE,)).objective == 9 and server() == before


@pytest.mark.slow
@pytest.mark.parametrize("cold", [False, True])
def test_memory_limits_hold(instance, cold):
    """A solver that allocates without end is stopped at about its limit, in both kinds of workers."""
    task = Task(instance, "allocates-without-end", allowance=allow(20.0, 0.3), plugin_files=(HOSTILE,), cold=cold)
    (run,) = solve_all([task])
    assert run.limit == "memory" and run.objective == 27
    with contextlib.suppress(psutil.Error):
        assert run.peak_memory < 0.9e9
