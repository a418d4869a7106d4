"""What a mapping may do, and what is minimised: both are part of an instance."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from matchopt.errors import InvalidInstance
from matchopt.instances.demands import asks, demands_of
from matchopt.parts import Json, exact_keys, field_values
from matchopt.settings import FiniteFloat, NonNegativeInt, PositiveInt, check_fields

_ALWAYS = {"cells_per_weight", "drop", "extra_inputs", "gains", "tunable"}  # newer rules are in files where they differ


@dataclass(frozen=True)
class Gains:
    """The gains g a hardware neuron may have at its output side: a finite set, or an interval.

    Parameters
    ----------
    values : the allowed gains, at least one, finite, no two equal; None for an interval.
    low, high : ends of the interval, finite, low <= high; both None for a finite set.
    """

    values: tuple[FiniteFloat, ...] | None = (1.0,)
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None

    def __post_init__(self) -> None:
        check_fields(self, "rules.gains", InvalidInstance)
        if self.values is not None:
            if self.low is not None or self.high is not None:
                raise InvalidInstance("rules.gains: give values or an interval, not both")
            if not self.values or len(set(self.values)) != len(self.values):
                raise InvalidInstance(f"rules.gains: values must be a non-empty set, found {self.values}")
        elif self.low is None or self.high is None or self.low > self.high:
            raise InvalidInstance(f"rules.gains: low must be <= high, found {self.low} and {self.high}")

    @classmethod
    def finite(cls, *values: float) -> "Gains":
        """A finite set of gains."""
        return cls(tuple(values))

    @classmethod
    def interval(cls, low: float, high: float) -> "Gains":
        """Every gain from `low` to `high`."""
        return cls(None, low, high)

    @property
    def fixed(self) -> bool:
        """Whether the only gain is 1."""
        return self.values == (1.0,)

    @property
    def is_interval(self) -> bool:
        """Whether this is an interval."""
        return self.values is None

    @property
    def demands(self) -> frozenset[str]:
        """See `Instance.demands`."""
        interval = asks("gain-interval", self.is_interval)
        return demands_of(
            self, values=asks("gains", not self.fixed and not self.is_interval), low=interval, high=interval
        )

    def allow(self, gain: float) -> bool:
        """Whether `gain` is one of them."""
        if self.values is not None:
            return gain in self.values
        assert self.low is not None and self.high is not None
        return self.low <= gain <= self.high

    @property
    def default(self) -> float:
        """The allowed gain nearest to 1 (the smaller of two equally near)."""
        if self.values is not None:
            return min(sorted(self.values), key=lambda gain: abs(gain - 1.0))
        assert self.low is not None and self.high is not None
        return min(max(1.0, self.low), self.high)


@dataclass(frozen=True)
class Rules:
    """The rules of a layer (docs/mathematics.md).

    Parameters
    ----------
    cells_per_weight : most cells that may serve one weight, >= 1; more than 1 realises a weight as a sum of cells.
    drop : whether a target connection may stay unrealised.
    extra_inputs : whether a cell may listen to an input outside the target's support.
    gains : the gains a hardware neuron may have.
    tunable : most connections of the layer that fully tunable weights may serve, >= 0.
    neurons_per_row : most hardware neurons that one row is split over, >= 1; their outputs add, and the cells of one
        weight are counted over all of them, so a row may have more connections than a hardware neuron has cells.
    copies : most hardware neurons that each realise one row, >= 1; their mean serves it.
    writes : most cells of the layer that may be written, >= 0; None for no limit. Without programmable cells it changes
        nothing.

    Raises
    ------
    InvalidInstance
        naming the rule that is out of range, or when rows are to be split and copied at once.
    """

    cells_per_weight: PositiveInt = 1
    drop: bool = False
    extra_inputs: bool = False
    gains: Gains = field(default_factory=Gains)
    tunable: NonNegativeInt = 0
    neurons_per_row: PositiveInt = 1
    copies: PositiveInt = 1
    writes: NonNegativeInt | None = None

    def __post_init__(self) -> None:
        check_fields(self, "rules", InvalidInstance)
        if self.neurons_per_row > 1 and self.copies > 1:
            raise InvalidInstance(
                f"rules: neurons_per_row {self.neurons_per_row} splits rows and copies {self.copies} repeats them; "
                "only one of them may be above 1"
            )

    @property
    def neurons(self) -> int:
        """Most hardware neurons of one row, parts or copies."""
        return max(self.neurons_per_row, self.copies)

    @property
    def demands(self) -> frozenset[str]:
        """See `Instance.demands`."""
        return demands_of(
            self,
            neurons_per_row=asks("several-neurons", self.neurons_per_row > 1),
            copies=asks("copies", self.copies > 1),
            cells_per_weight=asks("several-cells", self.cells_per_weight > 1),
            drop=asks("drop", self.drop),
            extra_inputs=asks("extra-inputs", self.extra_inputs),
            gains=self.gains.demands,
            tunable=asks("tunable", self.tunable > 0),
            writes=asks("write-budget", self.writes is not None),
        )

    def facts(self) -> dict[str, Json]:
        """The rules as JSON."""
        gains: Json = list(self.gains.values) if self.gains.values is not None else None
        if gains is None:
            gains = {"low": self.gains.low, "high": self.gains.high}
        values = {**field_values(self), "gains": gains}
        return {name: value for name, value in values.items() if name in _ALWAYS or value != getattr(type(self), name)}

    @classmethod
    def from_facts(cls, facts: Any) -> "Rules":
        """Rebuild from `facts()`."""
        if not isinstance(facts, Mapping):
            raise InvalidInstance(f"rules must be an object, found {facts!r}")
        exact_keys(facts, _ALWAYS, set(cls.__dataclass_fields__) - _ALWAYS, "rules", InvalidInstance)
        given = facts["gains"]
        if isinstance(given, Mapping):
            exact_keys(given, {"low", "high"}, set(), "rules.gains", InvalidInstance)
            gains = Gains.interval(given["low"], given["high"])
        elif isinstance(given, list):
            gains = Gains(tuple(given))
        else:
            raise InvalidInstance(f"rules.gains must be a list or an object with low and high, found {given!r}")
        return cls(**{**facts, "gains": gains})
