"""Networks as ONNX files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from matchopt.errors import MissingExtra
from matchopt.formats.atomic import write_bytes
from matchopt.instances.convolution import ALPHA, BETA, REACH
from matchopt.network.running import Runnable
from matchopt.network.steps import Conv, Linear, Lstm, Pool, Read, Relu, Response, Step, sample_shape, steps_of

OPSET, IR_VERSION = 17, 8  # of 2022: read by everything of today
_GATES = (0, 3, 1, 2)  # ONNX's input, output, forget and candidate gate among ours


def write_onnx(path: Path, network: Runnable, names: Sequence[str] = ()) -> None:
    """Write a network in single precision, with one input "input" of any number of samples, and one output "output".

    Raises
    ------
    MissingExtra
        when the package onnx is not installed.
    """
    try:
        from onnx import TensorProto, helper
    except ImportError:
        raise MissingExtra(f"writing {path}", "onnx", "onnx") from None
    shape, graph = sample_shape(network.architecture), _Graph()
    for step in steps_of(network, names):
        graph.add(step)
    graph.nodes[-1].output[0] = "output"
    answers: list[str | int] = ["samples", *([shape[0]] if graph.every else []), len(network.biases[-1])]
    made = helper.make_graph(
        graph.nodes,
        "network",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["samples", *shape])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, answers)],
        graph.tensors,
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(made, opset_imports=[opset], ir_version=IR_VERSION, producer_name="matchopt")
    write_bytes(path, model.SerializeToString(deterministic=True))


class _Graph:
    """Nodes and tensors so far, and the name of the signal."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []
        self.signal, self.every = "input", False

    def add(self, step: Step) -> None:
        """Add one operation."""
        if isinstance(step, Linear) and self.every:
            self._node("MatMul", f"{step.name}.product", [self._tensor(f"{step.name}.weight", step.weight.T)])
            self._node("Add", step.name, [self._tensor(f"{step.name}.bias", step.bias)])
        elif isinstance(step, Linear | Conv):
            inputs = [self._tensor(f"{step.name}.{part}", getattr(step, part)) for part in ("weight", "bias")]
            if isinstance(step, Conv):
                self._node("Conv", step.name, inputs, pads=[step.padding] * 4)
            else:
                self._node("Gemm", step.name, inputs, transB=1)
        elif isinstance(step, Pool):
            kind, size, stride = "AveragePool" if step.average else "MaxPool", [step.size] * 2, [step.stride] * 2
            self._node(kind, step.name, kernel_shape=size, strides=stride, ceil_mode=int(step.overhang))
        elif isinstance(step, Response):
            near = 2 * REACH + 1
            self._node("LRN", step.name, size=near, alpha=ALPHA * near, beta=BETA, bias=1.0)
        elif isinstance(step, Lstm):
            self._cells(step)
        elif isinstance(step, Read):
            self._read(step)
        else:
            self._node("Relu" if isinstance(step, Relu) else "Flatten", step.name)

    def _node(self, operator: str, name: str, more: Sequence[str] = (), **options: Any) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node(operator, [self.signal, *more], [f"{name}.output"], name, **options))
        self.signal = f"{name}.output"

    def _tensor(self, name: str, array: Any) -> str:
        from onnx import numpy_helper

        kept = array if array.dtype.kind == "i" else array.astype(np.float32)
        self.tensors.append(numpy_helper.from_array(np.ascontiguousarray(kept), name))
        return name

    def _cells(self, step: Lstm) -> None:
        def ordered(rows: np.ndarray) -> np.ndarray:
            gates = rows.reshape(4, step.back.shape[1], -1)
            return np.concatenate([gates[gate] for gate in _GATES])

        bias = np.concatenate([ordered(step.bias).ravel(), 0 * step.bias])
        parts = {"weight_ih": ordered(step.into), "weight_hh": ordered(step.back), "bias": bias}
        inputs = [self._tensor(f"{step.name}.{name}", array[None]) for name, array in parts.items()]
        self._node("Transpose", f"{step.name}.frames", perm=[1, 0, 2])
        self._node("LSTM", step.name, inputs, hidden_size=step.back.shape[1])
        self.nodes[-1].output.append(f"{step.name}.state")

    def _read(self, step: Read) -> None:
        if step.how == "last":
            self.signal = self.nodes[-1].output[1]
        axis = self._tensor(f"{step.name}.axis", np.array([0 if step.how == "last" else 1]))
        self._node("Squeeze", f"{step.name}.direction", [axis])
        if step.how == "mean":
            self._node("ReduceMean", step.name, axes=[0], keepdims=0)
        elif step.how == "every":
            self._node("Transpose", step.name, perm=[1, 0, 2])
            self.every = True
