"""Rows whose cells hear given inputs: which of them are switched on, by the error of the row's output."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from matchopt import Hardware, kernels
from matchopt_reroute.wiring import never

SINGLE = np.float32
LEAST = SINGLE(1e-6)  # least gain of a move relative to the row's constant
CHUNK = 32_000  # cells of pairs of a row and a neuron between two looks at the clock
PAIRS = 1_000_000  # cells looked at for a switch of two before none is found


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of some rows that are considered: their number on the neuron and the column that each hears, -1 for
    none; what they add on and off, noise, whether usable."""

    place: np.ndarray
    column: np.ndarray
    on: np.ndarray
    off: np.ndarray
    noise: np.ndarray
    usable: np.ndarray

    def rows(self, some: np.ndarray) -> Cells:
        """Those of some rows."""
        return Cells(*(getattr(self, name)[some] for name in self.__dataclass_fields__))

    def states(self, input_of: np.ndarray) -> np.ndarray:
        """1 where a cell is on, from what each cell of the hardware neurons listens to."""
        heard = np.take_along_axis(input_of, np.maximum(self.place, 0), axis=1)
        on: np.ndarray = (self.place >= 0) & (self.column >= 0) & (heard == self.column)
        return on.astype(SINGLE)

    def table(self, state: np.ndarray, n_cells: int) -> np.ndarray:
        """The column that every cell of the hardware neurons listens to, -1 for none, (rows, cells)."""
        table = np.full((len(state), n_cells), -1)
        rows, cells = np.nonzero(state > 0)
        table[rows, self.place[rows, cells]] = self.column[rows, cells]
        return table

    def by_cell(self, by_column: np.ndarray) -> np.ndarray:
        """Values of (rows, columns) at the columns that cells hear; false or 0 where they hear none."""
        found = np.take_along_axis(by_column, np.maximum(self.column, 0), axis=1)
        return np.where(self.column >= 0, found, found.dtype.type(0))


class Switching(ABC):
    """What `kernels.CellPlacement` is where neurons are routed freely, for cells that hear given inputs."""

    threads: int

    @property
    @abstractmethod
    def chip(self) -> Hardware:
        """The hardware neurons."""

    @abstractmethod
    def cells(self, neurons: np.ndarray) -> Cells:
        """The cells of these neurons."""

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
        m, n_neurons = len(errors.constant), self.chip.n_neurons
        cost = np.full((m, n_neurons), np.inf)
        every = np.broadcast_to(np.arange(n_neurons), (m, n_neurons)) if neurons is None else neurons
        rows, every = np.repeat(np.arange(m), every.shape[1]), every.reshape(-1)

        def work(some: np.ndarray) -> None:
            own = rows[some]
            found = self._switched(errors.rows(own), self.cells(every[some]), scales, _some(inputs, own))
            cost[own, every[some]] = found[2]

        self._run(len(rows), errors.linear.shape[1], work, stop)
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
        pairs: bool = True,
        seed: int = 0,
        stop: Callable[[], bool] = never,
    ) -> kernels.Places:
        """See `kernels.CellPlacement.improve`; cells of the columns `kept`, (rows, columns), stay as they start, and
        with `pairs` two are switched at once where one no longer helps."""
        m, cells = len(errors.constant), self.cells(neuron_of)
        scale, cost = np.ones(m), np.full(m, np.inf)
        state = np.zeros((m, cells.place.shape[1]), SINGLE)
        if start is not None:
            state = cells.states(start)
        elif errors.required is not None:
            state = cells.by_cell(errors.required).astype(SINGLE)

        def work(some: np.ndarray) -> None:
            begun = None if start is None else state[some]
            rule = _some(inputs, some), _some(kept, some), kicks, pairs, seed + some
            state[some], scale[some], cost[some] = self._switched(
                errors.rows(some), cells.rows(some), scales, *rule, begun
            )

        self._run(m, state.shape[1], work, stop)
        return kernels.Places(cells.table(state, self.chip.n_cells), scale, cost)

    def _switched(
        self,
        errors: kernels.RowErrors,
        cells: Cells,
        scales: kernels.Scales,
        inputs: np.ndarray | None,
        kept: np.ndarray | None = None,
        kicks: int = 0,
        pairs: bool = True,
        seeds: np.ndarray | None = None,
        state: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """States, scales and costs of rows on these cells; states None begin near the weights wanted."""
        m, n = errors.linear.shape
        may = cells.usable if inputs is None else cells.usable & cells.by_cell(as_mask(inputs, n))
        must = np.zeros(may.shape, bool) if errors.required is None else cells.by_cell(errors.required)
        if state is None:
            first = scales.low if scales.low == scales.high else scales.around
            wanted = 0.0 if errors.wanted is None else cells.by_cell(errors.wanted) / SINGLE(first or 1.0)
            state = ((may & (np.abs(wanted - cells.on) < np.abs(wanted - cells.off))) | must).astype(SINGLE)
        ranges, pull = ranges_of(errors, scales)
        score, scale, packed = np.zeros(m, SINGLE), np.ones(m, SINGLE), errors.compiled
        loops().switch_rows(
            packed.moments, packed.power, packed.linear, np.array(cells.column), cells.on, cells.off, cells.noise, may,
            must if kept is None else must | cells.by_cell(kept), ranges, LEAST * packed.constant, kicks,
            PAIRS // max(1, may.shape[1]) if pairs else 0, np.zeros(m, np.int64) if seeds is None else seeds, state,
            score, scale,
        )  # fmt: skip
        cost = errors.constant + pull * scales.around**2 - score
        return state, scale, np.where((must & ~cells.usable).any(axis=1), np.inf, cost)

    def _run(self, count: int, cells: int, work: Callable[[np.ndarray], None], stop: Callable[[], bool]) -> None:
        size = max(1, min(32, CHUNK // max(1, cells)))
        chunks = iter([np.arange(first, min(first + size, count)) for first in range(0, count, size)])

        def serve() -> None:
            for chunk in chunks:  # next() on a shared iterator is atomic
                if stop():
                    return
                work(chunk)

        if self.threads == 1 or count <= size:
            serve()
            return
        with ThreadPoolExecutor(self.threads) as pool:
            for job in [pool.submit(serve) for _ in range(self.threads)]:
                job.result()


def loops() -> Any:
    """The compiled loops, loaded on first use."""
    from matchopt_reroute import switch_loops

    return switch_loops


def ranges_of(errors: kernels.RowErrors, scales: kernels.Scales) -> tuple[np.ndarray, np.ndarray]:
    """Scales and what the penalty on them adds to a and q, (rows, 4); the penalty."""
    pull, m = scales.pull * errors.constant, len(errors.constant)
    columns = np.full(m, scales.low), np.full(m, scales.high), pull * scales.around, pull
    return np.stack(columns, axis=1).astype(SINGLE), pull


def _some(array: np.ndarray | None, which: np.ndarray) -> np.ndarray | None:
    return None if array is None else array[which]


def as_mask(listed: np.ndarray, size: int) -> np.ndarray:
    """The numbers listed, -1 filling up, as a mask."""
    found = np.zeros((len(listed), size + 1), bool)
    np.put_along_axis(found, listed, True, axis=1)
    return np.ascontiguousarray(found[:, :size])
