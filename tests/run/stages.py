"""Solvers that show what a stage of a pipeline is given; loaded as a plugin file."""

import itertools
import time
from dataclasses import dataclass

import numpy as np

from matchopt import Assignment, AssignmentInstance, Result, Solver, Status, hookimpl


def improved(instance, start):
    """The worst assignment that is better than the start, or than the diagonal, by at least 5; or the best."""
    begin = Assignment(np.arange(instance.n_rows)) if start is None else start
    most = instance.value(begin) - 5
    every = [Assignment(np.array(p)) for p in itertools.permutations(range(instance.n_cols), instance.n_rows)]
    better = [solution for solution in every if instance.value(solution) <= most]
    return max(better, key=instance.value) if better else min(every, key=instance.value)


@dataclass(frozen=True)
class EchoStart(Solver):
    name = "echo-start"
    solves = AssignmentInstance

    def solve(self, instance, limits, rng):
        return Result(limits.start)


@dataclass(frozen=True)
class Improve(EchoStart):
    name = "improve"

    def solve(self, instance, limits, rng):
        return Result(improved(instance, limits.start))


@dataclass(frozen=True)
class ImprovesAndHangs(EchoStart):
    name = "improves-and-hangs"

    def solve(self, instance, limits, rng):
        limits.report(improved(instance, limits.start))
        time.sleep(1000)


@dataclass(frozen=True)
class Shifted(EchoStart):
    name = "shifted"

    shift: int = 0

    def solve(self, instance, limits, rng):
        return Result(Assignment((np.arange(instance.n_rows) + self.shift) % instance.n_cols))


@dataclass(frozen=True)
class RefusesAll(EchoStart):
    name = "refuses-all"

    def refuses(self, instance):
        return "not today"


@dataclass(frozen=True)
class ReturnsUnknown(EchoStart):
    name = "returns-unknown"

    def solve(self, instance, limits, rng):
        return Result(None, message="it found none")


@dataclass(frozen=True)
class SaysInfeasible(EchoStart):
    name = "says-infeasible"

    def solve(self, instance, limits, rng):
        return Result(None, Status.INFEASIBLE)


@dataclass(frozen=True)
class LiesOptimal(EchoStart):
    name = "lies-optimal"

    def solve(self, instance, limits, rng):
        return Result(Assignment(np.arange(instance.n_rows)), Status.OPTIMAL)


@dataclass(frozen=True)
class Sleeps(EchoStart):
    name = "sleeps"

    def solve(self, instance, limits, rng):
        time.sleep(0.2)
        return Result(limits.start)


@dataclass(frozen=True)
class TellSeconds(EchoStart):
    name = "tell-seconds"

    def solve(self, instance, limits, rng):
        return Result(limits.start, stats={"seconds": limits.seconds})


@hookimpl
def register_solvers(register):
    for cls in [EchoStart, *EchoStart.__subclasses__()]:
        register(cls)
