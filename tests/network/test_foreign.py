import io
import pickle
import zipfile

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from matchopt.errors import FormatError
from matchopt.instances.architecture import Convolution, Convolutional, Recurrent
from matchopt.network.foreign import read_network

from .networks import random_network, same


def arrays_of(network, stems=("fc1", "fc2", "fc10")):
    pairs = zip(stems, network.layers, strict=False)
    return {f"{stem}.{what}": getattr(layer, field).copy() for stem, layer in pairs
            for what, field in (("weight", "weights"), ("bias", "biases"))}  # fmt: skip


def full_support(network):
    """The network whose mask is its non-zero weights, as foreign files know no masks."""
    return type(network).from_arrays([x.weights for x in network.layers], [x.biases for x in network.layers])


NETWORK = full_support(random_network((6, 5, 4, 3)))


def test_torch_state_dict(tmp_path):
    """A state dict of a Sequential with ReLU between linear layers gives the same logits."""
    model = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3))
    torch.save(model.state_dict(), tmp_path / "a.pt")
    inputs = np.random.default_rng(0).random((7, 6)).astype(np.float32)
    expected = model(torch.tensor(inputs)).detach().numpy()
    np.testing.assert_allclose(read_network(tmp_path / "a.pt").logits(inputs), expected, rtol=1e-5, atol=1e-6)


def test_checkpoint_half_precision_and_no_bias(tmp_path):
    """A state dict inside a checkpoint is found; half precision is read, and missing biases are zero."""
    weight = torch.tensor([[0.5, 0.0], [0.0, -2.0]], dtype=torch.bfloat16)
    torch.save({"state_dict": {"weight": weight}, "epoch": 3}, tmp_path / "a.pt")
    layer = read_network(tmp_path / "a.pt").layers[0]
    assert layer.weights.tolist() == [[0.5, 0.0], [0.0, -2.0]]
    assert layer.mask.tolist() == [[True, False], [False, True]]
    assert layer.biases.tolist() == [0.0, 0.0]


def test_safetensors_state_dict(tmp_path):
    """Safetensors of others: layers in natural order of their numbers, 2 before 10."""
    save_file(arrays_of(NETWORK), tmp_path / "a.safetensors")
    assert same(read_network(tmp_path / "a.safetensors"), NETWORK)


@pytest.mark.parametrize("names", ["a.weight{} a.bias{}", "weights_{} biases_{}", "fc{}.weight fc{}.bias"])
def test_npz(tmp_path, names):
    """NumPy archives with the usual ways to number weights and biases."""
    names = names.split()
    arrays = {}
    for number, layer in enumerate(NETWORK.layers):
        arrays |= {names[0].format(number): layer.weights, names[1].format(number): layer.biases}
    np.savez(tmp_path / "a.npz", **arrays)
    assert same(read_network(tmp_path / "a.npz"), NETWORK)


def test_order_of_the_file_where_names_mislead(tmp_path):
    """Layers named input, hidden, output are in the file's own order."""
    stems = ("input", "hidden", "a_out")
    save = {f"{stem}.weight": layer.weights for stem, layer in zip(stems, NETWORK.layers, strict=True)}
    np.savez(tmp_path / "a.npz", **save)
    assert read_network(tmp_path / "a.npz").widths == (6, 5, 4, 3)


class Network(torch.nn.Module):
    """A convolutional network as people write them, names in no useful order."""

    def __init__(self, affine=False):
        super().__init__()
        self.first = torch.nn.Conv2d(2, 4, 3, padding=1)
        self.normal = torch.nn.BatchNorm2d(4, affine=affine)
        self.conv = torch.nn.Conv2d(4, 3, 3)
        self.output = torch.nn.Linear(3 * 2 * 2, 5)

    def forward(self, images):
        hidden = torch.relu(self.normal(self.first(images)))
        hidden = torch.max_pool2d(torch.relu(self.conv(hidden)), 2)
        return self.output(hidden.flatten(1))


CNN = Convolutional((2, 6, 6), (Convolution(4, 3, 1, normalise="batch"), Convolution(3, 3, pool=2)), (), 5)


class Spoken(torch.nn.Module):
    """A recurrent network as people write them."""

    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(3, 4, batch_first=True)
        self.fc = torch.nn.Linear(4, 2)

    def forward(self, frames):
        return self.fc(self.lstm(frames)[0][:, -1])


LSTM = Recurrent(3, 5, 4, 2)


@pytest.mark.parametrize(("make", "architecture"), [(Network, CNN), (Spoken, LSTM)])
@pytest.mark.parametrize("write", ["pt", "safetensors"])
def test_state_dicts_of_convolutions_and_gates(tmp_path, make, architecture, write):
    """With the architecture named, the network read gives the logits of the torch module, running statistics too."""
    torch.manual_seed(1)
    model, path = make(), tmp_path / f"a.{write}"
    shape = getattr(architecture, "image", None) or (architecture.frames, architecture.n_features)
    inputs = torch.randn(6, *shape)
    model(inputs)  # sets running statistics
    model.eval()
    if write == "pt":
        torch.save(model.state_dict(), path)
    else:
        save_file({k: v.numpy() for k, v in model.state_dict().items() if v.is_floating_point()}, path)
    found = read_network(path, architecture)
    np.testing.assert_allclose(found.logits(inputs.flatten(1).numpy()), model(inputs).detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "architecture", "message"),
    [
        (Network, None, "must be a matrix of numbers.*; for convolutions and recurrent cells name the architecture"),
        (Spoken, None, "'lstm.weight_ih_l0' is neither .* name the architecture"),
        (Network, Convolutional((2, 6, 6), (Convolution(4, 3),)), "1 batch normalisations found, .* has 0"),
        (Network, LSTM, "'normal.running_mean' is neither"),
        (Spoken, Recurrent(3, 5, 5, 2), r"has \(\(20, 8\), \(2, 5\)\): lstm.gates.* \(16, 7\)"),
        (Spoken, CNN, "0 batch normalisations found, the architecture has 1"),
    ],
)
def test_state_dict_of_another_architecture(tmp_path, make, architecture, message):
    """What does not fit the architecture is refused by a sentence."""
    torch.save(make().state_dict(), tmp_path / "a.pt")
    with pytest.raises(FormatError, match=message):
        read_network(tmp_path / "a.pt", architecture)


def test_gates_that_do_not_fit_each_other(tmp_path):
    """Shapes of a broken nn.LSTM are named."""
    arrays = {name: value.numpy() for name, value in Spoken().state_dict().items()}
    np.savez(tmp_path / "a.npz", **arrays | {"lstm.weight_hh_l0": np.zeros((3, 3))})
    with pytest.raises(FormatError, match="does not go with weight_hh_l0"):
        read_network(tmp_path / "a.npz", LSTM)
    np.savez(tmp_path / "b.npz", **arrays | {"lstm.bias_ih_l0": np.zeros(3)})
    with pytest.raises(FormatError, match=r"bias_ih_l0 must have shape \(16,\)"):
        read_network(tmp_path / "b.npz", LSTM)


def npz(**arrays):
    def write(path):
        with path.open("wb") as file:
            np.savez(file, **arrays)

    return write


def hostile_npy(path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 10**6)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weight.npy", header.getvalue())


class Malicious:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code was run')",))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_bytes(b""), "no network"),
        (lambda path: path.write_text("weights: 1 2 3"), "no network"),
        (lambda path: path.write_bytes(pickle.dumps(Malicious())), "no network"),
        (lambda path: torch.save({"weight": Malicious()}, path), "without running code"),
        (lambda path: torch.save([1, 2], path), "must hold a state dict"),
        (lambda path: torch.save({"weight": torch.ones(2, 2, dtype=torch.int64)}, path), "floating-point"),
        (lambda path: torch.save(torch.nn.Conv2d(1, 2, 3).state_dict(), path), r"'weight' must be a matrix of numbers"),
        (lambda path: torch.save(torch.nn.BatchNorm1d(2).state_dict(), path), "cannot be told on which side"),
        (lambda path: path.write_bytes(b"PK\x03\x04broken"), "damaged archive"),
        (npz(weight=np.ones((2, 2)), other=np.ones(2)), "'other' is neither a weight nor a bias"),
        (npz(weight=np.ones(2)), "must be a matrix"),
        (npz(bias=np.ones(2)), "no array named weight"),
        (npz(weight=np.ones((2, 2)), bias1=np.ones(2)), "bias without a weight: '1'"),
        (npz(weight1=np.ones((2, 2)), weight2=np.ones((2, 3))), "do not follow each other"),
        (npz(weight=np.full((2, 2), np.nan)), "must be finite"),
        (npz(weight=np.ones((2, 2)), bias=np.ones(3)), "biases must have shape"),
        (npz(weight=np.array([[object()]])), "must hold numbers, found type object"),
        (hostile_npy, "takes 8000000000000000 bytes"),
        (lambda path: save_file({"weight": np.ones((2, 2), bool)}, path), "must be a matrix of numbers"),
        (lambda path: path.write_bytes((2**62).to_bytes(8, "little") + b"{}"), "no readable safetensors"),
    ],
)
def test_anything_else_is_one_sentence(tmp_path, write, message):
    """Foreign files that are no network of linear layers are refused by a sentence; no code in them is run."""
    path = tmp_path / "bad"
    write(path)
    with pytest.raises(FormatError, match=message) as caught:
        read_network(path)
    assert str(path) in str(caught.value)


def test_missing_file(tmp_path):
    """A path that does not exist is said to be so."""
    with pytest.raises(FormatError, match="cannot be opened: No such file"):
        read_network(tmp_path / "nothing")
