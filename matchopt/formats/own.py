"""matchopt's own format: one safetensors file with a canonical JSON text in its metadata (docs/formats.md)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from matchopt.errors import FormatError, InvalidInstance, InvalidSolution, Refused
from matchopt.formats.atomic import write_bytes
from matchopt.formats.bounded_json import parse
from matchopt.formats.sources import Source
from matchopt.formats.tensors import MAX_HEADER, read_tensors
from matchopt.instances import INSTANCES, SOLUTIONS, Instance, Parts, Provenance, Solution
from matchopt.parts import canonical_json, exact_keys

SCHEMA = 1
KEY = "matchopt"  # of the only metadata entry
_COMMON = {"schema", "role", "kind", "facts", "sha256"}


@dataclass(frozen=True)
class SolutionFile:
    """A solution with what its file says about it.

    Parameters
    ----------
    solution : the decision.
    instance : digest of the instance it was made for; empty if unknown.
    solver : name of the solver that made it; empty if unknown.
    seed : seed the solver was given; None if unknown.
    """

    solution: Solution
    instance: str = ""
    solver: str = ""
    seed: int | None = None


def is_own(source: Source) -> bool:
    """Whether the file looks like a safetensors file."""
    return source.head[8:9] == b"{" and len(source.head) >= 10


def read_own(source: Source) -> Instance | SolutionFile:
    """Read an instance or a solution.

    Raises
    ------
    FormatError
        naming the file and the field that is wrong.
    """
    metadata, arrays = read_tensors(source.data, source.error)
    if set(metadata) != {KEY}:
        found = ", ".join(sorted(metadata))[:80] or "nothing"
        raise source.error(f"metadata must hold exactly {KEY!r}, found {found}: not written by matchopt")
    about = parse(metadata[KEY].encode(), lambda reason: source.error(f"metadata: {reason}"))
    _check_about(about, source)
    _check_hashes(about["sha256"], arrays, source)
    parts = Parts(about["facts"], arrays)
    kind = about["kind"]
    try:
        if about["role"] == "instance":
            return INSTANCES[kind].from_parts(parts, Provenance.from_facts(about["provenance"]))
        solution = SOLUTIONS[kind].from_parts(parts)
        return SolutionFile(solution, about["instance"], about["solver"], about["seed"])
    except (InvalidInstance, InvalidSolution) as cause:
        raise source.error(str(cause)) from cause


def write_own(thing: Instance | SolutionFile, path: Path) -> None:
    """Write an instance or a solution; equal content gives equal bytes.

    Raises
    ------
    Refused
        when the names in the instance do not fit the largest header.
    """
    write_bytes(path, to_bytes(thing))


def to_bytes(thing: Instance | SolutionFile) -> bytes:
    """The bytes of the file."""
    about: dict[str, Any]
    if isinstance(thing, Instance):
        kind, parts = thing.kind, thing.parts()
        about = {"role": "instance", "provenance": thing.provenance.facts()}
    else:
        kind, parts = thing.solution.kind, thing.solution.parts()
        about = {"role": "solution", "instance": thing.instance, "solver": thing.solver, "seed": thing.seed}
    arrays = {name: np.ascontiguousarray(array) for name, array in parts.arrays.items()}
    hashes = {name: hashlib.sha256(array.data).hexdigest() for name, array in arrays.items()}
    about |= {"schema": SCHEMA, "kind": kind, "facts": dict(parts.facts), "sha256": hashes}
    content: bytes = save(arrays, {KEY: canonical_json(about).decode()})
    length = int.from_bytes(content[:8], "little")
    if length > MAX_HEADER:
        raise Refused(f"the header would take {length} bytes, at most {MAX_HEADER} are read back; shorten the names")
    return content


def _check_about(about: Any, source: Source) -> None:
    if not isinstance(about, dict):
        raise source.error(f"metadata: {KEY!r} must be an object")
    schema = about.get("schema")
    if type(schema) is not int or schema < 1:
        raise source.error(f"schema must be a whole number >= 1, found {schema!r}")
    if schema > SCHEMA:
        raise source.error(
            f"schema is {schema}: written by a newer matchopt, this one reads up to {SCHEMA}; upgrade it"
        )
    role = about.get("role")
    if role not in ("instance", "solution"):
        raise source.error(f"role must be instance or solution, found {role!r}")
    besides = {"provenance"} if role == "instance" else {"instance", "solver", "seed"}
    try:
        exact_keys(about, _COMMON | besides, set(), "metadata", FormatError)
    except FormatError as cause:
        raise source.error(str(cause)) from None
    if not isinstance(about["kind"], str) or about["kind"] not in INSTANCES:
        raise source.error(f"kind must be one of {', '.join(INSTANCES)}, found {about['kind']!r}")
    for name in {"facts", "sha256", "provenance"} & set(about):
        if not isinstance(about[name], dict):
            raise source.error(f"{name} must be an object, found {about[name]!r}")
    for name in {"instance", "solver"} & set(about):
        if not isinstance(about[name], str):
            raise source.error(f"{name} must be text, found {about[name]!r}")
    seed = about.get("seed")
    if seed is not None and type(seed) is not int:
        raise source.error(f"seed must be a whole number or null, found {seed!r}")


def _check_hashes(hashes: Mapping[str, Any], arrays: Mapping[str, np.ndarray], source: Source) -> None:
    odd = sorted(set(hashes) ^ set(arrays))
    if odd:
        where = "no tensor" if odd[0] in hashes else "no entry in sha256"
        raise source.error(f"sha256: {odd[0]!r} has {where}")
    for name, array in arrays.items():
        if hashlib.sha256(array.data).hexdigest() != hashes[name]:
            raise source.error(f"tensor {name!r}: SHA-256 differs from the one in the header; the file is damaged")
