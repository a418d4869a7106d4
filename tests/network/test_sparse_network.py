import numpy as np
import pytest
import torch

from matchopt.errors import InvalidInstance
from matchopt.instances.architecture import Convolution, Convolutional, FullyConnected, Recurrent
from matchopt.instances.target import Target
from matchopt.network import forward
from matchopt.network.sparse_network import SparseLayer, SparseNetwork, TrainingRecord

from .networks import random_network, random_of


def test_logits_are_those_of_torch():
    """The numpy forward pass equals torch's linear layers with ReLU between them."""
    network = random_network((7, 6, 5, 3))
    inputs = np.random.default_rng(1).random((11, 7))
    hidden = torch.tensor(inputs, dtype=torch.float32)
    for number, layer in enumerate(network.layers):
        hidden = torch.relu(hidden) if number else hidden
        hidden = torch.nn.functional.linear(hidden, torch.tensor(layer.weights), torch.tensor(layer.biases))
    np.testing.assert_allclose(network.logits(inputs), hidden.numpy(), rtol=1e-5, atol=1e-6)


CNN = Convolutional((1, 6, 6), (Convolution(2, 3, pool=2, normalise="batch"),), (5,), 3)


def test_architecture_of_layers_is_a_chain():
    """Without an architecture the layers are fully connected, and it says so."""
    network = random_network((7, 6, 3))
    assert network.architecture == FullyConnected((7, 6, 3))
    assert network.fully_connected and not network.buffers


@pytest.mark.parametrize("architecture", [CNN, Recurrent(3, 4, 5, 2), Recurrent(3, 4, 5, 2, "every")])
def test_other_architectures_run_forward(architecture):
    """Logits are those of the architecture's forward pass; numpy in, numpy out; the record stays replaceable."""
    network = random_of(architecture).with_record(TrainingRecord("again"))
    inputs = np.random.default_rng(1).random((4, architecture.n_inputs))
    parts = ([x.weights for x in network.layers], [x.biases for x in network.layers], network.buffers)
    found = network.logits(inputs)
    weights, biases, buffers = forward.as_tensors(*parts)
    expected = forward.logits(architecture, weights, biases, torch.tensor(inputs).float(), buffers=buffers)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-6)
    assert found.dtype == np.float32
    assert network.widths == (architecture.n_inputs, *(rows for rows, _ in architecture.matrices))


def test_counts_of_connections():
    """Widths, fan-in and connectivity count the mask, not the non-zero weights."""
    mask = np.array([[True, False, True], [False, False, True]])
    network = SparseNetwork.from_arrays([np.where(mask, [0.0, 1.0, 2.0], 0.0)], masks=[mask])
    assert network.widths == (3, 2)
    assert network.fan_in[0].tolist() == [2, 1]
    assert (network.n_connections, network.connectivity) == (3, 0.5)


def test_without_masks_zero_is_no_connection():
    """A zero weight is no connection unless a mask says otherwise; weights that vanish in single precision neither."""
    network = SparseNetwork.from_arrays([np.array([[0.0, 1.0, -1e-60]])])
    assert network.layers[0].mask.tolist() == [[False, True, False]]
    assert not network.layers[0].biases.any()


def test_arrays_are_copies_and_read_only():
    """Later changes of what it was made from do not reach a network, nor can its own arrays be changed."""
    weights = np.ones((2, 2), np.float32)
    network = SparseNetwork.from_arrays([weights])
    weights[:] = 5
    assert network.layers[0].weights.max() == 1
    with pytest.raises(ValueError, match="read-only"):
        network.layers[0].weights[0, 0] = 2


def test_a_layer_is_a_target_and_biases():
    """Weights are rounded to single precision; the full matrices are what the target says."""
    target = Target(np.array([0, 2, 2]), np.array([0, 2]), np.array([0.1, 0.0]), 3)
    layer = SparseLayer(target, np.array([0.3, 0.0]))
    assert layer.target.weights.tolist() == [float(np.float32(0.1)), 0.0]
    assert layer.mask.tolist() == [[True, False, True], [False] * 3]
    assert (layer.weights.dtype, layer.biases.dtype, layer.shape) == (np.float32, np.float32, (2, 3))
    assert np.array_equal(layer.weights, layer.target.dense())
    single = SparseLayer(layer.target, layer.biases)
    assert single.target is layer.target


EYE = np.eye(2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SparseNetwork.from_arrays([]), "at least one layer"),
        (lambda: SparseNetwork.from_arrays([EYE, np.ones((2, 3))]), "layers.1: must take 2 inputs"),
        (lambda: SparseNetwork.from_arrays([np.ones((0, 2))]), r"needs a unit and an input, found widths \(2, 0\)"),
        (lambda: SparseNetwork.from_arrays([EYE * np.nan]), "layers.0.weights must be finite"),
        (lambda: SparseNetwork.from_arrays([EYE * 1e39]), "must fit single precision"),
        (lambda: SparseNetwork.from_arrays([EYE], [np.zeros(3)]), "layers.0.biases must have shape"),
        (lambda: SparseLayer(Target.from_dense(EYE, importance=2 * EYE), np.zeros(2)), "all count alike"),
        (lambda: SparseLayer(Target.from_dense(EYE * 1e39), np.zeros(2)), "weights must fit single precision"),
        (lambda: SparseNetwork.from_arrays([EYE, EYE], [np.zeros(2)]), "layers.1: biases or mask missing, 2 layers"),
        (lambda: SparseNetwork.from_arrays([np.ones(3)]), "must have 2 dimension"),
        (lambda: SparseLayer.from_dense(EYE, EYE == 5), "row 0: input 0 has weight 1.0 and no connection"),
        (
            lambda: SparseNetwork.from_arrays([EYE], architecture=FullyConnected((2, 3))),
            r"shapes \(\(3, 2\),\), found \(\(2, 2\),\)",
        ),
        (lambda: SparseNetwork.from_arrays([EYE], buffers={"mean.0": np.zeros(2)}), "buffers: 'mean.0' is unknown"),
        (lambda: SparseNetwork(random_of(CNN).layers, architecture=CNN), "buffers: 'mean.0' is missing"),
        (
            lambda: SparseNetwork(
                random_of(CNN).layers, architecture=CNN, buffers={"mean.0": np.zeros(2), "variance.0": -np.ones(2)}
            ),
            "buffers.variance.0 must be >= 0",
        ),
        (
            lambda: TrainingRecord(test_accuracy=97.0),
            "record: test_accuracy must be a number >= 0 and <= 1 or none, found 97",
        ),
    ],
)
def test_what_is_no_network_is_refused(make, message):
    """One sentence names the layer, the field and what was found."""
    with pytest.raises(InvalidInstance, match=message):
        make()
