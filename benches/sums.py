"""What sums of cells are worth: hard-wired cells of a measured array or uniform ones, and two cells wired freely.

    python benches/sums.py FILE [--big]

FILE holds measured arrays. Targets are gaussian with its root mean square; the table is benches/sums.csv.
`--big` also times a million weights of four cells each, 10 % of them stuck, in process seconds.
"""

import csv
import sys
import time
from pathlib import Path

import numpy as np
from matchopt_sums import SumSearch

from matchopt import Hardware, LayerInstance, Limits, Rules, Target
from matchopt.formats import read_chip
from matchopt.formats.chip import ChipFile
from matchopt.kernels import HardWired


def all_cells(path: Path) -> np.ndarray:
    """The weights of all arrays of a file."""
    return np.concatenate([array.weights.ravel() for array in read_chip([ChipFile(path)]).arrays])


def decomposed(cells: np.ndarray, d: int, targets: np.ndarray, drop: bool) -> np.ndarray:
    """The errors of one row of weights on `d` cells each."""
    own = np.repeat(np.arange(len(targets)), d)[None, :]
    hardware = Hardware(cells[: own.size].reshape(1, -1), input=own)
    target = Target.from_dense(targets[None, :], np.ones((1, len(targets)), bool))
    layer = LayerInstance(target, hardware, Rules(d, drop=drop))
    found = HardWired(target, hardware, layer.rules).wire(np.zeros(1, int))
    sums = np.bincount(found.input, hardware.weights[0, found.cell], minlength=len(targets))
    return np.asarray(targets - sums)


def rms(cells: int, seed: int) -> float:
    """The error of 64 rows of fan-in 4 on 64 neurons of 64 cells, all gaussian."""
    rng = np.random.default_rng(seed)
    target = Target.from_dense(rng.normal(size=(64, 4)))
    layer = LayerInstance(target, Hardware(rng.normal(size=(64, 64))), Rules(cells))
    found = SumSearch().solve(layer, Limits(), np.random.default_rng(0)).solution
    return float(np.sqrt(layer.value(found) / 256))  # type: ignore[arg-type]


def main() -> None:
    """Write the table."""
    array, rng, rows = all_cells(Path(sys.argv[1])), np.random.default_rng(0), []
    for d in range(1, 21):
        targets = rng.normal(size=500) * np.sqrt(np.mean(array**2))
        errors = decomposed(rng.permutation(array), d, targets, True)
        rows.append(("measured, relative squared error", d, (errors**2).sum() / (targets**2).sum()))
        uniform = decomposed(rng.uniform(-1, 1, 500 * d), d, rng.uniform(-1, 1, 500), True)
        rows.append(("uniform, median error", d, np.median(np.abs(uniform))))
    for seed in range(5):
        rows += [(f"free, root mean square, seed {seed}", d, rms(d, seed)) for d in (1, 2)]
    if "--big" in sys.argv:
        own = np.tile(np.repeat(np.arange(1000), 4), (1000, 1))
        usable, weights = rng.random(own.shape) >= 0.1, rng.normal(size=own.shape)
        target = Target.from_dense(rng.normal(size=(1000, 1000)))
        chip = Hardware(weights, usable=usable, off=np.where(usable, 0.0, weights), input=own)
        began = time.process_time()
        problem = HardWired(target, chip, Rules(4, drop=True))
        problem.costs()
        problem.wire(np.arange(1000))
        rows.append(("a million weights and all pairs, process seconds", 4, time.process_time() - began))
    with Path(__file__).with_suffix(".csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(
            [("what", "cells", "value"), *((*r[:2], f"{r[2]:.3g}") for r in rows)]
        )


if __name__ == "__main__":
    main()
