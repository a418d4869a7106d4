"""Networks of others on the command line: in by ONNX, on a measured array, out again; import, own data."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from matchopt.cli import main
from matchopt.network import SparseNetwork, read_network
from matchopt.network.sparsified import retrained, sparsified

RNG = np.random.default_rng(12)
GEMMS = ((["x", "w1", "b1"], ["a"], "fc1"), (["h", "w2", "b2"], ["y"], "fc2"))


def run(*words, fails=False):
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert (done.exit_code == 0) != fails, done.output
    assert done.exit_code in (0, 2)
    return done.output if fails else done.stdout


def labelled(count=90):
    """Samples of three classes about centres of their own."""
    labels = np.arange(count) % 3
    return (RNG.standard_normal((count, 6)) + 3 * np.eye(6)[2 * labels]).astype(np.float32), labels


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A network by onnx.helper, a measured array, samples."""
    monkeypatch.chdir(tmp_path)
    x, y = labelled()
    w = {
        "w1": RNG.standard_normal((8, 6)),
        "b1": RNG.standard_normal(8),
        "w2": RNG.standard_normal((3, 8)),
        "b2": np.zeros(3),
    }
    tensors = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in w.items()]
    dense = [helper.make_node("Gemm", inputs, output, name, transB=1) for inputs, output, name in GEMMS]
    nodes = [dense[0], helper.make_node("Relu", ["a"], ["h"]), dense[1]]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size]) for name, size in (("x", 6), ("y", 3))]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "net.onnx")
    np.savez("array.npz", weights=RNG.lognormal(0, 0.5, (14, 12)) * RNG.choice([-1, 1], (14, 12)))
    np.savez("data.npz", x=x, y=y)
    return tmp_path


def samples():
    with np.load("data.npz") as data:
        return data["x"], data["y"]


def by_the_table(table, biases, inputs):
    """The network that a wiring table says, by numpy alone."""
    signal = inputs.astype(np.float64)
    for layer, bias in enumerate(biases):
        sums = np.tile(bias, (len(signal), 1))
        for row in table["rows"]:
            if row["layer"] == layer:
                for wire in row["wires"]:
                    value = wire["value"] * row["chip"]["scale"]
                    sums[:, row["row"]] += row["gain"] * value * signal[:, wire["input"]]
        signal = np.maximum(sums, 0) if layer < len(biases) - 1 else sums
    return signal


@pytest.mark.slow
def test_from_another_library_to_an_array_and_out_again(folder):
    """Logits of onnxruntime, torch and the wiring table are those evaluated to 1e-5, the accuracy to the sample."""
    run("export", "net.onnx", "--hardware", "array.npz", "--output", "inst.matchopt")
    run("solve", "inst.matchopt", "--solver", "hungarian", "--output", "best.matchopt")
    words = ("evaluate", "inst.matchopt", "best.matchopt", "--network", "net.onnx", "--data", "data.npz", "--json")
    found = json.loads(run(*words, "--realised", "out.onnx", "--wiring", "table.json"))
    run(*words, "--realised", "out.pt")
    x, y = samples()
    biases = [numpy_helper.to_array(tensor) for tensor in onnx.load("net.onnx").graph.initializer[1::2]]
    expected = by_the_table(json.loads((folder / "table.json").read_text()), biases, x)
    assert found["mapped"]["test"] == found["mapped"]["validation"] == np.mean(expected.argmax(1) == y)
    (logits,) = onnxruntime.InferenceSession("out.onnx", providers=["CPUExecutionProvider"]).run(None, {"input": x})
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)
    module = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    state = torch.load("out.pt")
    assert list(state) == ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]
    module.load_state_dict(dict(zip(module.state_dict(), state.values(), strict=True)))
    np.testing.assert_allclose(module(torch.tensor(x)).detach().numpy(), expected, rtol=1e-5, atol=1e-5)


def test_a_dense_network_is_made_sparse_and_retrained(folder):
    """The fan-in is kept through training on one's own data; what they were normalised by is kept in the file."""
    x, y = labelled(300)
    np.savez("parts.npz", x_train=5 * x[:240] + 1, y_train=y[:240], x_test=5 * x[240:] + 1, y_test=y[240:])
    words = ("import", "net.onnx", "--fan-in", "5,6", "--data", "parts.npz", "--mean", "1", "--std", "5")
    before = run(*words, "--epochs", "0", "--output", "pruned.matchopt")
    shown = run(*words, "--epochs", "60", "--rate", "0.01", "--output", "sparse.matchopt")
    network = read_network(folder / "sparse.matchopt")
    assert [set(fan_in) for fan_in in network.fan_in] == [{5}, {6}]
    assert (network.record.data.mean, network.record.data.deviation) == ((1.0,), (5.0,))
    assert network.record.config["names"] == ["fc1", "fc2"]
    reached = [float(text.partition("test")[2].split()[0]) for text in (before, shown)]
    assert reached[1] > max(85, reached[0])
    assert np.mean(network.logits(x[240:]).argmax(1) == y[240:]) == pytest.approx(reached[1] / 100, abs=1e-4)
    words = ("export", "sparse.matchopt", "--data", "parts.npz", "--objective", "task-loss", "--samples", 50)
    assert "task-loss on 50 samples" in run(*words, "--output", "inst.matchopt")
    assert "no accuracy" not in run(*("import", "sparse.matchopt", "--data", "parts.npz", "--output", "again.matchopt"))


def test_connectivity_keeps_the_largest_of_each_layer():
    """So many weights are left, none smaller in units of its layer than one that was removed."""
    weights = [RNG.standard_normal((8, 6)), 100 * RNG.standard_normal((3, 8))]
    network = SparseNetwork.from_arrays(weights)
    found = sparsified(network, 0.25)
    assert found.n_connections == 18
    sizes = [np.abs(w) / np.sqrt(np.mean(w**2)) for w in weights]
    kept = np.concatenate([size[layer.mask] for size, layer in zip(sizes, found.layers, strict=True)])
    gone = np.concatenate([size[~layer.mask] for size, layer in zip(sizes, found.layers, strict=True)])
    assert kept.min() >= gone.max()


def test_the_same_seed_gives_the_same_network(folder):
    """Retraining is a function of its options and seed."""
    from matchopt.network.data import own_data

    network, data = sparsified(read_network("net.onnx"), 0.3), own_data("data.npz", split=True)
    first, again, other = (retrained(network, data, 2, seed, 0.01, batch_size=20) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.weights[0], again.weights[0])
    assert (first.weights[0] != other.weights[0]).any()


@pytest.mark.slow
def test_mean_and_deviation_without_data_are_kept(folder):
    """A network of unknown data keeps what its inputs were normalised by, through export and evaluation."""
    run("import", "net.onnx", "--mean", "0.5", "--std", "2", "--output", "net.matchopt")
    run("export", "net.matchopt", "--output", "inst.matchopt")
    run("solve", "inst.matchopt", "--solver", "hungarian", "--output", "best.matchopt")
    found = json.loads(run("evaluate", "inst.matchopt", "best.matchopt", "--data", "data.npz", "--json"))
    x, y = samples()
    logits = read_network("net.onnx").logits((x - np.float32(0.5)) / np.float32(2))
    assert found["target"]["test"] == np.mean(logits.argmax(1) == y)
    assert "no accuracy: give --data" in run("evaluate", "inst.matchopt", "best.matchopt")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("import", "net.onnx", "--connectivity", "0.1", "--fan-in", "3,4"), "not both"),
        (("import", "net.onnx", "--fan-in", "3"), "fan_in needs one number >= 1 per layer, 2"),
        (("import", "net.onnx", "--epochs", "3"), "--epochs is of the retraining"),
        (("import", "net.onnx", "--data", "wide.npz"), "samples of wide.npz have 7 values, the network takes 6"),
        (("import", "net.onnx", "--data", "many.npz"), "labels of many.npz reach 5, the network has 3 classes"),
        (("import", "net.onnx", "--data", "array.npz"), "arrays called inputs and labels are needed"),
        (("import", "net.onnx", "--data", "missing.npz"), "cannot be opened"),
        (("import", "pickle.onnx",), "no readable ONNX file"),
        (("import", "code.pt",), "without running code"),
        (("export", "net.onnx", "--data", "net.onnx"), "own data are an .npz file"),
    ],
)  # fmt: skip
def test_what_is_refused(folder, words, message):
    """One sentence and exit status 2; nothing is written, nothing runs."""
    np.savez("wide.npz", x=np.ones((3, 7)), y=np.arange(3))
    np.savez("many.npz", x=np.ones((3, 6)), y=np.array([0, 1, 5]))
    code = b"cposix\nsystem\n(S'touch ran'\ntR."
    (folder / "pickle.onnx").write_bytes(code)
    torch.save({"a.weight": Code()}, "code.pt")
    said = run(*words, "--output", "out.matchopt", fails=True)
    assert message in " ".join(said.split())
    assert not (folder / "out.matchopt").exists()
    assert not (folder / "ran").exists()


class Code:
    """What runs when a file that holds it is unpickled."""

    def __reduce__(self):
        return __import__("os").system, ("touch ran",)


@pytest.mark.parametrize(("ending", "package"), [("onnx", "onnx"), ("nir", "nir"), ("pt", "torch")])
def test_packages_that_write_networks_are_asked_for_first(ending, package, monkeypatch):
    """Before anything is read, let alone evaluated: the files named here do not exist."""
    monkeypatch.setattr("matchopt.network.written.find_spec", lambda name: None if name == package else name)
    said = run("evaluate", "none.matchopt", "none.matchopt", "--realised", f"out.{ending}", fails=True)
    assert f"writing out.{ending} needs the package {package}" in said and f"matchopt[{package}]" in said


@pytest.mark.slow
def test_networks_that_cannot_be_written_say_so(folder):
    """The ending of --realised is that of a format, and NIR has no maximum pooling."""
    weights = {"c.weight": RNG.standard_normal((2, 1, 3, 3)), "d.weight": RNG.standard_normal((3, 8))}
    save_file({name: value.astype(np.float32) for name, value in weights.items()}, "cnn.safetensors")
    run("export", "cnn.safetensors", "--architecture", "cnn:1x6x6-2c3-m2-3", "--output", "inst.matchopt")
    run("solve", "inst.matchopt", "--solver", "hungarian", "--output", "best.matchopt")
    for name, message in (("out.nir", "NIR has no maximum pooling"), ("out.h5", "end it in .onnx, .nir")):
        assert message in run("evaluate", "inst.matchopt", "best.matchopt", "--realised", name, fails=True)
