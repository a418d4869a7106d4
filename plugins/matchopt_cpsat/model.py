"""A program instance in integers, and as a CP-SAT model."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from matchopt import ProgramInstance, tightened
from matchopt_cpsat.scaling import WholeObjective, whole_objective, whole_row

LARGEST = 2.0**53  # a value up to here is exact as a float, which a point is made of
LARGEST_SUM = 2.0**1000  # of the terms of an objective, so that sums of floats stay finite


@dataclass(frozen=True)
class Impossible:
    """Why a program has no point."""

    reason: str


@dataclass(frozen=True)
class WholeProgram:
    """Everything CP-SAT needs, in integers."""

    low: list[int]
    high: list[int]
    rows: list[tuple[list[int], list[int], int, int]]  # variables, coefficients, lowest and highest sum
    objective: WholeObjective

    @property
    def largest_sum(self) -> int:
        """The largest sum of absolute terms of a row."""
        reach = [max(abs(low), abs(high)) for low, high in zip(self.low, self.high, strict=True)]
        sums = (sum(abs(c) * reach[v] for v, c in zip(row[0], row[1], strict=True)) for row in self.rows)
        return max(sums, default=0)

    @cached_property
    def picks(self) -> list[bool]:
        """Of each row, whether it lets at most one of some binary variables be 1, or asks for exactly one."""
        binary = [low == 0 and high == 1 for low, high in zip(self.low, self.high, strict=True)]
        return [
            low <= high == 1 and all(c == 1 for c in coefficients) and all(binary[v] for v in variables)
            for variables, coefficients, low, high in self.rows
        ]


@lru_cache(maxsize=1)  # asked whether the solver refuses, and again to solve
def prepared(instance: ProgramInstance, bits: int) -> WholeProgram | Impossible | str:
    """The instance tightened and in integers, why it has no point, or why there is no such form."""
    easier = tightened(instance)
    return Impossible(easier) if isinstance(easier, str) else in_integers(easier, bits)


def in_integers(instance: ProgramInstance, bits: int) -> WholeProgram | str:
    """The (tightened) instance in integers, or why there is no such form."""
    continuous = int((~instance.integral).sum())
    if continuous:
        return f"{continuous} variables are continuous, the first is {_first(instance, ~instance.integral)}"
    low, high = np.ceil(instance.low), np.floor(instance.high)
    unbounded = ~((np.abs(low) <= LARGEST) & (np.abs(high) <= LARGEST))
    if unbounded.any():
        return f"variable {_first(instance, unbounded)} has no finite bounds within 2^53, and no row implies them"
    reach = np.maximum(np.abs(low), np.abs(high))
    largest = float(np.abs(instance.cost).max(initial=0.0))
    if largest * max(float(reach.sum()), 1.0) > LARGEST_SUM:
        return f"the objective is too large, with costs up to {largest}"
    rows: list[tuple[list[int], list[int], int, int]] = []
    groups: list[np.ndarray] = []
    grouped = np.zeros(instance.n_variables, bool)
    for r in range(instance.n_rows):
        variables, coefficients = instance.row(r)
        variables, coefficients = variables[reach[variables] > 0], coefficients[reach[variables] > 0]
        whole = whole_row(coefficients, float(instance.row_low[r]), float(instance.row_high[r]), reach[variables])
        if whole is None:
            return f"row {instance.row_name(r)} has coefficients that 64-bit integers cannot hold"
        rows.append((variables.tolist(), *whole))
        packs = whole[2] == 1 and all(c == 1 for c in whole[0]) and bool((low[variables] >= 0).all())
        if packs and not grouped[variables].any():
            grouped[variables] = True
            groups.append(variables)
    objective = whole_objective(np.where(reach > 0, instance.cost, 0.0), reach, groups, bits)
    return WholeProgram([int(v) for v in low.tolist()], [int(v) for v in high.tolist()], rows, objective)


def build(program: WholeProgram, start: list[int] | None) -> tuple[Any, list[Any]] | None:
    """The CP-SAT model and its variables, or None where a row alone rules out every point."""
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    x = [model.new_int_var(low, high, "") for low, high in zip(program.low, program.high, strict=True)]
    for (variables, coefficients, low, high), picks in zip(program.rows, program.picks, strict=True):
        if low > high or (not variables and not low <= 0 <= high):
            return None
        terms = [x[v] for v in variables]
        if picks:
            (model.add_exactly_one if low == 1 else model.add_at_most_one)(terms)
        elif variables:
            model.add_linear_constraint(cp_model.LinearExpr.weighted_sum(terms, coefficients), low, high)
    model.minimize(cp_model.LinearExpr.weighted_sum(x, program.objective.coefficients))
    for variable, value in zip(x, start or [], strict=False):
        model.add_hint(variable, value)
    return model, x


def _first(instance: ProgramInstance, which: np.ndarray) -> str:
    return instance.variable_name(int(np.argmax(which)))
