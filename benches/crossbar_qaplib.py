"""QAPLIB's quadratic assignment problems as crossbars, beside SciPy's `quadratic_assignment` on the same problems.

    python benches/crossbar_qaplib.py [--most 30] [--seconds 60] [--output FILE.csv]

With W = (t I - A/2) and h = (t I + B), rows and inputs at one permutation p cost the sum of A[i,x] B[p(i),p(x)] and
terms that no permutation changes. For symmetric A and B, and t no less than their spectral radii, no mapping with two
permutations is better, so the optimum is that of the assignment problem. Instances and known values are read from the
library (MATCHOPT_LIBRARY, `instances/qaplib`).
"""

import argparse
import csv
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from matchopt_crossbar import Tandem

from matchopt import Hardware, LayerInstance, Limits, Target, check

FIELDS = ("instance", "n", "known", "found", "gap_percent", "seconds", "scipy", "scipy_gap_percent", "scipy_seconds")


def read_qap(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Both matrices of a QAPLIB file."""
    numbers = np.array(path.read_text().split(), float)
    n = int(numbers[0])
    return numbers[-2 * n * n : -n * n].reshape(n, n), numbers[-n * n :].reshape(n, n)  # some know a value in front


def as_crossbar(first: np.ndarray, second: np.ndarray) -> tuple[LayerInstance, float]:
    """The layer, and what its error exceeds the cost of the assignment problem by."""
    n = len(first)
    t = float(max(np.abs(first).sum(axis=1).max() / 2, np.abs(second).sum(axis=1).max(), 1.0))
    weights, cells = t * np.eye(n) - first / 2, t * np.eye(n) + second
    target = Target.from_dense(weights, np.ones((n, n), bool))
    constant = (weights**2).sum() + (cells**2).sum() - 2 * n * t * t
    constant -= 2 * t * second.trace() - t * first.trace()
    return LayerInstance(target, Hardware(cells, bus=np.zeros(n, np.int64))), float(constant)


def known_values(folder: Path) -> dict[str, float]:
    """Best known value of each instance of the library's catalogue."""
    with (folder / "catalogue.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    return {Path(row["path"]).stem: float(row["best_value"]) for row in rows if "qaplib" in row["path"]}


def solved(name: str, folder: Path, known: float, seconds: float) -> dict[str, Any]:
    """One line of the table."""
    from scipy.optimize import quadratic_assignment

    first, second = read_qap(folder / "qaplib" / f"{name}.dat")
    layer, constant = as_crossbar(first, second)
    solver = Tandem(iterations=10**9)
    found, spent = np.inf, 0.0
    limits = StopAt(seconds=seconds)
    limits.goal = constant + known + 0.4  # costs are whole numbers
    began = time.process_time()
    result = solver.solve(layer, limits, np.random.default_rng(0))
    spent = time.process_time() - began
    report = check(layer, result.solution)
    assert report.feasible
    assert result.solution is not None
    place = result.solution.neuron_of
    found = float((first * second[np.ix_(place, place)]).sum())
    began = time.process_time()
    peer = quadratic_assignment(first, second, method="2opt", options={"rng": np.random.default_rng(0)}).fun
    peer = min(peer, quadratic_assignment(first, second, method="faq", options={"rng": np.random.default_rng(0)}).fun)
    peer_spent = time.process_time() - began
    gaps = [100 * (value - known) / known if known else 0.0 for value in (found, peer)]
    line = (name, len(first), known, found, round(gaps[0], 3), round(spent, 2), peer, round(gaps[1], 3))
    return dict(zip(FIELDS, (*line, round(peer_spent, 2)), strict=True))


class StopAt(Limits):
    """Processor time, and an end when a value is reached."""

    goal: float

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds=seconds, began=time.process_time())

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def remaining(self) -> float:
        left = (self.seconds or 0.0) - (time.process_time() - self.began)
        return 0.0 if self.best_value <= self.goal else max(0.0, left)


def main() -> None:
    """Solve all that are small enough, and print or write the table."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--least", type=int, default=1)
    given.add_argument("--most", type=int, default=30)
    given.add_argument("--seconds", type=float, default=60.0)
    given.add_argument("--output", type=Path)
    options = given.parse_args()
    folder = Path(os.environ["MATCHOPT_LIBRARY"]) / "instances"
    Tandem().prepare()
    out = options.output.open("w", newline="") if options.output else sys.stdout
    table = csv.DictWriter(out, FIELDS, lineterminator="\n")
    table.writeheader()
    for name, value in sorted(known_values(folder).items()):
        size = len(read_qap(folder / "qaplib" / f"{name}.dat")[0])
        if options.least <= size <= options.most:
            table.writerow(solved(name, folder, value, options.seconds))
            out.flush()


if __name__ == "__main__":
    main()
