"""Sparse networks in files: the connections as compressed rows in safetensors, the record as JSON in its metadata."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from matchopt.errors import InvalidInstance
from matchopt.formats.atomic import write_bytes
from matchopt.formats.bounded_json import parse
from matchopt.formats.sources import Source
from matchopt.formats.tensors import read_tensors
from matchopt.instances.architecture import architecture_from
from matchopt.instances.arrays import frozen
from matchopt.instances.network import DataReference
from matchopt.instances.target import Target
from matchopt.network.sparse_network import CHAIN, SparseLayer, SparseNetwork, TrainingRecord
from matchopt.parts import Json, Parts, canonical_json, exact_keys, field_values

SCHEMA = 2  # 2 where there is an architecture; fully connected networks are still written as 1
KEY = "matchopt"  # of the only metadata entry
KIND = "sparse-network"
MAX_WEIGHTS = 2**28  # of one layer, zeros included: a gigabyte in single precision


def write_network(path: Path, network: SparseNetwork) -> None:
    """Write `network`; equal content gives equal bytes, and a failure leaves what was at `path`.

    Raises
    ------
    OSError
        when the folder is missing, not writable or full.
    """
    parts = _parts(network)
    about = {
        "schema": 1 if network.fully_connected else SCHEMA,
        "role": "network",
        "kind": KIND,
        "facts": dict(parts.facts),
    }
    about["sha256"] = parts.digest(KIND)
    write_bytes(path, save(dict(parts.arrays), {KEY: canonical_json(about).decode()}))


def load_network(path: Path) -> SparseNetwork:
    """Read what `write_network` wrote.

    Raises
    ------
    FormatError
        naming the file and the field that is wrong.
    """
    source = Source(path)
    metadata, arrays = read_tensors(source.data, source.error)
    if set(metadata) != {KEY}:
        found = ", ".join(sorted(metadata))[:80] or "nothing"
        raise source.error(f"metadata must hold exactly {KEY!r}, found {found}: not written by matchopt")
    about = parse(metadata[KEY].encode(), lambda reason: source.error(f"metadata: {reason}"))
    try:
        _check_about(about)
        parts = Parts(about["facts"], arrays)
        if parts.digest(KIND) != about["sha256"]:
            raise InvalidInstance("sha256 differs from that of the content; the file is damaged")
        return _network(parts)
    except InvalidInstance as cause:
        raise source.error(str(cause)) from None


def _parts(network: SparseNetwork) -> Parts:
    record = network.record
    data: Json = None if record.data is None else {"name": record.data.name, "sha256": record.data.sha256}
    facts: dict[str, Json] = {"n_inputs": network.widths[0], "layers": len(network.layers)}
    facts["record"] = {**field_values(record), "config": dict(record.config), "data": data}
    arrays: dict[str, np.ndarray] = {}
    for number, layer in enumerate(network.layers):
        connections = Target.from_dense(layer.weights, layer.mask).arrays()
        arrays |= Parts(arrays={**connections, "biases": layer.biases.astype(np.float64)}).prefixed(f"layers.{number}")
    if not network.fully_connected:
        facts["architecture"] = network.architecture.facts()
        arrays |= {f"buffers.{name}": array.astype(np.float64) for name, array in network.buffers.items()}
    return Parts(facts, arrays)


def _check_about(about: Any) -> None:
    if not isinstance(about, dict):
        raise InvalidInstance(f"{KEY!r} must be an object, found {about!r}")
    exact_keys(about, {"schema", "role", "kind", "facts", "sha256"}, set(), "metadata", InvalidInstance)
    schema = about["schema"]
    if type(schema) is not int or schema < 1:
        raise InvalidInstance(f"schema must be a whole number >= 1, found {schema!r}")
    if schema > SCHEMA:
        raise InvalidInstance(f"schema is {schema}, this matchopt reads up to {SCHEMA}; upgrade it")
    if (about["role"], about["kind"]) != ("network", KIND):
        raise InvalidInstance(f"must be a network of kind {KIND}, found {about['role']!r} of kind {about['kind']!r}")
    if not isinstance(about["facts"], dict):
        raise InvalidInstance(f"facts must be an object, found {about['facts']!r}")


def _network(parts: Parts) -> SparseNetwork:
    facts = parts.facts
    exact_keys(facts, {"n_inputs", "layers", "record"}, {"architecture"}, "facts", InvalidInstance)
    for name in ("n_inputs", "layers"):
        if type(facts[name]) is not int or facts[name] < 1:
            raise InvalidInstance(f"{name} must be a whole number >= 1, found {facts[name]!r}")
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
    layers, n_inputs = [], facts["n_inputs"]
    for number in range(facts["layers"]):
        arrays = parts.under(f"layers.{number}")
        exact_keys(arrays, per_layer, set(), f"layers.{number}", InvalidInstance)
        n_inputs = n_inputs if architecture is None else architecture.matrices[number][1]
        layers.append(_layer(arrays, n_inputs, f"layers.{number}"))
        n_inputs = len(layers[-1].biases)
    return SparseNetwork(tuple(layers), _record(facts["record"]), architecture or CHAIN, buffers)


def _layer(arrays: Mapping[str, np.ndarray], n_inputs: int, where: str) -> SparseLayer:
    units = arrays["indptr"].size - 1
    if units * n_inputs > MAX_WEIGHTS:
        raise InvalidInstance(f"{where}: {units} units with {n_inputs} inputs are more than {MAX_WEIGHTS} weights")
    try:
        target = Target.from_arrays({name: arrays[name] for name in ("indptr", "indices", "weights")}, n_inputs)
        mask = np.zeros((target.n_rows, n_inputs), bool)
        mask[target.row_of, target.indices] = True
        biases = frozen(arrays["biases"], "biases", float, 1, shape=(target.n_rows,))
        return SparseLayer(target.dense(), mask, biases)
    except InvalidInstance as cause:
        raise InvalidInstance(f"{where}: {cause}") from None


def _record(found: Any) -> TrainingRecord:
    if not isinstance(found, dict):
        raise InvalidInstance(f"record must be an object, found {found!r}")
    exact_keys(found, set(TrainingRecord.__dataclass_fields__), set(), "record", InvalidInstance)
    wanted: dict[str, tuple[str, tuple[type, ...]]] = {
        "method": ("text", (str,)),
        "config": ("an object", (dict,)),
        "seed": ("a whole number or null", (int, type(None))),
        "validation_accuracy": ("a number or null", (float, int, type(None))),
        "test_accuracy": ("a number or null", (float, int, type(None))),
    }
    for name, (words, types) in wanted.items():
        if type(found[name]) not in types:
            raise InvalidInstance(f"record.{name} must be {words}, found {found[name]!r}")
        if type(found[name]) is int and name != "seed":
            found = {**found, name: float(found[name])}
    data = found["data"]
    if data is not None:
        if not isinstance(data, dict) or not all(isinstance(value, str) for value in data.values()):
            raise InvalidInstance(f"record.data must be an object of texts, found {data!r}")
        exact_keys(data, {"name", "sha256"}, set(), "record.data", InvalidInstance)
        data = DataReference(**data)
    return TrainingRecord(**{**found, "data": data})


def is_own_network(source: Source) -> bool:
    """Whether the file looks like one that `write_network` made, and no other safetensors file."""
    head = source.head
    return head[8:9] == b"{" and rf"\"kind\":\"{KIND}\"".encode() in head
