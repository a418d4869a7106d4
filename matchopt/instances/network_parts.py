"""Reading and checking the parts of a network instance or mapping, field by field."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from matchopt.errors import InvalidInstance, MatchoptError
from matchopt.instances.arrays import frozen
from matchopt.instances.sample_objective import NETWORK_OBJECTIVES, SampleObjective
from matchopt.parts import Parts, exact_keys
from matchopt.settings import checked

# The fact that names an objective, which is also the group of its arrays.
FLAGS: dict[str, type[SampleObjective]] = {name.replace("-", "_"): cls for name, cls in NETWORK_OBJECTIVES.items()}
_FACTS = {f"sample_{fact}" for cls in FLAGS.values() for fact in cls.fact_names()}
REQUIRED = {"tunable", "biases", "data", "task_loss", "layers"}
# Left out at their defaults, so that digests of older instances stay.
OPTIONAL = {*(set(FLAGS) - REQUIRED), *_FACTS, "adjustable", "architecture", "one_chip", "chained"}


def objective_parts(objective: SampleObjective | None) -> Parts:
    """Facts and arrays of a network-level objective as they stand in those of a network; `objective_of` reads them."""
    if objective is None:
        return Parts({"task_loss": False})
    parts, flag = objective.parts(), objective.name.replace("-", "_")
    facts = {f"sample_{name}": value for name, value in parts.facts.items()}
    return Parts({"task_loss": False, flag: True, **facts}, parts.prefixed(flag))


def objective_of(parts: Parts) -> SampleObjective | None:
    """The network-level objective that the parts of an instance describe, or None."""
    facts = {name.removeprefix("sample_"): value for name, value in parts.facts.items() if name in _FACTS}
    chosen = [flag for flag in FLAGS if parts.facts.get(flag, False)]
    if len(chosen) > 1:
        raise InvalidInstance(f"{' and '.join(chosen)} are both true; a network minimises one of them")
    for flag in FLAGS:
        if flag not in chosen:
            exact_keys(parts.under(flag), set(), set(), flag, InvalidInstance)
    if chosen:
        return FLAGS[chosen[0]].from_parts(Parts(facts, parts.under(chosen[0])), chosen[0])
    if facts:
        raise InvalidInstance(f"sample_{min(facts)} is given, but the network has no objective with samples")
    return None


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
    numbers = {str(n) for n in range(count)}
    for name in parts.arrays:
        first, _, rest = name.partition(".")
        if first == "layers" and rest.partition(".")[0] in numbers:
            continue
        if first not in besides or bool(rest) == (first == "samples"):
            raise error(f"array {name!r} is unknown: {count} layers are announced")


def check_facts(facts: Any) -> None:
    """Raise InvalidInstance unless the facts of a network instance have the right types."""
    checked(facts["tunable"], int | None, "tunable", InvalidInstance)
    checked(facts["biases"], Literal["free", "hardware"], "biases", InvalidInstance)
    checked(facts["layers"], list[dict[str, Any]], "layers", InvalidInstance)
    for name in (*FLAGS, "adjustable", "one_chip", "chained"):
        checked(facts.get(name, False), bool, name, InvalidInstance)
