"""Trained networks as arguments of commands, and sample inputs for objectives that need them."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from matchopt.cli.settings import FILE, NUMBERS, Parsed, together

if TYPE_CHECKING:
    from matchopt.network import ImageData, SparseNetwork

FEW = 5_000  # images of a label-free objective unless told: more hardly change it, and instances stay small


# For commands that read a trained network: what its file may not say.
trained_options = together(
    click.option(
        "--architecture",
        metavar="TEXT",
        help="What weights that matchopt did not write are the weights of: a name such as conv2, "
        "cnn:1x28x28-8c5-m2-64-10 or lstm:13x64-128-10.  [default: linear layers with ReLU between them]",
    ),
    click.option(
        "--input-mean",
        "--mean",
        "input_mean",
        type=NUMBERS,
        help="What was subtracted from the data in training: one number, or one for each channel or input.",
    ),
    click.option("--input-std", "--std", "input_std", type=NUMBERS, help="What they were divided by after that."),
)
data_option = click.option(
    "--data",
    type=FILE,
    help="Data of your own: an .npz file of inputs and labels (x and y, x_test and y_test ..), or a folder with a "
    "folder of images for each class. Bytes are divided by 255; then --mean and --std apply.",
)


def read_trained(
    path: Path,
    architecture: str | None,
    mean: tuple[float, ...] | None = None,
    deviation: tuple[float, ...] | None = None,
) -> "SparseNetwork":
    """The network in a file; see `matchopt.network.read_network`. What was done to the weights is said.

    Parameters
    ----------
    path, architecture : see there.
    mean, deviation : of inputs, see `DataReference`, where they are given beside the file or in it.
    """
    from matchopt.instances import DataReference
    from matchopt.instances.architecture_names import architecture_named
    from matchopt.network import read_network
    from matchopt.network.data.own import OWN
    from matchopt.network.evaluation import data_of

    network = read_network(path, None if architecture is None else architecture_named(architecture))
    config, record = network.record.config, network.record
    for note in config.get("notes", ()):
        click.echo(f"Note: {path.name}: {note}", err=True)
    mean, deviation = mean or config.get("input_mean"), deviation or config.get("input_std")
    if not mean and not deviation:
        return network
    known = data_of(None, network.widths[0]) if record.data is None else None
    reference = record.data or (DataReference(OWN, "0" * 64) if known is None else known.reference)
    reference = replace(reference, mean=mean or (0.0,), deviation=deviation or (1.0,))
    return network.with_record(replace(record, data=reference))


def of_own(path: Path, network: "SparseNetwork", split: bool = False) -> "ImageData":
    """Data of one's own as the network takes them, see `matchopt.network.data.own_data`.

    Raises
    ------
    click.UsageError
        when samples or labels are none of the network's.
    """
    reference = network.record.data
    moments = ((0.0,), (1.0,)) if reference is None else (reference.mean, reference.deviation)
    return own_samples(path, network.widths[0], network.widths[-1], moments, split)


def own_samples(
    path: Path,
    inputs: int,
    classes: int,
    moments: tuple[tuple[float, ...], tuple[float, ...]] = ((0.0,), (1.0,)),
    split: bool = False,
) -> "ImageData":
    """The same for a network of so many inputs and classes, that takes (value - mean) / deviation."""
    from matchopt.network.data import own_data
    from matchopt.network.data.images import normalised

    found = own_data(path, split)
    if found.n_pixels != inputs:
        raise click.UsageError(f"--data: samples of {path} have {found.n_pixels} values, the network takes {inputs}")
    if found.n_classes > classes:
        raise click.UsageError(
            f"--data: labels of {path} reach {found.n_classes - 1}, the network has {classes} classes"
        )
    mean, deviation = moments
    return normalised(replace(found, n_classes=classes), replace(found.reference, mean=mean, deviation=deviation))


def _sample_source(text: str) -> int | Path:
    """A number of training images, or a file of inputs."""
    if not text.lstrip("-").isdecimal():
        return Path(text)
    if int(text) < 1:
        raise ValueError
    return int(text)


SAMPLE_SOURCE = Parsed("n|file", _sample_source, "{value} samples are too few; give at least 1")


def sample_options(
    network: "SparseNetwork", objective: str, source: int | Path | None, data: "ImageData | None" = None
) -> dict[str, Any]:
    """The arguments `sample_inputs`, `sample_labels` and `sample_scale` of `export_network`; `data` are one's own.

    Raises
    ------
    click.UsageError
        when there is no data set, or fewer images than asked for, or no labels.
    """
    from matchopt.instances.sample_objective import OBJECTIVES

    kind = OBJECTIVES[objective]
    if not kind.samples:
        if source is not None:
            raise click.UsageError(f"--samples: {objective} needs none; it looks at weights alone")
        return {}
    if isinstance(source, Path):
        from matchopt.formats import read_array

        if kind.labelled:
            raise click.UsageError(f"--samples: {objective} needs labels, which a file of inputs lacks; give a number")
        return {"sample_inputs": read_array(source)}
    advice = "name its data set in the file, or give --data" + ("" if kind.labelled else " or a file of inputs")
    data = data or _data(network, "--samples", advice)
    if source is not None and source > len(data.train_images):
        raise click.UsageError(f"--samples: the data set has {len(data.train_images)} training images, found {source}")
    few = None if kind.labelled else FEW  # all of them
    return _images(data, few if source is None else source, kind.labelled)


def _images(data: "ImageData", count: int | None, labelled: bool) -> dict[str, Any]:
    from matchopt.network.objectives import compact_images

    inputs, scale = compact_images(data.train_images[:count])
    found: dict[str, Any] = {"sample_inputs": inputs, "sample_scale": scale}
    if labelled:
        if data.train_labels.ndim != 1:
            raise click.UsageError("--objective: one label per sample is needed, and this data set has several")
        found["sample_labels"] = data.train_labels[:count]
    return found


def _data(network: "SparseNetwork", what: str, advice: str) -> "ImageData":
    """The data set that the network names, or MNIST where it names none and has as many inputs."""
    from matchopt.network.evaluation import data_of

    data = data_of(network.record.data, network.widths[0])
    if data is None:
        raise click.UsageError(
            f"{what} is needed: the network names no data set and has {network.widths[0]} inputs, "
            f"not the 784 of MNIST; {advice}"
        )
    return data
