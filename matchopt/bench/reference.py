"""A fixed piece of work, timed before and after every run: where it takes longer, the machine was not the same."""

import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

VALUES = 2**15  # to sort: some 2 ms
REPEATS = 3  # the least of so many counts
TOLERANCE = 1.25  # times the median of all reference times of a machine, beyond which a run's times are not to be used


def reference_seconds() -> float:
    """Wall seconds of the fixed work, the least of three."""
    values, least = _values(), float("inf")
    for _ in range(REPEATS):
        began = time.perf_counter()
        np.sort(values)
        least = min(least, time.perf_counter() - began)
    return least


def drifts(records: Sequence[Mapping[str, Any]]) -> list[float | None]:
    """For each run the slower of its two reference times over the median of its machine; None without them.

    Beyond `TOLERANCE` the machine had other things to do, or was slower, while the run took its time.
    """
    medians: dict[str, float] = {}
    for machine in {str(record.get("machine")) for record in records}:
        times = [t for r in records if str(r.get("machine")) == machine for t in r.get("reference") or ()]
        if times:
            medians[machine] = float(np.median(times))
    return [
        max(record["reference"]) / medians[str(record.get("machine"))] if record.get("reference") else None
        for record in records
    ]


@cache
def _values() -> np.ndarray:
    return np.random.default_rng(0).random(VALUES)
