"""Seconds to target on the crossbars of `crossbars.py`: three solvers, and two textbook searches beside them.

    python benches/crossbar_targets.py --output FILE.csv [--redundancy 1] [--drop 0] [--seconds 1 3 10] [--seeds 0]

Every method has each budget of one core's processor time anew, as all but alternation and tabu search cool with it.
A line has the mean error over the seeds relative to the sum of squared targets, and its ratio to the target of this
redundancy: the first budget within 4 % or 10 % of it is the time to target.
"""

import argparse
import csv
import time
from pathlib import Path

import crossbar_peers
import numpy as np
from crossbars import ProcessorTime, crossbar

from matchopt import LayerInstance
from matchopt.plugins import load_plugins

TARGETS = {(1, 0): 0.28, (2, 0): 0.175, (4, 0): 0.132, (1, 1): 0.102, (2, 1): 0.064, (4, 1): 0.049}
SOLVERS = {"crossbar-perturb": "rounds", "crossbar-anneal": "scans", "crossbar-alternate": "starts"}
PEERS = {"tabu": crossbar_peers.tabu, "plain annealing": crossbar_peers.anneal}


def error(method: str, layer: LayerInstance, seconds: float, seed: int) -> float:
    """What a method reaches in so many seconds."""
    if method in PEERS:
        return PEERS[method](layer, seconds, seed)
    plain = {"kick": "1"} if method == "crossbar-alternate" else {}  # multi-start alternation, as in the literature
    solver = load_plugins().make(method, {SOLVERS[method]: str(10**9), "ascent": "0", **plain})
    limits = ProcessorTime(seconds=seconds, began=time.process_time())
    return layer.value(solver.solve(layer, limits, np.random.default_rng(seed)).solution)  # type: ignore[arg-type]


def main() -> None:
    """Run, and append a line for each method and budget."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--redundancy", type=int, nargs="+", default=[1])
    given.add_argument("--drop", type=int, nargs="+", default=[0])
    given.add_argument("--seconds", type=float, nargs="+", default=[1.0, 3.0, 10.0])
    given.add_argument("--seeds", type=int, nargs="+", default=[0])
    given.add_argument("--methods", nargs="+", default=[*SOLVERS, *PEERS])
    given.add_argument("--output", type=Path, required=True)
    options = given.parse_args()
    for method in options.methods:  # compile
        error(method, crossbar(1, False, 0), 0.01, 0)
    fresh = not options.output.exists()
    with options.output.open("a", newline="") as lines:
        table = csv.writer(lines, lineterminator="\n")
        if fresh:
            table.writerow(["redundancy", "drop", "method", "seconds", "seeds", "error", "ratio"])
        for redundancy in options.redundancy:
            for drop in options.drop:
                for method in options.methods:
                    for seconds in options.seconds:
                        layers = {seed: crossbar(redundancy, bool(drop), seed) for seed in options.seeds}
                        mean = np.mean([error(method, layer, seconds, seed) / float((layer.target.weights**2).sum())
                                        for seed, layer in layers.items()])  # fmt: skip
                        seeds, ratio = " ".join(map(str, layers)), mean / TARGETS[redundancy, drop]
                        table.writerow([redundancy, drop, method, seconds, seeds, round(mean, 5), round(ratio, 3)])
                        lines.flush()


if __name__ == "__main__":
    main()
