"""NIR graphs (HDF5): nodes that follow each other, read as operations, and written."""

import io
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from matchopt.errors import FormatError, InvalidInstance, MissingExtra, Refused
from matchopt.formats.atomic import write_bytes
from matchopt.formats.hdf5 import read_hdf5
from matchopt.formats.sources import Source
from matchopt.network.chain import network_of
from matchopt.network.running import Runnable
from matchopt.network.sparse_network import SparseNetwork
from matchopt.network.steps import Conv, Linear, Pool, Relu, Scale, Step, View, sample_shape, steps_of, ungrouped

MARK, RELU = "activation", "relu"  # what metadata say of a node, or of the graph, that stands for a ReLU
ADVICE = (f'NIR has no ReLU: where a node (or every one of the graph) stands for it, say so in its metadata, '
          f'{{"{MARK}": "{RELU}"}}')  # fmt: skip
_NEURONS = ("Threshold", "IF", "LIF", "LI", "I", "CubaLIF", "CubaLI")
_LAYERS = ("Linear", "Affine", "Conv2d")


def read_nir(source: Source) -> SparseNetwork:
    """The network in a NIR file.

    Known are Input, Output, Linear, Affine, Conv2d, AvgPool2d, SumPool2d, Scale and Flatten; a neuron is a ReLU if its
    metadata, or the graph's, say so, and spiking otherwise.

    Raises
    ------
    FormatError
        naming the node that has no place in a network that is mapped, and what to do.
    MissingExtra
        when the package h5py is not installed.

    References
    ----------
    Pedersen et al. 2024, Neuromorphic intermediate representation, doi 10.1038/s41467-024-52259-9.
    """
    graph = read_hdf5(source, "nir").get("node")
    nodes = graph.get("nodes") if isinstance(graph, dict) else None
    if not isinstance(graph, dict) or not isinstance(nodes, dict) or graph.get("type") != "NIRGraph":
        raise source.error("no NIR graph, the only HDF5 file that is read as a network")
    try:
        return _of_graph(graph, nodes, source)
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, OverflowError) as cause:
        if isinstance(cause, FormatError):
            raise
        raise source.error(f"a damaged NIR graph: {type(cause).__name__} {str(cause)[:120]}") from None


def _of_graph(graph: dict[str, Any], nodes: dict[str, Any], source: Source) -> SparseNetwork:
    steps: list[Step] = []
    shape: tuple[int, ...] = ()
    all_relu, before = _marked(graph), ""
    for name in _order(graph, nodes, source):
        node, kind = nodes[name], str(nodes[name]["type"])
        if kind == "Input":
            shape = tuple(int(size) for size in np.ravel(node["shape"]))
        elif kind in _NEURONS:
            if not (all_relu or _marked(node)):
                raise source.error(f"node {name!r} ({kind}) is a spiking neuron or a step, and only networks with ReLU "
                                   f"are mapped; {ADVICE}")  # fmt: skip
            steps.append(Relu(name))
        elif kind != "Output":
            if all_relu and kind in _LAYERS and before in _LAYERS:
                steps.append(Relu(f"{name}.relu"))
            steps += _steps(name, node, kind, source)
        before = kind if kind in (*_LAYERS, *_NEURONS) else before

    def fail(why: str) -> FormatError:
        return source.error(f"{why}; {ADVICE}" if why.startswith("no ReLU") else why)

    return network_of(steps, shape, fail)


def _order(graph: dict[str, Any], nodes: dict[str, Any], source: Source) -> list[str]:
    """The names of the nodes from the input to the output; raises unless they are one chain."""
    after: dict[str, str] = {}
    for first, second in np.asarray(graph.get("edges", ())).reshape(-1, 2).tolist():
        if first in after or second in after.values() or not {first, second} <= set(nodes):
            raise source.error(f"the edge from {first!r} to {second!r} joins, splits or leaves the graph; only "
                               "chains of nodes are mapped")  # fmt: skip
        after[first] = second
    order = [name for name in nodes if name not in after.values()][:1]
    while order and order[-1] in after:
        order.append(after[order[-1]])
    if len(order) != len(nodes) or nodes[order[0]]["type"] != "Input" or nodes[order[-1]]["type"] != "Output":
        odd = sorted(set(nodes) - set(order))[:3] or order[:1]
        raise source.error(f"nodes {', '.join(odd)} are not on one chain from an Input to an Output")
    return order


def _steps(name: str, node: dict[str, Any], kind: str, source: Source) -> list[Step]:
    """The operations of one node that is no neuron."""
    if kind in ("Linear", "Affine"):
        weight = np.asarray(node["weight"], np.float64)
        return [Linear(name, weight, np.asarray(node.get("bias", np.zeros(len(weight))), np.float64))]
    if kind == "Conv2d":
        return [_convolution(name, node, source)]
    if kind in ("AvgPool2d", "SumPool2d"):
        (size, *others), (stride, *more) = (np.ravel(node[key]).tolist() for key in ("kernel_size", "stride"))
        if {size} != {size, *others} or {stride} != {stride, *more} or np.any(node["padding"]):
            raise source.error(f"node {name!r} ({kind}) must have square windows without padding")
        pool = Pool(name, int(size), int(stride), True)
        return [pool] if kind == "AvgPool2d" else [pool, Scale(f"{name}.sum", np.full(1, float(size**2)), np.zeros(1))]
    if kind == "Flatten":
        return [View(name)]
    if kind == "Scale":
        scale = np.asarray(node["scale"], np.float64)
        flat = scale.reshape(len(scale), -1) if scale.ndim else scale.reshape(1, 1)
        if (flat == flat[:, :1]).all():
            return [Scale(name, flat[:, 0], np.zeros(1))]
    raise source.error(f"node {name!r} ({kind}) has no place in a network that is mapped, a chain of Linear, Affine, "
                       f"Conv2d, AvgPool2d, SumPool2d, Scale, Flatten and ReLU; {ADVICE}")  # fmt: skip


def _convolution(name: str, node: dict[str, Any], source: Source) -> Conv:
    weight, padding = np.asarray(node["weight"], np.float64), node["padding"]
    sides = set(weight.shape[2:])
    if isinstance(padding, str):
        odd = padding == "valid" or (padding == "same" and len(sides) == 1 and min(sides) % 2 == 1)
        padding = {0 if padding == "valid" else min(sides) // 2} if odd else set()
    else:
        padding = set(np.ravel(padding).tolist())
    plain = {*np.ravel(node["stride"]).tolist(), *np.ravel(node["dilation"]).tolist()} == {1}
    if not plain or len(padding) != 1 or weight.ndim != 4:
        raise source.error(f"node {name!r} (Conv2d) must have stride 1, dilation 1 and equal padding on all sides")
    try:
        weight = ungrouped(weight, int(node["groups"]))
    except InvalidInstance as cause:
        raise source.error(f"node {name!r} (Conv2d): {cause}") from None
    return Conv(name, weight, np.broadcast_to(np.asarray(node["bias"], np.float64).ravel(), len(weight)), padding.pop())


def _marked(node: dict[str, Any]) -> bool:
    """Whether its metadata say that it stands for a ReLU."""
    metadata = node.get("metadata")
    return isinstance(metadata, dict) and str(metadata.get(MARK, "")).lower() == RELU


def write_nir(path: Path, network: Runnable, names: Sequence[str] = ()) -> None:
    """Write a network as a NIR graph in single precision.

    Where a ReLU stands, the graph has an integrate-and-fire neuron, whose rate is one, with metadata that say so.

    Raises
    ------
    Refused
        when the network has what NIR cannot express: maximum pooling, response normalisation, an LSTM.
    MissingExtra
        when the package nir is not installed.
    """
    try:
        import nir
    except ImportError:
        raise MissingExtra(f"writing {path}", "nir", "nir") from None
    shape = sample_shape(network.architecture)
    free = [name.replace("/", ".") for name in names]  # HDF5 takes the stroke for a group
    first, last = (next(name for name in (end, f"{end}_node") if name not in free) for end in ("input", "output"))
    nodes: dict[str, Any] = {first: nir.Input({"input": np.array(shape)})}
    for step in steps_of(network, free):
        node, shape = _node(nir, step, shape)
        nodes[step.name] = node
    nodes[last] = nir.Output({"output": np.array(shape)})
    file = io.BytesIO()
    nir.write(file, nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False))
    write_bytes(path, file.getvalue())


def _node(nir: Any, step: Step, shape: tuple[int, ...]) -> tuple[Any, tuple[int, ...]]:
    """The node of an operation, and the shape of the signal behind it."""
    if isinstance(step, Linear):
        return nir.Affine(step.weight.astype(np.float32), step.bias.astype(np.float32)), (len(step.bias),)
    if isinstance(step, Conv):
        weight, grown = step.weight.astype(np.float32), 2 * step.padding + 1 - step.weight.shape[2]
        node = nir.Conv2d(shape[1:], weight, 1, step.padding, 1, 1, step.bias.astype(np.float32))
        return node, (len(weight), shape[1] + grown, shape[2] + grown)
    if isinstance(step, Relu):
        one = np.ones(shape, np.float32)
        return nir.IF(one, one, v_reset=0 * one, metadata={MARK: RELU}), shape
    if isinstance(step, View):
        return nir.Flatten({"input": np.array(shape)}, 0), (int(np.prod(shape)),)
    if isinstance(step, Pool) and step.average and not step.overhang:
        window = [np.array([size, size]) for size in (step.size, step.stride, 0)]
        return nir.AvgPool2d(*window), (shape[0], *((side - step.size) // step.stride + 1 for side in shape[1:]))
    what = "maximum pooling, nor windows beyond the image" if isinstance(step, Pool) else type(step).__name__
    raise Refused(f"NIR has no {what}, which this network needs; write it as .onnx or .safetensors")
