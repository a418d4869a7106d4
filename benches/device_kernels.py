"""The matching kernel on a device beside the compiled one: costs of the best wiring of every row on every neuron.

    python benches/device_kernels.py --output FILE.csv [--device cuda] [--scale paper]

On the device a step of the recurrence over sorted cells is taken for all pairs of a block at once, in double precision;
seconds include the transfers, the least of three. Both give the same costs, or this ends with an error.
"""

import argparse
import csv
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from matchopt.instances import Gains, Hardware, Target
from matchopt.kernels import pair_costs

SIZES = {"cpu": [(20, 30, 4, 6)], "paper": [(1000, 1000, 20, 25), (2000, 2000, 64, 80), (4096, 4096, 100, 125)]}
BLOCK = 2**28  # entries of a block of pairs: 2 GB
TOLERANCE = 1e-9  # relative: the two add in another order


def device_costs(weights: np.ndarray, cells: np.ndarray, device: str) -> np.ndarray:
    """Costs of shape (m, M): rows of `weights` (m, n) on rows of `cells` (M, K), n <= K; no gains, drops or noise."""
    w = torch.as_tensor(np.sort(weights), device=device)
    h = torch.as_tensor(np.sort(cells), device=device)
    n, spare = w.shape[1], h.shape[1] - w.shape[1]
    rows, found = max(1, BLOCK // (h.shape[0] * (spare + 1))), []
    for block in w.split(rows):
        # best[i, j, s]: the first e connections on the first e + s cells; no more than K - n cells stay without one
        best = torch.zeros(len(block), len(h), spare + 1, dtype=w.dtype, device=device)
        for e in range(n):
            best = (best + (block[:, e, None, None] - h[None, :, e : e + spare + 1]).square()).cummin(2).values
        found.append(best[:, :, -1].cpu())
    return torch.cat(found).numpy()


def least(work: Callable[[], np.ndarray], device: str) -> tuple[np.ndarray, float]:
    """What it gives, and its seconds, the least of three; the first call, which compiles, does not count."""
    found, seconds = work(), []
    for _ in range(3):
        began = time.perf_counter()
        work()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return found, min(seconds)


def compared(m: int, neurons: int, n: int, cells: int, device: str) -> tuple[int | str, ...]:
    """A line of the table: both on the same draw."""
    rng = np.random.default_rng([0, m, n])
    weights, hardware = rng.laplace(size=(m, n)), rng.normal(size=(neurons, cells))
    target, chip = Target.from_dense(weights), Hardware(hardware)
    ours, seconds = least(lambda: pair_costs(target, chip, gains=Gains(), drop=False), "cpu")
    theirs, on_device = least(lambda: device_costs(weights, hardware, device), device)
    difference = float(np.max(np.abs(ours - theirs) / (1.0 + ours)))
    if not difference <= TOLERANCE:
        raise SystemExit(f"{m} x {neurons}: costs differ by {difference:g} of themselves; rounding is {TOLERANCE:g}")
    threads = len(os.sched_getaffinity(0))
    return m, neurons, n, cells, threads, f"{seconds:.4g}", device, f"{on_device:.4g}", f"{difference:.1e}"


def main() -> None:
    """Write a line for each size."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--device", default="cuda")
    given.add_argument("--scale", choices=SIZES, default="paper")
    given.add_argument("--output", type=Path, required=True)
    args = given.parse_args()
    lines: list[tuple[int | str, ...]] = [
        ("rows", "neurons", "fan_in", "cells", "threads", "seconds", "device", "device_seconds", "difference")
    ]
    for m, neurons, n, cells in SIZES[args.scale]:
        line = compared(m, neurons, n, cells, args.device)
        lines.append(line)
        print(*line, flush=True)
    with args.output.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)


if __name__ == "__main__":
    main()
