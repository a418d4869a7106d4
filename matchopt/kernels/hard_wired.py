"""Rows on neurons all of whose cells are hard-wired: what each weight costs at best, and the cells that serve it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from matchopt.errors import InvalidSolution, Refused
from matchopt.instances import Hardware, Rules, Target
from matchopt.instances.arrays import frozen, is_constant
from matchopt.instances.demands import understanding
from matchopt.instances.hard_wired import MOST_BITS, MOST_SUMS, n_sums, not_sums
from matchopt.kernels.compiling import compiled
from matchopt.kernels.packing import checked_importance, cores, finite_values, neuron_blocks
from matchopt.kernels.subset_sums import nearest_sums, room

ROWS = 64  # wired together
# A neuron that shares its lines with others hears no more than without them, as hard-wired lines are always driven.
UNDERSTOOD = {"importance", "read-noise", "unusable-cells", "leak", "shared-bus", "hard-wired", "several-cells"}
UNDERSTOOD |= {"drop", "extra-inputs", "gains"}


class Columns(NamedTuple):
    """The connections of a target by input, each input's ascending by weight; inputs from start to start."""

    start: Any
    row: Any
    weight: Any
    factor: Any
    connection: Any


class Neurons(NamedTuple):
    """Some neurons: usable cells by input, from start to start, their weight beyond `off`, noise and number; the sum of
    `off` on each input."""

    start: Any
    cell: Any
    noise: Any
    number: Any
    base: Any


class Allowed(NamedTuple):
    """The rules: fewest cells of a connection and most, the same outside the support, whether there is read noise, the
    factor of errors on each input outside."""

    least: Any
    most: Any
    outside: Any
    noisy: Any
    factor: Any


@dataclass(frozen=True, eq=False)
class SumWiring:
    """Optimal cells of every row on its hardware neuron.

    Parameters
    ----------
    row, cell, input : of each wire, rows ascending.
    gain : gain of each row, shape (m,).
    cost : cost of each row, shape (m,), the same as `sum_costs` up to rounding.
    """

    row: Int[np.ndarray, " wires"]
    cell: Int[np.ndarray, " wires"]
    input: Int[np.ndarray, " wires"]
    gain: Float[np.ndarray, " rows"]
    cost: Float[np.ndarray, " rows"]


class HardWired:
    """Target rows against hardware neurons whose cells are hard-wired.

    A weight w on a neuron is served by a set of the usable cells on its input, of `least` to `cells_per_weight`
    cells, where least is 1, or 0 where connections may be dropped; it costs q ((w - r)^2 + g^2 sum of v) with
    r = g (sum of `off` of all cells on the input + sum of h - off of the chosen). Inputs outside the row's support
    want 0: there cells are chosen only under `extra_inputs`, but `off` always counts. Exact up to rounding.

    Parameters
    ----------
    target : the m target rows.
    hardware : the M hardware neurons, all usable cells hard-wired; buses play no part.
    rules : what a mapping may do; a finite set of gains, no tunable weights.
    importance : q of every connection, instead of `target.importance`.
    outside : q of an error on each input outside a row's support; default 1.

    Raises
    ------
    Refused
        when cells can listen to any input, or too many are on one (24, or more where few are used at a time), or the
        rules are others.
    """

    def __init__(
        self,
        target: Target,
        hardware: Hardware,
        rules: Rules,
        *,
        importance: Float[np.ndarray, " connections"] | None = None,
        outside: Float[np.ndarray, " inputs"] | None = None,
    ) -> None:
        _ask(target, hardware, rules)
        values, reason = finite_values(rules.gains), not_sums(hardware, rules.cells_per_weight)
        if reason is not None or values is None:
            raise Refused(reason or "weights under a true interval of gains are not found one by one")
        factor = np.array(checked_importance(target, importance))  # views of one number are compiled for anew
        order = np.lexsort((target.weights, target.indices))
        start = np.searchsorted(target.indices[order], np.arange(target.n_inputs + 1))
        self._columns = Columns(start, target.row_of[order], target.weights[order], factor[order], order)
        most = min(rules.cells_per_weight, MOST_BITS)
        self._allowed = Allowed(
            0 if rules.drop else 1, most, most if rules.extra_inputs else 0, not is_constant(hardware.variance, 0.0),
            np.ones(target.n_inputs) if outside is None else np.array(outside, float),
        )  # fmt: skip
        self._target, self._chip, self._gains, self._factor = target, hardware, values, factor
        half = n_sums((hardware.most_on_input + 1) // 2, most)
        self._size = max(half, min(MOST_SUMS, n_sums(hardware.most_on_input, most)))

    def costs(self, threads: int = 0) -> Float[np.ndarray, "rows neurons"]:
        """Cost of every row on every neuron at its best gain; inf where a connection has no cell and must have one.

        Parameters
        ----------
        threads : number of threads; 0 means one per core that the process may use.
        """
        chip, target = self._chip, self._target
        threads = min(threads or cores(), max(1, chip.n_neurons))
        cost = np.empty((target.n_rows, chip.n_neurons))
        blocks = iter(list(neuron_blocks(chip.n_neurons, threads)))  # one for all threads; next() on it is atomic

        def work() -> None:
            for block in blocks:
                found = np.empty((block.stop - block.start, target.n_rows))
                neurons = self._packed(np.arange(block.start, block.stop))
                rows = (target.indptr, target.indices)
                _block_costs(neurons, self._columns, rows, self._allowed, self._gains, self._size, found)
                cost[:, block] = found.T

        with ThreadPoolExecutor(threads) as pool:
            for job in [pool.submit(work) for _ in range(threads)]:
                job.result()
        return cost

    def wire(self, neuron_of: Int[np.ndarray, " rows"]) -> SumWiring:
        """The best cells and gain of every row on the neuron it has been given; two rows may share one here.

        Raises
        ------
        InvalidSolution
            when `neuron_of` has the wrong length or names a neuron that does not exist.
        Refused
            when a connection has no usable cell on its neuron and must not be dropped.
        """
        m, chip = self._target.n_rows, self._chip
        neuron_of = frozen(neuron_of, "neuron_of", int, 1, shape=(m,), error=InvalidSolution)
        if len(neuron_of) and not 0 <= neuron_of.min() <= neuron_of.max() < chip.n_neurons:
            raise InvalidSolution(f"neuron_of must be in 0 .. {chip.n_neurons - 1}, found {neuron_of.tolist()}")
        gain, cost = np.ones(m), np.zeros(m)
        wires = [self._wired(slice(i, min(i + ROWS, m)), neuron_of, gain, cost) for i in range(0, m, ROWS)]
        rows, cells, inputs = np.concatenate([np.zeros((3, 0), np.int64), *wires], axis=1)
        if not np.isfinite(cost).all():
            i = int(np.argmin(np.isfinite(cost)))
            raise Refused(
                f"row {i} has a connection without a usable cell on its hardware neuron {neuron_of[i]}; "
                "allow dropping or choose another neuron"
            )
        return SumWiring(rows, cells, inputs, gain, cost)

    def _wired(
        self,
        part: slice,
        neuron_of: Int[np.ndarray, " rows"],
        gain: Float[np.ndarray, " rows"],
        cost: Float[np.ndarray, " rows"],
    ) -> Int[np.ndarray, "3 wires"]:
        """Row, cell and input of every wire of some rows; gains and costs are filled in."""
        target, allowed, neurons = self._target, self._allowed, self._packed(neuron_of[part])
        begin, end = int(target.indptr[part.start]), int(target.indptr[part.stop])
        starts, inputs = target.indptr[part.start : part.stop + 1] - begin, target.indices[begin:end]
        own = Columns(starts, inputs, target.weights[begin:end], self._factor[begin:end], inputs)
        code = np.zeros(end - begin, np.int64)
        beyond = np.zeros((len(starts) - 1, target.n_inputs if allowed.outside else 0), np.int64)
        _wire_rows(neurons, own, allowed, self._gains, self._size, gain[part], cost[part], code, beyond)
        rows = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        more, others = np.nonzero(beyond)
        rows, heard = np.concatenate([rows, more]), np.concatenate([inputs, others])
        code, found = np.concatenate([code, beyond[more, others]]), []
        for bit in range(self._chip.most_on_input):
            at = np.flatnonzero(code >> bit & 1)
            cells = neurons.number[rows[at], neurons.start[rows[at], heard[at]] + bit]
            found.append(np.stack([rows[at] + part.start, cells, heard[at]]))
        wires = np.concatenate([np.zeros((3, 0), np.int64), *found], axis=1)
        return wires[:, np.lexsort((wires[1], wires[2], wires[0]))]

    def _packed(self, neurons: Int[np.ndarray, " some"]) -> Neurons:
        chip, n = self._chip, self._target.n_inputs
        own, shape = chip.input[neurons], (len(neurons), n + 1)
        at = np.arange(len(neurons))[:, None]
        key = np.where(chip.usable[neurons] & (own >= 0), own, n)
        count = np.bincount((at * (n + 1) + key).ravel(), minlength=len(neurons) * (n + 1)).reshape(shape)
        start = np.concatenate([np.zeros((len(neurons), 1), np.int64), np.cumsum(count, axis=1)], axis=1)
        order = np.argsort(key, axis=1, kind="stable")
        off = chip.off[neurons]
        base = np.zeros((len(neurons), n))
        if np.any(off):
            there = own >= 0
            np.add.at(base, (np.broadcast_to(at, own.shape)[there], own[there]), off[there])
        cell = np.take_along_axis(chip.weights[neurons] - off, order, axis=1)
        return Neurons(start, cell, np.take_along_axis(chip.variance[neurons], order, axis=1), order, base)


@understanding("a kernel of hard-wired cells", UNDERSTOOD)
def _ask(target: Target, hardware: Hardware, rules: Rules) -> None:
    """Refuse parts with demands that are not known here."""


@compiled
def _scaled(neurons, j, gain, cells, noise):
    """The cells and noise of neuron j at a gain."""
    for k in range(neurons.start[j, neurons.start.shape[1] - 2]):
        cells[k] = gain * neurons.cell[j, k]
        noise[k] = gain * gain * neurons.noise[j, k]


@compiled
def _block_costs(neurons, columns, rows, allowed, gains, size, out):
    """Fill out[neuron, row] with the least cost over the gains."""
    n_inputs, longest = columns.start.size - 1, 1
    for x in range(n_inputs):
        longest = max(longest, columns.start[x + 1] - columns.start[x])
    wanted, cost, code = np.empty(longest), np.empty(longest), np.empty(longest, np.int64)
    cells, noise = np.empty(neurons.cell.shape[1]), np.empty(neurons.cell.shape[1])
    beyond, total, scratch = np.zeros(n_inputs), np.empty(out.shape[1]), room(size)
    for j in range(out.shape[0]):
        out[j] = np.inf
        for gain in gains:
            _scaled(neurons, j, gain, cells, noise)
            total[:] = 0.0
            for x in range(n_inputs):
                first, n = columns.start[x], columns.start[x + 1] - columns.start[x]
                begin, end, base = neurons.start[j, x], neurons.start[j, x + 1], gain * neurons.base[j, x]
                for e in range(n):
                    wanted[e] = columns.weight[first + e] - base
                nearest_sums(
                    cells, noise, begin, end, allowed.least, allowed.most, wanted, n, allowed.noisy, cost, code, scratch
                )
                for e in range(n):
                    total[columns.row[first + e]] += _priced(columns.factor[first + e], cost[e])
            _outside(neurons, j, gain, cells, noise, allowed, beyond, code, scratch, total, rows)
            for i in range(total.size):
                out[j, i] = min(out[j, i], total[i])


@compiled
def _priced(factor, cost):
    return factor * cost if cost < np.inf else np.inf  # where the factor is 0, too


@compiled
def _outside(neurons, j, gain, cells, noise, allowed, beyond, code, scratch, total, rows):
    """Add to the cost of every row what cells add on inputs outside its support."""
    starts, inputs = rows
    leaks = False
    for x in range(beyond.size):
        beyond[x] = 0.0
        if neurons.base[j, x] != 0.0:
            leaks = True
            beyond[x] = _stray(neurons, j, x, gain, cells, noise, allowed, code, scratch)
    if not leaks:
        return
    for i in range(total.size):
        before = 0
        for e in range(starts[i], starts[i + 1] + 1):
            after = inputs[e] if e < starts[i + 1] else beyond.size
            for x in range(before, after):
                total[i] += beyond[x]
            before = after + 1


@compiled
def _stray(neurons, j, x, gain, cells, noise, allowed, code, scratch):
    """The cost of an input that should have no weight; its cells are code[0]."""
    wanted, cost = np.full(1, -gain * neurons.base[j, x]), np.empty(1)
    nearest_sums(
        cells, noise, neurons.start[j, x], neurons.start[j, x + 1], 0, allowed.outside, wanted, 1, allowed.noisy,
        cost, code, scratch,
    )  # fmt: skip
    return allowed.factor[x] * cost[0]


@compiled
def _wire_rows(neurons, own, allowed, gains, size, gain_of, cost_of, code_of, beyond):
    """Gain, cost and codes of each row on its neuron; `own` are the rows' connections, inputs in place of rows."""
    cells, noise = np.empty(neurons.cell.shape[1]), np.empty(neurons.cell.shape[1])
    wanted, cost, code, scratch = np.empty(1), np.empty(1), np.empty(1, np.int64), room(size)
    codes, others = code_of.copy(), np.zeros(neurons.base.shape[1], np.int64)
    for i in range(gain_of.size):
        begin, end = own.start[i], own.start[i + 1]
        cost_of[i], gain_of[i] = np.inf, gains[0]
        for gain in gains:
            _scaled(neurons, i, gain, cells, noise)
            total, e = 0.0, begin
            for x in range(neurons.base.shape[1]):
                if e == end or own.row[e] != x:
                    code[0] = 0
                    if neurons.base[i, x] != 0.0:
                        total += _stray(neurons, i, x, gain, cells, noise, allowed, code, scratch)
                    others[x] = code[0]
                    continue
                wanted[0] = own.weight[e] - gain * neurons.base[i, x]
                nearest_sums(
                    cells, noise, neurons.start[i, x], neurons.start[i, x + 1], allowed.least, allowed.most, wanted, 1,
                    allowed.noisy, cost, code, scratch,
                )  # fmt: skip
                total += _priced(own.factor[e], cost[0])
                codes[e], others[x], e = code[0], 0, e + 1
            if total < cost_of[i]:
                cost_of[i], gain_of[i] = total, gain
                code_of[begin:end] = codes[begin:end]
                if beyond.size:
                    beyond[i] = others
