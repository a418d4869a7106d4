"""Files of schema 1 and 2, from before all roles shared one layout: read as ever, written no more."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from matchopt.errors import InvalidInstance
from matchopt.parts import Json, Parts, canonical_json, exact_keys

_NOTES: dict[str, set[str]] = {"instance": {"provenance"}, "solution": {"instance", "solver", "seed"}, "network": set()}


def read_older(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> tuple[str, Parts, dict[str, Json]]:
    """Kind, content and notes, from the metadata of a known role.

    Instances and solutions have a hash for each tensor and none for their facts, networks one for both; checkpoints
    have their facts beside the other keys.

    Raises
    ------
    InvalidInstance
        when a key is missing or wrong, or a hash differs.
    """
    if about["role"] == "checkpoint":
        facts = {name: value for name, value in about.items() if name not in ("schema", "role", "sha256")}
        _compare(_hash_of_checkpoint(about, arrays), about)
        return "training", Parts(facts, arrays), {}
    named = _NOTES[about["role"]]
    exact_keys(about, {"schema", "role", "kind", "facts", "sha256"} | named, set(), "metadata", InvalidInstance)
    for name in sorted({"facts", "provenance"} & set(about)):
        if not isinstance(about[name], dict):
            raise InvalidInstance(f"{name} must be an object, found {about[name]!r}")
    kind, parts = str(about["kind"]), Parts(about["facts"], arrays)
    if about["role"] == "network":
        _compare(parts.digest(kind), about)
        return kind, parts, {}
    _compare({name: hashlib.sha256(array.data).hexdigest() for name, array in arrays.items()}, about)
    notes = {name: about[name] for name in named}
    return kind, parts, notes.pop("provenance", notes)


def _compare(found: str | dict[str, str], about: Mapping[str, Any]) -> None:
    if found != about.get("sha256"):
        raise InvalidInstance("sha256 differs from that of the content; the file is damaged")


def _hash_of_checkpoint(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    sha = hashlib.sha256(canonical_json({name: value for name, value in about.items() if name != "sha256"}))
    for name in sorted(arrays):
        array = arrays[name]
        sha.update(f"{name} {array.dtype.str} {array.shape}".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()
