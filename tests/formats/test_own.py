"""matchopt's own format: exact round trips, stable bytes, hostile containers."""

import json
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from formats.files import SMALL, container, instances, own, program, seeds, solution, with_metadata
from hypothesis import given, settings
from safetensors.numpy import load_file

from matchopt.errors import FormatError, Refused
from matchopt.formats import SolutionFile, read, read_instance, read_solution, write
from matchopt.formats.container import to_bytes as container_bytes
from matchopt.formats.own import content_of, read_own
from matchopt.formats.sources import Source
from matchopt.instances import AssignmentInstance, Instance, ProgramInstance, Provenance
from matchopt.testing import tiny_instances


def to_bytes(thing: Instance | SolutionFile) -> bytes:
    return container_bytes(content_of(thing))


def read_bytes(folder: Path, content: bytes) -> Instance | SolutionFile:
    path = folder / "x.matchopt"
    path.write_bytes(content)
    return read_own(Source(path))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("own")


@given(instances)
@settings(max_examples=25, deadline=None)
def test_an_instance_comes_back_equal(folder: Path, instance: Instance) -> None:
    """Content, provenance and digest survive writing and reading, and the second file has the same bytes."""
    first = to_bytes(instance)
    back = read_bytes(folder, first)
    assert isinstance(back, Instance)
    assert (type(back), back.digest, back.provenance) == (type(instance), instance.digest, instance.provenance)
    assert to_bytes(back) == first


@given(instances, seeds)
@settings(max_examples=25, deadline=None)
def test_a_solution_comes_back_equal(folder: Path, instance: Instance, seed: int) -> None:
    """The solution and what is said about it survive writing and reading."""
    given = SolutionFile(solution(instance, seed), instance.digest, "greedy", seed)
    back = read_bytes(folder, to_bytes(given))
    assert isinstance(back, SolutionFile)
    assert back.solution.digest == given.solution.digest
    assert (back.instance, back.solver, back.seed) == (instance.digest, "greedy", seed)


def test_every_kind_and_rule_is_held(tmp_path: Path) -> None:
    """The tiny instances of the conformance kit keep their digest, compressed or not."""
    tiny = tiny_instances()
    assert {each.instance.kind for each in tiny} == {"network", "layer", "assignment", "program"}
    for each in tiny:
        for ending in ("matchopt", "matchopt.gz"):
            write(each.instance, tmp_path / f"x.{ending}")
            assert read_instance(tmp_path / f"x.{ending}").digest == each.instance.digest, each.name


def test_other_safetensors_readers_read_the_arrays(tmp_path: Path) -> None:
    """The file is plain safetensors with one metadata entry, as documented."""
    write(SMALL, tmp_path / "x.matchopt")
    assert np.array_equal(load_file(tmp_path / "x.matchopt")["cost"], SMALL.cost)
    content = (tmp_path / "x.matchopt").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert list(header["__metadata__"]) == ["matchopt"]
    about = json.loads(header["__metadata__"]["matchopt"])
    assert (about["schema"], about["role"], about["kind"]) == (3, "instance", "assignment")
    assert json.dumps(about, sort_keys=True, separators=(",", ":")) == header["__metadata__"]["matchopt"]


def test_a_file_made_by_hand_from_the_document_is_read(tmp_path: Path) -> None:
    """What docs/formats.md says is enough to write a file without our code."""
    found = read_bytes(tmp_path, own())
    assert isinstance(found, AssignmentInstance)
    assert found.digest == SMALL.digest


def test_cutting_a_file_anywhere_is_noticed(tmp_path: Path) -> None:
    """A file cut at any 64-byte step, or by one byte, is refused by name."""
    whole = to_bytes(program(4))
    for end in [*range(0, len(whole), 64), len(whole) - 1]:
        with pytest.raises(FormatError, match=r"x\.matchopt: "):
            read_bytes(tmp_path, whole[:end])


def test_a_flipped_bit_in_the_arrays_is_noticed(tmp_path: Path) -> None:
    """Damage that leaves a valid instance is caught by SHA-256."""
    content = bytearray(own())
    content[-8] ^= 1
    with pytest.raises(FormatError, match="sha256 differs"):
        read_bytes(tmp_path, bytes(content))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"cost": {"dtype": "F64", "shape": [2**37], "data_offsets": [0, 2**40]}}, "do not lie in the 16 bytes"),
        ({"cost": {"dtype": "F64", "shape": [2**61, 8], "data_offsets": [0, 0]}}, "takes 147573952589676412928 bytes"),
        ({"cost": {"dtype": "F64", "shape": [2**64 + 1], "data_offsets": [0, 8]}}, "shape must be at most 4"),
        ({"cost": {"dtype": "F64", "shape": [0, 2**31 - 1], "data_offsets": [0, 0]}}, "a side may be at most"),
        (b"{" + b" " * 40, "not JSON at byte 41"),
        (b'{"a":' * 100_000, "nested 100000 deep"),
        (b'{"a":"' + b'\\"' * 10**6, "not JSON"),
        (b'{"a":[' + b"{}," * 10**6 + b"1]}", "more than 262144 objects"),
        (b'{"a":' + b"9" * 5000 + b"}", "not readable JSON"),
    ],
    ids=["terabyte", "overflow", "beyond-64-bit", "hollow", "blank", "deep", "quotes", "many", "digits"],
)
def test_hostile_headers_are_refused_before_memory_is_taken(tmp_path: Path, header: object, message: str) -> None:
    """Sizes of terabytes, overflow, depth and floods cost less than 64 MB."""
    content = container(header, bytes(16))
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match=message):
            read_bytes(tmp_path, content)
        assert tracemalloc.get_traced_memory()[1] < 64e6
    finally:
        tracemalloc.stop()


def test_boolean_bytes_are_zero_or_one(tmp_path: Path) -> None:
    """A BOOL tensor with another byte has no meaning and is refused."""
    content = with_metadata({"matchopt": "{}"}, {"flags": np.array([True])})
    with pytest.raises(FormatError, match="tensor 'flags': a BOOL must be 0 or 1, found 7"):
        read_bytes(tmp_path, content[:-1] + b"\x07")


def test_a_header_too_long_to_be_read_back_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names beyond the largest header are refused when writing, and no file is left."""
    monkeypatch.setattr("matchopt.formats.container.MAX_HEADER", 1000)
    empty = np.zeros(0)
    wide = ProgramInstance(
        np.zeros(1), np.zeros(1, int), np.zeros(0, int), empty, empty, empty, variable_names=("x" * 1000,)
    )
    with pytest.raises(Refused, match="shorten the names"):
        write(wide, tmp_path / "x.matchopt")
    assert not list(tmp_path.iterdir())


def test_instance_and_solution_are_told_apart(tmp_path: Path) -> None:
    """`read_solution` refuses an instance and the reverse, with a sentence."""
    write(SMALL, tmp_path / "i.matchopt")
    write(solution(SMALL, 1), tmp_path / "s.matchopt", instance=SMALL)
    assert read(tmp_path / "s.matchopt").instance == SMALL.digest  # type: ignore[union-attr]
    with pytest.raises(FormatError, match="holds an instance of kind assignment, a solution is needed"):
        read_solution(tmp_path / "i.matchopt")
    with pytest.raises(FormatError, match="holds a solution of kind assignment, an instance is needed"):
        read_instance(tmp_path / "s.matchopt")


def test_provenance_is_no_part_of_the_digest(tmp_path: Path) -> None:
    """Two files that differ in provenance only hold instances of one digest."""
    renamed = AssignmentInstance(SMALL.cost, provenance=Provenance(name="other"))
    assert to_bytes(renamed) != to_bytes(SMALL)
    assert read_bytes(tmp_path, to_bytes(renamed)).digest == SMALL.digest  # type: ignore[union-attr]


def test_an_unknown_ending_names_those_that_fit(tmp_path: Path) -> None:
    """Each once, and none that could not hold the thing."""
    with pytest.raises(Refused, match=r"kind assignment; end it in \.matchopt or \.txt$"):
        write(SMALL, tmp_path / "small.mo")


def test_a_name_that_is_no_text_is_marked_and_read_again(tmp_path: Path) -> None:
    """An instance is named after its file; bytes of another encoding in that name become a mark, not damage."""
    path = tmp_path / os.fsdecode(b"b\xe9d.txt")
    path.write_text("2 1 2 3 4\n")
    write(read_instance(path), tmp_path / "x.matchopt")
    assert read_instance(tmp_path / "x.matchopt").name == "b\ufffdd"


def test_a_solution_of_another_instance_is_refused_where_one_is_given(tmp_path: Path) -> None:
    """Its file has the digest; a related one will do to begin from, and one that says nothing is taken."""
    other = AssignmentInstance(SMALL.cost + 1, provenance=Provenance(name="other"))
    given = solution(SMALL, 6)
    write(given, tmp_path / "x.matchopt", instance=SMALL)
    assert read_solution(tmp_path / "x.matchopt", instance=SMALL).digest == given.digest
    sentence = f"holds a solution of another instance, with digest {SMALL.digest[:12]}; this one, other, has "
    with pytest.raises(FormatError, match=sentence):
        read_solution(tmp_path / "x.matchopt", instance=other)
    assert read_solution(tmp_path / "x.matchopt", instance=other, related=True).digest == given.digest
    with pytest.raises(FormatError, match=r"y\.matchopt: holds a solution of another instance"):
        write(read(tmp_path / "x.matchopt"), tmp_path / "y.matchopt", instance=other)
    write(given, tmp_path / "x.matchopt")
    assert read_solution(tmp_path / "x.matchopt", instance=other).digest == given.digest
