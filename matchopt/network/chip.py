"""Hardware on measured chips: one for each layer, one shared out, one for all layers, or one as a law of weights."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from matchopt.errors import InvalidInstance
from matchopt.instances import Chip, Hardware, Imperfections, Target
from matchopt.instances.generators import sample_measured

Fit = bool | Literal["array", "neuron"]


def chip_layers(chips: Sequence[Chip], targets: Sequence[Target], fit: Fit) -> tuple[Hardware, ...]:
    """One chip for each layer, every row of it a hardware neuron.

    Raises InvalidInstance when two chips hold the same array, or one seems to be transposed.

    Parameters
    ----------
    chips : as many as targets.
    targets : the layers.
    fit : whether each layer's weights are scaled to the root mean square of its target weights; one scale for each
        layer is free on chips whose neurons are followed by an amplifier. "array", "neuron": each array, or each
        neuron, is scaled to it by itself, by an amplifier of its own.
    """
    layers = [chip.hardware() for chip in chips]
    for n, (layer, target) in enumerate(zip(layers, targets, strict=True)):
        same = next((m for m in range(n) if np.array_equal(layers[m].weights, layer.weights)), None)
        if same is not None:
            raise InvalidInstance(f"layers {same} and {n}: the same array would book its neurons twice; give it once, "
                                  "and its neurons are shared out among the layers")  # fmt: skip
        if layer.n_neurons < target.n_rows <= layer.n_cells and target.fan_in.max(initial=0) <= layer.n_neurons:
            raise InvalidInstance(f"{_name(chips[n])}: layer {n} needs {target.n_rows} hardware neurons, found "
                                  f"{layer.n_neurons} rows of {layer.n_cells} cells; a row is a neuron: transpose the "
                                  "array")  # fmt: skip
    return tuple(_scaled(layer, target, fit) for layer, target in zip(layers, targets, strict=True))


def chip_shared(
    chip: Chip,
    targets: Sequence[Target],
    sizes: Sequence[tuple[int, int]],
    rng: np.random.Generator,
    imperfections: Imperfections,
    fit: Fit,
) -> tuple[Hardware, ...]:
    """One chip shared out: each layer gets the next rows, as hardware neurons, and of each its first cells.

    Raises InvalidInstance when the chip is too small, or neurons of two layers would share a bus.

    Parameters
    ----------
    chip : the measured chip.
    targets : the layers.
    sizes : hardware neurons and cells of each layer.
    rng : draws the faults.
    imperfections : added to those that the chip has already.
    fit : see `chip_layers`; the scale error comes on top.
    """
    whole = chip.hardware()
    neurons, cells = sum(size[0] for size in sizes), max(size[1] for size in sizes)
    transposed = ": transpose the array" if neurons <= whole.n_cells and cells <= whole.n_neurons else ""
    if neurons > whole.n_neurons or cells > whole.n_cells:
        raise InvalidInstance(f"{_name(chip)}: the layers need {neurons} hardware neurons (M/m times their neurons) of "
                              f"up to {cells} cells (K/n times the largest fan-in), found {whole.n_neurons} rows of "
                              f"{whole.n_cells}; a row is a neuron of one layer{transposed}")  # fmt: skip
    layers: list[Hardware] = []
    starts = np.cumsum([0, *(size[0] for size in sizes)])
    for n, ((count, width), target) in enumerate(zip(sizes, targets, strict=True)):
        rows = np.arange(starts[n], starts[n] + count)
        part = _flawed(chip.hardware(rows, width), imperfections, rng, whole.free_routing, _name(chip))
        if not whole.free_routing and set(whole.bus[: starts[n]]) & set(whole.bus[rows]):
            raise InvalidInstance(f"{_name(chip)}: layer {n} would share a bus with the layer before it; give each "
                                  "layer a file of its own, or let all draw on one chip (--one-chip)")  # fmt: skip
        layers.append(_scaled(part, target, fit, abs(imperfections.scale_error)))
    return tuple(layers)


def one_chip(
    chip: Chip, targets: Sequence[Target], rng: np.random.Generator, imperfections: Imperfections, fit: Fit
) -> tuple[Hardware, ...]:
    """All neurons of one chip for every layer, for instances whose layers draw on it (`NetworkInstance.one_chip`).

    Parameters
    ----------
    chip : the measured chip; see `chip_shared` for the other parameters. Faults are drawn once, for all layers.

    Raises
    ------
    InvalidInstance
        when it has fewer neurons than all layers together.
    """
    rows = sum(target.n_rows for target in targets)
    if rows > chip.n_neurons:
        hint = ": transpose the array" if rows <= chip.n_cells and len(chip.arrays) == 1 else ""
        raise InvalidInstance(f"{_name(chip)}: the layers have {rows} neurons in all, the chip only {chip.n_neurons} "
                              f"(rows of {len(chip.arrays)} arrays){hint}")  # fmt: skip
    whole = chip.hardware()
    flawed = _flawed(whole, imperfections, rng, whole.free_routing, _name(chip))
    return tuple(_scaled(flawed, target, fit, abs(imperfections.scale_error)) for target in targets)


def chip_pool(
    chip: Chip,
    targets: Sequence[Target],
    sizes: Sequence[tuple[int, int]],
    rng: np.random.Generator,
    imperfections: Imperfections,
) -> tuple[Hardware, ...]:
    """All layers drawn cell by cell from one measured array, which serves as a law of weights: no chip is like that.

    None of its cells is used twice; see `chip_shared` for the parameters. Each layer is scaled to its target. Raises
    InvalidInstance when the array says more of its cells than their weights, or has too few.
    """
    measured = chip.hardware()
    if measured.demands:
        raise InvalidInstance(f"{_name(chip)}: cells are drawn one by one, and {', '.join(sorted(measured.demands))} "
                              "of their array would be lost; give an array of weights alone")  # fmt: skip
    counts = [neurons * cells for neurons, cells in sizes]
    drawn = np.split(sample_measured(measured.weights, 1, sum(counts), rng)[0], np.cumsum(counts))
    return tuple(
        _scaled(imperfections.applied(cells.reshape(size), rng), target, True, abs(imperfections.scale_error))
        for size, cells, target in zip(sizes, drawn, targets, strict=False)
    )


def root_mean_square(target: Target) -> float:
    """Of the weights of a layer that are not zero; 1 where all are."""
    used = target.weights[target.weights != 0]
    return float(np.sqrt(np.mean(used**2))) if len(used) else 1.0


def _name(chip: Chip) -> str:
    """The files of a chip, for messages."""
    return ", ".join(dict.fromkeys(array.place.file for array in chip.arrays))


def _flawed(cells: Hardware, imperfections: Imperfections, rng: np.random.Generator, free: bool, name: str) -> Hardware:
    """The hardware with imperfections on top of its own; `free` says that the chip has no buses of its own."""
    if not free and imperfections.neurons_per_bus > 1:
        raise InvalidInstance(f"{name}: the array has buses of its own; leave neurons_per_bus out")
    added, factor = replace(imperfections, stuck_cells=0.0).applied(cells.weights, rng), imperfections.scale_error
    meant = cells if factor == 1.0 else cells.scaled(factor)
    both = replace(
        meant,
        variance=added.variance + meant.variance,
        usable=added.usable & cells.usable,
        off=added.off + meant.off,
        bus=added.bus if free else cells.bus,
    )
    return imperfections.stuck(both, rng)


def _scaled(hardware: Hardware, target: Target, fit: Fit, factor: float = 1.0) -> Hardware:
    """The hardware as it is, or times the one factor that gives its usable weights the target's root mean square, or
    times one for each of its arrays or neurons.
    """  # fmt: skip
    if isinstance(fit, str):
        return _scaled_apart(hardware, root_mean_square(target) * factor, fit)
    used = hardware.weights[hardware.usable]
    own = float(np.sqrt(np.mean(used**2))) if used.size else 0.0
    factor = root_mean_square(target) * factor / own if fit and own > 0 else 1.0
    return hardware if factor == 1.0 else hardware.scaled(factor)


def _scaled_apart(hardware: Hardware, wanted: float, fit: str) -> Hardware:
    """Every array, or neuron, at this root mean square of its usable weights; those of nothing but zeros stay."""
    group = np.arange(hardware.n_neurons)
    if fit == "array" and hardware.origin is not None:
        group = np.array([hardware.origin.array_of(number) for number in hardware.neuron.tolist()])
    squares = np.bincount(group, (np.where(hardware.usable, hardware.weights, 0.0) ** 2).sum(axis=1))
    own = np.sqrt(squares / np.maximum(np.bincount(group, hardware.n_usable), 1))[group]
    return hardware.scaled_each(np.where(own > 0, wanted / np.where(own > 0, own, 1.0), 1.0))
