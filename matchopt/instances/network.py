"""A whole trained network to be mapped: its layers in order, ReLU between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float

from matchopt.errors import InvalidInstance, InvalidSolution
from matchopt.instances.arrays import frozen
from matchopt.instances.base import Instance, Json, Parts, Provenance, Solution, exact_keys
from matchopt.instances.layer import LayerInstance, LayerMapping
from matchopt.instances.objective import TaskLoss


@dataclass(frozen=True)
class DataReference:
    """The data set a network was trained on.

    Parameters
    ----------
    name : such as "mnist".
    sha256 : SHA-256 of the data, lower-case hexadecimal.
    """

    name: str
    sha256: str

    def __post_init__(self) -> None:
        if not self.name:
            raise InvalidInstance("data.name must not be empty")
        if len(self.sha256) != 64 or set(self.sha256) - set("0123456789abcdef"):
            raise InvalidInstance(f"data.sha256 must be 64 hexadecimal digits, found {self.sha256!r}")


@dataclass(frozen=True, eq=False)
class NetworkMapping(Solution):
    """One layer mapping per layer, in order."""

    kind = "network"

    layers: tuple[LayerMapping, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))

    def parts(self) -> Parts:
        """See `Solution.parts`."""
        arrays: dict[str, np.ndarray] = {}
        for number, layer in enumerate(self.layers):
            arrays |= layer.parts().prefixed(f"layers.{number}")
        return Parts({"layers": len(self.layers)}, arrays)

    @classmethod
    def from_parts(cls, parts: Parts) -> "NetworkMapping":
        """See `Solution.from_parts`."""
        exact_keys(parts.facts, {"layers"}, set(), "network mapping", InvalidSolution)
        count = parts.facts["layers"]
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= len(parts.arrays):
            raise InvalidSolution(f"layers must be the number of layers, found {count!r}")
        _only_layers(parts, count, InvalidSolution)
        return cls(tuple(LayerMapping.from_parts(Parts({}, parts.under(f"layers.{n}"))) for n in range(count)))


@dataclass(frozen=True, eq=False)
class NetworkInstance(Instance):
    """Map every layer of a network; without a task loss the objective is the sum of the layers' objectives.

    Parameters
    ----------
    layers : the layers in order; each takes as many inputs as the one before has rows (one more with hardware biases).
    biases : digital, exact biases of each layer, shape (m,); None where biases are hardware weights, that is, where
        the last input of every layer is the constant 1 and its weights are mapped like all others.
    tunable : most fully tunable connections of the whole network, a limit besides each layer's own; None for no such
        limit.
    task_loss : minimise this cross-entropy instead of the layers' errors; None for the sum of those.
    data : the data set the network was trained on; None if unknown.
    samples : sample inputs of the network (without the constant 1), shape (samples, inputs); None for none.
    provenance : where the instance comes from; no part of its content.

    Raises
    ------
    InvalidInstance
        when the layers do not follow each other, or biases, labels or samples do not fit.
    """

    kind = "network"

    layers: tuple[LayerInstance, ...]
    biases: tuple[Float[np.ndarray, " rows"], ...] | None = None
    tunable: int | None = None
    task_loss: TaskLoss | None = None
    data: DataReference | None = None
    samples: Float[np.ndarray, "samples inputs"] | None = None
    provenance: Provenance = Provenance()

    def __post_init__(self) -> None:
        layers = tuple(self.layers)
        if not layers:
            raise InvalidInstance("layers: a network needs at least one layer, found none")
        object.__setattr__(self, "layers", layers)
        if self.biases is not None:
            object.__setattr__(self, "biases", _biases(self.biases, layers))
        constant = int(self.biases is None)
        if layers[0].target.n_inputs < constant:
            raise InvalidInstance("layers.0: hardware biases need a constant input, found no inputs")
        for n, (before, after) in enumerate(pairwise(layers), start=1):
            if after.target.n_inputs != before.n_rows + constant:
                raise InvalidInstance(
                    f"layers.{n}: must take {before.n_rows + constant} inputs, as the layer before has {before.n_rows} "
                    f"rows{' and biases are hardware' if constant else ''}, found {after.target.n_inputs}"
                )
        if self.tunable is not None and (isinstance(self.tunable, bool) or self.tunable < 0):
            raise InvalidInstance(f"tunable must be a whole number >= 0, found {self.tunable!r}")
        if self.samples is not None:
            samples = frozen(self.samples, "samples", float, 2, shape=(None, self.n_inputs))
            object.__setattr__(self, "samples", samples)
        if self.task_loss is not None:
            self._check_task(self.task_loss)

    def _check_task(self, task: TaskLoss) -> None:
        if task.inputs.shape[1] != self.n_inputs:
            raise InvalidInstance(f"objective.inputs must have {self.n_inputs} columns, found {task.inputs.shape[1]}")
        outputs = self.layers[-1].n_rows
        if int(task.labels.min()) < 0 or int(task.labels.max()) >= outputs:
            raise InvalidInstance(f"objective.labels must be in 0 .. {outputs - 1}, found {task.labels.max()}")

    @property
    def n_inputs(self) -> int:
        """Number of inputs of the network, without the constant 1 of hardware biases."""
        return self.layers[0].target.n_inputs - int(self.biases is None)

    def logits(
        self, weights: Sequence[Float[np.ndarray, "rows inputs"]], inputs: Float[np.ndarray, "samples inputs"]
    ) -> Float[np.ndarray, "samples outputs"]:
        """Run the network with these full weight matrices in place of the layers' own."""
        hidden = np.asarray(inputs, dtype=np.float64)
        for n, matrix in enumerate(weights):
            if n:
                hidden = np.maximum(hidden, 0.0)
            if self.biases is None:
                hidden = hidden @ matrix[:, :-1].T + matrix[:, -1]
            else:
                hidden = hidden @ matrix.T + self.biases[n]
        return hidden

    def value(self, mapping: NetworkMapping) -> float:
        """The objective of a feasible `mapping` (the fast form; `matchopt.check` has the plain one)."""
        pairs = list(zip(self.layers, mapping.layers, strict=True))
        if self.task_loss is None:
            return float(sum(layer.value(part) for layer, part in pairs))
        logits = self.logits([layer.realised(part) for layer, part in pairs], self.task_loss.inputs)
        logits = logits - logits.max(axis=1, keepdims=True)
        chosen = logits[np.arange(len(logits)), self.task_loss.labels]
        return float((np.log(np.exp(logits).sum(axis=1)) - chosen).mean())

    def parts(self) -> Parts:
        """See `Instance.parts`."""
        facts: dict[str, Json] = {"tunable": self.tunable, "biases": "hardware" if self.biases is None else "free"}
        facts["data"] = None if self.data is None else {"name": self.data.name, "sha256": self.data.sha256}
        facts["task_loss"] = self.task_loss is not None
        arrays: dict[str, np.ndarray] = {}
        inner = [layer.parts() for layer in self.layers]
        facts["layers"] = [dict(part.facts) for part in inner]
        for n, part in enumerate(inner):
            arrays |= part.prefixed(f"layers.{n}")
        for n, bias in enumerate(self.biases or ()):
            arrays[f"biases.{n}"] = bias
        if self.samples is not None:
            arrays["samples"] = self.samples
        if self.task_loss is not None:
            arrays |= {"task_loss.inputs": self.task_loss.inputs, "task_loss.labels": self.task_loss.labels}
        return Parts(facts, arrays)

    @classmethod
    def from_parts(cls, parts: Parts, provenance: Provenance | None = None) -> "NetworkInstance":
        """See `Instance.from_parts`."""
        facts = parts.facts
        exact_keys(facts, {"tunable", "biases", "data", "task_loss", "layers"}, set(), "network", InvalidInstance)
        _check_facts(facts)
        count = len(facts["layers"])
        _only_layers(parts, count, InvalidInstance, {"biases", "samples", "task_loss"})
        layers = tuple(
            LayerInstance.from_parts(Parts(facts["layers"][n], parts.under(f"layers.{n}"))) for n in range(count)
        )
        biases, task = None, None
        if facts["biases"] == "free":
            found = parts.under("biases")
            exact_keys(found, {str(n) for n in range(count)}, set(), "biases", InvalidInstance)
            biases = tuple(found[str(n)] for n in range(count))
        if facts["task_loss"]:
            exact_keys(parts.under("task_loss"), {"inputs", "labels"}, set(), "task_loss", InvalidInstance)
            task = TaskLoss(**parts.under("task_loss"))
        data = None if facts["data"] is None else DataReference(**facts["data"])
        samples = parts.arrays.get("samples")
        return cls(layers, biases, facts["tunable"], task, data, samples, provenance or Provenance())


def _biases(biases: Sequence[Any], layers: tuple[LayerInstance, ...]) -> tuple[np.ndarray, ...]:
    if len(biases) != len(layers):
        raise InvalidInstance(f"biases: one array per layer, {len(layers)}, found {len(biases)}")
    return tuple(
        frozen(bias, f"biases.{n}", float, 1, shape=(layer.n_rows,))
        for n, (bias, layer) in enumerate(zip(biases, layers, strict=True))
    )


def _only_layers(
    parts: Parts, count: int, error: type[Exception], besides: frozenset[str] | set[str] = frozenset()
) -> None:
    for name in parts.arrays:
        first, _, rest = name.partition(".")
        number = rest.partition(".")[0]
        if (
            first == "layers"
            and number.isascii()
            and number.isdigit()
            and int(number) < count
            and str(int(number)) == number
        ):
            continue
        if first not in besides:
            raise error(f"array {name!r} is unknown: {count} layers are announced")


def _check_facts(facts: Any) -> None:
    tunable, data = facts["tunable"], facts["data"]
    if tunable is not None and (isinstance(tunable, bool) or not isinstance(tunable, int)):
        raise InvalidInstance(f"tunable must be a whole number or null, found {tunable!r}")
    if facts["biases"] not in ("free", "hardware"):
        raise InvalidInstance(f"biases must be free or hardware, found {facts['biases']!r}")
    if not isinstance(facts["task_loss"], bool):
        raise InvalidInstance(f"task_loss must be true or false, found {facts['task_loss']!r}")
    if not isinstance(facts["layers"], list) or not all(isinstance(layer, dict) for layer in facts["layers"]):
        raise InvalidInstance("layers must be a list of objects")
    if data is not None:
        if not isinstance(data, dict) or set(data) != {"name", "sha256"}:
            raise InvalidInstance(f"data must have name and sha256, found {data!r}")
        if not all(isinstance(value, str) for value in data.values()):
            raise InvalidInstance(f"data.name and data.sha256 must be text, found {data!r}")
