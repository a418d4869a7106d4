"""Bounds of the crossbars of `crossbars.py`: the level-1 relaxation beside free routing.

    python benches/crossbar_bounds.py --output FILE.csv [--redundancy 4 2 1] [--seconds 6] [--seeds 0 1 2 3 4]

The ascent has so many seconds of one core's processor time, what a heuristic gives it in a minute; bounds are relative
to the sum of squared targets.
"""

import argparse
import csv
import resource
import time
from pathlib import Path

from crossbars import ProcessorTime, crossbar
from matchopt_crossbar.ascent import Ascent, compile_ascent
from matchopt_crossbar.relaxation import free_bound

from matchopt import Limits

FIELDS = ("redundancy", "drop", "seconds", "seed", "bound", "free_bound", "megabytes")


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
                    bounds = Ascent(layer).run(limits, options.seconds), free_bound(layer, Limits())
                    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
                    shares = (round(bound / whole, 5) for bound in bounds)
                    table.writerow([redundancy, int(drop), options.seconds, seed, *shares, used])
                    lines.flush()


if __name__ == "__main__":
    main()
