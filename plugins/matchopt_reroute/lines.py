"""Rows on neurons that share lines: which of their cells are switched on, and which inputs change their lines."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from matchopt import kernels
from matchopt_reroute.buses import Buses
from matchopt_reroute.wiring import never

SINGLE = np.float32
LEAST = SINGLE(1e-6)  # least gain of a move relative to the row's constant
CHUNK = 32  # pairs of a row and a neuron between two looks at the clock
MOST_VISITS = 20  # times that each input is tried on each line
PARTS = 20  # of the exchanges on a bus, likewise
TOUCHED, PASSED = 3000.0, 10.0  # nanoseconds of an exchange for a row that feels it, and for one that does not


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of some rows, by the column they hear: their line, what they add on and off, noise, whether usable."""

    line: np.ndarray
    on: np.ndarray
    off: np.ndarray
    noise: np.ndarray
    usable: np.ndarray


@dataclass(frozen=True, eq=False)
class LinePlacement:
    """What `kernels.CellPlacement` is where neurons are routed freely, for columns that are on lines already.

    Parameters
    ----------
    buses : the layer's buses.
    line_of : the line of every column on every bus, -1 for none.
    factor : multiplies all weights, such as a fixed gain.
    threads : most threads.
    """

    buses: Buses
    line_of: np.ndarray
    factor: float = 1.0
    threads: int = 1

    def cells(self, neurons: np.ndarray) -> Cells:
        """The cells of these neurons."""
        chip, line = self.buses.layer.hardware, self.line_of[self.buses.of_neuron[neurons]]
        has, at = line >= 0, (neurons[:, None], np.maximum(line, 0))

        def taken(values: np.ndarray, factor: float) -> np.ndarray:
            return np.where(has, factor * values[at], 0.0).astype(SINGLE)

        values = taken(chip.weights, self.factor), taken(chip.off, self.factor), taken(chip.variance, self.factor**2)
        return Cells(line, *values, has & chip.usable[at])

    def costs(
        self,
        errors: kernels.RowErrors,
        scales: kernels.Scales,
        *,
        inputs: np.ndarray | None = None,
        neurons: np.ndarray | None = None,
        stop: Callable[[], bool] = never,
    ) -> np.ndarray:
        """See `kernels.CellPlacement.costs`."""
        m, n_neurons = len(errors.constant), self.buses.layer.hardware.n_neurons
        cost = np.full((m, n_neurons), np.inf)
        every = np.broadcast_to(np.arange(n_neurons), (m, n_neurons)) if neurons is None else neurons
        rows, every = np.repeat(np.arange(m), every.shape[1]), every.reshape(-1)

        def work(some: np.ndarray) -> None:
            own = rows[some]
            found = self._switched(errors.rows(own), every[some], scales, _some(inputs, own))
            cost[own, every[some]] = found[2]

        self._run(len(rows), work, stop)
        return cost

    def improve(
        self,
        errors: kernels.RowErrors,
        neuron_of: np.ndarray,
        scales: kernels.Scales,
        *,
        start: np.ndarray | None = None,
        inputs: np.ndarray | None = None,
        kept: np.ndarray | None = None,
        kicks: int = 0,
        seed: int = 0,
        stop: Callable[[], bool] = never,
    ) -> kernels.Places:
        """See `kernels.CellPlacement.improve`; cells of the columns `kept`, (rows, columns), stay as they start."""
        m, n = errors.linear.shape
        state, scale, cost = np.zeros((m, n), SINGLE), np.ones(m), np.full(m, np.inf)
        must = np.zeros((m, n), bool) if errors.required is None else errors.required
        state[must] = 1.0
        if start is not None:
            state = _states(start, n)

        def work(some: np.ndarray) -> None:
            begun = None if start is None else state[some]
            rule = _some(inputs, some), _some(kept, some), kicks, seed + some
            state[some], scale[some], cost[some] = self._switched(
                errors.rows(some), neuron_of[some], scales, *rule, begun
            )

        self._run(m, work, stop)
        line = self.cells(neuron_of).line
        return kernels.Places(_table(state, line, self.buses.layer.hardware.n_cells), scale, cost)

    def _switched(
        self,
        errors: kernels.RowErrors,
        neurons: np.ndarray,
        scales: kernels.Scales,
        inputs: np.ndarray | None,
        kept: np.ndarray | None = None,
        kicks: int = 0,
        seeds: np.ndarray | None = None,
        state: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """States, scales and costs of rows on these neurons; states None begin near the weights wanted."""
        cells, (m, n) = self.cells(neurons), errors.linear.shape
        may = cells.usable if inputs is None else cells.usable & _mask(inputs, n)
        must = np.zeros((m, n), bool) if errors.required is None else errors.required
        if state is None:
            first = scales.low if scales.low == scales.high else scales.around
            wanted = 0.0 if errors.wanted is None else errors.wanted / SINGLE(first or 1.0)
            state = ((may & (np.abs(wanted - cells.on) < np.abs(wanted - cells.off))) | must).astype(SINGLE)
        ranges, pull = _ranges(errors, scales)
        score, scale, packed = np.zeros(m, SINGLE), np.ones(m, SINGLE), errors.compiled
        _loops().switch_rows(
            packed.moments, packed.power, packed.linear, cells.on, cells.off, cells.noise, may,
            must if kept is None else must | kept, ranges, LEAST * packed.constant, kicks,
            np.zeros(m, np.int64) if seeds is None else seeds, state, score, scale,
        )  # fmt: skip
        cost = errors.constant + pull * scales.around**2 - score
        return state, scale, np.where((must & ~cells.usable).any(axis=1), np.inf, cost)

    def _run(self, count: int, work: Callable[[np.ndarray], None], stop: Callable[[], bool]) -> None:
        chunks = iter([np.arange(first, min(first + CHUNK, count)) for first in range(0, count, CHUNK)])

        def serve() -> None:
            for chunk in chunks:  # next() on a shared iterator is atomic
                if stop():
                    return
                work(chunk)

        if self.threads == 1 or count <= CHUNK:
            serve()
            return
        with ThreadPoolExecutor(self.threads) as pool:
            for job in [pool.submit(serve) for _ in range(self.threads)]:
                job.result()


def exchanged(
    placement: LinePlacement,
    errors: kernels.RowErrors,
    neuron_of: np.ndarray,
    factor: np.ndarray,
    scales: kernels.Scales,
    input_of: np.ndarray,
    *,
    inputs: np.ndarray | None,
    work: float,
    seed: int,
    stop: Callable[[], bool],
) -> tuple[np.ndarray, np.ndarray]:
    """Lines after random exchanges by which all rows of a bus together gain, and what the cells then listen to.

    Parameters
    ----------
    placement : the lines to begin with; its own factor plays no part.
    errors, neuron_of, scales, inputs, stop : as for `LinePlacement.improve`.
    factor : multiplies the weights of each row's neuron.
    input_of : what the cells listen to, (rows, cells); on leaky buses somebody to every input that has a line.
    work : about how many nanoseconds to spend.
    seed : of the random inputs and lines.
    """
    buses, line_of, table = placement.buses, placement.line_of.copy(), input_of.copy()
    chip, n, packed = buses.layer.hardware, errors.linear.shape[1], errors.compiled
    bus_of, (ranges, _) = buses.of_neuron[neuron_of], _ranges(errors, scales)
    must = np.zeros((len(neuron_of), n), bool) if errors.required is None else errors.required
    may = np.ones_like(must) if inputs is None else _mask(inputs, n)
    present = np.unique(bus_of)
    for b in present:
        rows = np.flatnonzero(bus_of == b)
        on, by = neuron_of[rows], factor[rows, None]
        values = [by * chip.weights[on], by * chip.off[on], by**2 * chip.variance[on]]
        bus = _loops().Bus(
            packed.moments, packed.power, packed.linear[rows], *(value.astype(SINGLE) for value in values),
            np.array(chip.usable[on]), may[rows], must[rows], ranges[rows],
            bool(buses.leaky[b]),
        )  # fmt: skip
        moving = np.arange(n) if buses.leaky[b] else np.flatnonzero(may[rows].any(axis=0))
        if len(moving) == 0:
            continue
        touched = len(rows) if buses.leaky[b] else min(len(rows), 2.0 * may[rows].sum() / len(moving))
        tries = int(work / len(present) / (TOUCHED * touched + PASSED * len(rows)))
        tries = min(tries, MOST_VISITS * len(moving) * (chip.n_cells + 1))
        held, state = np.full(chip.n_cells, -1), _states(table[rows], n)
        held[line_of[b][line_of[b] >= 0]] = np.flatnonzero(line_of[b] >= 0)
        sums = np.zeros((len(rows), n), SINGLE), np.zeros(len(rows), SINGLE), np.zeros(len(rows), SINGLE)
        _loops().products(bus, line_of[b], state, *sums)
        least = LEAST * SINGLE(packed.constant[rows].sum())
        for part in range(PARTS):
            if not stop():
                chance = (seed + 1009 * int(b) + part) % 2**31
                _loops().exchange_lines(bus, moving, tries // PARTS, chance, least, line_of[b], held, state, *sums)
        table[rows] = _table(state, np.broadcast_to(line_of[b], state.shape), chip.n_cells)
    return line_of, table


def _loops() -> Any:
    """The compiled loops, loaded on first use."""
    from matchopt_reroute import line_loops

    return line_loops


def _ranges(errors: kernels.RowErrors, scales: kernels.Scales) -> tuple[np.ndarray, np.ndarray]:
    """Scales and what the penalty on them adds to a and q, (rows, 4); the penalty."""
    pull, m = scales.pull * errors.constant, len(errors.constant)
    columns = np.full(m, scales.low), np.full(m, scales.high), pull * scales.around, pull
    return np.stack(columns, axis=1).astype(SINGLE), pull


def _some(array: np.ndarray | None, which: np.ndarray) -> np.ndarray | None:
    return None if array is None else array[which]


def _mask(listed: np.ndarray, size: int) -> np.ndarray:
    """The numbers listed, -1 filling up, as a mask."""
    found = np.zeros((len(listed), size + 1), bool)
    np.put_along_axis(found, listed, True, axis=1)
    return np.ascontiguousarray(found[:, :size])


def _states(input_of: np.ndarray, n_columns: int) -> np.ndarray:
    """1 where a row listens to a column."""
    found = np.zeros((len(input_of), n_columns + 1), SINGLE)
    np.put_along_axis(found, input_of, SINGLE(1), axis=1)
    return np.ascontiguousarray(found[:, :n_columns])


def _table(state: np.ndarray, line: np.ndarray, n_cells: int) -> np.ndarray:
    """The column that every cell listens to, -1 for none, (rows, cells)."""
    table = np.full((len(state), n_cells), -1)
    rows, heard = np.nonzero(state > 0)
    table[rows, line[rows, heard]] = heard
    return table
