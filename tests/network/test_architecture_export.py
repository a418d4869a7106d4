"""Convolutional and recurrent networks on a chip: what is exported, weighed and realised."""

import numpy as np
import pytest

from matchopt.formats import read_instance, write
from matchopt.instances import Hardware, OutputError, WeightError
from matchopt.instances.architecture import Convolution, Convolutional, Recurrent
from matchopt.network.export import draw_hardware, export_network, layer_targets
from matchopt.network.realised import realise, unmapped

from .networks import random_of
from .test_export import in_order

CNN = Convolutional(
    (2, 6, 6), (Convolution(3, 3, 1, 2, normalise="batch"), Convolution(12, 2, normalise="response")), (5,), 3
)
LSTM = Recurrent(3, 4, 5, 2, "every")
BOTH = pytest.mark.parametrize("architecture", [CNN, LSTM], ids=["cnn", "lstm"])
BIASES = pytest.mark.parametrize("biases", ["free", "hardware"])


def inputs_of(architecture, count=7):
    return np.random.default_rng(3).random((count, architecture.n_inputs)).astype(np.float32)


def perfect(network, biases):
    """A chip whose neuron i holds the weights of row i, in order."""
    chip = []
    for target in layer_targets(network, biases):
        cells = np.zeros((target.n_rows, int(target.fan_in.max())))
        for i in range(target.n_rows):
            row = target.weights[target.row(i)]
            cells[i, : len(row)] = row
        chip.append(Hardware(cells))
    return chip


@BOTH
@BIASES
def test_perfect_hardware_realises_the_network(architecture, biases):
    """Every filter and gate row is a neuron; with the right weights the logits are those of the network."""
    network, inputs = random_of(architecture), inputs_of(architecture)
    instance = export_network(network, perfect(network, biases), biases=biases)
    assert [layer.n_rows for layer in instance.layers] == [rows for rows, _ in architecture.matrices]
    mapping = in_order(instance)
    assert instance.value(mapping) == 0.0
    for found in (realise(instance, mapping), unmapped(instance)):
        np.testing.assert_allclose(found.logits(inputs), network.logits(inputs), rtol=1e-4, atol=1e-5)


def test_fan_in_of_filters_and_gates():
    """A filter has at most k*k*c_in connections, a gate row n_x + n_h; the chip's cells follow from them."""
    cnn, lstm = random_of(CNN, share=1.0), random_of(LSTM, share=1.0)
    assert [int(fan_in.max()) for fan_in in cnn.fan_in] == [18, 12, 48, 5]
    assert [int(fan_in.max()) for fan_in in lstm.fan_in] == [8, 5]
    chip = draw_hardware(cnn, "gaussian", 1.5, 2.0, 0)
    assert [(layer.n_neurons, layer.n_cells) for layer in chip] == [(6, 27), (24, 18), (10, 72), (6, 8)]


@BOTH
@BIASES
def test_output_error_is_the_measured_error_on_patches_and_frames(architecture, biases):
    """With errors in the first matrix only, its objective is the mean squared error of its pre-activations.

    For the gates this holds while they hear what they heard in the target network; so the error is measured there.
    """
    network, inputs = random_of(architecture), inputs_of(architecture, 40)
    chip = draw_hardware(network, "gaussian", 1.0, 1.0, 3, biases=biases)
    instance = export_network(network, chip, objective="output-error", sample_inputs=inputs, biases=biases)
    first, part = instance.layers[0], in_order(instance).layers[0]
    received = network.layer_inputs(inputs)[0]
    if isinstance(architecture, Recurrent):
        frames = inputs.reshape(-1, architecture.n_features)
        np.testing.assert_array_equal(received[:, : architecture.n_features], frames)
        assert not received[:: architecture.frames, architecture.n_features :].any()
    if biases == "hardware":
        received = np.column_stack([received, np.ones(len(received))])
    error = received @ (first.target.dense() - first.realised(part)).T
    assert first.value(part) == pytest.approx((error**2).sum(axis=1).mean())
    assert all(isinstance(layer.objective, OutputError) for layer in instance.layers)


def test_error_of_a_filter_is_that_of_its_image():
    """Seen from outside: the mean squared error over all positions of what the convolution puts out."""
    plain = Convolutional((1, 5, 5), (Convolution(2, 3),), (), 2)
    network, inputs = random_of(plain, share=1.0), inputs_of(plain, 30)
    chip = draw_hardware(network, "gaussian", 1.0, 1.0, 3)
    instance = export_network(network, chip, objective="output-error", sample_inputs=inputs)
    layer, part = instance.layers[0], in_order(instance).layers[0]
    difference = (layer.target.dense() - layer.realised(part)).reshape(2, 3, 3)
    total = 0.0
    for image in inputs.reshape(-1, 5, 5):
        for y in range(3):
            for x in range(3):
                total += ((difference * image[y : y + 3, x : x + 3]).sum(axis=(1, 2)) ** 2).sum()
    assert layer.value(part) == pytest.approx(total / (30 * 9))


def test_positions_are_bounded():
    """Second moments are measured on at most so many patches; the draw is the same every time."""
    network, inputs = random_of(CNN), inputs_of(CNN, 20)
    whole = network.layer_inputs(inputs)
    assert [len(rows) for rows in whole] == [20 * 36, 20 * 4, 20, 20]
    some, again = network.layer_inputs(inputs, 100), network.layer_inputs(inputs, 100)
    assert [len(rows) for rows in some] == [100, 80, 20, 20]
    assert all(np.array_equal(a, b) for a, b in zip(some, again, strict=True))
    np.testing.assert_allclose(some[0].mean(), whole[0].mean(), rtol=0.1)


@BOTH
def test_errors_of_a_mapping_change_the_logits(architecture):
    """A realised network computes with its realised weights, running statistics and biases as exported."""
    network, inputs = random_of(architecture, share=1.0), inputs_of(architecture)
    instance = export_network(network, draw_hardware(network, "uniform", 1.0, 1.0, 0))
    assert all(isinstance(layer.objective, WeightError) for layer in instance.layers)
    mapping = in_order(instance)
    found = realise(instance, mapping)
    full = [layer.realised(part) for layer, part in zip(instance.layers, mapping.layers, strict=True)]
    assert all(np.array_equal(a, b) for a, b in zip(found.weights, full, strict=True))
    assert np.abs(found.logits(inputs) - network.logits(inputs)).max() > 0.01


def test_labels_of_frames_go_into_the_instance_and_a_file(tmp_path):
    """A network that answers after every frame has a label for each; -1 for those that do not count."""
    network = random_of(LSTM)
    inputs = inputs_of(LSTM, 3)
    labels = np.array([[0, 1, -1, 1], [-1, -1, 0, 0], [1, 0, 1, 0]])
    chip = draw_hardware(network, "gaussian", 1.0, 1.0, 0)
    instance = export_network(network, chip, objective="task-loss", sample_inputs=inputs, sample_labels=labels)
    write(instance, tmp_path / "a.matchopt")
    again = read_instance(tmp_path / "a.matchopt")
    assert np.array_equal(again.objective.labels, labels)
    assert again.value(in_order(again)) == pytest.approx(instance.value(in_order(instance)))
