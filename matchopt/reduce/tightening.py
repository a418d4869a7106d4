"""A program with the same points and gentler numbers: what large constants decide is worked out exactly beforehand.

The steps are those of M. W. P. Savelsbergh, "Preprocessing and probing techniques for mixed integer programming
problems", ORSA Journal on Computing 6 (1994), doi:10.1287/ijoc.6.4.445, in fractions: a float stands for the shortest
decimal that reads back as it, so 0.1 is a tenth.
"""

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from matchopt.instances import ProgramInstance
from matchopt.instances.demands import AT_0_1, understanding

PASSES = 10  # over the rows at hand; a chain of more rows that bound one another is left unbounded
LARGEST = 2**1000  # of derived bounds of continuous variables
EVEN = 2.0**10  # rows whose coefficients and limits differ by less are left as they are
MOST_ENTRIES = 200_000  # of rows at hand; some seconds of work
ROUNDING = Fraction(1, 2**50)  # of the sum of a row's terms: what floats without a short decimal may be off by


@dataclass
class _Row:
    """low <= sum of coefficient * variable <= high; None is no limit."""

    number: int
    terms: dict[int, Fraction]
    low: Fraction | None
    high: Fraction | None


class _Bounds(dict[int, tuple[Fraction | None, Fraction | None]]):
    """Lower and upper bound of the variables at hand; None is none."""

    def sums(self, terms: dict[int, Fraction]) -> list[tuple[Fraction, int]]:
        """The least and the largest sum of the terms that are limited, each with the number of those that are not."""
        found = []
        for side in (0, 1):
            ends = [(a, self[v][side if a > 0 else 1 - side]) for v, a in terms.items()]
            known = [a * end for a, end in ends if end is not None]
            found.append((sum(known, Fraction(0)), len(ends) - len(known)))
        return found

    def ends(self, terms: dict[int, Fraction]) -> tuple[Fraction | None, Fraction | None]:
        """The least and the largest sum of the terms."""
        least, most = (None if unlimited else total for total, unlimited in self.sums(terms))
        return least, most

    def reach(self, terms: dict[int, Fraction]) -> Fraction:
        """The largest absolute sum of the terms, as far as it is limited."""
        return max((abs(end) for end in self.ends(terms) if end is not None), default=Fraction(0))


@understanding("the tightening of programs", AT_0_1["program"])
def tightened(instance: ProgramInstance) -> ProgramInstance | str:
    """Tighten bounds of variables and coefficients of uneven rows, as far as single rows imply it.

    A row that always holds loses its coefficients, a switch ("big M") gets the least constant that does its work, and
    variables keep the values that each row allows by itself; rows of whole variables without bounds are looked at
    for that too. The points whose whole variables are whole stay the same.

    Returns
    -------
    ProgramInstance or str
        the program, the same object if there was nothing to do; or the sentence that proves that it has no point.
    """
    rows = [_row(instance, number) for number in _at_hand(instance)]
    impossible = _impossible(instance)
    if impossible or not rows:
        return impossible or instance
    bounds = _Bounds({v: _ends(instance, v) for row in rows for v in row.terms})
    for row in rows:
        _widen(row, bounds)
    for _ in range(PASSES):
        before = [(dict(row.terms), row.low, row.high) for row in rows], dict(bounds)
        for row in rows:
            if _drop_slack(row, bounds) or not _bound_variables(row, bounds, instance.integral):
                return f"row {instance.row_name(row.number)} cannot be met within the bounds of its variables"
            _tighten(row, bounds, instance.integral)
        if before == ([(row.terms, row.low, row.high) for row in rows], bounds):
            break
    try:
        return _rebuilt(instance, rows, bounds)
    except OverflowError:  # a bound is no float any more
        return instance


def _impossible(instance: ProgramInstance) -> str:
    """Which bounds of a variable or a row rule out every point by themselves; empty if none do."""
    low = np.where(instance.integral, np.ceil(instance.low), instance.low)
    crossed = low > np.where(instance.integral, np.floor(instance.high), instance.high)
    if crossed.any():
        return f"the bounds of variable {instance.variable_name(int(np.argmax(crossed)))} cannot be met"
    empty = np.diff(instance.indptr) == 0
    wrong = (instance.row_low > instance.row_high) | (empty & ((instance.row_low > 0) | (instance.row_high < 0)))
    return f"the bounds of row {instance.row_name(int(np.argmax(wrong)))} cannot be met" if wrong.any() else ""


def _at_hand(instance: ProgramInstance) -> list[int]:
    """The uneven rows and those of whole variables without bounds, unless they are too many."""
    lengths = np.diff(instance.indptr)
    filled, size = np.flatnonzero(lengths), np.abs(instance.coefficients)
    if not len(filled):
        return []
    starts = instance.indptr[filled]
    largest, least = np.maximum.reduceat(size, starts), np.minimum.reduceat(np.where(size > 0.0, size, np.inf), starts)
    limits = np.abs(np.stack([instance.row_low[filled], instance.row_high[filled]]))
    tiny = ((limits > 0.0) & (limits < least / EVEN)).any(axis=0)
    unbounded = instance.integral & np.isinf(np.stack([instance.low, instance.high])).any(axis=0)
    chosen = (largest > EVEN * least) | (largest > EVEN**2) | tiny
    chosen |= np.logical_or.reduceat(unbounded[instance.indices], starts)
    found = filled[chosen & (largest > 0.0)]
    return [int(number) for number in found[np.cumsum(lengths[found]) <= MOST_ENTRIES]]


def _row(instance: ProgramInstance, number: int) -> _Row:
    variables, coefficients = instance.row(number)
    pairs = zip(variables.tolist(), coefficients.tolist(), strict=True)
    terms = {v: _fraction(a) for v, a in pairs if a != 0.0}
    return _Row(number, terms, _limit(instance.row_low[number]), _limit(instance.row_high[number]))


def _widen(row: _Row, bounds: _Bounds) -> None:
    """Allow for the rounding of numbers that are no short decimals, such as thirds."""
    numbers = [*row.terms.values(), *(limit for limit in (row.low, row.high) if limit is not None)]
    if max(len(str(number.numerator).rstrip("0")) for number in numbers) < 16:
        return
    sizes = {v: abs(a) for v, a in row.terms.items()}
    slack = ROUNDING * max(bounds.reach(sizes), *sizes.values())
    row.low = None if row.low is None else row.low - slack
    row.high = None if row.high is None else row.high + slack


def _drop_slack(row: _Row, bounds: _Bounds) -> bool:
    """Drop terms that are constant and limits that always hold; whether a limit never does."""
    for v in [v for v in row.terms if bounds[v][0] == bounds[v][1] is not None]:
        constant = row.terms.pop(v) * (bounds[v][0] or 0)
        row.low = None if row.low is None else row.low - constant
        row.high = None if row.high is None else row.high - constant
    least, most = bounds.ends(row.terms)
    if (row.high is not None and least is not None and least > row.high) or (
        row.low is not None and most is not None and most < row.low
    ):
        return True
    if row.high is not None and most is not None and most <= row.high:
        row.high = None
    if row.low is not None and least is not None and least >= row.low:
        row.low = None
    if row.low is None and row.high is None:
        row.terms = {}
    return False


def _bound_variables(row: _Row, bounds: _Bounds, integral: np.ndarray) -> bool:
    """Leave variables the values that the row allows, continuous ones where that halves them; False if none is left."""
    sums = bounds.sums(row.terms)
    for v, a in row.terms.items():
        low, high = bounds[v]
        for limit, (total, unlimited), rises in ((row.high, sums[0], a > 0), (row.low, sums[1], a < 0)):
            own = bounds[v][0 if rises else 1]
            if limit is None or unlimited != (own is None):
                continue
            end = (limit - total) / a + (own or 0)  # the others at their best
            if integral[v]:
                end = Fraction(math.floor(end) if rises else math.ceil(end))
            elif low is not None and high is not None and 2 * (end - low if rises else high - end) > high - low:
                continue
            elif abs(end) < LARGEST:  # rounded outwards, so that fractions stay short
                end = _fraction(_no_less(end) if rises else -_no_less(-end))
            if rises:
                high = end if high is None else min(high, end)
            else:
                low = end if low is None else max(low, end)
        if low is not None and high is not None and low > high:
            return False
        bounds[v] = low, high
    return True


def _tighten(row: _Row, bounds: _Bounds, integral: np.ndarray) -> None:
    """Give each whole variable of a row with one limit the coefficient of least size with the same whole points."""
    if (row.low is None) == (row.high is None):
        return
    sign = 1 if row.low is None else -1  # as sum <= limit
    limit = row.high if row.low is None else -row.low
    assert limit is not None
    most = bounds.ends({v: sign * a for v, a in row.terms.items()})[1]
    if most is None:
        return
    for v in sorted(row.terms, key=lambda v: -abs(row.terms[v])):
        a, (low, high) = sign * row.terms[v], bounds[v]
        end = high if a > 0 else low
        spare = limit - (most - abs(a))  # one step away from its best end the row holds whatever the others are
        if not integral[v] or end is None or low == high or spare <= 0 or spare >= abs(a):
            continue
        shift = spare if a > 0 else -spare
        row.terms[v], limit, most = sign * (a - shift), limit - shift * end, most - shift * end
    row.low, row.high = (None, limit) if sign > 0 else (-limit, None)


def _rebuilt(instance: ProgramInstance, rows: list[_Row], bounds: _Bounds) -> ProgramInstance:
    coefficients, low, high = instance.coefficients.copy(), instance.low.copy(), instance.high.copy()
    row_low, row_high = instance.row_low.copy(), instance.row_high.copy()
    for row in rows:
        part = slice(int(instance.indptr[row.number]), int(instance.indptr[row.number + 1]))
        coefficients[part] = [float(row.terms.get(v, 0)) for v in instance.indices[part].tolist()]
        # Rounding the coefficients must rule out no point.
        lost = bounds.reach({v: abs(_fraction(float(a)) - a) for v, a in row.terms.items()})
        row_low[row.number] = -np.inf if row.low is None else -_no_less(lost - row.low)
        row_high[row.number] = np.inf if row.high is None else _no_less(row.high + lost)
    for v, (least, most) in bounds.items():
        low[v], high[v] = -np.inf if least is None else float(least), np.inf if most is None else float(most)
    used = coefficients != 0.0
    indptr = np.concatenate([[0], np.cumsum(used)])[instance.indptr]
    return replace(
        instance, indptr=indptr, indices=instance.indices[used], coefficients=coefficients[used],
        row_low=row_low, row_high=row_high, low=low, high=high,
    )  # fmt: skip


def _ends(instance: ProgramInstance, v: int) -> tuple[Fraction | None, Fraction | None]:
    low, high = _limit(instance.low[v]), _limit(instance.high[v])
    if not instance.integral[v]:
        return low, high
    return (None if low is None else Fraction(math.ceil(low)), None if high is None else Fraction(math.floor(high)))


def _limit(value: float) -> Fraction | None:
    return _fraction(float(value)) if math.isfinite(value) else None


def _no_less(exact: Fraction) -> float:
    """The least float that stands for no less."""
    value = float(exact)
    return value if _fraction(value) >= exact else math.nextafter(value, math.inf)


def _fraction(value: float) -> Fraction:
    return Fraction(repr(value))
