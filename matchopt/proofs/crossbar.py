"""Bounds for layers whose neurons share lines: what connections cost is split between their rows and their inputs.

On one bus every mapping gives rows different neurons and inputs different lines. Let c[e,j,k] be the least that
connection e can cost on cell (j, k), and split it in any way, c = A + B. Then every row costs at least its cheapest
wiring on its neuron by A, every input its cheapest placement on its line by B, and two assignments over these add up to
a bound on all mappings. With A = c, rows are wired freely, which holds on any number of buses. An ascent lets each side
keep the potentials of its own assignments, by turns, and gives the other all the rest of c: so a split is known by what
one side keeps, which fits in memory where c does not.

Nothing depends on how a split was found: bounds are computed from it alone, and assignments only through potentials
(u, v) with v <= 0, which bound by weak duality whatever they are.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
from jaxtyping import Bool, Float, Int

from matchopt.errors import Refused
from matchopt.instances import LayerInstance, LayerMapping
from matchopt.instances.demands import understanding
from matchopt.instances.menus import FIELDS as MENUS
from matchopt.proofs.assignment import HALF_ULP
from matchopt.proofs.buses import least_on_buses, n_orders
from matchopt.proofs.certificate import Certificate
from matchopt.proofs.crossbar_tree import search
from matchopt.proofs.effort import Effort
from matchopt.proofs.feasible import refuse_wrong_sums
from matchopt.proofs.separable import refuse_unfit

MOST_KEPT = 2**25  # entries of what both sides keep: 256 MiB
MOST_SEARCHED = 2**20  # costs of connections on cells up to which branch and bound may end
SOUGHT = 1e-9  # of the objective: nothing better by less is sought
WORTHWHILE = 1e-3  # relative gain of a step below which the ascent ends
EACH, ENTRY = 2e4, 32.0  # steps of work that one small assignment takes, and each of its entries
UNDERSTOOD = frozenset(
    {"importance", "read-noise", "unusable-cells", "leak", "shared-bus", "drop", "extra-inputs", "gains"}
    | {"output-error", "programmable-cells", "write-budget"}
)
Some = Int[np.ndarray, " some"]
Shares = Float[np.ndarray, "some neurons lines"]


@dataclass(frozen=True, eq=False)
class Coupled:
    """A layer whose neurons share lines, as costs of connections on cells.

    Lines are added where connections may be dropped and a bus has fewer than there are inputs: nothing is wired there.

    Parameters
    ----------
    weight, factor : target weight and importance of each connection.
    items : for rows, and for inputs that have connections: the connections of each.
    weights, variance, off : of the cells at each gain, shape (gains, neurons, lines).
    usable : shape (neurons, lines).
    drop : whether connections may be dropped.
    one_bus : whether all neurons share their lines.
    silent : which connections are none of the target's, but inputs of other rows, whose lines leak into this one; None
        where they are left out.
    extra_inputs : whether those may be wired as well.
    gains : at which cells are given.
    menus : what can be written into cells before any gain, as the fields of `Hardware` in their order, whatever their
        number; None for nothing.
    """

    weight: Float[np.ndarray, " connections"]
    factor: Float[np.ndarray, " connections"]
    items: tuple[list[np.ndarray], list[np.ndarray]]
    weights: Float[np.ndarray, "gains neurons lines"]
    variance: Float[np.ndarray, "gains neurons lines"]
    off: Float[np.ndarray, "gains neurons lines"]
    usable: Bool[np.ndarray, "neurons lines"]
    drop: bool
    one_bus: bool
    silent: Bool[np.ndarray, " connections"] | None = None
    extra_inputs: bool = False
    gains: tuple[float, ...] = (1.0,)
    menus: list[np.ndarray] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Connections, neurons and lines."""
        return (len(self.weight), *self.usable.shape)

    @cached_property
    def item_of(self) -> tuple[Int[np.ndarray, " connections"], Int[np.ndarray, " connections"]]:
        """Row, and number of the input, of each connection."""
        of = np.empty(len(self.weight), np.int64), np.empty(len(self.weight), np.int64)
        for number, items in zip(of, self.items, strict=True):
            for a, e in enumerate(items):
                number[e] = a
        return of

    def costs(self, e: Int[np.ndarray, " some"]) -> Float[np.ndarray, "some neurons lines"]:
        """The least that connections `e` can cost on each cell; inf where they must be wired and cannot be."""
        weight = self.weight[e][:, None, None]
        least = np.full((len(e), *self.usable.shape), np.inf)
        for gain, weights, variance, off in zip(self.gains, self.weights, self.variance, self.off, strict=True):
            wired = (weight - weights) ** 2 + variance
            for value, spread in self._written(weight / gain if gain else 0.0 * weight):
                wired = np.fmin(wired, (weight - gain * value) ** 2 + gain * gain * spread)
            wired = np.where(self.usable, wired, np.inf)
            if self.silent is not None:  # every input drives its line, into each cell on it
                leaks, quiet = self.silent[e][:, None, None], off**2
                wired = np.where(leaks, np.minimum(wired, quiet) if self.extra_inputs else quiet, wired)
            if self.drop:  # what is not wired reads 0, or what its cell leaks
                wired = np.minimum(wired, np.minimum(weight**2, (weight - off) ** 2))
            least = np.minimum(least, wired)
        unpriced = np.where(np.isinf(least), np.inf, 0.0)
        return np.asarray(unpriced + self.factor[e][:, None, None] * np.where(np.isinf(least), 0.0, least))

    def at(self, g: int) -> "Coupled":
        """The same at the gain of this number alone."""
        one = slice(g, g + 1)
        return replace(self, **{name: getattr(self, name)[one] for name in ("weights", "variance", "off", "gains")})

    def _written(self, wanted: Float[np.ndarray, "some _ _"]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Values to write and their variances, NaN where there is none: of ranges the nearest to what is wanted."""
        if self.menus is not None:
            low, high, variance, levels, spreads = self.menus
            yield np.where(wanted < low, low, np.where(wanted > high, high, wanted + 0.0 * low)), variance
            for s in range(levels.shape[2]):
                yield levels[:, :, s], spreads[:, :, s]

    def rounding(self) -> float:
        """What rounding can do to a bound: roundings of the largest cost of each connection, for each number added."""
        longest = max((len(e) for side in self.items for e in side), default=0)
        terms = 64.0 + 4.0 * (longest + sum(self.usable.shape))
        worst = 0.0
        most = sum(float(np.abs(np.nan_to_num(part)).max(initial=0.0)) for part in self.menus or ())
        for gain, weights, variance in zip(self.gains, self.weights, self.variance, strict=True):
            size = np.abs(self.weight) + float(np.abs(weights).max(initial=0.0)) + abs(gain) * most
            spread = float(variance.max(initial=0.0)) + gain * gain * most
            worst = max(worst, float((self.factor * (size**2 + spread)).sum()))
        return HALF_ULP * terms * worst


@understanding("the proof of a bound on layers", UNDERSTOOD)
def coupled(instance: LayerInstance, leaks: bool = False) -> Coupled:
    """Take a layer apart, with what lines leak into rows that do not listen to them where `leaks` asks for it.

    Raises
    ------
    Refused
        when there is no proof for such a layer, or it is too large.
    """
    refuse_unfit(instance)
    target, chip = instance.target, instance.hardware if instance.rules.writes != 0 else instance.hardware.fixed()
    inputs, input_of = np.unique(target.indices, return_inverse=True)
    row_of, weight, factor = target.row_of, target.weights, instance.objective.importance(target)
    silent = np.zeros(len(weight), bool)
    if leaks:
        quiet = np.ones((target.n_rows, len(inputs)), bool)
        quiet[row_of, input_of] = False
        i, x = np.nonzero(quiet)
        row_of, input_of = np.append(row_of, i), np.append(input_of, x)
        weight, silent = np.append(weight, np.zeros(len(i))), np.append(silent, np.ones(len(i), bool))
        factor = np.append(factor, instance.objective.diagonal(target, i, inputs[x]))
    rows, by_input = (
        np.split(np.argsort(of, kind="stable"), np.cumsum(np.bincount(of, minlength=size))[:-1])
        for of, size in ((row_of, target.n_rows), (input_of, len(inputs)))
    )
    extra = max(0, len(inputs) - chip.n_cells) if instance.rules.drop else 0
    values = instance.rules.gains.values or ()
    gains = np.array(values)[:, None, None]
    menus = [getattr(chip, name) for name in MENUS] if chip.programmable else []
    wide = [np.pad(part, [(0, 0), (0, extra), (0, 0)][: part.ndim], constant_values=np.nan) for part in menus]
    weights, variance, off, usable = (
        np.pad(np.asarray(part), ((0, 0), (0, extra))) for part in (chip.weights, chip.variance, chip.off, chip.usable)
    )
    return Coupled(
        weight, factor, (rows if target.n_rows else [], by_input if len(inputs) else []),
        gains * weights, gains * gains * variance, gains * off, usable, instance.rules.drop,
        len(set(chip.bus.tolist())) == 1, silent if leaks else None, instance.rules.extra_inputs,
        values, wide or None,
    )  # fmt: skip


def certify_crossbar(instance: LayerInstance, mapping: LayerMapping, effort: Effort) -> Certificate:
    """See `matchopt.proofs.certify`."""
    problem = coupled(instance)
    refuse_wrong_sums(instance, mapping)
    objective, rounding = instance.value(mapping), problem.rounding()
    bound = 0.0
    for value in _bounds(problem, effort):
        bound = max(bound, value - rounding)
        if bound >= objective - 2.0 * rounding or effort.late:
            break
    if bound >= objective - 2.0 * rounding:
        return Certificate(min(bound, objective), True, False, 2.0 * rounding, "split of costs")
    return _by_search(instance, Certificate(bound, False, False, SOUGHT * objective, "split of costs"), effort)


def _by_search(instance: LayerInstance, known: Certificate, effort: Effort) -> Certificate:
    """Branch and bound where all neurons share one bus and its tables are small, on several what `least_on_buses`
    finds if rows are few; else what is known.

    Where lines leak and connections may be dropped, rows choose among gains, or writes are limited, costs are below
    what mappings cost.
    """
    leaks = "leak" in instance.demands
    problem = coupled(instance, leaks and not instance.rules.drop)
    neurons, lines = problem.usable.shape
    fits = len(problem.items[0]) <= neurons and (len(problem.items[1]) <= lines or not problem.one_bus)
    if not 0 < math.prod(problem.shape) <= MOST_SEARCHED or effort.late or not fits:
        return known
    of = problem.item_of
    row_of = np.unique(of[0], return_inverse=True)[1]  # rows without connections cost nothing anywhere
    exact = not (leaks and instance.rules.drop) and instance.rules.writes is None
    if not problem.one_bus:
        bus, every = instance.hardware.bus, np.arange(len(row_of))
        silent = np.zeros(len(row_of), bool) if problem.silent is None else problem.silent
        if not effort.afford(EACH * n_orders(int(row_of.max()) + 1, len(problem.gains), bus), 1):
            return known
        costs = np.stack([problem.at(g).costs(every) for g in range(len(problem.gains))])
        least, rounding = least_on_buses(costs, row_of, of[1], silent, bus), problem.rounding()
        objective, allowance = known.allowance / SOUGHT, 2.0 * rounding
        bound, better = max(known.bound, min(least, objective) - rounding), least < objective - allowance
        return Certificate(bound, not better, better and exact, allowance, "rows on buses")
    exact = exact and len(problem.gains) == 1
    goal = known.allowance / SOUGHT - known.allowance / 2.0
    found = search(problem.costs(np.arange(len(row_of))), row_of, of[1], goal, effort)
    if found.rounding > known.allowance / 2.0:
        return known
    bound = max(known.bound, found.bound - found.rounding)
    return replace(known, bound=bound, optimal=found.done, improvable=found.better and exact, method="branch and bound")


@understanding("the proof of a bound on layers", UNDERSTOOD)
def split_bound(instance: LayerInstance, rows: Float[np.ndarray, "connections neurons cells"]) -> float:
    """The bound that a split proves, rounding allowed for.

    Parameters
    ----------
    instance : a layer on one bus, with a line for every input that has connections.
    rows : the rows' share of what each connection costs on each cell; the inputs have the rest.

    Raises
    ------
    Refused
        when the split is not one of this layer.
    """
    problem = coupled(instance)
    if not problem.one_bus or rows.shape != problem.shape or not np.isfinite(rows).all():
        raise Refused(f"a split has finite shares of shape {problem.shape} on one bus, found shape {rows.shape}")

    def shares(side: int, e: Some) -> Shares:
        costs = problem.costs(e)
        return costs - rows[e] if side else np.where(np.isinf(costs), np.inf, np.asarray(rows[e], np.float64))

    return max(0.0, math.fsum([_side(problem, side, shares)[0] for side in (0, 1)]) - problem.rounding())


@understanding("the proof of a bound on layers", UNDERSTOOD)
def kept_bound(
    instance: LayerInstance,
    price: Float[np.ndarray, "connections lines"],
    fare: Float[np.ndarray, "inputs neurons lines"],
) -> float:
    """The bound of the split in which inputs keep `price[e, k] + fare[x, j, k]` and rows have the rest.

    Parameters
    ----------
    instance : a layer on one bus, with a line for every input that has connections.
    price : what is kept of connection e, its input on line k.
    fare : what is kept of every connection of input x (those that have some, in order) with its row on neuron j.

    Raises
    ------
    Refused
        when these are not of this layer.
    """
    problem = coupled(instance)
    count, neurons, lines = problem.shape
    wanted = (count, lines), (len(problem.items[1]), neurons, lines)
    if not problem.one_bus or (price.shape, fare.shape) != wanted or not np.isfinite([price.sum(), fare.sum()]).all():
        raise Refused(f"what inputs keep has finite values of shapes {wanted} on one bus, found {price.shape} and "
                      f"{fare.shape}")  # fmt: skip

    def shares(side: int, e: Some) -> Shares:
        kept = np.asarray(price[e][:, None, :] + fare[problem.item_of[1][e]], np.float64)
        return kept if side else problem.costs(e) - kept

    return max(0.0, math.fsum([_side(problem, side, shares)[0] for side in (0, 1)]) - problem.rounding())


def _bounds(problem: Coupled, effort: Effort) -> Iterator[float]:
    """Each side wired freely, then one step of the ascent after the other."""
    sides = (0, 1) if problem.one_bus and problem.shape[2] >= len(problem.items[1]) else (0,)
    for side in sides:
        _count(problem, side, effort)
        if effort.late:
            return
        yield _side(problem, side, lambda _, e: problem.costs(e))[0]
    entries = math.prod(problem.shape[1:]) * (len(problem.items[0]) + len(problem.items[1]))
    if len(sides) == 1 or not 0 < entries <= MOST_KEPT:
        return
    kept: list[Kept | None] = [None, None]
    values, before = [0.0, 0.0], -math.inf
    while True:
        for side in sides:
            _count(problem, side, effort)
            if effort.late:
                return
            values[side], kept[side] = _side(problem, side, partial(_rest, problem, kept[1 - side]), keep=True)
            yield math.fsum(values)
        if math.fsum(values) - before <= WORTHWHILE * abs(math.fsum(values)):  # nothing more, where all is 0 too
            return
        before = math.fsum(values)


def _count(problem: Coupled, side: int, effort: Effort) -> None:
    places, partners = problem.shape[1 + side], problem.shape[2 - side]
    effort.spend(places * (EACH * len(problem.items[side]) + ENTRY * partners * problem.shape[0]))


@dataclass(frozen=True, eq=False)
class Kept:
    """What one side keeps: `price[e, j]` + `fare[a, j, k]` of connection e, its item a on place j, its partner on k."""

    price: Float[np.ndarray, "connections places"]
    fare: Float[np.ndarray, "items places partners"]


def _side(
    problem: Coupled, side: int, shares: Callable[[int, Some], Shares], keep: bool = False
) -> tuple[float, Kept | None]:
    """The bound of one side by its shares, and if asked for what it needs to keep of them for that bound."""
    items, places, partners = problem.items[side], problem.shape[1 + side], problem.shape[2 - side]
    least = np.zeros((len(items), places))
    kept = Kept(np.zeros((problem.shape[0], places)), np.zeros((len(items), places, partners))) if keep else None
    for a, e in enumerate(items):
        if len(e):
            blocks = shares(side, e).transpose((2, 0, 1) if side else (1, 0, 2))
            u, v = potentials(np.ascontiguousarray(blocks))
            least[a] = u.sum(axis=1) + v.sum(axis=1)
            if kept is not None:
                none = np.isinf(least[a])
                kept.price[e], kept.fare[a] = np.where(none, 0.0, u.T), np.where(none[:, None], 0.0, v)
    if not len(items):
        return 0.0, kept
    if len(items) > places or bool(np.isinf(least).all(axis=1).any()):
        return 0.0, None  # no mapping at all, which is another proof
    u, v = potentials(least[None])
    if kept is not None:
        over = np.where(np.isinf(least), 0.0, least - u[0][:, None] - v[0])
        for a, e in enumerate(items):
            kept.price[e] -= over[a] / max(1, len(e))
    return math.fsum([*u[0].tolist(), *v[0].tolist()]), kept


def _rest(problem: Coupled, other: Kept | None, side: int, e: Some) -> Shares:
    """What the other side leaves of connections `e`, shape (connections, neurons, lines)."""
    costs = problem.costs(e)
    if other is None:
        return costs
    fare = other.fare[problem.item_of[1 - side][e]]
    if side:
        return np.asarray(costs - other.price[e][:, :, None] - fare)
    return np.asarray(costs - other.price[e][:, None, :] - fare.transpose(0, 2, 1))


def potentials(
    blocks: Float[np.ndarray, "places rows cols"],
) -> tuple[Float[np.ndarray, "places rows"], Float[np.ndarray, "places cols"]]:
    """Potentials u, v <= 0 with u + v <= each block, nearly the best; u is inf where a row fits nowhere.

    SciPy's assignments suggest them; v is then lowered along its arcs (Bellman and Ford) for as long as that changes
    it, at most once for each row, and u are the least of what is left.
    """
    places, rows, cols = blocks.shape
    v = np.zeros((places, cols))
    if rows <= cols:
        chosen = np.stack([_assigned(block) for block in blocks])
        own = np.take_along_axis(blocks, chosen[:, :, None], axis=2)
        own = np.where(np.isfinite(own), own, 0.0)
        for _ in range(rows):
            at = np.take_along_axis(v, chosen, axis=1)[:, :, None]
            lower = np.minimum(v, (at + blocks - own).min(axis=1))
            if not (lower < v).any():
                break
            v = lower
    v = np.where(np.isfinite(v), v, 0.0)
    return (blocks - v[:, None, :]).min(axis=2), v


def _assigned(block: Float[np.ndarray, "rows cols"]) -> Int[np.ndarray, " rows"]:
    """The cheapest columns; any where there is no assignment."""
    from scipy.optimize import linear_sum_assignment

    try:
        return np.asarray(linear_sum_assignment(block)[1])
    except ValueError:
        return np.arange(len(block))
