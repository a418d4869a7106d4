"""Tiny bounded programs: every sort of row, bound and variable, feasible and not."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from matchopt.instances import ProgramInstance

INF = np.inf


def tiny_programs() -> Mapping[str, ProgramInstance]:
    """All tiny programs by name."""
    return {f"program-{name}": instance for name, instance in {**_feasible(), **_infeasible()}.items()}


def _program(cost: list[Any], rows: Sequence[tuple[list[Any], Any, Any]], **changes: Any) -> ProgramInstance:
    """Build from dense rows (coefficients, low, high); variables are binary unless `changes` say otherwise."""
    entries = [[(v, a) for v, a in enumerate(row) if a] for row, _, _ in rows]
    n = len(cost)
    whole = {"low": np.zeros(n), "high": np.ones(n), "integral": np.ones(n, bool)}
    return ProgramInstance(
        cost=np.array(cost, float),
        indptr=np.cumsum([0] + [len(row) for row in entries]),
        indices=np.array([v for row in entries for v, _ in row], np.int64),
        coefficients=np.array([a for row in entries for _, a in row], float),
        row_low=np.array([low for _, low, _ in rows], float),
        row_high=np.array([high for _, _, high in rows], float),
        **{**whole, **changes},
    )


def _feasible() -> dict[str, ProgramInstance]:
    pick = [([1, 1, 1, 0, 0, 0], 1, 1), ([0, 0, 0, 1, 1, 1], 1, 1)]
    agents = [([5, 3, 4, 0, 0, 0], -INF, 7), ([0, 0, 0, 4, 6, 5], -INF, 9)]
    items = [([1, 0, 0, 1, 0, 0], 1, 1), ([0, 1, 0, 0, 1, 0], 1, 1), ([0, 0, 1, 0, 0, 1], 1, 1)]
    open_above = {"high": np.full(2, INF)}
    continuous = open_above | {"integral": np.zeros(2, bool)}
    free = continuous | {"low": np.full(2, -INF)}
    mixed = {"integral": np.array([True, False, True]), "high": np.array([3.0, 10.0, 2.0])}
    return {
        "one-variable": _program([-3], []),
        "no-variables": _program([], [], offset=2.5),
        "satisfied-empty-row": _program([1, -1], [([0, 0], -1, 0)]),
        "no-rows": _program([2, -3, 0], [], offset=-1.0),
        "knapsack": _program([-8, -11, -6, -4, -9], [([5, 7, 4, 3, 6], -INF, 14)]),
        "cover": _program([3, 4, 5, 2], [([1, 1, 0, 0], 1, INF), ([0, 1, 1, 0], 1, INF), ([0, 0, 1, 1], 1, INF)]),
        "choice": _program([4, 2, 7, 1, 3, 5], pick),
        "agents": _program([6, 2, 5, 4, 7, 3], [*agents, *items]),
        "range-row": _program([1, 2, -3, 1], [([2, 3, 4, 5], 5, 8)]),
        "negative-bounds": _program([3, -2], [([1, 1], -4, 1)], low=np.array([-3.0, -2.0]), high=np.array([2.0, 4.0])),
        "open-above": _program([-5, -4], [([6, 4], -INF, 24), ([1, 2], -INF, 6)], **open_above),
        "half-bounds": _program([-1, -1], [([1, 1], -INF, 3.7)], low=np.array([0.3, 0.2]), high=np.array([2.6, 2.9])),
        "big-coefficient": _program([1, 10, -3], [([1, -1000, 0], -INF, 0), ([0, 1, 1], 1, 2)]),
        "fractions": _program([-0.1, -0.25, -0.3], [([0.5, 0.25, 0.75], -INF, 1.0)]),
        "small-costs": _program([-3e-10, 2e-10, -1e-10], [([1, -1, 1], -INF, 1)]),
        "mixed": _program([-2, -1.5, 3], [([1, 1, -2], -INF, 2.5), ([1, -1, 1], -1, 4)], **mixed),
        "continuous": _program([-3, -5], [([1, 0], -INF, 4), ([0, 2], -INF, 12), ([3, 2], -INF, 18)], **continuous),
        "free-variable": _program([1, 1], [([1, 2], -6, INF), ([1, -1], -3, 3)], **free),
    }


def _infeasible() -> dict[str, ProgramInstance]:
    return {
        "parity": _program([1, 1, 1], [([2, 2, 2], 3, 3)]),
        "crossed-bounds": _program([1, 1], [], low=np.array([0.0, 1.0]), high=np.array([1.0, 0.0])),
        "crossed-row": _program([1, 1], [([1, 1], 2, 1)]),
        "empty-row": _program([1, 1], [([0, 0], 1, INF)]),
        "no-whole-value": _program([1], [], low=np.array([0.2]), high=np.array([0.8])),
        "conflict": _program([1, 2], [([1, 1], 2, INF), ([1, 0], -INF, 0)]),
        "conflict-continuous": _program([1, 1], [([1, 1], 3, INF)], integral=np.zeros(2, bool)),
    }
