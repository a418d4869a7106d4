"""Integer linear programs: minimise c x + offset with rows and variables between bounds, some variables whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from matchopt.errors import InvalidInstance, InvalidSolution
from matchopt.instances.arrays import frozen, set_fields
from matchopt.instances.base import Instance, Provenance, Solution
from matchopt.instances.demands import asks, demands_of
from matchopt.instances.target import check_rows
from matchopt.parts import Json, Parts, exact_keys
from matchopt.settings import checked

_ARRAYS = ("cost", "indptr", "indices", "coefficients", "row_low", "row_high", "low", "high", "integral")


@dataclass(frozen=True, eq=False)
class ProgramPoint(Solution):
    """A value for every variable.

    Parameters
    ----------
    x : shape (n_variables,), finite.
    """

    kind = "program"

    x: Float[np.ndarray, " variables"]

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", frozen(self.x, "x", float, 1, error=InvalidSolution))


@dataclass(frozen=True, eq=False)
class ProgramInstance(Instance):
    """Minimise cost @ x + offset subject to row_low <= A x <= row_high, low <= x <= high, x[integral] whole.

    Parameters
    ----------
    cost : objective coefficient of each variable, finite.
    indptr, indices, coefficients : A in compressed rows; variables rise within a row.
    row_low, row_high : bounds of each row; -inf and inf where there is none.
    low, high : bounds of each variable; default 0 and inf.
    integral : which variables must be whole; default none.
    offset : constant of the objective.
    row_names, variable_names : names for files and messages, distinct and without spaces; None for r0, r1 .. and x0 ..
    provenance : where the instance comes from; no part of its content.

    Raises
    ------
    InvalidInstance
        naming the field that is wrong. Crossed bounds are legal data of an infeasible instance.
    """

    kind = "program"

    cost: Float[np.ndarray, " variables"]
    indptr: Int[np.ndarray, " rows_and_one"]
    indices: Int[np.ndarray, " entries"]
    coefficients: Float[np.ndarray, " entries"]
    row_low: Float[np.ndarray, " rows"]
    row_high: Float[np.ndarray, " rows"]
    low: Float[np.ndarray, " variables"] = None  # type: ignore[assignment]  # an array once made
    high: Float[np.ndarray, " variables"] = None  # type: ignore[assignment]  # an array once made
    integral: Bool[np.ndarray, " variables"] = None  # type: ignore[assignment]  # an array once made
    offset: float = 0.0
    row_names: tuple[str, ...] | None = None
    variable_names: tuple[str, ...] | None = None
    provenance: Provenance = Provenance()

    def __post_init__(self) -> None:
        cost = frozen(self.cost, "cost", float, 1)
        n = len(cost)
        indptr, indices = check_rows(self.indptr, self.indices, n, "rows", "n_variables")
        rows = len(indptr) - 1
        fields: dict[str, Any] = {"cost": cost, "indptr": indptr, "indices": indices}
        fields["coefficients"] = frozen(self.coefficients, "coefficients", float, 1, shape=(len(indices),))
        fields["row_low"] = _bounds(self.row_low, "row_low", rows, np.inf)
        fields["row_high"] = _bounds(self.row_high, "row_high", rows, -np.inf)
        fields["low"] = _bounds(np.zeros(n) if self.low is None else self.low, "low", n, np.inf)
        fields["high"] = _bounds(np.full(n, np.inf) if self.high is None else self.high, "high", n, -np.inf)
        integral = np.zeros(n, bool) if self.integral is None else self.integral
        fields["integral"] = frozen(integral, "integral", bool, 1, shape=(n,))
        if not np.isfinite(self.offset):
            raise InvalidInstance(f"offset must be finite, found {self.offset}")
        fields["offset"] = float(self.offset)
        fields["row_names"] = _names(self.row_names, "row_names", rows)
        fields["variable_names"] = _names(self.variable_names, "variable_names", n)
        set_fields(self, **fields)

    @cached_property
    def demands(self) -> frozenset[str]:
        return demands_of(
            self,
            "cost indptr indices coefficients row_low row_high offset row_names variable_names provenance",
            low=asks("unbounded-variables", bool(np.isinf(self.low).any())),
            high=asks("unbounded-variables", bool(np.isinf(self.high).any())),
            integral=asks("whole-variables", bool(self.integral.any()))
            | asks("continuous-variables", not self.integral.all()),
        )

    @property
    def n_variables(self) -> int:
        """Number of variables."""
        return len(self.cost)

    @property
    def n_rows(self) -> int:
        """Number of rows of A."""
        return len(self.indptr) - 1

    def row(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """The variables of row `i`, ascending, and their coefficients."""
        part = slice(int(self.indptr[i]), int(self.indptr[i + 1]))
        return self.indices[part], self.coefficients[part]

    def row_name(self, i: int) -> str:
        """The name of row `i`."""
        return self.row_names[i] if self.row_names else f"r{i}"

    def variable_name(self, v: int) -> str:
        """The name of variable `v`."""
        return self.variable_names[v] if self.variable_names else f"x{v}"

    def value(self, point: ProgramPoint) -> float:
        """The objective at a point of fitting length (the fast form; `matchopt.check` has the plain one)."""
        return float(self.cost @ point.x + self.offset)

    def parts(self) -> Parts:
        facts: dict[str, Json] = {"offset": self.offset}
        if self.row_names:
            facts["row_names"] = list(self.row_names)
        if self.variable_names:
            facts["variable_names"] = list(self.variable_names)
        return Parts(facts, {name: getattr(self, name) for name in _ARRAYS})

    @classmethod
    def from_parts(cls, parts: Parts, provenance: Provenance | None = None) -> "ProgramInstance":
        exact_keys(parts.arrays, set(_ARRAYS), set(), "program", InvalidInstance)
        exact_keys(parts.facts, {"offset"}, {"row_names", "variable_names"}, "program", InvalidInstance)
        facts: dict[str, Any] = dict(parts.facts)
        facts["offset"] = checked(facts["offset"], float, "offset", InvalidInstance)
        for name in ("row_names", "variable_names"):
            if name in facts:
                if not isinstance(facts[name], list):
                    raise InvalidInstance(f"{name} must be a list, found {facts[name]!r}")
                facts[name] = tuple(facts[name])
        fields: dict[str, Any] = {**parts.arrays, **facts}
        return cls(**fields, provenance=provenance or Provenance())


def _bounds(value: Any, field: str, size: int, never: float) -> np.ndarray:
    bounds = frozen(value, field, float, 1, shape=(size,), finite=False)
    wrong = np.isnan(bounds) | (bounds == never)
    if wrong.any():
        v = int(np.argmax(wrong))
        raise InvalidInstance(f"{field} must be a number or an open end, found {bounds[v]} at position {v}")
    return bounds


def _names(names: Sequence[str] | None, field: str, size: int) -> tuple[str, ...] | None:
    if names is None:
        return None
    if len(names) != size:
        raise InvalidInstance(f"{field} must have {size} names, found {len(names)}")
    seen: set[str] = set()
    for name in names:
        if not isinstance(name, str) or not name or any(c.isspace() for c in name) or name in seen:
            raise InvalidInstance(f"{field} must be distinct words, found {name!r}")
        seen.add(name)
    return tuple(names)
