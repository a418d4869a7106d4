"""Files appear whole or not at all."""

import errno
import gzip
import os
from pathlib import Path
from typing import BinaryIO

import pytest
from formats.files import SMALL

from matchopt.formats import read_instance, write
from matchopt.formats.atomic import write_atomically, write_bytes


def full_disk(file: BinaryIO) -> None:
    file.write(b"half a file")
    raise OSError(errno.ENOSPC, "No space left on device")


def interrupted(file: BinaryIO) -> None:
    file.write(b"half a file")
    raise KeyboardInterrupt


@pytest.mark.parametrize(("writer", "error"), [(full_disk, OSError), (interrupted, KeyboardInterrupt)])
@pytest.mark.parametrize("name", ["x.txt", "x.txt.gz"])
def test_a_failed_write_leaves_what_was_there(
    tmp_path: Path, writer: object, error: type[BaseException], name: str
) -> None:
    """A full disk or Ctrl-C in the middle keeps the old file, and leaves no other."""
    path = tmp_path / name
    path.write_bytes(b"old")
    with pytest.raises(error):
        write_atomically(path, writer)  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_first_write_leaves_nothing(tmp_path: Path) -> None:
    """Where nothing was, nothing is."""
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "x", interrupted)
    assert not list(tmp_path.iterdir())


def test_a_failure_to_reach_the_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of fsync, where a full disk may first show, is no half file either."""

    def failing(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "x.matchopt"
    write(SMALL, path)
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="No space"):
        write(SMALL, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_gzip_is_chosen_by_the_ending_and_repeats_itself(tmp_path: Path) -> None:
    """A path in .gz is compressed, and the same content gives the same bytes under any name."""
    for name in ("one.gz", "two.gz"):
        write_bytes(tmp_path / name, b"content")
    assert gzip.decompress((tmp_path / "one.gz").read_bytes()) == b"content"
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()


@pytest.mark.skipif(os.name != "posix", reason="permissions and links are those of POSIX")
def test_permissions_and_links_are_those_of_any_new_file(tmp_path: Path) -> None:
    """The file is as readable as the umask says, and a symbolic link is followed, not replaced."""
    target, link = tmp_path / "target.matchopt", tmp_path / "link.matchopt"
    link.symlink_to(target)
    write(SMALL, link)
    (tmp_path / "plain").touch()
    assert link.is_symlink()
    assert read_instance(target).digest == SMALL.digest
    assert target.stat().st_mode == (tmp_path / "plain").stat().st_mode
