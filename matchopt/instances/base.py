"""What every instance and every solution has in common: a kind, and its parts."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, Self

from matchopt.errors import InvalidInstance, InvalidSolution
from matchopt.instances.arrays import ReadOnly
from matchopt.notebook import facts_table
from matchopt.parts import Json, Parts, exact_keys, field_values, readable
from matchopt.settings import read_object


@dataclass(frozen=True)
class Provenance:
    """Where an instance comes from and what is known about it; no part of its content hash.

    Parameters
    ----------
    name : short name for tables, such as "row8-gaussian-k1.25-r1".
    source : generator or origin in words, with what is needed to make it again.
    seed : seed of the generator, None where there is none.
    units : unit of the weights, such as "siemens"; empty for none.
    best_value : best known objective, None if unknown.
    best_bound : best known lower bound, None if unknown.
    best_by : how the two were obtained, such as "hungarian 0.1.0, proven".
    """

    name: str = ""
    source: str = ""
    seed: int | None = None
    units: str = ""
    best_value: int | float | None = None
    best_bound: int | float | None = None
    best_by: str = ""

    def __post_init__(self) -> None:
        for name, value in field_values(self).items():
            if isinstance(value, str):  # names of files may be no text; what is written must be read again
                object.__setattr__(self, name, readable(value))

    def facts(self) -> dict[str, Json]:
        """The fields that are set."""
        return {name: value for name, value in field_values(self).items() if value is not None and value != ""}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Json]) -> "Provenance":
        """Rebuild from `facts()`; an unknown or ill-typed field raises InvalidInstance."""
        return read_object(cls, facts, "provenance", InvalidInstance)


class Instance(ReadOnly, ABC):
    """The data of one problem, always minimised, immutable and valid once it exists."""

    kind: ClassVar[str]
    provenance: Provenance

    @abstractmethod
    def parts(self) -> Parts:
        """The content, provenance left out."""

    @classmethod
    @abstractmethod
    def from_parts(cls, parts: Parts, provenance: Provenance | None = None) -> "Instance":
        """Rebuild from `parts()`; raises InvalidInstance naming the field that is wrong."""

    @property
    @abstractmethod
    def demands(self) -> frozenset[str]:
        """What the instance asks for beyond the plainest one of its kind; see `matchopt.instances.demands`."""

    @abstractmethod
    def value(self, solution: Any, /) -> float:
        """The objective of a feasible solution, by the fast form that solvers may use."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content (not of provenance), in hexadecimal."""
        return self.parts().digest(self.kind)

    @property
    def name(self) -> str:
        """The name from provenance, or the kind and the start of the digest."""
        return self.provenance.name or f"{self.kind}-{self.digest[:8]}"

    def _repr_html_(self) -> str:
        facts = {
            "source": self.provenance.source,
            "demands": ", ".join(sorted(self.demands)),
            "digest": self.digest[:12],
        }
        shapes = {name: " x ".join(map(str, array.shape)) for name, array in list(self.parts().arrays.items())[:12]}
        return facts_table(f"{self.name} ({self.kind})", facts | shapes)


class Solution(ReadOnly, ABC):
    """The decision only, never its cost; immutable: a dataclass of arrays, None where one is left out."""

    kind: ClassVar[str]

    def parts(self) -> Parts:
        """The content."""
        return Parts({}, {name: array for name, array in field_values(self).items() if array is not None})

    @classmethod
    def from_parts(cls, parts: Parts) -> Self:
        """Rebuild from `parts()`; raises InvalidSolution naming the field that is wrong."""
        known: tuple[Field[Any], ...] = fields(cls)  # type: ignore[arg-type]  # every solution is a dataclass
        required = {field.name for field in known if field.default is MISSING}
        exact_keys(parts.facts, set(), set(), f"{cls.kind} solution", InvalidSolution)
        exact_keys(parts.arrays, required, {field.name for field in known}, f"{cls.kind} solution", InvalidSolution)
        return cls(**parts.arrays)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content, in hexadecimal."""
        return self.parts().digest(self.kind)
