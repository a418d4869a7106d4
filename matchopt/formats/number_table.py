"""A matrix of numbers as text: commas, semicolons, tabs or blanks; decimal commas where none separates; # comments."""

import csv
import re
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from matchopt.errors import FormatError
from matchopt.formats.numbers import number_of
from matchopt.formats.sources import Source

NO_READING = 1e30  # and beyond: no weight in any unit, but what instruments write, 9.9e37, 9.91e37, 199.999e99
ADVICE = ("a cell without a reading; give the array as .npz with `usable` false there, or take all such cells as dead "
          "(--dead-blanks)")  # fmt: skip
_NONE = re.compile(
    r"[-+]?(nan|inf|infinity|[-.]*|n/?a|#n/a|null|none|o\.?l|ovld|ovrflw|over(load|flow|range)?|open|error)"
)
_WAYS = (";.", ";,", "\t.", "\t,", ",.", ",,", " .", " ,")  # what separates numbers, and the decimal mark
_COMMAS = "; are there decimal commas? write points, or put semicolons between numbers"


class _Misfit(Exception):  # whoever tries another way catches it
    """A text that is no number: `line` and `column` count from 0."""

    def __init__(self, line: int, column: int, word: str) -> None:
        super().__init__(word)
        self.line, self.column, self.word = line, column, word


def is_missing(word: str) -> bool:
    """Whether a word is what instruments write where they have no reading: nothing, NaN, OL, 9.9e37 ..."""
    value = number_of(word.replace(",", "."))
    return abs(value) >= NO_READING if value is not None else _NONE.fullmatch(word.strip().lower()) is not None


def reading(word: str, dead: bool, fail: Callable[[str], FormatError], point: str = ".") -> float:
    """The number that a word is; NaN for a cell without a reading.

    Parameters
    ----------
    word : without blanks around it.
    dead : whether a cell may have no reading.
    fail : makes the error of what is wrong.
    point : the decimal mark.

    Raises
    ------
    FormatError
        for a word that is no number, or a cell that may not be without one.
    """
    value = number_of(word.replace(point, "."))
    if value is not None and abs(value) < NO_READING:
        return value
    missing = is_missing(word)
    if missing and dead:
        return np.nan
    raise fail(f"expected a finite number, found {word[:40]!r}{f', {ADVICE}' if missing else ''}")


def lines_of(source: Source, dead: bool = False) -> list[tuple[str, int]]:
    """The lines that are not empty, without comments, and their numbers; there is at least one.

    Parameters
    ----------
    source : the file.
    dead : whether a line of nothing but tabs counts, as a row of cells without a reading.

    Raises
    ------
    FormatError
        when there is none.
    """
    content = source.text.decode("utf-8", "replace")  # comments may be in any encoding
    numbered = ((line.partition("#")[0].strip(" "), n) for n, line in enumerate(content.splitlines(), start=1))
    lines = [(line, number) for line, number in numbered if (line if dead else line.strip())]
    if not any(line.strip() for line, _ in lines):
        raise source.error("holds no numbers")
    return lines


def read_table(source: Source, dead: bool = False) -> Float[np.ndarray, "rows columns"]:
    """Read the matrix; every line must have as many numbers as the first.

    Parameters
    ----------
    source : the file.
    dead : whether a cell without a reading is NaN; else it is refused.

    Raises
    ------
    FormatError
        naming the line: a cell without a reading, headings, commas that may mean two things.
    """
    lines = lines_of(source, dead)
    furthest = _Misfit(-1, 0, "")
    blank = any(re.search(r"\t *\t", line) for line, _ in lines)  # between two tabs: no cell may change its place
    for way in (way for way in _WAYS if (not blank if way[0] == " " else way[0] in lines[0][0])):
        try:
            rows = _rows([line for line, _ in lines], way[0], way[1], dead)
        except csv.Error as cause:
            raise source.error(f"not CSV: {cause}") from None
        except _Misfit as misfit:
            furthest = max(furthest, misfit, key=lambda each: each.line)
            continue
        for n, ((line, number), row) in enumerate(zip(lines, rows, strict=True)):
            if len(row) != len(rows[0]):
                if n == furthest.line:  # blanks took two tabs for one
                    break
                hint = _COMMAS if "," in line else ""
                raise source.error(f"{len(rows[0])} numbers per line are expected, found {len(row)}{hint}", number)
            if way == ",." and re.search(r",\s", line) and re.search(r",\S", line):
                raise source.error(f"some commas have a blank after them and some have none{_COMMAS}", number)
        else:
            return np.array(rows)
    raise _error(furthest if furthest.line >= 0 else _Misfit(0, 0, lines[0][0]), lines, source)


def _rows(lines: Sequence[str], mark: str, point: str, dead: bool) -> list[list[float]]:
    split = [
        line.split() if mark == " " else next(csv.reader([line], delimiter=mark, skipinitialspace=True))
        for line in lines
    ]
    if all(len(words) > 1 and not words[-1].strip() for words in split):  # a separator at the end of every line
        split = [words[:-1] for words in split]
    return [[_number(word.strip(), point, n, k, dead) for k, word in enumerate(words)] for n, words in enumerate(split)]


def _number(word: str, point: str, line: int, column: int, dead: bool) -> float:
    value = number_of(word.replace(point, "."))
    if dead and is_missing(word):
        return np.nan
    if value is None or abs(value) >= NO_READING or (point == "," and "." in word):
        raise _Misfit(line, column, word)
    return value


def _error(misfit: _Misfit, lines: Sequence[tuple[str, int]], source: Source) -> FormatError:
    """The sentence about what no way of reading makes a number of."""
    place, word = lines[misfit.line][1], misfit.word
    what = f"column {misfit.column + 1}: expected a finite number, found {word[:40]!r}"
    missing = is_missing(word)
    if misfit.line == 0 and ((not missing and word[:1].isalpha()) or (not word and not misfit.column)):
        return source.error(f"{what}, a heading; begin the line with #, and remove a column that counts lines", place)
    if missing:
        return source.error(f"{what}, {ADVICE}", place)
    return source.error(f"{what}{_COMMAS if ',' in word else ''}", place)
