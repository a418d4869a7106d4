"""What a mapping does to a network: accuracies beside the target's, and the error of every layer."""

from dataclasses import dataclass

import numpy as np

from matchopt.errors import InvalidInstance, InvalidSolution
from matchopt.instances import DataReference, Instance, LayerInstance, LayerMapping, NetworkInstance, NetworkMapping
from matchopt.instances.base import Solution
from matchopt.instances.demands import ANY_AT_0_1, understanding
from matchopt.network.accuracy import measure
from matchopt.network.data import ImageData, load_mnist
from matchopt.network.data.registry import find_data
from matchopt.network.realised import RealisedNetwork, realise, unmapped
from matchopt.network.sparse_network import SparseNetwork


@dataclass(frozen=True)
class Accuracies:
    """Shares of images classified correctly, 0 .. 1."""

    validation: float
    test: float

    @classmethod
    def of(cls, network: RealisedNetwork | SparseNetwork, data: ImageData) -> "Accuracies":
        """Measure a network on validation images and, once, on test images."""
        validation = measure(network, data.validation_images, data.validation_labels).accuracy
        return cls(validation, measure(network, data.test_images, data.test_labels).accuracy)


@dataclass(frozen=True)
class LayerError:
    """How far the realised weights of one layer are off.

    Parameters
    ----------
    layer : number of the layer.
    squared : sum of squared differences, over all inputs.
    relative : the same as a share of the sum of squared target weights; None where those are all zero.
    largest : largest difference.
    """

    layer: int
    squared: float
    relative: float | None
    largest: float


@dataclass(frozen=True)
class DigitalNumbers:
    """How many numbers a mapping stores digitally besides its wiring, that is, what its corrections cost.

    Parameters
    ----------
    biases : biases of the network that are digital.
    biases_adjusted : those of them that differ from the trained ones.
    tunable : connections that fully tunable weights serve.
    tuned : those of them whose value differs from the trained weight.
    """

    biases: int
    biases_adjusted: int
    tunable: int
    tuned: int

    @classmethod
    def of(cls, instance: NetworkInstance | LayerInstance, mapping: NetworkMapping | LayerMapping) -> "DigitalNumbers":
        """Count them; a single layer has no biases."""
        layers = instance.layers if isinstance(instance, NetworkInstance) else (instance,)
        parts = mapping.layers if isinstance(mapping, NetworkMapping) else (mapping,)
        tunable = sum(len(part.tunable) for part in parts)
        tuned = 0
        for layer, part in zip(layers, parts, strict=True):
            if part.tuned is not None:
                tuned += int(np.count_nonzero(part.tuned != layer.target.weights[part.tunable]))
        before = instance.biases if isinstance(instance, NetworkInstance) else None
        after = mapping.biases if isinstance(mapping, NetworkMapping) else None
        adjusted = sum(int(np.count_nonzero(a != b)) for a, b in zip(before or (), after or before or (), strict=True))
        return cls(sum(len(bias) for bias in before or ()), adjusted, tunable, tuned)


@dataclass(frozen=True)
class Evaluation:
    """A mapped network beside its target; without data both accuracies are None."""

    mapped: Accuracies | None
    target: Accuracies | None
    layers: tuple[LayerError, ...]
    digital: DigitalNumbers


@understanding("the evaluation of a mapping", ANY_AT_0_1)
def evaluate(
    instance: Instance, mapping: Solution, data: ImageData | None, network: SparseNetwork | None = None
) -> Evaluation:
    """Evaluate a feasible mapping, with its own biases and tuned values; read noise is left out.

    Parameters
    ----------
    instance : a network, or one layer of one.
    mapping : feasible solution of it.
    data : measures accuracies; None leaves them out.
    network : the trained network; needed for the accuracy of a single layer's mapping, where it supplies the others.

    Raises
    ------
    InvalidInstance
        when the instance is no network or layer, or the layer is none of the network's.
    """
    if isinstance(instance, NetworkInstance) and isinstance(mapping, NetworkMapping):
        errors = [layer_error(n, *pair) for n, pair in enumerate(zip(instance.layers, mapping.layers, strict=True))]
        if data is None:
            return Evaluation(None, None, tuple(errors), DigitalNumbers.of(instance, mapping))
        before = unmapped(instance) if network is None else network
        mapped = Accuracies.of(realise(instance, mapping), data)
        target = Accuracies.of(before, data)
        return Evaluation(mapped, target, tuple(errors), DigitalNumbers.of(instance, mapping))
    if isinstance(instance, LayerInstance) and isinstance(mapping, LayerMapping):
        digital = DigitalNumbers.of(instance, mapping)
        if network is None or data is None:
            return Evaluation(None, None, (layer_error(0, instance, mapping),), digital)
        number = _layer_number(instance, network)
        mapped = Accuracies.of(_with_layer(network, number, instance.realised(mapping)), data)
        return Evaluation(mapped, Accuracies.of(network, data), (layer_error(number, instance, mapping),), digital)
    if isinstance(instance, NetworkInstance | LayerInstance):
        raise InvalidSolution(f"the instance is of kind {instance.kind}, the solution of kind {mapping.kind}")
    raise InvalidInstance(f"only networks and layers have an accuracy, found an instance of kind {instance.kind}")


def layer_error(number: int, layer: LayerInstance, mapping: LayerMapping) -> LayerError:
    """The error of the realised weights of one layer."""
    target = layer.target.dense()
    error = layer.realised(mapping) - target
    squared, size = float((error**2).sum()), float((target**2).sum())
    relative = squared / size if size else None
    return LayerError(number, squared, relative, float(np.abs(error).max(initial=0.0)))


def data_of(reference: DataReference | None, n_inputs: int) -> ImageData | None:
    """The data set that an instance names, or MNIST where it names none and has as many inputs as MNIST's pixels.

    Raises
    ------
    DataError
        when it names a data set that is not here, or one with another SHA-256.
    """
    if reference is None:
        data = load_mnist()
        return data if data.n_pixels == n_inputs else None
    return find_data(reference)


def _layer_number(instance: LayerInstance, network: SparseNetwork) -> int:
    wanted = instance.target.dense()
    for number, layer in enumerate(network.layers):
        for target in (layer.target, layer.target.with_constant(layer.biases)):  # biases digital, or in hardware
            full = target.dense()
            if full.shape == wanted.shape and np.allclose(full, wanted, rtol=1e-6, atol=0.0):
                return number
    raise InvalidInstance("the target weights of this layer are those of no layer of the network; name its own network")


def _with_layer(network: SparseNetwork, number: int, weights: np.ndarray) -> RealisedNetwork:
    full = [matrix.astype(np.float64) for matrix in network.weights]
    biases = [bias.astype(np.float64) for bias in network.biases]
    if weights.shape[1] > full[number].shape[1]:
        weights, biases[number] = weights[:, :-1], weights[:, -1]
    full[number] = weights
    return RealisedNetwork(tuple(full), tuple(biases), network.architecture, network.buffers)
