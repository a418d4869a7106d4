"""Stuck cells in a block of 20 x 20 of measured 25 x 25 kernels, by where it is placed and which lines are chosen.

    python benches/measured_faults.py --output FILE.csv [--picture FILE.svg]

The kernels (`data/hardware/rram-kernels` of the library, MATCHOPT_LIBRARY) have their faults in whole lines. Cells
below 20 uS or above 350 uS count as stuck. Contiguous blocks: the mean and the best of all 36 places. Free: any 20 rows
and any 20 lines, which is a crossbar of healthy (1) and stuck (0) cells whose targets are all 1: its weight error is
the number of stuck cells, so solvers of crossbars choose. The least of all choices is found by trying all 53,130 sets
of lines, with the best rows for each.
"""

import argparse
import csv
import os
import time
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from matchopt import Hardware, LayerInstance, LayerMapping, Limits, Target, check
from matchopt.plugins import load_plugins
from matchopt.study.plots import as_svg, empty_figure

LOW, HIGH, SIZE, BLOCK = 20e-6, 350e-6, 25, 20
FIELDS = ("kernel", "stuck", "contiguous_mean", "contiguous_best", "free", "least", "solver", "seconds", "seed")
Mask = NDArray[np.bool_]


def kernels(folder: Path) -> dict[str, Mask]:
    """Which cells of each kernel are stuck."""
    files = sorted(folder.glob("kernel*.txt"), key=lambda path: int(path.stem.removeprefix("kernel")))
    read = {path.stem: np.loadtxt(path).reshape(SIZE, SIZE) for path in files}
    return {name: (values < LOW) | (values > HIGH) for name, values in read.items()}


def contiguous(stuck: Mask) -> list[int]:
    """Stuck cells of each block of neighbouring rows and lines."""
    places = range(SIZE - BLOCK + 1)
    return [int(stuck[j : j + BLOCK, k : k + BLOCK].sum()) for j in places for k in places]


def least(stuck: Mask) -> int:
    """The fewest stuck cells of any rows and lines."""
    sets = np.array(list(combinations(range(SIZE), SIZE - BLOCK)))  # of the lines that are left out
    left = np.zeros((len(sets), SIZE), np.int64)
    np.put_along_axis(left, sets, 1, axis=1)
    of_rows = stuck.sum(axis=1) - left @ stuck.T.astype(np.int64)
    return int(np.sort(of_rows, axis=1)[:, :BLOCK].sum(axis=1).min())


def free_choice(stuck: Mask, solver: str, seconds: float, seed: int) -> tuple[LayerMapping, int, float]:
    """Rows and lines that a solver chooses, their stuck cells, and its processor time."""
    full = np.ones((BLOCK, BLOCK))
    layer = LayerInstance(Target.from_dense(full), Hardware(1.0 - stuck, bus=np.zeros(SIZE, np.int64)))
    began = time.process_time()
    result = load_plugins().make(solver, {}).solve(layer, Limits(seconds), np.random.default_rng(seed))
    spent = time.process_time() - began
    report = check(layer, result.solution)
    assert report.feasible and isinstance(result.solution, LayerMapping)
    return result.solution, round(report.objective), spent


def draw(masks: dict[str, Mask], chosen: dict[str, LayerMapping], file: Path) -> None:
    """The kernels, stuck cells dark, rows and lines that were left out shaded."""
    with empty_figure(8, 4.6) as figure:
        axes = figure.subplots(2, 4)
        for (name, stuck), axis in zip(masks.items(), axes.flat, strict=True):
            kept = np.zeros((SIZE, SIZE), bool)
            mapping = chosen[name]
            kept[np.ix_(mapping.neuron_of, np.unique(mapping.cell))] = True
            axis.imshow(np.where(stuck, 0.0, np.where(kept, 1.0, 0.75)), cmap="gray", vmin=0, vmax=1)
            axis.set_title(f"{name}: {int((stuck & kept).sum())} of {int(stuck.sum())} stuck", fontsize=8)
            axis.set_xticks([])
            axis.set_yticks([])
        file.write_text(as_svg(figure))


def main() -> None:
    """Choose for every kernel, and write a line for each and their mean."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--solver", default="crossbar-alternate")
    given.add_argument("--seconds", type=float, default=2.0)
    given.add_argument("--seed", type=int, default=0)
    given.add_argument("--output", type=Path, required=True)
    given.add_argument("--picture", type=Path)
    options = given.parse_args()
    masks = kernels(Path(os.environ["MATCHOPT_LIBRARY"]) / "data/hardware/rram-kernels")
    rows, chosen = [], {}
    for name, stuck in masks.items():
        blocks = contiguous(stuck)
        chosen[name], free, spent = free_choice(stuck, options.solver, options.seconds, options.seed)
        rows.append([name, int(stuck.sum()), np.mean(blocks), min(blocks), free, least(stuck), spent])
    rows.append(["mean", *np.mean([row[1:] for row in rows], axis=0)])
    with options.output.open("w", newline="") as lines:
        table = csv.writer(lines, lineterminator="\n")
        table.writerow(FIELDS)
        for name, *figures, spent in rows:
            shown = [f"{figure:.4g}" for figure in figures]
            table.writerow([name, *shown, options.solver, f"{spent:.2f}", options.seed])
    if options.picture:
        draw(masks, chosen, options.picture)


if __name__ == "__main__":
    main()
