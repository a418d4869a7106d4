"""Reading and checking the parts of a network instance or mapping, field by field."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from matchopt.errors import InvalidInstance, MatchoptError
from matchopt.instances.arrays import frozen
from matchopt.instances.objective import FunctionalError, Objective, ScoreError, TaskLoss
from matchopt.parts import Json, Parts, exact_keys

REQUIRED = {"tunable", "biases", "data", "task_loss", "layers"}
# Left out at their defaults, so that digests of older instances stay.
OPTIONAL = {"functional_error", "score_error", "sample_scale", "adjustable", "architecture"}
# The fact that names an objective, which is also the group of its arrays.
OBJECTIVES: dict[str, type[TaskLoss | FunctionalError | ScoreError]] = {
    "task_loss": TaskLoss,
    "functional_error": FunctionalError,
    "score_error": ScoreError,
}


def objective_facts(objective: Objective | None) -> dict[str, Json]:
    """The facts of a network-level objective; `objective_of` reads them."""
    facts: dict[str, Json] = {"task_loss": isinstance(objective, TaskLoss)}
    for name, kind in OBJECTIVES.items():
        if isinstance(objective, kind):
            facts[name] = True
            if objective.scale != 1.0:
                facts["sample_scale"] = objective.scale
    return facts


def objective_arrays(objective: Objective | None) -> dict[str, np.ndarray]:
    """The arrays of a network-level objective, by name; `objective_of` reads them."""
    found: dict[str, np.ndarray] = {}
    for name, kind in OBJECTIVES.items():
        if isinstance(objective, kind):
            found[f"{name}.inputs"] = objective.inputs
            if isinstance(objective, TaskLoss):
                found[f"{name}.labels"] = objective.labels
    return found


def objective_of(parts: Parts) -> Objective | None:
    """The network-level objective that the parts of an instance describe, or None."""
    facts = parts.facts
    chosen = [name for name in OBJECTIVES if facts.get(name, False)]
    if len(chosen) > 1:
        raise InvalidInstance(f"{' and '.join(chosen)} are both true; a network minimises one of them")
    for name in OBJECTIVES:
        required = {"inputs", "labels"} if name == "task_loss" else {"inputs"}
        exact_keys(parts.under(name), required if name in chosen else set(), set(), name, InvalidInstance)
    if "sample_scale" in facts and not chosen:
        raise InvalidInstance("sample_scale is given, but the network has no objective with samples")
    if not chosen:
        return None
    return OBJECTIVES[chosen[0]](**parts.under(chosen[0]), scale=facts.get("sample_scale", 1.0))


def listed(found: dict[str, np.ndarray], count: int, error: type[MatchoptError]) -> tuple[np.ndarray, ...]:
    """The arrays "0", "1", .. in order; raises `error` unless there are `count` of them."""
    exact_keys(found, {str(n) for n in range(count)}, set(), "biases", error)
    return tuple(found[str(n)] for n in range(count))


def frozen_biases(
    biases: Sequence[Any], sizes: Sequence[int | None], error: type[MatchoptError]
) -> tuple[np.ndarray, ...]:
    """One read-only array of biases for each of `sizes` (None for any size), or `error`."""
    if len(biases) != len(sizes):
        raise error(f"biases: one array per layer, {len(sizes)}, found {len(biases)}")
    return tuple(
        frozen(bias, f"biases.{n}", float, 1, shape=(size,), error=error)
        for n, (bias, size) in enumerate(zip(biases, sizes, strict=True))
    )


def check_names(
    parts: Parts, count: int, error: type[Exception], besides: frozenset[str] | set[str] = frozenset()
) -> None:
    """Raise `error` unless every array belongs to one of `count` layers or to one of the groups `besides`."""
    for name in parts.arrays:
        first, _, rest = name.partition(".")
        number = rest.partition(".")[0]
        if (
            first == "layers"
            and number.isascii()
            and number.isdigit()
            and int(number) < count
            and str(int(number)) == number
        ):
            continue
        if first not in besides or bool(rest) == (first == "samples"):
            raise error(f"array {name!r} is unknown: {count} layers are announced")


def check_facts(facts: Any) -> None:
    """Raise InvalidInstance unless the facts of a network instance have the right types."""
    tunable, data = facts["tunable"], facts["data"]
    if tunable is not None and (isinstance(tunable, bool) or not isinstance(tunable, int)):
        raise InvalidInstance(f"tunable must be a whole number or null, found {tunable!r}")
    if facts["biases"] not in ("free", "hardware"):
        raise InvalidInstance(f"biases must be free or hardware, found {facts['biases']!r}")
    for name in (*OBJECTIVES, "adjustable"):
        if not isinstance(facts.get(name, False), bool):
            raise InvalidInstance(f"{name} must be true or false, found {facts[name]!r}")
    if not isinstance(facts["layers"], list) or not all(isinstance(layer, dict) for layer in facts["layers"]):
        raise InvalidInstance("layers must be a list of objects")
    if data is not None:
        if not isinstance(data, dict) or set(data) != {"name", "sha256"}:
            raise InvalidInstance(f"data must have name and sha256, found {data!r}")
        if not all(isinstance(value, str) for value in data.values()):
            raise InvalidInstance(f"data.name and data.sha256 must be text, found {data!r}")
