"""Print how fast the pair-cost kernel is beside its peers, as a Markdown table.

Usage: python benches/kernel_ratios.py [--crossover]

One-thread figures are processor time of the thread; the figure for two threads is wall time, so it means something only
on an idle machine with two cores or more. --crossover prints ns per target weight of the methods that
`matchopt.kernels.row_cost` chooses from.
"""

import sys
import time
import tracemalloc

import numpy as np
from numba import njit
from test_kernel import SCIPY_PAIRS, cpu_seconds, layer, ours, ratios

from matchopt.kernels.banded import banded_cost, drop_cost
from matchopt.kernels.runs import nearest_cost, nearest_of_row, resolve_conflicts
from matchopt.kernels.small_assignment import assign, workspace

HEADER = ("runs", "band", "noise: band", "paths", "noise, drop: table", "paths", "drop: table", "paths")


def table() -> None:
    """The promised ratios."""
    target, hardware = layer(300)
    seconds = ratios(target, hardware)
    work = target.n_connections * hardware.n_neurons
    size = f"{target.n_rows} x {hardware.n_neurons} pairs, K = {hardware.n_cells}"
    print(f"{size}, {target.n_connections / target.n_rows:.1f} weights per row; one thread\n")
    print("| method | seconds | ns per weight and neuron | times the kernel |\n|---|---|---|---|")
    for name, value in seconds.items():
        note = f" (from {SCIPY_PAIRS} pairs)" if name.startswith("SciPy") else ""
        print(f"| {name}{note} | {value:.4f} | {1e9 * value / work:.2f} | {value / seconds['kernel']:.2f} |")
    one, two = (min(wall(threads) for _ in range(15)) for threads in (1, 2))
    print(f"\ntwo threads, wall time: {one:.4f} s -> {two:.4f} s, {one / two:.2f}x")
    tracemalloc.start()
    costs = ours(target, hardware)
    print(f"peak memory beyond the output: {(tracemalloc.get_traced_memory()[1] - costs.nbytes) / 2**20:.2f} MiB")


def wall(threads: int) -> float:
    """Wall seconds of one run."""
    start = time.perf_counter()
    ours(*layer(300), threads=threads)
    return time.perf_counter() - start


def crossover() -> None:
    """Time of each method on one row, by fan-in and cells to spare."""
    print(f"| fan-in | spare cells | {' | '.join(HEADER)} |\n|" + "---|" * (2 + len(HEADER)))
    for n in (4, 8, 16, 30, 78, 200):
        for spare in (0, 4, 8, 16, 24, 32, 64, 128, 256):
            print(f"| {n} | {spare} | " + " | ".join(f"{x:.1f}" for x in methods(n, n + spare)) + " |", flush=True)


def methods(n: int, n_cells: int) -> list[float]:
    """ns per target weight of the methods, in the order of the table, nearest cells being known."""
    rng = np.random.default_rng(n + 1000 * n_cells)
    side = max(10, min(60, 2000 // n))  # enough different pairs that no branch predictor learns them by heart
    rows = np.sort(rng.standard_normal((side, n)), axis=1)
    cells = np.sort(rng.standard_normal((side, n_cells)), axis=1)
    noise, none = 0.01 * cells**2, np.empty((side, 0))
    merging = cpu_seconds(lambda: _nearest(rows, cells), 3)
    seconds = [
        cpu_seconds(lambda: _runs(rows, cells), 3) - merging,
        cpu_seconds(lambda: _tables(rows, cells, none, False), 3),
        cpu_seconds(lambda: _tables(rows, cells, noise, False), 3),
        cpu_seconds(lambda: _paths(rows, cells, noise, False), 3) - merging,
        cpu_seconds(lambda: _tables(rows, cells, noise, True), 3),
        cpu_seconds(lambda: _paths(rows, cells, noise, True), 3) - merging,
        cpu_seconds(lambda: _tables(rows, cells, none, True), 3),
        cpu_seconds(lambda: _paths(rows, cells, none, True), 3) - merging,
    ]
    return [1e9 * value / (side * side * n) for value in seconds]


@njit
def _nearest(rows, cells):  # type: ignore[no-untyped-def]
    near = np.empty(rows.shape[1], np.int32)
    total = 0
    for h in cells:
        for w in rows:
            nearest_of_row(w, h, h.size, near)
            total += near[0]
    return total


@njit
def _runs(rows, cells):  # type: ignore[no-untyped-def]
    n = rows.shape[1]
    near, conflicts = np.empty(n, np.int32), np.empty(n + 1, np.int32)
    total = 0.0
    for h in cells:
        for w in rows:
            nearest_of_row(w, h, h.size, near)
            error, found = nearest_cost(0, n, w, h, near, conflicts)
            total += error + resolve_conflicts(0, n, w, h, h.size, near, conflicts, found)
    return total


@njit
def _tables(rows, cells, noise, drop):  # type: ignore[no-untyped-def]
    n, n_cells = rows.shape[1], cells.shape[1]
    best = np.empty(n_cells + 1)
    total = 0.0
    for j in range(len(cells)):
        for w in rows:
            if drop:
                total += drop_cost(0, n, w, 1.0, cells[j], noise[j], n_cells, w * w, best)
            else:
                total += banded_cost(0, n, w, cells[j], noise[j], n_cells, best)
    return total


@njit
def _paths(rows, cells, noise, drop):  # type: ignore[no-untyped-def]
    n, n_cells = rows.shape[1], cells.shape[1]
    near, q, work = np.empty(n, np.int32), np.ones(n), workspace(n, n_cells)
    total = 0.0
    for j in range(len(cells)):
        for w in rows:
            nearest_of_row(w, cells[j], n_cells, near)
            total += assign(0, n, w, q, cells[j], noise[j], n_cells, w * w if drop else w[:0], near, work)
    return total


if __name__ == "__main__":
    crossover() if "--crossover" in sys.argv[1:] else table()
