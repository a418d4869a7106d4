"""A matrix of numbers as text: CSV, semicolons, tabs or blanks; # begins a comment."""

import io
import re

import numpy as np
from jaxtyping import Float

from matchopt.formats.sources import Source

_SPLIT = {",": re.compile(r"\s*,\s*"), ";": re.compile(r"\s*;\s*"), " ": re.compile(r"\s+")}
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def read_table(source: Source) -> Float[np.ndarray, "rows columns"]:
    """Read the matrix; every line must have as many numbers as the first.

    Raises
    ------
    FormatError
        naming the line.
    """
    try:
        text = source.text.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        raise source.error("not UTF-8 text", source.text.count(b"\n", 0, cause.start) + 1) from None
    rows: list[np.ndarray] = []
    split = None
    for number, full in enumerate(io.StringIO(text), start=1):
        line = full.partition("#")[0].strip()
        if not line:
            continue
        split = split or _SPLIT[next((mark for mark in ",;" if mark in line), " ")]
        words = split.split(line)
        rows.append(_row(words, number, source))
        if len(rows[-1]) != len(rows[0]):
            raise source.error(f"{len(rows[0])} numbers per line are expected, found {len(rows[-1])}", number)
    if not rows:
        raise source.error("holds no numbers")
    return np.array(rows)


def _row(words: list[str], line: int, source: Source) -> Float[np.ndarray, " columns"]:
    for word in words:
        if not _NUMBER.fullmatch(word):
            raise source.error(f"expected a number, found {word[:40]!r}", line)
    values = np.array([float(word) for word in words])
    if not np.isfinite(values).all():
        raise source.error(f"{words[int(np.argmax(~np.isfinite(values)))][:40]} is too large", line)
    return values
