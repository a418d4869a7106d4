"""Sparse networks in files: the connections as compressed rows, the record among the facts."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from matchopt.errors import InvalidInstance
from matchopt.formats.container import Content, read_content, write_content
from matchopt.formats.sources import Source
from matchopt.instances.architecture import FullyConnected, architecture_from
from matchopt.instances.arrays import frozen
from matchopt.instances.target import Target
from matchopt.network.sparse_network import SparseLayer, SparseNetwork, TrainingRecord
from matchopt.parts import Json, Parts, exact_keys, field_values
from matchopt.settings import PositiveInt, checked, read_object

KIND = "sparse-network"


def write_network(path: Path, network: SparseNetwork) -> None:
    """Write `network`; equal content gives equal bytes, and a failure leaves what was at `path`.

    Raises
    ------
    OSError
        when the folder is missing, not writable or full.
    """
    write_content(path, Content("network", KIND, _parts(network)))


def read_own_network(source: Source) -> SparseNetwork:
    """Read what `write_network` wrote; `matchopt.network.read_network` reads that and files of others.

    Raises FormatError naming the file and the field that is wrong.
    """
    content = read_content(source, "network")
    with source.named():
        if content.kind != KIND:
            raise InvalidInstance(f"kind must be {KIND}, found {content.kind!r}")
        return _network(content.parts)


def _parts(network: SparseNetwork) -> Parts:
    record = network.record
    data: Json = None if record.data is None else record.data.facts()
    facts: dict[str, Json] = {"n_inputs": network.widths[0], "layers": len(network.layers)}
    facts["record"] = {**field_values(record), "config": dict(record.config), "data": data}
    arrays: dict[str, np.ndarray] = {}
    for number, layer in enumerate(network.layers):
        connections = layer.target.arrays()
        arrays |= Parts(arrays={**connections, "biases": layer.biases.astype(np.float64)}).prefixed(f"layers.{number}")
    if not network.fully_connected:
        facts["architecture"] = network.architecture.facts()
        arrays |= {f"buffers.{name}": array.astype(np.float64) for name, array in network.buffers.items()}
    return Parts(facts, arrays)


def _network(parts: Parts) -> SparseNetwork:
    facts = parts.facts
    exact_keys(facts, {"n_inputs", "layers", "record"}, {"architecture"}, "facts", InvalidInstance)
    for name in ("n_inputs", "layers"):
        checked(facts[name], PositiveInt, name, InvalidInstance)
    architecture = architecture_from(facts["architecture"]) if "architecture" in facts else None
    if architecture is not None and (architecture.n_inputs, len(architecture.matrices)) != (
        facts["n_inputs"],
        facts["layers"],
    ):
        raise InvalidInstance("architecture: its inputs and layers must be n_inputs and layers")
    per_layer, buffers = {"indptr", "indices", "weights", "biases"}, parts.under("buffers")
    if 4 * facts["layers"] != len(parts.arrays) - len(buffers):
        raise InvalidInstance(f"layers is {facts['layers']}, so {4 * facts['layers']} tensors are needed, "
                              f"found {len(parts.arrays) - len(buffers)}")  # fmt: skip
    groups = [parts.under(f"layers.{number}") for number in range(facts["layers"])]
    for number, arrays in enumerate(groups):
        exact_keys(arrays, per_layer, set(), f"layers.{number}", InvalidInstance)
    widths = (facts["n_inputs"], *(arrays["indptr"].size - 1 for arrays in groups))
    whole = architecture or FullyConnected(widths)
    layers = tuple(_layer(arrays, n, whole.matrices[n][1]) for n, arrays in enumerate(groups))
    return SparseNetwork(
        layers, whole, read_object(TrainingRecord, facts["record"], "record", InvalidInstance), buffers
    )


def _layer(arrays: Mapping[str, np.ndarray], number: int, n_inputs: int) -> SparseLayer:
    try:
        target = Target.from_arrays({name: arrays[name] for name in ("indptr", "indices", "weights")}, n_inputs)
        return SparseLayer(target, frozen(arrays["biases"], "biases", float, 1))
    except InvalidInstance as cause:
        raise InvalidInstance(f"layers.{number}: {cause}") from None
