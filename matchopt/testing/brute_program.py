"""Integer programs by enumeration: every integral point, and every vertex of what is left."""

import itertools
import math
from collections.abc import Iterator

import numpy as np

from matchopt.instances import ProgramInstance, ProgramPoint
from matchopt.testing.optimum import INFEASIBLE, Optimum

TOLERANCE = 1e-9  # on rows of tiny instances, whose coefficients are below 1e7; less where all are below 1


def best_program(instance: ProgramInstance) -> Optimum:
    """The optimum of a bounded program with few integral and at most three continuous variables."""
    matrix = _dense(instance)
    low, high = _finite_bounds(instance, matrix)
    whole = np.flatnonzero(instance.integral)
    ranges = [range(math.ceil(low[v]), math.floor(high[v]) + 1) for v in whole]
    best, value = None, math.inf
    for point in itertools.product(*ranges):
        x = np.zeros(instance.n_variables)
        x[whole] = point
        for vertex in _vertices(instance, matrix, x):
            cost = float(instance.cost @ vertex + instance.offset)
            if cost < value:
                best, value = vertex, cost
    return INFEASIBLE if best is None else Optimum(value, ProgramPoint(best))


def _dense(instance: ProgramInstance) -> np.ndarray:
    matrix = np.zeros((instance.n_rows, instance.n_variables))
    for i in range(instance.n_rows):
        columns, coefficients = instance.row(i)
        matrix[i, columns] = coefficients
    return matrix


def _finite_bounds(instance: ProgramInstance, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the variables, an open upper end closed by the first row that closes it."""
    low, high = np.array(instance.low), np.array(instance.high)
    for v in np.flatnonzero(instance.integral & np.isinf(high)):
        for i in np.flatnonzero((matrix[:, v] > 0) & np.isfinite(instance.row_high)):
            others = np.delete(matrix[i], v)
            if (others >= 0).all():
                least = float(others @ np.delete(low, v))
                high[v] = min(high[v], (instance.row_high[i] - least) / matrix[i, v])
    if not np.isfinite(np.concatenate([low[instance.integral], high[instance.integral]])).all():
        raise ValueError(f"{instance.name}: an integral variable has no finite bounds, too much to enumerate")
    return low, high


def _vertices(instance: ProgramInstance, matrix: np.ndarray, x: np.ndarray) -> Iterator[np.ndarray]:
    """`x` itself when it is feasible, or with continuous variables all vertices of the polytope they can move in."""
    loose = np.flatnonzero(~instance.integral)
    planes = np.vstack([matrix, np.eye(instance.n_variables)])
    floor = np.concatenate([instance.row_low, instance.low])
    ceiling = np.concatenate([instance.row_high, instance.high])
    sides = [(n, end) for n in range(len(planes)) for end in {floor[n], ceiling[n]} if np.isfinite(end)]
    for chosen in itertools.combinations(sides, len(loose)):
        candidate = x.copy()
        if len(loose):
            rows = [n for n, _ in chosen]
            system = planes[np.ix_(np.array(rows), loose)]
            if abs(np.linalg.det(system)) < TOLERANCE:
                continue
            candidate[loose] = np.linalg.solve(system, np.array([end for _, end in chosen]) - planes[rows] @ x)
        reached, slack = planes @ candidate, TOLERANCE * np.minimum(1.0, np.abs(planes).max(axis=1, initial=0.0))
        if (reached >= floor - slack).all() and (reached <= ceiling + slack).all():
            yield candidate
