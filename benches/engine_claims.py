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


def truth(program: ProgramInstance) -> Truth:
    """The exact optimum: every choice of the whole variables, and for each of them every vertex of the others."""
    whole, free = (np.flatnonzero(part).tolist() for part in (program.integral, ~program.integral))
    cost = [Fraction(c) for c in program.cost.tolist()]
    rows = []
    for i in range(program.n_rows):
        variables, values = program.row(i)
        terms = {int(v): Fraction(a) for v, a in zip(variables, values.tolist(), strict=True)}
        rows.append((terms, float(program.row_low[i]), float(program.row_high[i])))
    best: Fraction | None = None
    for chosen in itertools.product(*(range(int(program.low[v]), int(program.high[v]) + 1) for v in whole)):
        x = dict(zip(whole, map(Fraction, chosen), strict=True))
        limits = [*_limits(rows, x), *_bounds(program, free)]
        rest = _least([cost[v] for v in free], free, limits)
        if rest is not None:
            value = sum((cost[v] * x[v] for v in whole), rest) + Fraction(program.offset)
            best = value if best is None or value < best else best
    return Truth(best)


Limit = tuple[dict[int, Fraction], Fraction]  # sum of terms <= number


def _limits(rows: list[tuple[dict[int, Fraction], float, float]], x: dict[int, Fraction]) -> Iterator[Limit]:
    for terms, low, high in rows:
        fixed = sum((a * x[v] for v, a in terms.items() if v in x), Fraction(0))
        rest = {v: a for v, a in terms.items() if v not in x}
        if high < math.inf:
            yield rest, Fraction(high) - fixed
        if low > -math.inf:
            yield {v: -a for v, a in rest.items()}, fixed - Fraction(low)


def _bounds(program: ProgramInstance, free: list[int]) -> Iterator[Limit]:
    for v in free:
        if program.high[v] < math.inf:
            yield {v: Fraction(1)}, Fraction(float(program.high[v]))
        if program.low[v] > -math.inf:
            yield {v: Fraction(-1)}, -Fraction(float(program.low[v]))


def _least(cost: list[Fraction], free: list[int], limits: list[Limit]) -> Fraction | None:
    """The least cost over at most two continuous variables, at one of the vertices; None without a point."""
    empty = [most for terms, most in limits if not terms]
    if any(most < 0 for most in empty):
        return None
    limits = [limit for limit in limits if limit[0]]
    found = None
    for tight in itertools.combinations(limits, len(free)):
        point = _meet(tight, free)
        if point is None:
            continue
        if all(sum(a * point[v] for v, a in terms.items()) <= most for terms, most in limits):
            value = sum((c * point[v] for c, v in zip(cost, free, strict=True)), Fraction(0))
            found = value if found is None or value < found else found
    return found


def _meet(tight: tuple[Limit, ...], free: list[int]) -> dict[int, Fraction] | None:
    """The point at which one or two limits are equalities."""
    if not free:
        return {}
    rows = [([terms.get(v, Fraction(0)) for v in free], most) for terms, most in tight]
    if len(free) == 1:
        (((a,), most),) = rows
        return None if a == 0 else {free[0]: most / a}
    ((a, b), p), ((c, d), q) = rows
    determinant = a * d - b * c
    if determinant == 0:
        return None
    return {free[0]: (p * d - b * q) / determinant, free[1]: (a * q - p * c) / determinant}


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
