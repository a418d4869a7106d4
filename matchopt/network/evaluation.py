"""What a mapping does to a network: accuracies beside the target's, and the error of every layer."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from matchopt.errors import InvalidInstance, InvalidSolution
from matchopt.instances import (
    DataReference,
    Instance,
    LayerInstance,
    LayerMapping,
    NetworkInstance,
    NetworkMapping,
    Target,
)
from matchopt.instances.base import Solution
from matchopt.instances.demands import ANY_AT_0_1, understanding
from matchopt.network.accuracy import Classifier, measure
from matchopt.network.converter import ConvertedNetwork, Converter, SummingLayer, check_chain, summing_layers
from matchopt.network.data import ImageData, load_mnist
from matchopt.network.data.images import normalised
from matchopt.network.data.own import OWN
from matchopt.network.data.registry import find_data
from matchopt.network.realised import RealisedNetwork, apart, one_read, realise, unmapped
from matchopt.network.sparse_network import SparseNetwork
from matchopt.settings import PositiveInt, checked

_understood = understanding(
    "the evaluation of a mapping",
    ANY_AT_0_1
    | {"several-neurons", "copies", "one-chip", "chained", "programmable-cells"}
    | {"write-budget", "hard-wired"},
)
UNLIKE = 0.01  # between accuracies of one network on one data set, which differ by rounding only


@dataclass(frozen=True)
class Accuracies:
    """Shares of images classified correctly, 0 .. 1."""

    validation: float
    test: float

    @classmethod
    def of(cls, network: Classifier, data: ImageData) -> "Accuracies":
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
    """A mapped network beside its target.

    Parameters
    ----------
    mapped, target : accuracies; None without data. Where the chip has read noise, `mapped` is the mean over `reads`.
    layers : errors of the mean weights.
    digital : what is stored besides the wiring.
    spread : standard deviation of the accuracies over the reads; None where there is one read.
    reads : how often all weights were read, each time with noise of its own; 1 without noise.
    doubts : sentences about accuracies that are not what they should be.
    bits, ranges : of the converters that read the sums, and the largest sum that they tell, layer by layer (0 for
        layers that are not on the chip); None without converters.
    """

    mapped: Accuracies | None
    target: Accuracies | None
    layers: tuple[LayerError, ...]
    digital: DigitalNumbers
    spread: Accuracies | None = None
    reads: int = 1
    doubts: tuple[str, ...] = ()
    bits: int | None = None
    ranges: tuple[float, ...] | None = None


@_understood
def evaluate(
    instance: Instance,
    mapping: Solution,
    data: ImageData | None,
    network: SparseNetwork | None = None,
    *,
    reads: int = 5,
    seed: int = 0,
    converter: Converter | None = None,
) -> Evaluation:
    """Evaluate a feasible mapping, with its own biases and tuned values, and with the read noise of its chip.

    Parameters
    ----------
    instance : a network, or one layer of one.
    mapping : feasible solution of it.
    data : measures accuracies; None leaves them out.
    network : the trained network; needed for the accuracy of a single layer's mapping, where it supplies the others.
    reads : how often the weights are read where there is read noise, >= 1; every read classifies all images.
    seed : of the noise.
    converter : reads the analogue sums of the chip; its ranges, where it has none, are the largest sums of each layer
        on the validation images, read without noise. None: sums stay exact.

    Raises
    ------
    InvalidInstance
        when the instance is no network or layer, or the layer is none of the network's, or there is a converter and
        the network is not fully connected.
    """
    checked(reads, PositiveInt, "reads")
    subject = _subject(instance, mapping, network, data)
    digital = DigitalNumbers.of(subject.instance, subject.mapping)
    if subject.before is None or data is None:
        return Evaluation(None, None, subject.errors, digital)
    read: Callable[[np.random.Generator | None], Classifier] = subject.read
    bits, ranges = None, None
    if converter is not None:
        mean = ConvertedNetwork(subject.sums(None), converter).ranged(data.validation_images)
        bits, ranges = converter.bits, mean.ranges

        def read(noise: np.random.Generator | None) -> Classifier:
            return replace(mean, layers=subject.sums(noise))

    noisy = "read-noise" in instance.demands
    chances = [np.random.default_rng([seed, n]) for n in range(reads)] if noisy else [None]
    found, target = [Accuracies.of(read(chance), data) for chance in chances], Accuracies.of(subject.before, data)
    mapped, spread = _moments(found)
    doubts = _doubts(target, data, network)
    return Evaluation(mapped, target, subject.errors, digital, spread, len(found), doubts, bits, ranges)


@dataclass(frozen=True)
class _Subject:
    """What is evaluated: errors of layers, the network without the chip, and the one that a read of the chip makes."""

    instance: NetworkInstance | LayerInstance
    mapping: NetworkMapping | LayerMapping
    errors: tuple[LayerError, ...]
    before: RealisedNetwork | SparseNetwork | None
    read: Callable[[np.random.Generator | None], RealisedNetwork]
    sums: Callable[[np.random.Generator | None], tuple[SummingLayer, ...]]


def _subject(instance: Instance, mapping: Solution, network: SparseNetwork | None, data: ImageData | None) -> _Subject:
    if isinstance(instance, NetworkInstance) and isinstance(mapping, NetworkMapping):
        pairs = enumerate(zip(instance.layers, mapping.layers, strict=True))
        errors = tuple(layer_error(n, *pair) for n, pair in pairs)
        before = unmapped(instance) if network is None else network
        read, sums = partial(realise, instance, mapping), partial(summing_layers, instance, mapping)
        return _Subject(instance, mapping, errors, before, read, sums)
    if isinstance(instance, LayerInstance) and isinstance(mapping, LayerMapping):
        number = 0 if network is None or data is None else _layer_number(instance, network)
        errors, given = (layer_error(number, instance, mapping),), (number, instance, mapping)
        read, sums = partial(_with_layer, network, *given), partial(_sums_with, network, *given)
        return _Subject(instance, mapping, errors, network, read, sums)
    if isinstance(instance, NetworkInstance | LayerInstance):
        raise InvalidSolution(f"the instance is of kind {instance.kind}, the solution of kind {mapping.kind}")
    raise InvalidInstance(f"only networks and layers have an accuracy, found an instance of kind {instance.kind}")


@_understood
def realised_network(instance: Instance, mapping: Solution, network: SparseNetwork | None = None) -> RealisedNetwork:
    """What `evaluate` evaluates, without read noise: the network that a feasible mapping makes of the chip.

    Parameters
    ----------
    instance, mapping, network : as of `evaluate`.

    Raises
    ------
    InvalidInstance
        when a single layer is mapped and its network is not given, or the layer is none of it.
    """
    if isinstance(instance, NetworkInstance) and isinstance(mapping, NetworkMapping):
        return realise(instance, mapping)
    if network is None or not isinstance(instance, LayerInstance) or not isinstance(mapping, LayerMapping):
        raise InvalidInstance("only a network is realised as a whole; name the trained network that the layer is of")
    return _with_layer(network, _layer_number(instance, network), instance, mapping, None)


def _moments(reads: Sequence[Accuracies]) -> tuple[Accuracies, Accuracies | None]:
    """Mean and standard deviation of the accuracies of several reads."""
    values = [[read.validation for read in reads], [read.test for read in reads]]
    mean = Accuracies(*(statistics.fmean(part) for part in values))
    return mean, Accuracies(*(statistics.stdev(part) for part in values)) if len(reads) > 1 else None


def _doubts(target: Accuracies, data: ImageData, network: SparseNetwork | None) -> tuple[str, ...]:
    """What is strange about the accuracy of the target itself."""
    advice = "were inputs normalised in training? export takes --input-mean and --input-std"
    said = None if network is None else network.record.test_accuracy
    if said is not None and abs(said - target.test) > UNLIKE:
        return (f"the target reaches {100 * target.test:.2f} %, and its file says {100 * said:.2f} %; {advice}",)
    if target.test < (1 + 1 / data.n_classes) / 2:
        return (f"the target itself reaches only {100 * target.test:.2f} %; {advice}",)
    return ()


def layer_error(number: int, layer: LayerInstance, mapping: LayerMapping) -> LayerError:
    """The error of the realised weights of one layer."""
    *_, error = layer.pair_errors(mapping)
    squared, size = float((error**2).sum()), float((layer.target.weights**2).sum())
    relative = squared / size if size else None
    return LayerError(number, squared, relative, float(np.abs(error).max(initial=0.0)))


def data_of(reference: DataReference | None, n_inputs: int) -> ImageData | None:
    """The data set that an instance names, or MNIST where it names none and has as many inputs as MNIST's pixels.

    Its values are what the network takes: see `DataReference.mean`. None for data of somebody's own, too.

    Raises
    ------
    DataError
        when it names a data set that is not here, or one with another SHA-256.
    """
    if reference is None:
        data = load_mnist()
        return data if data.n_pixels == n_inputs else None
    return None if reference.name.startswith(OWN) else normalised(find_data(reference), reference)


def _layer_number(instance: LayerInstance, network: SparseNetwork) -> int:
    shape, places, weights = _nonzero(instance.target)
    for number, layer in enumerate(network.layers):
        for target in (layer.target, layer.target.with_constant(layer.biases)):  # biases digital, or in hardware
            size, found, values = _nonzero(target)
            if size == shape and np.array_equal(found, places) and np.allclose(values, weights, rtol=1e-6, atol=0.0):
                return number
    raise InvalidInstance("the target weights of this layer are those of no layer of the network; name its own network")


def _nonzero(target: Target) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
    """Shape of the layer, and places and values of its weights other than zero."""
    held = target.weights != 0
    return (target.n_rows, target.n_inputs), target.keys(target.row_of, target.indices)[held], target.weights[held]


def _with_layer(
    network: SparseNetwork | None,
    number: int,
    layer: LayerInstance,
    mapping: LayerMapping,
    noise: np.random.Generator | None,
) -> RealisedNetwork:
    assert network is not None, "an accuracy needs the other layers"
    constant = layer.target.n_inputs > network.layers[number].target.n_inputs
    matrix, bias = apart(*one_read(layer, mapping, noise), (layer.n_rows, layer.target.n_inputs), constant)
    matrices = [each.matrix.astype(np.float64) for each in network.layers]
    biases = [bias.astype(np.float64) for bias in network.biases]
    matrices[number], biases[number] = matrix, bias if constant else biases[number]
    return RealisedNetwork(tuple(matrices), tuple(biases), network.architecture, network.buffers)


def _sums_with(
    network: SparseNetwork | None,
    number: int,
    layer: LayerInstance,
    mapping: LayerMapping,
    noise: np.random.Generator | None,
) -> tuple[SummingLayer, ...]:
    """The same for converters, which only the mapped layer has."""
    assert network is not None, "an accuracy needs the other layers"
    check_chain(network.architecture)
    hardware_bias = layer.target.n_inputs > network.layers[number].target.n_inputs
    biases = [bias.astype(np.float64) for bias in network.biases]
    full = [SummingLayer.exact(each.target, bias) for each, bias in zip(network.layers, biases, strict=True)]
    full[number] = SummingLayer.of(layer, mapping, None if hardware_bias else biases[number], noise)
    return tuple(full)
