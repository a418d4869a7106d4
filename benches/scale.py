"""What large layers take: CPU seconds of every step, and memory; one line for each call, added to a table.

    python benches/scale.py ROWS NEURONS FAN_IN CELLS --output FILE.csv [--solver hungarian] [--seed 0]
        [--prove-seconds SECONDS]

Gaussian weights on gaussian cells, inputs drawn at random, four times as many as a row has. Solved, checked and
certified in one process, on as many threads as it may use; CPU seconds are those of all threads, memory is the
process's peak. The last column says what ended it: a proof, or the gap that the certificate leaves.
"""

import argparse
import csv
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matchopt_hungarian import Hungarian, HungarianStreamed

from matchopt import AssignmentInstance, Hardware, LayerInstance, Limits, Target, certify, check, reduction
from matchopt.kernels.packing import cores

FIELDS = (
    "solver",
    "rows",
    "neurons",
    "fan_in",
    "cells",
    "seed",
    "solve",
    "check",
    "certify",
    "cpu_seconds",
    "megabytes",
    "ended",
)


def layer(rows: int, neurons: int, fan_in: int, cells: int, seed: int) -> LayerInstance:
    """A random layer, made row by row."""
    rng = np.random.default_rng(seed)
    inputs = [np.sort(rng.choice(4 * fan_in, fan_in, replace=False)) for _ in range(rows)]
    starts = np.arange(rows + 1) * fan_in
    target = Target(starts, np.concatenate(inputs), rng.standard_normal(rows * fan_in), 4 * fan_in)
    return LayerInstance(target, Hardware(rng.standard_normal((neurons, cells))))


def solved(instance: LayerInstance, streamed: bool, seed: int) -> Any:
    """The mapping, by the whole matrix or by few pairs of each row."""
    limits, rng = Limits(threads=cores()), np.random.default_rng(seed)
    if streamed:
        return HungarianStreamed().solve(instance, limits, rng).solution
    way = reduction(instance, AssignmentInstance)
    (pairs,) = way.parts
    assert isinstance(pairs, AssignmentInstance)
    assignment = Hungarian().solve(pairs, limits, rng).solution
    assert assignment is not None
    return way.lift([assignment])


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What the work gives, and the CPU seconds of all threads."""
    began = time.process_time()
    return work(), time.process_time() - began


def main() -> None:
    """A line of the table."""
    given = argparse.ArgumentParser(description=__doc__)
    for name in ("rows", "neurons", "fan_in", "cells"):
        given.add_argument(name, type=int)
    given.add_argument("--solver", choices=["hungarian", "hungarian-streamed"], default="hungarian")
    given.add_argument("--seed", type=int, default=0)
    given.add_argument("--prove-seconds", type=float, help="of the certificate; a fixed amount of work by default")
    given.add_argument("--output", type=Path, required=True)
    options = given.parse_args()
    size = (options.rows, options.neurons, options.fan_in, options.cells)
    tiny, streamed = layer(80, 80, 8, 12, 0), options.solver == "hungarian-streamed"
    certify(tiny, solved(tiny, streamed, 0))  # loads what is compiled
    instance = layer(*size, options.seed)
    mapping, solve = timed(lambda: solved(instance, streamed, options.seed))
    report, checking = timed(lambda: check(instance, mapping))
    certificate, proving = timed(lambda: certify(instance, mapping, seconds=options.prove_seconds))
    assert report.feasible, report
    gap = (instance.value(mapping) - certificate.bound) / instance.value(mapping)
    ended = "proven" if certificate.optimal else f"gap {gap:.2e}"
    whole = solve + checking + proving
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    figures = [f"{seconds:.1f}" for seconds in (solve, checking, proving, whole)]
    fresh = not options.output.exists()
    with options.output.open("a", newline="") as lines:
        table = csv.writer(lines, lineterminator="\n")
        if fresh:
            table.writerow(FIELDS)
        table.writerow([options.solver, *size, options.seed, *figures, megabytes, ended])


if __name__ == "__main__":
    main()
