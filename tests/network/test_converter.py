"""Converters quantise the chip's sums, and nothing else."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from matchopt import (
    DataReference,
    Gains,
    Hardware,
    LayerInstance,
    LayerMapping,
    NetworkInstance,
    NetworkMapping,
    Rules,
    Target,
)
from matchopt.errors import InvalidInstance, InvalidOption
from matchopt.instances.architecture import Convolution, Convolutional
from matchopt.network import ImageData, SparseNetwork, export_network, measure, realise
from matchopt.network.converter import ConvertedNetwork, Converter, converted, summing_layers
from matchopt.network.evaluation import evaluate
from tests.network.networks import random_network, random_of


def case(seed: int = 0, biases: str = "free") -> tuple[SparseNetwork, NetworkInstance, NetworkMapping]:
    """A network of two layers with gains, read noise, leaks on one bus, and a tuned connection."""
    rng, network = np.random.default_rng(seed), random_network((12, 9, 4), 0.6, seed)
    rules, chips, layers = Rules(gains=Gains.interval(0.5, 2.0), tunable=1, drop=True), [], []
    for layer in network.layers:
        target = layer.target.with_constant(layer.biases) if biases == "hardware" else layer.target
        cells = rng.normal(size=(target.n_rows, target.n_inputs))
        chips.append(Hardware(cells, 0.01 * cells**2, off=0.1 * cells, bus=np.zeros(target.n_rows, np.int64)))
        cell_of = target.indices.copy()
        cell_of[2:4] = -1  # one dropped, one tuned
        gain, tuned = rng.uniform(0.5, 2.0, target.n_rows), np.array([0.7])
        neurons = rng.permutation(target.n_rows)
        layers.append(LayerMapping.from_cells(target, neurons, cell_of, gain, np.array([3]), tuned))
    instance = export_network(network, chips, rules=rules, biases=biases)  # type: ignore[arg-type]
    return network, instance, NetworkMapping(tuple(layers))


def images(seed: int = 1, count: int = 600) -> ImageData:
    """Made-up images with labels of no meaning."""
    rng = np.random.default_rng(seed)
    parts = [(rng.random((count, 12)).astype(np.float32), rng.integers(0, 4, count)) for _ in range(3)]
    (train, a), (validation, b), (test, c) = parts
    return ImageData(train, a, validation, b, test, c, 4, DataReference("toy", "ab" * 32))


def by_hand(instance: NetworkInstance, mapping: NetworkMapping, bits: int, ranges: tuple[float, ...],
            image: NDArray[np.float64]) -> NDArray[np.float64]:  # fmt: skip
    """One image through the chip, cell by cell, from arrays of instance and mapping alone."""
    received = image.astype(float)
    for n, (layer, part) in enumerate(zip(instance.layers, mapping.layers, strict=True)):
        if instance.biases is None:
            received = np.append(received, 1.0)
        target, chip = layer.target, layer.hardware
        drives = dict(pair for i in range(part.n_rows) for pair in part.wires(i))  # one bus: cell line -> input
        exact = {int(e): float(part.tuned[at]) for at, e in enumerate(part.tunable)}  # type: ignore[index]
        signal = np.zeros(part.n_rows)
        for i in range(part.n_rows):
            beside = {int(target.indices[e]): value for e, value in exact.items() if target.row_of[e] == i}
            used, total = dict(part.wires(i)), 0.0
            for line, x in drives.items():
                if x not in beside:
                    total += (chip.weights if line in used else chip.off)[part.neuron_of[i], line] * received[x]
            steps = 2 ** (bits - 1) - 1
            level = max(-steps, min(steps, round(total / ranges[n] * steps)))
            signal[i] = part.gain[i] * level * ranges[n] / steps + sum(v * received[x] for x, v in beside.items())
            signal[i] += 0.0 if instance.biases is None else instance.biases[n][i]
        received = np.maximum(signal, 0.0)
    return signal


@pytest.mark.parametrize("biases", ["free", "hardware"])
@pytest.mark.parametrize("bits", [3, 6])
def test_sums_are_converted_before_gain_and_bias(biases: str, bits: int) -> None:
    """Logits of a chip with gains, leaks, a drop and a tuned weight are those of a loop over cells."""
    _, instance, mapping = case(2, biases)
    data = images()
    network = ConvertedNetwork(summing_layers(instance, mapping), Converter(bits)).ranged(data.validation_images)
    assert network.ranges is not None
    for image, found in zip(data.test_images[:40], network.logits(data.test_images[:40]), strict=True):
        np.testing.assert_allclose(found, by_hand(instance, mapping, bits, network.ranges, image), atol=1e-9)


def test_written_cells_are_summed_as_they_are_written() -> None:
    """The converter reads what was written into a cell, not what it read before."""
    hardware = Hardware(np.array([[0.5, 0.25]]), levels=np.array([[[0.75, -1.0], [np.nan, np.nan]]]))
    layer = LayerInstance(Target.from_dense(np.array([[-1.0, 0.25]])), hardware)
    mapping = LayerMapping.from_cells(layer.target, np.array([0]), np.array([0, 1]), written=np.array([-1.0, np.nan]))
    instance, whole = NetworkInstance((layer,), (np.zeros(1),)), NetworkMapping((mapping,))
    plain = ConvertedNetwork(summing_layers(instance, whole), Converter(8)).logits(np.eye(2))
    np.testing.assert_allclose(plain, [[-1.0], [0.25]])


@pytest.mark.parametrize("averaged", [False, True])
def test_every_hardware_neuron_has_a_converter(averaged: bool) -> None:
    """Of a row with two neurons each sum is read by itself, then both add, or their mean is taken."""
    target = Target.from_dense(np.array([[1.0, -2.0], [0.5, 0.0]]))
    rules = Rules(copies=2, drop=True) if averaged else Rules(neurons_per_row=2, drop=True)
    cells = np.array([[0.9, 0.2], [-1.1, 0.3], [0.6, 0.1]])
    gain, starts = np.array([1.0, 2.0, 1.0]), np.array([0, 1, 2, 3])
    mapping = LayerMapping(np.array([2, 1, 0]), starts, np.array([1, 0, 0]), np.array([0, 1, 0]), gain,
                           row=np.array([0, 0, 1]))  # fmt: skip
    instance = NetworkInstance((LayerInstance(target, Hardware(cells), rules),), (np.array([0.25, 0.5]),))
    converter, whole = Converter(3, (1.2,)), NetworkMapping((mapping,))
    inputs = np.array([[0.7, 0.4], [1.0, 0.9]])
    found = converted(instance, whole, converter, inputs).logits(inputs)
    for (a, b), answer in zip(inputs, found, strict=True):
        read = [round(max(-1.2, min(1.2, s)) / 0.4) * 0.4 for s in (0.1 * a, -1.1 * b, 0.9 * a)]
        both = (read[0] + 2 * read[1]) / (2 if averaged else 1)
        np.testing.assert_allclose(answer, [both + 0.25, read[2] + 0.5])
    plain = ConvertedNetwork(summing_layers(instance, whole), converter)
    np.testing.assert_allclose(plain.logits(inputs), realise(instance, whole).logits(inputs))


@pytest.mark.parametrize("biases", ["free", "hardware"])
def test_without_bits_nothing_changes(biases: str) -> None:
    """No converter, or one of many bits, answers every image as the realised network does."""
    _, instance, mapping = case(0, biases)
    data = images()
    plain, sums = realise(instance, mapping), summing_layers(instance, mapping)
    for network in (
        ConvertedNetwork(sums, Converter(4)),
        converted(instance, mapping, Converter(32), data.test_images),
    ):
        assert np.array_equal(network.logits(data.test_images).argmax(1), plain.logits(data.test_images).argmax(1))
        np.testing.assert_allclose(network.logits(data.test_images), plain.logits(data.test_images), atol=1e-6)
    exact = evaluate(instance, mapping, data, seed=3, reads=2)
    fine = evaluate(instance, mapping, data, seed=3, reads=2, converter=Converter(32, (1e3,)))
    assert exact.mapped == fine.mapped and exact.ranges is None and fine.ranges is not None


def test_more_bits_are_nearer() -> None:
    """The largest error of a sum is half a step, and the mean error of the logits falls with every second bit."""
    _, instance, mapping = case(1)
    data = images()
    sums = summing_layers(instance, mapping)
    exact = ConvertedNetwork(sums, Converter(8)).logits(data.test_images)
    errors = []
    for bits in range(2, 17, 2):
        network = ConvertedNetwork(sums, Converter(bits)).ranged(data.validation_images)
        errors.append(float(np.abs(network.logits(data.test_images) - exact).mean()))
        step = 2.0 / (2**bits - 2)
        values = np.linspace(-1.0, 1.0, 999)[None]
        read = Converter(bits).read(values, 1.0)
        assert np.abs(read - values).max() <= step / 2 + 1e-12 and 0.0 in Converter(bits).read(np.zeros((1, 1)), 1.0)
        assert len(np.unique(read)) == min(2**bits - 1, 999)
    assert all(after < before for before, after in pairwise(errors)), errors


def test_ranges_are_the_data_s_or_given() -> None:
    """By default no sum on the given images saturates and the largest is told; a smaller range cuts them off."""
    _, instance, mapping = case(1)
    data = images()
    layers = summing_layers(instance, mapping)
    network = ConvertedNetwork(layers, Converter(8)).ranged(data.validation_images)
    first = np.abs(data.validation_images.astype(float) @ layers[0].sums.T).max()
    assert network.ranges is not None and network.ranges[0] == pytest.approx(first)
    narrow = ConvertedNetwork(layers, Converter(8, (0.1,))).ranged(data.validation_images)
    assert narrow.ranges == (0.1, 0.1)
    assert np.abs(Converter(8).read(np.array([[-5.0, 0.03, 5.0]]), 0.1)).max() == pytest.approx(0.1)
    assert not Converter(8).read(np.ones((1, 2)), 0.0).any()
    with pytest.raises(InvalidOption, match="give one, or one per layer, 2, found 3"):
        ConvertedNetwork(layers, Converter(8, (1.0, 1.0, 1.0))).ranged(data.validation_images)
    with pytest.raises(InvalidOption, match="converter: bits must be"):
        Converter(1)


def test_one_layer_on_the_chip_has_the_only_converters() -> None:
    """The others of the network stay as trained: exactly what converting none of them gives."""
    network, instance, mapping = case(4)
    data = images()
    found = evaluate(instance.layers[1], mapping.layers[1], data, network, converter=Converter(5), reads=1)
    assert found.ranges is not None and found.ranges[0] == 0.0 and found.ranges[1] > 0
    trained = NetworkInstance(instance.layers, instance.biases)
    parts = summing_layers(trained, mapping)
    hidden = np.maximum(data.test_images @ network.layers[0].weights.T.astype(float) + network.layers[0].biases, 0.0)
    last = replace(ConvertedNetwork(parts[1:], Converter(5)), ranges=found.ranges[1:])
    quiet = replace(instance.layers[1], hardware=replace(instance.layers[1].hardware, variance=None))
    again = evaluate(quiet, mapping.layers[1], data, network, converter=Converter(5, (1.0, found.ranges[1])))
    assert again.mapped is not None
    assert again.mapped.test == measure(last, hidden, data.test_labels).accuracy


def test_convolutions_are_refused() -> None:
    """A converter behind a filter is not modelled, and says so."""
    network = random_of(Convolutional((1, 4, 4), (Convolution(2, 3),), (3,)))
    hardware = [Hardware(np.ones(layer.shape)) for layer in network.layers]
    instance = export_network(network, hardware)
    mapping = NetworkMapping(tuple(
        LayerMapping.from_cells(layer.target, np.arange(layer.n_rows), layer.target.indices.copy())
        for layer in instance.layers
    ))  # fmt: skip
    with pytest.raises(InvalidInstance, match="leave them out"):
        summing_layers(instance, mapping)
