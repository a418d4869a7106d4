"""The wanted files of a folder or a tar archive, read into memory; nothing is unpacked to the disk.

Members are chosen by name and size, so that paths, links and devices in an archive mean nothing. How much an archive
may unpack to is bounded before it is read.
"""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import re
import tarfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matchopt.errors import DataError

_OPENERS: dict[bytes, Callable[[Path], Any]] = {b"\x1f\x8b": gzip.GzipFile, b"\xfd7": lzma.LZMAFile, b"BZ": bz2.BZ2File}
_BROKEN = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, ValueError, OverflowError, IndexError, OSError)


@dataclass(frozen=True)
class Wanted:
    """Which files of a data set are read.

    Parameters
    ----------
    name : name of the data set, for messages.
    pattern : matches the whole path; its first group is the name by which the file is known.
    count : how many there must be.
    largest : bytes of the largest one.
    total : bytes of the whole unpacked archive.
    """

    name: str
    pattern: re.Pattern[str]
    count: int
    largest: int
    total: int

    def error(self, place: Path, found: str) -> DataError:
        """The sentence about a broken file."""
        return DataError(f"{self.name}: {place} {found}; fetch it again with: matchopt data fetch {self.name}")


def read_files(place: Path, wanted: Wanted) -> dict[str, bytes]:
    """The wanted files by name.

    Raises DataError when the archive is broken or too large, or the wanted files are not all there, once each.
    """
    found: dict[str, bytes] = {}
    try:
        for name, content in _folder_files(place, wanted) if place.is_dir() else _tar_files(place, wanted):
            if name in found:
                raise wanted.error(place, f"holds {name} twice")
            found[name] = content
    except _BROKEN as cause:
        if isinstance(cause, DataError):
            raise
        reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
        raise wanted.error(place, f"cannot be read ({reason or type(cause).__name__})") from None
    if len(found) != wanted.count:
        raise wanted.error(place, f"holds {len(found)} of the {wanted.count} files of this data set")
    return found


def content_digest(files: Mapping[str, bytes]) -> str:
    """SHA-256 of the lines `name SHA-256`, sorted by name: the same for a folder and for every way to pack it."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name} {hashlib.sha256(files[name]).hexdigest()}\n".encode())
    return digest.hexdigest()


def _folder_files(place: Path, wanted: Wanted) -> "list[tuple[str, bytes]]":
    found = []
    for folder, _, names in os.walk(place):
        for name in names:
            path = Path(folder, name)
            match = wanted.pattern.fullmatch(path.relative_to(place).as_posix())
            if match:
                if path.stat().st_size > wanted.largest:
                    raise wanted.error(path, f"has more than {wanted.largest} bytes")
                found.append((match[1], path.read_bytes()))
    return found


def _tar_files(place: Path, wanted: Wanted) -> "list[tuple[str, bytes]]":
    found = []
    with place.open("rb") as file:
        start = file.read(2)
    # As a stream, an archive is read no further than its bound, headers included.
    with (
        _OPENERS.get(start, io.FileIO)(place) as unpacked,
        tarfile.open(fileobj=_Bounded(unpacked, place, wanted), mode="r|") as archive,
    ):
        for member in archive:
            match = wanted.pattern.fullmatch(member.name)
            if not match or not member.isreg():
                continue
            if member.size > wanted.largest:
                raise wanted.error(place, f"holds {match[1]} with {member.size} bytes, more than {wanted.largest}")
            content = archive.extractfile(member)
            assert content is not None  # it is a regular file
            found.append((match[1], content.read()))
            if len(found[-1][1]) != member.size:
                raise wanted.error(place, f"ends in the middle of {match[1]}")
    return found


class _Bounded(io.RawIOBase):
    """A file that must not be read past a number of bytes."""

    def __init__(self, file: Any, place: Path, wanted: Wanted) -> None:
        super().__init__()
        self._file, self._place, self._wanted = file, place, wanted
        self._taken = self._ends = 0

    def read(self, size: int = -1) -> bytes:
        """See `io.RawIOBase`."""
        content: bytes = self._file.read(size)
        self._taken += len(content)
        self._ends += not content
        if self._ends > 2:  # tarfile would go on asking for every block that a header promises
            raise self._wanted.error(self._place, "ends too early")
        if self._taken > self._wanted.total:
            raise self._wanted.error(self._place, f"unpacks to more than {self._wanted.total} bytes")
        return content
