"""Splits of costs between rows and inputs: what one bounds, and an ascent that finds good ones."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float, Int

from matchopt.proofs.coupled import Coupled
from matchopt.proofs.effort import Effort
from matchopt.proofs.smoothing import smoothed

MOST_KEPT = 2**25  # entries of what both sides keep: 256 MiB
WORTHWHILE = 1e-3  # relative gain of a step below which the ascent ends
EACH, ENTRY = 2e4, 32.0  # steps of work that one small assignment takes, and each of its entries
Some = Int[np.ndarray, " some"]
Shares = Float[np.ndarray, "some neurons lines"]


@dataclass(frozen=True, eq=False)
class Kept:
    """What one side keeps: `price[e, j]` + `fare[a, j, k]` of connection e, its item a on place j, its partner on k."""

    price: Float[np.ndarray, "connections places"]
    fare: Float[np.ndarray, "items places partners"]


def bounds(problem: Coupled, effort: Effort) -> Iterator[float]:
    """Each side wired freely, then one step of the ascent after the other, from nothing and from smooth steps."""
    sides = (0, 1) if problem.one_bus and problem.shape[2] >= len(problem.items[1]) else (0,)
    for side in sides:
        _count(problem, side, effort)
        if effort.late:
            return
        yield side_bound(problem, side, lambda _, e: problem.costs(e))[0]
    entries = math.prod(problem.shape[1:]) * (len(problem.items[0]) + len(problem.items[1]))
    if len(sides) == 1 or not 0 < entries <= MOST_KEPT:
        return
    kept: list[Kept | None] = [None, None]
    values = [0.0, 0.0]
    yield from _climb(problem, kept, values, effort)
    start = None if effort.late else smoothed(problem, math.fsum(values) / problem.shape[0], effort)
    if start is not None:
        kept[:] = [None, Kept(*start)]
        values[:] = [0.0, side_bound(problem, 1, partial(held, problem, Kept(*start)))[0]]
        yield from _climb(problem, kept, values, effort)


def _climb(problem: Coupled, kept: list[Kept | None], values: list[float], effort: Effort) -> Iterator[float]:
    """Each side by turns keeps what it needs, until that gains little."""
    before = -math.inf
    while True:
        for side in (0, 1):
            _count(problem, side, effort)
            if effort.late:
                return
            values[side], kept[side] = side_bound(problem, side, partial(rest, problem, kept[1 - side]), keep=True)
            yield math.fsum(values)
        if math.fsum(values) - before <= WORTHWHILE * abs(math.fsum(values)):  # nothing more, where all is 0 too
            return
        before = math.fsum(values)


def _count(problem: Coupled, side: int, effort: Effort) -> None:
    places, partners = problem.shape[1 + side], problem.shape[2 - side]
    effort.spend(places * (EACH * len(problem.items[side]) + ENTRY * partners * problem.shape[0]))


def side_bound(
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


def held(problem: Coupled, kept: Kept, side: int, e: Some) -> Shares:
    """What this side keeps of connections `e`, shape (connections, neurons, lines)."""
    fare = kept.fare[problem.item_of[side][e]]
    price = kept.price[e]
    return np.asarray(price[:, None, :] + fare.transpose(0, 2, 1) if side else price[:, :, None] + fare)


def rest(problem: Coupled, other: Kept | None, side: int, e: Some) -> Shares:
    """What the other side leaves of them."""
    costs = problem.costs(e)
    return costs if other is None else np.asarray(costs - held(problem, other, 1 - side, e))


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
