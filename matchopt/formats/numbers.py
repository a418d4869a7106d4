"""Token streams of numbers: line breaks carry no meaning, but errors name the line."""

import math
import re
from collections.abc import Callable

import numpy as np
from jaxtyping import Num

from matchopt.errors import FormatError

Fail = Callable[[str, int | None], FormatError]

_NUMBER = re.compile(rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_LONG = b"0" * 19  # digits in a row, each turned into 0, that may not fit 64 bits
_TOKEN = re.compile(rb"\S+")


def parse_numbers(text: bytes, fail: Fail) -> Num[np.ndarray, " tokens"]:
    """Return all tokens as int64, or as float64 when any has a point or an exponent.

    Raises
    ------
    FormatError
        made by `fail`, for a token that is no number, is infinite, or is an integer beyond 64 bits.
    """
    if not text.translate(None, b"0123456789 \t\r\n\v\f") and _LONG not in text.translate(_ZEROS):
        return _fast(text)
    tokens = text.split()
    whole = True
    for k, token in enumerate(tokens):
        if not _NUMBER.fullmatch(token) or len(token) > 400:
            shown = token[:40].decode("utf-8", "backslashreplace")
            raise fail(f"expected a number, found {shown!r}", line_of(text, k))
        whole = whole and token.lstrip(b"+-").isdigit()
    if whole:
        for k, token in enumerate(tokens):
            if len(token) > 18 and not -(2**63) <= int(token) < 2**63:
                shown = token[:40].decode()
                raise fail(f"{shown} does not fit a 64-bit integer", line_of(text, k))
        return np.array([int(token) for token in tokens], dtype=np.int64)
    values = np.array([float(token) for token in tokens])
    if not np.isfinite(values).all():
        k = int(np.argmax(~np.isfinite(values)))
        raise fail(f"{tokens[k][:40].decode()} is too large", line_of(text, k))
    return values


def _fast(text: bytes) -> Num[np.ndarray, " tokens"]:
    # Digits and blanks only, none longer than int64 holds: numpy's own tokeniser cannot go wrong on these.
    if not text.strip():
        return np.zeros(0, np.int64)
    return np.fromstring(text.decode("ascii"), dtype=np.int64, sep=" ")


def line_of(text: bytes, token: int) -> int:
    """The line, from 1, of token number `token`, from 0; the last line when there are fewer tokens."""
    start = len(text)
    for k, match in enumerate(_TOKEN.finditer(text)):
        if k == token:
            start = match.start()
            break
    return text.count(b"\n", 0, start) + 1


def number_of(text: str) -> float | None:
    """The finite number that a text writes in digits; None where it is anything else."""
    value = float(text) if text.isascii() and _NUMBER.fullmatch(text.encode()) else math.inf
    return value if math.isfinite(value) else None


def number_text(value: float) -> str:
    """The shortest text that reads back equal; whole numbers below 2**53 without a point."""
    value = float(value)
    if value.is_integer() and abs(value) < 2**53 and (value != 0 or str(value)[0] != "-"):
        return str(int(value))
    return repr(value)
