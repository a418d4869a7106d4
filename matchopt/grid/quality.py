"""How good a mapping is: errors of weights and outputs, and accuracies."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from matchopt.instances import FunctionalError, Hardware, NetworkInstance, NetworkMapping, SampleObjective, ScoreError
from matchopt.network import ImageData, realise
from matchopt.network.evaluation import Accuracies


def quality(
    instance: NetworkInstance,
    mapping: NetworkMapping,
    data: ImageData | None,
    reads: Sequence[tuple[int, int]],
    errors: bool,
) -> dict[str, Any]:
    """Errors, accuracies and changed values of a mapping.

    Parameters
    ----------
    instance : with the read noise there really is.
    mapping : of it.
    data : what accuracies are measured on; None for none.
    reads : seeds of the reads over which accuracies are averaged where there is noise.
    errors : whether the functional error and the error of the outputs are measured, too.
    """
    relative = squared = 0.0
    for layer, part_of in zip(instance.layers, mapping.layers, strict=True):
        error = float((layer.pair_errors(part_of)[2] ** 2).sum())
        relative, squared = relative + error / max(float((layer.target.weights**2).sum()), 1e-300), squared + error
    return {
        "weight_error": relative / len(instance.layers),
        "squared_error": squared,
        **({} if data is None else _on_data(instance, mapping, data, reads, errors)),
        "adjusted_biases": 0 if mapping.biases is None else sum(len(bias) for bias in mapping.biases),
        "tuned": sum(len(layer.tunable) for layer in mapping.layers),
    }


def _on_data(
    instance: NetworkInstance, mapping: NetworkMapping, data: ImageData, reads: Sequence[tuple[int, int]], errors: bool
) -> dict[str, float]:
    """What is measured on samples."""
    seen, found = data.validation_images[:2_000], dict[str, float]()
    if errors:
        found["functional_error"] = _noiseless_value(instance, mapping, FunctionalError(seen)) / len(instance.layers)
        found["output_error"] = _noiseless_value(instance, mapping, ScoreError(seen))
    noisy = any(layer.hardware.variance.any() for layer in instance.layers)
    chances = [np.random.default_rng(seeds) for seeds in reads] if noisy else [None]
    measured = [Accuracies.of(realise(instance, mapping, rng), data) for rng in chances]
    found["validation"] = math.fsum(read.validation for read in measured) / len(measured)
    return found | {"test": math.fsum(read.test for read in measured) / len(measured)}


def _noiseless_value(instance: NetworkInstance, mapping: NetworkMapping, objective: SampleObjective) -> float:
    """What the mapping is worth under another objective, on chips without read noise."""
    layers = (replace(layer, hardware=noiseless(layer.hardware)) for layer in instance.layers)
    return replace(instance, layers=tuple(layers), objective=objective).value(mapping)


def noiseless(hardware: Hardware) -> Hardware:
    """The hardware without read noise."""
    return replace(hardware, variance=np.zeros_like(hardware.weights))
