"""Random instances, one after the other, for all solvers and for the code that judges them."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from matchopt.formats import write
from matchopt.instances import Instance
from matchopt.solver import Solver, Status
from matchopt.testing.drawn import drawn
from matchopt.testing.jury import Answer, Failure, judged

REPEATED = 4  # every so many instances solves are made twice
COLUMNS = ("instances", "refused", "solved", "proven", "late", "failures")


@dataclass
class Fuzzing:
    """What was found so far.

    Parameters
    ----------
    counts : by solver and column; those that judge have failures only.
    failures : each with the number of its instance.
    instances : how many were drawn.
    """

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    failures: list[tuple[int, Failure]] = field(default_factory=list)
    instances: int = 0

    def add(self, answers: Sequence[Answer], failures: Sequence[Failure]) -> None:
        """Count what was said of one instance."""
        for answer in answers:
            row = self.counts.setdefault(answer.solver, Counter())
            row["instances"] += 1
            row["refused"] += bool(answer.refused)
            row["solved"] += answer.objective is not None
            row["proven"] += answer.result is not None and answer.result.status in (Status.OPTIMAL, Status.INFEASIBLE)
            row["late"] += answer.late
        for failure in failures:
            self.counts.setdefault(failure.solver, Counter())["failures"] += 1
            self.failures.append((self.instances, failure))
        self.instances += 1


def instance_number(seed: int, number: int, size: int) -> Instance:
    """The instance of this number in the sequence of a seed."""
    return drawn(np.random.default_rng([seed, number]), size)


def fuzz(
    solvers: Sequence[Solver],
    *,
    seconds: float,
    seed: int = 0,
    size: int = 3,
    most: int | None = None,
    solve_seconds: float = 2.0,
    before: Callable[[int, Instance], None] | None = None,
) -> Iterator[tuple[int, Instance, Sequence[Failure], Fuzzing]]:
    """Draw instances and judge what all solvers make of them; yields after each one.

    Parameters
    ----------
    solvers : those to ask, in this process: one that ends the process ends the run.
    seconds : for how long new instances are drawn.
    seed : of the sequence of instances.
    size : most rows and inputs of a layer.
    most : number of instances after which to end, None for no limit.
    solve_seconds : time limit of each solve.
    before : is called with the number and the instance before it is solved.
    """
    for solver in solvers:
        solver.prepare()
    found, began, number = Fuzzing(), time.monotonic(), 0
    while time.monotonic() - began < seconds and (most is None or number < most):
        instance = instance_number(seed, number, size)
        if before is not None:
            before(number, instance)
        answers, failures = judged(instance, solvers, solve_seconds, number % REPEATED == 0)
        found.add(answers, failures)
        yield number, instance, failures, found
        number += 1


def save(folder: Path, number: int, instance: Instance, failures: Sequence[Failure]) -> Path:
    """Write the instance, and beside it what was found and how to see it again."""
    place = folder / f"{number:06d}-{failures[0].solver}-{failures[0].what}.matchopt"
    write(instance, place)
    lines = [f"{failure.solver}: {failure.what}: {failure.detail}" for failure in failures]
    again = f"matchopt fuzz --replay {place.name}"
    place.with_suffix(".txt").write_text("\n".join([*lines, f"To see it again: {again}", ""]), encoding="utf-8")
    return place
