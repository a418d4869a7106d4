"""Text files as other programs save them: with byte order marks, in UTF-16; and files that are none of ours."""

import codecs
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from formats.files import SMALL, layer, program, solution

from matchopt.errors import FormatError
from matchopt.formats import SolutionFile, read, read_array, read_instance, write
from matchopt.formats.sources import Source
from matchopt.instances import Instance
from matchopt.network import read_network

ENCODINGS = {"utf-8-sig": b"", "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}


def saved_anew(path: Path, encoding: str) -> Path:
    """The same text in another encoding, beside it."""
    text = path.read_text("utf-8")
    other = path.with_name(f"other-{path.name}")
    other.write_bytes(ENCODINGS[encoding] + text.replace("\n", "\r\n").encode(encoding))
    return other


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", ["x.json", "x.csv"])
def test_wiring_tables_of_editors_and_spreadsheets_are_read(tmp_path: Path, encoding: str, name: str) -> None:
    """With a byte order mark, or in UTF-16, with Windows line ends."""
    instance = layer(5)
    given = solution(instance, 5)
    write(given, tmp_path / name, instance=instance)
    found = read(saved_anew(tmp_path / name, encoding), instance=instance)
    assert isinstance(found, SolutionFile)
    assert found.solution.digest == given.digest


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(("name", "thing"), [("x.mps", program(3)), ("x.txt", SMALL)])
def test_instances_of_editors_are_read(tmp_path: Path, encoding: str, name: str, thing: Instance) -> None:
    """The same for programs and assignments, which are recognised, too."""
    write(thing, tmp_path / name)
    assert read_instance(saved_anew(tmp_path / name, encoding)).digest == read_instance(tmp_path / name).digest


def test_damaged_text_is_told_with_its_place(tmp_path: Path) -> None:
    """Half a character of UTF-16."""
    (tmp_path / "x.txt").write_bytes(codecs.BOM_UTF16_LE + b"1\0\x00\xd8 \0" * 9)
    with pytest.raises(FormatError, match=r"x\.txt: damaged UTF-16 text at byte 4"):
        read_array(tmp_path / "x.txt")


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"MATLAB 5.0 MAT-file", "a MATLAB file"),
        (b"\xd0\xcf\x11\xe0", "an Excel workbook"),
        (b"\x80\x04\x95", "a pickle, which is never opened"),
    ],
)
@pytest.mark.parametrize("read_it", [read_array, read_network])
def test_files_of_other_programs_are_told_by_name(
    tmp_path: Path, start: bytes, kind: str, read_it: Callable[[Path], object]
) -> None:
    """Where a chip or a network is expected."""
    (tmp_path / "x").write_bytes(start + bytes(100))
    with pytest.raises(FormatError, match=rf"\.npz.*; it is {kind}"):
        read_it(tmp_path / "x")


@pytest.mark.parametrize(
    ("member", "kind"), [("[Content_Types].xml", "an Office"), ("model.weights.h5", "a Keras model")]
)
@pytest.mark.parametrize("read_it", [read_array, read_network])
def test_archives_of_other_programs_are_told_by_name(
    tmp_path: Path, member: str, kind: str, read_it: Callable[[Path], object]
) -> None:
    """Which are zip files, as .npz is."""
    with zipfile.ZipFile(tmp_path / "x", "w") as archive:
        archive.writestr(member, b"<x/>")
    with pytest.raises(FormatError, match=f"it is {kind}"):
        read_it(tmp_path / "x")


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("net.matchopt", "net"),
        ("net.v1.2.matchopt.gz", "net.v1.2"),
        ("layer.0.mps", "layer.0"),
        ("gap.1.5", "gap.1.5"),
        ("scp41", "scp41"),
        (".hidden", ".hidden"),
    ],
)
def test_a_name_loses_its_ending_only(name: str, stem: str) -> None:
    """Dots in a name are part of it."""
    assert Source(Path(name)).stem == stem
