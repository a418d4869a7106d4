"""Solvers that break every promise, and a few that keep them; loaded as a plugin file."""

import contextlib
import ctypes
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from matchopt import Assignment, AssignmentInstance, Limit, ProgramPoint, Result, Solver, Status, hookimpl
from matchopt.plugin_files import import_file

few = import_file(Path(__file__).with_name("few.py"))
hostile, diagonal, by_cost, RefusesInstance = few.hostile, few.diagonal, few.by_cost, few.RefusesInstance
SOLVERS = few.SOLVERS  # the decorator's
PREPARED = []


@hostile
def random_draw(instance, limits, rng):
    return Result(Assignment(rng.permutation(instance.n_cols)[: instance.n_rows]))


@hostile
def raises_late(instance, limits, rng):
    limits.report(diagonal(instance))
    raise ValueError("boom")


@hostile
def raises_memory_error(instance, limits, rng):
    np.ones(10**13)


@hostile
def raises_interrupt(instance, limits, rng):
    raise KeyboardInterrupt


@hostile
def hangs(instance, limits, rng):
    time.sleep(1000)


@hostile
def ignores_sigterm(instance, limits, rng):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    limits.report(diagonal(instance))
    while True:
        time.sleep(1)


@hostile
def holds_the_lock(instance, limits, rng):
    ctypes.PyDLL(None).sleep(1000)


@hostile
def killed_after_the_third(instance, limits, rng):
    for solution in by_cost(instance)[:3]:
        limits.report(solution)
    time.sleep(1000)


@hostile
def aborts(instance, limits, rng):
    os.abort()


@hostile
def dereferences_null(instance, limits, rng):
    ctypes.string_at(0)


@hostile
def crashes_with_an_incumbent(instance, limits, rng):
    limits.report(diagonal(instance), -5.0)
    ctypes.string_at(0)


@hostile
def allocates_without_end(instance, limits, rng):
    limits.report(diagonal(instance))
    kept = []
    while True:
        kept.append(np.ones(2**21))
        time.sleep(0.002)


@hostile
def children_allocate(instance, limits, rng):
    code = "x = bytearray(2**28); import time; time.sleep(1000)"
    subprocess.run([sys.executable, "-c", code], check=False)


@hostile
def prints(instance, limits, rng):
    print('{"status": "optimal"}')
    os.write(1, b"more\n" * 50_000)
    return Result(diagonal(instance))


@hostile
def reads_standard_input(instance, limits, rng):
    assert sys.stdin.read() == ""
    return Result(diagonal(instance))


@hostile
def returns_a_number(instance, limits, rng):
    return 3


@hostile
def returns_none(instance, limits, rng):
    return None


@hostile
def returns_another_kind(instance, limits, rng):
    return Result(ProgramPoint(np.zeros(3)))


@hostile
def returns_a_bare_array(instance, limits, rng):
    return Result(np.arange(instance.n_rows))


@hostile
def reports_a_number(instance, limits, rng):
    limits.report(3)


@hostile
def odd_status(instance, limits, rng):
    return Result(diagonal(instance), "superb")


@hostile
def odd_bound(instance, limits, rng):
    return Result(diagonal(instance), bound="low")


@hostile
def odd_stats(instance, limits, rng):
    return Result(diagonal(instance), stats={"nodes": object()})


@hostile
def nan_bound(instance, limits, rng):
    return Result(diagonal(instance), bound=math.nan, stats={"rate": math.inf})


@hostile
def nan_solution(instance, limits, rng):
    return Result(Assignment(np.full(instance.n_rows, np.nan)))


@hostile
def infinite_bound(instance, limits, rng):
    return Result(diagonal(instance), bound=math.inf)


@hostile
def wrong_bound(instance, limits, rng):
    solution = diagonal(instance)
    return Result(solution, Status.OPTIMAL, bound=instance.value(solution) + 1.0)


@hostile
def false_optimum(instance, limits, rng):
    return Result(by_cost(instance)[0], Status.OPTIMAL)


@hostile
def optimum_at_its_limit(instance, limits, rng):
    return Result(diagonal(instance), Status.OPTIMAL, Limit.TIME)


@hostile
def optimum_without_a_solution(instance, limits, rng):
    return Result(None, Status.OPTIMAL)


@hostile
def false_infeasibility(instance, limits, rng):
    limits.report(diagonal(instance))
    return Result(None, Status.INFEASIBLE)


@hostile
def infeasible_beside_its_solution(instance, limits, rng):
    return Result(diagonal(instance), Status.INFEASIBLE)


@hostile
def repeats_a_column(instance, limits, rng):
    return Result(Assignment(np.zeros(instance.n_rows)), Status.OPTIMAL)


@hostile
def column_out_of_range(instance, limits, rng):
    limits.report(diagonal(instance))
    return Result(Assignment(np.arange(instance.n_rows) + instance.n_cols))


@hostile
def wrong_length(instance, limits, rng):
    return Result(Assignment(np.arange(instance.n_rows - 1)))


@hostile
def bad_incumbents(instance, limits, rng):
    limits.report(Assignment(np.zeros(instance.n_rows)))
    return Result(diagonal(instance))


@hostile
def forgets_its_best(instance, limits, rng):
    limits.report(by_cost(instance)[-1])
    return Result(by_cost(instance)[0], Status.OPTIMAL)


@hostile
def returns_nothing_after_a_report(instance, limits, rng):
    limits.report(diagonal(instance))
    return Result(None, limit=Limit.ITERATION)


@hostile
def exits(instance, limits, rng):
    sys.exit(0)


@hostile
def exits_at_once(instance, limits, rng):
    os._exit(3)


@hostile
def forks(instance, limits, rng):
    if os.fork() == 0:
        time.sleep(1000)
    return Result(diagonal(instance))


@hostile
def closes_files(instance, limits, rng):
    os.closerange(0, 1000)
    return Result(diagonal(instance))


@hostile
def writes_everywhere(instance, limits, rng):
    for fd in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(fd, b"garbage" * 10)
    return Result(diagonal(instance))


@hostile
def changes_the_instance(instance, limits, rng):
    instance.cost[0, 0] = -1000
    return Result(diagonal(instance))


@hostile
def ten_thousand_incumbents(instance, limits, rng):
    solutions = by_cost(instance)
    for n in range(10_000):
        limits.report(solutions[n * len(solutions) // 10_000])
    return Result(solutions[-1])


@dataclass(frozen=True)
class OddRefusal(RefusesInstance):
    name = "odd-refusal"

    def refuses(self, instance):
        return False


@dataclass(frozen=True)
class RaisingRefusal(RefusesInstance):
    name = "raising-refusal"

    def refuses(self, instance):
        raise ZeroDivisionError("in refuses")


@dataclass(frozen=True)
class NeedsTheMissing(RefusesInstance):
    name = "needs-the-missing"
    needs = ("no_such_package.inside",)
    extra = "magic"


@dataclass(frozen=True)
class Echo(Solver):
    """Says what it was given."""

    name = "echo"
    solves = AssignmentInstance
    needs = ("numpy.linalg",)

    text: str = "x"

    def prepare(self):
        PREPARED.append(time.monotonic())

    def solve(self, instance, limits, rng):
        begin = -1 if limits.start is None else int(limits.start.col_of[0])
        given = {"seconds": limits.seconds, "iterations": limits.iterations, "threads": limits.threads, "start": begin}
        given["prepared"] = [at < limits.began for at in PREPARED] == [True]
        given["omp"] = os.environ["OMP_NUM_THREADS"]
        return Result(diagonal(instance), stats=given, message=self.text)


SOLVERS += [OddRefusal, RaisingRefusal, NeedsTheMissing, Echo]


@hookimpl
def register_solvers(register):
    for cls in SOLVERS:
        register(cls)
