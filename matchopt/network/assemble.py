"""Named arrays of others made into a network: consecutive linear layers, or an architecture that is named."""

import re
from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np

from matchopt.formats.sources import Source
from matchopt.instances.architecture import Architecture, Convolutional, Recurrent
from matchopt.network.network_file import MAX_WEIGHTS
from matchopt.network.sparse_network import SparseNetwork, TrainingRecord

_DIGITS = re.compile(r"(\d+)")
_GATES = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")  # of nn.LSTM with one layer
_HINT = "; for convolutions and recurrent cells name the architecture"

Arrays = Mapping[str, np.ndarray]


def assemble(arrays: Arrays, source: Source, architecture: Architecture | None = None) -> SparseNetwork:
    """Weights and biases in order, checked.

    With an architecture, convolutions may be (filters, channels, height, width), the gates of a recurrent network are
    those of PyTorch's LSTM, and running statistics are those of its batch normalisation, in order.

    Raises
    ------
    FormatError
        when an array is none of these, or they do not follow each other.
    """
    rest, buffers = dict(arrays), {}
    if isinstance(architecture, Recurrent):
        rest = _with_gates(rest, source)
    if isinstance(architecture, Convolutional):
        buffers = _running(rest, architecture, source)
    weights, biases = _pairs(rest, source, architecture is not None)
    if architecture is None:
        order = _order(weights, lambda keys: all(weights[a].shape[0] == weights[b].shape[1] for a, b in pairwise(keys)))
        wanted = "the linear layers do not follow each other"
    else:
        matrices = architecture.matrices
        order = _order(weights, lambda keys: tuple(weights[key].shape for key in keys) == matrices)
        by_shape = {array.shape: key for key, array in weights.items()}
        if order is None and len(by_shape) == len(weights) and set(by_shape) == set(matrices):
            order = [by_shape[shape] for shape in matrices]  # shapes alone say which is which
        wanted = f"the weights are not those of the architecture, which has {matrices}"
    if order is None:
        shapes = ", ".join(f"{key.strip('.') or 'weight'} {array.shape}" for key, array in weights.items())
        raise source.error(f"{wanted}: {shapes}")
    vectors = [biases.get(key, np.zeros(weights[key].shape[0])) for key in order]
    matrices_found = [weights[key] for key in order]
    with source.named():
        return SparseNetwork.from_arrays(
            matrices_found, vectors, record=TrainingRecord(), architecture=architecture, buffers=buffers
        )


def _pairs(arrays: Arrays, source: Source, any_side: bool) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Weights and biases by layer; `any_side` flattens filters to one row each."""
    weights: dict[str, np.ndarray] = {}
    biases: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        stem, _, last = name.rpartition(".")
        match = re.fullmatch(r"(.*?)(weights?|biases|bias)(_?\d*)", last)
        if match is None:
            raise source.error(f"array {name!r} is neither a weight nor a bias of a linear layer{_HINT}")
        key = f"{stem}.{match[1]}{match[3]}"
        place, ndim = (weights, 2) if match[2].startswith("weight") else (biases, 1)
        if any_side and place is weights and array.ndim == 4:
            array = array.reshape(len(array), -1)
        if array.ndim != ndim or array.dtype.kind not in "fiu":
            what, hint = ("matrix", _HINT) if ndim == 2 else ("vector", "")
            raise source.error(
                f"array {name!r} must be a {what} of numbers, found {array.dtype} of shape {array.shape}{hint}"
            )
        if array.size > MAX_WEIGHTS:
            raise source.error(f"array {name!r} has {array.size} entries, at most {MAX_WEIGHTS} are read")
        place[key] = array
    if not weights:
        raise source.error("no array named weight, so there is no linear layer")
    alone = sorted(set(biases) - set(weights))
    if alone:
        raise source.error(f"a bias without a weight: {alone[0].strip('.')!r}")
    return weights, biases


def _with_gates(arrays: dict[str, np.ndarray], source: Source) -> dict[str, np.ndarray]:
    """Replace the arrays of an nn.LSTM of one layer by one matrix and one bias."""
    found = {last: [name for name in arrays if name.rpartition(".")[2] == last] for last in _GATES}
    if any(len(names) > 1 for names in found.values()) or not found["weight_ih_l0"] or not found["weight_hh_l0"]:
        return arrays  # one matrix of gates already, or something that does not fit and is refused by its shapes
    name = found["weight_ih_l0"][0]
    parts = {last: arrays[names[0]] for last, names in found.items() if names}
    into, back = parts["weight_ih_l0"], parts["weight_hh_l0"]
    if into.ndim != 2 or back.ndim != 2 or len(into) != len(back):
        raise source.error(f"array {name!r} of shape {into.shape} does not go with weight_hh_l0 of {back.shape}")
    bias = np.zeros(len(into))
    for last in _GATES[2:]:
        if last in parts:
            if parts[last].shape != bias.shape:
                raise source.error(f"{last} must have shape {bias.shape}, found {parts[last].shape}")
            bias = bias + parts[last]
    stem = name.removesuffix("weight_ih_l0")
    made = {f"{stem}gates.weight": np.concatenate([into, back], axis=1), f"{stem}gates.bias": bias}
    used = {names[0] for names in found.values() if names}
    return made | {other: array for other, array in arrays.items() if other not in used}


def _running(arrays: dict[str, np.ndarray], architecture: Convolutional, source: Source) -> dict[str, np.ndarray]:
    """Take the running statistics out of `arrays`, named as the architecture's buffers."""
    stems = [name.removesuffix("running_mean") for name in arrays if name.endswith("running_mean")]
    numbers = sorted({int(name.rpartition(".")[2]) for name in architecture.buffers})
    if len(stems) != len(numbers):
        raise source.error(f"{len(stems)} batch normalisations found, the architecture has {len(numbers)}")
    buffers = {}
    for number, stem in zip(numbers, sorted(stems, key=_natural), strict=True):
        if f"{stem}weight" in arrays or f"{stem}bias" in arrays:
            raise source.error(
                f"the batch normalisation {stem.strip('.')!r} has a scale and a shift of its own; multiply them into "
                "its convolution, or train with affine=False"
            )
        for name, last in (("mean", "running_mean"), ("variance", "running_var")):
            if stem + last not in arrays:
                raise source.error(f"array {stem + last!r} is missing")
            buffers[f"{name}.{number}"] = arrays.pop(stem + last)
    return buffers


def _order(weights: Arrays, fits: Callable[[list[str]], bool]) -> list[str] | None:
    """The first order of the layers, natural or the file's own, that fits; None if neither does."""
    return next((order for order in (sorted(weights, key=_natural), list(weights)) if fits(order)), None)


def _natural(name: str) -> list[tuple[int, int, str]]:
    parts = _DIGITS.split(name)
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts]
