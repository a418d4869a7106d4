"""A chip: one or several measured arrays with all that is known of their cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from matchopt.errors import InvalidInstance
from matchopt.instances.arrays import MAX_INDEX, ReadOnly, filled, frozen, set_fields
from matchopt.instances.hardware import Hardware
from matchopt.instances.places import Origin, Place, numbered
from matchopt.settings import checked

Pairing = Literal["none", "fixed", "free"]
# What a cell has in the further fields that an array is given without.
OTHERS = {"input": -1, "low": np.nan, "high": np.nan, "write_variance": 0.0, "levels": np.nan, "level_variance": 0.0}


@dataclass(frozen=True, eq=False)
class ChipArray(ReadOnly):
    """One array of a chip, a tile: M hardware neurons (rows) of K cells each, as measured.

    Parameters
    ----------
    weights : value of every cell that is switched on, in the chip's unit, shape (M, K), finite; 0 and negative readings
        are legal. None for the mean of the readings at the latest time.
    place : where the array was read from; its number of neurons is set here.
    usable : whether a cell can be switched on at all; default true.
    stuck : cells that add their value whenever their line is driven, switched on or off, shape (M, K): true and false,
        or the values they are stuck at, NaN for cells that are not. Default false; kept as true and false.
    off : what a cell adds while it is switched off and its line is driven; default 0, and its weight where it is stuck.
    variance : read-noise variance of every cell, unit squared, >= 0; default 0, or what several readings at the latest
        time have (with n - 1).
    bus : bus of every neuron, shape (M,), >= 0, see `Hardware`; default all different. Arrays share no bus.
    readings : the array read R >= 1 times, shape (R, M, K), finite; None where there are no readings besides `weights`.
    seconds : when each reading was taken, shape (R,), >= 0, ascending; readings at one time are repetitions. Default 0.
    others : fields of `Hardware` about each cell that say what can be written into it, or which input it is hard-wired
        to, by name, shape (M, K) or (M, K, S), in the chip's unit.
    beside : where the cells from number `beside.first_cell` on were read from, where that is not `place`; None for all
        from there.

    Raises
    ------
    InvalidInstance
        naming the field that breaks one of these rules.
    """

    weights: Float[np.ndarray, "neurons cells"] = None  # type: ignore[assignment]  # an array once made
    place: Place = Place()
    usable: Bool[np.ndarray, "neurons cells"] = None  # type: ignore[assignment]  # an array once made
    stuck: Bool[np.ndarray, "neurons cells"] = None  # type: ignore[assignment]  # an array once made
    off: Float[np.ndarray, "neurons cells"] = None  # type: ignore[assignment]  # an array once made
    variance: Float[np.ndarray, "neurons cells"] = None  # type: ignore[assignment]  # an array once made
    bus: Int[np.ndarray, " neurons"] = None  # type: ignore[assignment]  # an array once made
    readings: Float[np.ndarray, "readings neurons cells"] | None = None
    seconds: Float[np.ndarray, " readings"] | None = None
    others: Mapping[str, np.ndarray] = field(default_factory=dict)
    beside: Place | None = None

    def __post_init__(self) -> None:
        self._take_readings()
        weights = frozen(self.weights, "chip.weights", float, 2)
        if max(weights.shape) > MAX_INDEX:
            raise InvalidInstance(f"chip.weights: at most {MAX_INDEX} rows and columns, found {weights.shape}")
        if self.readings is not None and self.readings.shape[1:] != weights.shape:
            raise InvalidInstance(f"chip.readings must be readings of {weights.shape} cells, "
                                  f"found {self.readings.shape[1:]}")  # fmt: skip
        weights, stuck = _stuck(self.stuck, weights)
        off = filled(self.off, "chip.off", float, weights.shape, 0.0)
        variance = filled(self.variance, "chip.variance", float, weights.shape, 0.0)
        if (variance < 0).any():
            j, k = np.argwhere(variance < 0)[0]
            raise InvalidInstance(f"chip.variance must be >= 0, found {variance[j, k]} at neuron {j}, cell {k}")
        bus = frozen(
            np.arange(len(weights)) if self.bus is None else self.bus, "chip.bus", int, 1, shape=weights.shape[:1]
        )
        if (bus < 0).any():
            raise InvalidInstance(f"chip.bus must be >= 0, found {bus.min()} at neuron {int(np.argmin(bus))}")
        set_fields(
            self,
            weights=weights,
            place=replace(self.place, neurons=len(weights), cells=self.place.cells or weights.shape[1]),
            beside=None if self.beside is None else replace(self.beside, neurons=len(weights)),
            usable=filled(self.usable, "chip.usable", bool, weights.shape, True),
            stuck=stuck,
            off=off if not stuck.any() else frozen(np.where(stuck, weights, off), "chip.off", float, 2),
            variance=variance,
            bus=bus,
            others=_others(self.others, weights.shape),
        )

    def _take_readings(self) -> None:
        if self.readings is None:
            if self.seconds is not None:
                raise InvalidInstance("chip.seconds: there are no readings that these could be the times of")
            if self.weights is None:
                raise InvalidInstance("chip.weights: weights or readings are needed, found neither")
            return
        readings = frozen(self.readings, "chip.readings", float, 3)
        if not len(readings):
            raise InvalidInstance("chip.readings: at least one reading is needed, found none")
        times = np.zeros(len(readings)) if self.seconds is None else self.seconds
        seconds = frozen(times, "chip.seconds", float, 1, shape=readings.shape[:1])
        if (seconds < 0).any() or (np.diff(seconds) < 0).any():
            raise InvalidInstance(f"chip.seconds must be >= 0 and ascending, found {seconds.tolist()[:8]}")
        set_fields(self, readings=readings, seconds=seconds)
        last = readings[seconds == seconds[-1]]
        if self.weights is None:
            set_fields(self, weights=last.mean(axis=0))
        if self.variance is None and len(last) > 1:
            set_fields(self, variance=last.var(axis=0, ddof=1))

    @property
    def n_neurons(self) -> int:
        """Number of rows M."""
        return int(self.weights.shape[0])

    @property
    def n_cells(self) -> int:
        """Number of columns K."""
        return int(self.weights.shape[1])

    @cached_property
    def times(self) -> tuple[float, ...]:
        """The times at which the array was read, each once, in seconds; none without readings."""
        return () if self.seconds is None else tuple(dict.fromkeys(self.seconds.tolist()))

    def until(self, seconds: float, since: float = 0.0) -> "ChipArray":
        """The array as if it had been read from `since` to `seconds` only: weights and variance are those of the latest
        of these times.

        Raises InvalidInstance when there is no such reading.
        """  # fmt: skip
        if self.readings is None or self.seconds is None:
            raise InvalidInstance("chip.seconds: the array was read once, at no known time; give readings and seconds")
        kept = (self.seconds >= since) & (self.seconds <= seconds)
        if not kept.any():
            times = ", ".join(f"{time:g}" for time in self.times)
            raise InvalidInstance(f"chip.seconds: no reading from {since:g} to {seconds:g}; there are {times}")
        latest, own = self.seconds[kept], self.seconds == self.seconds[-1]
        derived = own.sum() > 1 or (latest == latest[-1]).sum() > 1  # the variance of repeated readings
        return replace(
            self,
            weights=None,  # type: ignore[arg-type]  # None means default
            variance=None if derived else self.variance,  # type: ignore[arg-type]
            readings=self.readings[kept],
            seconds=latest,
            off=np.where(self.stuck, 0.0, self.off),
        )

    def at(self, seconds: float) -> "ChipArray":
        """The array as it was read at exactly this time; raises InvalidInstance when it was not."""
        return self.until(seconds, seconds)


@dataclass(frozen=True, eq=False)
class Chip(ReadOnly):
    """One or several arrays. Neurons are numbered through all of them, in order, and so are buses.

    Parameters
    ----------
    arrays : at least one; sizes may differ.
    unit : of all values, such as "S" (siemens); "" if unknown.
    pairs : "none": every cell is a device. "fixed": arrays come in twos of one shape, G+ and G-, and a weight is the
        difference of the cells at one place of both. "free": the same, but any cells of a neuron of G+ may make a
        weight with any of the same neuron of G-. `matchopt.instances.differential` makes weights of both.

    Raises
    ------
    InvalidInstance
        when there is no array, or G+ and G- do not fit.
    """

    arrays: tuple[ChipArray, ...]
    unit: str = ""
    pairs: Pairing = "none"

    def __post_init__(self) -> None:
        object.__setattr__(self, "arrays", tuple(self.arrays))
        checked(self.unit, str, "chip.unit", InvalidInstance)
        checked(self.pairs, Pairing, "chip.pairs", InvalidInstance)
        if not self.arrays:
            raise InvalidInstance("chip.arrays: at least one array is needed, found none")
        if self.pairs == "none":
            return
        shapes = [array.weights.shape for array in self.arrays]
        if len(shapes) % 2 or (self.pairs == "fixed" and shapes[::2] != shapes[1::2]):
            raise InvalidInstance(
                f"chip.pairs: arrays must come in twos of one shape, G+ and G-, found shapes {shapes}"
            )

    @property
    def n_neurons(self) -> int:
        """Number of hardware neurons of all arrays."""
        return sum(array.n_neurons for array in self.arrays)

    @property
    def n_cells(self) -> int:
        """Most cells of a neuron."""
        return max(array.n_cells for array in self.arrays)

    @property
    def times(self) -> tuple[float, ...]:
        """The times, in seconds, at which every array was read."""
        shared = set(self.arrays[0].times).intersection(*(array.times for array in self.arrays))
        return tuple(sorted(shared))

    @cached_property
    def bus(self) -> Int[np.ndarray, " neurons"]:
        """Bus of every neuron, by numbers that no two arrays share."""
        first, found = 0, []
        for array in self.arrays:
            found.append(array.bus + first)
            first = int(found[-1].max(initial=first - 1)) + 1
        return frozen(np.concatenate(found), "chip.bus", int, 1)

    def until(self, seconds: float, since: float = 0.0) -> "Chip":
        """See `ChipArray.until`."""
        return replace(self, arrays=tuple(array.until(seconds, since) for array in self.arrays))

    def at(self, seconds: float) -> "Chip":
        """See `ChipArray.at`."""
        return self.until(seconds, seconds)

    def origin(self, scale: float = 1.0) -> Origin:
        """Where the neurons are, and the factor from values to weights."""
        places = [place for array in self.arrays for place in (array.place, array.beside) if place is not None]
        return Origin(tuple(places), self.unit, scale)

    def hardware(
        self,
        neurons: Int[np.ndarray, " some"] | Sequence[int] | None = None,
        cells: int | None = None,
        scale: float = 1.0,
    ) -> Hardware:
        """The hardware of a layer: neurons and buses have their numbers on the chip.

        Neurons of narrower arrays end in cells that are not usable.

        Parameters
        ----------
        neurons : numbers of the neurons, each once; None for all.
        cells : so many cells of each, the first ones (half of them from each half of free pairs); None for all.
        scale : factor from the chip's unit to weights, > 0.

        Raises
        ------
        InvalidInstance
            when the chip has no such neuron, or its devices are yet to be paired.
        """
        if self.pairs != "none":
            raise InvalidInstance(f"chip.pairs: devices in {self.pairs} pairs make no weights until they are paired")
        numbers = np.arange(self.n_neurons) if neurons is None else frozen(neurons, "neurons", int, 1)
        if numbers.min(initial=0) < 0 or numbers.max(initial=-1) >= self.n_neurons:
            raise InvalidInstance(f"neurons: the chip has {self.n_neurons}, found number {numbers.max()}")
        width = self.n_cells if cells is None else cells
        narrow = replace(self, arrays=tuple(_narrowed(array, width) for array in self.arrays))
        fields = {name: self._padded([getattr(array, name) for array in narrow.arrays], width, 0)[numbers]
                  for name in ("weights", "variance", "usable", "off")}  # fmt: skip
        for name, nothing in OTHERS.items():
            given = [array.others.get(name) for array in narrow.arrays]
            if any(part is not None for part in given):
                fields[name] = self._padded(given, width, nothing)[numbers]
        found = Hardware(**fields, bus=self.bus[numbers], neuron=numbers, origin=narrow.origin())
        return found if scale == 1.0 else found.scaled(scale)

    def _padded(self, parts: Sequence[np.ndarray | None], width: int, nothing: float) -> np.ndarray:
        """A field of all arrays below each other, cut or filled with `nothing` to this width."""
        known = [part for part in parts if part is not None]
        depth = tuple(max(sizes) for sizes in zip(*(part.shape[2:] for part in known), strict=True))
        full = np.full((self.n_neurons, width, *depth), nothing, known[0].dtype)
        for place, part in zip(numbered([array.n_neurons for array in self.arrays]), parts, strict=True):
            if part is not None:
                cut = part[:, :width]
                full[(place, *(slice(side) for side in cut.shape[1:]))] = cut
        return full


def _narrowed(array: ChipArray, width: int) -> ChipArray:
    """Half of so many cells from `place` and half from `beside`, more of one where the other has less than half."""
    if array.beside is None or width >= array.n_cells:
        return array
    first = array.beside.first_cell
    half = min(max((width + 1) // 2, width - (array.n_cells - first)), first)
    kept = np.r_[:half, first : first + width - half]
    fields = {name: getattr(array, name)[:, kept] for name in ("weights", "usable", "stuck", "off", "variance")}
    others = {name: values[:, kept] for name, values in array.others.items()}
    readings = None if array.readings is None else array.readings[:, :, kept]
    return replace(array, **fields, others=others, readings=readings, beside=replace(array.beside, first_cell=half))


def _others(given: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> Mapping[str, np.ndarray]:
    """The further fields, of cells in this shape, read-only."""
    found = {}
    for name, values in given.items():
        if name not in OTHERS:
            raise InvalidInstance(f"chip.others: {name!r} is unknown (known: {', '.join(OTHERS)})")
        kind = int if name == "input" else float
        found[name] = frozen(values, f"chip.{name}", kind, np.ndim(values), finite=False)
        if found[name].shape[:2] != shape:
            raise InvalidInstance(f"chip.{name} must be of {shape} cells, found shape {found[name].shape}")
    return MappingProxyType(found)


def _stuck(
    given: np.ndarray | None, weights: Float[np.ndarray, "neurons cells"]
) -> tuple[Float[np.ndarray, "neurons cells"], Bool[np.ndarray, "neurons cells"]]:
    """The weights with the values that cells are stuck at, and which cells are."""
    if given is None or np.asarray(given).dtype.kind != "f":
        return weights, filled(given, "chip.stuck", bool, weights.shape, False)
    values = frozen(given, "chip.stuck", float, 2, shape=weights.shape, finite=False)
    stuck = ~np.isnan(values)
    return frozen(np.where(stuck, values, weights), "chip.stuck", float, 2), frozen(stuck, "chip.stuck", bool, 2)
