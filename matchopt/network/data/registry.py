"""All data sets by name: found, listed, loaded, and found again from a reference."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from matchopt.errors import DataError, InvalidOption, UnknownName
from matchopt.instances.network import DataReference
from matchopt.network.data.cifar10 import BINARY, JPEG, load_cifar10, load_cifar10_jpeg
from matchopt.network.data.fsdd import FSDD, load_fsdd
from matchopt.network.data.images import ImageData
from matchopt.network.data.mnist import FASHION_MNIST, MNIST, load_fashion_mnist, load_mnist
from matchopt.network.data.published import DataSet
from matchopt.network.data.timit import TIMIT, load_timit
from matchopt.settings import Option, OptionValue, options_of

_PART = re.compile(r"([a-z0-9-]+)(?:\[([a-z]+=[^\[\]=,]+(?:,[a-z]+=[^\[\]=,]+)*)\])?(?:\[(\d+),(\d+),(\d+)\])?")


@dataclass(frozen=True)
class DataEntry:
    """A data set and the function that loads it."""

    about: DataSet
    load: Callable[..., ImageData]

    @property
    def options(self) -> tuple[Option, ...]:
        """What can be chosen when it is loaded."""
        return options_of(self.load)

    def place(self) -> Path | None:
        """The folder or file it would be loaded from; None where it is not there."""
        try:
            found = self.about.locate()
        except DataError:
            return None
        return found[0] if len(found) == 1 else found[0].parent


ENTRIES: Mapping[str, DataEntry] = {
    about.name: DataEntry(about, load)
    for about, load in (
        (MNIST, load_mnist),
        (FASHION_MNIST, load_fashion_mnist),
        (BINARY, load_cifar10),
        (JPEG, load_cifar10_jpeg),
        (FSDD, load_fsdd),
        (TIMIT, load_timit),
    )
}


def data_entry(name: str) -> DataEntry:
    """The data set of this name.

    Raises
    ------
    UnknownName
        where there is none.
    """
    if name not in ENTRIES:
        raise UnknownName("data set", name, ENTRIES)
    return ENTRIES[name]


def load_data(name: str, folder: Path | None = None, **options: OptionValue) -> ImageData:
    """Load a data set by its name.

    Parameters
    ----------
    name : such as "mnist"; `matchopt data` lists all.
    folder : where its files are; None for the places that are searched.
    options : parameters of its loader; text is read by the type of the parameter.

    Raises
    ------
    UnknownName
        for a data set or an option that does not exist.
    InvalidOption
        for a value that the option does not take.
    DataError
        when the data are not there, or are not the published ones.
    """
    return _load(data_entry(name), folder, options)


def find_data(reference: DataReference) -> ImageData:
    """The data set that a reference names, options and first samples included.

    Raises
    ------
    DataError
        when there is none of that name, when it is not there, or when it has another SHA-256.
    """
    part = _PART.fullmatch(reference.name)
    if part is None or part[1] not in ENTRIES:
        raise DataError(f"the data set {reference.name!r} is none of those known here: {', '.join(ENTRIES)}")
    options = dict(pair.split("=") for pair in part[2].split(",")) if part[2] else {}
    try:
        data = _load(ENTRIES[part[1]], None, options)
    except (InvalidOption, UnknownName) as cause:
        raise DataError(f"the data set {reference.name!r} cannot be loaded: {cause}") from None
    if part[3] is not None:
        data = data.first(int(part[3]), int(part[4]), int(part[5]))
    if data.reference.sha256 != reference.sha256:
        raise DataError(f"the data set {reference.name!r} has another SHA-256 than the one named; it is not the same")
    return data


def _load(entry: DataEntry, folder: Path | None, options: Mapping[str, OptionValue]) -> ImageData:
    return entry.load(folder, **entry.about.read(entry.load, options))
