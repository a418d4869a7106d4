"""Facts and arrays: what everything that is exchanged, kept or hashed is taken apart into."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

_HALVES = re.compile("[\ud800-\udfff]")
Json = Any  # a value that json.dumps writes and json.loads gives back equal


@dataclass(frozen=True)
class Parts:
    """Something taken apart: plain JSON facts and named arrays.

    Instances and solutions, networks, the states of a training and the messages between processes are exchanged as
    parts, so a new field is added in one place, the class that owns it.

    Parameters
    ----------
    facts : values that JSON can hold.
    arrays : by name; a dot in a name separates a group from what is in it.
    """

    facts: Mapping[str, Json] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def merging(cls, **groups: "Parts") -> "Parts":
        """Several parts in one: the facts of each as an object under its name, its arrays as `prefixed`."""
        arrays: dict[str, np.ndarray] = {}
        for name, group in groups.items():
            arrays |= group.prefixed(name)
        return cls({name: dict(group.facts) for name, group in groups.items()}, arrays)

    def part(self, name: str) -> "Parts":
        """What `merging` was given under `name`; without facts where none are kept under it."""
        return Parts(self.facts.get(name) or {}, self.under(name))

    def __or__(self, other: "Parts") -> "Parts":
        return Parts({**self.facts, **other.facts}, {**self.arrays, **other.arrays})

    def prefixed(self, prefix: str) -> dict[str, np.ndarray]:
        """The arrays under names that begin with `prefix` and a dot."""
        return {f"{prefix}.{name}": array for name, array in self.arrays.items()}

    def under(self, prefix: str) -> dict[str, np.ndarray]:
        """The arrays whose names begin with `prefix` and a dot, without it."""
        start = f"{prefix}."
        return {name[len(start) :]: array for name, array in self.arrays.items() if name.startswith(start)}

    def digest(self, kind: str) -> str:
        """SHA-256 over `kind`, facts (canonical JSON) and arrays (name, type, shape, bytes; by name)."""
        sha = hashlib.sha256(kind.encode())
        sha.update(canonical_json(dict(self.facts)))
        for name in sorted(self.arrays):
            array = np.ascontiguousarray(self.arrays[name])
            sha.update(f"|{name}|{array.dtype.str}|{array.shape}|".encode())
            sha.update(array.data)
        return sha.hexdigest()


def canonical_json(value: Json) -> bytes:
    """JSON with sorted keys and no spaces; floats as their shortest text that reads back equal."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def readable(text: str) -> str:
    """A text that UTF-8 can hold: halves of characters, as file names of other encodings have, are marked as such."""
    return _HALVES.sub("\ufffd", text)


def field_values(owner: Any) -> dict[str, Any]:
    """The fields of a dataclass by name, one level deep; no attribute that was cached besides."""
    return {each.name: getattr(owner, each.name) for each in fields(owner)}


def exact_keys(
    found: Mapping[str, Any], required: set[str], optional: set[str], where: str, error: type[Exception]
) -> None:
    """Raise `error` unless the keys are the required ones and at most the optional ones besides."""
    missing = sorted(required - set(found))
    if missing:
        raise error(f"{where}: {missing[0]!r} is missing")
    extra = sorted(set(found) - required - optional)
    if extra:
        raise error(f"{where}: {extra[0]!r} is unknown (known: {', '.join(sorted(required | optional))})")
