"""A few of the solvers in `hostile.py`, for very many solves: to load all of them would take half of each."""

import itertools
import os
import signal
import subprocess
from dataclasses import dataclass

import numpy as np

from matchopt import Assignment, AssignmentInstance, Result, Solver, Status, hookimpl

SOLVERS = []


@dataclass(frozen=True)
class WithoutOptions(Solver):
    """What `dataclass` would make of a class without fields, made once."""


def hostile(method):
    """Make a solver of a function (instance, limits, rng) -> result, called as the function is."""
    name = method.__name__.replace("_", "-").strip("-")
    body = {"name": name, "solves": AssignmentInstance, "solve": staticmethod(method), "__doc__": method.__doc__}
    body["__dataclass_params__"] = WithoutOptions.__dataclass_params__  # every worker makes all of these classes
    SOLVERS.append(type(method.__name__, (WithoutOptions,), body))
    return method


def diagonal(instance):
    return Assignment(np.arange(instance.n_rows))


def by_cost(instance):
    """All assignments, worst first."""
    every = (Assignment(np.array(p)) for p in itertools.permutations(range(instance.n_cols), instance.n_rows))
    return sorted(every, key=instance.value, reverse=True)


@hostile
def good(instance, limits, rng):
    return Result(by_cost(instance)[-1], Status.OPTIMAL, stats={"nodes": np.int64(7)})


@hostile
def modest(instance, limits, rng):
    return Result(diagonal(instance))


@hostile
def raises(instance, limits, rng):
    raise ValueError("boom\nsecond line")


@hostile
def kills_itself(instance, limits, rng):
    os.kill(os.getpid(), signal.SIGKILL)


@hostile
def leaves_children(instance, limits, rng):
    near = subprocess.Popen(["sleep", "1000"])
    far = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    return Result(diagonal(instance), stats={"near": near.pid, "far": far.pid})


@dataclass(frozen=True)
class RefusesInstance(Solver):
    name = "refuses"
    solves = AssignmentInstance

    def refuses(self, instance):
        return "has too many rows"

    def solve(self, instance, limits, rng):
        raise AssertionError("a refused instance must not be solved")


SOLVERS.append(RefusesInstance)


@hookimpl
def register_solvers(register):
    for cls in SOLVERS:
        register(cls)
