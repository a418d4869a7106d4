"""What is known about a published data set, and where its files are found."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matchopt.errors import DataError
from matchopt.instances.network import DataReference
from matchopt.library import LIBRARY_VARIABLE, cache_folder, library_folder, problems_folder
from matchopt.settings import Option, OptionValue, options_of, read_options


@dataclass(frozen=True)
class Download:
    """One file to fetch.

    Parameters
    ----------
    url : its address.
    file : the name it gets.
    sha256 : SHA-256 of the file; None where its packing may change, its content being checked afterwards.
    """

    url: str
    file: str
    sha256: str | None


@dataclass(frozen=True)
class DataSet:
    """A published data set.

    Parameters
    ----------
    name : as `load_data` takes it.
    title : what it is, in one line.
    folder : name of its folder in the library and among the fetched data.
    alternatives : sets of files or folders; the data set is there where all of one set are.
    downloads : what to fetch; empty where it cannot be fetched.
    obtain : what to put into one of the folders searched, and where it comes from; the beginning of a sentence.
    licence : under which terms.
    load : reads it, as `ImageData`: a function of a folder (None for the places that are searched) and of options.
    shipped : whether it is part of matchopt.
    note : what else to know where it is missing.
    """

    name: str
    title: str
    folder: str
    alternatives: tuple[tuple[str, ...], ...]
    downloads: tuple[Download, ...]
    obtain: str
    licence: str
    load: Callable[..., Any]
    shipped: bool = False
    note: str = ""

    def places(self) -> list[Path]:
        """The folders that are searched, in order: what ships with matchopt, what was fetched, the library."""
        library = library_folder()
        found = [problems_folder() / self.folder] if self.shipped else []
        found.append(self.fetched)
        return found + ([library / "data" / self.folder] if library is not None else [])

    @property
    def fetched(self) -> Path:
        """The folder that fetched files go to."""
        return cache_folder() / "data" / self.folder

    def locate(self, folder: Path | None = None) -> tuple[Path, ...]:
        """The files or folders of the first alternative that is there.

        Raises DataError when there is none; the sentence says how to get the data and where to put it.

        Parameters
        ----------
        folder : the folder to look in, or the single file itself; None for `places`.
        """
        if folder is not None and folder.is_file():
            return (folder,)
        places = self.places() if folder is None else [folder]
        for place in places:
            for names in self.alternatives:
                if all((place / name).exists() for name in names):
                    return tuple(place / name for name in names)
        wanted = " or ".join(", ".join(names) for names in self.alternatives)
        unset = f" ({LIBRARY_VARIABLE} is not set)" if folder is None and library_folder() is None else ""
        where = " or ".join(str(place) for place in places)
        raise DataError(f"{self.name} is not here: found no {wanted} in {where}{unset}; {self.advice(places[-1])}")

    def advice(self, folder: Path) -> str:
        """How to get it into a folder; the end of a sentence."""
        fetch = f"run `matchopt data fetch {self.name}`, or " if self.downloads else ""
        note = f"; {self.note}" if self.note else ""
        return f"{fetch}{self.obtain} into {folder}{note}"

    @property
    def options(self) -> tuple[Option, ...]:
        """What can be chosen when it is loaded."""
        return options_of(self.load)

    def place(self) -> Path | None:
        """The folder or file it would be loaded from; None where it is not there."""
        try:
            found = self.locate()
        except DataError:
            return None
        return found[0] if len(found) == 1 else found[0].parent

    def read(self, options: Mapping[str, OptionValue]) -> dict[str, Any]:
        """The values of options of `load`, text being read by the annotation of its parameter.

        Raises
        ------
        UnknownName
            for an option that does not exist.
        InvalidOption
            for a value that the option does not take.
        """
        return read_options(self.load, options, f"data set {self.name}")

    def reference(self, content: str, options: Mapping[str, OptionValue]) -> DataReference:
        """Name and SHA-256 of the data as loaded with these options.

        Parameters
        ----------
        content : SHA-256 of the published files.
        options : how they were loaded; the name lists what differs from the defaults.
        """
        defaults = {option.name: option.default for option in self.options}
        changed = ",".join(f"{name}={value}" for name, value in options.items() if value != defaults[name])
        stated = ",".join(f"{name}={value}" for name, value in sorted(options.items()))
        sha = hashlib.sha256(f"{content} {stated}".encode()).hexdigest()
        return DataReference(f"{self.name}[{changed}]" if changed else self.name, sha)
