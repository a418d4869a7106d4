"""Rows and objectives in units in which HiGHS's tolerances mean something."""

import math
from dataclasses import replace

import numpy as np

from matchopt import ProgramInstance

LARGEST = 2.0**20  # of the coefficients of a row, once scaled: HiGHS keeps rows within 1e-7, whatever their units
EXACT = 2.0**40  # whole objectives up to here are told apart


def scaled(instance: ProgramInstance) -> ProgramInstance:
    """The program with each row times a power of two that brings its largest coefficient to 1 .. 2^20, exactly."""
    factor = row_factors(instance)
    if bool((factor == 1.0).all()):
        return instance
    return replace(
        instance,
        coefficients=instance.coefficients * np.repeat(factor, np.diff(instance.indptr)),
        row_low=instance.row_low * factor,
        row_high=instance.row_high * factor,
    )


def row_factors(instance: ProgramInstance) -> np.ndarray:
    """That power of two, by row."""
    _, largest = row_ends(instance, np.abs(instance.coefficients))
    _, exponent = np.frexp(np.maximum(largest, 0.0))
    shift = np.where(largest < 1.0, 1 - exponent, np.where(largest > LARGEST, 20 - exponent, 0))
    return np.ldexp(1.0, np.where(largest > 0.0, shift, 0))


def row_ends(instance: ProgramInstance, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest of each row's values, NaN ones left out; inf and -inf where there is none."""
    least, largest = np.full(instance.n_rows, np.inf), np.full(instance.n_rows, -np.inf)
    filled = np.flatnonzero(np.diff(instance.indptr))
    if len(filled):
        least[filled] = np.fmin.reduceat(values, instance.indptr[filled])
        largest[filled] = np.fmax.reduceat(values, instance.indptr[filled])
    return np.where(np.isnan(least), np.inf, least), np.where(np.isnan(largest), -np.inf, largest)


def counts_whole(instance: ProgramInstance) -> bool:
    """Whether every value of the objective is a whole number, so that bounds may be rounded up."""
    used = instance.cost != 0.0
    numbers = np.append(instance.cost[used], instance.offset)
    return bool(instance.integral[used].all() and (numbers == np.round(numbers)).all())


def cost_factor(instance: ProgramInstance) -> float:
    """A power of two that brings the largest cost to 2^20, or 2^30 if it is beyond; 1 for whole costs between.

    HiGHS stops at an absolute gap of 1e-6 and takes reduced costs of 1e-7 for none, whatever the units: squared
    errors of weights in siemens are smaller than that.
    """
    largest = float(np.abs(instance.cost).max())
    if largest == 0.0 or (largest <= 2.0**30 and (largest >= 2.0**20 or counts_whole(instance))):
        return 1.0
    return math.ldexp(1.0, (30 if largest > 2.0**30 else 20) - max(math.frexp(largest)[1], -1000))


def objective_error(instance: ProgramInstance, x: np.ndarray | None) -> float:
    """By how much HiGHS may misjudge the objective: its gap of 1e-6 after scaling, and its floats."""
    size = 0.0 if x is None else float(np.abs(instance.cost) @ np.maximum(np.abs(x), 1.0))
    return 0.0 if counts_whole(instance) and size < EXACT else size * 2.0**-40
