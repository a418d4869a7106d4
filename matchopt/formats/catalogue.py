"""The catalogue: facts about public instances and the project's own, so that a wrong copy or value is noticed."""

import hashlib
import re
from dataclasses import dataclass
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Literal

from matchopt.errors import DataError, UnknownName
from matchopt.formats.registry import FORMATS
from matchopt.formats.sources import Source
from matchopt.library import LIBRARY_VARIABLE, library_folder, problems_folder
from matchopt.settings import Unfit, read_fields

COLUMNS = ("place", "path", "sha256", "kind", "format", "best_bound", "best_value", "status", "source")


@dataclass(frozen=True)
class CatalogueEntry:
    """What is known about one instance file.

    Parameters
    ----------
    place : "library" for files below MATCHOPT_LIBRARY/instances, "problems" for those that ship with matchopt.
    path : of the file, relative to that folder, with forward slashes.
    sha256 : SHA-256 of the file as it lies there (compressed where it is), lower-case hexadecimal.
    kind : kind of the instance.
    format : name of the file's format.
    best_bound, best_value : best lower bound and best value known, minimised; None if unknown.
    status : "optimal" where the value is proved, "feasible", "infeasible" or "unknown".
    source : where file and values come from.
    """

    place: Literal["library", "problems"]
    path: str
    sha256: str
    kind: Literal["network", "layer", "assignment", "program"]
    format: str
    best_bound: int | float | None
    best_value: int | float | None
    status: Literal["optimal", "feasible", "infeasible", "unknown"]
    source: str

    @property
    def name(self) -> str:
        """The file name without its endings."""
        name = PurePosixPath(self.path).name.removesuffix(".gz")
        for ending in (".matchopt", ".mps", ".txt"):
            name = name.removesuffix(ending)
        return name

    def locate(self) -> Path:
        """The file, after checking that it is the one the catalogue means.

        Raises
        ------
        DataError
            when the library is not set, or the file is missing or has another SHA-256.
        """
        path = self._folder() / self.path
        if not path.is_file():
            raise DataError(f"{path} is missing; the catalogue lists it under {self.place}")
        found = file_sha256(path)
        if found != self.sha256:
            raise DataError(
                f"{path} has SHA-256 {found}, the catalogue says {self.sha256}; it is not the file it names"
            )
        return path

    def _folder(self) -> Path:
        if self.place == "problems":
            return problems_folder()
        library = library_folder()
        if library is None:
            raise DataError(
                f"{self.path} is part of the library of public instances; set {LIBRARY_VARIABLE} to its folder"
            )
        return library / "instances"


def read_catalogue(path: str | PathLike[str] | None = None) -> tuple[CatalogueEntry, ...]:
    """Read a catalogue; None for the one that ships with matchopt.

    Raises
    ------
    FormatError
        naming the line and the column that is wrong.
    """
    source = Source(problems_folder() / "catalogue.csv" if path is None else Path(path))
    lines = source.lines_of_csv
    if tuple(lines[0]) != COLUMNS:
        raise source.error(f"the first line must be {','.join(COLUMNS)}", 1)
    entries: dict[tuple[str, str], CatalogueEntry] = {}
    for number, line in enumerate(lines[1:], start=2):
        entry = _entry(line, source, number)
        if (entry.place, entry.path) in entries:
            raise source.error(f"path {entry.path!r} comes twice", number)
        entries[entry.place, entry.path] = entry
    return tuple(entries.values())


def find_entry(name: str, entries: tuple[CatalogueEntry, ...] | None = None) -> CatalogueEntry:
    """The entry whose name or path is `name`; raises UnknownName when none or several have it."""
    known = read_catalogue() if entries is None else entries
    found = [entry for entry in known if name in (entry.name, entry.path)]
    if len(found) != 1:
        raise UnknownName("problem", name, [entry.path if len(found) > 1 else entry.name for entry in found or known])
    return found[0]


def file_sha256(path: str | PathLike[str]) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _entry(line: list[str], source: Source, number: int) -> CatalogueEntry:
    if len(line) != len(COLUMNS):
        raise source.error(f"a line has {len(COLUMNS)} values, found {len(line)}", number)
    texts = {name: text for name, text in zip(COLUMNS, line, strict=True) if text or not name.startswith("best_")}
    if texts["format"] not in FORMATS:
        raise source.error(f"format must be one of {', '.join(FORMATS)}, found {texts['format'][:40]!r}", number)
    path = PurePosixPath(texts["path"])
    if not texts["path"] or path.is_absolute() or ".." in path.parts or "\\" in texts["path"]:
        raise source.error(f"path must stay below its folder, found {texts['path'][:80]!r}", number)
    if not re.fullmatch(r"[0-9a-f]{64}", texts["sha256"]):
        raise source.error(f"sha256 must be 64 hexadecimal digits, found {texts['sha256'][:70]!r}", number)
    try:
        return CatalogueEntry(
            **read_fields(CatalogueEntry, {"best_bound": None, "best_value": None} | texts, text=True)
        )
    except Unfit as cause:
        raise source.error(f"{'.'.join(cause.path)} {cause.message}", number) from None
