"""Readers fed with damaged files: a value or a FormatError, never anything else, never long."""

import gzip
import json
import tempfile
from functools import cache
from pathlib import Path

import pytest
from formats.files import assignment, compact, container, hash_of, layer, network, own, program, solution
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load

from matchopt.errors import FormatError
from matchopt.formats import FORMATS, SolutionFile, read, recognise, write
from matchopt.formats.container import to_bytes
from matchopt.formats.own import content_of
from matchopt.instances import Instance

LAYER = layer(5)
GAP = b"2 3\n1 2 3\n4 5 6\n1 1 1\n1 1 1\n5 5\n"
QAP = b"3\n0 1 2\n1 0 3\n2 3 0\n\n0 5 6\n5 0 7\n6 7 0\n"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=4,
)


@cache
def good_file(format: str, seed: int) -> bytes:
    """A good file of a format, written by us."""
    if format in ("orlib-gap", "qaplib"):
        return GAP if format == "orlib-gap" else QAP
    if format == "matchopt":
        instance = (assignment, program, layer, network)[seed % 4](seed)
        return to_bytes(content_of(instance if seed % 8 < 4 else SolutionFile(solution(instance, seed))))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        if format.startswith("wiring"):
            write(solution(LAYER, seed), path, format, instance=LAYER)
        else:
            write(program(seed) if format == "mps" else assignment(3 if "sparse" in format else 1), path, format)
        return path.read_bytes()


READABLE = sorted(name for name, entry in FORMATS.items() if entry.read or entry.read_for)


def ends_well(path: Path, content: bytes, format: str | None) -> None:
    """Reading ends in an instance, a solution, or a FormatError that names the file in one line."""
    path.unlink(missing_ok=True)  # some file systems wait for the disk when a file is cut to nothing
    path.write_bytes(content)
    try:
        found = read(path, format, instance=LAYER)
    except FormatError as error:
        assert str(error).startswith(str(path))
        assert len(str(error)) < len(str(path)) + 1000
    else:
        assert isinstance(found, Instance | SolutionFile)


TOKENS = st.sampled_from([b"", b"-1", b"1e400", b"nan", b"9" * 25, b"\n", b" ", b"{", b'"', b"\xff", b"[[", b"0"])
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), TOKENS | st.binary(max_size=9)), min_size=1, max_size=3)


@given(st.sampled_from(READABLE), st.integers(0, 40), EDITS, st.booleans())
@settings(max_examples=120, deadline=None)
def test_damaged_files_end_well(
    tmp_path_factory: pytest.TempPathFactory, format: str, seed: int, edits: list[tuple[float, int, bytes]], named: bool
) -> None:
    """A good file of any format with a few pieces replaced or dropped, the format named or recognised."""
    content = good_file(format, seed)
    for place, length, piece in edits:
        start = int(place * len(content))
        content = content[:start] + piece + content[start + length :]
    ends_well(tmp_path_factory.getbasetemp() / "damaged", content, format if named else None)


@given(st.binary(max_size=200))
@settings(max_examples=40, deadline=None)
def test_noise_ends_well(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Arbitrary bytes, plain, behind the gzip magic, and as a header."""
    path = tmp_path_factory.getbasetemp() / "noise"
    for each in (content, b"\x1f\x8b" + content, gzip.compress(content, 1), container(content)):
        ends_well(path, each, None)
        ends_well(path, each, "matchopt")


@given(st.sampled_from(["schema", "role", "kind", "facts", "notes", "sha256"]), JSON)
@settings(max_examples=25, deadline=None)
def test_any_json_in_any_field_ends_well(tmp_path_factory: pytest.TempPathFactory, field: str, value: object) -> None:
    """The metadata with one field replaced by arbitrary JSON."""
    ends_well(tmp_path_factory.getbasetemp() / "x.matchopt", own({field: value}), None)


@given(st.integers(0, 100), st.data())
@settings(max_examples=40, deadline=None)
def test_any_json_in_any_fact_ends_well(
    tmp_path_factory: pytest.TempPathFactory, seed: int, data: st.DataObject
) -> None:
    """The facts of every kind with one value, at any depth, replaced by arbitrary JSON."""
    content = good_file("matchopt", seed)
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    about = json.loads(header["__metadata__"]["matchopt"])
    place = about
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(JSON)
    if place is not about or key != "sha256":
        about["sha256"] = hash_of(about, load(content))
    header["__metadata__"]["matchopt"] = compact(about)
    ends_well(tmp_path_factory.getbasetemp() / "x.matchopt", container(header, content[8 + length :]), None)


def test_every_format_that_reads_recognises_its_own_files(tmp_path: Path) -> None:
    """A good file of each format is recognised under a name that says nothing."""
    for format in READABLE:
        (tmp_path / "x").write_bytes(good_file(format, 11))
        assert recognise(tmp_path / "x").name == format
