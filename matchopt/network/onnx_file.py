"""ONNX files: nodes that follow each other, read as operations. No other file is opened, and no code is run."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from matchopt.errors import FormatError, InvalidInstance, MissingExtra
from matchopt.formats.sources import Source
from matchopt.network.chain import network_of
from matchopt.network.sparse_network import MAX_WEIGHTS, SparseNetwork
from matchopt.network.steps import WHOLE, Conv, Linear, Lstm, Pool, Read, Relu, Scale, Step, View, ungrouped

KNOWN = ("mapped are chains of Gemm, MatMul, Add, Conv, Relu, MaxPool, AveragePool, BatchNormalization, Flatten, "
         "Reshape and one LSTM in front")  # fmt: skip
_GATES = (0, 2, 3, 1)  # input, forget, candidate, output among ONNX's input, output, forget, candidate
_KINDS = ("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "INT64", "INT32", "BOOL")
_FLOATS = (1, 10, 11, 16)  # types that numbers may be cast to
_ARITHMETIC = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Mod": np.mod}  # of constants
_PASSED = ("Identity", "Dropout", "Cast")


def is_onnx(source: Source) -> bool:
    """Whether a file is one by its ending, or begins as such files do: the version, then a text or the graph."""
    ending = source.path.name.lower().removesuffix(".gz").endswith(".onnx")
    return ending or (source.head[:1] == b"\x08" and source.head[2:3] in (b"\x12", b"\x3a"))


def read_onnx(source: Source) -> SparseNetwork:
    """The network in an ONNX file.

    Raises
    ------
    FormatError
        naming the node that has no place in a network that is mapped, and what to do.
    MissingExtra
        when the package onnx is not installed.
    """
    try:
        import onnx
    except ImportError:
        raise MissingExtra(f"reading {source.path}", "onnx", "onnx") from None
    try:
        model = onnx.ModelProto.FromString(source.data)
    except Exception as cause:  # protobuf's decoders each have an error of their own
        raise source.error(f"no readable ONNX file: {str(cause).strip().splitlines()[0][:120]}") from None
    if not model.graph.node:
        raise source.error(f"no ONNX file with a graph: it has no nodes{source.other}")
    walk = _Walk(source, model.graph)
    for node in model.graph.node:
        walk.take(node)
    outputs = [output.name for output in model.graph.output]
    if len(outputs) != 1 or outputs[0] not in walk.current:
        raise source.error(f"one output, that of the last node, is needed, found {', '.join(outputs)[:200] or 'none'}")
    network = network_of(walk.steps, walk.shape, source.error, walk.notes)
    names = [walk.called.get(name, name) for name in network.record.config["names"]]
    return network.with_record(replace(network.record, config={**network.record.config, "names": names}))


class _Walk:
    """The operations so far, and what is known of every value of the graph."""

    def __init__(self, source: Source, graph: Any) -> None:
        self.source = source
        if graph.sparse_initializer:
            raise source.error("sparse initializers are not read; save them as full ones with zeros")
        self.tensors = {tensor.name: tensor for tensor in graph.initializer}
        self.constants: dict[str, np.ndarray] = {}
        self.sizes: set[str] = set()  # values that are counted from the shapes of others
        self.zeros: set[str] = set()  # those that are all zero
        self.known = {value.name: value.type.tensor_type.shape.dim for value in graph.value_info}
        inputs = [value for value in graph.input if value.name not in self.tensors]
        if len(inputs) != 1:
            raise source.error(
                f"one input is needed, found {', '.join(value.name for value in inputs)[:200] or 'none'}"
            )
        self.dims = [max(0, dim.dim_value) for dim in inputs[0].type.tensor_type.shape.dim]
        shape = tuple(self.dims[1:] if len(self.dims) > 1 else self.dims)
        self.shape: tuple[int, ...] = shape if all(shape) else ()
        self.rank = len(self.dims)
        self.steps: list[Step] = []
        self.notes: list[str] = []
        self.called: dict[str, str] = {}
        self.ended = ""
        # Names of what the signal is now, with its axes where there are frames.
        self.current: dict[str, tuple[str, ...]] = {inputs[0].name: ()}
        self.hidden = ""

    def fail(self, node: Any, why: str) -> FormatError:
        """The error about a node."""
        return self.source.error(f"node {_name(node)!r} ({node.op_type}) {why}")

    def take(self, node: Any) -> None:
        """Add what a node does."""
        from onnx.helper import get_attribute_value

        given = {attribute.name: get_attribute_value(attribute) for attribute in node.attribute}
        signals = [name for name in node.input if name and name not in self.tensors and name not in self.constants]
        counted = self.sizes | self.zeros
        if node.op_type == "Shape" or (signals and all(name in counted for name in signals)):
            zero = node.input[0] in self.zeros
            if node.op_type == "ConstantOfShape":
                zero = "value" not in given or not self._array(given["value"]).any()
            elif node.op_type == "Expand" and node.input[0] not in counted:
                zero = not self.value(node, 0).any()
            (self.zeros if zero else self.sizes).update(node.output)
        elif not signals:
            self.constants[node.output[0]] = self._folded(node, given)
        else:
            signals = [name for name in signals if name not in counted]
            if len(signals) != 1 or signals[0] not in self.current:
                raise self.fail(node, "joins or splits paths; only chains of nodes are mapped")
            if self.ended:
                raise self.fail(node, f"follows {self.ended!r}; cut the network behind its last linear layer")
            self._operation(node, given, signals[0])

    def value(self, node: Any, number: int, default: Any = None) -> np.ndarray:
        """The constant that is this input of a node."""
        name = node.input[number] if number < len(node.input) else ""
        if not name and default is not None:
            return np.asarray(default, np.float64)
        if name in self.constants:
            return self.constants[name]
        if name not in self.tensors:
            raise self.fail(node, f"needs a constant as input {number}, found {name or 'none'}")
        self.constants[name] = self._array(self.tensors[name])
        return self.constants[name]

    def _array(self, tensor: Any) -> np.ndarray:
        """A tensor of the file, whose announced size its bytes must fill."""
        from onnx import TensorProto, numpy_helper

        name, shape = tensor.name or "of a constant", tuple(tensor.dims)
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise self.source.error(f"tensor {name!r} is kept in another file, which is never opened; load the model "
                                    "and save it with onnx.save(model, path), which keeps tensors inside")  # fmt: skip
        if tensor.data_type not in [getattr(TensorProto, kind) for kind in _KINDS]:
            raise self.source.error(
                f"tensor {name!r} must be one of {', '.join(_KINDS)}, found type {tensor.data_type}"
            )
        if min(shape, default=0) < 0 or prod(shape) > MAX_WEIGHTS or len(shape) > 8:
            raise self.source.error(
                f"tensor {name!r} of shape {str(shape)[:80]} is not read; at most {MAX_WEIGHTS} entries are"
            )
        try:
            array: np.ndarray = numpy_helper.to_array(tensor)
        except Exception as cause:  # numpy's words about sizes, and onnx's own
            raise self.source.error(f"tensor {name!r} is damaged: {str(cause).splitlines()[0][:120]}") from None
        if array.shape != shape:
            raise self.source.error(f"tensor {name!r} is damaged: its shape is {shape}, its values have {array.shape}")
        return array if array.dtype.kind in "bi" else array.astype(np.float64)

    def _folded(self, node: Any, given: Mapping[str, Any]) -> np.ndarray:
        """What a node makes of constants."""
        if node.op_type == "Constant":
            value = next(iter(given.values()), None)
            return self._array(value) if "value" in given else np.asarray(value)
        array, rest = self.value(node, 0), [self.value(node, n) for n in range(1, len(node.input)) if node.input[n]]
        try:
            if node.op_type == "Transpose":
                return np.transpose(array, given.get("perm"))
            if node.op_type == "Reshape":
                return array.reshape(rest[0].tolist())
            if node.op_type in ("Squeeze", "Unsqueeze"):
                axes = tuple(given["axes"] if "axes" in given else rest[0].tolist())
                return np.squeeze(array, axes) if node.op_type == "Squeeze" else np.expand_dims(array, axes)
            if node.op_type == "Concat" and sum(part.size for part in [array, *rest]) <= MAX_WEIGHTS:
                return np.concatenate([array, *rest], given["axis"])
            if node.op_type in _ARITHMETIC and len(rest) == 1 and (rest[0].size == 1 or rest[0].shape == array.shape):
                return np.asarray(_ARITHMETIC[node.op_type](array, rest[0]))
            if node.op_type == "Slice" and len(rest) > 2:
                return _sliced(array, *rest)
        except (ValueError, IndexError, KeyError, TypeError) as cause:
            raise self.fail(node, f"does not fit its constant of shape {array.shape}: {cause}") from None
        if node.op_type not in _PASSED:
            raise self.fail(node, "computes a constant in a way that is not known here; fold constants when exporting")
        return array

    def _operation(self, node: Any, given: Mapping[str, Any], signal: str) -> None:
        axes, name, op = self.current[signal], _name(node), node.op_type
        if signal == self.hidden:
            self.steps.append(Read(name, "last"))
        handlers: dict[str, Callable[..., None]] = {
            **{"Gemm": self._gemm, "MatMul": self._matmul, "Conv": self._conv, "LSTM": self._lstm},
            **{op: self._scale for op in ("Add", "Sub", "Mul", "Div")},
            **{"BatchNormalization": self._norm, "MaxPool": self._pool, "AveragePool": self._pool},
            **{"Flatten": self._view, "Reshape": self._view, "GlobalAveragePool": self._pool, "Clip": self._clip},
        }
        if op in ("Transpose", "Squeeze", "Gather", "ReduceMean"):
            self.current = {node.output[0]: self._rearranged(node, given, axes)}
            return
        self.current = {node.output[0]: axes}
        if op == "Relu":
            self.steps.append(Relu(name))
        elif op in ("Softmax", "LogSoftmax"):
            self.ended = name
            self.notes.append(f"{name}: left out, answers are those before the softmax")
        elif op in handlers:
            handlers[op](node, given)
        elif op not in _PASSED or given.get("to", 1) not in _FLOATS:
            raise self.fail(node, f"has no place in a network that is mapped; {KNOWN}")

    # -- layers --

    def _called(self, node: Any) -> str:
        """The name of a layer, whose weights tell what its file calls it."""
        weights = node.input[1]
        if weights.endswith((".weight", "/weight")):
            self.called[_name(node)] = weights[:-7]
        return _name(node)

    def _gemm(self, node: Any, given: Mapping[str, Any]) -> None:
        weight = self.value(node, 1) * given.get("alpha", 1.0)
        if given.get("transA") or weight.ndim != 2:
            raise self.fail(node, "must multiply samples by a constant matrix")
        weight = weight if given.get("transB") else weight.T
        bias = self.value(node, 2, 0.0) * given.get("beta", 1.0)
        if bias.size not in (1, len(weight)):
            raise self.fail(node, f"adds a constant of shape {bias.shape} to {len(weight)} units")
        self.steps.append(Linear(self._called(node), weight, np.broadcast_to(bias.ravel(), len(weight))))

    def _matmul(self, node: Any, given: Mapping[str, Any]) -> None:
        del given
        weight = self.value(node, 1)
        if weight.ndim != 2:
            raise self.fail(node, f"must multiply samples by a constant matrix, found shape {weight.shape}")
        self.steps.append(Linear(self._called(node), weight.T, np.zeros(weight.shape[1])))

    def _conv(self, node: Any, given: Mapping[str, Any]) -> None:
        weight = self.value(node, 1)
        if weight.ndim != 4:
            raise self.fail(node, f"must be over images, found filters of shape {weight.shape}")
        try:
            weight = ungrouped(weight, given.get("group", 1))
        except InvalidInstance as cause:
            raise self.fail(node, str(cause)) from None
        pads, side = set(given.get("pads", (0,))), weight.shape[2]
        same = given.get("auto_pad", b"NOTSET").startswith(b"SAME")
        if (
            {*given.get("strides", (1,)), *given.get("dilations", (1,))} != {1}
            or len(pads) > 1
            or (same and side % 2 == 0)
        ):
            raise self.fail(node, "must have stride 1, dilation 1 and equal padding on all sides; a convolution that "
                            "strides can be trained as one that pools")  # fmt: skip
        bias = np.broadcast_to(self.value(node, 2, 0.0).ravel(), len(weight))
        self.steps.append(Conv(self._called(node), weight, bias, side // 2 if same else pads.pop()))

    def _lstm(self, node: Any, given: Mapping[str, Any]) -> None:
        plain = [b"Sigmoid", b"Tanh", b"Tanh"]
        states = [n for n in (5, 6) if len(node.input) > n and node.input[n] and node.input[n] not in self.zeros]
        odd = given.get("direction", b"forward") != b"forward" or given.get("activations", plain) != plain
        odd |= bool({"clip", "input_forget"} & {key for key, value in given.items() if value}) or any(node.input[7:])
        if odd or any(node.input[4:5]) or any(self.value(node, n).any() for n in states):
            raise self.fail(node, "must be of one direction, with its usual activations, and begin from zeros")
        turned = bool(given.get("layout")) or any(axis == "T" for axis in self.current[node.output[0]][:1])
        self.shape = tuple(self.dims[1:] if turned else (self.dims[0], self.dims[2]) if len(self.dims) == 3 else ())
        self.shape = self.shape if all(self.shape) else ()
        into, back = self.value(node, 1)[0], self.value(node, 2)[0]
        cells = back.shape[-1] if back.ndim == 2 else 0
        bias = self.value(node, 3, np.zeros((1, 8 * cells))).ravel()
        if not cells or back.shape != (4 * cells, cells) or len(into) != 4 * cells or bias.size != 8 * cells:
            raise self.fail(node, "has weights that do not fit each other")

        def ordered(rows: np.ndarray) -> np.ndarray:
            return np.concatenate([rows.reshape(4, cells, -1)[gate] for gate in _GATES])

        both = ordered(bias[: 4 * cells]) + ordered(bias[4 * cells :])
        self.steps.append(Lstm(_name(node), ordered(into), ordered(back), both.ravel()))
        every, state = ("B", "T", "D", "H") if given.get("layout") else ("T", "D", "B", "H"), ("D", "B", "H")
        self.hidden = node.output[1] if len(node.output) > 1 else ""
        self.current = {node.output[0]: every, self.hidden: ("B", "D", "H") if given.get("layout") else state}

    # -- what stands between layers --

    def _scale(self, node: Any, given: Mapping[str, Any]) -> None:
        del given
        frames = any(self.current[node.output[0]])
        first = node.input[0] in self.tensors or node.input[0] in self.constants
        value = np.asarray(self.value(node, 0 if first else 1), np.float64)
        channel = value.ndim - 1 if frames else value.ndim + 1 - self.rank
        by_channel = value.size == 1 or (channel >= 0 and value.shape[channel] == value.size)
        if not by_channel or (first and node.op_type == "Div"):
            raise self.fail(node, f"by a constant of shape {value.shape} is neither for all nor for each channel")
        one, zero = np.ones(1), np.zeros(1)
        sign = -1.0 if first and node.op_type == "Sub" else 1.0
        parts = {"Add": (one, value), "Mul": (value, zero), "Sub": (sign * one, -sign * value)}
        with np.errstate(divide="ignore"):
            scale, shift = parts.get(node.op_type) or (one / value, zero)
        self.steps.append(Scale(_name(node), scale.ravel(), shift.ravel()))

    def _norm(self, node: Any, given: Mapping[str, Any]) -> None:
        scale, shift, mean, variance = (self.value(node, n) for n in range(1, 5))
        if given.get("training_mode") or len({part.shape for part in (scale, shift, mean, variance)}) > 1:
            raise self.fail(node, "must be in evaluation, its four constants of one length")
        with np.errstate(invalid="ignore", divide="ignore"):
            scale = scale / np.sqrt(variance + given.get("epsilon", 1e-5))
        self.steps.append(Scale(_name(node), scale, shift - mean * scale))

    def _pool(self, node: Any, given: Mapping[str, Any]) -> None:
        if node.op_type == "GlobalAveragePool":
            self.steps.append(Pool(_name(node), WHOLE, WHOLE, True))
            return
        sizes, strides = set(given.get("kernel_shape", ())), set(given.get("strides", (1,)))
        odd = (
            any(given.get("pads", ()))
            or set(given.get("dilations", (1,))) != {1}
            or len(sizes) != 1
            or len(strides) != 1
        )
        if odd or given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID") or min(sizes) < 1 or min(strides) < 1:
            raise self.fail(node, "must have square windows without padding or dilation")
        average, overhang = node.op_type == "AveragePool", bool(given.get("ceil_mode"))
        self.steps.append(Pool(_name(node), sizes.pop(), strides.pop(), average, overhang))

    def _clip(self, node: Any, given: Mapping[str, Any]) -> None:
        low = given.get("min", self.value(node, 1, -np.inf))
        if float(np.max(low)) != 0.0 or np.isfinite(given.get("max", self.value(node, 2, np.inf))).any():
            raise self.fail(node, "is no ReLU, which ends at 0 below and nowhere above; train with ReLU")
        self.steps.append(Relu(_name(node)))

    def _view(self, node: Any, given: Mapping[str, Any]) -> None:
        sizes: tuple[int, ...] = (-1,)
        if node.op_type == "Flatten" and given.get("axis", 1) not in (1, 1 - self.rank):
            raise self.fail(node, "must flatten from axis 1 on, or samples become one")
        if node.op_type == "Reshape" and node.input[1] not in self.sizes:
            sizes = tuple(int(size) for size in self.value(node, 1).ravel()[1:])
            if not sizes or 0 in sizes:
                raise self.fail(node, "must keep samples apart, and say its other sizes")
        known = tuple(max(0, dim.dim_value) for dim in self.known.get(node.output[0], ())[1:])
        sizes = known if node.op_type == "Reshape" and sizes == (-1,) and known and all(known) else sizes
        self.rank = len(sizes) + 1
        self.steps.append(View(_name(node), sizes))

    def _rearranged(self, node: Any, given: Mapping[str, Any], axes: tuple[str, ...]) -> tuple[str, ...]:
        """The axes behind a node that moves, picks or averages them; frames and samples where there are frames."""
        op, name = node.op_type, _name(node)
        chosen = given.get("axes", self.value(node, 1, ()).ravel().tolist()) if op in ("Squeeze", "ReduceMean") else ()
        if not axes and op == "Transpose" and self.rank == 3 and given.get("perm") == [1, 0, 2] and not self.steps:
            return ("T", "B", "F")
        if not axes and self.rank == 4 and {int(axis) % 4 for axis in chosen} == {2, 3}:
            if op == "ReduceMean":
                self.steps.append(Pool(name, WHOLE, WHOLE, True))
            if op == "Squeeze" or not given.get("keepdims", 1):
                self.steps.append(View(f"{name}.flat"))
                self.rank = 2
            return ()
        if axes and op == "Transpose" and sorted(given.get("perm", ())) == list(range(len(axes))):
            return tuple(axes[axis] for axis in given["perm"])
        index = None
        if op == "Gather" and axes:
            chosen, index = [given.get("axis", 0)], int(self.value(node, 1).ravel()[0])
        gone = [axes[int(axis)] for axis in chosen if -len(axes) <= int(axis) < len(axes)]
        keeps = op == "ReduceMean" and given.get("keepdims", 1)
        if gone == ["D"] and op in ("Squeeze", "Gather"):
            return tuple(axis for axis in axes if axis != "D")
        if (
            gone == ["T"]
            and not keeps
            and (op == "ReduceMean" or (op == "Gather" and index in (-1, self.shape[0] - 1)))
        ):
            self.steps.append(Read(name, "mean" if op == "ReduceMean" else "last"))
            return tuple(axis for axis in axes if axis != "T")
        raise self.fail(node, f"moves or picks parts of the signal in a way that is not known here; {KNOWN}; images "
                        "come with channels first")  # fmt: skip


def _sliced(array: np.ndarray, starts: Any, ends: Any, axes: Any, steps: Any = None) -> np.ndarray:
    steps = np.ones_like(starts) if steps is None else steps
    for start, end, axis, step in zip(starts.tolist(), ends.tolist(), axes.tolist(), steps.tolist(), strict=True):
        array = np.moveaxis(np.moveaxis(array, axis, 0)[start:end:step], 0, axis)
    return array


def _name(node: Any) -> str:
    return str(node.name or (node.output[0] if node.output else node.op_type))
