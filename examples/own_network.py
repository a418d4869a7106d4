"""Stands for your own network, data and array: mine.onnx, digits.npz and array.npz in the folder that it runs in."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

rng = np.random.default_rng(0)
labels = rng.integers(0, 3, 600)
inputs = (np.eye(12)[4 * labels] * 3 + rng.standard_normal((600, 12))).astype(np.float32)
np.savez("digits.npz", x_train=inputs[:500], y_train=labels[:500], x_test=inputs[500:], y_test=labels[500:])
into = rng.standard_normal((16, 12))
hidden = np.maximum(inputs[:500] @ into.T, 0)
last = np.linalg.lstsq(hidden, np.eye(3)[labels[:500]], rcond=None)[0]
tensors = {"w1": into, "b1": np.zeros(16), "w2": last.T, "b2": np.zeros(3)}
nodes = [
    helper.make_node("Gemm", ["x", "w1", "b1"], ["a"], "fc1", transB=1),
    helper.make_node("Relu", ["a"], ["h"]),
    helper.make_node("Gemm", ["h", "w2", "b2"], ["y"], "fc2", transB=1),
]
ends = [helper.make_tensor_value_info(name, 1, ["samples", size]) for name, size in (("x", 12), ("y", 3))]
constants = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in tensors.items()]
graph = helper.make_graph(nodes, "mine", ends[:1], ends[1:], constants)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "mine.onnx")
np.savez("array.npz", weights=rng.lognormal(0.0, 0.5, (40, 12)) * rng.choice([-1, 1], (40, 12)))
