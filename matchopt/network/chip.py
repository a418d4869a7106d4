"""Hardware for people with a chip: measured arrays, layer by layer or as a pool of cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from matchopt.errors import InvalidInstance
from matchopt.formats import read_array, read_hardware
from matchopt.instances import Hardware, Imperfections, Target
from matchopt.instances.generators import sample_measured


@dataclass(frozen=True)
class ChipFile:
    """A file of measured weights; `name` chooses an array of an .npz file."""

    path: Path
    name: str | None = None


def chip_layers(files: Sequence[ChipFile], targets: Sequence[Target], fit: bool) -> tuple[Hardware, ...]:
    """One file for each layer, every row of it a hardware neuron.

    Parameters
    ----------
    files : as many as targets.
    targets : the layers.
    fit : whether each layer's weights are scaled to the root mean square of its target weights; one scale for each
        layer is free on chips whose neurons are followed by an amplifier.

    Raises
    ------
    InvalidInstance
        when the numbers differ.
    """
    if len(files) != len(targets):
        raise InvalidInstance(f"one file of hardware for each layer is needed, {len(targets)}, found {len(files)}")
    layers = [read_hardware(file.path, file.name) for file in files]
    return tuple(
        _scaled(layer, root_mean_square(target)) if fit else layer
        for layer, target in zip(layers, targets, strict=True)
    )


def chip_pool(
    file: ChipFile,
    targets: Sequence[Target],
    sizes: Sequence[tuple[int, int]],
    rng: np.random.Generator,
    imperfections: Imperfections,
    fit: bool,
) -> tuple[Hardware, ...]:
    """All layers drawn from the cells of one measured array, none of them used twice.

    Parameters
    ----------
    file : the measured array.
    targets : the layers.
    sizes : hardware neurons and cells of each layer.
    rng : draws the cells.
    imperfections : added to those that the measured weights have already.
    fit : see `chip_layers`; the scale error comes on top.
    """
    counts = [neurons * cells for neurons, cells in sizes]
    drawn = sample_measured(read_array(file.path, file.name), 1, sum(counts), rng)[0]
    layers, start = [], 0
    for (neurons, cells), count, target in zip(sizes, counts, targets, strict=True):
        layer = imperfections.applied(drawn[start : start + count].reshape(neurons, cells), rng)
        layers.append(_scaled(layer, root_mean_square(target) * abs(imperfections.scale_error)) if fit else layer)
        start += count
    return tuple(layers)


def root_mean_square(target: Target) -> float:
    """Of the weights of a layer that are not zero; 1 where all are."""
    used = target.weights[target.weights != 0]
    return float(np.sqrt(np.mean(used**2))) if len(used) else 1.0


def _scaled(hardware: Hardware, rms: float) -> Hardware:
    """The hardware times the one factor that gives its usable weights this root mean square."""
    used = hardware.weights[hardware.usable]
    own = float(np.sqrt(np.mean(used**2))) if used.size else 0.0
    factor = rms / own if own > 0 else 1.0
    return Hardware(
        hardware.weights * factor, hardware.variance * factor**2, hardware.usable, hardware.off * factor, hardware.bus
    )
