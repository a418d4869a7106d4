"""The state of a run between two epochs, in one file."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from matchopt.errors import FormatError, InvalidOption
from matchopt.formats.container import Content, read_content, write_content
from matchopt.formats.sources import Source
from matchopt.instances.architecture import architecture_from
from matchopt.network.sparse_network import SparseNetwork
from matchopt.network.training.model import sparse_network
from matchopt.network.training.records import EpochRecord
from matchopt.parts import Json, Parts, canonical_json

_ADVICE = "name another file, or delete this one to start anew"
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
        self._taken: Parts | None = None
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
            found = read_content(Source(self._path), "checkpoint").parts
        except FormatError as cause:
            raise FormatError(f"checkpoint {cause}; {_ADVICE}") from None
        self._compare(found.facts.get("run"))
        try:
            return self._position(found), found.part("method"), dict(found.facts["streams"])
        except (LookupError, TypeError, ValueError, AttributeError) as cause:
            what = f"holds no state of a training ({type(cause).__name__}: {cause})"
            raise FormatError(f"checkpoint {self._path}: {what}; {_ADVICE}") from None

    def take(self, position: Position, state: Parts, streams: Mapping[str, Json]) -> None:
        """Copy the state after an epoch, and write it if the last time is long ago."""
        method = Parts(state.facts, {name: np.array(array, order="C") for name, array in state.arrays.items()})
        found = Parts.merging(method=method)
        if position.best is not None:
            layers = position.best.layers
            values = [*(layer.weights.ravel() for layer in layers), *(layer.biases for layer in layers)]
            best = {"parameters": np.concatenate(values), "mask": np.concatenate([x.mask.ravel() for x in layers])}
            best |= Parts({}, position.best.buffers).prefixed("buffers")
            found |= Parts({}, Parts({}, best).prefixed("best"))
        history = [asdict(record) | {"densities": list(record.densities)} for record in position.history]
        facts = {"run": self._about, "history": history, "streams": dict(streams)}
        self._taken = found | Parts(facts | {"best_accuracy": position.best_accuracy, "waited": position.waited})
        if time.monotonic() - self._written > SECONDS:
            self.write()

    def write(self) -> None:
        """Write what was taken last, if it is not in the file yet."""
        if self._taken is None:
            return
        write_content(self._path, Content("checkpoint", "training", self._taken))
        self._taken, self._written = None, time.monotonic()

    def _compare(self, run: Any) -> None:
        for name, wanted in self._about.items():
            found = run.get(name) if isinstance(run, dict) else None
            if canonical_json([found]) != canonical_json([wanted]):
                raise InvalidOption(
                    f"checkpoint {self._path} belongs to another run: its {name} is {found}, now it is {wanted}; "
                    f"{_ADVICE}"
                )

    def _position(self, found: Parts) -> Position:
        facts, arrays = found.facts, found.arrays
        history = [EpochRecord(**(record | {"densities": tuple(record["densities"])})) for record in facts["history"]]
        position = Position(history, None, float(facts["best_accuracy"]), int(facts["waited"]))
        if "best.mask" in arrays:
            architecture, buffers = architecture_from(self._about["architecture"]), found.under("best.buffers")
            position.best = sparse_network(architecture, arrays["best.parameters"], arrays["best.mask"], buffers)
        return position
