"""One crossbar of 100 x 100 target weights, at 1, 2 and 4 times as many lines and neurons, with drops and without.

    python benches/crossbars.py --output FILE.csv [--solver crossbar-perturb] [--seconds 10] [--seeds 0 1 2 3 4]

Targets are Laplace-distributed at 10 % density, of mean square 1, cells normal. Errors are relative to the sum of
squares of the targets. Seconds are those of one core's processor time, as machines are shared; lines are appended.
"""

import argparse
import csv
import resource
import time
from pathlib import Path

import numpy as np

from matchopt import Hardware, LayerInstance, Limits, Rules, Target, check
from matchopt.plugins import load_plugins

FIELDS = ("redundancy", "drop", "solver", "seconds", "seed", "error", "bound", "free_bound", "megabytes")
SIZE, DENSITY = 100, 0.1


class ProcessorTime(Limits):
    """Limits whose clock is the processor time of this process."""

    def remaining(self) -> float:
        return max(0.0, (self.seconds or 0.0) - (time.process_time() - self.began))


def crossbar(redundancy: int, drop: bool, seed: int, size: int = SIZE, density: float = DENSITY) -> LayerInstance:
    """The layer of this seed."""
    rng = np.random.default_rng([seed, size, round(1000 * density)])
    weights, number = np.zeros(size * size), round(density * size * size)
    weights[rng.choice(size * size, number, replace=False)] = rng.laplace(size=number)
    weights /= np.sqrt((weights**2).sum() / number)
    cells = rng.normal(size=(size * redundancy, size * redundancy))
    hardware = Hardware(cells, bus=np.zeros(len(cells), np.int64))
    return LayerInstance(Target.from_dense(weights.reshape(size, size)), hardware, Rules(drop=drop))


def main() -> None:
    """Solve, and append a line for each seed."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--solver", default="crossbar-perturb")
    given.add_argument("--option", action="append", default=[], help="NAME=VALUE of the solver")
    given.add_argument("--redundancy", type=int, nargs="+", default=[1, 2, 4])
    given.add_argument("--drop", type=int, nargs="+", default=[0, 1])
    given.add_argument("--seconds", type=float, default=10.0)
    given.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    given.add_argument("--output", type=Path, required=True)
    options = given.parse_args()
    most = {"crossbar-perturb": "rounds", "crossbar-anneal": "scans", "crossbar-alternate": "starts"}[options.solver]
    settings = {most: str(10**9), **dict(each.split("=") for each in options.option)}
    solver = load_plugins().make(options.solver, settings)
    solver.prepare()
    fresh = not options.output.exists()
    with options.output.open("a", newline="") as lines:
        table = csv.writer(lines, lineterminator="\n")
        if fresh:
            table.writerow(FIELDS)
        for redundancy in options.redundancy:
            for drop in options.drop:
                for seed in options.seeds:
                    table.writerow(_solved(solver, redundancy, bool(drop), options.seconds, seed))
                    lines.flush()


def _solved(solver: object, redundancy: int, drop: bool, seconds: float, seed: int) -> list[object]:
    from matchopt_crossbar.relaxation import free_bound

    layer = crossbar(redundancy, drop, seed)
    limits = ProcessorTime(seconds=seconds, began=time.process_time())
    result = solver.solve(layer, limits, np.random.default_rng(seed))  # type: ignore[attr-defined]  # a Solver
    report, whole = check(layer, result.solution), float((layer.target.weights**2).sum())
    assert report.feasible and report.objective is not None
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    shares = (report.objective / whole, result.bound / whole, free_bound(layer, Limits()) / whole)
    return [redundancy, int(drop), solver.name, seconds, seed, *(round(share, 5) for share in shares), used]  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
