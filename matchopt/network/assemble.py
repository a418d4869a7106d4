"""Named arrays of others made into a network: consecutive linear layers, or an architecture that is named."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from matchopt.formats.sources import Source
from matchopt.instances.architecture import Architecture, Convolutional, Recurrent
from matchopt.network.batch_norm import EPSILON, folded
from matchopt.network.layer_order import Uncertain, order_of
from matchopt.network.sparse_network import SparseNetwork, TrainingRecord

_WEIGHT_OR_BIAS = re.compile(r"(.*?)(weights?|biases|bias)(_?\d*)")
_GATES = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")  # of nn.LSTM with one layer
_COUNTERS = ("num_batches_tracked", "n_averaged")  # whole numbers that no inference needs
_WRAPPERS = re.compile(r"\b(module|_orig_mod)\.")  # what DataParallel and torch.compile put before names
_INPUTS = ("input_mean", "input_std")  # what was subtracted from the data, and divided by; one number or several
_HINT = "; for convolutions and recurrent cells name the architecture"

Arrays = Mapping[str, np.ndarray]


def assemble(
    arrays: Arrays, source: Source, architecture: Architecture | None = None, in_order: bool = True
) -> SparseNetwork:
    """Weights and biases in order, checked.

    The masks of torch.nn.utils.prune are multiplied in. Without an architecture, so are batch normalisations, see
    `matchopt.network.batch_norm`. With one, convolutions may be (filters, channels, height, width), the gates of a
    recurrent network are those of PyTorch's LSTM, and running statistics are those of its batch normalisation, in
    order; one with a scale or a shift is multiplied into its convolution. Arrays input_mean and input_std go into the
    record; so do the layers' "names" and, as "notes", what was done or is missing. Raises FormatError when an array is
    none of these, they do not follow each other, or their order is not certain.

    Parameters
    ----------
    arrays : by name.
    source : for messages.
    architecture : see above.
    in_order : whether the arrays are in the order in which they were made; see `matchopt.network.layer_order`.
    """
    rest = _pruned({name: array for name, array in arrays.items() if not name.endswith(_COUNTERS)}, source)
    config = {name: rest.pop(name).ravel().tolist() for name in _INPUTS if name in rest}
    buffers: dict[str, np.ndarray] = {}
    notes: list[str] = []
    if isinstance(architecture, Recurrent):
        rest = _with_gates(rest, source)
    scaled: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    if isinstance(architecture, Convolutional):
        buffers = _running(rest, architecture, source, in_order)
        scaled = _scaled(buffers)
    elif not isinstance(architecture, Recurrent) and max(array.ndim for array in [*rest.values(), np.zeros(0)]) < 3:
        rest, notes = folded(rest, source)
    weights, biases = _pairs(rest, source, architecture is not None)
    order = _order(weights, biases, architecture, source, in_order)
    without = [key for key in order if key not in biases]
    if without:
        notes.append(f"without a bias, zeros are taken: {', '.join(without)}")
    vectors = [biases.get(key, np.zeros(weights[key].shape[0])) for key in order]
    matrices_found = [weights[key] for key in order]
    for number, (scale, shift) in scaled.items():
        matrices_found[number] = matrices_found[number] * scale[:, None]
        vectors[number] = vectors[number] * scale + shift
        notes.append(f"batch normalisation after {order[number]}: multiplied into it, epsilon {EPSILON:g}")
    names = [_WRAPPERS.sub("", key).removesuffix(".gates") for key in order]
    record = TrainingRecord(config={**config, "names": names} | ({"notes": notes} if notes else {}))
    with source.named():
        return SparseNetwork.from_arrays(
            matrices_found, vectors, record=record, architecture=_without(architecture, scaled), buffers=buffers
        )


def _pruned(arrays: dict[str, np.ndarray], source: Source) -> dict[str, np.ndarray]:
    """What torch.nn.utils.prune keeps as name_orig and name_mask, multiplied."""
    found = {}
    for name, array in arrays.items():
        stem = name.removesuffix("_orig")
        if name != stem:
            mask = arrays.get(f"{stem}_mask")
            if mask is None or mask.shape != array.shape:
                raise source.error(f"array {name!r} needs a mask of its shape, {stem}_mask; or use prune.remove")
            found[stem] = array * mask
        elif not (name.endswith("_mask") and f"{name.removesuffix('_mask')}_orig" in arrays):
            found[name] = array
    return found


def _order(
    weights: Arrays, biases: Arrays, architecture: Architecture | None, source: Source, in_order: bool
) -> list[str]:
    """The layers in order; one that the file has under two names is taken once where only that fits."""
    matrices, repeats = None if architecture is None else architecture.matrices, _repeats(weights, biases)

    def follow(keys: Sequence[str], units: int = 0) -> bool:
        if matrices is not None:
            return tuple(weights[key].shape for key in keys) == matrices[: len(keys)]
        return all(weights[a].shape[units] == weights[b].shape[1 - units] for a, b in pairwise(keys))

    # Transposed matrices fit each other backwards: where neither file nor numbers say, a bias must show what units are.
    square = {key for key, array in weights.items() if array.shape[0] == array.shape[1]}
    lengths = {key: bias.size for key, bias in biases.items() if key not in square}
    search = matrices is not None or any(lengths[key] == len(weights[key]) for key in lengths)
    order = fewer = None
    try:
        if matrices is None or len(weights) == len(matrices):
            order = order_of(list(weights), follow, in_order, search)
        if matrices is None and repeats:
            fewer = order_of([key for key in weights if key not in repeats], follow, in_order, search)
    except Uncertain as cause:
        raise source.error(f"{cause}; save the layers in order, or number their names") from None
    if order and fewer:
        both = " and ".join(next(iter(repeats.items())))
        raise source.error(f"{both} have the same weights and biases: the layers follow each other with both of them "
                           "and with one; save only those that are run")  # fmt: skip
    order = order or fewer
    if matrices is None and any(lengths[key] == weights[key].shape[1] for key in lengths):
        order = None
    if order is None:
        wanted = "the linear layers do not follow each other"
        if matrices is not None:
            wanted = f"the weights are not those of the architecture, which has {matrices}"
        advice = "; weights must be (units, inputs), these would fit transposed"
        shapes = ", ".join(f"{key} {array.shape}" for key, array in weights.items())
        raise source.error(f"{wanted}: {shapes}{advice if matrices is None and follow(list(weights), 1) else ''}")
    return order


def _repeats(weights: Arrays, biases: Arrays) -> dict[str, str]:
    """The layers that a file has a second time, such as one that is an attribute and in a list, by the first's name."""
    first: dict[tuple[tuple[int, ...], bytes, bytes], str] = {}
    found = {}
    for key, array in weights.items():
        content = (array.shape, array.tobytes(), biases.get(key, np.zeros(0)).tobytes())
        if first.setdefault(content, key) != key:
            found[key] = first[content]
    return found


def _pairs(arrays: Arrays, source: Source, any_side: bool) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Weights and biases by layer; `any_side` flattens filters to one row each."""
    weights: dict[str, np.ndarray] = {}
    biases: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        stem, _, last = name.rpartition(".")
        match = _WEIGHT_OR_BIAS.fullmatch(last)
        if match is None:
            advice = _HINT if any(other.endswith(_GATES) for other in arrays) else ""
            raise source.error(
                f"array {name!r} is neither a weight nor a bias of a linear layer; names must be like fc1.weight "
                f"and fc1.bias{advice}"
            )
        key = f"{stem}.{match[1]}{match[3]}".strip(".") or "weight"
        place, ndim = (weights, 2) if match[2].startswith("weight") else (biases, 1)
        if any_side and place is weights and array.ndim == 4:
            array = array.reshape(len(array), -1)
        if array.ndim != ndim or array.dtype.kind not in "fiu":
            what, hint = ("matrix", _HINT if array.ndim > 2 else "") if ndim == 2 else ("vector", "")
            raise source.error(
                f"array {name!r} must be a {what} of numbers, found {array.dtype} of shape {array.shape}{hint}"
            )
        place[key] = array
    if not weights:
        raise source.error("no array named weight, so there is no linear layer")
    alone = sorted(set(biases) - set(weights))
    if alone:
        raise source.error(f"a bias without a weight: {alone[0]!r}")
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


def _running(
    arrays: dict[str, np.ndarray], architecture: Convolutional, source: Source, in_order: bool
) -> dict[str, np.ndarray]:
    """Take the running statistics out of `arrays`, named as the architecture's buffers."""
    stems = [name.removesuffix("running_mean") for name in arrays if name.endswith("running_mean")]
    numbers = sorted({int(name.rpartition(".")[2]) for name in architecture.buffers})
    if len(stems) != len(numbers):
        raise source.error(f"{len(stems)} batch normalisations found, the architecture has {len(numbers)}")
    sizes = {stem: arrays[f"{stem}running_mean"].shape for stem in stems}
    wanted = [(architecture.matrices[number][0],) for number in numbers]
    try:
        order = order_of(stems, lambda some: [sizes[stem] for stem in some] == wanted[: len(some)], in_order)
    except Uncertain as cause:
        raise source.error(f"batch normalisations: {cause}; save them in order, or number their names") from None
    buffers = {}
    for number, stem in zip(numbers, order or stems, strict=True):
        own = {name: last for name, last in (("scale", "weight"), ("shift", "bias")) if stem + last in arrays}
        for name, last in {"mean": "running_mean", "variance": "running_var", **own}.items():
            if stem + last not in arrays or arrays[stem + last].shape != sizes[stem]:
                raise source.error(f"array {stem + last!r} of shape {sizes[stem]} is missing")
            buffers[f"{name}.{number}"] = arrays.pop(stem + last)
    return buffers


def _scaled(buffers: dict[str, np.ndarray]) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Take batch normalisations with a scale or shift of their own out of `buffers`; the factors and summands they are.

    They stand directly behind a convolution, so that multiplying them into it changes nothing.
    """
    numbers = {int(name.rpartition(".")[2]) for name in buffers if name.startswith(("scale", "shift"))}
    found = {}
    for n in sorted(numbers):
        mean, variance = (buffers.pop(f"{name}.{n}").astype(np.float64) for name in ("mean", "variance"))
        scale = buffers.pop(f"scale.{n}", np.ones(mean.shape)) / np.sqrt(variance + EPSILON)
        found[n] = (scale, buffers.pop(f"shift.{n}", np.zeros(mean.shape)) - mean * scale)
    return found


def _without(architecture: Architecture | None, scaled: Mapping[int, object]) -> Architecture | None:
    """The architecture without these batch normalisations."""
    if not isinstance(architecture, Convolutional) or not scaled:
        return architecture
    stages = [replace(c, normalise="none") if n in scaled else c for n, c in enumerate(architecture.convolutions)]
    return replace(architecture, convolutions=tuple(stages))
