"""Small random assignments and programs, and one call that solves and checks."""

import math

import numpy as np

from matchopt import (
    Assignment,
    AssignmentInstance,
    Instance,
    Limits,
    ProgramInstance,
    ProgramPoint,
    Result,
    Solution,
    Solver,
)
from matchopt.checker import check

COSTS = ("whole", "huge", "ties", "normal", "tiny", "wide")


def assignment(rng: np.random.Generator, costs: str, *, sparse: bool = False, most: int = 5) -> AssignmentInstance:
    """A random assignment; `costs` names the family, about a third of the pairs may be forbidden."""
    shape = (rows := int(rng.integers(1, most + 1)), rows + int(rng.integers(0, 3)))
    cost: np.ndarray = {
        "whole": lambda: rng.integers(-50, 50, shape),
        "huge": lambda: rng.integers(-(2**61), 2**61, shape),
        "ties": lambda: rng.integers(0, 3, shape),
        "normal": lambda: rng.standard_normal(shape),
        "tiny": lambda: 1e-20 * rng.random(shape),
        "wide": lambda: np.exp(20 * rng.standard_normal(shape)),
    }[costs]()
    allowed = rng.random(shape) >= rng.choice([0.0, 0.3, 0.6])
    if sparse:
        return listed(cost, allowed)
    if cost.dtype.kind == "f":
        cost[~allowed] = math.inf
    return AssignmentInstance(cost)


def listed(cost: np.ndarray, allowed: np.ndarray) -> AssignmentInstance:
    """The allowed pairs of a dense cost matrix as a sparse instance."""
    starts = np.concatenate([[0], np.cumsum(allowed.sum(axis=1))])
    return AssignmentInstance(cost[allowed], starts, np.nonzero(allowed)[1], cost.shape[1])


def scale_of(instance: AssignmentInstance) -> float:
    """What an engine's rounding is measured against: nothing for integers, the largest cost for floats."""
    finite = np.abs(instance.cost[np.isfinite(instance.cost)])
    return 0.0 if instance.is_integral else float(finite.max(initial=0.0))


def program(
    cost: object,
    rows: object,
    row_low: object,
    row_high: object,
    low: object = None,
    high: object = None,
    *,
    whole: bool = True,
    offset: float = 0.0,
) -> ProgramInstance:
    """A program from a full matrix of coefficients."""
    costs = np.asarray(cost, dtype=float)
    full = np.asarray(rows, dtype=float).reshape(len(np.asarray(row_low)), len(costs))
    used = full != 0
    starts = np.concatenate([[0], np.cumsum(used.sum(axis=1))])
    integral = np.full(len(costs), whole)
    bounds = (None if low is None else np.asarray(low, float), None if high is None else np.asarray(high, float))
    ends = (np.asarray(row_low, float), np.asarray(row_high, float))
    return ProgramInstance(costs, starts, np.nonzero(used)[1], full[used], *ends, *bounds, integral, offset)  # type: ignore[arg-type]


def whole_program(rng: np.random.Generator) -> ProgramInstance:
    """A random program in a few whole variables: with thirds and tenths, or packing rows of binaries."""
    n, rows = int(rng.integers(1, 6)), int(rng.integers(0, 4))
    cost = {
        0: lambda: rng.standard_normal(n),
        1: lambda: rng.integers(-9, 10, n),
        2: lambda: 1e-7 * rng.standard_normal(n),
        3: lambda: 1e12 * rng.standard_normal(n),
        4: lambda: np.round(rng.standard_normal(n), 2),
    }[int(rng.integers(5))]()
    offset = float(rng.choice([0.0, 1.5, -7.0]))
    if rng.random() < 0.4:
        packs = rng.random((rows, n)) < 0.6
        return program(cost, packs, rng.choice([1, -math.inf], rows), np.ones(rows), None, np.ones(n), offset=offset)
    full = rng.integers(-3, 4, (rows, n)) * (rng.random((rows, n)) < 0.7) * rng.choice([1, 0.1, 0.25, 1 / 3])
    row_low, low = rng.integers(-4, 3, rows), rng.integers(-3, 2, n)
    return program(
        cost, full, row_low, row_low + rng.integers(0, 4, rows), low, low + rng.integers(0, 4, n), offset=offset
    )


def solved(solver: Solver, instance: Instance, limits: Limits | None = None, seed: int = 0) -> Result:
    """The solver's result, its solution checked to be feasible and its bound not to exceed the objective."""
    result = solver.solve(instance, limits or Limits(), np.random.default_rng(seed))
    if result.solution is not None:
        slack = 0.0
        if isinstance(instance, ProgramInstance) and isinstance(result.solution, ProgramPoint):  # sums of floats
            slack = 1e-15 * (abs(instance.offset) + float(np.abs(instance.cost * result.solution.x).sum()))
        assert result.bound <= objective(instance, result.solution) + slack
    return result


def objective(instance: Instance, solution: Solution | None) -> float | int:
    """The checked objective of a solution that must be feasible."""
    assert solution is not None
    report = check(instance, solution)
    assert report.feasible, report.violations
    assert report.objective is not None
    return report.objective


def columns(result: Result) -> list[int]:
    """The columns of an assignment that must be there."""
    assert isinstance(result.solution, Assignment)
    return list(result.solution.col_of.tolist())
