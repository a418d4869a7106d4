"""Whatever a plugin does, it costs one clear record, and the others' records stand."""

import itertools
import json
import re
import tempfile
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from matchopt import Limit, Status
from matchopt.run import Task, perform, solve_all, worker
from matchopt.run.answers import read_answer, read_solution
from matchopt.run.judge import Judge, certified
from matchopt.run.messages import Frames
from matchopt.run.source import source_of
from matchopt.run.task import allow

pytestmark = pytest.mark.slow  # one worker process for each of fifty hostile solvers

HOSTILE = Path(__file__).with_name("hostile.py")
KILL_AFTER = 0.6
# solver: status, limit, objective of what is kept, part of the message
EXPECTED = {
    "modest": ("feasible", None, 27, "^$"),
    "random-draw": ("feasible", None, ..., "^$"),
    "raises": ("error", None, None, r"^the solver raised ValueError: boom second line \(few.py, line \d+\)$"),
    "raises-late": ("feasible", None, 27, r"raised ValueError: boom \(hostile.py, line \d+\); its best .* kept$"),
    "raises-memory-error": ("unknown", "memory", None, r"^out of memory \(limit 2 GB\): Unable to allocate"),
    "raises-interrupt": ("error", None, None, "the solver raised KeyboardInterrupt"),
    "hangs": ("unknown", "time", None, "^the solver did not stop at its time limit; killed$"),
    "ignores-sigterm": ("feasible", "time", 27, "did not stop at its time limit; killed; its best incumbent is kept"),
    "holds-the-lock": ("unknown", "time", None, "did not stop at its time limit"),
    "killed-after-the-third": ("feasible", "time", ..., "its best incumbent is kept"),
    "aborts": ("error", None, None, "^the worker died of SIGABRT$"),
    "dereferences-null": ("error", None, None, "^the worker died of SIGSEGV$"),
    "crashes-with-an-incumbent": ("feasible", None, 27, "^the worker died of SIGSEGV; its best incumbent is kept$"),
    "kills-itself": ("error", None, None, "^the worker died of SIGKILL .*out of memory"),
    "allocates-without-end": (
        "feasible",
        "memory",
        27,
        r"(passed its memory limit of 0.4 GB; killed|^out of memory .*); its best incumbent is kept",
    ),
    "children-allocate": ("unknown", "memory", None, "passed its memory limit of 0.2 GB; killed"),
    "prints": ("feasible", None, 27, "^$"),
    "reads-standard-input": ("feasible", None, 27, "^$"),
    "returns-a-number": ("error", None, None, "^the solver returned int 3 instead of a Result; end it with return"),
    "returns-none": ("error", None, None, "^the solver returned None instead of a Result; end it with return Result"),
    "returns-another-kind": ("error", None, None, "must be a solution of type Assignment, found ProgramPoint"),
    "returns-a-bare-array": ("error", None, None, "must be a solution of type Assignment, found ndarray"),
    "reports-a-number": ("error", None, None, "report takes a solution of type Assignment, found int 3"),
    "odd-status": ("error", None, None, "'superb' is not a valid Status"),
    "odd-bound": ("error", None, None, "Result.bound must be a number, found str 'low'"),
    "odd-stats": (
        "feasible",
        None,
        27,
        "^Result.stats must hold numbers and short texts by name, found 'nodes': .*; left out",
    ),
    "nan-bound": ("feasible", None, 27, "^the solver's bound is not a number; ignored$"),
    "nan-solution": ("error", None, None, "the solver raised matchopt.errors.InvalidSolution: col_of must hold whole"),
    "infinite-bound": ("feasible", None, 27, "^the solver's bound inf is above the objective 27; ignored$"),
    "wrong-bound": ("feasible", None, 27, "^the solver's bound 28 is above the objective 27; ignored$"),
    "false-optimum": ("feasible", None, ..., "^the claim of optimality is false: a better solution exists$"),
    "optimum-at-its-limit": ("feasible", "time", 27, "claims optimal although it stopped at its time limit; ignored"),
    "optimum-without-a-solution": ("error", None, None, "claims optimal but returned no solution"),
    "false-infeasibility": ("error", None, 27, "claims infeasible beside a feasible solution of 27"),
    "infeasible-beside-its-solution": ("error", None, 27, "claims infeasible beside a feasible solution of 27"),
    "repeats-a-column": ("error", None, None, "^the solver's solution is infeasible: .*row"),
    "column-out-of-range": ("error", None, 27, "^the solver's solution is infeasible: .*row"),
    "wrong-length": ("error", None, None, "^the solver's solution is infeasible: "),
    "bad-incumbents": ("feasible", None, 27, r"^1 incumbent\(s\) were infeasible and ignored: .*row"),
    "forgets-its-best": ("feasible", None, 9, "^an incumbent of 9 was better than the last solution, and is kept$"),
    "returns-nothing-after-a-report": ("feasible", "iteration", 27, "^$"),
    "exits": ("error", None, None, r"^the solver left by sys.exit\(0\)$"),
    "exits-at-once": ("error", None, None, "^the worker ended with exit status 3 before it sent an answer$"),
    "leaves-children": ("feasible", None, 27, "^$"),
    "forks": ("feasible", None, 27, "^$"),
    "closes-files": ("error", None, None, "^the worker lost its line to this process .did the solver close files"),
    "writes-everywhere": ("error", None, None, "^the worker's answer cannot be read: a message has a wrong header"),
    "changes-the-instance": ("error", None, None, "the solver raised ValueError: assignment destination is read-only"),
    "ten-thousand-incumbents": ("feasible", None, 9, "^$"),
    "refuses": ("unknown", None, None, "^refused: has too many rows$"),
    "odd-refusal": ("error", None, None, "refuses must return a reason or None, found bool False"),
    "raising-refusal": ("error", None, None, r"raised ZeroDivisionError: in refuses \(hostile.py, line \d+\)$"),
    "needs-the-missing": ("unknown", None, None, r"needs the package no_such_package; install it with: pip install"),
    "no-such-solver": ("error", None, None, "^unknown solver 'no-such-solver'"),
}
# These need no process of their own: here they go through the worker's code in this one, which is faster.
HERE = {
    *("modest", "random-draw", "nan-solution", "infinite-bound", "optimum-at-its-limit", "optimum-without-a-solution"),
    *("false-infeasibility", "infeasible-beside-its-solution", "repeats-a-column", "column-out-of-range"),
    *("wrong-length", "bad-incumbents", "forgets-its-best", "returns-nothing-after-a-report", "changes-the-instance"),
    *("refuses", "odd-refusal", "raising-refusal", "needs-the-missing"),
}
LIMITED = {name: KILL_AFTER for name, row in EXPECTED.items() if row[1] == "time" and "optimum" not in name}
GIGABYTES = {"allocates-without-end": 0.4, "children-allocate": 0.2, "raises-memory-error": 2.0}


@pytest.fixture(scope="session", params=["warm", "cold"])
def runs(request, instance, quick_kills):
    """One pool with all hostile solvers, and a good one first and last; in both kinds of workers."""
    tasks = [
        Task(
            instance,
            name,
            allowance=allow(LIMITED.get(name, 20.0), GIGABYTES.get(name, 4.0)),
            plugin_files=(HOSTILE,),
            cold=request.param == "cold",
        )
        for name in ["good", *(name for name in EXPECTED if name not in HERE), "good"]
    ]
    seen = []
    found = solve_all(tasks, jobs=2, on_run=lambda number, run: seen.append(number))
    assert sorted(seen) == list(range(len(tasks)))
    assert [run.solver for run in found] == [task.solver for task in tasks]
    assert found[0].objective == found[-1].objective == 9, (found[0].message, found[0].log)
    here = {name: run_here(Task(instance, name, plugin_files=(HOSTILE,))) for name in HERE}
    return here | {run.solver: run for run in found}


def run_here(task):
    """What `perform` does, with the worker's code called in this process."""
    source = source_of(task.solver, task.options, task.plugin_files)
    request = perform._request(task, source, 10**9)
    request.facts["allowance"]["memory"] = None  # this process keeps its limits
    with tempfile.TemporaryFile() as line:
        channel = worker.Channel(line.fileno())
        try:
            worker._run(request, channel)
        except Exception as cause:
            worker._send_failure(channel, cause)
        line.seek(0)
        *incumbents, last = list(Frames().feed(line.read()))
    judge = Judge(task.instance)
    for message in incumbents:
        if message.facts["type"] == "incumbent":
            judge.incumbent(read_solution(message, task.instance), message.facts["bound"], message.facts["at"])
    answer = read_answer(last, task.instance, 10**9)
    verdict = certified(task.instance, judge.verdict(answer))
    trace = tuple(judge.trace)
    return perform.record(task, source.label, verdict, refused=answer.refused, stats=answer.stats, trace=trace)


def test_every_hostile_solver_is_in_the_table(runs):
    """No solver of the file is forgotten."""
    written = set(re.findall(r"^def (\w+)\(instance, limits, rng\)", HOSTILE.read_text(), re.M))
    assert {name.replace("_", "-") for name in written} - {"good"} <= set(EXPECTED)
    assert set(runs) == set(EXPECTED) | {"good"}


@pytest.mark.parametrize("name", EXPECTED)
def test_one_clear_record(runs, name):
    """Status, limit, what is kept and the message are as the table says; the record is plain JSON."""
    run, (status, limit, objective, message) = runs[name], EXPECTED[name]
    assert (run.status, run.limit) == (status, limit), run.message
    assert re.search(message, run.message), run.message
    assert "\n" not in run.message
    if objective is not ...:
        assert run.objective == objective
    assert (run.solution is None) == (run.objective is None)
    assert run.proof == ("proven" if run.objective == 9 else None)
    assert json.loads(json.dumps(run.to_json(), allow_nan=False))["status"] == status


def test_the_good_solvers_record_stands(runs):
    """Beside all of them it solves to a proven optimum."""
    run = runs["good"]
    assert (run.status, run.objective, run.bound, run.gap, run.proof) == (Status.OPTIMAL, 9, 9, 0.0, "proven")
    assert type(run.objective) is int and run.stats == {"nodes": 7} and run.message == ""
    assert run.seconds > run.solver_seconds > 0 and run.peak_memory > 10_000_000


def test_traces_are_monotone(runs):
    """In every trace the seconds do not fall and the objectives do."""
    assert any(len(run.trace) > 2 for run in runs.values())
    for run in runs.values():
        for (early, worse, _), (late, better, _) in pairwise(run.trace):
            assert early <= late and worse > better
        assert not run.trace or run.trace[-1][1] == run.objective


def test_the_third_incumbent_is_kept(runs, instance):
    """A solver killed after its third incumbent keeps that one, the best of them."""
    run = runs["killed-after-the-third"]
    values = sorted((instance.cost[range(4), p].sum() for p in itertools.permutations(range(5), 4)), reverse=True)
    assert run.objective == values[2] and run.limit is Limit.TIME


def test_a_false_optimum_is_not_reported_as_one(runs):
    """Its bound is the certificate's, not its own claim."""
    run = runs["false-optimum"]
    assert run.bound == 9 and run.gap > 0 and run.proof is None


def test_a_valid_bound_of_an_incumbent_is_kept(runs):
    """Of a solver that died, bounds count like those of any other; the better one wins."""
    run = runs["crashes-with-an-incumbent"]
    assert run.trace[0][1:] == (27, -5.0) and run.bound == 9


def test_violations_are_listed(runs):
    """Each broken rule of the infeasible solution is in the record."""
    assert len(runs["repeats-a-column"].violations) >= 1
    assert runs["modest"].violations == ()


def test_what_a_solver_prints_is_in_its_log_only(runs, capfd):
    """Standard output of the host stays empty; the log keeps the end."""
    assert "more" in runs["prints"].log and len(runs["prints"].log) <= 2**16
    assert "ValueError: boom" in runs["raises"].log and "Traceback" in runs["raises"].log
    assert "Segmentation fault" in runs["dereferences-null"].log
    assert capfd.readouterr().out == ""


def test_children_of_a_solver_are_gone(runs):
    """Also one that left the process group."""
    for pid in runs["leaves-children"].stats.values():
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_refusals_are_marked(runs):
    """A refusal is UNKNOWN and says so."""
    assert {name for name, run in runs.items() if run.refused} == {"refuses", "needs-the-missing"}
