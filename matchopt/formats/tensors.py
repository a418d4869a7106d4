"""The safetensors container, read by our own code: everything is checked before an array is made.

A file is 8 bytes of header length (little-endian), a JSON header, and the bytes of the tensors without gaps.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from matchopt.errors import FormatError
from matchopt.formats.bounded_json import parse

MAX_HEADER = 2**24  # bytes; 16 MiB hold the names of about 500,000 variables
MAX_TENSORS = 2**16
MAX_EMPTY = 2**20  # longest side of a tensor without elements: no bytes stand behind it, yet sides are counted over
DTYPES = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1"},
    **{"U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1"},
}
_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")

Fail = Callable[[str], FormatError]


@dataclass(frozen=True)
class TensorEntry:
    """Where a tensor lies in the bytes after the header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_tensors(data: bytes, fail: Fail) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Return the metadata and the tensors, which are read-only views into `data`.

    Raises
    ------
    FormatError
        made by `fail`, naming the tensor and the field.
    """
    metadata, entries, start = read_header(data, fail)
    arrays = {}
    for entry in entries:
        raw = memoryview(data)[start + entry.begin : start + entry.end]
        if entry.dtype == "BOOL" and len(raw) and int(np.frombuffer(raw, np.uint8).max()) > 1:
            raise fail(f"tensor {entry.name!r}: a BOOL must be 0 or 1, found {int(np.frombuffer(raw, np.uint8).max())}")
        arrays[entry.name] = np.frombuffer(raw, dtype=DTYPES[entry.dtype]).reshape(entry.shape)
    return metadata, arrays


def read_header(data: bytes, fail: Fail) -> tuple[dict[str, str], list[TensorEntry], int]:
    """Return metadata, tensors in the order of their bytes, and where those bytes begin in `data`."""
    if len(data) < 8:
        raise fail(f"header length: 8 bytes are needed, the file has {len(data)}")
    length = int.from_bytes(data[:8], "little")
    if length > MAX_HEADER:
        raise fail(f"header length: at most {MAX_HEADER} bytes are read, found {length}")
    if 8 + length > len(data):
        raise fail(f"header length: {length} bytes are announced, only {len(data) - 8} follow")
    text = data[8 : 8 + length]
    if not text.startswith(b"{"):
        raise fail(f"header must begin with '{{', found {text[:1]!r}")
    header = parse(text, lambda reason: fail(f"header: {reason}"))
    metadata = _metadata(header.pop("__metadata__", {}), fail)
    if len(header) > MAX_TENSORS:
        raise fail(f"header: at most {MAX_TENSORS} tensors are read, found {len(header)}")
    size = len(data) - 8 - length
    entries = sorted(
        (_entry(name, fields, size, fail) for name, fields in header.items()), key=lambda e: (e.begin, e.end)
    )
    at = 0
    for entry in entries:
        if entry.begin != at:
            what = "overlaps the tensor before it" if entry.begin < at else "leaves a gap before it"
            raise fail(f"tensor {entry.name!r}: data_offsets: begins at {entry.begin} instead of {at}, which {what}")
        at = entry.end
    if at != size:
        raise fail(f"{size - at} bytes follow the last tensor")
    return metadata, entries, 8 + length


def _metadata(found: Any, fail: Fail) -> dict[str, str]:
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise fail("header: __metadata__ must be an object of texts")
    return found


def _entry(name: str, fields: Any, size: int, fail: Fail) -> TensorEntry:
    if len(name) > 200 or not _NAME.fullmatch(name):
        raise _wrong(fail, name, "a name is letters, digits and underscores, joined by dots")
    if not isinstance(fields, Mapping) or set(fields) != {"dtype", "shape", "data_offsets"}:
        raise _wrong(fail, name, "must be an object of dtype, shape and data_offsets")
    dtype, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise _wrong(fail, name, f"dtype must be one of {', '.join(DTYPES)}, found {str(dtype)[:40]!r}")
    if not _counts(shape) or len(shape) > 4:
        raise _wrong(fail, name, f"shape must be at most 4 whole numbers >= 0, found {str(shape)[:80]}")
    if not _counts(offsets) or len(offsets) != 2:
        raise _wrong(fail, name, f"data_offsets must be two whole numbers >= 0, found {str(offsets)[:80]}")
    begin, end = offsets
    if not begin <= end <= size:
        raise _wrong(fail, name, f"data_offsets {begin} .. {end} do not lie in the {size} bytes of the file")
    elements = math.prod(shape)  # Python integers: no overflow
    needed = elements * np.dtype(DTYPES[dtype]).itemsize
    if needed != end - begin:
        raise _wrong(
            fail, name, f"shape {tuple(shape)} of {dtype} takes {needed} bytes, data_offsets hold {end - begin}"
        )
    if elements == 0 and max(shape) > MAX_EMPTY:
        raise _wrong(fail, name, f"shape {tuple(shape)} of an empty tensor: a side may be at most {MAX_EMPTY}")
    return TensorEntry(name, dtype, tuple(shape), begin, end)


def _wrong(fail: Fail, name: str, reason: str) -> FormatError:
    return fail(f"tensor {name[:80]!r}: {reason}")


def _counts(value: Any) -> bool:
    # bounded so that products and messages stay small
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 2**63 for n in value)
