"""Made the files beside it: a trained network, its data and the two halves of a measured array, all made up."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

rng = np.random.default_rng(0)
labels = rng.integers(0, 4, 600)
inputs = np.rint((np.eye(12)[3 * labels] * 4 + rng.standard_normal((600, 12))).clip(-2, 6) * 30 + 60).astype(np.uint8)
parts = {"train": slice(400), "validation": slice(400, 500), "test": slice(500, 600)}
samples = {f"{kind}_{name}": of[part] for name, part in parts.items() for kind, of in (("x", inputs), ("y", labels))}
np.savez_compressed("data.npz", **samples)

seen = (inputs[:400] / 255 - 0.25) / 0.15  # the mean and deviation that the study says
into = rng.standard_normal((24, 12))
into[np.abs(into) < np.sort(np.abs(into))[:, -5:-4]] = 0.0  # five connections a unit
hidden = np.maximum(seen @ into.T, 0)
wanted = np.eye(4)[labels[:400]] - 0.25
out = np.linalg.lstsq(hidden, wanted, rcond=None)[0].T
kept = np.abs(out) >= np.sort(np.abs(out))[:, -12:-11]
out = np.array([np.linalg.lstsq(hidden * on, wanted[:, n], rcond=None)[0] for n, on in enumerate(kept)]) * kept
tensors = {"w1": into, "b1": np.zeros(24), "w2": out, "b2": np.zeros(4)}
nodes = [
    helper.make_node("Gemm", ["x", "w1", "b1"], ["a"], "fc1", transB=1),
    helper.make_node("Relu", ["a"], ["h"]),
    helper.make_node("Gemm", ["h", "w2", "b2"], ["y"], "fc2", transB=1),
]
ends = [helper.make_tensor_value_info(name, 1, ["samples", size]) for name, size in (("x", 12), ("y", 4))]
constants = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in tensors.items()]
graph = helper.make_graph(nodes, "mine", ends[:1], ends[1:], constants)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "network.onnx")

for half in ("plus", "minus"):  # microsiemens, a row for each neuron
    np.savetxt(f"g_{half}.csv", rng.lognormal(3.0, 0.6, (64, 24)), fmt="%.1f", delimiter=",")
