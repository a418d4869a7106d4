"""MNIST networks on resistive cells that relax: mapped on readings up to 1 s, evaluated up to 28 hours later.

    matchopt train --widths 784,200,10 --fan-in 12,200 -o retrain_decay=1e-4 --output net.safetensors
    python benches/drift.py --network net.safetensors --output FILE.csv [--draws 5] [--readings all last first]
    python benches/drift.py --table benches/drift.csv --picture benches/drift.svg

Cells are those of `data/hardware/rram-relaxation` of the library (MATCHOPT_LIBRARY), techB read at 0, 0.01, 0.1, 1, 1e3
and 1e4 s, techC at 0, 0.01, 0.1, 1 and 1e5 s. Conductances have one sign, so weights are fixed differential pairs: of a
random order of all cells (the draw, by its seed) two parts are G+ and G- of each layer, K/n = 1.5, M/m = 1. The mapping
knows all readings up to 1 s (mean and variance), or the last or the first of them alone; gains are 0.1 to 10,
connections may be dropped, and the mapping is the optimum. Rows: accuracy on the test images at each later time, as it
is, and with gains and biases re-fitted without labels: by weights, or by sums on 5000 training images. The network was
chosen among five by its validation accuracy under simulated noise of 0.3 rms on every weight; a penalty on weights
while they are retrained makes the most of the difference.
"""

import argparse
import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from matchopt import Gains, Limits, NetworkInstance, NetworkMapping, Rules
from matchopt.instances import AssignmentInstance, Chip, ChipArray
from matchopt.instances.chip_state import ChipState
from matchopt.network import SparseNetwork, export_network, load_mnist, measure, read_network, realise
from matchopt.network.chip import chip_layers
from matchopt.network.later import on_chips, refitted
from matchopt.plugins import load_plugins
from matchopt.reduce import reduction
from matchopt.study.plots import as_svg, new_figure

FIELDS = ("technology", "draw", "known", "seconds", "error", "as_it_is", "neuron", "outputs")
KNOWN = {"all": slice(None), "last": slice(-1, None), "first": slice(1)}  # of the readings up to 1 s


def chips(technology: str, network: SparseNetwork, ratio: float, seed: int) -> list[Chip]:
    """An array of pairs for each layer, from cells in a random order."""
    held = np.load(Path(os.environ["MATCHOPT_LIBRARY"]) / f"data/hardware/rram-relaxation/{technology}.npz")
    seconds, cells = held["seconds"], held["conductance"].astype(np.float64)
    order, found, used = np.random.default_rng(seed).permutation(len(cells)), [], 0
    for layer in network.layers:
        shape = (layer.target.n_rows, int(np.ceil(ratio * layer.target.fan_in.max())))
        halves = []
        for _ in range(2):
            chosen = order[used : used + shape[0] * shape[1]]
            halves.append(ChipArray(readings=cells[chosen].T.reshape(len(seconds), *shape), seconds=seconds))
            used += len(chosen)
        found.append(Chip(tuple(halves), "S", "fixed"))
    return found


def optimum(instance: NetworkInstance) -> NetworkMapping:
    """The mapping of least expected error."""
    down, solver = reduction(instance, AssignmentInstance), load_plugins().make("hungarian", {})
    answers = [solver.solve(part, Limits(), np.random.default_rng(0)).solution for part in down.parts]
    found = down.lift(answers)
    assert isinstance(found, NetworkMapping)
    return found


def rows(technology: str, network: SparseNetwork, draw: int, known: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A line of the table for each time."""
    data, measured = load_mnist(), chips(technology, network, 1.5, draw)
    times = measured[0].times
    early = [time for time in times if time <= 1.0]
    targets = [layer.target for layer in network.layers]
    rules = Rules(drop=True, gains=Gains.interval(0.1, 10.0))
    for name in known:
        state = ChipState(tuple(early[KNOWN[name]]))
        instance = export_network(network, chip_layers([state.of(c) for c in measured], targets, True), rules=rules)
        mapping = optimum(instance)
        for time in times[len(early) - 1 :]:
            later = on_chips(instance, [ChipState((time,)).of(chip) for chip in measured])
            assert isinstance(later, NetworkInstance)
            fits = {"as_it_is": mapping, "neuron": refitted(later, mapping, "neuron")}
            fits["outputs"] = refitted(later, mapping, "outputs", data.train_images[:5000])
            squared = sum(((a - b) ** 2).sum() for a, b in zip(realise(later, mapping).weights, later.target_weights,
                                                               strict=True))  # fmt: skip
            size = sum((weights**2).sum() for weights in later.target_weights)
            yield {"technology": technology, "draw": draw, "known": name, "seconds": f"{time:g}",
                   "error": f"{squared / size:.4f}", **{
                       how: f"{100 * measure(realise(later, fit), data.test_images, data.test_labels).accuracy:.2f}"
                       for how, fit in fits.items()}}  # fmt: skip


def picture(table: Path, file: Path) -> None:
    """Mean accuracy at each time, of what is known of drift and what is set anew; bars span all draws."""
    with table.open(newline="") as lines:
        found = [row for row in csv.DictReader(lines) if row["draw"] != "mean"]
    with new_figure(2, 8, 3.4) as (figure, axes):
        for axis, technology in zip(axes, ("techB", "techC"), strict=True):
            for how, fit, style in (("as it is", "as_it_is", "--"), ("biases and gains fitted anew", "outputs", "-")):
                for known, colour in (("all", "C0"), ("last", "C1")):
                    of_times: dict[float, list[float]] = {}
                    for row in found:
                        if (row["technology"], row["known"]) == (technology, known):
                            of_times.setdefault(float(row["seconds"]), []).append(float(row[fit]))
                    means = [np.mean(values) for values in of_times.values()]
                    spread = [[mean - min(values), max(values) - mean]
                              for mean, values in zip(means, of_times.values(), strict=True)]  # fmt: skip
                    label = f"{known} reading{'s' if known == 'all' else ''} up to 1 s, {how}"
                    axis.errorbar(list(of_times), means, np.transpose(spread), fmt=f"{style}o", color=colour,
                                  markersize=3, capsize=2, label=label)  # fmt: skip
            axis.set_xscale("log")
            axis.set_title(technology, fontsize=9)
            axis.set_xlabel("seconds after programming")
        axes[0].set_ylabel("test accuracy, %")
        axes[0].legend(fontsize=7, loc="lower left", handlelength=4)
        file.write_text(as_svg(figure))


def main() -> None:
    """Write the table, and its means; or a picture of one."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--table", type=Path, help="draw this table and measure nothing")
    given.add_argument("--picture", type=Path)
    given.add_argument("--network", type=Path)
    given.add_argument("--draws", type=int, default=5)
    given.add_argument("--readings", nargs="+", default=list(KNOWN), choices=list(KNOWN))
    given.add_argument("--technology", nargs="+", default=["techB", "techC"])
    given.add_argument("--output", type=Path)
    options = given.parse_args()
    if not (options.picture if options.table else options.network and options.output):
        given.error("--network and --output are needed to measure, --table and --picture to draw")
    if options.table:
        picture(options.table, options.picture)
        return
    network, found = read_network(options.network), []
    with options.output.open("w", newline="") as lines:
        table = csv.DictWriter(lines, FIELDS, lineterminator="\n")
        table.writeheader()
        for technology in options.technology:
            for draw in range(options.draws):
                for row in rows(technology, network, draw, options.readings):
                    table.writerow(row)
                    lines.flush()
                    found.append(row)
        for key in dict.fromkeys((row["technology"], row["known"], row["seconds"]) for row in found):
            same = [row for row in found if (row["technology"], row["known"], row["seconds"]) == key]
            means = {name: f"{np.mean([float(row[name]) for row in same]):.4g}" for name in FIELDS[4:]}
            table.writerow({"technology": key[0], "draw": "mean", "known": key[1], "seconds": key[2], **means})


if __name__ == "__main__":
    main()
