"""Accuracy of a mapped MNIST network against the share of stuck cells: at random places, and where chips have them.

    python benches/fault_curves.py --output FILE.csv [--picture FILE.svg] [--seeds 5]

Gaussian cells, K/n = 2, M/m = 1.25, free routing, connections may be dropped. Measured: the 25 x 25 maps of
`data/hardware/rram-kernels` of the library (MATCHOPT_LIBRARY; stuck below 20 uS or above 350 uS), drawn by chance and
put side by side over each layer, their dead lines along cells (one cell of every neuron) or along neurons (all cells of
some); 1, 2, 4 and 6 layers of maps on each other make higher shares. At random: as many cells as along cells, anywhere.
A stuck cell reads its measured value over that of a healthy one (138 uS) instead of its weight, under its sign; at
random these are drawn from the same values. "known": stuck cells are masked and the mapping is the optimum. "unknown":
the optimum of the chip without faults, evaluated on the one with them.
"""

import argparse
import csv
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matchopt import Hardware, Limits, NetworkInstance, NetworkMapping, Rules
from matchopt.instances import AssignmentInstance
from matchopt.library import problems_folder
from matchopt.network import SparseNetwork, draw_hardware, export_network, load_mnist, measure, read_network, realise
from matchopt.plugins import load_plugins
from matchopt.reduce import reduction
from matchopt.study.plots import as_svg, new_figure

LOW, HIGH, HEALTHY, SIDE = 20e-6, 350e-6, 138e-6, 25
FIELDS = ("faults", "layers_of_maps", "seed", "share", "known", "unknown")
Maps = list[NDArray[np.float64]]


def kernels() -> Maps:
    """What the stuck cells of each map read, in units of a healthy cell; NaN elsewhere."""
    files = sorted((Path(os.environ["MATCHOPT_LIBRARY"]) / "data/hardware/rram-kernels").glob("kernel*.txt"))
    read = [np.loadtxt(file).reshape(SIDE, SIDE) for file in files]
    return [np.where((values < LOW) | (values > HIGH), values / HEALTHY, np.nan) for values in read]


def measured(
    maps: Maps, shape: tuple[int, int], over: int, along: str, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Stuck values of a layer of this shape, NaN where cells are healthy."""
    found = np.full(shape, np.nan)
    for _ in range(over):
        for j in range(0, shape[0], SIDE):
            for k in range(0, shape[1], SIDE):
                tile = maps[rng.integers(len(maps))]
                tile = (tile if along == "cells" else tile.T)[: shape[0] - j, : shape[1] - k]
                part = found[j : j + SIDE, k : k + SIDE]
                part[...] = np.where(np.isnan(part), tile, part)
    return found


def spread(like: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """As many stuck cells with the same values, anywhere."""
    return np.asarray(rng.permutation(like.ravel()).reshape(like.shape))


def faulty(hardware: Hardware, stuck: NDArray[np.float64]) -> Hardware:
    """Stuck cells read their value and are masked."""
    rms = np.sqrt(np.mean(hardware.weights**2))
    weights = np.where(np.isnan(stuck), hardware.weights, np.sign(hardware.weights) * rms * stuck)
    return replace(hardware, weights=weights, usable=np.isnan(stuck))


def optimum(instance: NetworkInstance) -> NetworkMapping:
    """The mapping of least weight error."""
    down, solver = reduction(instance, AssignmentInstance), load_plugins().make("hungarian", {})
    found = down.lift([solver.solve(part, Limits(), np.random.default_rng(0)).solution for part in down.parts])
    assert isinstance(found, NetworkMapping)
    return found


def rows(network: SparseNetwork, seed: int) -> Iterator[dict[str, Any]]:
    """A line of the table for each kind and share of faults."""
    data, maps, rules = load_mnist(), kernels(), Rules(drop=True)
    healthy = draw_hardware(network, "gaussian", 2.0, 1.25, seed)
    blind = optimum(export_network(network, healthy, rules=rules))
    for over in (0, 1, 2, 4, 6):
        rng = np.random.default_rng([seed, over])
        shapes = [layer.weights.shape for layer in healthy]
        kinds = {f"along {along}": [measured(maps, shape, over, along, rng) for shape in shapes]
                 for along in ("cells", "neurons")}  # fmt: skip
        kinds["at random"] = [spread(stuck, rng) for stuck in kinds["along cells"]]
        for name, stuck in kinds.items() if over else [("none", kinds["at random"])]:
            chip = [faulty(*pair) for pair in zip(healthy, stuck, strict=True)]
            instance = export_network(network, chip, rules=rules)
            shown = {}
            for what, mapping in (("known", optimum(instance) if over else blind), ("unknown", blind)):
                accuracy = measure(realise(instance, mapping), data.test_images, data.test_labels).accuracy
                shown[what] = f"{100 * accuracy:.2f}"
            share = np.mean(np.isnan(np.concatenate([part.ravel() for part in stuck])))
            yield {"faults": name, "layers_of_maps": over, "seed": seed, "share": f"{100 * (1 - share):.2f}", **shown}


def draw(found: list[dict[str, Any]], file: Path) -> None:
    """Mean accuracy against the mean share of stuck cells."""
    with new_figure(2, 8, 3.2) as (figure, axes):
        for axis, what in zip(axes, ("known", "unknown"), strict=True):
            for name in ("at random", "along cells", "along neurons"):
                points = []
                for over in (0, 1, 2, 4, 6):
                    same = [row for row in found if row["layers_of_maps"] == over and row["faults"] in (name, "none")]
                    points.append([np.mean([float(row[key]) for row in same]) for key in ("share", what)])
                axis.plot(*np.transpose(points), "-o", markersize=3, label=name)
            axis.set_title(f"faults {what} to the mapping", fontsize=9)
            axis.set_xlabel("stuck cells, %")
            axis.legend(fontsize=7)
        axes[0].set_ylabel("test accuracy, %")
        file.write_text(as_svg(figure))


def main() -> None:
    """Write the table and the picture."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--network", type=Path, default=problems_folder() / "networks" / "row8-seed0.safetensors")
    given.add_argument("--seeds", type=int, default=5)
    given.add_argument("--output", type=Path, required=True)
    given.add_argument("--picture", type=Path)
    options = given.parse_args()
    network = read_network(options.network)
    with options.output.open("w", newline="") as lines:
        table, found = csv.DictWriter(lines, FIELDS, lineterminator="\n"), []
        table.writeheader()
        for seed in range(options.seeds):
            for row in rows(network, seed):
                table.writerow(row)
                lines.flush()
                found.append(row)
    if options.picture:
        draw(found, options.picture)


if __name__ == "__main__":
    main()
