"""Bounds of the crossbars of `crossbars.py`: the level-1 relaxation beside free routing.

    python benches/crossbar_bounds.py --output FILE.csv [--redundancy 4 2 1] [--seconds 6] [--seeds 0 1 2 3 4]

The ascent has so many seconds of one core's processor time, what a heuristic gives it in a minute; bounds are relative
to the sum of squared targets. `out_of_reach` is what the best cell of the whole array leaves of each weight, as large
weights have no cell of their size: part of every bound and of every mapping.
"""

import argparse
import csv
import resource
import time
from pathlib import Path

import numpy as np
from crossbars import ProcessorTime, crossbar
from matchopt_crossbar.ascent import Ascent, compile_ascent
from matchopt_crossbar.relaxation import free_bound

from matchopt import LayerInstance, Limits

FIELDS = ("redundancy", "drop", "seconds", "seed", "bound", "free_bound", "out_of_reach", "megabytes")


def out_of_reach(layer: LayerInstance) -> float:
    """The sum over weights of the squared distance to the nearest cell, however neurons and lines are chosen."""
    weights, cells = layer.target.weights, np.sort(layer.hardware.weights, axis=None)
    above = np.clip(np.searchsorted(cells, weights), 1, len(cells) - 1)
    return float((np.minimum(abs(weights - cells[above]), abs(weights - cells[above - 1])) ** 2).sum())


def main() -> None:
    """Bound, and write a line for each layer."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--redundancy", type=int, nargs="+", default=[4, 2, 1])
    given.add_argument("--seconds", type=float, default=6.0)
    given.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    given.add_argument("--output", type=Path, required=True)
    options = given.parse_args()
    compile_ascent()
    with options.output.open("w", newline="") as lines:
        table = csv.writer(lines, lineterminator="\n")
        table.writerow(FIELDS)
        for redundancy in options.redundancy:
            for drop in (False, True):
                for seed in options.seeds:
                    layer = crossbar(redundancy, drop, seed)
                    whole = float((layer.target.weights**2).sum())
                    limits = ProcessorTime(seconds=options.seconds, began=time.process_time())
                    bounds = (
                        Ascent(layer).run(limits, options.seconds),
                        free_bound(layer, Limits()),
                        out_of_reach(layer),
                    )
                    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
                    shares = (round(bound / whole, 5) for bound in bounds)
                    table.writerow([redundancy, int(drop), options.seconds, seed, *shares, used])
                    lines.flush()


if __name__ == "__main__":
    main()
