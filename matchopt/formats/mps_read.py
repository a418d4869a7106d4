"""MPS, read in the fixed or the free layout; what programs read differently is refused (docs/formats.md)."""

import io
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cached_property

from matchopt.errors import FormatError
from matchopt.formats.mps_bounds import Bounds
from matchopt.formats.mps_program import Entries, Rows, build
from matchopt.formats.sources import Source
from matchopt.instances import ProgramInstance

_SECTIONS = ("NAME", "OBJSENSE", "ROWS", "COLUMNS", "RHS", "RANGES", "BOUNDS", "ENDATA")
_SENSES = {"MIN": 1, "MINIMIZE": 1, "MINIMISE": 1, "MAX": -1, "MAXIMIZE": -1, "MAXIMISE": -1}
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eEdD][+-]?[0-9]+)?")
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
INFINITE = 1e30  # numbers this large mean "no bound" to most programs that write MPS

_HEAD = re.compile(rb"(?:[ \t]*[\r\n]|[ \t]*\*[^\r\n]*[\r\n])*(?:NAME|ROWS|OBJSENSE)\b", re.IGNORECASE)
_SENSE = re.compile(r"\*\s*SENSE\s*:\s*MAX", re.IGNORECASE)  # how a modelling library says what others do not read


def is_mps(source: Source) -> bool:
    """Whether the first line that is no comment begins with NAME, ROWS or OBJSENSE."""
    return _HEAD.match(source.start) is not None


def read_mps(source: Source) -> ProgramInstance:
    """Read a program; a maximised objective is negated, and provenance says so.

    Raises
    ------
    FormatError
        naming the line of what is wrong or ambiguous.
    """
    reader, number = _Reader(source), 1
    text = source.text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for number, line in enumerate(io.BytesIO(text), start=1):
        reader.line = number
        try:
            if line.startswith(b"*"):
                reader.comment(line.decode(errors="replace"))
            elif line.strip() and not reader.take(line.rstrip(b"\n").decode()):
                break
        except UnicodeDecodeError:
            raise source.error("not UTF-8 text", number) from None
    else:
        raise source.error("ENDATA is missing; the file ends in the middle", number)
    with source.named():
        return reader.program()


@dataclass
class _Reader:
    source: Source
    line: int = 1
    section: str = ""
    seen: list[str] = field(default_factory=list)
    name: str = ""
    sense: int = 0
    integers: bool = False  # between the markers INTORG and INTEND
    column: str = ""
    rows: Rows = field(default_factory=Rows)
    entries: Entries = field(default_factory=Entries)
    bounds: Bounds = field(default_factory=Bounds)
    sets: dict[str, str] = field(default_factory=dict)  # the one RHS, RANGES and BOUNDS set that the file uses
    maximise: int = 0  # the line of a comment that says so

    def error(self, message: str) -> FormatError:
        return self.source.error(message, self.line)

    @cached_property
    def _takers(self) -> dict[str, Callable[[list[str]], None]]:
        return {
            "OBJSENSE": self._sense,
            "ROWS": self._row,
            "COLUMNS": self._column,
            "RHS": self._rhs,
            "RANGES": self._range,
            "BOUNDS": self._bound,
        }

    def take(self, line: str) -> bool:
        """Take one line; False once the program is complete."""
        words = line.split()
        if line[0] not in " \t":
            comment = next((k for k, word in enumerate(words) if k and word.startswith("$")), None)
            return self._begin(words if words[0].upper() == "NAME" else words[:comment])
        words = self._uncommented(words)
        if words and self.section not in self._takers:
            raise self.error(f"data before the first section that takes any, found {words[0][:40]!r}")
        if words:
            self._takers[self.section](words)
        return True

    def comment(self, line: str) -> None:
        """Take a comment, which means something to some."""
        if _SENSE.match(line):
            self.maximise = self.line

    def _uncommented(self, words: list[str]) -> list[str]:
        """The words without a comment: what follows a star in front, or a $ before a word where no name can be it."""
        known: Collection[str] = self.entries.number if self.section == "BOUNDS" else self.rows.number
        entry = self.section in ("COLUMNS", "RHS", "RANGES") and (
            any(word in known for word in words[:2]) or "'MARKER'" in words
        )
        if words[0].startswith("*") and not entry:
            self.comment(" ".join(words))
            return []
        for k in range(2 if self.section in ("ROWS", "BOUNDS") else 1, len(words)):
            word, rest = words[k], words[k + 1 :]
            entry = word != "$" and len(rest) == 1 and _NUMBER.fullmatch(rest[0]) is not None
            if word.startswith("$") and word not in known and not entry:
                return words[:k]
        return words

    def _begin(self, words: list[str]) -> bool:
        section = words[0].upper()
        if section not in _SECTIONS:
            known, name = f"(known: {', '.join(_SECTIONS)})", repr(words[0][:40])
            if len(words) > 1 and self.section in self._takers:
                raise self.error(f"lines of data begin with a blank, and {name} is no section that is read {known}")
            raise self.error(f"section {name} is not read {known}")
        if section in self.seen:
            raise self.error(f"section {section} comes twice")
        needed = {"COLUMNS": "ROWS", "RHS": "COLUMNS", "RANGES": "COLUMNS", "BOUNDS": "COLUMNS", "ENDATA": "COLUMNS"}
        if section in needed and needed[section] not in self.seen:
            raise self.error(f"section {section} comes before {needed[section]}")
        if section != "COLUMNS" and self.integers:
            raise self.error("marker INTEND is missing at the end of COLUMNS")
        self.section = section
        self.seen.append(section)
        if section == "NAME":
            self.name = " ".join(words[1:])
        elif section == "OBJSENSE" and len(words) > 1:
            self._sense(words[1:])
        elif len(words) > 1:
            raise self.error(f"section {section} takes no further word on its line, found {words[1][:40]!r}")
        return section != "ENDATA"

    def _sense(self, words: list[str]) -> None:
        if self.sense:
            raise self.error("the sense is given twice")
        if len(words) != 1 or words[0].upper() not in _SENSES:
            raise self.error(f"OBJSENSE must be MIN or MAX, found {' '.join(words)[:40]!r}")
        self.sense = _SENSES[words[0].upper()]

    def _row(self, words: list[str]) -> None:
        if len(words) != 2 or words[0].upper() not in ("N", "L", "G", "E"):
            raise self.error(f"a row is N, L, G or E and a name without spaces, found {' '.join(words)[:60]!r}")
        if not self.rows.add(words[0].upper(), words[1]):
            raise self.error(f"row {words[1][:60]!r} comes twice")

    def _column(self, words: list[str]) -> None:
        if len(words) == 3 and words[1] == "'MARKER'" and words[2].startswith("'"):
            self._marker(words[2].strip("'"))
            return
        if len(words) not in (3, 5):
            raise self.error(
                f"a column is a name and one or two pairs of row and number, found {len(words)} words; "
                "names with spaces are not read"
            )
        if words[0] != self.column:
            if not self.entries.add_column(words[0], self.integers, self.line):
                raise self.error(f"column {words[0][:60]!r} comes twice; all its entries must follow each other")
            self.column = words[0]
        for row, value in self._pairs(words[1:]):
            if not self.entries.add(self._row_number(row), value):
                raise self.error(f"column {words[0][:60]!r} has two entries in row {row[:60]!r}")

    def _marker(self, word: str) -> None:
        if word not in ("INTORG", "INTEND") or (word == "INTORG") == self.integers:
            wanted = "INTEND" if self.integers else "INTORG"
            raise self.error(f"marker must be {wanted} here, found {word[:40]!r}")
        self.integers = word == "INTORG"

    def _rhs(self, words: list[str]) -> None:
        words = self._one_set(words, len(words) % 2 == 1)
        for row, value in self._pairs(words, infinite=True):
            self._once(self.rows.rhs, row, value, "right-hand side")

    def _range(self, words: list[str]) -> None:
        words = self._one_set(words, len(words) % 2 == 1)
        for row, value in self._pairs(words):
            if self.rows.kinds[self._row_number(row)] == "N":
                raise self.error(f"row {row[:60]!r} is free (N) and can have no range")
            self._once(self.rows.ranges, row, value, "range")

    def _once(self, values: dict[int, float], row: str, value: float, what: str) -> None:
        number = self._row_number(row)
        if number in values:
            raise self.error(f"the {what} of row {row[:60]!r} is given twice")
        values[number] = value

    def _bound(self, words: list[str]) -> None:
        kind = words[0].upper()
        valued = self.bounds.takes_value(kind)
        if valued is None:
            raise self.error(f"bound {kind[:40]!r} is not read (known: {', '.join(self.bounds.KINDS)})")
        rest = words[1:]
        if valued:
            rest = self._one_set(rest, len(rest) == 3)
            if len(rest) != 2:
                raise self.error(f"bound {kind} takes a column and a number, found {' '.join(rest)[:60]!r}")
        else:
            rest = self._without_value(kind, rest)
        column = self.entries.number.get(rest[0])
        if column is None:
            raise self.error(f"bound of column {rest[0][:60]!r}, which COLUMNS does not have")
        value = self._number(rest[1], infinite=True) if valued else 0.0
        problem = self.bounds.set(kind, column, value, self.line)
        if problem:
            raise self.error(f"bound {kind} of column {rest[0][:60]!r}: {problem}")

    def _without_value(self, kind: str, rest: list[str]) -> list[str]:
        # FR, MI, PL and BV need no number, yet some programs write one; the name of the set may be missing as well.
        known = self.entries.number
        if len(rest) == 3 or (len(rest) == 2 and rest[1] in known and not _NUMBER.fullmatch(rest[1])):
            return self._one_set(rest, True)[:1]
        if len(rest) == 1 or (len(rest) == 2 and (rest[0] in known) != (rest[1] in known)):
            return (
                self._one_set(rest, True)[:1] if len(rest) == 2 and rest[1] in known else self._one_set(rest, False)[:1]
            )
        raise self.error(f"bound {kind} takes a column, found {' '.join(rest)[:60]!r}")

    def _one_set(self, words: list[str], named: bool) -> list[str]:
        name = words[0] if named and words else ""
        first = self.sets.setdefault(self.section, name)
        if name != first:
            raise self.error(f"a second set {name[:60]!r} in {self.section} after {first[:60]!r}; keep one of them")
        return words[1:] if named else words

    def _pairs(self, words: list[str], infinite: bool = False) -> list[tuple[str, float]]:
        if len(words) not in (2, 4):
            raise self.error(f"one or two pairs of row and number are expected, found {' '.join(words)[:60]!r}")
        return [(words[k], self._number(words[k + 1], infinite)) for k in range(0, len(words), 2)]

    def _row_number(self, name: str) -> int:
        if name not in self.rows.number:
            raise self.error(f"row {name[:60]!r} is not in ROWS")
        return self.rows.number[name]

    def _number(self, word: str, infinite: bool = False) -> float:
        if infinite and _INFINITE.fullmatch(word):
            return float(word)
        if not _NUMBER.fullmatch(word):
            raise self.error(f"expected a number, found {word[:40]!r}")
        value = float(word.upper().replace("D", "E"))
        if abs(value) >= INFINITE and infinite:
            return float("inf") if value > 0 else float("-inf")
        if abs(value) == float("inf"):
            raise self.error(f"number {word[:40]} is too large")
        return value

    def program(self) -> ProgramInstance:
        """Everything put together."""
        notes = []
        if self.maximise and not self.sense:
            notes.append("*SENSE:Maximize is a comment, and the objective is minimised")
            self.source.warn(f"{notes[-1]}; for a maximum write OBJSENSE MAX", self.maximise)
        name = self.name or self.source.stem
        return build(self.rows, self.entries, self.bounds, self.sense or 1, name, self.source, notes)
