"""A file to be read: its bytes within limits, gzip undone, and errors that name it."""

import codecs
import csv
import io
import os
import re
import stat
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Num

from matchopt.errors import FormatError, FormatWarning, InvalidInstance, InvalidSolution
from matchopt.formats.numbers import parse_numbers

MAX_BYTES = 4 * 2**30  # of a file, after decompression
MAX_TEXT = 2**27  # of a text file, after decompression: parsing takes several times as much memory
MAX_RATIO = 200  # decompressed to compressed size, once past FREE_BYTES: gzip bombs reach 1000, instances 2 to 50
FREE_BYTES = 2**26
HEAD_BYTES = 2**16  # what formats are recognised by
_GZIP = b"\x1f\x8b"
_OTHERS = {  # what files begin with that people take for one of ours
    b"MATLAB ": "a MATLAB file",
    b"\x89HDF\r\n": "an HDF5 file, as MATLAB 7.3 and Keras write",
    b"\xd0\xcf\x11\xe0": "an Excel workbook",
    b"PK\x03\x04": "a zip archive, as .npz and .xlsx files are",
    b"%PDF": "a PDF file",
    b"BZh": "packed with bzip2; unpack it, or pack it with gzip",
    b"\xfd7zXZ\x00": "packed with xz; unpack it, or pack it with gzip",
    b"(\xb5/\xfd": "packed with zstd; unpack it, or pack it with gzip",
    b"\x80\x02": "a pickle, which is never opened, as code in it would run",
}
_OTHERS |= {bytes([0x80, n]): _OTHERS[b"\x80\x02"] for n in (3, 4, 5)}
_CHUNK = 2**20
_END_OF_DOS = re.compile(rb"\x1a\s*\Z")  # Ctrl-Z, with which old editors end a text


@dataclass(frozen=True)
class Source:
    """A file that is read at most once, whole, and only as far as the limits allow.

    Parameters
    ----------
    path : the file; it may be compressed with gzip, whatever its ending.
    """

    path: Path

    @property
    def stem(self) -> str:
        """The file name without its endings, as a name for what is read."""
        return stem_of(self.path)

    def error(self, message: str, line: int | None = None) -> FormatError:
        """The error to raise: the path, the line where there is one, and `message`."""
        return FormatError(f"{self.path}{f':{line}' if line is not None else ''}: {message}")

    def warn(self, message: str, line: int | None = None) -> None:
        """Say how something was read that programs read differently; an error under `--strict`."""
        warnings.warn(FormatWarning(str(self.error(message, line))), stacklevel=2)

    @contextmanager
    def named(self) -> Iterator[None]:
        """Turn what is said about content that is not valid into errors that name the file."""
        try:
            yield
        except (InvalidInstance, InvalidSolution) as cause:
            raise self.error(str(cause)) from cause

    @cached_property
    def head(self) -> bytes:
        """The first bytes, decompressed; at most HEAD_BYTES."""
        return self._read(HEAD_BYTES, whole=False)

    @cached_property
    def data(self) -> bytes:
        """All bytes, decompressed.

        Raises
        ------
        FormatError
            when the file cannot be opened, is larger than the limits or is damaged gzip.
        """
        return self._read(MAX_BYTES, whole=True)

    @property
    def other(self) -> str:
        """What the file is, for the end of a sentence, where it begins as a well-known kind that is not read does."""
        kind = next((kind for start, kind in _OTHERS.items() if self.head.startswith(start)), None)
        return "" if kind is None else f"; it is {kind}"

    @cached_property
    def start(self) -> bytes:
        """The head of a text file as UTF-8, without a byte order mark."""
        return _as_utf8(self.head, self)

    @cached_property
    def text(self) -> bytes:
        """All of a text file as UTF-8 without a byte order mark; smaller than MAX_TEXT, and without a zero byte."""
        data = self._read(MAX_TEXT, whole=True) if "data" not in self.__dict__ else self.data
        if len(data) > MAX_TEXT:
            raise self.error(f"a text file may have at most {MAX_TEXT} bytes, found {len(data)}")
        data = _as_utf8(data, self)
        at = data.find(b"\0")
        if at >= 0:
            raise self.error(f"a text file holds no zero bytes, found one{self.other}", data.count(b"\n", 0, at) + 1)
        return data

    @cached_property
    def words(self) -> str:
        """All of a text file, which must be UTF-8."""
        try:
            return self.text.decode()
        except UnicodeDecodeError as cause:
            raise self.error("not UTF-8 text", self.text.count(b"\n", 0, cause.start) + 1) from None

    @cached_property
    def lines_of_csv(self) -> list[list[str]]:
        """The values of every line of a CSV file, whose first tells what separates them; there is at least one line."""
        mark = max(",;\t", key=self.words.partition("\n")[0].count)
        try:
            return list(csv.reader(io.StringIO(self.words), delimiter=mark, strict=True)) or [[]]
        except csv.Error as cause:
            raise self.error(f"not CSV: {cause}") from None

    @cached_property
    def numbers(self) -> Num[np.ndarray, " tokens"]:
        """All tokens of a text file of numbers, int64 where all are whole."""
        return parse_numbers(self.text, self.error)

    @cached_property
    def is_numeric(self) -> bool:
        """Whether the head of the file holds nothing but numbers, and at least one."""
        return re.fullmatch(rb"[0-9\s.eE+-]*[0-9][0-9\s.eE+-]*", self.start) is not None

    def _read(self, limit: int, whole: bool) -> bytes:
        try:
            # Non-blocking, or a named pipe without a writer would hang the open.
            descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
            with os.fdopen(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise self.error("not a regular file")
                start = file.read(2)
                file.seek(0)
                if start == _GZIP:
                    return self._unzip(file, limit, whole)
                size = os.fstat(descriptor).st_size
                if whole and size > limit:
                    raise self.error(f"at most {limit} bytes are read, found {size}")
                return file.read(min(limit, size + 1))  # a larger request would be allocated first
        except (OSError, ValueError) as cause:
            if isinstance(cause, FormatError):
                raise
            reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
            raise self.error(f"cannot be opened: {reason}") from None

    def _unzip(self, file: BinaryIO, limit: int, whole: bool) -> bytes:
        chunks: list[bytes] = []
        taken = given = 0
        inflate, waiting = zlib.decompressobj(wbits=31), b""
        while given < limit or whole:
            if not waiting:
                waiting = file.read(_CHUNK)
                taken += len(waiting)
            if not waiting:
                break
            if inflate.eof:  # gzip files may be several members in a row, padded with zeros
                waiting = waiting.lstrip(b"\0")
                inflate = zlib.decompressobj(wbits=31) if waiting else inflate
                continue
            try:
                chunk = inflate.decompress(waiting, _CHUNK)
            except zlib.error as cause:
                raise self.error(f"damaged gzip data after {given} decompressed bytes ({cause})") from None
            waiting = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
            chunks.append(chunk)
            given += len(chunk)
            if whole and (given > limit or given > max(FREE_BYTES, MAX_RATIO * taken)):
                raise self.error(
                    f"gzip data grows past {given - len(chunk)} bytes from {taken}, refused as a gzip bomb"
                )
        if whole and not inflate.eof:
            raise self.error(f"damaged gzip data: it ends in the middle, after {given} decompressed bytes")
        return b"".join(chunks) if whole else b"".join(chunks)[:limit]


def stem_of(path: Path) -> str:
    """The name of a file without .gz and the ending before it: net.v1.matchopt.gz is net.v1."""
    plain = Path(path.name.removesuffix(".gz"))
    return plain.stem if re.search("[A-Za-z]", plain.suffix) else plain.name


def _as_utf8(data: bytes, source: Source) -> bytes:
    """Text as UTF-8 without a byte order mark; spreadsheets write UTF-16, which its mark tells."""
    if not data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or data[8:9] == b"{":  # safetensors
        return _END_OF_DOS.sub(b"", data.removeprefix(codecs.BOM_UTF8))
    try:
        return data[: len(data) // 2 * 2].decode("utf-16").encode()
    except UnicodeDecodeError as cause:
        if data is source.head:  # cut in the middle of a character
            return data[: cause.start].decode("utf-16").encode()
        raise source.error(f"damaged UTF-16 text at byte {cause.start}") from None
