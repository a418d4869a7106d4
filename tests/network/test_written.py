"""Networks written for others: torch, onnxruntime and the package nir compute what we do, from what is in the file."""

import nir
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.numpy import load_file

from matchopt.errors import Refused
from matchopt.instances.architecture import Convolution, Convolutional, FullyConnected, Recurrent
from matchopt.network import RealisedNetwork, read_network, to_torch, write_elsewhere

RNG = np.random.default_rng(8)
ARCHITECTURES = {
    "linear": FullyConnected((12, 9, 7, 4)),
    "maximum": Convolutional((2, 9, 9), (Convolution(4, 3, 1, 3, 2, overhang=True), Convolution(5, 2, 0, 2)), (6,), 3),
    "average": Convolutional((1, 8, 8), (Convolution(3, 3, 0, 2, average=True), Convolution(4, 3, 1)), (), 3),
    "normalised": Convolutional((2, 8, 8), (Convolution(4, 3, 1, normalise="batch"), Convolution(3, 3, pool=2)), (), 3),
    "response": Convolutional(
        (1, 8, 8),
        (Convolution(12, 3, normalise="response"), Convolution(12, 3, 0, 2, normalise="pooled-response")),
        (),
        3,
    ),
    "last": Recurrent(5, 6, 4, 3, "last"),
    "mean": Recurrent(5, 6, 4, 3, "mean"),
    "every": Recurrent(5, 6, 4, 3, "every"),
}
EXPRESSED = ("linear", "average")  # in NIR


def network_of(which):
    """A realised network: weights in double precision, statistics where there are some."""
    architecture = ARCHITECTURES[which]
    weights = tuple(RNG.standard_normal(shape) * shape[1] ** -0.5 for shape in architecture.matrices)
    biases = tuple(RNG.standard_normal(len(weight)) for weight in weights)
    buffers = {name: RNG.uniform(0.2, 2, shape) for name, shape in architecture.buffers.items()}
    return RealisedNetwork(weights, biases, architecture, buffers)


def samples_of(network):
    """Flattened samples, and as others take them."""
    architecture = network.architecture
    flat = RNG.standard_normal((7, architecture.n_inputs)).astype(np.float32)
    if isinstance(architecture, Convolutional):
        return flat, flat.reshape(7, *architecture.image)
    return flat, flat.reshape(7, 6, 5) if isinstance(architecture, Recurrent) else flat


@pytest.mark.parametrize("which", ARCHITECTURES)
def test_onnxruntime_computes_the_same(tmp_path, which):
    """Logits of the file in onnxruntime, and of the file read again, are those that were evaluated, to 1e-5."""
    network, path = network_of(which), tmp_path / "net.onnx"
    write_elsewhere(path, network, ["layer.a", "b", "c", "d"][: len(network.weights)])
    onnx.checker.check_model(onnx.load(path), full_check=True)
    flat, shaped = samples_of(network)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"input": shaped})
    expected = network.logits(flat)
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-5, atol=1e-5)
    if which != "response":
        again = read_network(path)
        np.testing.assert_allclose(again.logits(flat), expected, rtol=1e-5, atol=1e-5)
        assert again.record.config["names"][0] == "layer.a"


@pytest.mark.parametrize("which", ARCHITECTURES)
@pytest.mark.parametrize("ending", [".pt", ".safetensors"])
def test_torch_computes_the_same(tmp_path, which, ending):
    """A state dict fits the module that `to_torch` gives, whose logits are those that were evaluated, to 1e-5."""
    network, path = network_of(which), tmp_path / f"net{ending}"
    write_elsewhere(path, network)
    read = torch.load(path) if ending == ".pt" else {name: torch.tensor(x) for name, x in load_file(path).items()}
    module = to_torch(network)
    for parameter in module.parameters():
        parameter.data.zero_()
    module.load_state_dict(read)
    flat, shaped = samples_of(network)
    with torch.no_grad():
        found = module(torch.tensor(shaped)).numpy()
    expected = network.logits(flat)
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-5, atol=1e-5)


def walked(graph, signal):
    """What a NIR graph computes by its definition, marked neurons being ReLUs; by torch, without matchopt."""
    following = dict(graph.edges)
    name = following["input"]
    while name != "output":
        node = graph.nodes[name]
        if isinstance(node, nir.Affine):
            signal = torch.nn.functional.linear(signal, torch.tensor(node.weight), torch.tensor(node.bias))
        elif isinstance(node, nir.Conv2d):
            assert tuple(node.stride) == tuple(node.dilation) == (1, 1)
            assert node.groups == 1
            weight, bias = torch.tensor(node.weight), torch.tensor(node.bias)
            signal = torch.nn.functional.conv2d(signal, weight, bias, padding=tuple(map(int, node.padding)))
        elif isinstance(node, nir.AvgPool2d):
            signal = torch.nn.functional.avg_pool2d(
                signal, tuple(node.kernel_size.tolist()), tuple(node.stride.tolist())
            )
        elif isinstance(node, nir.IF):
            assert node.metadata["activation"] in (b"relu", "relu")
            assert tuple(node.v_threshold.shape) == tuple(signal.shape[1:])
            signal = signal.relu()
        else:
            assert isinstance(node, nir.Flatten)
            signal = signal.flatten(1)
        name = following[name]
    return signal.numpy()


@pytest.mark.parametrize("which", EXPRESSED)
def test_nir_says_the_same(tmp_path, which):
    """The package nir reads the graph, with its types checked; what it says is what was evaluated, to 1e-5."""
    network, path = network_of(which), tmp_path / "net.nir"
    write_elsewhere(path, network)
    flat, shaped = samples_of(network)
    expected = network.logits(flat)
    found = walked(nir.read(path), torch.tensor(shaped))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(read_network(path).logits(flat), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("which", sorted(set(ARCHITECTURES) - {*EXPRESSED, "normalised"}))
def test_what_nir_cannot_say(tmp_path, which):
    """NIR has no maximum pooling, no response normalisation and no LSTM; the sentence says what to write instead."""
    with pytest.raises(Refused, match=r"NIR has no .* write it as \.onnx"):
        write_elsewhere(tmp_path / "net.nir", network_of(which))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", [".onnx", ".nir", ".safetensors", ".pt"])
@pytest.mark.parametrize(
    "names", [("fc1", "fc2", "head"), ("1", "3", "5"), ("input", "hidden", "output"), ("a/b", "c", "d")]
)
def test_round_trips_keep_every_bit(tmp_path, ending, names):
    """Out and in again, weights in single precision are the same bits, whatever layers are called."""
    network, path = network_of("linear"), tmp_path / f"net{ending}"
    write_elsewhere(path, network, names)
    again = read_network(path)
    kept = tuple(name.replace("/", ".") for name in names) if ending == ".nir" else names
    assert tuple(again.record.config["names"]) == kept
    for found, weight, bias, before in zip(again.weights, network.weights, network.biases, again.biases, strict=True):
        np.testing.assert_array_equal(found, weight.astype(np.float32))
        np.testing.assert_array_equal(before, bias.astype(np.float32))


def test_an_ending_that_names_nothing(tmp_path):
    """The sentence lists the endings there are."""
    with pytest.raises(Refused, match=r"end it in \.onnx, \.nir"):
        write_elsewhere(tmp_path / "net.keras", network_of("linear"))
