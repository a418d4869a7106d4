"""From a trained network and a chip to the instance that asks how well the one fits the other."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float

from matchopt.errors import InvalidInstance
from matchopt.instances import generators
from matchopt.instances.base import Provenance
from matchopt.instances.hardware import Hardware
from matchopt.instances.layer import LayerInstance
from matchopt.instances.network import NetworkInstance
from matchopt.instances.objective import Objective, OutputError, TaskLoss, WeightError
from matchopt.instances.rules import Rules
from matchopt.instances.target import Target
from matchopt.network.sparse_network import SparseNetwork, received_by

Biases = Literal["free", "hardware"]
POSITIONS = 20_000  # rows of patches or frames per layer that second moments are measured on; bounds memory


def export_network(
    network: SparseNetwork,
    hardware: Sequence[Hardware],
    *,
    rules: Rules | Sequence[Rules] | None = None,
    objective: Literal["weight-error", "output-error"] = "weight-error",
    biases: Biases = "free",
    sample_inputs: Float[np.ndarray, "samples inputs"] | None = None,
    embed_samples: bool = False,
    task_loss: TaskLoss | None = None,
    tunable: int | None = None,
    provenance: Provenance | None = None,
) -> NetworkInstance:
    """Make the instance of mapping `network` onto `hardware`.

    Parameters
    ----------
    network : the trained network; its record names the data set.
    hardware : one chip layer per network layer.
    rules : what a mapping may do, for all layers or one per layer; None for the defaults.
    objective : "output-error" weighs errors by the second moments E[x x^T] of every layer's inputs, measured on
        `sample_inputs` run through the network.
    biases : "free" keeps them digital and exact; "hardware" appends a constant input 1 to every layer, whose weights,
        the biases, are mapped like all others (one more cell per neuron is needed for the same freedom).
    sample_inputs : inputs of the network, without labels; needed for "output-error".
    embed_samples : whether `sample_inputs` go into the instance, so that others can judge outputs without the data set.
    task_loss, tunable : see `NetworkInstance`.
    provenance : where the instance comes from.

    Raises
    ------
    InvalidInstance
        when numbers of layers differ, the hardware is too small, or samples are missing.
    """
    layers = network.layers
    chosen = [rules or Rules()] * len(layers) if rules is None or isinstance(rules, Rules) else list(rules)
    for name, given in (("hardware", hardware), ("rules", chosen)):
        if len(given) != len(layers):
            raise InvalidInstance(f"{name}: one per layer is needed, {len(layers)}, found {len(given)}")
    targets = layer_targets(network, biases)
    objectives = _objectives(network, objective, biases, sample_inputs)
    if embed_samples and sample_inputs is None:
        raise InvalidInstance("sample_inputs: needed to embed samples, found none")
    return NetworkInstance(
        tuple(LayerInstance(*parts) for parts in zip(targets, hardware, chosen, objectives, strict=True)),
        biases=tuple(layer.biases.astype(np.float64) for layer in layers) if biases == "free" else None,
        tunable=tunable,
        objective=task_loss,
        data=network.record.data,
        samples=np.asarray(sample_inputs, np.float64) if embed_samples else None,
        provenance=provenance or Provenance(),
        architecture=network.architecture,
        buffers=network.buffers,
    )


def layer_targets(network: SparseNetwork, biases: Biases = "free") -> tuple[Target, ...]:
    """The layers as targets; hardware biases are one more connection of every row, to the constant last input."""
    targets = []
    for layer in network.layers:
        weights, mask = layer.weights, layer.mask
        if biases == "hardware":
            weights = np.column_stack([weights, layer.biases])
            mask = np.column_stack([mask, np.ones(len(mask), bool)])
        targets.append(Target.from_dense(weights, mask))
    return tuple(targets)


def layer_inputs(
    network: SparseNetwork, inputs: Float[np.ndarray, "samples inputs"]
) -> tuple[Float[np.ndarray, "_ _"], ...]:
    """What every layer of the network receives when the network receives `inputs`.

    One row per sample; in convolutional and recurrent networks one per sample and position (image patches, frames), of
    which at most `POSITIONS` are drawn, always the same.
    """
    if not network.fully_connected:
        return received_by(network, inputs, POSITIONS)
    received = [np.asarray(inputs, np.float64)]
    for layer in network.layers[:-1]:
        received.append(np.maximum(received[-1] @ layer.weights.T.astype(np.float64) + layer.biases, 0.0))
    return tuple(received)


def draw_hardware(
    network: SparseNetwork,
    law: str,
    fan_in_ratio: float,
    neuron_ratio: float,
    seed: int,
    *,
    biases: Biases = "free",
    scale_error: float = 1.0,
    read_noise: float = 0.0,
    relative_noise: float = 0.0,
    bad_cells: float = 0.0,
    bad_lines: float = 0.0,
    leak: float = 0.0,
    neurons_per_bus: int = 1,
) -> tuple[Hardware, ...]:
    """Draw one chip layer per network layer, sized relative to the network.

    Parameters
    ----------
    network : the trained network.
    law : law of the weights, see `matchopt.instances.generators`; its scale is the root mean square of the layer's
        non-zero target weights.
    fan_in_ratio : K/n: cells per hardware neuron as a multiple of the layer's largest fan-in, rounded up; > 0.
    neuron_ratio : M/m: hardware neurons as a multiple of the layer's units, rounded up; >= 1.
    seed : seed of the draw; every layer has its own stream.
    biases : as in `export_network`; with "hardware" the constant input counts in the fan-in.
    scale_error, read_noise, relative_noise, bad_cells, bad_lines, leak, neurons_per_bus : see
        `matchopt.instances.generators.draw_hardware`.

    Raises
    ------
    InvalidInstance
        for a ratio out of range.
    UnknownName
        for a law that does not exist.
    """
    if not (math.isfinite(fan_in_ratio) and fan_in_ratio > 0):
        raise InvalidInstance(f"fan_in_ratio must be above 0, found {fan_in_ratio}")
    if not (math.isfinite(neuron_ratio) and neuron_ratio >= 1):
        raise InvalidInstance(f"neuron_ratio must be >= 1, found {neuron_ratio}")
    targets = layer_targets(network, biases)
    drawn = []
    for target, rng in zip(targets, np.random.default_rng(seed).spawn(len(targets)), strict=True):
        used = target.weights[target.weights != 0]
        drawn.append(
            generators.draw_hardware(
                law,
                _ceil(neuron_ratio * target.n_rows),
                _ceil(fan_in_ratio * int(target.fan_in.max(initial=0))),
                rng,
                scale=float(np.sqrt(np.mean(used**2))) if len(used) else 1.0,
                scale_error=scale_error,
                read_noise=read_noise,
                relative_noise=relative_noise,
                bad_cells=bad_cells,
                bad_lines=bad_lines,
                leak=leak,
                neurons_per_bus=neurons_per_bus,
            )
        )
    return tuple(drawn)


def _objectives(
    network: SparseNetwork,
    objective: str,
    biases: Biases,
    sample_inputs: Float[np.ndarray, "samples inputs"] | None,
) -> list[Objective]:
    if objective == WeightError.name:
        return [WeightError()] * len(network.layers)
    if objective != OutputError.name:
        raise InvalidInstance(f"objective must be weight-error or output-error, found {objective!r}")
    if sample_inputs is None or len(sample_inputs) == 0:
        raise InvalidInstance("sample_inputs: output-error needs at least one sample, found none")
    if sample_inputs.shape[1] != network.widths[0]:
        raise InvalidInstance(f"sample_inputs must have {network.widths[0]} columns, found {sample_inputs.shape[1]}")
    moments = []
    for received in layer_inputs(network, sample_inputs):
        inputs = np.column_stack([received, np.ones(len(received))]) if biases == "hardware" else received
        product = inputs.T @ inputs / len(inputs)
        moments.append(OutputError((product + product.T) / 2))
    return list(moments)


def _ceil(size: float) -> int:
    return math.ceil(size - 1e-9)  # 1.1 * 10 is 11.000000000000002
