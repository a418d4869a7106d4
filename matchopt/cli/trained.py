"""Trained networks as arguments of commands, and sample inputs for objectives that need them."""

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
    """The network in a file; see `matchopt.network.own_network.read_own`. What was done to the weights is said."""
    from matchopt.network.own_network import read_own

    network = read_own(path, architecture, mean, deviation)
    for note in network.record.config.get("notes", ()):
        click.echo(f"Note: {path.name}: {note}", err=True)
    return network


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
