"""A layer whose neurons share lines, packed for the compiled loops, and its costs in double precision."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from matchopt.instances import Gains, Hardware, Target
from matchopt.instances.cell_states import best_states
from matchopt.kernels.crossbar_costs import DROPPED, LEAKING, PRICED, SQUARES
from matchopt.kernels.crossbar_tables import Board, Cells
from matchopt.kernels.menus import menu_gains, written_ranges


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
    chip : the board's neurons and lines, in the target's units; extra lines are not usable.
    worth : a unit of the search's costs in those of the target.
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
    chip: Hardware
    worth: float
    n_cells: int
    drop: bool
    bar: float
    unrealised: float

    def keeps(self, e: Any, neuron: Any, line: Any) -> Any:
        """Whether these connections are wired on these cells, rather than dropped."""
        wired = best_states(self.chip, neuron, line, self.weight[e])[0]
        return wired < ((self.weight[e] - self.chip.off[neuron, line]) ** 2 if self.drop else np.inf)


def unpacked_costs(packed: Packed, e: Any, neuron: Any, line: Any, prices: Any = (0.0, np.inf)) -> Any:
    """Costs of connections `e` on cells (neuron, line) of the board, in double precision and without leaks.

    They are in the target's units, as are `prices` of a write and of a tuned connection; inf where a cell is out of use
    and connections may not be dropped. The three arguments are broadcast.
    """
    factor = packed.factor[e]
    wired = best_states(packed.chip, neuron, line, packed.weight[e], factor=factor, price=prices[0])[0]
    without = np.minimum(factor * packed.weight[e] ** 2 if packed.drop else np.inf, prices[1])
    return np.minimum(wired, without)


def pack(
    target: Target,
    hardware: Hardware,
    factor: Float[np.ndarray, " connections"],
    drop: bool,
    driven: Float[np.ndarray, " inputs"] | None,
    gains: Gains,
    extra_inputs: bool,
    tunable: bool,
) -> Packed:
    """See `matchopt.kernels.Crossbar`."""
    inputs, input_of = np.unique(target.indices, return_inverse=True)
    neurons = np.argsort(hardware.bus, kind="stable")
    starts = np.flatnonzero(np.diff(hardware.bus[neurons], prepend=-1))
    leaks = not hardware.free_routing and bool(np.any(hardware.off))
    extra = max(0, len(inputs) - hardware.n_cells) + (len(inputs) if leaks and drop else 0)
    chip = _widened(hardware, neurons, extra, leaks)
    if hardware.programmable:
        menu_gains(gains)  # refuses an interval
    usable, written = chip.usable, written_ranges(chip)
    scale = max(_rms(target.weights), _rms(chip.weights[usable])) or 1.0
    mean = float(factor[factor > 0].mean()) if bool((factor > 0).any()) else 1.0
    scaled = np.where(usable, chip.weights, 0.0) / scale, chip.variance / scale**2, chip.off / scale
    menu = [part / scale**power for part, power in zip(written, (1, 1, 2), strict=True)]
    weight, counts = target.weights / scale, factor / mean
    simple = not (leaks or chip.variance.any() or hardware.programmable or tunable) and gains.fixed
    simple = simple and bool((factor == factor[0]).all()) and (drop or bool(usable.all()))
    kind = (DROPPED if drop else SQUARES) if simple else (LEAKING if leaks else PRICED) + drop
    ends = np.array(gains.values if gains.values is not None else (gains.low, gains.high), float)
    largest = float(np.abs(ends).max())
    reach = max(float(np.abs(part).max(initial=0.0)) for part in (scaled[0], *menu[:2]))
    most = float(np.abs(weight).max()) + largest * reach
    spreads = chip.variance, chip.write_variance, chip.level_variance
    worst = most**2 + (largest / scale) ** 2 * max(float(part.max(initial=0.0)) for part in spreads)
    bar = 0.0 if bool(usable.all()) else 10.0 + 2.0 * float(counts.max()) * worst
    spill = scaled[2] ** 2
    if extra_inputs:  # a cell may be switched on rather than leak
        j, k = np.arange(len(usable))[:, None], np.arange(usable.shape[1])[None, :]
        spill = np.minimum(spill, best_states(chip, j, k, np.zeros(usable.shape))[0] / scale**2)
    out_of_use = np.where(usable, 0.0, 0.0 if drop and not leaks else bar)
    every = np.ones(target.n_inputs) if driven is None else np.asarray(driven, float)
    parts = scaled[0], scaled[1], out_of_use, scaled[2], spill
    board = _board(target, input_of, weight, counts, (parts, menu), kind, every[inputs] / mean, starts, gains)
    place_of = np.empty_like(neurons)
    place_of[neurons] = np.arange(len(neurons))
    unrealised = float((counts * weight**2).sum()) or 1.0
    return Packed(
        board, target.row_of, input_of, inputs, neurons, place_of, target.weights, factor, chip, mean * scale**2,
        hardware.n_cells, drop, bar, unrealised,
    )  # fmt: skip


def _board(
    target: Target, input_of: Any, weight: Any, counts: Any, parts: tuple[Any, ...], kind: int, driven: Any,
    starts: Any, gains: Gains,
) -> Board:  # fmt: skip
    single, index = np.float32, np.uint32
    by_input = np.lexsort((target.row_of, input_of))
    col_start = np.concatenate([[0], np.cumsum(np.bincount(input_of, minlength=len(driven)))])
    (weights, *others), menu = parts
    none, needed = np.zeros((0, 0), single), (PRICED, PRICED, LEAKING, LEAKING)
    own = [part if kind >= least else none for part, least in zip(others, needed, strict=True)]
    ends = gains.values if gains.values is not None else (gains.low, gains.high)
    chip, turned = (
        Cells._make(np.ascontiguousarray(part.swapaxes(-2, -1) if turn else part, single)
                    for part in (weights, *own, *menu)) for turn in (False, True)
    )  # fmt: skip
    bus_start = np.append(starts, len(weights))
    return Board._make([
        np.array(target.indptr, np.int64), input_of.astype(index), weight.astype(single), counts.astype(single),
        col_start.astype(np.int64), target.row_of[by_input].astype(index), weight[by_input].astype(single),
        counts[by_input].astype(single), chip, turned, driven.astype(single),
        np.array(ends, single), gains.is_interval, bus_start.astype(np.int64),
        np.repeat(np.arange(len(starts)), np.diff(bus_start)), kind,
    ])  # fmt: skip


def _widened(hardware: Hardware, neurons: Any, extra: int, leaks: bool) -> Hardware:
    """Those neurons, with lines that do nothing beside the real ones, and leaks only where they count."""
    filler = {"usable": False, "low": np.nan, "high": np.nan, "levels": np.nan}
    named = [
        each.name for each in fields(hardware) if each.name not in ("bus", "neuron", "origin", "measured", "input")
    ]
    parts = {name: getattr(hardware, name)[neurons] for name in named}
    wide = {name: np.concatenate([part, np.full((len(part), extra, *part.shape[2:]), filler.get(name, 0), part.dtype)],
                                 axis=1) for name, part in parts.items()}  # fmt: skip
    return Hardware(**wide if leaks else wide | {"off": None})


def _rms(values: Any) -> float:
    largest = float(np.abs(values).max(initial=0.0))
    return largest * float(np.sqrt(np.mean((values / largest) ** 2))) if largest else 0.0
