"""Layers whose error is a sum over pairs of a target row and a hardware neuron, and lower bounds on those pairs.

With free routing and one cell per weight, row i on neuron j with gain g costs the sum over its connections (weight a,
importance q) of q * ((a - g h)^2 + g^2 v) for the cell (h, v) it takes, q * a^2 where it is dropped, or a price where a
fully tunable weight serves it (`matchopt.proofs.budget` finds one for a budget of these). A wire to an input outside
the support would add q' * ((g h)^2 + g^2 v) >= 0 (q' is 1, or S[x,x] >= 0) and take a cell away, so extra inputs never
help and are left out of every bound.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from matchopt.errors import Refused
from matchopt.instances import LayerInstance
from matchopt.instances.demands import AT_0_1, understanding
from matchopt.instances.menus import FIELDS as MENUS
from matchopt.proofs.assignment import HALF_ULP
from matchopt.proofs.cells import Cells, Chip, envelope, nearest
from matchopt.proofs.effort import Effort

MOST_NUMBER = 1e60  # a product of five such numbers, added up over a layer, stays finite; one of their inverses normal
MOST_UNDER_INTERVAL = 1e30  # under gains in an interval such products are divided by gains and by their differences
LARGE = 5 * 10**6  # connections times neurons, of which NumPy relaxes as many in 0.1 s; settling takes longer
NO_NOISE = np.zeros(0)
MOST_PAIRS = 2**26  # entries of the table of pairs: 512 MiB
MOST_STREAMED = 2**31  # pairs where few of each row are kept


@dataclass(frozen=True, eq=False)
class Separable:
    """A separable layer, connections sorted by row and weight.

    Parameters
    ----------
    row_of : row of each connection.
    weight : target weight a of each connection, ascending within a row.
    factor : importance q of each connection's squared error.
    drop : whether connections may be left out.
    chip : the hardware.
    cells : the same at each allowed gain; none where any gain of an interval is allowed.
    interval : ends of that interval.
    n_rows : number of target rows.
    price : what a tunable weight costs, which any connection may have; inf for none.
    """

    row_of: Int[np.ndarray, " connections"]
    weight: Float[np.ndarray, " connections"]
    factor: Float[np.ndarray, " connections"]
    drop: bool
    chip: Chip
    cells: tuple[Cells, ...]
    interval: tuple[float, float] | None
    n_rows: int
    price: float = np.inf

    @cached_property
    def fan_in(self) -> Int[np.ndarray, " rows"]:
        """Connections of each row."""
        return np.bincount(self.row_of, minlength=self.n_rows)

    @cached_property
    def starts(self) -> Int[np.ndarray, " rows_and_one"]:
        """First connection of each row, and the number of connections."""
        return np.concatenate([[0], np.cumsum(self.fan_in)])

    @cached_property
    def uniform(self) -> Bool[np.ndarray, " rows"]:
        """Whether importance is constant within each row."""
        differs = (np.diff(self.factor) != 0) & (np.diff(self.row_of) == 0)
        return np.asarray(np.bincount(self.row_of[1:][differs], minlength=self.n_rows) == 0)

    @cached_property
    def rounding(self) -> Float[np.ndarray, " rows"]:
        """How far the computed cost of each row on a neuron may be off, as a share of that cost and `dropped`.

        One connection's cost is off by at most a few roundings of q (a^2 + x^2), and x^2 <= 2 (a^2 + its cost); a sum
        of n of them by n more.
        """
        return np.asarray(HALF_ULP * (64.0 + 4.0 * self.fan_in))

    @cached_property
    def by_weight(self) -> Int[np.ndarray, " connections"]:
        """The connections of all rows in one order, by weight."""
        return np.argsort(self.weight, kind="stable")

    @cached_property
    def ascending(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weight, row and factor of each connection in that order."""
        return self.weight[self.by_weight], self.row_of[self.by_weight], self.factor[self.by_weight]

    @cached_property
    def places(self) -> Int[np.ndarray, " connections"]:
        """Where each connection stands in that order."""
        back = np.empty_like(self.by_weight)
        back[self.by_weight] = np.arange(len(back))
        return back

    @property
    def relaxation(self) -> float:
        """Steps of effort to relax all rows on one neuron."""
        return (5.0 if self.large else 15.0) * len(self.weight)

    @cached_property
    def large(self) -> bool:
        """Whether compiled loops are worth loading."""
        return len(self.weight) * self.n_neurons * max(1, len(self.cells)) >= LARGE

    def each(self, work: Callable[[Any], None], items: Iterable[Any]) -> None:
        """Do the work on every item; on all cores where it is compiled, as that holds no lock."""
        if not self.large:
            for item in items:
                work(item)
            return
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(work, items))

    @property
    def n_neurons(self) -> int:
        """Number of hardware neurons."""
        return int(self.chip.weights.shape[0])

    @property
    def n_cells(self) -> int:
        """Number of cells of each hardware neuron, unusable ones included."""
        return int(self.chip.weights.shape[1])

    @cached_property
    def unrealised(self) -> Float[np.ndarray, " connections"]:
        """q * a^2, the cost of dropping each connection."""
        return np.asarray(self.factor * self.weight * self.weight)

    @cached_property
    def dropped(self) -> Float[np.ndarray, " rows"]:
        """The cost of each row with all its connections dropped."""
        return np.bincount(self.row_of, self.unrealised, minlength=self.n_rows).astype(np.float64)

    @cached_property
    def skip(self) -> Float[np.ndarray, " some_connections"]:
        """The cost of each connection without a cell; empty where all need one."""
        if not self.drop and self.price == np.inf:
            return np.zeros(0)
        return np.asarray(np.minimum(self.unrealised if self.drop else np.inf, np.full(len(self.weight), self.price)))

    @cached_property
    def relative_skip(self) -> Float[np.ndarray, " some_connections"]:
        """The same over importance, as if that were not 0 where it is: those that want one cell are neighbours then."""
        square = self.weight * self.weight if self.drop else np.full(len(self.weight), np.inf)
        if not self.skip.size or self.price == np.inf:
            return square if self.skip.size else self.skip
        return np.where(self.factor > 0.0, self.skip / np.where(self.factor > 0.0, self.factor, 1.0), square)

    @cached_property
    def unwired(self) -> Float[np.ndarray, " rows"]:
        """The cost of each row without any cell; inf where it needs some."""
        if self.skip.size or not self.weight.size:
            return np.bincount(self.row_of, self.skip, minlength=self.n_rows).astype(np.float64)
        return np.where(self.fan_in > 0, np.inf, 0.0)


# What couples rows, or connections of a row, is not here; cells of one neuron alone share no line, so none leaks.
UNDERSTOOD = AT_0_1["layer"] - {"shared-bus", "several-cells", "tunable", "correlated-inputs"}


@understanding("the proof of a bound on layers", UNDERSTOOD)
def separable(instance: LayerInstance, most_pairs: int = MOST_PAIRS) -> Separable:
    """Take a layer of at most so many pairs apart.

    Raises
    ------
    Refused
        when the error is no sum over pairs of rows and neurons, or there are too many pairs.
    """
    refuse_unfit(instance, most_pairs)
    target = instance.target
    order = np.lexsort((target.weights, target.row_of))
    factor = instance.objective.importance(target)
    gains, chip = instance.rules.gains, Chip.of(instance.hardware)
    interval = None if gains.low is None or gains.high is None else (gains.low, gains.high)
    return Separable(
        target.row_of[order],
        target.weights[order],
        factor[order],
        instance.rules.drop,
        chip,
        tuple(chip.at(gain) for gain in gains.values or ()),
        interval,
        instance.n_rows,
    )


def refuse_unfit(instance: LayerInstance, most_pairs: int = MOST_PAIRS) -> None:
    """Raise Refused where numbers are too large or too small for proofs in floats, or pairs too many."""
    most = MOST_UNDER_INTERVAL if instance.rules.gains.is_interval else MOST_NUMBER
    reasons = {
        f"it has numbers beyond {most:.0e}, or below {1.0 / most:.0e} but not 0": _extreme(instance) > most,
        f"it has more than {most_pairs} pairs": instance.n_rows * instance.hardware.n_neurons > most_pairs,
    }
    for reason, holds in reasons.items():
        if holds:
            raise Refused(f"no independent proof of a bound on this layer is known here: {reason}")


def _extreme(instance: LayerInstance) -> float:
    """The largest of all numbers and of the inverses of all that are not 0."""
    target, hardware = instance.target, instance.hardware
    arrays = [target.weights, target.importance, hardware.weights, hardware.variance]
    arrays += instance.objective.parts().arrays.values()
    if hardware.programmable:
        arrays += [np.nan_to_num(getattr(hardware, name)) for name in MENUS]
    gains = instance.rules.gains
    arrays.append(np.array([gain for gain in (*(gains.values or ()), gains.low, gains.high) if gain is not None]))
    sizes = [np.abs(array[array != 0.0]) for array in arrays]
    least = min(float(size.min(initial=1.0)) for size in sizes)
    return max(1.0 / max(least, 1e-300), *(float(size.max(initial=0.0)) for size in sizes))


def pair_bounds(
    problem: Separable, effort: Effort
) -> tuple[Float[np.ndarray, "rows neurons"], Bool[np.ndarray, "rows neurons"]]:
    """Lower bounds on all pairs at the best of finitely many gains, and where they are exact.

    A bound is exact where the cheapest cells are all different: then the relaxed choice is a matching. Neurons that
    are not reached before the effort is spent get the bound 0.

    Returns
    -------
    bounds, exact : shape (rows, neurons); a bound is inf where the row does not fit the neuron.
    """
    shape = (problem.n_rows, problem.n_neurons)
    bounds, exact = np.full(shape[::-1], np.inf), np.ones(shape[::-1], bool)  # a neuron's rows side by side
    reach = effort.afford(problem.relaxation * len(problem.cells), shape[1])

    def relax(j: int) -> None:
        if j >= reach or effort.late_by_the_clock:
            bounds[j], exact[j] = 0.0, False
            return
        for cells in problem.cells:
            sums, clashes = relaxed_costs(problem, cells, j)
            exact[j] = np.where(sums < bounds[j], clashes == 0, exact[j] | ((sums == bounds[j]) & (clashes == 0)))
            bounds[j] = np.minimum(bounds[j], sums)

    problem.each(relax, range(shape[1]))
    exact |= np.isposinf(bounds)
    return np.ascontiguousarray(bounds.T), np.ascontiguousarray(exact.T)


def relaxed_costs(
    problem: Separable, cells: Cells, j: int
) -> tuple[Float[np.ndarray, " rows"], Int[np.ndarray, " rows"]]:
    """What each row costs on neuron `j` if several connections may take one cell, and how often they do.

    Costs are inf where the row does not fit.
    """
    if cells.first[j] < cells.last[j] and problem.large:
        sums, clashes = _relaxed(problem, cells, j)
    elif cells.first[j] < cells.last[j]:
        picked, cost = nearest(cells, j, problem.ascending[0])
        sums, clashes = _row_sums(problem, picked[problem.places], cost[problem.places])
    else:
        sums, clashes = problem.unwired.copy(), np.zeros(problem.n_rows, np.int64)
    if problem.price < np.inf:  # rows of unequal importance may pass over weights between two that want one cell
        clashes[~problem.uniform] += 1
    if not problem.skip.size:
        sums[problem.fan_in > cells.last[j] - cells.first[j]] = np.inf
    return sums, clashes


def _relaxed(problem: Separable, cells: Cells, j: int) -> tuple[Float[np.ndarray, " rows"], Int[np.ndarray, " rows"]]:
    from matchopt.proofs import loops

    on, breakpoints = envelope(cells, j)
    usable = slice(int(cells.first[j]), int(cells.last[j]))
    value, noise = cells.value[j, usable], NO_NOISE if cells.noise is None else cells.noise[j, usable]
    if on is not None:
        value, noise = value[on], noise[on]
    skip = problem.relative_skip
    skip = skip[problem.by_weight] if skip.size else skip
    parts = (value, noise, breakpoints, skip, problem.n_rows)
    found: tuple[np.ndarray, np.ndarray] = loops.relax(*problem.ascending, *parts)
    return found


def _row_sums(
    problem: Separable, picked: Int[np.ndarray, " connections"], cost: Float[np.ndarray, " connections"]
) -> tuple[Float[np.ndarray, " rows"], Int[np.ndarray, " rows"]]:
    """Cost of each row, and how many neighbours in it want the same cell.

    The cheapest cell rises with the weight, and where importance is constant the weights that would rather take a given
    cell than be dropped, or than pay a price, form an interval: those that want one cell are neighbours among weights.
    """
    priced = problem.factor * cost
    clash = (picked[1:] == picked[:-1]) & (problem.row_of[1:] == problem.row_of[:-1])
    if problem.skip.size:
        kept = cost < problem.relative_skip
        priced = np.where(kept, priced, problem.skip)
        clash &= kept[1:] & kept[:-1]
    sums = np.bincount(problem.row_of, priced, minlength=problem.n_rows)
    return sums.astype(np.float64), np.bincount(problem.row_of[1:][clash], minlength=problem.n_rows)
