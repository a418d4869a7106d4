"""What a few written cells are worth: error of a 784-300 layer against the share of connections that may be written.

    python benches/write_budget.py --output FILE.csv [--seeds 0] [--shares 0 1 2 5 10 20]

Laplace targets of variance 1 at 10 % density on as many neurons as rows, each with 1.25 times as many gaussian cells
as the largest row has connections. All cells but 5 % can be written, to -2 .. 2 with a standard deviation of 0.02.
Errors and bounds are shares of the squares of the targets; seconds are processor time. Lines are appended.
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np

from matchopt import Hardware, LayerInstance, Limits, Rules, Target, check
from matchopt.plugins import load_plugins

FIELDS = ("seed", "percent", "writes", "solver", "error", "bound", "seconds")
ROWS, INPUTS, DENSITY = 300, 784, 0.1


def layer(seed: int, percent: float) -> LayerInstance:
    """The layer of this seed, of whose connections so many percent may be written."""
    rng = np.random.default_rng([seed, ROWS, INPUTS])
    support = rng.random((ROWS, INPUTS)) < DENSITY
    target = Target.from_dense(np.where(support, rng.laplace(scale=0.5**0.5, size=support.shape), 0.0), support)
    shape = (ROWS, int(np.ceil(1.25 * target.fan_in.max())))
    low = np.where(rng.random(shape) < 0.05, np.nan, -2.0)
    chip = Hardware(rng.normal(size=shape), low=low, high=-low, write_variance=np.full(shape, 0.02**2))
    return LayerInstance(target, chip, Rules(writes=round(percent / 100 * target.n_connections)))


def main() -> None:
    """Solve, and append a line for each seed, share and solver."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--seeds", type=int, nargs="+", default=[0])
    given.add_argument("--shares", type=float, nargs="+", default=[0, 1, 2, 5, 10, 20])
    given.add_argument("--output", type=Path, required=True)
    options = given.parse_args()
    registry, fresh = load_plugins(), not options.output.exists()
    with options.output.open("a", newline="") as lines:
        table = csv.writer(lines, lineterminator="\n")
        if fresh:
            table.writerow(FIELDS)
        for seed in options.seeds:
            for percent in options.shares:
                instance = layer(seed, percent)
                size = float((instance.target.weights**2).sum())
                for name in ("greedy", "priced-writes"):
                    began = time.process_time()
                    found = registry.make(name, {}).solve(instance, Limits(), np.random.default_rng(0))
                    seconds, report = time.process_time() - began, check(instance, found.solution)
                    bound = f"{found.bound / size:.5g}" if found.bound > 0.0 else ""
                    row = (seed, percent, instance.rules.writes, name, f"{report.objective / size:.5g}", bound)
                    table.writerow([*row, f"{seconds:.1f}"])
                    lines.flush()


if __name__ == "__main__":
    main()
