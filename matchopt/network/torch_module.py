"""Modules of torch as networks, and networks as modules of torch."""

import io
import operator
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from matchopt.errors import InvalidInstance
from matchopt.formats.atomic import write_bytes
from matchopt.instances.convolution import ALPHA, BETA, REACH
from matchopt.network.chain import network_of
from matchopt.network.running import Runnable
from matchopt.network.sparse_network import SparseNetwork
from matchopt.network.steps import (
    WHOLE,
    Conv,
    Linear,
    Lstm,
    Pool,
    Read,
    Relu,
    Response,
    Scale,
    Step,
    View,
    state_of,
    steps_of,
    ungrouped,
)

_PASSED = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout)
_POOLS = (nn.MaxPool2d, nn.AvgPool2d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_ENDS = (nn.Softmax, nn.LogSoftmax)
ADVICE = ("mapped are chains of Linear, Conv2d (stride 1), ReLU, MaxPool2d, AvgPool2d, BatchNorm, Flatten, Dropout and "
          "one LSTM in front")  # fmt: skip


def from_torch(module: nn.Module, input_shape: Sequence[int] = ()) -> SparseNetwork:
    """The network that a module computes in evaluation.

    Its forward pass is traced with symbols (`torch.fx`), so that any module that is one chain of known layers will do;
    batch normalisation is multiplied into layers. A weight of zero is no connection.

    Parameters
    ----------
    module : what is traced; on any device, in any precision.
    input_shape : of one sample, without the batch: (channels, height, width) where there are convolutions, (frames,
        features) where there are recurrent cells; () where the first linear layer tells.

    Raises
    ------
    InvalidInstance
        naming the layer that has no place in such a network, and what to do.
    """
    was_training = module.training
    try:
        graph = fx.Tracer().trace(module.eval())
    except Exception as cause:  # the tracer runs the module's own code
        raise InvalidInstance(f"the module cannot be traced by torch.fx: {str(cause).splitlines()[0][:200]}; give one "
                              "without branches on values, or its state_dict") from None  # fmt: skip
    finally:
        module.train(was_training)
    walk = _Walk(module, tuple(input_shape))
    for node in graph.nodes:
        walk.take(node)
    return network_of(walk.steps, walk.shape, InvalidInstance, walk.notes)


def to_torch(network: Runnable) -> nn.Module:
    """A module in single precision that computes what a network, trained or realised, does.

    It is a `torch.nn.Sequential`, or for recurrent networks a module with the attributes `lstm` and `out`; samples have
    the shape of images, or of frames x features. Its state dict has the names that `write_torch` gives.
    """
    steps = steps_of(network)
    recurrent = isinstance(steps[0], Lstm)
    module: nn.Module = _Cells(steps) if recurrent else nn.Sequential(*map(_module, steps))
    state = {name: torch.tensor(array) for name, array in state_of(network).items()}
    module.load_state_dict(state)
    return module.eval()


def write_torch(path: Path, state: Mapping[str, np.ndarray]) -> None:
    """Write a state dict as torch does."""
    file = io.BytesIO()
    torch.save({name: torch.tensor(array) for name, array in state.items()}, file)
    write_bytes(path, file.getvalue())


def _module(step: Step) -> nn.Module:
    if isinstance(step, Linear):
        return nn.Linear(*step.weight.shape[::-1])
    if isinstance(step, Conv):
        filters, channels, size, _ = step.weight.shape
        return nn.Conv2d(channels, filters, size, padding=step.padding)
    if isinstance(step, Pool):
        kind = nn.AvgPool2d if step.average else nn.MaxPool2d
        return kind(step.size, step.stride, ceil_mode=step.overhang)
    if isinstance(step, Response):
        return nn.LocalResponseNorm(2 * REACH + 1, ALPHA * (2 * REACH + 1), BETA, 1.0)
    return nn.ReLU() if isinstance(step, Relu) else nn.Flatten()


class _Cells(nn.Module):
    """An LSTM and its output layer."""

    def __init__(self, steps: Sequence[Any]) -> None:
        super().__init__()
        cells, read, last = steps
        self.lstm = nn.LSTM(cells.into.shape[1], cells.back.shape[1], batch_first=True)
        self.out, self.how = nn.Linear(*last.weight.shape[::-1]), read.how

    def forward(self, frames: Tensor) -> Tensor:
        found, _ = self.lstm(frames)
        answers: Tensor = self.out(
            found if self.how == "every" else found[:, -1] if self.how == "last" else found.mean(1)
        )
        return answers


class _Walk:
    """The steps found so far, and the node that the signal is now."""

    def __init__(self, module: nn.Module, shape: tuple[int, ...]) -> None:
        self.module, self.shape = module, shape
        self.steps: list[Step] = []
        self.notes: list[str] = []
        self.signal: Any = None
        self.ended = ""
        self.cells: dict[Any, str] = {}  # what of an LSTM's results a node is: all, frames, state, hidden
        self.first = True  # whether frames come after samples

    def take(self, node: Any) -> None:
        """Add what a node does."""
        if node.op == "placeholder":
            if self.signal is not None:
                raise self.wrong(node, "is a second input; give a module of one")
        elif node.op == "output":
            if node.args[0] is not self.signal:
                raise self.wrong(node, "gives something else than the last layer's answer; give a module of one output")
            return
        elif node.op == "get_attr" or _about_shapes(node):
            return
        else:
            signals = [arg for arg in node.all_input_nodes if arg is self.signal or arg in self.cells]
            others = [arg for arg in node.all_input_nodes if arg not in signals and not _about_shapes(arg)]
            if not signals or others:
                raise self.wrong(node, "joins or splits paths; only chains are mapped")
            if self.ended:
                raise self.wrong(node, f"follows {self.ended!r}, which must be the last")
            self._operation(node)
        self.signal = node

    def wrong(self, node: Any, why: str) -> InvalidInstance:
        """The error about a node."""
        what = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
        return InvalidInstance(f"node {node.name!r} ({what}) {why}")

    def _operation(self, node: Any) -> None:
        if node.op == "call_module":
            frames = self.cells.get(node.args[0], "frames")
            if frames != "frames":
                raise self.wrong(node, f"takes {frames} of an LSTM's results; take its outputs, or h_n[-1]")
            self._layer(node, self.module.get_submodule(str(node.target)), str(node.target))
            if node.args[0] in self.cells:
                self.cells[node] = "frames"
            return
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
        arguments = [arg for arg in node.args[1:] if not isinstance(arg, fx.Node)]
        if node.args[0] in self.cells:
            self._frames(node, name)
        elif name in ("relu", "relu_"):
            self.steps.append(Relu(node.name))
        elif name == "flatten" and 1 not in (*arguments[:1], node.kwargs.get("start_dim")):
            raise self.wrong(node, "must begin at dimension 1, or samples become one")
        elif name in ("flatten", "view", "reshape"):
            self.steps.append(View(node.name, (-1,) if name == "flatten" else _sizes(node.args[1:])))
        elif name in ("max_pool2d", "avg_pool2d", "boolean_dispatch"):
            function = functional.avg_pool2d if name == "avg_pool2d" else functional.max_pool2d
            if name == "boolean_dispatch" and "max_pool2d" not in node.name:
                raise self.wrong(node, f"is none of what is known here; {ADVICE}")
            kind = nn.AvgPool2d if function is functional.avg_pool2d else nn.MaxPool2d
            more = {key: value for key, value in node.kwargs.items() if key != "return_indices"}
            self._layer(node, kind(*arguments, **more), node.name)
        elif name in ("softmax", "log_softmax"):
            self._end(node.name)
        elif name not in ("dropout", "contiguous", "float", "identity", "feature_dropout"):
            raise self.wrong(node, f"is none of what is known here; {ADVICE}")

    def _layer(self, node: Any, layer: nn.Module, name: str) -> None:
        if isinstance(layer, nn.Linear):
            self.steps.append(Linear(name, _plain(layer.weight), _bias(layer.bias, len(layer.weight))))
        elif isinstance(layer, nn.Conv2d):
            self.steps.append(self._convolution(node, layer, name))
        elif isinstance(layer, nn.ReLU):
            self.steps.append(Relu(name))
        elif isinstance(layer, _NORMS):
            self.steps.append(self._norm(node, layer, name))
        elif isinstance(layer, _POOLS):
            self.steps.append(self._pool(node, layer, name))
        elif isinstance(layer, nn.AdaptiveAvgPool2d) and layer.output_size in (1, (1, 1)):
            self.steps.append(Pool(name, WHOLE, WHOLE, True))
        elif isinstance(layer, nn.Flatten) and layer.start_dim == 1 and layer.end_dim == -1:
            self.steps.append(View(name))
        elif isinstance(layer, nn.Unflatten):
            self.steps.append(View(name, tuple(layer.unflattened_size)))
        elif isinstance(layer, nn.LSTM):
            self._lstm(node, layer, name)
        elif isinstance(layer, _ENDS):
            self._end(name)
        elif not isinstance(layer, _PASSED):
            raise self.wrong(node, f"is a {type(layer).__name__}, which has no place here; {ADVICE}")

    def _end(self, name: str) -> None:
        self.ended = name
        self.notes.append(f"{name}: left out, answers are those before the softmax")

    def _convolution(self, node: Any, layer: nn.Conv2d, name: str) -> Conv:
        padding = layer.padding
        if padding == "same":
            padding = tuple(size // 2 for size in layer.kernel_size)
        if padding == "valid":
            padding = (0, 0)
        plain = layer.stride == layer.dilation == (1, 1) and layer.padding_mode == "zeros"
        if not plain or len(set(padding)) > 1 or (layer.padding == "same" and layer.kernel_size[0] % 2 == 0):
            raise self.wrong(node, "must have stride 1, dilation 1 and equal zero padding on all sides, found "
                             f"{layer}")  # fmt: skip
        weight = ungrouped(_plain(layer.weight), layer.groups)
        return Conv(name, weight, _bias(layer.bias, len(weight)), int(padding[0]))

    def _norm(self, node: Any, layer: Any, name: str) -> Scale:
        if layer.running_mean is None:
            raise self.wrong(node, "has no running statistics, so that answers depend on the batch")
        mean, variance = _plain(layer.running_mean), _plain(layer.running_var)
        scale = (1.0 if layer.weight is None else _plain(layer.weight)) / np.sqrt(variance + layer.eps)
        return Scale(name, scale, (0.0 if layer.bias is None else _plain(layer.bias)) - mean * scale)

    def _pool(self, node: Any, layer: Any, name: str) -> Pool:
        sizes = [layer.kernel_size, layer.kernel_size if layer.stride is None else layer.stride, layer.padding]
        size, stride, padding = (pair if isinstance(pair, tuple) else (pair, pair) for pair in sizes)
        plain = getattr(layer, "dilation", 1) in (1, (1, 1)) and getattr(layer, "divisor_override", None) is None
        if size[0] != size[1] or stride[0] != stride[1] or padding != (0, 0) or not plain:
            raise self.wrong(node, f"must have square windows without padding or dilation, found {layer}")
        return Pool(name, size[0], stride[0], isinstance(layer, nn.AvgPool2d), layer.ceil_mode)

    def _lstm(self, node: Any, layer: nn.LSTM, name: str) -> None:
        if layer.num_layers > 1 or layer.bidirectional or layer.proj_size or len(node.args) > 1:
            raise self.wrong(node, "must be an LSTM of one layer and one direction, without projection or given state, "
                             f"found {layer}")  # fmt: skip
        into, back = _plain(layer.weight_ih_l0), _plain(layer.weight_hh_l0)
        bias = _plain(layer.bias_ih_l0) + _plain(layer.bias_hh_l0) if layer.bias else np.zeros(len(into))
        self.steps.append(Lstm(name, into, back, bias))
        self.cells[node], self.first = "all", bool(layer.batch_first)

    def _frames(self, node: Any, name: str) -> None:
        """What is taken of the results of an LSTM."""
        what, chosen = self.cells[node.args[0]], (*node.args, None)[1]
        frames, everything = int(self.first), slice(None)
        last = (everything,) * frames + (-1,)
        if what == "all" and chosen in (0, 1):
            self.cells[node] = ("frames", "state")[chosen]
        elif what == "state" and chosen in (0, 1):
            self.cells[node] = ("hidden", "cells")[chosen]
        elif (what == "hidden" and (chosen in (0, -1) or name == "squeeze")) or (
            what == "frames" and name == "getitem" and (chosen == -1 if not frames else _leading(chosen) == last)
        ):
            self.steps.append(Read(node.name, "last"))
        elif what == "frames" and name == "mean" and frames in (chosen, node.kwargs.get("dim")):
            self.steps.append(Read(node.name, "mean"))
        else:
            raise self.wrong(node, "takes something of an LSTM other than all frames, the last, or their mean")


def _about_shapes(node: Any) -> bool:
    """Whether a node only asks for sizes, or counts with them."""
    if node.op == "call_method" and node.target in ("size", "dim"):
        return True
    if node.op == "call_function" and node.target is getattr:
        return node.args[1] in ("shape", "ndim")
    counted = (operator.getitem, operator.mul, operator.floordiv)
    inputs = node.all_input_nodes
    return node.op == "call_function" and node.target in counted and bool(inputs) and all(map(_about_shapes, inputs))


def _sizes(words: Sequence[Any]) -> tuple[int, ...]:
    """The sizes behind that of the batch."""
    given = words[0] if words and isinstance(words[0], (tuple, list)) else words
    return tuple(size if isinstance(size, int) else -1 for size in given[1:]) or (-1,)


def _leading(chosen: Any) -> Any:
    """An index without what takes everything at its end."""
    while isinstance(chosen, tuple) and len(chosen) > 2 and chosen[-1] in (slice(None), Ellipsis):
        chosen = chosen[:-1]
    return chosen


def _plain(tensor: Any) -> np.ndarray:
    found: np.ndarray = tensor.detach().cpu().double().numpy()
    return found


def _bias(bias: Tensor | None, count: int) -> np.ndarray:
    return np.zeros(count) if bias is None else _plain(bias)
