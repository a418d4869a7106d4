"""Projections of wished weights on what hardware neurons can realise, one neuron per row, each cell used at most once.

For training on fixed weights: wishes move freely, the network runs with their projection (Aladago and Torresani, ICML
2021, arXiv 2101.06475, with one common set of values per neuron; Qiu and Suda, NeurIPS 2020, arXiv 2003.02570).
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int32

from matchopt.errors import InvalidInstance
from matchopt.instances.arrays import frozen
from matchopt.instances.target import check_rows
from matchopt.kernels.aligning import align_rows
from matchopt.kernels.routing import route_rows, route_worths, workspace


class Wires(NamedTuple):
    """The wires of every row in padded arrays; beyond a row's count they hold anything. Compiled loops take them.

    Parameters
    ----------
    count : number of wires of every row.
    inputs : input that each wire listens to, no two of a row equal.
    cells : cell of the row's hardware neuron, no two of a row equal.
    weights : weight of the cell.
    """

    count: Int32[np.ndarray, " rows"]  # type: ignore[assignment]  # in place of the method of tuples
    inputs: Int32[np.ndarray, "rows most"]
    cells: Int32[np.ndarray, "rows most"]
    weights: Float32[np.ndarray, "rows most"]

    @classmethod
    def room(cls, rows: int, most: int) -> "Wires":
        """No wires, and room for `most` in every row."""
        inputs, cells = np.zeros((rows, most), np.int32), np.zeros((rows, most), np.int32)
        return cls(np.zeros(rows, np.int32), inputs, cells, np.zeros((rows, most), np.float32))

    @property
    def compiled(self) -> "Wires":
        """The same; plugins written for 0.1 ask for it."""
        return self

    @property
    def listed(self) -> Bool[np.ndarray, "rows most"]:
        """Which entries of the padded arrays are wires."""
        return np.arange(self.inputs.shape[1]) < self.count[:, None]


class Projection(ABC):
    """Projects wishes, one row per hardware neuron; `wires` is the outcome of the last call."""

    wires: Wires

    @abstractmethod
    def project(self, wishes: Float32[np.ndarray, "rows inputs"]) -> Wires:
        """Project `wishes`, shape (rows, inputs), and return `wires`, which the next call overwrites."""


class FreeProjection(Projection):
    """Any cell may listen to any input, or to none.

    Parameters
    ----------
    weights : cells of every row's hardware neuron; single precision is used.
    usable : cells that may be used at all.
    n_inputs : number of inputs.
    threshold : a cell h is worth |h| * (|wish| - threshold * |h|) on an input whose wish has its sign, and the worth of
        all is maximised: 0.5 is the Euclidean projection, 0 uses every cell (where there are enough inputs). >= 0.
    exact : whether the maximum is found, by dynamic programming; otherwise the cells, largest first, each take the
        next input if that is worth anything.
    """

    def __init__(
        self,
        weights: Float[np.ndarray, "rows cells"],
        usable: Bool[np.ndarray, "rows cells"],
        n_inputs: int,
        *,
        threshold: float = 0.5,
        exact: bool = True,
    ) -> None:
        _check(weights, usable, threshold)
        single = weights.astype(np.float32)
        sides = [_sorted(sign * single, usable & (sign * single > 0), falling=True) for sign in (1, -1)]
        most = max(side[2].max(initial=0) for side in sides)
        self._cells, self._ids = (
            np.ascontiguousarray(np.stack([side[part][:, :most] for side in sides], axis=1)) for part in (0, 1)
        )
        self._n_cells = np.stack([side[2] for side in sides], axis=1)
        self._rule = (threshold, exact)
        self._near = np.full(self._cells.shape, -1, np.int32)
        self._work = workspace(int(most), n_inputs)
        self._n_inputs = n_inputs
        self.wires = Wires.room(*single.shape)

    def project(self, wishes: Float32[np.ndarray, "rows inputs"]) -> Wires:
        _check_wishes(wishes, (len(self._cells), self._n_inputs))
        cells = (self._cells, self._ids, self._n_cells)
        route_rows(wishes, *cells, *self._rule, self._near, self.wires, self._work)
        return self.wires

    def worths(self, wishes: Float32[np.ndarray, "wishing inputs"]) -> Float[np.ndarray, "wishing rows"]:
        """What each line of `wishes`, (wishing, inputs), is worth on each row's hardware neuron, (wishing, rows)."""
        _check_wishes(wishes, (len(wishes), self._n_inputs))
        found = np.empty((len(wishes), len(self._cells)))
        near = np.empty(self._near.shape[1:], np.int32)
        route_worths(wishes, self._cells, self._n_cells, *self._rule, near, self._work, found)
        return found


class BoundProjection(Projection):
    """Every row has a set of inputs of its own; matched exactly, in order, as cells and wishes are sorted.

    Parameters
    ----------
    weights, usable, n_inputs, threshold : as for `FreeProjection`; `threshold` says nothing of inputs that must be
        served, for which 0.5 is taken.
    starts, inputs : the rows' own inputs, ascending, in compressed rows.
    drop : whether an input of the set may stay without a cell.
    extra : whether cells that are left may listen to other inputs.

    Raises
    ------
    InvalidInstance
        when a row has more inputs than usable cells and `drop` is off, or the rows' inputs do not fit.
    """

    def __init__(
        self,
        weights: Float[np.ndarray, "rows cells"],
        usable: Bool[np.ndarray, "rows cells"],
        n_inputs: int,
        starts: Int[np.ndarray, " rows_and_one"],
        inputs: Int[np.ndarray, " connections"],
        *,
        drop: bool,
        extra: bool = False,
        threshold: float = 0.5,
    ) -> None:
        _check(weights, usable, threshold)
        single = weights.astype(np.float32)
        self._cells, self._ids, self._n_cells = _sorted(single, usable, falling=False)
        starts, inputs = map(np.array, check_rows(starts, inputs, n_inputs, "rows", "inputs"))
        if len(starts) != len(weights) + 1:
            raise InvalidInstance(f"starts must have one more than the {len(weights)} rows, found {len(starts)}")
        short = np.diff(starts) > self._n_cells
        if short.any() and not drop:
            i = int(np.argmax(short))
            raise InvalidInstance(
                f"row {i} has {np.diff(starts)[i]} inputs and {self._n_cells[i]} usable cells; allow dropping"
            )
        self._starts, self._support = starts, inputs
        self._rule = (not drop, extra)
        self._threshold = threshold if drop else 0.5
        self._n_inputs = n_inputs
        self.wires = Wires.room(*single.shape)

    def project(self, wishes: Float32[np.ndarray, "rows inputs"]) -> Wires:
        _check_wishes(wishes, (len(self._cells), self._n_inputs))
        cells = (self._cells, self._ids, self._n_cells)
        align_rows(wishes, self._starts, self._support, *self._rule, *cells, self._threshold, self.wires)
        return self.wires


def _sorted(
    values: Float32[np.ndarray, "rows cells"], kept: Bool[np.ndarray, "rows cells"], *, falling: bool
) -> tuple[Float32[np.ndarray, "rows cells"], Int32[np.ndarray, "rows cells"], Int32[np.ndarray, " rows"]]:
    """The kept values of every row in order, others behind as 0; their cells; how many there are."""
    order = np.argsort(np.where(kept, -values if falling else values, np.inf), axis=1, kind="stable")
    n_kept = kept.sum(axis=1).astype(np.int32)
    found = np.take_along_axis(values, order, axis=1)
    found[np.arange(values.shape[1]) >= n_kept[:, None]] = 0.0
    return found, order.astype(np.int32), n_kept


def _check(weights: Float[np.ndarray, "rows cells"], usable: Bool[np.ndarray, "rows cells"], threshold: float) -> None:
    frozen(usable, "usable", bool, 2, shape=weights.shape)
    if not threshold >= 0.0:
        raise InvalidInstance(f"threshold must be >= 0, found {threshold}")


def _check_wishes(wishes: Float32[np.ndarray, "rows inputs"], shape: tuple[int, int]) -> None:
    if wishes.shape != shape or not wishes.flags.c_contiguous:
        raise InvalidInstance(f"wishes must have shape {shape} in row order, found {wishes.shape}")
