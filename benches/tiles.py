"""Accuracy of a network on tiles of 25 x 25 whose faults are those of measured kernels.

    python benches/tiles.py --network FILE --output FILE.csv [--tiles 250 120 40] [--seed 0]

The kernels (`data/hardware/rram-kernels` of the library, MATCHOPT_LIBRARY) have cells stuck low (below 20 uS) and high
(above 350 uS), most of them in whole lines. There are eight; a chip of more takes them over and over, each time with
its rows and lines in another order. Stuck cells are out of use ("unusable"), or add what they read whenever their line
is driven ("stuck"). Connections may be dropped, and a neuron may have any of the gains. Measured on test images.
"""

import argparse
import csv
import os
import time
from itertools import product
from pathlib import Path

import numpy as np

from matchopt import Gains, Hardware, Limits, NetworkMapping, Rules, check
from matchopt.network import export_network, load_mnist, measure, read_network, realise
from matchopt.plugins import load_plugins

LOW, HIGH, SIZE = 20e-6, 350e-6, 25
GAINS = {"-1,1": (-1.0, 1.0), "-2,-1,-0.5,0.5,1,2": (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0)}
FIELDS = ("network", "tiles", "tiles_used", "cells", "gains", "relative_error", "target_accuracy", "test_accuracy")


def tiles(count: int, size: float, faults: str, rng: np.random.Generator) -> Hardware:
    """So many tiles, healthy cells scaled to this root mean square."""
    folder = Path(os.environ["MATCHOPT_LIBRARY"]) / "data/hardware/rram-kernels"
    kernels = [np.loadtxt(path).reshape(SIZE, SIZE).T for path in sorted(folder.glob("kernel*.txt"))]  # axis 1 is a row
    drawn = [kernels[t % len(kernels)][rng.permutation(SIZE)][:, rng.permutation(SIZE)] for t in range(count)]
    cells = np.concatenate(drawn)
    healthy = (cells >= LOW) & (cells <= HIGH)
    cells = cells * (size / np.sqrt(np.mean(cells[healthy] ** 2)))
    off = np.where(healthy, 0.0, cells) if faults == "stuck" else None
    return Hardware(cells, usable=healthy, off=off, bus=np.repeat(np.arange(count), SIZE))


def main() -> None:
    """A line for each kind of faults and set of gains."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--network", type=Path, required=True)
    given.add_argument("--tiles", type=int, nargs="+", default=[250, 120, 40])
    given.add_argument("--seed", type=int, default=0)
    given.add_argument("--output", type=Path, required=True)
    options = given.parse_args()
    network, data, rng = read_network(options.network), load_mnist(), np.random.default_rng(options.seed)
    solver = load_plugins().make("tiles-cover", {})
    sizes = [float(np.sqrt(np.mean(layer.target.weights**2))) for layer in network.layers]
    target = measure(network, data.test_images, data.test_labels).accuracy
    widths = "-".join(str(n) for n in (network.layers[0].target.n_inputs, *(x.target.n_rows for x in network.layers)))
    with options.output.open("w", newline="") as lines:
        table = csv.writer(lines, lineterminator="\n")
        table.writerow([*FIELDS, "seed", "seconds"])
        for faults, name in product(("unusable", "stuck"), GAINS):
            chip = [tiles(count, size, faults, rng) for count, size in zip(options.tiles, sizes, strict=True)]
            rules = Rules(drop=True, neurons_per_row=64, gains=Gains.finite(*GAINS[name]))
            instance, began = export_network(network, chip, rules=rules), time.process_time()
            found = [solver.solve(layer, Limits(), np.random.default_rng(options.seed)) for layer in instance.layers]
            spent = time.process_time() - began
            mapping = NetworkMapping(tuple(result.solution for result in found))
            report = check(instance, mapping)
            assert report.feasible
            error = report.objective / sum(float((layer.target.weights**2).sum()) for layer in instance.layers)
            accuracy = measure(realise(instance, mapping), data.test_images, data.test_labels).accuracy
            used = "+".join(str(result.stats["tiles"]) for result in found)
            figures = [f"{error:.4f}", f"{target:.4f}", f"{accuracy:.4f}"]
            counts = "+".join(str(count) for count in options.tiles)
            table.writerow([widths, counts, used, faults, name, *figures, options.seed, f"{spent:.1f}"])
            lines.flush()


if __name__ == "__main__":
    main()
