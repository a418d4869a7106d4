"""A solve from end to end: what reaches the solver, what comes back, and what an interrupt leaves."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import psutil
import pytest

from matchopt import (
    Allowance,
    Assignment,
    AssignmentInstance,
    Hardware,
    LayerInstance,
    LayerMapping,
    Provenance,
    Result,
    Solver,
    Status,
    Target,
)
from matchopt import run as run_package
from matchopt.errors import InvalidOption, InvalidSolution, MatchoptError, PluginError, UnknownName
from matchopt.run import Task, solve, solve_all

HOSTILE = Path(__file__).with_name("hostile.py")
FILES = (HOSTILE,)


@dataclass(frozen=True)
class Reversed(Solver):
    """No plugin registers it; its process imports it from this file."""

    name = "reversed"
    solves = AssignmentInstance

    shift: int = 0

    def solve(self, instance, limits, rng):
        return Result(Assignment((np.arange(instance.n_rows)[::-1] + self.shift) % instance.n_cols))


def test_what_the_caller_asks_for_reaches_the_solver(instance):
    """Limits, threads (before any library counts them), options as text, and the warm start."""
    start = Assignment(np.array([3, 2, 1, 0]))
    run = solve(
        instance, "echo", options={"text": "hi"}, time_limit=7, iterations=5, threads=2, start=start, plugin_files=FILES
    )
    assert run.stats == {
        "seconds": run.stats["seconds"],
        "iterations": 5,
        "threads": 2,
        "start": 3,
        "prepared": True,
        "omp": "2",
    }
    assert 6 < run.stats["seconds"] <= 7 and run.message == "hi"
    assert (run.allowance, run.seed) == (Allowance(7, 5, None, 2), 0)
    assert (run.solver, run.options, run.distribution) == ("echo", {"text": "hi"}, None)
    assert run.version.startswith("sha256:") and run.versions == {"numpy.linalg": f"numpy {np.__version__}"}
    assert (run.instance, run.digest, run.kind) == (instance.name, instance.digest, "assignment")


def test_same_seed_same_answer_and_the_seed_is_recorded(instance):
    """Two runs agree to the last byte; another seed draws another solution."""
    tasks = [Task(instance, "random-draw", seed=seed, plugin_files=FILES) for seed in (3, 3, 4)]
    first, again, other = solve_all(tasks, jobs=2)
    assert first.seed == 3 and first.solution.digest == again.solution.digest != other.solution.digest


def test_a_solver_can_be_given_as_an_object(instance):
    """Also one that no plugin registers; its file is its version."""
    run = solve(instance, Reversed(shift=1), certify=False)
    assert run.solution.col_of.tolist() == [4, 3, 2, 1] and run.options == {"shift": 1}
    assert run.version.startswith("sha256:") and run.bound is None and run.gap is None


def test_a_solver_that_no_other_process_can_import_is_refused(instance):
    """The message says where to put it."""

    @dataclass(frozen=True)
    class Local(Reversed):
        name = "local"

    with pytest.raises(PluginError, match="must be defined at the top of its module"):
        solve(instance, Local())


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"solver": "god"}, UnknownName, "unknown solver 'god'; did you mean 'good'"),
        ({"options": {"depth": 1}}, UnknownName, "unknown option of solver good 'depth'"),
        ({"solver": Reversed(), "options": {"shift": 1}}, InvalidOption, "is made already"),
        ({"time_limit": 0}, InvalidOption, "time_limit must be a finite number > 0 or none, found 0"),
        ({"time_limit": float("nan")}, InvalidOption, "time_limit must be a finite number > 0"),
        ({"memory_limit": -1.0}, InvalidOption, "memory_limit must be a number > 0 and <= 1000000000 or none"),
        ({"seed": -1}, InvalidOption, "seed must be a whole number >= 0, found -1"),
        ({"threads": 0}, InvalidOption, "threads must be a whole number >= 1 and <= 1024, found 0"),
        ({"iterations": -2}, InvalidOption, "iterations must be a whole number >= 0"),
        ({"start": Assignment(np.zeros(4))}, InvalidSolution, "^start is infeasible: "),
        (
            {"start": LayerMapping(np.zeros(1), np.zeros(2, int), np.zeros(0, int), np.zeros(0, int))},
            InvalidSolution,
            "start must be a Assignment, found LayerMapping",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_misuse_raises_one_sentence(instance, changes, error, text):
    """Before the solver is asked anything."""
    arguments = {"instance": instance, "solver": "good", "plugin_files": FILES} | changes
    with pytest.raises(error, match=text):
        solve(arguments.pop("instance"), arguments.pop("solver"), **arguments)


def test_incumbents_are_handed_on_as_they_come(instance):
    """Each is better than the one before and equal to its row of the trace."""
    seen = []
    run = solve(instance, "ten-thousand-incumbents", plugin_files=FILES, on_incumbent=seen.append)
    assert len(seen) > 1 and [(i.seconds, i.objective) for i in seen] == [row[:2] for row in run.trace][: len(seen)]
    assert all(instance.value(i.solution) == i.objective for i in seen)


def test_a_solve_that_raises_in_the_callers_function_leaves_nothing(instance):
    """The worker is gone when the exception arrives."""

    def fail(incumbent):
        raise RuntimeError("mine")

    began = time.monotonic()
    with pytest.raises(RuntimeError, match="mine"):
        solve(instance, "ignores-sigterm", plugin_files=FILES, on_incumbent=fail)
    assert time.monotonic() - began < 30


def test_an_interrupted_proof_keeps_the_solution(instance, monkeypatch):
    """Ctrl-C during the certificate costs the certificate only, where the caller wants to keep what there is."""

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("matchopt.proofs.certify", interrupt)
    with pytest.raises(KeyboardInterrupt):
        solve(instance, "good", plugin_files=FILES)
    run = solve(instance, "good", plugin_files=FILES, keep_on_interrupt=True)
    assert (run.status, run.objective, run.proof) == (Status.OPTIMAL, 9, "claimed")
    assert run.message == "the proof was interrupted"


@pytest.mark.slow
def test_any_executor_runs_the_tasks(instance):
    """Here a pool of processes, as a cluster would."""
    tasks = [Task(instance, name, plugin_files=FILES) for name in ("modest", "returns-none")]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        runs = solve_all(tasks, executor=pool)
    assert [run.status for run in runs] == [Status.FEASIBLE, Status.ERROR]


def test_the_callers_exception_ends_all_tasks(instance):
    """Tasks that run are stopped, tasks that wait never start."""

    def fail(number, run):
        raise RuntimeError("mine")

    names = ["modest", *["ignores-sigterm"] * 4]
    began = time.monotonic()
    with pytest.raises(RuntimeError, match="mine"):
        solve_all([Task(instance, name, plugin_files=FILES) for name in names], jobs=2, on_run=fail)
    assert time.monotonic() - began < 30


def test_a_system_without_sessions_and_signals_is_told_so(monkeypatch):
    """One sentence, before anything is started."""
    spec = importlib.util.spec_from_file_location("again", run_package.__file__)
    with monkeypatch.context() as patch, pytest.raises(MatchoptError, match="in WSL"):
        patch.setattr(os, "name", "nt")  # no longer than this: paths are made by it
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


def test_no_tasks_give_no_runs():
    """An empty study is no error."""
    assert solve_all([]) == []


HOST = """
import sys
import numpy as np
from matchopt import AssignmentInstance
from matchopt.run import Task, solve, solve_all
instance = AssignmentInstance(np.arange(20).reshape(4, 5))
mode, file = sys.argv[1:]
said = lambda *_: print("incumbent", flush=True)
if mode == "pool":
    tasks = [Task(instance, name, plugin_files=(file,)) for name in ["modest"] + ["ignores-sigterm"] * 2]
    solve_all(tasks, jobs=3, on_run=said)
run = solve(instance, "ignores-sigterm", plugin_files=[file], on_incumbent=said, keep_on_interrupt=mode == "keep")
print(run.status, run.limit, run.objective, run.message)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "number", "code", "output"),
    [
        ("raise", signal.SIGINT, -signal.SIGINT, ""),
        pytest.param("pool", signal.SIGINT, -signal.SIGINT, "", marks=pytest.mark.slow),
        ("keep", signal.SIGINT, 0, "feasible interrupted 36 interrupted; its best incumbent is kept"),
        pytest.param("raise", signal.SIGTERM, -signal.SIGTERM, "", marks=pytest.mark.slow),
        ("raise", signal.SIGKILL, -signal.SIGKILL, ""),
    ],
    ids=["interrupt", "interrupted-pool", "keep-on-interrupt", "terminate", "kill"],
)
def test_no_worker_outlives_its_host(mode, number, code, output, tmp_path):
    """However the host ends: Ctrl-C, a signal, or killed on the spot; nothing is left, in processes or in files."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", HOST, mode, str(HOSTILE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as host:
        assert host.stdout.readline() == "incumbent\n"
        workers = psutil.Process(host.pid).children(recursive=True)
        assert workers
        host.send_signal(number)
        out, _ = host.communicate(timeout=20)
    assert host.returncode == code and out.strip() == output
    _, alive = psutil.wait_procs(workers, timeout=5)
    assert not alive
    assert list(tmp_path.iterdir()) == []


def test_the_host_imports_no_solver_library():
    """A proved solve in a fresh interpreter leaves numba, scipy and the like out of the host; under 2 s of CPU."""
    code = (
        "import sys, os, numpy as np, matchopt\nfrom matchopt.run import fork_server, solve\n"  # what the server holds
        "run = solve(matchopt.AssignmentInstance(np.eye(3)), 'good', plugin_files=[sys.argv[1]])\n"
        "assert run.proof == 'proven'\n"
        "heavy = {'numba', 'scipy', 'torch', 'ortools', 'matplotlib', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy\nassert sum(os.times()[:4]) < 2, os.times()"
    )
    subprocess.run([sys.executable, "-c", code, str(HOSTILE)], check=True)


def test_the_name_in_a_record_is_the_instances_own():
    """Provenance goes with the instance into the worker and does not change its digest."""
    cost = np.array([[1, 2], [3, 4]])
    named = AssignmentInstance(cost, provenance=Provenance("two", best_value=5.0))
    run = solve(named, "good", plugin_files=FILES)
    assert run.instance == "two" and run.digest == AssignmentInstance(cost).digest and run.objective == 5


@pytest.mark.slow
def test_a_layer_is_solved_by_an_assignment_solver():
    """Reduced, solved, lifted and checked on the layer."""
    rng = np.random.default_rng(1)
    layer = LayerInstance(Target.from_dense(rng.standard_normal((3, 2))), Hardware(rng.standard_normal((4, 3))))
    run = solve(layer, "good", plugin_files=FILES)
    assert run.kind == "layer" and isinstance(run.solution, LayerMapping)
    assert run.objective == pytest.approx(layer.value(run.solution))


@pytest.mark.parametrize("solver", ["reroute", "slots"])
def test_a_layer_for_a_solver_of_networks_is_refused(solver: str) -> None:
    """In a sentence, though these prepare by what the instance has."""
    layer = LayerInstance(Target.from_dense(np.eye(2)), Hardware(np.ones((2, 2))))
    run = solve(layer, solver)
    assert run.refused and run.message == "refused: a layer instance does not reduce to a network instance"
