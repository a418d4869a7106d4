"""The catalogue: facts about public instances and the project's own, so that a wrong copy or value is noticed.

Beside it, `graded.csv` holds instances that are made from recipes when they are asked for, and the user's own table
(`matchopt.library.best_known_file`) rows of either with better values.
"""

import csv
import hashlib
import io
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Literal

from matchopt.errors import DataError, UnknownName
from matchopt.formats.atomic import write_bytes
from matchopt.formats.container import to_bytes
from matchopt.formats.own import content_of
from matchopt.formats.registry import FORMATS
from matchopt.formats.sources import Source
from matchopt.library import LIBRARY_VARIABLE, best_known_file, cache_folder, library_folder, problems_folder
from matchopt.settings import Unfit, read_fields

COLUMNS = ("place", "path", "sha256", "kind", "format", "best_bound", "best_value", "status", "source")
GRADED = ("name", "recipe", "digest", *COLUMNS[2:4], *COLUMNS[5:])


@dataclass(frozen=True)
class CatalogueEntry:
    """What is known about one instance file.

    Parameters
    ----------
    place : "library" for files below MATCHOPT_LIBRARY/instances, "problems" for those that ship with matchopt,
        "recipe" for those that are made when they are asked for, and kept in the cache.
    path : of the file, relative to that folder, with forward slashes.
    sha256 : SHA-256 of the file as it lies there (compressed where it is), lower-case hexadecimal.
    kind : kind of the instance.
    format : name of the file's format.
    best_bound, best_value : best lower bound and best value known, minimised; None if unknown.
    status : "optimal" where the value is proved, here or as published; "feasible", "infeasible" or "unknown".
    source : where file and values come from.
    recipe : what it is made from (`matchopt.formats.recipes`); empty for files.
    digest : of the instance; empty where it is not listed.
    """

    place: Literal["library", "problems", "recipe"]
    path: str
    sha256: str
    kind: Literal["network", "layer", "assignment", "program"]
    format: str
    best_bound: int | float | None
    best_value: int | float | None
    status: Literal["optimal", "feasible", "infeasible", "unknown"]
    source: str
    recipe: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """The file name without its endings."""
        name = PurePosixPath(self.path).name.removesuffix(".gz")
        for ending in (".matchopt", ".mps", ".txt"):
            name = name.removesuffix(ending)
        return name

    @property
    def published(self) -> bool:
        """Whether the values are those of the literature, which nothing here proves."""
        return self.place == "library" or self.recipe.startswith("qaplib")

    def regenerate(self) -> bytes:
        """The file's content, made from its recipe and checked against digest and SHA-256.

        Raises
        ------
        DataError
            when there is no recipe, or what it makes has another digest or SHA-256 than the catalogue says.
        """
        from matchopt.formats.recipes import made  # few need it, and it takes longer to load than a table

        if not self.recipe:
            raise DataError(f"{self.name} is a file, {self.path} of {self.place}; only recipes are made again")
        instance = made(self.recipe, self.name).instance
        content = to_bytes(content_of(instance))
        for what, found, listed in (("digest", instance.digest, self.digest),
                                    ("SHA-256", hashlib.sha256(content).hexdigest(), self.sha256)):  # fmt: skip
            if found != listed:
                raise DataError(f"the recipe of {self.name} makes an instance of {what} {found}, the catalogue says "
                                f"{listed}")  # fmt: skip
        return content

    def locate(self) -> Path:
        """The file, after checking that it is the one the catalogue means; one with a recipe is made where it is not.

        Raises
        ------
        DataError
            when the library is not set, or the file is missing or has another SHA-256.
        """
        path = self._folder() / self.path
        if self.recipe and not (path.is_file() and file_sha256(path) == self.sha256):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, self.regenerate())
        if not path.is_file():
            raise DataError(f"{path} is missing; the catalogue lists it under {self.place}")
        found = file_sha256(path)
        if found != self.sha256:
            raise DataError(
                f"{path} has SHA-256 {found}, the catalogue says {self.sha256}; it is not the file it names"
            )
        return path

    def _folder(self) -> Path:
        if self.place == "recipe":
            return cache_folder() / "problems"
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


def read_graded(path: str | PathLike[str] | None = None) -> tuple[CatalogueEntry, ...]:
    """Read a table of recipes, columns `GRADED`; None for the one that ships with matchopt. Raises FormatError."""
    source = Source(problems_folder() / "graded.csv" if path is None else Path(path))
    lines = source.lines_of_csv
    if tuple(lines[0]) != GRADED:
        raise source.error(f"the first line must be {','.join(GRADED)}", 1)
    found = []
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(GRADED):
            raise source.error(f"a line has {len(GRADED)} values, found {len(line)}", number)
        name, recipe, digest, sha256, kind, *rest = line
        entry = _entry(["recipe", f"graded/{name}.matchopt", sha256, kind, "matchopt", *rest], source, number)
        found.append(replace(entry, recipe=recipe, digest=digest))
    return tuple(found)


def read_problems(path: str | PathLike[str] | None = None) -> tuple[CatalogueEntry, ...]:
    """Everything that is listed, catalogue and recipes, with what the user's own table knows better.

    Parameters
    ----------
    path : of the user's table, which need not exist; None for `matchopt.library.best_known_file`.
    """
    entries = {(entry.place, entry.path): entry for entry in (*read_catalogue(), *read_graded())}
    own = best_known_file() if path is None else Path(path)
    for better in read_catalogue(own) if own.is_file() else ():
        known = entries.get((better.place, better.path))
        if known is not None and known.sha256 == better.sha256:
            entries[better.place, better.path] = replace(better, recipe=known.recipe, digest=known.digest)
    return tuple(entries.values())


def write_catalogue(entries: Iterable[CatalogueEntry], path: Path) -> None:
    """Write a table that `read_catalogue` reads."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for entry in entries:
        bests = {name: "" if value is None else repr(value) for name, value in asdict(entry).items() if "best" in name}
        writer.writerow(asdict(entry) | bests)
    write_bytes(path, text.getvalue().encode())


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
