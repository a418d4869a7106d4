"""All data sets by name: found, listed, loaded, and found again from a reference."""

import re
from collections.abc import Mapping
from pathlib import Path

from matchopt.errors import DataError, InvalidOption, UnknownName
from matchopt.instances.network import DataReference
from matchopt.network.data.cifar10 import BINARY, JPEG
from matchopt.network.data.fsdd import FSDD
from matchopt.network.data.images import ImageData
from matchopt.network.data.mnist import FASHION_MNIST, MNIST
from matchopt.network.data.own import OWN, is_own, own_data
from matchopt.network.data.published import DataSet
from matchopt.network.data.timit import TIMIT
from matchopt.settings import OptionValue

_PART = re.compile(r"([a-z0-9-]+)(?:\[([a-z]+=[^\[\]=,]+(?:,[a-z]+=[^\[\]=,]+)*)\])?(?:\[(\d+),(\d+),(\d+)\])?")


DATA_SETS: Mapping[str, DataSet] = {found.name: found for found in (MNIST, FASHION_MNIST, BINARY, JPEG, FSDD, TIMIT)}


def data_set(name: str) -> DataSet:
    """The data set of this name. Raises UnknownName where there is none."""
    if name not in DATA_SETS:
        raise UnknownName("data set", name, DATA_SETS)
    return DATA_SETS[name]


def load_data(name: str, folder: Path | None = None, **options: OptionValue) -> ImageData:
    """Load a data set by its name, or data of one's own by their path, see `own_data`.

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
        when the data are not there, are broken, or are not the published ones.
    MissingExtra
        when a package that they are read with is not installed.
    """
    if is_own(name):
        if options:
            raise InvalidOption(f"{name}: data of one's own have no options, found {', '.join(options)}")
        return own_data(name, split=True)
    return _load(data_set(name), folder, options)


def find_data(reference: DataReference) -> ImageData:
    """The data set that a reference names, options and first samples included.

    Raises
    ------
    DataError
        when there is none of that name, when it is not there, or when it has another SHA-256.
    """
    if reference.name.startswith(OWN):
        raise DataError(f"the data {reference.name.removeprefix(OWN)!r} are somebody's own; name their file (--data)")
    part = _PART.fullmatch(reference.name)
    if part is None or part[1] not in DATA_SETS:
        raise DataError(f"the data set {reference.name!r} is none of those known here: {', '.join(DATA_SETS)}")
    options = dict(pair.split("=") for pair in part[2].split(",")) if part[2] else {}
    try:
        data = _load(DATA_SETS[part[1]], None, options)
    except (InvalidOption, UnknownName) as cause:
        raise DataError(f"the data set {reference.name!r} cannot be loaded: {cause}") from None
    if part[3] is not None:
        data = data.first(int(part[3]), int(part[4]), int(part[5]))
    if data.reference.sha256 != reference.sha256:
        raise DataError(f"the data set {reference.name!r} has another SHA-256 than the one named; it is not the same")
    return data


def _load(chosen: DataSet, folder: Path | None, options: Mapping[str, OptionValue]) -> ImageData:
    data: ImageData = chosen.load(folder, **chosen.read(options))
    return data
