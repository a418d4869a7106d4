"""Do engines of programs claim what is false? Random small programs of all magnitudes, judged in exact fractions.

    python benches/engine_claims.py [PROGRAMS] [SEED]

prints, for each engine and family of programs, how many claims it made, how many were false, and how many programs it
left without a claim or refused. docs/solvers.md states the result; `make test` judges a sample.
"""

import itertools
import math
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from matchopt_cpsat import CpSat
from matchopt_milp import Milp

from matchopt import Limits, ProgramInstance, Result, Solver, Status, check
from matchopt.contract import refusal

FAMILIES = ("switches", "integers", "mixed", "siemens", "equalities", "costs")
ENGINES: dict[str, Solver] = {"cpsat": CpSat(), "milp": Milp()}
TOLERANCE = 1e-6  # relative: how near to the optimum an objective must be to be called it
Row = tuple[list[float], float, float]


@dataclass(frozen=True)
class Truth:
    """The optimum in exact arithmetic, None where no point keeps every rule to the letter."""

    value: Fraction | None

    def belies(self, result: Result, objective: float | None) -> bool:
        """Whether a claim of an engine is false."""
        if result.status is Status.INFEASIBLE:
            return self.value is not None
        if result.status is not Status.OPTIMAL:
            return False
        if self.value is None or objective is None:
            return True
        return abs(Fraction(objective) - self.value) > Fraction(TOLERANCE) * abs(self.value) + Fraction(1, 10**9)


def random_program(family: str, rng: np.random.Generator) -> ProgramInstance:
    """A program of one family, small enough to enumerate.

    switches: binaries, each row a sum of weights that one more binary may lift by a big M. integers: some variables
    reach 3. mixed: one or two continuous variables, some free, tied to binaries by big-M rows. siemens: the rows are
    currents of 1e-9 to 1e-5. equalities: rows with a right-hand side that a point meets. costs: switches again, and
    an objective of which the least cost is lost beside the largest.
    """
    n = int(rng.integers(3, 7))
    free = int(rng.integers(1, 3)) if family == "mixed" else 0
    size = n + free
    low, high = np.zeros(size), np.ones(size)
    if family == "integers":
        high[rng.random(size) < 0.4] = 3.0
        low[rng.random(size) < 0.2] = -2.0
    if free:
        high[n:] = 10.0 ** rng.integers(0, 7, free)
        low[n:] = np.where(rng.random(free) < 0.3, -np.inf, 0.0)
        high[n:][rng.random(free) < 0.2] = np.inf
    cost = rng.integers(-9, 10, size).astype(float)
    if rng.random() < 0.3:
        cost *= 10.0 ** rng.integers(-9, 9)
    if family == "costs":
        cost = np.sign(cost) * 10.0 ** rng.uniform(-9, 15, size)
    rows = [_row(family, n, size, high, rng) for _ in range(int(rng.integers(1, 4)))]
    if rng.random() < 0.5:
        picked = (np.arange(size) < n) & (rng.random(size) < 0.7)
        rows.append((picked.astype(float).tolist(), float(rng.integers(0, 3)), math.inf))
    for v in range(n, size):  # nothing is unbounded, though a variable may have no bounds of its own
        rows.append((np.eye(size)[v].tolist(), -1e7, 1e7))
    return _program(cost, rows, low, high, np.arange(size) < n)


def _row(family: str, n: int, size: int, high: np.ndarray, rng: np.random.Generator) -> Row:
    exponent = {"siemens": rng.uniform(-9, -5), "mixed": rng.uniform(-9, 6)}.get(family, rng.uniform(-9, 15))
    spread = rng.choice([0.0, 1.0, 4.0, 12.0])
    weights = rng.uniform(1, 10, size) * 10.0 ** (exponent + spread * rng.uniform(-1, 0, size))
    if rng.random() < 0.7:  # as people write them
        digits = int(rng.integers(1, 12))
        weights = np.array([float(f"{weight:.{digits}e}") for weight in weights.tolist()])
    if rng.random() < 0.5 and exponent > 1:
        weights = np.maximum(np.round(weights), 1.0)
    weights[rng.random(size) < 0.25] = 0.0
    weights[rng.random(size) < 0.15] *= -1.0
    total = float(np.abs(weights).sum())
    limit = float(rng.uniform(0.1, 0.9)) * total
    if family == "equalities":
        point, unit = rng.integers(0, 2, size), 2.0 ** (math.frexp(total)[1] - 48)
        weights = np.round(weights / unit) * unit  # so that the sum is exact
        return weights.tolist(), *[math.fsum(w * x for w, x in zip(weights, point, strict=True))] * 2
    if rng.random() < 0.6:  # the last binary switches the row off
        weights[n - 1] = -max(total, 1e-9) * 10.0 ** (rng.uniform(0, 6) if rng.random() < 0.3 else 0.0)
    if rng.random() < 0.5:
        limit = float(np.format_float_positional(limit, 4, fractional=False))
    if family == "mixed" and rng.random() < 0.6:  # x <= M b
        weights = np.zeros(size)
        x, b = int(rng.integers(n, size)), int(rng.integers(n))
        weights[x], weights[b], limit = 1.0, -(10.0 ** rng.integers(1, 10)), 0.0
    return (weights.tolist(), -math.inf, limit) if rng.random() < 0.8 else ((-weights).tolist(), -limit, math.inf)


def _program(
    cost: np.ndarray, rows: list[Row], low: np.ndarray, high: np.ndarray, whole: np.ndarray
) -> ProgramInstance:
    kept = [[(v, a) for v, a in enumerate(row) if a != 0.0] for row, _, _ in rows]
    starts = np.concatenate([[0], np.cumsum([len(row) for row in kept])])
    entries = [entry for row in kept for entry in row]
    return ProgramInstance(
        cost,
        starts.astype(int),
        np.array([v for v, _ in entries], int),
        np.array([a for _, a in entries], float),
        np.array([least for _, least, _ in rows]),
        np.array([most for _, _, most in rows]),
        low,
        high,
        whole,
    )


Limit = tuple[dict[int, int], int]  # sum of terms <= number; in whole numbers, which floats times a power of two are


def truth(program: ProgramInstance) -> Truth:
    """The exact optimum: every choice of the whole variables, and for each of them every vertex of the others."""
    whole, free = (np.flatnonzero(part).tolist() for part in (program.integral, ~program.integral))
    cost, unit = _as_whole(program.cost.tolist())
    split = [
        ([(n, terms[v]) for n, v in enumerate(whole) if v in terms], {v: terms[v] for v in free if v in terms}, most)
        for terms, most in (*_limits(program), *_bounds(program, free))
    ]
    best: Fraction | None = None
    for chosen in itertools.product(*(range(int(program.low[v]), int(program.high[v]) + 1) for v in whole)):
        limits = ((rest, most - sum(a * chosen[n] for n, a in fixed)) for fixed, rest, most in split)
        rest = _least([cost[v] for v in free], free, limits)
        if rest is not None:
            value = rest + sum(cost[v] * x for v, x in zip(whole, chosen, strict=True))
            best = value if best is None or value < best else best
    return Truth(None if best is None else best / unit + Fraction(program.offset))


def _as_whole(numbers: list[float]) -> tuple[list[int], int]:
    """The numbers times the least power of two that makes them whole, and that power."""
    parts = [number.as_integer_ratio() for number in numbers]
    unit = max((below for _, below in parts), default=1)
    return [above * (unit // below) for above, below in parts], unit


def _limits(program: ProgramInstance) -> Iterator[Limit]:
    for i in range(program.n_rows):
        variables, values = program.row(i)
        for sign, end in ((1.0, program.row_high[i]), (-1.0, -program.row_low[i])):
            if end < math.inf:
                *numbers, most = _as_whole([*(sign * values).tolist(), float(end)])[0]
                yield dict(zip(variables.tolist(), numbers, strict=True)), most


def _bounds(program: ProgramInstance, free: list[int]) -> Iterator[Limit]:
    for v in free:
        for sign, end in ((1, program.high[v]), (-1, -program.low[v])):
            if end < math.inf:
                (most,), unit = _as_whole([float(end)])
                yield {v: sign * unit}, most


def _least(cost: list[int], free: list[int], limits: Iterator[Limit]) -> Fraction | None:
    """The least cost over at most two continuous variables, at one of the vertices; None without a point."""
    kept = []
    for terms, most in limits:
        if not terms and most < 0:
            return None
        if terms:
            kept.append((terms, most))
    found = None
    for tight in itertools.combinations(kept, len(free)):
        point, below = _meet(tight, free)
        if below and all(sum(a * point[v] for v, a in terms.items()) <= most * below for terms, most in kept):
            value = Fraction(sum(c * point[v] for c, v in zip(cost, free, strict=True)), below)
            found = value if found is None or value < found else found
    return found


def _meet(tight: tuple[Limit, ...], free: list[int]) -> tuple[dict[int, int], int]:
    """The point at which one or two limits are equalities, times the number > 0 that comes with it; 0 for none."""
    if not free:
        return {}, 1
    rows = [([terms.get(v, 0) for v in free], most) for terms, most in tight]
    if len(free) == 1:
        (((below,), most),) = rows
        point = [most]
    else:
        ((a, b), p), ((c, d), q) = rows
        below, point = a * d - b * c, [p * d - b * q, a * q - p * c]
    sign = -1 if below < 0 else 1
    return {v: sign * number for v, number in zip(free, point, strict=True)}, sign * below


def outcome(solver: Solver, program: ProgramInstance, known: Truth) -> str:
    """What became of one program: refused, false, claimed (truly) or open."""
    if refusal(solver, program) is not None:
        return "refused"
    result = solver.solve(program, Limits(seconds=20.0), np.random.default_rng(0))
    objective = None if result.solution is None else check(program, result.solution).objective
    if known.belies(result, objective):
        return "false"
    return "claimed" if result.status in (Status.OPTIMAL, Status.INFEASIBLE) else "open"


def main() -> None:
    """Judge every engine on as many programs of every family."""
    count, seed = (int(word) for word in (*sys.argv[1:], "2000", "1")[:2])
    rng = np.random.default_rng(seed)
    table: dict[tuple[str, str], Counter[str]] = {}
    for number in range(count):
        family = FAMILIES[number % len(FAMILIES)]
        program = random_program(family, rng)
        known = truth(program)
        for name, solver in ENGINES.items():
            table.setdefault((name, family), Counter())[outcome(solver, program, known)] += 1
    for (name, family), found in sorted(table.items()):
        print(
            f"{name:<7}{family:<12}"
            + "  ".join(f"{found[word]:5} {word}" for word in ("claimed", "false", "open", "refused"))
        )


if __name__ == "__main__":
    main()
