"""The state of a run between two epochs, in one safetensors file: arrays and JSON, no pickle."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from matchopt.errors import FormatError, InvalidOption
from matchopt.formats.atomic import write_bytes
from matchopt.formats.bounded_json import parse
from matchopt.instances.architecture import architecture_from
from matchopt.network.sparse_network import SparseNetwork
from matchopt.network.training.model import sparse_network
from matchopt.network.training.records import EpochRecord
from matchopt.parts import Json, Parts, canonical_json

SCHEMA = 1
KEY = "matchopt"  # of the only metadata entry
SECONDS = 10.0  # least time between two writes, but for the last


@dataclass
class Position:
    """How far a run is.

    Parameters
    ----------
    history : records of all epochs done.
    best : the best network of the last phase so far; None where training does not stop early.
    best_accuracy : its validation accuracy.
    waited : measurements since then.
    """

    history: list[EpochRecord] = field(default_factory=list)
    best: SparseNetwork | None = None
    best_accuracy: float = -1.0
    waited: int = 0

    def judge(self, accuracy: float, network: SparseNetwork) -> None:
        """Keep the network if it is better than those before."""
        if accuracy > self.best_accuracy:
            self.best, self.best_accuracy, self.waited = network, accuracy, 0
        else:
            self.waited += 1

    def over(self, patience: int | None) -> bool:
        """Whether training has waited long enough."""
        return patience is not None and self.waited >= patience


class Checkpoint:
    """One file, written whole or not at all, at most every ten seconds and at the end.

    Parameters
    ----------
    path : the file.
    about : which run it belongs to: method, options, seed, data and architecture, as JSON.
    """

    def __init__(self, path: Path, about: Mapping[str, Json]) -> None:
        self._path, self._about = path, dict(about)
        self._taken: tuple[dict[str, np.ndarray], dict[str, Json]] | None = None
        self._written = time.monotonic()

    def read(self) -> tuple[Position, Parts, Any] | None:
        """Where the run was, the method's state and that of the streams; None where there is no file.

        Raises
        ------
        FormatError
            when it is no checkpoint, or damaged.
        InvalidOption
            when it belongs to another run.
        """
        if not self._path.exists():
            return None
        try:
            with safe_open(str(self._path), framework="numpy") as file:
                metadata = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
        except (SafetensorError, OSError, ValueError) as cause:
            raise self._error(f"cannot be read: {cause}") from None
        if KEY not in metadata:
            raise self._error("was not written by matchopt")
        facts = parse(metadata[KEY].encode(), self._error)
        if not isinstance(facts, dict) or facts.get("role") != "checkpoint" or facts.get("schema") != SCHEMA:
            raise self._error(f"is no checkpoint of schema {SCHEMA}")
        self._compare(facts.get("run"))
        if facts.pop("sha256", None) != _digest(arrays, facts):
            raise self._error("is damaged: its SHA-256 is not that of its content")
        found = Parts(facts, arrays)
        return self._position(found), found.part("method"), facts["streams"]

    def take(self, position: Position, state: Parts, streams: Mapping[str, Json]) -> None:
        """Copy the state after an epoch, and write it if the last time is long ago."""
        arrays = {name: np.array(array, order="C") for name, array in state.prefixed("method").items()}
        if position.best is not None:
            layers = position.best.layers
            arrays["best.mask"] = np.concatenate([layer.mask.ravel() for layer in layers])
            parts = [*(layer.weights.ravel() for layer in layers), *(layer.biases for layer in layers)]
            arrays["best.parameters"] = np.concatenate(parts).astype(np.float32)
            arrays |= Parts({}, position.best.buffers).prefixed("best.buffers")
        facts: dict[str, Json] = {"schema": SCHEMA, "role": "checkpoint", "run": self._about}
        facts["history"] = [asdict(record) | {"densities": list(record.densities)} for record in position.history]
        facts |= {"best_accuracy": position.best_accuracy, "waited": position.waited}
        facts |= {"streams": dict(streams), "method": dict(state.facts)}
        self._taken = (arrays, facts)
        if time.monotonic() - self._written > SECONDS:
            self.write()

    def write(self) -> None:
        """Write what was taken last, if it is not in the file yet."""
        if self._taken is None:
            return
        arrays, facts = self._taken
        about = facts | {"sha256": _digest(arrays, facts)}
        write_bytes(self._path, save(arrays, {KEY: canonical_json(about).decode()}))
        self._taken, self._written = None, time.monotonic()

    def _error(self, reason: str) -> FormatError:
        return FormatError(f"checkpoint {self._path} {reason}; name another file, or delete this one to start anew")

    def _compare(self, run: Any) -> None:
        for name, wanted in self._about.items():
            found = run.get(name) if isinstance(run, dict) else None
            if canonical_json([found]) != canonical_json([wanted]):
                raise InvalidOption(
                    f"checkpoint {self._path} belongs to another run: its {name} is {found}, now it is {wanted}; "
                    "name another file, or delete this one to start anew"
                )

    def _position(self, found: Parts) -> Position:
        facts, arrays = found.facts, found.arrays
        history = [EpochRecord(**(record | {"densities": tuple(record["densities"])})) for record in facts["history"]]
        position = Position(history, None, float(facts["best_accuracy"]), int(facts["waited"]))
        if "best.mask" in arrays:
            architecture, buffers = architecture_from(self._about["architecture"]), found.under("best.buffers")
            position.best = sparse_network(architecture, arrays["best.parameters"], arrays["best.mask"], buffers)
        return position


def _digest(arrays: Mapping[str, np.ndarray], facts: Mapping[str, Json]) -> str:
    """SHA-256 of the facts and of all arrays with their names, types and shapes."""
    found = hashlib.sha256(canonical_json(dict(facts)))
    for name in sorted(arrays):
        array = arrays[name]
        found.update(f"{name} {array.dtype.str} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
