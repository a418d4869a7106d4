"""Bounds and proofs for layers whose cells are hard-wired: every weight is a sum over the cells of its own input.

Row i on neuron j then costs a sum over its inputs, each the least over all allowed sets of cells, and all these sets
are tried: plainly where they are few, else sorted and looked up (`loops.nearest_sums`). Costs are lowered by what
rounding can do to them before they enter an assignment's dual bound.
"""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from matchopt.errors import Refused
from matchopt.instances import LayerInstance, LayerMapping
from matchopt.instances.demands import AT_0_1, understanding
from matchopt.instances.hard_wired import not_sums
from matchopt.proofs.assignment import HALF_ULP, dual_bound, prove, rounding_allowance
from matchopt.proofs.certificate import Certificate, Duals
from matchopt.proofs.effort import Effort
from matchopt.proofs.entries import DenseEntries
from matchopt.proofs.feasible import NOTHING, refuse_wrong_sums
from matchopt.proofs.separable import refuse_unfit

UNDERSTOOD = (AT_0_1["layer"] | {"hard-wired"}) - {"tunable", "correlated-inputs", "gain-interval"}
SORTED = 12  # cells of which all sums are sorted
PLAIN = 10**6  # steps of effort, beyond which loading compiled loops is worth while


@dataclass(frozen=True, eq=False)
class _Wired:
    """A layer by input: connections from start to start, `order` their numbers; factors inside and outside supports."""

    layer: LayerInstance
    order: Int[np.ndarray, " connections"]
    start: Int[np.ndarray, " inputs_and_one"]
    factor: Float[np.ndarray, " connections"]
    outside: Float[np.ndarray, " inputs"]

    @property
    def fewest(self) -> int:
        """Cells that a connection needs."""
        return 0 if self.layer.rules.drop else 1


@understanding("the proof of a bound on hard-wired layers", UNDERSTOOD)
def certify_hard_wired(instance: LayerInstance, mapping: LayerMapping, effort: Effort) -> Certificate:
    """See `matchopt.proofs.certify`.

    Raises
    ------
    Refused
        when the cells are not all hard-wired, or too many on one input.
    """
    reason = not_sums(instance.hardware, instance.rules.cells_per_weight)
    if reason is not None:
        raise Refused(f"no independent proof of a bound on this layer is known here: {reason}")
    refuse_unfit(instance)
    refuse_wrong_sums(instance, mapping)
    if not (instance.hardware.input[mapping.neuron_of[mapping.row_of], mapping.cell] == mapping.input).all():
        raise Refused(NOTHING)
    objective, wired = instance.value(mapping), _by_input(instance)
    found = _costs(wired, effort)
    known, costs = ~np.isnan(found), np.nan_to_num(found, nan=0.0, posinf=np.inf)
    off, rows = _rounding(wired, costs), np.arange(instance.n_rows)
    entries = DenseEntries(np.maximum(costs - off, 0.0))
    proof = prove(entries, mapping.neuron_of, entries.cost[rows, mapping.neuron_of], effort)
    bound = float(dual_bound(entries, proof.ended.v))
    own = off[rows, mapping.neuron_of]
    allowance = 2.0 * math.fsum(own) + rounding_allowance(proof.own, proof.ended.v)
    better = math.fsum(costs[rows, proof.col_of] + off[rows, proof.col_of])
    improvable = bool(known[rows, proof.col_of].all()) and better < objective - allowance
    duals = (Duals(entries.row_minima(proof.ended.v), proof.ended.v),)
    return Certificate(bound, objective - bound <= allowance, improvable, allowance, "sums of cells, dual", duals)


def _by_input(layer: LayerInstance) -> _Wired:
    target = layer.target
    order = np.lexsort((target.weights, target.indices))
    start = np.searchsorted(target.indices[order], np.arange(target.n_inputs + 1))
    every = np.arange(target.n_inputs)
    outside = layer.objective.diagonal(target, np.full(len(every), layer.n_rows), every)
    return _Wired(layer, order, start, layer.objective.importance(target)[order], outside)


def _costs(wired: _Wired, effort: Effort) -> Float[np.ndarray, "rows neurons"]:
    """The cost of every pair at its best gain; NaN for neurons that are not reached before the effort is spent."""
    chip, rules = wired.layer.hardware, wired.layer.rules
    gains = rules.gains.values or ()
    sums = 2.0 ** min(chip.most_on_input, SORTED)
    looks = 2.0 ** max(0, chip.most_on_input - SORTED) * 16.0 * (len(wired.order) + 1)
    each = len(gains) * (looks + 20.0 * sums * wired.layer.target.n_inputs)
    reach = effort.afford(each, chip.n_neurons)
    costs = np.full((chip.n_neurons, wired.layer.n_rows), np.nan)
    large = each * chip.n_neurons > PLAIN

    def price(j: int) -> None:
        if j < reach and not effort.late_by_the_clock:
            costs[j] = np.min([_neuron_costs(wired, j, gain, large) for gain in gains], axis=0)

    with ThreadPoolExecutor(os.cpu_count() if large else 1) as pool:
        list(pool.map(price, range(chip.n_neurons)))
    return np.ascontiguousarray(costs.T)


def _neuron_costs(wired: _Wired, j: int, gain: float, large: bool) -> Float[np.ndarray, " rows"]:
    """The cost of every row on neuron j at a gain."""
    layer, chip, most = wired.layer, wired.layer.hardware, wired.layer.rules.cells_per_weight
    own = np.where(chip.usable[j], chip.input[j], -1)
    order = np.argsort(own, kind="stable")
    begin = np.searchsorted(own[order], np.arange(layer.target.n_inputs + 1))
    value = gain * (chip.weights[j] - chip.off[j])[order]
    noise = gain * gain * chip.variance[j][order]
    there = chip.input[j] >= 0
    base = gain * np.bincount(chip.input[j][there], chip.off[j][there], minlength=layer.target.n_inputs)
    weight, row = layer.target.weights[wired.order], layer.target.row_of[wired.order]
    elsewhere = most if layer.rules.extra_inputs else 0
    if large:
        from matchopt.proofs import loops

        limits = (wired.fewest, min(most, chip.n_cells), elsewhere, SORTED, layer.n_rows)
        found: np.ndarray = loops.wired_costs(
            weight, row, wired.factor, wired.start, begin, value, noise, base, wired.outside, *limits
        )
        return found
    total = np.zeros(layer.n_rows)
    for x in range(layer.target.n_inputs):
        part, cells = slice(int(wired.start[x]), int(wired.start[x + 1])), slice(int(begin[x]), int(begin[x + 1]))
        stray = wired.outside[x] * _nearest(np.full(1, -base[x]), value[cells], noise[cells], 0, elsewhere)[0]
        added = np.full(layer.n_rows, stray if base[x] else 0.0)
        least = _nearest(weight[part] - base[x], value[cells], noise[cells], wired.fewest, most)
        added[row[part]] = np.where(np.isinf(least), np.inf, wired.factor[part] * np.where(np.isinf(least), 0.0, least))
        total += added
    return total


def _nearest(
    wanted: Float[np.ndarray, " weights"],
    value: Float[np.ndarray, " cells"],
    noise: Float[np.ndarray, " cells"],
    fewest: int,
    most: int,
) -> Float[np.ndarray, " weights"]:
    """The least squared difference plus noise of a sum of `fewest` .. `most` cells, for each weight; inf for none."""
    sums = spread = count = np.zeros(1)
    for one, more in zip(value.tolist(), noise.tolist(), strict=True):
        sums, spread = np.concatenate([sums, sums + one]), np.concatenate([spread, spread + more])
        count = np.concatenate([count, count + 1])
    allowed = (count >= fewest) & (count <= most)
    distance = wanted[:, None] - sums[allowed]
    return np.asarray((distance * distance + spread[allowed]).min(axis=1, initial=np.inf))


def _rounding(wired: _Wired, costs: Float[np.ndarray, "rows neurons"]) -> Float[np.ndarray, "rows neurons"]:
    """How far each computed cost may be off.

    A sum of d cells and what is wanted of it are off by some d roundings of all that enters, so that q r^2, r being
    what is left over, is off by q (2 r delta + delta^2); summed up over a row, by Cauchy and Schwarz, by
    2 sqrt(cost D) + D with D the sum of q delta^2. Adding up n terms costs n more roundings.
    """
    layer, chip = wired.layer, wired.layer.hardware
    gain = max(abs(value) for value in layer.rules.gains.values or (1.0,))
    there = chip.input >= 0
    size = np.where(there, np.abs(chip.weights) + 2.0 * np.abs(chip.off), 0.0)
    most = max((int(np.bincount(own[own >= 0]).max(initial=0)) for own in chip.input), default=0)
    reach = gain * most * float(size.max(initial=0.0))
    ulps = HALF_ULP * (4.0 * most + 16.0)
    delta = ulps * (np.abs(layer.target.weights[wired.order]) + reach)
    inside = np.bincount(layer.target.row_of[wired.order], wired.factor * delta * delta, minlength=layer.n_rows)
    beyond = float(wired.outside.sum()) * (ulps * reach) ** 2 if np.any(chip.off[there]) else 0.0
    terms = HALF_ULP * (64.0 + 4.0 * (layer.target.n_inputs + most))
    finite = np.where(np.isinf(costs), 0.0, costs)
    squares = inside[:, None] + beyond
    return np.asarray(2.0 * np.sqrt(finite * squares) + squares + terms * finite)
