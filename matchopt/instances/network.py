"""A whole trained network to be mapped: its layers in order, ReLU between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float

from matchopt.errors import InvalidInstance, InvalidSolution, MatchoptError
from matchopt.instances import signals
from matchopt.instances.arrays import frozen
from matchopt.instances.base import Instance, Json, Parts, Provenance, Solution, exact_keys
from matchopt.instances.layer import LayerInstance, LayerMapping
from matchopt.instances.objective import FunctionalError, Objective, TaskLoss


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
    """One layer mapping per layer, in order, and the digital biases that go with them.

    Parameters
    ----------
    layers : the mappings of the layers.
    biases : digital biases in place of the instance's, shape (m,) for each layer; None for the instance's own.
        Allowed where `NetworkInstance.adjustable`.

    Raises
    ------
    InvalidSolution
        when there are not as many biases as layers. Whether all fits an *instance* is what `matchopt.check` answers.
    """

    kind = "network"

    layers: tuple[LayerMapping, ...]
    biases: tuple[Float[np.ndarray, " rows"], ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        if self.biases is not None:
            sizes = [None] * len(self.layers)
            object.__setattr__(self, "biases", _biases(self.biases, sizes, InvalidSolution))

    def parts(self) -> Parts:
        """See `Solution.parts`."""
        arrays: dict[str, np.ndarray] = {}
        for number, layer in enumerate(self.layers):
            arrays |= layer.parts().prefixed(f"layers.{number}")
        arrays |= {f"biases.{number}": bias for number, bias in enumerate(self.biases or ())}
        return Parts({"layers": len(self.layers)}, arrays)

    @classmethod
    def from_parts(cls, parts: Parts) -> "NetworkMapping":
        """See `Solution.from_parts`."""
        exact_keys(parts.facts, {"layers"}, set(), "network mapping", InvalidSolution)
        count = parts.facts["layers"]
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= len(parts.arrays):
            raise InvalidSolution(f"layers must be the number of layers, found {count!r}")
        _only_layers(parts, count, InvalidSolution, {"biases"})
        layers = tuple(LayerMapping.from_parts(Parts({}, parts.under(f"layers.{n}"))) for n in range(count))
        biases = parts.under("biases")
        return cls(layers, _listed(biases, count, InvalidSolution) if biases else None)


@dataclass(frozen=True, eq=False)
class NetworkInstance(Instance):
    """Map every layer of a network; the objective is the sum of the layers' unless the network has one of its own.

    Parameters
    ----------
    layers : the layers in order; each takes as many inputs as the one before has rows (one more with hardware biases).
    biases : digital, exact biases of each layer, shape (m,); None where biases are hardware weights, that is, where
        the last input of every layer is the constant 1 and its weights are mapped like all others.
    tunable : most fully tunable connections of the whole network, a limit besides each layer's own; None for no such
        limit.
    objective : TaskLoss or FunctionalError, minimised in place of the layers' objectives; None for the sum of those.
    data : the data set the network was trained on; None if unknown.
    samples : sample inputs of the network (without the constant 1), shape (samples, inputs); None for none.
    adjustable : whether a mapping may set the digital biases to other values; only with digital biases.
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
    objective: Objective | None = None
    data: DataReference | None = None
    samples: Float[np.ndarray, "samples inputs"] | None = None
    adjustable: bool = False
    provenance: Provenance = Provenance()

    def __post_init__(self) -> None:
        layers = tuple(self.layers)
        if not layers:
            raise InvalidInstance("layers: a network needs at least one layer, found none")
        object.__setattr__(self, "layers", layers)
        if self.biases is not None:
            sizes = [layer.n_rows for layer in layers]
            object.__setattr__(self, "biases", _biases(self.biases, sizes, InvalidInstance))
        elif self.adjustable:
            raise InvalidInstance("adjustable: only digital biases can be adjusted, and this network's are hardware")
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
        if self.objective is not None:
            self._check_objective(self.objective)

    def _check_objective(self, objective: Objective) -> None:
        if not isinstance(objective, TaskLoss | FunctionalError):
            raise InvalidInstance(
                f"a network minimises task-loss, functional-error or the sum of its layers' objectives (None), "
                f"found {objective.name}"
            )
        if objective.inputs.shape[1] != self.n_inputs:
            raise InvalidInstance(
                f"objective.inputs must have {self.n_inputs} columns, found {objective.inputs.shape[1]}"
            )
        outputs = self.layers[-1].n_rows
        if isinstance(objective, TaskLoss) and not 0 <= objective.labels.min() <= objective.labels.max() < outputs:
            wrong = objective.labels[(objective.labels < 0) | (objective.labels >= outputs)]
            raise InvalidInstance(f"objective.labels must be in 0 .. {outputs - 1}, found {wrong[0]}")

    @property
    def n_inputs(self) -> int:
        """Number of inputs of the network, without the constant 1 of hardware biases."""
        return self.layers[0].target.n_inputs - int(self.biases is None)

    @cached_property
    def target_weights(self) -> tuple[Float[np.ndarray, "rows inputs"], ...]:
        """The layers' target weights as full matrices."""
        return tuple(layer.target.dense() for layer in self.layers)

    def target_signals(self, inputs: Float[np.ndarray, "samples inputs"]) -> list[Float[np.ndarray, "samples rows"]]:
        """Pre-activations of every layer of the target network, with the instance's biases, on its own activity.

        `inputs` are what the network receives, without the constant 1: `objective.rows(..)`.
        """
        return [signal for _, signal in signals.run(self.target_weights, self.biases, inputs)]

    @cached_property
    def signal_variances(self) -> tuple[float, ...]:
        """Sum of the variances of each layer's target signals; what `FunctionalError` divides by.

        Raises
        ------
        InvalidInstance
            when the network minimises something else, and so has no samples for it.
        """
        if not isinstance(self.objective, FunctionalError):
            raise InvalidInstance("signal_variances: only a network with a functional error has them")
        return signals.signal_variances(self.target_weights, self.biases, self.objective)

    def logits(
        self,
        weights: Sequence[Float[np.ndarray, "rows inputs"]],
        inputs: Float[np.ndarray, "samples inputs"],
        biases: Sequence[Float[np.ndarray, " rows"]] | None = None,
    ) -> Float[np.ndarray, "samples outputs"]:
        """Run the network with these full weight matrices, and digital biases, in place of its own."""
        *_, (_, logits) = signals.run(weights, self.biases if biases is None else biases, inputs)
        return logits

    def value(self, mapping: NetworkMapping) -> float:
        """The objective of a feasible `mapping` (the fast form; `matchopt.check` has the plain one)."""
        pairs = list(zip(self.layers, mapping.layers, strict=True))
        if self.objective is None:
            return float(sum(layer.value(part) for layer, part in pairs))
        weights = [layer.realised(part) for layer, part in pairs]
        biases = self.biases if mapping.biases is None else mapping.biases
        if isinstance(self.objective, TaskLoss):
            return signals.task_loss(weights, biases, self.objective)
        assert isinstance(self.objective, FunctionalError)
        return signals.functional_error(
            (self.target_weights, self.biases),
            (weights, biases),
            [layer.noise(part) for layer, part in pairs],
            self.signal_variances,
            self.objective,
        )

    def parts(self) -> Parts:
        """See `Instance.parts`."""
        facts: dict[str, Json] = {"tunable": self.tunable, "biases": "hardware" if self.biases is None else "free"}
        facts["data"] = None if self.data is None else {"name": self.data.name, "sha256": self.data.sha256}
        facts |= _objective_facts(self.objective)
        if self.adjustable:
            facts["adjustable"] = True
        arrays: dict[str, np.ndarray] = {}
        inner = [layer.parts() for layer in self.layers]
        facts["layers"] = [dict(part.facts) for part in inner]
        for n, part in enumerate(inner):
            arrays |= part.prefixed(f"layers.{n}")
        for n, bias in enumerate(self.biases or ()):
            arrays[f"biases.{n}"] = bias
        if self.samples is not None:
            arrays["samples"] = self.samples
        if isinstance(self.objective, TaskLoss):
            arrays |= {"task_loss.inputs": self.objective.inputs, "task_loss.labels": self.objective.labels}
        if isinstance(self.objective, FunctionalError):
            arrays["functional_error.inputs"] = self.objective.inputs
        return Parts(facts, arrays)

    @classmethod
    def from_parts(cls, parts: Parts, provenance: Provenance | None = None) -> "NetworkInstance":
        """See `Instance.from_parts`."""
        facts = parts.facts
        exact_keys(facts, _REQUIRED, _OPTIONAL, "network", InvalidInstance)
        _check_facts(facts)
        count = len(facts["layers"])
        _only_layers(parts, count, InvalidInstance, {"biases", "samples", "task_loss", "functional_error"})
        layers = tuple(
            LayerInstance.from_parts(Parts(facts["layers"][n], parts.under(f"layers.{n}"))) for n in range(count)
        )
        found = parts.under("biases")
        if facts["biases"] == "hardware":
            exact_keys(found, set(), set(), "biases", InvalidInstance)
        return cls(
            layers,
            biases=_listed(found, count, InvalidInstance) if facts["biases"] == "free" else None,
            tunable=facts["tunable"],
            objective=_objective(parts),
            data=None if facts["data"] is None else DataReference(**facts["data"]),
            samples=parts.arrays.get("samples"),
            adjustable=facts.get("adjustable", False),
            provenance=provenance or Provenance(),
        )


_REQUIRED = {"tunable", "biases", "data", "task_loss", "layers"}
_OPTIONAL = {"functional_error", "sample_scale", "adjustable"}  # left out at their defaults, so old digests stay


def _objective_facts(objective: Objective | None) -> dict[str, Json]:
    facts: dict[str, Json] = {"task_loss": isinstance(objective, TaskLoss)}
    if isinstance(objective, FunctionalError):
        facts["functional_error"] = True
    if isinstance(objective, TaskLoss | FunctionalError) and objective.scale != 1.0:
        facts["sample_scale"] = objective.scale
    return facts


def _objective(parts: Parts) -> Objective | None:
    facts = parts.facts
    arrays = {name: parts.under(name) for name in ("task_loss", "functional_error")}
    if facts["task_loss"] and facts.get("functional_error", False):
        raise InvalidInstance("task_loss and functional_error are both true; a network minimises one of them")
    for name, found in arrays.items():
        required = {"task_loss": {"inputs", "labels"}, "functional_error": {"inputs"}}[name]
        exact_keys(found, required if facts.get(name, False) else set(), set(), name, InvalidInstance)
    if "sample_scale" in facts and not facts["task_loss"] and not facts.get("functional_error", False):
        raise InvalidInstance("sample_scale is given, but the network has no objective with samples")
    scale = facts.get("sample_scale", 1.0)
    if facts["task_loss"]:
        return TaskLoss(**arrays["task_loss"], scale=scale)
    return FunctionalError(**arrays["functional_error"], scale=scale) if facts.get("functional_error", False) else None


def _listed(found: dict[str, np.ndarray], count: int, error: type[MatchoptError]) -> tuple[np.ndarray, ...]:
    exact_keys(found, {str(n) for n in range(count)}, set(), "biases", error)
    return tuple(found[str(n)] for n in range(count))


def _biases(biases: Sequence[Any], sizes: Sequence[int | None], error: type[MatchoptError]) -> tuple[np.ndarray, ...]:
    if len(biases) != len(sizes):
        raise error(f"biases: one array per layer, {len(sizes)}, found {len(biases)}")
    return tuple(
        frozen(bias, f"biases.{n}", float, 1, shape=(size,), error=error)
        for n, (bias, size) in enumerate(zip(biases, sizes, strict=True))
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
        if first not in besides or bool(rest) == (first == "samples"):
            raise error(f"array {name!r} is unknown: {count} layers are announced")


def _check_facts(facts: Any) -> None:
    tunable, data = facts["tunable"], facts["data"]
    if tunable is not None and (isinstance(tunable, bool) or not isinstance(tunable, int)):
        raise InvalidInstance(f"tunable must be a whole number or null, found {tunable!r}")
    if facts["biases"] not in ("free", "hardware"):
        raise InvalidInstance(f"biases must be free or hardware, found {facts['biases']!r}")
    for name in ("task_loss", "functional_error", "adjustable"):
        if not isinstance(facts.get(name, False), bool):
            raise InvalidInstance(f"{name} must be true or false, found {facts[name]!r}")
    if not isinstance(facts["layers"], list) or not all(isinstance(layer, dict) for layer in facts["layers"]):
        raise InvalidInstance("layers must be a list of objects")
    if data is not None:
        if not isinstance(data, dict) or set(data) != {"name", "sha256"}:
            raise InvalidInstance(f"data must have name and sha256, found {data!r}")
        if not all(isinstance(value, str) for value in data.values()):
            raise InvalidInstance(f"data.name and data.sha256 must be text, found {data!r}")
