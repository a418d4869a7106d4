import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matchopt.errors import InvalidInstance, InvalidOption, UnknownName
from matchopt.instances.architecture import Convolution, Convolutional, FullyConnected, Recurrent, architecture_from
from matchopt.instances.architecture_names import (
    NAMED,
    architecture_named,
    conv2,
    conv4,
    conv6,
    deep_rewiring_cifar,
    mnist_cnn,
    vgg19,
)

CNN = Convolutional((1, 6, 6), (Convolution(2, 3, 1, 2),), (5,), 3)


def test_network_of_deep_rewiring_has_the_published_weights():
    """The TensorFlow tutorial's network on 24 x 24 crops: 1,067,584 weights, layer by layer."""
    network = deep_rewiring_cifar()
    assert [m * n for m, n in network.matrices] == [4_800, 102_400, 884_736, 73_728, 1_920]
    assert network.n_weights == 1_067_584
    assert (network.n_inputs, network.n_classes, network.n_flat) == (1728, 10, 2304)
    assert network.stages() == (((64, 24, 24), (64, 12, 12)), ((64, 12, 12), (64, 6, 6)))


def test_networks_of_slot_machines_have_the_authors_sizes():
    """Flat inputs as in the authors' code (CONV-2/4 unpadded, CONV-6 padded at the end); VGG-19 has 16 convolutions."""
    assert [make().n_flat for make in (conv2, conv4, conv6, vgg19)] == [12_544, 3_200, 1_024, 512]
    assert [rows for rows, _ in conv6().matrices] == [64, 64, 128, 128, 256, 256, 256, 256, 10]
    big = vgg19()
    assert len(big.convolutions) == 16
    assert big.n_weights == 20_018_880 + 5_120  # the published 20.0 million
    assert big.buffers["mean.15"] == big.buffers["variance.15"] == (512,)
    assert not conv2().buffers


def test_matrices_of_recurrent_and_connected_networks():
    """Gates are four rows per cell over features and cells; units listen to the whole layer before."""
    assert Recurrent(13, 64, 128, 10).matrices == ((512, 141), (10, 128))
    assert Recurrent(13, 64, 128, 10).n_inputs == 832
    assert FullyConnected((784, 300, 100, 10)).n_weights == 266_200


architectures = st.one_of(
    st.builds(FullyConnected, st.lists(st.integers(1, 9), min_size=2, max_size=4).map(tuple)),
    st.builds(
        Recurrent,
        st.integers(1, 9),
        st.integers(1, 9),
        st.integers(1, 9),
        st.integers(1, 9),
        st.sampled_from(["last", "mean", "every"]),
    ),
    st.builds(
        lambda stages, dropout: Convolutional((2, 20, 20), tuple(stages), (4,), 3, dropout),
        st.lists(
            st.builds(
                Convolution,
                st.integers(1, 4),
                st.integers(2, 3),
                st.integers(0, 1),
                st.integers(0, 2),
                st.integers(0, 2),
                st.sampled_from(["none", "batch", "response", "pooled-response"]),
                st.booleans(),
                st.booleans(),
            ),
            min_size=1,
            max_size=2,
        ),
        st.sampled_from([0, 0.5]),
    ),
)


@given(architectures)
def test_facts_read_back_equal(architecture):
    """Facts survive JSON, and there is one name for every matrix."""
    assert architecture_from(json.loads(json.dumps(architecture.facts()))) == architecture
    assert architecture.matrices[-1][0] == architecture.n_classes


STAGE = Convolution(2, 3, 1, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FullyConnected((3,)), "widths must be a list of 2 or more"),
        (lambda: FullyConnected((3, -1)), "widths.1 must be a whole number >= 0 and <= 16777216, found -1"),
        (lambda: FullyConnected((3, True)), "whole number"),
        (lambda: FullyConnected((3, 2**40)), "widths.1 must be a whole number >= 0 and <= 16777216"),
        (lambda: Convolution(2, 3, 3), "padding must be below the size"),
        (lambda: Convolution(2, 3, normalise="layer"), "one of none, batch, response, pooled-response"),
        (lambda: Convolutional((1, 6), (STAGE,)), "image must be a list of 3 whole numbers >= 1"),
        (lambda: Convolutional((1, 6, 6), ()), "convolutions must be a list of 1 or more"),
        (lambda: Convolutional((1, 6, 6), (STAGE,) * 3), "convolutions.2: nothing is left of the image"),
        (lambda: Convolutional((1, 6, 6), (STAGE,), dropout=1), "dropout must be a number >= 0 and < 1, found 1"),
        (lambda: Recurrent(1, 1, 1, 0), "n_classes must be a whole number"),
        (lambda: Recurrent(1, 1, 1, 1, "first"), "readout must be one of last, mean, every"),
        (lambda: architecture_from([]), "must be an object"),
        (lambda: architecture_from({"kind": "transformer"}), "one of fully-connected, convolutional, recurrent"),
        (lambda: architecture_from({"kind": "fully-connected"}), "architecture lacks widths"),
        (lambda: architecture_from({"kind": "fully-connected", "widths": 3}), "widths must be a list of 2 or more"),
        (lambda: architecture_from(CNN.facts() | {"more": 1}), "architecture: more is unknown"),
        (lambda: architecture_from(CNN.facts() | {"convolutions": [3]}), "convolutions.0 must be a table, found 3"),
        (lambda: architecture_from(CNN.facts() | {"convolutions": [{"size": 3}]}), "convolutions.0 lacks filters"),
    ],
)
def test_what_is_no_architecture_is_refused(make, message):
    """One sentence names the field."""
    with pytest.raises(InvalidInstance, match=message):
        make()


@pytest.mark.parametrize(
    ("text", "shape", "expected"),
    [
        ("mlp:784-300-100-10", (784,), FullyConnected((784, 300, 100, 10))),
        ("mnist-cnn", (1, 28, 28), mnist_cnn()),
        ("mnist-cnn", (784,), mnist_cnn()),
        ("conv2", (3, 32, 32), conv2()),
        ("lstm:13x64-128-10", (64, 13), Recurrent(13, 64, 128, 10)),
        ("lstm:128-every", (64, 13), Recurrent(13, 64, 128, 10, "every")),
        (
            "cnn:8c5b-m3s2-16c3p1-a2-drop0.25-64-10",
            (3, 32, 32),
            Convolutional(
                (3, 32, 32),
                (Convolution(8, 5, 0, 3, 2, "batch"), Convolution(16, 3, 1, 2, average=True)),
                (64,),
                10,
                0.25,
            ),
        ),
    ],
)
def test_text_form(text, shape, expected):
    """The text forms of the command line."""
    assert architecture_named(text, shape, 10) == expected


@pytest.mark.parametrize("name", NAMED)
def test_names_need_no_data(name):
    """Without data a name stands for its usual images."""
    assert architecture_named(name) == NAMED[name]()


@pytest.mark.parametrize(
    ("text", "shape", "error", "message"),
    [
        ("conv3", (3, 32, 32), UnknownName, "did you mean 'conv.*cnn:8c5-m2.*lstm:13x64"),
        ("gru:8", (64, 13), UnknownName, "unknown architecture 'gru:8'"),
        ("mlp:784-x-10", (784,), InvalidOption, "'x' is no whole number"),
        ("mlp:700-10", (784,), InvalidOption, "takes 700 inputs, the data have 784"),
        ("mlp:784-9", (784,), InvalidOption, "gives 9 classes, the data have 10"),
        ("conv2", (64, 13), InvalidOption, "needs images"),
        ("cnn:64-10", (784,), InvalidOption, "needs a convolution"),
        ("cnn:8c5-m2-m2-10", (784,), InvalidOption, "'m2' is no whole number"),
        ("cnn:8c5-drop1-10", (784,), InvalidOption, "like drop0.5"),
        ("vgg19", (1, 28, 28), InvalidOption, "nothing is left of the image"),
        ("cnn:3x28x28-8c5-10", (784,), InvalidOption, "takes 2352 inputs, the data have 784"),
        ("cnn:28x28-8c5-10", (784,), InvalidOption, "image must be a list of 3 whole numbers >= 1"),
        ("lstm:13-128", (64, 13), InvalidOption, "lstm:13x64-128-10"),
        ("lstm:64x13-128-10", (64, 13), InvalidOption, "takes 13 frames of 64 features, the data have 64 of 13"),
        ("lstm:", (64, 13), InvalidOption, "whole number"),
    ],
)
def test_text_that_does_not_fit_is_refused(text, shape, error, message):
    """One sentence; an unknown name lists what is known."""
    with pytest.raises(error, match=message):
        architecture_named(text, shape, 10)
