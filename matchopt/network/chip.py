"""Hardware for people with a chip: measured arrays, one for each layer, one shared out, or one as a law of weights."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from matchopt.errors import InvalidInstance
from matchopt.formats import ChipFile as ChipFile
from matchopt.formats import read_hardware
from matchopt.instances import Hardware, Imperfections, Target
from matchopt.instances.generators import sample_measured
from matchopt.instances.menus import FIELDS as MENUS


def chip_layers(files: Sequence[ChipFile], targets: Sequence[Target], fit: bool) -> tuple[Hardware, ...]:
    """One file for each layer, every row of it a hardware neuron.

    Raises InvalidInstance when the numbers differ, two files hold the same array, or one seems to be transposed.

    Parameters
    ----------
    files : as many as targets.
    targets : the layers.
    fit : whether each layer's weights are scaled to the root mean square of its target weights; one scale for each
        layer is free on chips whose neurons are followed by an amplifier.
    """
    if len(files) != len(targets):
        raise InvalidInstance(f"one file of hardware for each layer is needed, {len(targets)}, found {len(files)}")
    layers = [read_hardware(file.path, file.name) for file in files]
    for n, (layer, target) in enumerate(zip(layers, targets, strict=True)):
        same = next((m for m in range(n) if np.array_equal(layers[m].weights, layer.weights)), None)
        if same is not None:
            raise InvalidInstance(f"layers {same} and {n}: the same array would book its neurons twice; give it once, "
                                  "and its neurons are shared out among the layers")  # fmt: skip
        if layer.n_neurons < target.n_rows <= layer.n_cells and target.fan_in.max(initial=0) <= layer.n_neurons:
            raise InvalidInstance(f"{files[n].path}: layer {n} needs {target.n_rows} hardware neurons, found "
                                  f"{layer.n_neurons} rows of {layer.n_cells} cells; a row is a neuron: transpose the "
                                  "array")  # fmt: skip
    return tuple(_scaled(layer, target, fit) for layer, target in zip(layers, targets, strict=True))


def chip_shared(
    file: ChipFile,
    targets: Sequence[Target],
    sizes: Sequence[tuple[int, int]],
    rng: np.random.Generator,
    imperfections: Imperfections,
    fit: bool,
) -> tuple[Hardware, ...]:
    """One measured array shared out: each layer gets the next rows, as hardware neurons, and of each its first cells.

    Raises InvalidInstance when the array is too small, or neurons of two layers would share a bus.

    Parameters
    ----------
    file : the measured array, with all that its file says about it.
    targets : the layers.
    sizes : hardware neurons and cells of each layer.
    rng : draws the faults.
    imperfections : added to those that the array has already.
    fit : see `chip_layers`; the scale error comes on top.
    """
    chip = read_hardware(file.path, file.name)
    neurons, cells = sum(size[0] for size in sizes), max(size[1] for size in sizes)
    transposed = ": transpose the array" if neurons <= chip.n_cells and cells <= chip.n_neurons else ""
    if neurons > chip.n_neurons or cells > chip.n_cells:
        raise InvalidInstance(f"{file.path}: the layers need {neurons} hardware neurons (M/m times their neurons) of "
                              f"up to {cells} cells (K/n times the largest fan-in), found {chip.n_neurons} rows of "
                              f"{chip.n_cells}; a row is a neuron of one layer{transposed}")  # fmt: skip
    if not chip.free_routing and imperfections.neurons_per_bus > 1:
        raise InvalidInstance(f"{file.path}: the array has buses of its own; leave neurons_per_bus out")
    layers: list[Hardware] = []
    starts = np.cumsum([0, *(size[0] for size in sizes)])
    for n, ((count, width), target) in enumerate(zip(sizes, targets, strict=True)):
        rows = np.arange(starts[n], starts[n] + count)
        part = (rows, slice(width))
        added = imperfections.applied(chip.weights[part], rng)
        layer = Hardware(
            added.weights,
            added.variance + chip.variance[part] * imperfections.scale_error**2,
            added.usable & chip.usable[part],
            added.off + chip.off[part] * imperfections.scale_error,
            added.bus if chip.free_routing else chip.bus[rows],
            rows,
            **_menus(chip, part, imperfections.scale_error),
        )
        if not chip.free_routing and set(chip.bus[: starts[n]]) & set(chip.bus[rows]):
            raise InvalidInstance(f"{file.path}: layer {n} would share a bus with the layer before it; give each layer "
                                  "a file of its own")  # fmt: skip
        layers.append(_scaled(layer, target, fit, abs(imperfections.scale_error)))
    return tuple(layers)


def chip_pool(
    file: ChipFile,
    targets: Sequence[Target],
    sizes: Sequence[tuple[int, int]],
    rng: np.random.Generator,
    imperfections: Imperfections,
) -> tuple[Hardware, ...]:
    """All layers drawn cell by cell from one measured array, which serves as a law of weights: no chip is like that.

    None of its cells is used twice; see `chip_shared` for the parameters. Each layer is scaled to its target. Raises
    InvalidInstance when the array says more of its cells than their weights, or has too few.
    """
    measured = read_hardware(file.path, file.name)
    if measured.demands:
        raise InvalidInstance(f"{file.path}: cells are drawn one by one, and {', '.join(sorted(measured.demands))} of "
                              "their array would be lost; give an array of weights alone")  # fmt: skip
    counts = [neurons * cells for neurons, cells in sizes]
    drawn = np.split(sample_measured(measured.weights, 1, sum(counts), rng)[0], np.cumsum(counts))
    return tuple(
        _scaled(imperfections.applied(cells.reshape(size), rng), target, True, abs(imperfections.scale_error))
        for size, cells, target in zip(sizes, drawn, targets, strict=False)
    )


def _menus(chip: Hardware, part: tuple[np.ndarray, slice], factor: float) -> dict[str, Any]:
    """What can be written into those cells, at another scale."""
    cells = Hardware(chip.weights[part], **{name: getattr(chip, name)[part] for name in MENUS}).scaled(factor)
    return {name: getattr(cells, name) for name in MENUS}


def root_mean_square(target: Target) -> float:
    """Of the weights of a layer that are not zero; 1 where all are."""
    used = target.weights[target.weights != 0]
    return float(np.sqrt(np.mean(used**2))) if len(used) else 1.0


def _scaled(hardware: Hardware, target: Target, fit: bool, factor: float = 1.0) -> Hardware:
    """The hardware as it is, or times the one factor that gives its usable weights the target's root mean square."""
    used = hardware.weights[hardware.usable]
    own = float(np.sqrt(np.mean(used**2))) if used.size else 0.0
    factor = root_mean_square(target) * factor / own if fit and own > 0 else 1.0
    return hardware.scaled(factor)
