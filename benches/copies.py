"""Accuracy of a mapped MNIST network on cells of which a fifth is stuck, by the number of copies of its rows.

    python benches/copies.py --output FILE.csv [--stuck 0.2] [--seeds 0 1 2]

No spare neurons but the copies: each layer has as many hardware neurons as rows times copies, with 1, 1.25 or 1.5 times
as many cells as the largest fan-in. Normal cells, stuck ones (drawn at random) out of use; connections may be dropped;
one gain for all, or any from 0.25 to 4 at each neuron. Layer ensemble
averaging reports, with a fifth of its cells stuck, 43.4 % without copies and 89.6 % with six (Nature Communications
2025, doi:10.1038/s41467-025-56319-6; another network on cells that are programmed).
"""

import argparse
import csv
import time
from itertools import product
from pathlib import Path

import numpy as np

from matchopt import Gains, Imperfections, Limits, NetworkMapping, Rules, check
from matchopt.network import draw_hardware, export_network, load_mnist, measure, read_network, realise
from matchopt.plugins import load_plugins

GAINS = {"one": Gains(), "0.25-4": Gains.interval(0.25, 4.0)}
ROOT = Path(__file__).resolve().parents[1]
FIELDS = (
    "stuck",
    "gains",
    "cells_ratio",
    "copies",
    "seed",
    "weight_error",
    "relative_error",
    "test_accuracy",
    "seconds",
)


def main() -> None:
    """A line for each number of copies and seed."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--stuck", type=float, default=0.2)
    given.add_argument("--copies", type=int, nargs="+", default=[1, 2, 6])
    given.add_argument("--ratios", type=float, nargs="+", default=[1.0, 1.25, 1.5])
    given.add_argument("--gains", choices=GAINS, nargs="+", default=["one"])
    given.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given.add_argument("--rounds", type=int, default=3)
    given.add_argument("--output", type=Path, required=True)
    options = given.parse_args()
    network, data = read_network(ROOT / "problems/networks/row8-seed0.safetensors"), load_mnist()
    solver = load_plugins().make("copies-alternate", {"rounds": str(options.rounds)})
    with options.output.open("w", newline="") as lines:
        table = csv.writer(lines, lineterminator="\n")
        table.writerow(FIELDS)
        grid = product(options.gains, options.ratios, options.copies, options.seeds)
        for name, ratio, copies, seed in grid:
            faults = Imperfections(bad_cells=options.stuck)
            chip = draw_hardware(network, "gaussian", ratio, float(copies), seed, imperfections=faults)
            instance = export_network(network, chip, rules=Rules(drop=True, gains=GAINS[name], copies=copies))
            began = time.process_time()
            found = [solver.solve(layer, Limits(), np.random.default_rng(seed)) for layer in instance.layers]
            spent = time.process_time() - began
            mapping = NetworkMapping(tuple(result.solution for result in found))
            report = check(instance, mapping)
            assert report.feasible
            size = sum(float((layer.target.weights**2).sum()) for layer in instance.layers)
            accuracy = measure(realise(instance, mapping), data.test_images, data.test_labels).accuracy
            figures = [f"{report.objective:.5g}", f"{report.objective / size:.4f}", f"{accuracy:.4f}"]
            table.writerow([options.stuck, name, ratio, copies, seed, *figures, f"{spent:.1f}"])
            lines.flush()


if __name__ == "__main__":
    main()
