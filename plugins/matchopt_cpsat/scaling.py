"""Rows and objectives in floats as rows and objectives in integers, with what that costs in exactness.

A coefficient that is no whole number stands for the shortest decimal that reads back as it: 0.1 is a tenth. A third has
no such decimal, so a row holds if it does within a billionth of its largest terms, 1e-6 at most.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

LARGEST_ROW = 2**60  # CP-SAT sums the terms of a row in 64 bits
ABSOLUTE, RELATIVE = Fraction(1, 10**6), Fraction(1, 10**9)  # what a row may miss its bounds by
LARGEST_OBJECTIVE = 2**53  # CP-SAT reports values and bounds as floats


@dataclass(frozen=True)
class WholeObjective:
    """An objective in integers, close to scale * cost.

    Parameters
    ----------
    coefficients : one integer per variable.
    scale : what the costs were multiplied by, before rounding.
    loss : bound on (coefficients / scale - cost) @ x over all x in question, >= 0; a lower bound on coefficients @ x,
        divided by scale, less `loss`, is one on cost @ x. 0 where the scaling is exact.
    """

    coefficients: list[int]
    scale: Fraction
    loss: float

    def bound(self, whole: float, offset: float) -> float:
        """The lower bound on cost @ x + offset that a lower bound on coefficients @ x proves."""
        if math.isinf(whole) or math.isnan(whole):
            return -math.inf
        exact = Fraction(whole) / self.scale - Fraction(self.loss) + Fraction(offset)
        bound = float(exact)
        return bound if Fraction(bound) <= exact else math.nextafter(bound, -math.inf)


def whole_objective(cost: np.ndarray, reach: np.ndarray, groups: list[np.ndarray], bits: int) -> WholeObjective:
    """Scale an objective so that the sum of its absolute terms stays below about 2^bits.

    Whole and decimal costs are kept exactly if that fits in 2^53. Others are multiplied by a power of two and rounded
    to the nearest integer, the rounding being exact floats; its worst sum is `loss`.

    Parameters
    ----------
    cost : coefficient of each variable.
    reach : largest absolute value of each variable.
    groups : disjoint sets of variables >= 0, of each of which the sum is at most 1; they keep `loss` small.
    bits : 1 .. 53.
    """
    exact = _decimal(cost)
    if exact is not None:
        whole, scale = exact
        if _largest(whole, reach) <= LARGEST_OBJECTIVE:
            decimals = 0.0 if scale == 1 else float((np.abs(cost) * reach).sum()) * 2.0**-52  # float against decimal
            return WholeObjective(whole, Fraction(scale), decimals)
    _, exponent = math.frexp(math.fsum(np.abs(cost) * reach))
    shift = min(bits - exponent, 1000)
    scaled = np.ldexp(cost, shift)
    rounded = np.round(scaled)
    error = np.maximum(rounded - scaled, scaled - rounded)
    loss = 0.0
    single = np.ones(len(cost), bool)
    for group in groups:
        loss += float(error[group].max(initial=0.0))
        single[group] = False
    loss += float((error * reach)[single].sum())
    # One part in 2^40 covers the rounding of the sum itself.
    return WholeObjective(
        [int(c) for c in rounded.tolist()], Fraction(2) ** shift, math.ldexp(loss * (1 + 2.0**-40), -shift)
    )


def whole_row(
    coefficients: np.ndarray, low: float, high: float, reach: np.ndarray
) -> tuple[list[int], int, int] | None:
    """A row of integers with the same whole points, and its bounds; None where 64 bits do not hold it."""
    exact = _decimal(coefficients)
    if exact is None:
        return None
    whole, scale = exact
    divisor = math.gcd(*whole) or 1
    whole = [c // divisor for c in whole]
    most = _largest(whole, reach)
    if most > LARGEST_ROW:
        return None
    factor, slack = Fraction(scale, divisor), Fraction(0)
    if scale == divisor == 1 and all(math.isinf(end) or end.is_integer() for end in (low, high)):
        ends = [-most if low == -math.inf else int(low), most if high == math.inf else int(high)]  # fractions are slow
    else:
        slack = min(ABSOLUTE * factor, RELATIVE * most)
        ends = [-most if low == -math.inf else math.ceil(_fraction(low) * factor - slack)]
        ends += [most if high == math.inf else math.floor(_fraction(high) * factor + slack)]
    least, upmost = (min(max(end, -most - 1), most + 1) for end in ends)
    return whole, least, upmost


def _largest(coefficients: list[int], reach: np.ndarray) -> int:
    """The largest sum of absolute terms, exactly."""
    return sum(abs(c) * int(r) for c, r in zip(coefficients, reach.tolist(), strict=True))


def _decimal(values: np.ndarray) -> tuple[list[int], int] | None:
    """Integers and a common denominator of the decimals that `values` stand for; None where that takes over 64 bits."""
    if bool((values == np.round(values)).all()):
        return [int(value) for value in values.tolist()], 1
    scale = 1
    fractions = []
    for value in values.tolist():
        fractions.append(_fraction(value))
        scale = math.lcm(scale, fractions[-1].denominator)
        if scale >= 2**63:
            return None
    return [int(fraction * scale) for fraction in fractions], scale


def _fraction(value: float) -> Fraction:
    return Fraction(repr(value))
