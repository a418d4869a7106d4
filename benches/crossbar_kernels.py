"""Crossbars of measured cells with stuck ones: 200 connections on each 25 x 25 kernel, drops allowed.

    python benches/crossbar_kernels.py KERNEL.txt ... --output FILE.csv [--seconds 10] [--seed 0]

Kernels are tables of conductances in siemens, such as those of NIST and GWU (github.com/ADAM-Lab-GW/
layer-ensemble-averaging). Cells below 20 or above 350 microsiemens are stuck: they add what they read wherever their
line is driven. The others are centred at their median, and their standard deviation is 1, as that of the
Laplace-distributed targets. Columns: squared error of wiring nothing, of the mapping that other solvers begin with, and
of each solver after so many seconds of one core's processor time.
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np
from crossbars import ProcessorTime

from matchopt import Hardware, LayerInstance, Rules, Target, check
from matchopt.plugins import load_plugins
from matchopt.reduce import beginning

LOW, HIGH = 20e-6, 350e-6  # siemens
CONNECTIONS = 200
SOLVERS = {"crossbar-alternate": "starts", "crossbar-anneal": "scans", "crossbar-perturb": "rounds"}


def on_kernel(conductance: np.ndarray, seed: int) -> LayerInstance:
    """A random layer for the cells of a kernel."""
    rng = np.random.default_rng(seed)
    weights = np.zeros(conductance.size)
    weights[rng.choice(conductance.size, CONNECTIONS, replace=False)] = rng.laplace(size=CONNECTIONS) / np.sqrt(2.0)
    stuck = (conductance < LOW) | (conductance > HIGH)
    cells = (conductance - np.median(conductance[~stuck])) / conductance[~stuck].std()
    hardware = Hardware(cells, off=np.where(stuck, cells, 0.0), bus=np.zeros(len(cells), np.int64))
    return LayerInstance(Target.from_dense(weights.reshape(conductance.shape)), hardware, Rules(drop=True))


def main() -> None:
    """Solve, and write a line for each kernel."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("kernels", type=Path, nargs="+")
    given.add_argument("--seconds", type=float, default=10.0)
    given.add_argument("--seed", type=int, default=0)
    given.add_argument("--output", type=Path, required=True)
    options = given.parse_args()
    plugins = load_plugins()
    with options.output.open("w", newline="") as lines:
        table = csv.writer(lines, lineterminator="\n")
        table.writerow(["kernel", "stuck", "nothing", "beginning", *SOLVERS])
        for path in options.kernels:
            layer = on_kernel(np.loadtxt(path), options.seed)
            begun = beginning(layer)
            found = [float((layer.target.weights**2).sum()), layer.value(begun) if begun is not None else np.nan]
            for name, most in SOLVERS.items():
                limits = ProcessorTime(seconds=options.seconds, began=time.process_time())
                solver = plugins.make(name, {most: str(10**9)})
                report = check(layer, solver.solve(layer, limits, np.random.default_rng(options.seed)).solution)
                assert report.feasible and report.objective is not None
                found.append(report.objective)
            stuck = int((layer.hardware.off != 0.0).sum())
            table.writerow([path.stem, stuck, *(round(value, 1) for value in found)])
            lines.flush()


if __name__ == "__main__":
    main()
