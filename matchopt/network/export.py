"""From a trained network and a chip to the instance that asks how well the one fits the other."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np
from annotated_types import Ge
from jaxtyping import Int

from matchopt.errors import InvalidInstance
from matchopt.instances import generators
from matchopt.instances.base import Provenance
from matchopt.instances.hard_wired import wired_in_order
from matchopt.instances.hardware import Hardware
from matchopt.instances.imperfections import PERFECT, Imperfections
from matchopt.instances.layer import LayerInstance
from matchopt.instances.network import NetworkInstance
from matchopt.instances.rules import Rules
from matchopt.instances.target import Target
from matchopt.network.chip import root_mean_square
from matchopt.network.objectives import Biases, Samples, layer_objectives, network_objective
from matchopt.network.sparse_network import SparseNetwork
from matchopt.settings import PositiveFloat, checked

MAX_CELLS = 2**27  # of one layer of a chip: a gigabyte


def export_network(
    network: SparseNetwork,
    hardware: Sequence[Hardware],
    *,
    rules: Rules | Sequence[Rules] | None = None,
    objective: str = "weight-error",
    layer_objective: str | None = None,
    biases: Biases = "free",
    sample_inputs: Samples | None = None,
    sample_labels: Int[np.ndarray, " samples *frames"] | None = None,
    sample_scale: float = 1.0,
    centred: bool = False,
    embed_samples: bool = False,
    tunable: int | None = None,
    one_chip: bool = False,
    chained: bool = False,
    provenance: Provenance | None = None,
) -> NetworkInstance:
    """Make the instance of mapping `network` onto `hardware`.

    Parameters
    ----------
    network : the trained network; its record names the data set.
    hardware : one chip layer per network layer.
    rules : what a mapping may do, for all layers or one per layer; None for the defaults.
    objective : "weight-error" and "output-error" are minimised layer by layer and add up; "output-error" weighs
        errors by the second moments E[x x^T] of every layer's inputs, measured on the samples run through the network.
        "functional-error", "score-error" and "task-loss" judge the network as a whole and embed the samples.
    layer_objective : what the layers minimise, for solvers that take them one by one, under an objective of the whole
        network; None for "weight-error".
    biases : "free" keeps them digital and exact; "adjustable" too, but a mapping may set them to other values;
        "hardware" appends a constant input 1 to every layer, whose weights, the biases, are mapped like all others
        (one more cell per neuron is needed for the same freedom).
    sample_inputs : inputs of the network; needed for all but "weight-error". Embedded as they are: give images as
        bytes (uint8) and their factor as `sample_scale` to keep the instance small.
    sample_labels : class of each sample, or of each of its frames; needed for "task-loss" only.
    sample_scale : the network receives `sample_inputs * sample_scale`.
    centred : take covariances in place of second moments in "output-error": what is left of the error once digital
        biases are recalibrated.
    embed_samples : whether the samples, scaled, also go into the instance as `samples`, so that others can judge
        outputs without the data set.
    tunable, one_chip, chained : see `NetworkInstance`.
    provenance : where the instance comes from.

    Raises
    ------
    InvalidInstance
        when numbers of layers differ, the hardware is too small, samples or labels are missing, or options do not go
        together.
    """
    layers = network.layers
    chosen = [rules or Rules()] * len(layers) if rules is None or isinstance(rules, Rules) else list(rules)
    for name, given in (("hardware", hardware), ("rules", chosen)):
        if len(given) != len(layers):
            raise InvalidInstance(f"{name}: one per layer is needed, {len(layers)}, found {len(given)}")
    targets = layer_targets(network, biases)
    whole = network_objective(objective, sample_inputs, sample_labels, sample_scale)
    of_layers = layer_objective or ("weight-error" if whole is not None else objective)
    if whole is None and of_layers != objective:
        raise InvalidInstance(f"layer_objective: layers that add up minimise the objective, {objective}")
    objectives = layer_objectives(network, of_layers, biases, sample_inputs, sample_scale, centred)
    if embed_samples and sample_inputs is None:
        raise InvalidInstance("sample_inputs: needed to embed samples, found none")
    return NetworkInstance(
        tuple(LayerInstance(*parts) for parts in zip(targets, hardware, chosen, objectives, strict=True)),
        biases=tuple(layer.biases.astype(np.float64) for layer in layers) if biases != "hardware" else None,
        tunable=tunable,
        objective=whole,
        data=network.record.data,
        samples=np.asarray(sample_inputs, np.float64) * sample_scale if embed_samples else None,
        adjustable=biases == "adjustable",
        provenance=provenance or Provenance(),
        architecture=network.architecture,
        buffers=network.buffers,
        one_chip=one_chip,
        chained=chained,
    )


def layer_targets(network: SparseNetwork, biases: Biases = "free") -> tuple[Target, ...]:
    """The layers as targets; hardware biases are one more connection of every row, to the constant last input."""
    if biases == "hardware":
        return tuple(layer.target.with_constant(layer.biases) for layer in network.layers)
    return tuple(layer.target for layer in network.layers)


def draw_hardware(
    network: SparseNetwork,
    law: str,
    fan_in_ratio: float | Sequence[float],
    neuron_ratio: float,
    seed: int,
    *,
    biases: Biases = "free",
    imperfections: Imperfections = PERFECT,
    hard_wired: int = 0,
    chained: bool = False,
) -> tuple[Hardware, ...]:
    """Draw one chip layer per network layer, sized relative to the network.

    Parameters
    ----------
    network : the trained network.
    law : law of the weights, see `matchopt.instances.generators`; its scale is the root mean square of the layer's
        non-zero target weights.
    fan_in_ratio : K/n: cells per hardware neuron as a multiple of the layer's largest fan-in, rounded up; > 0; one
        for all layers, or one each.
    neuron_ratio : M/m: hardware neurons as a multiple of the layer's units, rounded up; >= 1.
    seed : seed of the draw; every layer has its own stream.
    biases : as in `export_network`; with "hardware" the constant input counts in the fan-in.
    imperfections : what the chip does to the weights drawn.
    hard_wired : cells of every neuron on each input of its layer, which can listen to nothing else and are kept or
        switched off; `fan_in_ratio` has no effect then. 0 for cells that are routed.
    chained : whether the layers are crossbars one behind the other (see `NetworkInstance`): the first has
        `fan_in_ratio` lines for each of its inputs, the others one for each neuron before, and for a constant input.

    Raises
    ------
    InvalidInstance
        for a ratio out of range.
    UnknownName
        for a law that does not exist.
    """
    ratios = [fan_in_ratio] * len(network.layers) if isinstance(fan_in_ratio, (int, float)) else list(fan_in_ratio)
    targets = layer_targets(network, biases)
    if hard_wired:
        ratios = [hard_wired * t.n_inputs / max(1, int(t.fan_in.max(initial=0))) for t in targets]
    if chained:
        ratios[0] *= targets[0].n_inputs / max(1, int(targets[0].fan_in.max(initial=0)))
    streams, sizes = np.random.default_rng(seed).spawn(len(targets)), chip_sizes(targets, ratios, neuron_ratio)
    if chained:
        lines = [neurons + (biases == "hardware") for neurons, _ in sizes]
        sizes = [sizes[0], *((own, cells) for (own, _), cells in zip(sizes[1:], lines, strict=False))]
        imperfections = replace(imperfections, neurons_per_bus=max(neurons for neurons, _ in sizes))
    drawn = tuple(
        generators.draw_hardware(law, *size, rng, root_mean_square(target), imperfections)
        for target, size, rng in zip(targets, sizes, streams, strict=True)
    )
    return tuple(wired_in_order(chip, hard_wired) for chip in drawn) if hard_wired else drawn


def chip_sizes(targets: Sequence[Target], fan_in_ratio: Sequence[float], neuron_ratio: float) -> list[tuple[int, int]]:
    """Neurons and cells of the chip layer for each target; the ratios are those of `draw_hardware`, one K/n each."""
    for ratio in fan_in_ratio:
        checked(ratio, PositiveFloat, "fan_in_ratio", InvalidInstance)
    checked(neuron_ratio, Annotated[float, Ge(1)], "neuron_ratio", InvalidInstance)
    wanted = [
        (neuron_ratio * target.n_rows, ratio * int(target.fan_in.max(initial=0)))
        for target, ratio in zip(targets, fan_in_ratio, strict=True)
    ]
    most = max((neurons * cells for neurons, cells in wanted), default=0)
    if most > MAX_CELLS:
        raise InvalidInstance(f"a layer of the chip would have {most:.3g} cells, at most {MAX_CELLS} are made; "
                              "lower fan_in_ratio or neuron_ratio")  # fmt: skip
    # 1.1 * 10 is 11.000000000000002
    return [(math.ceil(neurons - 1e-9), math.ceil(cells - 1e-9)) for neurons, cells in wanted]
