"""The cells of one layer of a chip."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from matchopt.errors import InvalidInstance
from matchopt.instances.arrays import MAX_INDEX, ReadOnly, filled, frozen, is_constant, set_fields
from matchopt.instances.demands import asks, demands_of
from matchopt.instances.menus import FIELDS as MENUS
from matchopt.instances.menus import checked_menus, some_programmable, stored_menus
from matchopt.instances.places import Origin
from matchopt.parts import exact_keys

_LINEAR = ("weights", "off", "low", "high", "levels")  # in the unit of weights


@dataclass(frozen=True, eq=False)
class Hardware(ReadOnly):
    """M hardware neurons with K cells each, their weights random and fixed, but for cells that can be written.

    Parameters
    ----------
    weights : weight h of every cell when it is switched on, shape (M, K), finite; negative and zero readings are legal.
    variance : read-noise variance v of every cell, >= 0, unit of the weights squared; default 0.
    usable : whether a cell can be switched on at all; default true.
    off : what a cell contributes while it is switched off but its line is driven (leak, stuck cell); default 0.
    bus : bus of every neuron, shape (M,), >= 0. Neurons on one bus share the wiring from inputs to cell lines; all
        different is free routing, all equal one crossbar. Default all different.
    neuron : number of every neuron on the chip that these are part of, shape (M,), >= 0, none twice; what wiring tables
        say. Default 0 .. M - 1.
    origin : the chip's arrays, unit and scale, which give neurons and cells their physical names; None where unknown.
    measured : what was measured of every cell, in the origin's unit: `weights` are this times the origin's scale.
        None where the weights are that.
    low, high : ends of the range of values that can be written into each cell, NaN for cells without; default none.
    write_variance : variance of a cell once a value of its range is written, programming and read noise together, >= 0;
        default 0.
    levels : the values that can be written into each cell that has no range, shape (M, K, S), all different, NaN behind
        the last; default none. A cell with neither reads `weights` for ever, and any other does so until it is written.
    level_variance : variance of a cell at each level, >= 0; default 0.
    input : the only input that a cell can listen to, shape (M, K), -1 for any. The line of a hard-wired cell is always
        driven, whether the cell is switched on or not, so that its `off` always counts. Neurons on one bus are
        hard-wired alike. Default -1.

    Raises
    ------
    InvalidInstance
        naming the field that breaks one of these rules.
    """

    weights: Float[np.ndarray, "neurons cells"]
    variance: Float[np.ndarray, "neurons cells"] = None  # type: ignore[assignment]  # an array once made
    usable: Bool[np.ndarray, "neurons cells"] = None  # type: ignore[assignment]  # an array once made
    off: Float[np.ndarray, "neurons cells"] = None  # type: ignore[assignment]  # an array once made
    bus: Int[np.ndarray, " neurons"] = None  # type: ignore[assignment]  # an array once made
    neuron: Int[np.ndarray, " neurons"] = None  # type: ignore[assignment]  # an array once made
    origin: Origin | None = None
    measured: Float[np.ndarray, "neurons cells"] | None = None
    low: Float[np.ndarray, "neurons cells"] = None  # type: ignore[assignment]  # an array once made
    high: Float[np.ndarray, "neurons cells"] = None  # type: ignore[assignment]  # an array once made
    write_variance: Float[np.ndarray, "neurons cells"] = None  # type: ignore[assignment]  # an array once made
    levels: Float[np.ndarray, "neurons cells levels"] = None  # type: ignore[assignment]  # an array once made
    level_variance: Float[np.ndarray, "neurons cells levels"] = None  # type: ignore[assignment]  # an array once made
    input: Int[np.ndarray, "neurons cells"] = None  # type: ignore[assignment]  # an array once made

    def __post_init__(self) -> None:
        weights = frozen(self.weights, "hardware.weights", float, 2)
        if max(weights.shape) > MAX_INDEX:
            raise InvalidInstance(f"hardware.weights: at most {MAX_INDEX} rows and columns, found {weights.shape}")
        variance = filled(self.variance, "hardware.variance", float, weights.shape, 0.0)
        usable = filled(self.usable, "hardware.usable", bool, weights.shape, True)
        off = filled(self.off, "hardware.off", float, weights.shape, 0.0)
        if (variance < 0).any():
            j, k = np.argwhere(variance < 0)[0]
            raise InvalidInstance(f"hardware.variance must be >= 0, found {variance[j, k]} at neuron {j}, cell {k}")
        default_bus = np.arange(len(weights)) if self.bus is None else self.bus
        bus = frozen(default_bus, "hardware.bus", int, 1, shape=(len(weights),))
        if (bus < 0).any():
            raise InvalidInstance(f"hardware.bus must be >= 0, found {bus.min()} at neuron {int(np.argmin(bus))}")
        numbers = np.arange(len(weights)) if self.neuron is None else self.neuron
        neuron = frozen(numbers, "hardware.neuron", int, 1, shape=(len(weights),))
        if neuron.min(initial=0) < 0 or len(set(neuron.tolist())) < len(neuron):
            raise InvalidInstance("hardware.neuron must be numbers >= 0, none of them twice")
        if self.origin is not None and neuron.max(initial=-1) >= self.origin.n_neurons:
            raise InvalidInstance(f"hardware.neuron: the chip has {self.origin.n_neurons}, found {neuron.max()}")
        if self.measured is not None:
            measured = frozen(self.measured, "hardware.measured", float, 2, shape=weights.shape)
            set_fields(self, measured=measured)
        given = (self.low, self.high, self.write_variance, self.levels, self.level_variance)
        set_fields(self, weights=weights, variance=variance, usable=usable, off=off, bus=bus, neuron=neuron)
        set_fields(self, input=_hard_wired(self.input, bus, weights.shape))
        set_fields(self, **checked_menus(weights.shape, *given))

    @property
    def n_neurons(self) -> int:
        """Number of hardware neurons M."""
        return int(self.weights.shape[0])

    @property
    def n_cells(self) -> int:
        """Number of cells K of every hardware neuron."""
        return int(self.weights.shape[1])

    @cached_property
    def free_routing(self) -> bool:
        """Whether no two neurons share a bus."""
        return len(set(self.bus.tolist())) == self.n_neurons  # np.unique would load numpy.ma

    @cached_property
    def hard_wired(self) -> bool:
        """Whether some cells can only listen to one input."""
        return not is_constant(self.input, -1)

    @cached_property
    def most_on_input(self) -> int:
        """Most usable cells of one neuron that are hard-wired to one input."""
        counts = [np.bincount(own[ok & (own >= 0)]) for own, ok in zip(self.input, self.usable, strict=True)]
        return max((int(count.max(initial=0)) for count in counts), default=0)

    @cached_property
    def demands(self) -> frozenset[str]:
        """See `Instance.demands`."""
        written = asks("programmable-cells", self.programmable)
        return demands_of(
            self,
            "weights neuron origin measured",  # names of what is there
            variance=asks("read-noise", not is_constant(self.variance, 0.0)),
            usable=asks("unusable-cells", not is_constant(self.usable, True)),
            off=asks("leak", not is_constant(self.off, 0.0)),
            bus=asks("shared-bus", not self.free_routing),
            **dict.fromkeys(MENUS, written),
            input=asks("hard-wired", self.hard_wired),
        )

    @cached_property
    def programmable(self) -> bool:
        """Whether any cell can be written."""
        return some_programmable(self.low, self.levels)

    def fixed(self) -> "Hardware":
        """The same with cells that cannot be written."""
        none: Any = None  # for the default
        return replace(self, **dict.fromkeys(MENUS, none)) if self.programmable else self

    def scaled(self, factor: float) -> "Hardware":
        """The same with every weight, leak and value to be written times `factor`, variances times its square."""
        ends = (self.low, self.high) if factor >= 0.0 else (self.high, self.low)
        squared = {name: getattr(self, name) * factor**2 for name in ("variance", "write_variance", "level_variance")}
        linear = {name: getattr(self, name) * factor for name in ("weights", "off", "levels")}
        found = replace(self, **linear, **squared, low=ends[0] * factor, high=ends[1] * factor)
        if self.origin is None or factor <= 0.0:  # a mirrored weight is no measured value times a scale
            return replace(found, origin=None, measured=None)
        measured = self.weights if self.measured is None else self.measured
        return replace(found, measured=measured, origin=replace(self.origin, scale=self.origin.scale * factor))

    def scaled_each(self, factors: Float[np.ndarray, " neurons"]) -> "Hardware":
        """The same with everything of each neuron times a factor of its own, as of an amplifier behind it.

        Parameters
        ----------
        factors : > 0, shape (M,).

        Raises
        ------
        InvalidInstance
            when there are not as many, or one is not > 0.
        """
        factors = frozen(factors, "factors", float, 1, shape=(self.n_neurons,))
        if not (factors > 0).all():
            raise InvalidInstance(f"factors must be > 0, found {factors.min()} for neuron {int(factors.argmin())}")

        def times(name: str, each: np.ndarray) -> Any:
            values = np.asarray(getattr(self, name))
            return values * each.reshape(-1, *(1,) * (values.ndim - 1))

        squared = {name: times(name, factors**2) for name in ("variance", "write_variance", "level_variance")}
        found = replace(self, **squared, **{name: times(name, factors) for name in _LINEAR})
        if self.origin is None:
            return found
        scales = np.array(self.origin.scales or np.ones(self.origin.n_neurons))
        scales[self.neuron] *= factors
        measured = self.weights if self.measured is None else self.measured
        return replace(found, measured=measured, origin=replace(self.origin, scales=tuple(scales.tolist())))

    @cached_property
    def n_usable(self) -> Int[np.ndarray, " neurons"]:
        """Number of usable cells of every neuron."""
        return np.asarray(self.usable.sum(axis=1))

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays that make this hardware; fields at their default are left out, and the origin is no array."""
        arrays = {"weights": self.weights}
        if self.measured is not None:
            arrays["measured"] = self.measured
        for name, default in (("variance", 0.0), ("usable", 1.0), ("off", 0.0), ("input", -1)):
            if not is_constant(getattr(self, name), default):
                arrays[name] = getattr(self, name)
        arrays |= {name: array for name, array in (("bus", self.bus), ("neuron", self.neuron))
                   if not np.array_equal(array, np.arange(self.n_neurons))}  # fmt: skip
        return arrays | stored_menus({name: getattr(self, name) for name in MENUS})

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], origin: Origin | None = None) -> "Hardware":
        """Rebuild from `arrays()` and the origin."""
        exact_keys(arrays, {"weights"}, set(cls.__dataclass_fields__) - {"origin"}, "hardware", InvalidInstance)
        return cls(**dict(arrays), origin=origin)


def _hard_wired(given: Any, bus: Int[np.ndarray, " neurons"], shape: tuple[int, int]) -> Int[np.ndarray, "_ _"]:
    """The field `input`, checked."""
    found = filled(given, "hardware.input", int, shape, -1)
    if is_constant(found, -1):
        return filled(None, "hardware.input", int, shape, -1)
    if found.min() < -1:
        j, k = np.argwhere(found < -1)[0]
        raise InvalidInstance(f"hardware.input must be >= -1, found {found[j, k]} at neuron {j}, cell {k}")
    _, first, which = np.unique(bus, return_index=True, return_inverse=True)
    differs = (found != found[first[which]]).any(axis=1)
    if differs.any():
        j = int(np.argmax(differs))
        other = int(first[which[j]])
        raise InvalidInstance(f"hardware.input: neurons {other} and {j} share a bus, so they must be hard-wired alike")
    return found
