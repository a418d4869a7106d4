"""A matrix of numbers as text: CSV, semicolons, tabs or blanks; # begins a comment."""

import io
import re

import numpy as np
from jaxtyping import Float

from matchopt.formats.numbers import number_of
from matchopt.formats.sources import Source

_SPLIT = {",": re.compile(r"\s*,\s*"), ";": re.compile(r"\s*;\s*"), " ": re.compile(r"\s+")}


def read_table(source: Source) -> Float[np.ndarray, "rows columns"]:
    """Read the matrix; every line must have as many numbers as the first.

    Raises
    ------
    FormatError
        naming the line.
    """
    rows: list[np.ndarray] = []
    split = None
    for number, full in enumerate(io.StringIO(source.words), start=1):
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
    values = [number_of(word) for word in words]
    for word, value in zip(words, values, strict=True):
        if value is None:
            raise source.error(f"expected a finite number, found {word[:40]!r}", line)
    return np.array(values, np.float64)
