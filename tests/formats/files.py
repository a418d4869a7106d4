"""Small instances of every kind, and files made by hand, for the tests of readers and writers."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st
from layers import random_layer

from matchopt.instances import (
    Assignment,
    AssignmentInstance,
    DataReference,
    FunctionalError,
    Instance,
    LayerInstance,
    LayerMapping,
    NetworkInstance,
    NetworkMapping,
    Objective,
    ProgramInstance,
    ProgramPoint,
    Provenance,
    Solution,
    Target,
    TaskLoss,
)

SMALL = AssignmentInstance(np.array([[1, 2], [3, 0]]), provenance=Provenance(name="small"))


def container(header: Any, body: bytes = b"") -> bytes:
    """A safetensors file with this header: bytes are taken as they are, anything else becomes JSON."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def own(changes: Mapping[str, Any] | None = None, **tensors: np.ndarray) -> bytes:
    """A file of matchopt's own with the assignment [[1, 2], [3, 0]], its metadata changed; None takes a key away."""
    arrays = tensors or {"cost": SMALL.cost}
    about: dict[str, Any] = {"schema": 3, "role": "instance", "kind": "assignment", "facts": {}, "notes": {}}
    about |= dict(changes or {})
    about = {"sha256": hash_of(about, arrays)} | about
    about = {name: value for name, value in about.items() if value is not None}
    return with_metadata({"matchopt": compact(about)}, arrays)


def hash_of(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """What the document says about the hash of a file, without our code."""
    left = {name: value for name, value in about.items() if value is not None and name != "sha256"}
    sha = hashlib.sha256(b"matchopt" + compact(left).encode())
    for name in sorted(arrays):
        sha.update(f"|{name}|{arrays[name].dtype.str}|{arrays[name].shape}|".encode() + arrays[name].tobytes())
    return sha.hexdigest()


def compact(value: Any) -> str:
    """Canonical JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def with_metadata(metadata: Any, arrays: Mapping[str, np.ndarray]) -> bytes:
    """A file with this metadata and these tensors."""
    names = {"int64": "I64", "float64": "F64", "bool": "BOOL"}
    header: dict[str, Any] = {"__metadata__": metadata}
    body = b""
    for name, array in arrays.items():
        entry = {"dtype": names[array.dtype.name], "shape": list(array.shape)}
        header[name] = entry | {"data_offsets": [len(body), len(body) + array.nbytes]}
        body += array.tobytes()
    return container(header, body)


def assignment(seed: int) -> AssignmentInstance:
    """A square assignment: dense or sparse, whole costs or not."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 6))
    cost: np.ndarray = (
        rng.integers(-5, 2**40, (n, n)) if seed % 2 else rng.standard_normal((n, n)) * 10.0 ** rng.integers(-9, 9)
    )
    if seed % 4 < 2:
        return AssignmentInstance(cost, provenance=provenance(seed))
    allowed = rng.random((n, n)) < 0.6
    starts = np.concatenate([[0], np.cumsum(allowed.sum(axis=1))])
    return AssignmentInstance(cost[allowed], starts, np.nonzero(allowed)[1], n, provenance(seed))


def program(seed: int) -> ProgramInstance:
    """A program with every kind of row and bound, crossed ones included."""
    rng = np.random.default_rng(seed)
    n, rows = int(rng.integers(1, 6)), int(rng.integers(0, 5))
    present = rng.random((rows, n)) < 0.6
    ends = np.array([-np.inf, -3.5, 0.0, 2.0, 1e29, np.inf])
    low, row_low = (rng.choice(ends[:-1], size) for size in (n, rows))
    high, row_high = (rng.choice(ends[1:], size) for size in (n, rows))
    named = seed % 2 == 0
    return ProgramInstance(
        np.round(rng.standard_normal(n), 2),
        np.concatenate([[0], np.cumsum(present.sum(axis=1))]),
        np.nonzero(present)[1],
        rng.choice([-1.0, 0.0, 1 / 3, 7.0, 1e-300], int(present.sum())),
        row_low,
        row_high,
        low,
        high,
        rng.random(n) < 0.5,
        float(rng.choice([0.0, 0.1, -4.0])),
        tuple(f"row[{i}]" for i in range(rows)) if named else None,
        tuple(f"{v}" if seed % 3 else f"y({v})" for v in range(n)) if named else None,
        provenance(seed),
    )


def layer(seed: int) -> LayerInstance:
    """A layer under random rules."""
    return random_layer(np.random.default_rng(seed))


def network(seed: int) -> NetworkInstance:
    """A network of two layers, biases free or in hardware, with or without task, data and samples."""
    rng = np.random.default_rng(seed)
    first = random_layer(rng)
    hardware_bias = bool(seed % 2)
    inputs = first.n_rows + int(hardware_bias)
    second = random_layer(rng, correlated=False)
    target = Target.from_dense(rng.standard_normal((second.n_rows, inputs)))
    second = LayerInstance(target, second.hardware, second.rules, second.objective)
    biases = None if hardware_bias else (rng.standard_normal(first.n_rows), rng.standard_normal(second.n_rows))
    width = first.target.n_inputs - int(hardware_bias)
    objective = network_objective(rng, width, second.n_rows, seed)
    data = DataReference("digits", "0" * 64) if seed % 5 < 2 else None
    samples = rng.standard_normal((2, width)) if seed % 4 == 0 else None
    budget = 3 if seed % 7 == 0 else None
    return NetworkInstance(
        (first, second), biases, budget, objective, data, samples, adjustable=seed % 8 == 2, provenance=provenance(seed)
    )


def network_objective(rng: np.random.Generator, width: int, outputs: int, seed: int) -> Objective | None:
    """No objective of the network, a task loss or a functional error; samples in one of three types."""
    if seed % 3 == 2:
        return None
    samples = rng.integers(0, 256, (3, width)).astype(["uint8", "float32", "float64"][seed // 3 % 3])
    scale = 1 / 255 if seed % 2 else 1.0
    return TaskLoss(samples, rng.integers(0, outputs, 3), scale) if seed % 3 else FunctionalError(samples, scale)


def mapping(of: LayerInstance, seed: int) -> LayerMapping:
    """A mapping that fits the sizes of the layer; it need not be feasible."""
    rng = np.random.default_rng(seed)
    target, hardware = of.target, of.hardware
    wires = [
        sorted({(int(rng.integers(hardware.n_cells)), int(rng.integers(target.n_inputs))) for _ in range(count)})
        for count in rng.integers(0, 4, of.n_rows)
    ]
    flat = np.array([pair for row in wires for pair in row], dtype=np.int64).reshape(-1, 2)
    starts = np.concatenate([[0], np.cumsum([len(row) for row in wires])])
    tuned = np.flatnonzero(rng.random(target.n_connections) < 0.3)
    neurons = rng.permutation(hardware.n_neurons)[: of.n_rows]
    values = rng.uniform(20.0, 30.0, len(tuned)) if len(tuned) and seed % 2 else None  # none a target weight
    return LayerMapping(neurons, starts, flat[:, 0], flat[:, 1], rng.standard_normal(of.n_rows), tuned, values)


def solution(instance: Instance, seed: int) -> Solution:
    """A solution that fits the sizes of the instance."""
    rng = np.random.default_rng(seed)
    if isinstance(instance, NetworkInstance):
        biases = tuple(rng.standard_normal(part.n_rows) for part in instance.layers) if instance.adjustable else None
        return NetworkMapping(tuple(mapping(part, seed) for part in instance.layers), biases)
    if isinstance(instance, LayerInstance):
        return mapping(instance, seed)
    if isinstance(instance, ProgramInstance):
        return ProgramPoint(rng.standard_normal(instance.n_variables))
    assert isinstance(instance, AssignmentInstance)
    return Assignment(rng.permutation(instance.n_cols)[: instance.n_rows])


def provenance(seed: int) -> Provenance:
    """Some fields set, some not."""
    return (
        Provenance(name=f"drawn-{seed}", seed=seed, best_value=0.1 * seed, best_by="nobody")
        if seed % 2
        else Provenance()
    )


seeds = st.integers(0, 10**6)
instances = st.builds(lambda make, seed: make(seed), st.sampled_from([assignment, program, layer, network]), seeds)
