"""Rows of cells that may listen to any input, under quadratic errors: costs of pairs, and places improved."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from matchopt.errors import InvalidInstance
from matchopt.instances import Hardware
from matchopt.instances.arrays import frozen
from matchopt.kernels.cell_search import Chip, Ranges, Rows, place_all, place_rows
from matchopt.kernels.packing import CellSorter

CHUNK = 16  # most rows a thread takes at a time, between two looks at the clock; one where rows are disturbed
LEAST = {4: 1e-6, 8: 1e-13}  # least gain of a move relative to the row's constant, by bytes of a float

Numbers = Int[np.ndarray, " chunk"]  # formed once: it takes longer than a row
Never: Callable[[], bool] = lambda: False  # noqa: E731


@dataclass(frozen=True, eq=False)
class RowErrors:
    """The error of every row as a quadratic function of its weights w on the inputs, at an output scale u.

    error_i(w, u) = constant_i - 2 u linear_i . w + u^2 (w^T moments w + sum over inputs of power_x * noise on x)

    Parameters
    ----------
    moments : the inputs' second moments or covariances, symmetric, positive semidefinite; its type of float is used
        throughout.
    linear : moments of every row's wanted signal with the inputs.
    constant : second moment of every row's wanted signal, >= 0.
    power : what multiplies the read noise on each input, mostly E[x^2]; None for the diagonal of `moments`.
    required : inputs that a row must listen to; None for none.
    wanted : weights that a search begins as near to as it can, on the inputs where they are not 0 and on those that
        are required; needed with `required`. None begins with empty neurons.

    Raises
    ------
    InvalidInstance
        when shapes do not fit each other, or there are required inputs but no `wanted`.
    """

    moments: Float[np.ndarray, "inputs inputs"]
    linear: Float[np.ndarray, "rows inputs"]
    constant: Float[np.ndarray, " rows"]
    power: Float[np.ndarray, " inputs"] | None = None
    required: Bool[np.ndarray, "rows inputs"] | None = None
    wanted: Float[np.ndarray, "rows inputs"] | None = None
    compiled: Rows = field(init=False, repr=False)

    def __post_init__(self) -> None:
        kind = self.moments.dtype
        m, n = len(self.linear), len(self.moments)
        shapes = {"moments": (n, n), "linear": (m, n), "constant": (m,), "power": (n,)}
        for name, shape in (shapes | dict.fromkeys(("required", "wanted"), (m, n))).items():
            array = getattr(self, name)
            if array is not None and array.shape != shape:
                raise InvalidInstance(f"{name} must have shape {shape}, found {array.shape}")
        if self.required is not None and self.wanted is None:
            raise InvalidInstance("wanted: needed with required inputs, found None")
        ranked, sought = np.full((m, 0), -1, np.int32), np.zeros((m, 0))
        if self.wanted is not None:
            ranked, sought = _ranked(self.wanted, self.required)
        diagonal = self.moments.diagonal()
        arrays = (self.moments, diagonal, diagonal if self.power is None else self.power, self.linear, self.constant)
        required = np.zeros((0, 0), bool) if self.required is None else self.required
        packed = [_own(array, kind) for array in arrays]
        packed += [_own(required, bool), _own(ranked, np.int32), _own(sought, kind)]
        object.__setattr__(self, "compiled", Rows._make(packed))

    def rows(self, which: Int[np.ndarray, " some"]) -> "RowErrors":
        """The errors of the rows of numbers `which`."""
        if np.array_equal(which, np.arange(len(self.linear))):
            return self
        required, wanted = (None if array is None else array[which] for array in (self.required, self.wanted))
        return RowErrors(self.moments, self.linear[which], self.constant[which], self.power, required, wanted)


@dataclass(frozen=True)
class Scales:
    """The output scales u that a search may choose from.

    Parameters
    ----------
    low, high : ends of the interval; equal for a fixed scale.
    pull : penalty on scales away from `around`: pull * constant_i * (u - around)^2 is added to the error; >= 0.
    around : see `pull`.
    """

    low: float = 1.0
    high: float = 1.0
    pull: float = 0.0
    around: float = 1.0


@dataclass(frozen=True, eq=False)
class Places:
    """What every cell of a row's hardware neuron listens to.

    Parameters
    ----------
    input_of : input of every cell, -1 for none.
    scale : output scale u of the row.
    cost : error of the row, with the penalty on its scale; inf where its required inputs do not fit its neuron.
    """

    input_of: Int[np.ndarray, "rows cells"]
    scale: Float[np.ndarray, " rows"]
    cost: Float[np.ndarray, " rows"]


class CellPlacement:
    """Local search for what the cells of hardware neurons listen to, rows in parallel.

    Parameters
    ----------
    hardware : the chip's layer; unusable cells stay unused, buses and off values play no part.
    factor : multiplies all its weights (and, squared, its noise), such as a fixed gain.
    single : whether to count in single precision.
    threads : most threads.
    """

    def __init__(self, hardware: Hardware, *, factor: float = 1.0, single: bool = False, threads: int = 1) -> None:
        kind = np.float32 if single else np.float64
        found = CellSorter.of(hardware).sort(slice(None), with_order=True)
        self._order = found.order
        cells = np.where(np.isfinite(found.cells), found.cells, 0.0) * factor
        noise = found.variance * factor**2 if found.variance.size else np.zeros_like(cells)
        if factor < 0.0:  # ascending again
            place, last = np.arange(cells.shape[1]), found.n_usable[:, None] - 1
            turned = np.where(place <= last, last - place, place)
            self._order, cells, noise = (np.take_along_axis(a, turned, axis=1) for a in (found.order, cells, noise))
        self._chip = Chip(cells.astype(kind), noise.astype(kind), found.n_usable.astype(np.int64))
        self._kind, self._threads = kind, max(1, threads)

    def costs(
        self,
        errors: RowErrors,
        scales: Scales | None = None,
        *,
        inputs: Int[np.ndarray, "rows some"] | None = None,
        neurons: Int[np.ndarray, "rows few"] | None = None,
        stop: Callable[[], bool] = Never,
    ) -> Float[np.ndarray, "rows neurons"]:
        """Cost found by one descent for every pair, from the places that come nearest to the weights that are wanted.

        Parameters
        ----------
        errors : the rows.
        scales : allowed output scales; None for 1.
        inputs : the inputs each row may use, rising, -1 fills up; None for all. Must contain the required ones.
        neurons : the hardware neurons to try for each row, -1 fills up; None for all. Others cost inf.
        stop : asked now and then; once it is true the rows left over keep cost inf.
        """
        m, n_neurons = len(errors.constant), len(self._chip.cells)
        cost = np.full((m, n_neurons), np.inf, self._kind)
        every = np.broadcast_to(np.arange(n_neurons), (m, n_neurons))
        every = _own(every if neurons is None else _numbers(neurons, "neurons", (m, None), -1, n_neurons), np.int64)
        packed, heard, ranges = self._problem(errors, inputs, scales)

        def work(rows: Numbers) -> None:
            place_all(rows, every, self._chip, packed, heard, ranges, self._least, cost)

        self._run(np.arange(m), CHUNK, work, stop)
        return cost.astype(np.float64)

    def improve(
        self,
        errors: RowErrors,
        neuron_of: Int[np.ndarray, " rows"],
        scales: Scales | None = None,
        *,
        start: Int[np.ndarray, "rows cells"] | None = None,
        inputs: Int[np.ndarray, "rows some"] | None = None,
        kicks: int = 0,
        seed: int = 0,
        stop: Callable[[], bool] = Never,
    ) -> Places:
        """Places of every row's cells on its hardware neuron, after a descent and `kicks` further ones.

        Parameters
        ----------
        errors, scales, inputs, stop : as in `costs`; rows left over when stopped cost inf.
        neuron_of : hardware neuron of every row.
        start : places to begin from, which use no unusable cell and hear all required inputs; None begins as `costs`.
        kicks : random disturbances per row, each followed by a descent that is kept if it is better.
        seed : seed of the disturbances, 0 .. 2^31 - 1.
        """
        m, n_cells = len(errors.constant), self._order.shape[1]
        on = _numbers(neuron_of, "neuron_of", (m,), 0, len(self._order))
        order = self._order[on]
        places = np.full((m, n_cells), -1, np.int32)
        if start is not None:
            start = _numbers(start, "start", (m, n_cells), -1, len(errors.moments))
            places[:] = start[np.arange(m)[:, None], order]
        scale, cost = np.ones(m, self._kind), np.full(m, np.inf, self._kind)
        packed, heard, ranges = self._problem(errors, inputs, scales)
        fresh = start is None

        def work(rows: Numbers) -> None:
            place_rows(
                rows, on, self._chip, packed, heard, ranges, self._least, kicks, seed, fresh, places, scale, cost
            )

        self._run(np.arange(m), 1 if kicks else CHUNK, work, stop)
        input_of = np.full((m, n_cells), -1, np.int64)
        input_of[np.arange(m)[:, None], order] = places
        return Places(input_of, scale.astype(np.float64), cost.astype(np.float64))

    @property
    def _least(self) -> Any:
        return self._kind(LEAST[np.dtype(self._kind).itemsize])

    def _problem(
        self, errors: RowErrors, inputs: Int[np.ndarray, "rows some"] | None, scales: Scales | None
    ) -> tuple[Rows, Any, Ranges]:
        if errors.moments.dtype != self._kind:
            raise InvalidInstance(f"errors must be of type {np.dtype(self._kind)}, found {errors.moments.dtype}")
        given = scales or Scales()
        ranges = Ranges(*(self._kind(value) for value in (given.low, given.high, given.pull, given.around)))
        m = len(errors.constant)
        none = np.zeros((m, 0), np.int32)
        if inputs is not None:
            inputs = _numbers(inputs, "inputs", (m, None), -1, len(errors.moments))
        return errors.compiled, none if inputs is None else _own(inputs, np.int32), ranges

    def _run(
        self,
        rows: Int[np.ndarray, " rows"],
        most: int,
        work: Callable[[Int[np.ndarray, " chunk"]], None],
        stop: Callable[[], bool],
    ) -> None:
        size = max(1, min(most, len(rows) // (8 * self._threads)))
        chunks = iter([rows[first : first + size] for first in range(0, len(rows), size)])

        def serve() -> None:
            for chunk in chunks:  # next() on a shared iterator is atomic
                if stop():
                    return
                work(chunk)

        if self._threads == 1 or len(rows) <= CHUNK:
            serve()
            return
        with ThreadPoolExecutor(self._threads) as pool:
            for job in [pool.submit(serve) for _ in range(self._threads)]:
                job.result()


def _numbers(given: Any, name: str, shape: tuple[int | None, ...], least: int, end: int) -> Int[np.ndarray, "..."]:
    """Whole numbers in least .. end - 1, which the loops take for granted."""
    quick = isinstance(given, np.ndarray) and given.dtype == np.int64 and len(shape) == given.ndim
    if quick and all(want in (None, have) for want, have in zip(shape, given.shape, strict=True)):
        found = given
    else:
        found = frozen(given, name, int, len(shape), shape=shape)
    if found.size and not least <= found.min() <= found.max() < end:
        raise InvalidInstance(f"{name} must be in {least} .. {end - 1}, found {found.min()} .. {found.max()}")
    return np.array(found)


def _ranked(
    wanted: Float[np.ndarray, "rows inputs"], required: Bool[np.ndarray, "rows inputs"] | None
) -> tuple[Int[np.ndarray, "rows most"], Float[np.ndarray, "rows most"]]:
    """Every row's inputs to begin with, by rising weights, -1 filling up, and those weights."""
    first = wanted != 0 if required is None else (wanted != 0) | required
    rows, columns = np.nonzero(first)
    number = first.sum(axis=1)
    place = rows, np.arange(len(rows)) - np.repeat(number.cumsum() - number, number)
    sought = np.full((len(wanted), int(number.max(initial=0))), np.inf)
    ranked = np.full(sought.shape, -1)
    ranked[place], sought[place] = columns, wanted[rows, columns]
    order = np.argsort(sought, axis=1, kind="stable")
    return np.take_along_axis(ranked, order, axis=1), np.take_along_axis(sought, order, axis=1)


def _own(array: Any, kind: Any) -> Any:
    """Contiguous and writable, as compiled code is made for one form only; a copy where it is not."""
    if array.dtype == kind and array.flags.carray:
        return array
    return np.require(array, kind, ["C", "W"])
