import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matchopt.checker import check
from matchopt.errors import InvalidInstance, InvalidSolution, UnknownName
from matchopt.instances import FunctionalError, OutputError, TaskLoss, WeightError
from matchopt.instances.imperfections import Imperfections
from matchopt.instances.layer import LayerMapping
from matchopt.instances.network import NetworkMapping
from matchopt.instances.rules import Rules
from matchopt.network.export import draw_hardware, export_network, layer_targets
from matchopt.network.objectives import compact_images
from matchopt.network.realised import realise, unmapped

from .networks import RECORD, random_network

INPUTS = np.random.default_rng(8).random((40, 6))


def in_order(instance):
    """The mapping that gives target neuron i hardware neuron i and its e-th connection cell e."""
    layers = []
    for layer in instance.layers:
        target = layer.target
        cells = np.arange(target.n_connections) - target.indptr[target.row_of]
        layers.append(LayerMapping.from_cells(target, np.arange(target.n_rows), cells))
    return NetworkMapping(tuple(layers))


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(["free", "hardware"]), st.integers(0, 2**32))
def test_unmapped_instance_is_the_network(biases, seed):
    """Targets and biases of the instance make the logits of the network, biases free or mapped."""
    network = random_network((6, 7, 4), seed=seed)
    instance = export_network(network, draw_hardware(network, "gaussian", 1.5, 2.0, seed, biases=biases), biases=biases)
    np.testing.assert_allclose(unmapped(instance).logits(INPUTS), network.logits(INPUTS), rtol=1e-4, atol=1e-5)
    assert (instance.biases is None) == (biases == "hardware")
    assert instance.data == RECORD.data


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(["free", "hardware"]), st.integers(0, 2**32))
def test_realised_network_is_what_the_instance_computes(biases, seed):
    """Realised logits equal the instance's own forward pass with its realised matrices."""
    network = random_network((6, 7, 4), seed=seed)
    instance = export_network(network, draw_hardware(network, "uniform", 1.0, 1.0, seed, biases=biases), biases=biases)
    mapping = in_order(instance)
    full = [layer.realised(part) for layer, part in zip(instance.layers, mapping.layers, strict=True)]
    np.testing.assert_allclose(realise(instance, mapping).logits(INPUTS), instance.logits(full, INPUTS), rtol=1e-12)


@pytest.mark.parametrize("biases", ["free", "hardware"])
def test_perfect_hardware_realises_the_network(biases):
    """A chip that has exactly the trained weights gives the logits of the network."""
    network = random_network((6, 7, 4))
    chip = []
    for target in layer_targets(network, biases):
        cells = np.zeros((target.n_rows, int(target.fan_in.max())))
        for i in range(target.n_rows):
            row = target.weights[target.row(i)]
            cells[i, : len(row)] = row
        chip.append(type(draw_hardware(network, "binary", 1.0, 1.0, 0)[0])(cells))
    instance = export_network(network, chip, biases=biases)
    mapping = in_order(instance)
    assert instance.value(mapping) == 0.0
    np.testing.assert_allclose(realise(instance, mapping).logits(INPUTS), network.logits(INPUTS), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("biases", ["free", "hardware"])
def test_output_error_is_the_measured_error_of_the_outputs(biases):
    """In the first layer, the objective with second moments is the mean squared error of the pre-activations."""
    network = random_network((6, 7, 4))
    chip = draw_hardware(network, "gaussian", 1.0, 1.0, 3, biases=biases)
    instance = export_network(network, chip, objective="output-error", sample_inputs=INPUTS, biases=biases)
    first, part = instance.layers[0], in_order(instance).layers[0]
    inputs = INPUTS if biases == "free" else np.column_stack([INPUTS, np.ones(len(INPUTS))])
    error = inputs @ (first.target.dense() - first.realised(part)).T
    assert first.value(part) == pytest.approx((error**2).sum(axis=1).mean())
    hidden = np.maximum(INPUTS @ network.layers[0].weights.T + network.layers[0].biases, 0)
    moments = instance.layers[1].objective
    assert isinstance(moments, OutputError)
    np.testing.assert_allclose(moments.second_moments[:7, :7], hidden.T @ hidden / 40, rtol=1e-5, atol=1e-7)


PIXELS = np.random.default_rng(9).integers(0, 256, (40, 6), dtype=np.uint8)


def test_objectives_of_the_network_embed_their_samples_as_they_are():
    """Bytes stay bytes; the layers minimise the weight error unless told; labels go with the task loss."""
    network, labels = random_network(), np.zeros(40, int)
    given = {"sample_inputs": PIXELS, "sample_scale": 1 / 255}
    functional = export_network(network, CHIP, objective="functional-error", **given)
    assert isinstance(functional.objective, FunctionalError)
    assert functional.objective.inputs.dtype == np.uint8 and functional.objective.scale == 1 / 255
    assert all(isinstance(layer.objective, WeightError) for layer in functional.layers)
    task = export_network(
        network, CHIP, objective="task-loss", layer_objective="output-error", sample_labels=labels, **given
    )
    assert isinstance(task.objective, TaskLoss) and np.array_equal(task.objective.labels, labels)
    plain = export_network(network, CHIP, objective="output-error", sample_inputs=PIXELS / 255)
    assert plain.objective is None
    for one, other in zip(task.layers, plain.layers, strict=True):
        np.testing.assert_allclose(one.objective.second_moments, other.objective.second_moments, rtol=1e-12)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32))
def test_the_centred_output_error_is_what_adjusted_biases_leave(seed):
    """In the first layer: the mean squared error of the signals once each bias has taken up its row's mean error."""
    network = random_network((6, 7, 4), seed=seed)
    chip = draw_hardware(network, "gaussian", 1.0, 1.0, seed)
    options = {"objective": "output-error", "sample_inputs": INPUTS + 5.0, "biases": "adjustable"}
    instance = export_network(network, chip, centred=True, **options)
    layer, part = instance.layers[0], in_order(instance).layers[0]
    error = (INPUTS + 5.0) @ (layer.target.dense() - layer.realised(part)).T
    assert layer.value(part) == pytest.approx(((error - error.mean(axis=0)) ** 2).sum(axis=1).mean(), rel=1e-8)
    whole = export_network(network, chip, **options).layers[0]
    assert whole.value(part) == pytest.approx((error**2).sum(axis=1).mean())


def test_adjusted_biases_and_tuned_values_are_realised():
    """The realised network has the mapping's biases and tuned values, and agrees with the instance's forward pass."""
    network = random_network((6, 7, 4))
    instance = export_network(network, CHIP_7, biases="adjustable", rules=Rules(tunable=2))
    assert instance.adjustable and instance.biases is not None
    plain = in_order(instance)
    cells = [
        np.arange(layer.target.n_connections) - layer.target.indptr[layer.target.row_of] for layer in instance.layers
    ]
    cells[0][[0, 3]] = -1
    first = LayerMapping.from_cells(
        instance.layers[0].target, np.arange(7), cells[0], None, np.array([0, 3]), np.array([9.0, -8.0])
    )
    mapping = NetworkMapping((first, plain.layers[1]), (instance.biases[0] + 1.0, instance.biases[1]))
    assert check(instance, mapping).feasible
    found = realise(instance, mapping)
    assert np.array_equal(found.biases[0], instance.biases[0] + 1.0)
    target = instance.layers[0].target
    assert [found.weights[0][target.row_of[e], target.indices[e]] for e in (0, 3)] == [9.0, -8.0]
    wanted = instance.logits(found.weights, INPUTS, mapping.biases)
    np.testing.assert_allclose(found.logits(INPUTS), wanted, rtol=1e-12)
    assert not np.allclose(found.logits(INPUTS), realise(instance, plain).logits(INPUTS))
    hardware = export_network(
        network, draw_hardware(network, "gaussian", 2.0, 1.0, 0, biases="hardware"), biases="hardware"
    )
    with pytest.raises(InvalidSolution, match="those of the instance are hardware weights"):
        realise(hardware, NetworkMapping(in_order(hardware).layers, mapping.biases))


def test_images_become_bytes_where_that_loses_nothing():
    """n/255 in single precision are bytes with a factor; anything else stays."""
    images = PIXELS.astype(np.float32) / np.float32(255)
    kept, scale = compact_images(images)
    assert np.array_equal(kept, PIXELS) and kept.dtype == np.uint8 and scale == 1 / 255
    for other in (images * np.float32(0.7), images * 2, -images):
        kept, scale = compact_images(other)
        assert kept is other and scale == 1.0


@pytest.mark.parametrize(
    ("ratio", "cells"), [(0.5, [2, 2]), (1.0, [4, 4]), (1.25, [5, 5]), (1.1, [5, 5]), (4.0, [16, 16])]
)
def test_size_of_drawn_hardware(ratio, cells):
    """K is the ratio times the largest fan-in, rounded up, M likewise; the scale is the rms of the target weights."""
    rng = np.random.default_rng(0)
    mask = np.zeros((10, 40), bool)
    mask[:, :4] = True
    second = np.zeros((5, 10), bool)
    second[0, :4] = True
    network = type(random_network()).from_arrays([3.0 * rng.standard_normal((10, 40)) * mask, second * 2.0])
    chip = draw_hardware(network, "binary", ratio, 1.5, 0)
    assert [layer.n_cells for layer in chip] == cells
    assert [layer.n_neurons for layer in chip] == [15, 8]
    used = network.layers[0].weights[mask].astype(np.float64)
    np.testing.assert_allclose(np.abs(chip[0].weights), np.sqrt(np.mean(used**2)))
    np.testing.assert_allclose(np.abs(chip[1].weights), 2.0)


def test_draws_repeat_by_seed_and_layers_differ():
    """Equal seeds give equal chips, other seeds others, and no two layers share their draws."""
    network = random_network((6, 6, 6), share=1.0)
    one, two, other = (draw_hardware(network, "gaussian", 1.0, 1.0, seed) for seed in (5, 5, 6))
    assert np.array_equal(one[0].weights, two[0].weights)
    assert not np.array_equal(one[0].weights, other[0].weights)
    assert np.abs(np.corrcoef(one[0].weights.ravel(), one[1].weights.ravel())[0, 1]) < 0.9


def test_imperfections_reach_the_chip():
    """Noise, faults and buses are passed on to the generator."""
    network = random_network()
    flaws = Imperfections(read_noise=0.1, bad_cells=0.3, leak=0.01, neurons_per_bus=2)
    chip = draw_hardware(network, "gaussian", 2.0, 2.0, 0, imperfections=flaws)
    assert chip[0].variance.min() > 0
    assert not chip[0].usable.all()
    assert np.allclose(chip[0].off, 0.01 * chip[0].weights)
    assert len(np.unique(chip[0].bus)) == 5


def test_hard_wired_cells_are_those_of_each_input_in_order():
    """As many on each input of the layer as asked for, hardware biases included, whatever its fan-in."""
    network = random_network()
    chip = draw_hardware(network, "gaussian", 9.9, 2.0, 0, biases="hardware", hard_wired=3)
    for layer, target in zip(chip, layer_targets(network, "hardware"), strict=True):
        assert layer.weights.shape == (2 * target.n_rows, 3 * target.n_inputs)
        assert (layer.input == np.repeat(np.arange(target.n_inputs), 3)).all()


def test_samples_and_rules_go_into_the_instance():
    """Rules are per layer or common; samples are embedded when asked for."""
    network = random_network()
    chip = draw_hardware(network, "gaussian", 1.0, 1.0, 0)
    rules = (Rules(drop=True), Rules())
    instance = export_network(network, chip, rules=rules, sample_inputs=INPUTS, embed_samples=True)
    assert [layer.rules.drop for layer in instance.layers] == [True, False]
    assert np.array_equal(instance.samples, INPUTS)
    assert export_network(network, chip, rules=Rules(drop=True)).layers[1].rules.drop


CHIP = draw_hardware(random_network(), "gaussian", 1.0, 1.0, 0)
CHIP_7 = draw_hardware(random_network((6, 7, 4)), "gaussian", 1.0, 1.0, 0)
CENTRED = {"centred": True, "sample_inputs": INPUTS}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hardware": CHIP[:1]}, "hardware: one per layer is needed, 2, found 1"),
        ({"hardware": CHIP[::-1]}, "5 target neurons need as many hardware neurons, found 4"),
        ({"rules": [Rules()]}, "rules: one per layer"),
        ({"objective": "output-error"}, "needs at least one sample"),
        ({"objective": "output-error", "sample_inputs": np.ones((2, 5))}, "must have 6 columns, found 5"),
        ({"embed_samples": True}, "needed to embed samples"),
        ({"objective": "functional-error"}, "functional-error needs at least one sample"),
        ({"objective": "task-loss", "sample_inputs": INPUTS}, "task-loss needs the class of every sample"),
        ({"objective": "functional-error", "sample_inputs": INPUTS[:, :5]}, "must have 6 columns, found 5"),
        ({"layer_objective": "output-error", "sample_inputs": INPUTS}, "layers that add up minimise the objective"),
        (CENTRED, "centred: belongs to output-error with digital biases, found weight-error"),
        (CENTRED | {"objective": "output-error", "biases": "hardware"}, "found hardware biases"),
    ],
)
def test_export_that_does_not_fit_is_refused(options, message):
    """One sentence names what is missing or does not fit."""
    with pytest.raises(InvalidInstance, match=message):
        export_network(**({"network": random_network(), "hardware": CHIP} | options))


@pytest.mark.parametrize(
    ("law", "fan_in", "neurons", "error", "message"),
    [
        ("gaussian", 0.0, 1.0, InvalidInstance, "fan_in_ratio must be a finite number > 0"),
        ("gaussian", float("nan"), 1.0, InvalidInstance, "fan_in_ratio must be a finite number > 0"),
        ("gaussian", 1.0, 0.9, InvalidInstance, "neuron_ratio must be a finite number >= 1"),
        ("gausian", 1.0, 1.0, UnknownName, "did you mean 'gaussian'"),
    ],
)
def test_impossible_hardware_is_refused(law, fan_in, neurons, error, message):
    """Ratios and laws are checked."""
    with pytest.raises(error, match=message):
        draw_hardware(random_network(), law, fan_in, neurons, 0)


def test_mapping_of_another_depth_is_refused():
    """A mapping must have one part per layer."""
    instance = export_network(random_network(), CHIP)
    with pytest.raises(InvalidSolution, match="the instance has 2, the mapping 1"):
        realise(instance, NetworkMapping(in_order(instance).layers[:1]))
