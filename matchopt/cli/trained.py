"""Trained networks as arguments of commands: our own files, or others' weights with their architecture named."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from matchopt.cli.settings import Command

if TYPE_CHECKING:
    from matchopt.network import SparseNetwork


def architecture_option(command: Command) -> Command:
    """Give a command that reads a trained network the option `--architecture`."""
    option = click.option(
        "--architecture",
        metavar="TEXT",
        help="What weights that matchopt did not write are the weights of: a name such as conv2, "
        "cnn:1x28x28-8c5-m2-64-10 or lstm:13x64-128-10.  [default: linear layers with ReLU between them]",
    )
    return option(command)


def read_trained(path: Path, architecture: str | None) -> "SparseNetwork":
    """The network in a file; see `matchopt.network.read_network`."""
    from matchopt.instances.architecture_names import architecture_named
    from matchopt.network import read_network

    return read_network(path, None if architecture is None else architecture_named(architecture))
