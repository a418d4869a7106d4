"""ONNX files that torch and onnx.helper wrote; expected answers are onnxruntime's."""

import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from matchopt.errors import FormatError
from matchopt.network import read_network

RNG = np.random.default_rng(2)


def drawn(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def positive(*shape):
    return RNG.uniform(0.3, 2.0, shape).astype(np.float32)


def model_of(nodes, constants, shape, out=("batch", None), kind=TensorProto.FLOAT):
    """A model from (operator, inputs, attributes) in a row: "" stands for the signal, names for constants."""
    made, signal = [], "signal"
    for number, (operator, inputs, attributes) in enumerate(nodes):
        inputs = [signal if name == "" else name for name in inputs]
        signal = f"after{number}" if number < len(nodes) - 1 else "answer"
        made.append(helper.make_node(operator, inputs, [signal], f"node{number}", **attributes))
    values = [helper.make_tensor_value_info(name, kind, sizes) for name, sizes in (("signal", shape), ("answer", out))]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(made, "made", values[:1], values[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def gives_the_logits_of(path, shape):
    """The network in the file answers as onnxruntime does."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs = drawn(5, *shape)
    (expected,) = session.run(None, {session.get_inputs()[0].name: inputs})
    network = read_network(path)
    found = network.logits(inputs.reshape(5, -1))
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=2e-5, atol=2e-6)
    return network


class Spoken(nn.Module):
    def __init__(self):
        super().__init__()
        self.cells, self.out = nn.LSTM(5, 7, batch_first=True), nn.Linear(7, 3)

    def forward(self, x):
        return self.out(self.cells(x)[0][:, -1])


TORCH = {
    "linear": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)),
               (1, 8, 8)),
    "filters": (lambda: nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, groups=1), nn.ReLU(), nn.MaxPool2d(2),
                                      nn.Conv2d(4, 6, 3, groups=2), nn.ReLU(), nn.AvgPool2d(2, 1), nn.Flatten(),
                                      nn.Dropout(), nn.Linear(6, 3)), (1, 8, 8)),
    "cells": (Spoken, (6, 5)),
}  # fmt: skip


@pytest.mark.parametrize("fold", [True, False])
@pytest.mark.parametrize("which", TORCH)
def test_what_torch_exports(tmp_path, which, fold):
    """Networks exported by torch, constants folded and batches of any size, or neither."""
    make, shape = TORCH[which]
    torch.manual_seed(1)
    path, module = tmp_path / "net.onnx", make().eval()
    axes = {"x": {0: "batch"}, "y": {0: "batch"}} if fold else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (torch.zeros(5, *shape),), path, dynamo=False, input_names=["x"], output_names=["y"],
                          dynamic_axes=axes, do_constant_folding=fold)  # fmt: skip
    names = gives_the_logits_of(path, shape).record.config["names"]
    assert names[-1] == [name for name, _ in module.named_modules()][-1]


LINEAR = {"w": drawn(6, 5), "b": drawn(5), "v": drawn(5, 3)}
LSTM = {"w": drawn(1, 28, 5), "r": drawn(1, 28, 7), "b": drawn(1, 56), "v": drawn(7, 3), "zero": np.int64(0),
        "one": np.array([1]), "c": drawn(3)}  # fmt: skip
NORM = {name: positive(4) for name in ("scale", "shift", "mean", "variance")}
MADE = {
    "matmul, add from the left": ([("MatMul", ["", "w"], {}), ("Add", ["b", ""], {}), ("Relu", [""], {}),
                                   ("MatMul", ["", "v"], {})], LINEAR, (6,)),
    "gemm with factors": ([("Gemm", ["", "w", "b"], {"alpha": 0.5, "beta": 2.0}), ("Clip", ["", "low"], {}),
                           ("Gemm", ["", "v"], {})], LINEAR | {"low": np.float32(0)}, (6,)),
    "normalised inputs": ([("Sub", ["", "m"], {}), ("Div", ["", "s"], {}), ("MatMul", ["", "w"], {}),
                           ("Relu", [""], {}), ("MatMul", ["", "v"], {}), ("Softmax", [""], {})],
                          LINEAR | {"m": drawn(6), "s": positive(1)}, (6,)),
    "filters by channel": ([("Conv", ["", "f"], {"pads": [1, 1, 1, 1]}), ("Add", ["", "c"], {}),
                            ("BatchNormalization", ["", "scale", "shift", "mean", "variance"], {"epsilon": 1e-3}),
                            ("Relu", [""], {}), ("GlobalAveragePool", [""], {}), ("Flatten", [""], {}),
                            ("Gemm", ["", "v"], {"transB": 1})],
                           NORM | {"f": drawn(4, 2, 3, 3), "c": drawn(4, 1, 1), "v": drawn(3, 4)}, (2, 6, 6)),
    "same padding, ceiling": ([("Conv", ["", "f"], {"auto_pad": "SAME_UPPER"}), ("Relu", [""], {}),
                               ("MaxPool", [""], {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),
                               ("Reshape", ["", "to"], {}), ("MatMul", ["", "v"], {})],
                              {"f": drawn(4, 2, 3, 3), "v": drawn(36, 3), "to": np.array([-1, 36])}, (2, 5, 5)),
    "frames last": ([("Transpose", [""], {"perm": [1, 0, 2]}), ("LSTM", ["", "w", "r", "b"], {"hidden_size": 7}),
                     ("Squeeze", ["", "one"], {}), ("ReduceMean", [""], {"axes": [0], "keepdims": 0}),
                     ("MatMul", ["", "v"], {}), ("Add", ["", "c"], {})], LSTM, (6, 5)),
}  # fmt: skip


@pytest.mark.parametrize("which", MADE)
def test_what_others_make(tmp_path, which):
    """Nodes as other exporters write them; a softmax at the end is left out and said."""
    nodes, constants, shape = MADE[which]
    path = tmp_path / "net.onnx"
    ended = nodes[-1][0] == "Softmax"
    onnx.save(model_of(nodes[:-1] if ended else nodes, constants, ("batch", *shape)), path)
    gives_the_logits_of(path, shape)
    if ended:
        onnx.save(model_of(nodes, constants, ("batch", *shape)), path)
        assert "before the softmax" in read_network(path).record.config["notes"][0]


def test_doubles_and_halves(tmp_path):
    """Numbers of other precision are taken to single precision, halves exactly."""
    for kind, dtype in ((TensorProto.DOUBLE, np.float64), (TensorProto.FLOAT16, np.float16)):
        weight = RNG.standard_normal((6, 3)).astype(dtype)
        onnx.save(model_of([("MatMul", ["", "w"], {})], {"w": weight}, ("batch", 6), kind=kind), tmp_path / "net.onnx")
        (found,) = read_network(tmp_path / "net.onnx").weights
        np.testing.assert_array_equal(found, weight.T.astype(np.float32))


def chain(*between, constants=(), shape=("batch", 6), **changes):
    nodes = [("MatMul", ["", "w"], {}), *between, ("MatMul", ["", "v"], {})]
    return model_of(nodes, LINEAR | dict(constants), shape, **changes)


def broken(change):
    """A good model after a change."""
    model = chain(("Relu", [""], {}))
    change(model.graph)
    return model


def elsewhere(graph):
    tensor = graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "../../../etc/passwd"), ("offset", "0"), ("length", "120")):
        tensor.external_data.add(key=key, value=value)


def announcing(*dims):
    def change(graph):
        del graph.initializer[0].dims[:]
        graph.initializer[0].dims.extend(dims)

    return change


def attribute(name, value):
    return lambda graph: graph.node[0].attribute.append(helper.make_attribute(name, value))


def residual(graph):
    graph.node.insert(2, helper.make_node("Add", ["after0", "after1"], ["joined"], "join"))
    graph.node[3].input[0] = "joined"


SIX = {"l": np.float32(0), "h": np.float32(6)}
SPIRAL = helper.make_graph([], "inner", [], [])
REFUSED = {
    "external": (lambda: broken(elsewhere), "tensor 'w' is kept in another file, which is never opened"),
    "too many": (lambda: broken(announcing(2**40, 2**40)), "tensor 'w' of shape (1099511627776, "),
    "negative": (lambda: broken(announcing(-6, -5)), "'w' of shape (-6, -5)"),
    "short": (lambda: broken(announcing(60, 50)), "tensor 'w' is damaged"),
    "texts": (lambda: broken(lambda g: setattr(g.initializer[0], "data_type", TensorProto.STRING)), "type 8"),
    "sparse": (lambda: broken(lambda graph: graph.sparse_initializer.add()), "sparse initializers"),
    "empty": (lambda: broken(lambda graph: graph.ClearField("node")), "it has no nodes"),
    "two inputs": (lambda: broken(lambda graph: graph.input.add(name="more")), "found signal, more"),
    "no output": (lambda: broken(lambda graph: graph.ClearField("output")), "one output, that of the last node"),
    "early output": (lambda: broken(lambda g: setattr(g.output[0], "name", "after1")), "one output, that of the last"),
    "residual": (lambda: broken(residual), "node 'join' (Add) joins or splits paths"),
    "unknown": (lambda: chain(("Selu", [""], {})), "node 'node1' (Selu) has no place"),
    "foreign": (lambda: chain(("Mine", [""], {"domain": "my.own"})), "node 'node1' (Mine) has no place"),
    "subgraph": (lambda: chain(("Loop", [""], {"body": SPIRAL})), "node 'node1' (Loop) has no"),
    "leaky": (lambda: chain(("LeakyRelu", [""], {})), "node 'node1' (LeakyRelu) has no place"),
    "six": (lambda: chain(("Clip", ["", "l", "h"], {}), constants=SIX), "is no ReLU"),
    "nothing between": (lambda: chain(), "no ReLU stands between 'node0'"),
    "missing constant": (lambda: chain(("Relu", [""], {}), ("Add", ["", "none"], {})), "joins or splits paths"),
    "rows": (lambda: chain(("Relu", [""], {}), ("Add", ["", "t"], {}), constants={"t": drawn(5, 1)}), "neither for"),
    "infinite": (lambda: chain(("Div", ["", "t"], {}), ("Relu", [""], {}), constants={"t": np.float32(0)}), "finite"),
    "transposed": (lambda: chain(("Transpose", [""], {"perm": [1, 0]}), ("Relu", [""], {})), "in a way that is"),
    "wrong size": (lambda: model_of([("MatMul", ["", "v"], {})], LINEAR, ("b", 6)), "takes 5 inputs"),
    "samples as one": (lambda: model_of([("Flatten", [""], {"axis": 0})], {}, ("b", 6)), "must flatten from axis 1 on"),
    "reshaped": (lambda: chain(("Reshape", ["", "t"], {}), constants={"t": np.array([-1, 7])}), "makes a signal of"),
    "huge sample": (lambda: chain(shape=("b", 2**30, 2**30)), "samples of shape"),
    "vectors": (lambda: model_of([("MatMul", ["", "b"], {})], LINEAR, ("b", 5)), "must multiply samples by"),
    "stride": (lambda: model_of([("Conv", ["", "f"], {"strides": [2, 2]})], {"f": drawn(1, 1, 3, 3)}, ("b", 1, 6, 6)),
               "node 'node0' (Conv) must have stride 1"),
    "groups": (lambda: model_of([("Conv", ["", "f"], {"group": 3})], {"f": drawn(4, 1, 3, 3)}, ("b", 3, 6, 6)),
               "3 groups of filters of shape (4, 1, 3, 3)"),
    "both ways": (lambda: model_of([("LSTM", ["", "w", "r"], {"direction": "bidirectional"})], LSTM, (6, "b", 5)),
                  "node 'node0' (LSTM) must be of one direction"),
    "no frames": (lambda: model_of([("LSTM", ["", "w", "r"], {}), ("MatMul", ["", "v"], {})], LSTM, ("t", "b", 5)),
                  "samples of fixed shape"),
    "gates": (lambda: model_of([("LSTM", ["", "w", "w"], {})], LSTM, (6, "b", 5)), "weights that do not fit"),
}  # fmt: skip


@pytest.mark.parametrize("which", REFUSED)
def test_what_is_refused(tmp_path, which):
    """One sentence with the file, the node, its operator and what to do; no other file is opened."""
    make, message = REFUSED[which]
    path = tmp_path / "net.onnx"
    path.write_bytes(make().SerializeToString())
    with pytest.raises(FormatError) as caught:
        read_network(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


RUBBISH = (b"", b"\x08", b"\x08\x07\x12\xff\xff\xff\xff\x0f", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"\x08" * 4000,
           bytes(range(256)) * 9, b"{}", b"\x3a\x02\x0a\x7f")  # fmt: skip


@pytest.mark.parametrize("content", RUBBISH)
def test_bytes_that_are_no_model(tmp_path, content):
    """Rubbish under the right name gives a sentence."""
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"net\.onnx: "):
        read_network(path)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
def test_files_that_end_too_early(tmp_path, part):
    """A file cut anywhere is damaged, not a smaller network."""
    whole = chain(("Relu", [""], {})).SerializeToString()
    (tmp_path / "net.onnx").write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(FormatError):
        read_network(tmp_path / "net.onnx")
