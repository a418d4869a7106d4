"""matchopt's one container: facts and arrays of any role in a safetensors file, under one hash (docs/formats.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from matchopt.errors import InvalidInstance, Refused
from matchopt.formats.atomic import write_bytes
from matchopt.formats.bounded_json import parse
from matchopt.formats.older_layouts import read_older
from matchopt.formats.sources import Source
from matchopt.formats.tensors import MAX_HEADER, read_tensors
from matchopt.parts import Json, Parts, canonical_json, exact_keys
from matchopt.settings import PositiveInt, checked

SCHEMA = 3  # 1 and 2 had a layout for each role
KEY = "matchopt"  # of the only metadata entry
ROLES = ("instance", "solution", "network", "checkpoint")


@dataclass(frozen=True, eq=False)
class Content:
    """What one file holds.

    Parameters
    ----------
    role : what it is for, one of `ROLES`.
    kind : which of that role, such as "layer".
    parts : the content itself.
    notes : what is said about it, such as the provenance of an instance; no part of its digest.
    """

    role: str
    kind: str
    parts: Parts
    notes: Mapping[str, Json] = field(default_factory=dict)


def is_container(source: Source) -> bool:
    """Whether the file looks like one of ours, and no other safetensors file."""
    return source.head[8:9] == b"{" and f'"{KEY}":'.encode() in source.head


def to_bytes(content: Content) -> bytes:
    """The bytes of the file; equal content gives equal bytes.

    Raises
    ------
    Refused
        when the facts do not fit the largest header.
    """
    arrays = {name: np.asarray(array, order="C") for name, array in content.parts.arrays.items()}
    about: dict[str, Json] = {"schema": SCHEMA, "role": content.role, "kind": content.kind}
    about |= {"facts": dict(content.parts.facts), "notes": dict(content.notes)}
    about["sha256"] = Parts(about, arrays).digest(KEY)
    found: bytes = save(arrays, {KEY: canonical_json(about).decode()})
    length = int.from_bytes(found[:8], "little")
    if length > MAX_HEADER:
        raise Refused(f"the header would take {length} bytes, at most {MAX_HEADER} are read back; shorten the names")
    return found


def write_content(path: Path, content: Content) -> None:
    """Write the file whole or not at all; a failure leaves what was at `path`.

    Raises
    ------
    Refused
        see `to_bytes`.
    OSError
        when the folder is missing, not writable or full.
    """
    write_bytes(path, to_bytes(content))


def read_content(source: Source, *roles: str) -> Content:
    """Read a file of one of these roles, of this layout or an older one.

    Raises
    ------
    FormatError
        naming the file: when it is damaged, was written by a newer matchopt, or holds something else.
    """
    metadata, arrays = read_tensors(source.data, source.error)
    if set(metadata) != {KEY}:
        found = ", ".join(sorted(metadata))[:80] or "nothing"
        raise source.error(f"metadata must hold exactly {KEY!r}, found {found}: not written by matchopt")
    about = parse(metadata[KEY].encode(), lambda reason: source.error(f"metadata: {reason}"))
    with source.named():
        _check_schema(about)
        _check_role(about, roles)
        if about["schema"] < SCHEMA:
            return Content(about["role"], *read_older(about, arrays))
        exact_keys(about, {"schema", "role", "kind", "facts", "notes", "sha256"}, set(), "metadata", InvalidInstance)
        for name, wanted, words in (("kind", str, "text"), ("facts", dict, "an object"), ("notes", dict, "an object")):
            if not isinstance(about[name], wanted):
                raise InvalidInstance(f"{name} must be {words}, found {about[name]!r}")
        if canonical_json(about).decode() != metadata[KEY]:
            raise InvalidInstance("metadata must be canonical JSON: keys sorted, no spaces, ASCII, shortest numbers")
        sha256 = about.pop("sha256")
        if Parts(about, arrays).digest(KEY) != sha256:
            raise InvalidInstance("sha256 differs from that of the content; the file is damaged")
    return Content(about["role"], about["kind"], Parts(about["facts"], arrays), about["notes"])


def _check_schema(about: Any) -> None:
    if not isinstance(about, dict):
        raise InvalidInstance(f"metadata: {KEY!r} must be an object, found {about!r}")
    schema = checked(about.get("schema"), PositiveInt, "schema", InvalidInstance)
    if schema > SCHEMA:
        raise InvalidInstance(
            f"schema is {schema}: written by a newer matchopt, this one reads up to {SCHEMA}; upgrade it"
        )


def _check_role(about: Mapping[str, Any], roles: tuple[str, ...]) -> None:
    role = about.get("role")
    if role not in ROLES:
        raise InvalidInstance(f"role must be one of {', '.join(ROLES)}, found {role!r}")
    if role not in roles:
        kind = f" of kind {about['kind']}" if isinstance(about.get("kind"), str) else ""
        raise InvalidInstance(f"holds {_article(role)}{kind}, {' or '.join(map(_article, roles))} is needed")


def _article(role: str) -> str:
    return f"{'an' if role == 'instance' else 'a'} {role}"
