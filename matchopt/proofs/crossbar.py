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
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from matchopt.errors import Refused
from matchopt.instances import LayerInstance, LayerMapping
from matchopt.instances.demands import understanding
from matchopt.proofs.buses import least_on_buses, n_orders
from matchopt.proofs.certificate import Certificate
from matchopt.proofs.coupled import UNDERSTOOD, coupled
from matchopt.proofs.crossbar_tree import search
from matchopt.proofs.effort import Effort
from matchopt.proofs.feasible import refuse_wrong_sums
from matchopt.proofs.splits import EACH, Kept, Shares, Some, bounds, held, rest, side_bound

MOST_SEARCHED = 2**20  # costs of connections on cells up to which branch and bound may end
SOUGHT = 1e-9  # of the objective: nothing better by less is sought


def certify_crossbar(instance: LayerInstance, mapping: LayerMapping, effort: Effort) -> Certificate:
    """See `matchopt.proofs.certify`."""
    problem = coupled(instance)
    refuse_wrong_sums(instance, mapping)
    objective, rounding = instance.value(mapping), problem.rounding()
    bound = 0.0
    for value in bounds(problem, effort):
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

    return max(0.0, math.fsum([side_bound(problem, side, shares)[0] for side in (0, 1)]) - problem.rounding())


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

    kept = Kept(np.asarray(price, np.float64), np.asarray(np.swapaxes(fare, 1, 2), np.float64))

    def shares(side: int, e: Some) -> Shares:
        return held(problem, kept, 1, e) if side else rest(problem, kept, 0, e)

    return max(0.0, math.fsum([side_bound(problem, side, shares)[0] for side in (0, 1)]) - problem.rounding())
