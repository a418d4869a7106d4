"""A layer whose neurons share lines, packed for the compiled loops, and its costs in double precision."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from matchopt.instances import Gains, Hardware, Target
from matchopt.kernels.crossbar_costs import DROPPED, LEAKING, PRICED, SQUARES
from matchopt.kernels.crossbar_tables import Board


@dataclass(frozen=True, eq=False)
class Packed:
    """The board, and what leads back to the layer.

    Parameters
    ----------
    board : what compiled loops read, in units of the search, neurons in the order of their buses.
    row_of, input_of : row of each connection, and number of its input among those that have connections.
    inputs : those inputs.
    neurons, place_of : neuron of the hardware at each place of the board, and the other way round.
    weight, factor : of each connection, in the target's units.
    cells, noise, off, usable : of the board's neurons and lines, in the target's units; extra lines are not usable.
    n_cells : lines of the hardware, extra ones left out.
    drop : whether connections may be dropped.
    bar : what a cell out of use is charged, in units of the search; 0 where there is none.
    unrealised : cost of dropping everything, in units of the search, or what comes near it.
    """

    board: Board
    row_of: Int[np.ndarray, " connections"]
    input_of: Int[np.ndarray, " connections"]
    inputs: Int[np.ndarray, " some"]
    neurons: Int[np.ndarray, " neurons"]
    place_of: Int[np.ndarray, " neurons"]
    weight: Float[np.ndarray, " connections"]
    factor: Float[np.ndarray, " connections"]
    cells: Float[np.ndarray, "neurons lines"]
    noise: Float[np.ndarray, "neurons lines"]
    off: Float[np.ndarray, "neurons lines"]
    usable: Bool[np.ndarray, "neurons lines"]
    n_cells: int
    drop: bool
    bar: float
    unrealised: float

    def keeps(self, e: Any, neuron: Any, line: Any) -> Any:
        """Whether these connections are wired on these cells, rather than dropped."""
        usable = self.usable[neuron, line]
        if not self.drop:
            return usable
        return usable & (self.wired(e, neuron, line) < (self.weight[e] - self.off[neuron, line]) ** 2)

    def wired(self, e: Any, neuron: Any, line: Any) -> Any:
        """What these connections cost on these cells, importance apart."""
        return (self.weight[e] - self.cells[neuron, line]) ** 2 + self.noise[neuron, line]


def unpacked_costs(packed: Packed, e: Any, neuron: Any, line: Any) -> Any:
    """Costs of connections `e` on cells (neuron, line) of the board, in double precision and without leaks.

    They are in the target's units; inf where a cell is out of use and connections may not be dropped. The three
    arguments are broadcast.
    """
    wired = np.where(packed.usable[neuron, line], packed.wired(e, neuron, line), np.inf)
    least = np.minimum(wired, packed.weight[e] ** 2) if packed.drop else wired
    with np.errstate(invalid="ignore"):  # importance 0 times inf: a connection that counts nothing needs a cell, too
        return np.where(np.isinf(least), np.inf, packed.factor[e] * least)


def pack(
    target: Target,
    hardware: Hardware,
    factor: Float[np.ndarray, " connections"],
    drop: bool,
    driven: Float[np.ndarray, " inputs"] | None,
    gains: Gains,
    extra_inputs: bool,
) -> Packed:
    """See `matchopt.kernels.Crossbar`."""
    inputs, input_of = np.unique(target.indices, return_inverse=True)
    neurons = np.argsort(hardware.bus, kind="stable")
    starts = np.flatnonzero(np.diff(hardware.bus[neurons], prepend=-1))
    leaks = not hardware.free_routing and bool(np.any(hardware.off))
    extra = max(0, len(inputs) - hardware.n_cells) + (len(inputs) if leaks and drop else 0)
    usable = _widened(hardware.usable[neurons], extra)
    cells, noise, off = (_widened(part[neurons], extra) for part in (hardware.weights, hardware.variance, hardware.off))
    scale = max(_rms(target.weights), _rms(cells[usable])) or 1.0
    mean = float(factor[factor > 0].mean()) if bool((factor > 0).any()) else 1.0
    scaled = np.where(usable, cells, 0.0) / scale, noise / scale**2, off / scale
    weight, counts = target.weights / scale, factor / mean
    simple = not leaks and not noise.any() and bool((factor == factor[0]).all()) and (drop or bool(usable.all()))
    simple = simple and gains.fixed
    kind = (DROPPED if drop else SQUARES) if simple else (LEAKING if leaks else PRICED) + drop
    ends = np.array(gains.values if gains.values is not None else (gains.low, gains.high), float)
    largest = float(np.abs(ends).max())
    most = float(np.abs(weight).max()) + largest * float(np.abs(scaled[0]).max(initial=0.0))
    worst = most**2 + largest**2 * float(scaled[1].max(initial=0.0))
    bar = 0.0 if bool(usable.all()) else 10.0 + 2.0 * float(counts.max()) * worst
    spill = scaled[2] ** 2
    if extra_inputs:  # a cell may be switched on rather than leak
        spill = np.where(usable, np.minimum(spill, scaled[0] ** 2 + scaled[1]), spill)
    out_of_use = np.where(usable, 0.0, 0.0 if drop and not leaks else bar)
    every = np.ones(target.n_inputs) if driven is None else np.asarray(driven, float)
    parts = scaled[0], scaled[1], out_of_use, scaled[2], spill
    board = _board(target, input_of, weight, counts, parts, kind, every[inputs] / mean, starts, gains)
    place_of = np.empty_like(neurons)
    place_of[neurons] = np.arange(len(neurons))
    unrealised = float((counts * weight**2).sum()) or 1.0
    return Packed(
        board, target.row_of, input_of, inputs, neurons, place_of, target.weights, factor, cells, noise,
        off if leaks else np.zeros_like(off), usable, hardware.n_cells, drop, bar, unrealised,
    )  # fmt: skip


def _board(
    target: Target, input_of: Any, weight: Any, counts: Any, parts: tuple[Any, ...], kind: int, driven: Any,
    starts: Any, gains: Gains,
) -> Board:  # fmt: skip
    single, index = np.float32, np.uint32
    by_input = np.lexsort((target.row_of, input_of))
    col_start = np.concatenate([[0], np.cumsum(np.bincount(input_of, minlength=len(driven)))])
    cells, *others = (np.ascontiguousarray(part, single) for part in parts)
    none, needed = np.zeros((0, 0), single), (PRICED, PRICED, LEAKING, LEAKING)
    own = [part if kind >= least else none for part, least in zip(others, needed, strict=True)]
    ends = gains.values if gains.values is not None else (gains.low, gains.high)
    turned = [np.ascontiguousarray(part.T) for part in (cells, *own)]
    bus_start = np.append(starts, len(cells))
    return Board._make([
        np.array(target.indptr, np.int64), input_of.astype(index), weight.astype(single), counts.astype(single),
        col_start.astype(np.int64), target.row_of[by_input].astype(index), weight[by_input].astype(single),
        counts[by_input].astype(single), cells, *own, *turned, driven.astype(single),
        np.array(ends, single), gains.is_interval, bus_start.astype(np.int64),
        np.repeat(np.arange(len(starts)), np.diff(bus_start)), kind,
    ])  # fmt: skip


def _widened(part: Any, extra: int) -> Any:
    """With lines that do nothing beside the real ones."""
    return np.concatenate([part, np.zeros((len(part), extra), part.dtype)], axis=1)


def _rms(values: Any) -> float:
    largest = float(np.abs(values).max(initial=0.0))
    return largest * float(np.sqrt(np.mean((values / largest) ** 2))) if largest else 0.0
