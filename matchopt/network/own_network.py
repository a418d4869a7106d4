"""A network from elsewhere with the data that it takes: what its file does not say is said beside it."""

from dataclasses import replace
from os import PathLike
from pathlib import Path

from matchopt.errors import DataError
from matchopt.instances import DataReference
from matchopt.instances.architecture_names import architecture_named
from matchopt.network.data import ImageData, own_data
from matchopt.network.data.images import normalised
from matchopt.network.data.own import OWN
from matchopt.network.evaluation import data_of
from matchopt.network.foreign import read_network
from matchopt.network.sparse_network import SparseNetwork

Moments = tuple[tuple[float, ...], tuple[float, ...]]
AS_THEY_ARE: Moments = ((0.0,), (1.0,))


def read_own(
    path: str | PathLike[str],
    architecture: str | None = None,
    mean: tuple[float, ...] | None = None,
    deviation: tuple[float, ...] | None = None,
) -> SparseNetwork:
    """The network in a file; see `matchopt.network.read_network`.

    Parameters
    ----------
    path : the file.
    architecture : its name, see there.
    mean, deviation : of inputs, see `DataReference`, where they are given beside the file or in it.
    """
    network = read_network(path, None if architecture is None else architecture_named(architecture))
    config, record = network.record.config, network.record
    mean, deviation = mean or config.get("input_mean"), deviation or config.get("input_std")
    if not mean and not deviation:
        return network
    known = data_of(None, network.widths[0]) if record.data is None else None
    reference = record.data or (DataReference(OWN, "0" * 64) if known is None else known.reference)
    reference = replace(reference, mean=mean or (0.0,), deviation=deviation or (1.0,))
    return network.with_record(replace(record, data=reference))


def own_samples(
    path: Path, inputs: int, classes: int, moments: Moments = AS_THEY_ARE, split: bool = False
) -> ImageData:
    """Data of one's own for a network of so many inputs and classes, that takes (value - mean) / deviation.

    Raises DataError when samples or labels are none of the network's; see `matchopt.network.data.own_data`.
    """
    found = own_data(path, split)
    if found.n_pixels != inputs:
        raise DataError(f"samples of {path} have {found.n_pixels} values, the network takes {inputs}")
    if found.n_classes > classes:
        raise DataError(f"labels of {path} reach {found.n_classes - 1}, the network has {classes} classes")
    mean, deviation = moments
    return normalised(replace(found, n_classes=classes), replace(found.reference, mean=mean, deviation=deviation))


def samples_of(path: Path, network: SparseNetwork, split: bool = False) -> ImageData:
    """The same for a network whose record says mean and deviation."""
    reference = network.record.data
    moments = AS_THEY_ARE if reference is None else (reference.mean, reference.deviation)
    return own_samples(path, network.widths[0], network.widths[-1], moments, split)
