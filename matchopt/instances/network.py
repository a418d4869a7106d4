"""A whole trained network to be mapped: its layers in order, ReLU between them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Float

from matchopt.errors import InvalidInstance, InvalidSolution
from matchopt.instances import signals
from matchopt.instances.architecture import Architecture, FullyConnected, Recurrent, architecture_from
from matchopt.instances.architecture_fit import Buffers, completed, frozen_buffers
from matchopt.instances.arrays import frozen
from matchopt.instances.base import Instance, Provenance, Solution
from matchopt.instances.chained import check_chained
from matchopt.instances.demands import PLAIN, asks, demands_of
from matchopt.instances.layer import LayerInstance, LayerMapping
from matchopt.instances.network_parts import (
    FLAGS,
    OPTIONAL,
    REQUIRED,
    check_facts,
    check_names,
    frozen_biases,
    listed,
    objective_of,
    objective_parts,
)
from matchopt.instances.passes import Pass, pass_of
from matchopt.instances.sample_objective import NETWORK_OBJECTIVES, SampleObjective, asked_by
from matchopt.parts import Json, Parts, exact_keys
from matchopt.settings import FiniteFloat, NonNegativeInt, PositiveFloat, check_fields, checked, read_object


@dataclass(frozen=True)
class DataReference:
    """The data set a network was trained on, and what its values become before the network sees them.

    Parameters
    ----------
    name : such as "mnist".
    sha256 : SHA-256 of the data, lower-case hexadecimal.
    mean, deviation : the network takes (value - mean) / deviation; one number for all, one for each channel (the first
        axis of a sample), or one for each input.
    """

    name: str
    sha256: str
    mean: tuple[FiniteFloat, ...] = (0.0,)
    deviation: tuple[PositiveFloat, ...] = (1.0,)

    def __post_init__(self) -> None:
        check_fields(self, "data", InvalidInstance)
        if not self.name:
            raise InvalidInstance("data.name must not be empty")
        if len(self.sha256) != 64 or set(self.sha256) - set("0123456789abcdef"):
            raise InvalidInstance(f"data.sha256 must be 64 hexadecimal digits, found {self.sha256!r}")

    def facts(self) -> dict[str, Json]:
        """The fields; mean and deviation where inputs are taken otherwise than they are."""
        moments = {"mean": list(self.mean), "deviation": list(self.deviation)}
        changed = (self.mean, self.deviation) != ((0.0,), (1.0,))
        return {"name": self.name, "sha256": self.sha256} | (moments if changed else {})


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
            object.__setattr__(self, "biases", frozen_biases(self.biases, sizes, InvalidSolution))

    def parts(self) -> Parts:
        arrays: dict[str, np.ndarray] = {}
        for number, layer in enumerate(self.layers):
            arrays |= layer.parts().prefixed(f"layers.{number}")
        arrays |= {f"biases.{number}": bias for number, bias in enumerate(self.biases or ())}
        return Parts({"layers": len(self.layers)}, arrays)

    @classmethod
    def from_parts(cls, parts: Parts) -> "NetworkMapping":
        exact_keys(parts.facts, {"layers"}, set(), "network mapping", InvalidSolution)
        count = checked(parts.facts["layers"], NonNegativeInt, "layers", InvalidSolution)
        if count > len(parts.arrays):
            raise InvalidSolution(f"layers must be the number of layers, found {count}")
        check_names(parts, count, InvalidSolution, {"biases"})
        layers = tuple(LayerMapping.from_parts(Parts({}, parts.under(f"layers.{n}"))) for n in range(count))
        biases = parts.under("biases")
        return cls(layers, listed(biases, count, InvalidSolution) if biases else None)


@dataclass(frozen=True, eq=False)
class NetworkInstance(Instance):
    """Map every layer of a network; the objective is the sum of the layers' unless the network has one of its own.

    Parameters
    ----------
    layers : the layers in order; each takes as many inputs as the one before has rows (one more with hardware biases),
        or has the shape that the architecture says.
    biases : digital, exact biases of each layer, shape (m,); None where biases are hardware weights, that is, where
        the last input of every layer is the constant 1 and its weights are mapped like all others.
    tunable : most fully tunable connections of the whole network, a limit besides each layer's own; None for no such
        limit.
    objective : a `SampleObjective`, minimised in place of the layers' objectives; None for the sum of those.
    data : the data set the network was trained on; None if unknown.
    samples : sample inputs of the network (without the constant 1), shape (samples, inputs); None for none.
    adjustable : whether a mapping may set the digital biases to other values; only with digital biases.
    architecture : how a sample runs through the layers. None, or any fully connected one, becomes the fully connected
        one that the layers make, with ReLU between them. With another one a row is a filter or a gate, and listens to a
        patch or to [x_t, h_(t-1)].
    one_chip : whether all layers draw on one chip: equal numbers in `hardware.neuron` and `hardware.bus` of two layers
        are then one neuron and one bus, and no neuron, and no line of a bus, may serve two layers.
    chained : whether the layers are crossbars one behind the other, without routing between them: what sits on neuron
        j of one is on line j of the next. Inputs of the network go on any lines of the first.
    buffers : running statistics of batch normalisation, as `architecture.buffers` lists them; digital and exact.
    provenance : where the instance comes from; no part of its content.

    Raises
    ------
    InvalidInstance
        when the layers do not follow each other, or biases, labels or samples do not fit, or one chip has too few
        neurons, or two buses for one of them, or chained layers are no crossbars that follow each other.
    """

    kind = "network"

    layers: tuple[LayerInstance, ...]
    biases: tuple[Float[np.ndarray, " rows"], ...] | None = None
    tunable: int | None = None
    objective: SampleObjective | None = None
    data: DataReference | None = None
    samples: Float[np.ndarray, "samples inputs"] | None = None
    adjustable: bool = False
    provenance: Provenance = Provenance()
    architecture: Architecture = None  # type: ignore[assignment]  # an architecture once made
    buffers: Buffers = field(default_factory=dict)
    one_chip: bool = False
    chained: bool = False

    def __post_init__(self) -> None:
        layers = tuple(self.layers)
        if not layers:
            raise InvalidInstance("layers: a network needs at least one layer, found none")
        object.__setattr__(self, "layers", layers)
        if self.biases is not None:
            sizes = [layer.n_rows for layer in layers]
            object.__setattr__(self, "biases", frozen_biases(self.biases, sizes, InvalidInstance))
        elif self.adjustable:
            raise InvalidInstance("adjustable: only digital biases can be adjusted, and this network's are hardware")
        self._check_layers()
        object.__setattr__(self, "buffers", frozen_buffers(self.architecture, self.buffers))
        checked(self.tunable, NonNegativeInt | None, "tunable", InvalidInstance)
        if self.samples is not None:
            samples = frozen(self.samples, "samples", float, 2, shape=(None, self.n_inputs))
            object.__setattr__(self, "samples", samples)
        if self.objective is not None:
            self._check_objective(self.objective)
        if checked(self.one_chip, bool, "one_chip", InvalidInstance):
            self._check_chip()
        if checked(self.chained, bool, "chained", InvalidInstance):
            if self.one_chip:
                raise InvalidInstance("chained: arrays one behind the other are chips of their own; leave one_chip out")
            check_chained(layers, self.architecture)

    def _check_chip(self) -> None:
        bus_of: dict[int, int] = {}
        for n, layer in enumerate(self.layers):
            for neuron, bus in zip(layer.hardware.neuron.tolist(), layer.hardware.bus.tolist(), strict=True):
                if bus_of.setdefault(neuron, bus) != bus:
                    raise InvalidInstance(f"layers.{n}: hardware.bus: neuron {neuron} of the chip is on bus "
                                          f"{bus_of[neuron]} and on bus {bus}")  # fmt: skip
        rows = sum(layer.n_rows for layer in self.layers)
        if len(bus_of) < rows:
            raise InvalidInstance(f"one_chip: the layers have {rows} neurons in all, the chip only {len(bus_of)}")

    def _check_layers(self) -> None:
        layers, constant = self.layers, int(self.biases is None)
        if layers[0].target.n_inputs < constant:
            raise InvalidInstance("layers.0: hardware biases need a constant input, found no inputs")
        shapes = [(layer.n_rows, layer.target.n_inputs - constant) for layer in layers]
        besides = " besides the constant input of hardware biases" if constant else ""
        said = None if isinstance(self.architecture, FullyConnected) else self.architecture
        object.__setattr__(self, "architecture", completed(said, shapes, besides))

    def _check_objective(self, objective: SampleObjective) -> None:
        if objective.level != "network":
            raise InvalidInstance(
                f"a network minimises {', '.join(NETWORK_OBJECTIVES)} or the sum of its layers' objectives (None), "
                f"found {objective.name}"
            )
        net, outputs = self.architecture, self.layers[-1].n_rows
        if isinstance(net, Recurrent) and net.readout == "every":
            objective.check_fit(self.n_inputs, outputs, net.frames)
        else:
            objective.check_fit(self.n_inputs, outputs)

    @property
    def n_inputs(self) -> int:
        """Number of inputs of the network, without the constant 1 of hardware biases."""
        return self.architecture.n_inputs

    @cached_property
    def demands(self) -> frozenset[str]:
        """See `Instance.demands`; those of the layers included."""
        return demands_of(
            self,
            "data samples provenance buffers",  # samples are offered to whom they help, buffers the architecture's own
            layers=PLAIN.union(*(layer.demands for layer in self.layers)),
            biases=asks("hardware-bias", self.biases is None),
            tunable=asks("network-tunable", self.tunable is not None),
            objective=PLAIN if self.objective is None else asked_by(self.objective),
            adjustable=asks("adjustable-bias", self.adjustable),
            architecture=self.architecture.demands,
            one_chip=asks("one-chip", self.one_chip),
            chained=asks("chained", self.chained),
        )

    @cached_property
    def target_weights(self) -> tuple[Float[np.ndarray, "rows inputs"], ...]:
        """The layers' target weights as full matrices."""
        return tuple(layer.target.dense() for layer in self.layers)

    @cached_property
    def runs(self) -> Pass:
        """How samples run through the architecture, whatever the weights."""
        return pass_of(self.architecture, self.buffers)

    def target_signals(self, inputs: Float[np.ndarray, "samples inputs"]) -> list[Float[np.ndarray, "_ rows"]]:
        """Pre-activations of every layer of the target network, with the instance's biases, on its own activity.

        One row for each sample, or for each sample and place. `inputs` are what the network receives, without the
        constant 1: `objective.rows(..)`.
        """
        weights = [signals.packed(matrix) for matrix in self.target_weights]
        return [signal for _, signal in self.runs.run(weights, self.biases, np.asarray(inputs, np.float64))]

    @cached_property
    def signal_variances(self) -> tuple[float, ...]:
        """Sum of the variances of each layer's target signals; what `FunctionalError` divides by.

        Raises InvalidInstance when the network minimises the sum of its layers' objectives, and so has no samples for
        it.
        """
        if self.objective is None:
            raise InvalidInstance("signal_variances: only a network with an objective on samples has them")
        return self.objective.variances(self)

    @cached_property
    def target_answers(self) -> Float[np.ndarray, "answers outputs"]:
        """Answers of the target network on the objective's samples; what `ScoreError` compares with.

        Raises InvalidInstance when the network minimises the sum of its layers' objectives, and so has no samples.
        """
        if self.objective is None:
            raise InvalidInstance("target_answers: only a network with an objective on samples has them")
        weights, given, found = [signals.packed(matrix) for matrix in self.target_weights], self.objective, []
        for part in self.runs.chunks(len(given.inputs)):
            *_, (_, last) = self.runs.run(weights, self.biases, given.fed(part, self, weights[0]))
            found.append(self.runs.answered(last))
        return np.concatenate(found)

    def logits(
        self,
        weights: Sequence[Float[np.ndarray, "rows inputs"]],
        inputs: Float[np.ndarray, "samples inputs"],
        biases: Sequence[Float[np.ndarray, " rows"]] | None = None,
    ) -> Float[np.ndarray, "answers outputs"]:
        """Run the network with these full weight matrices, and digital biases, in place of its own.

        One row for each answer: of each sample, or of each sample and frame.
        """
        quick, found = [signals.packed(matrix) for matrix in weights], []
        used = self.biases if biases is None else biases
        for part in self.runs.chunks(len(inputs)):
            *_, (_, last) = self.runs.run(quick, used, np.asarray(inputs[part], np.float64))
            found.append(self.runs.answered(last))
        return np.concatenate(found) if found else np.empty((0, self.layers[-1].n_rows))

    def value(self, mapping: NetworkMapping) -> float:
        """The objective of a feasible `mapping` (the fast form; `matchopt.check` has the plain one)."""
        pairs = list(zip(self.layers, mapping.layers, strict=True))
        if self.objective is None:
            return float(sum(layer.value(part) for layer, part in pairs))
        weights = [layer.realised(part) for layer, part in pairs]
        biases = self.biases if mapping.biases is None else mapping.biases
        return self.objective.value(self, weights, biases, (layer.noise(part) for layer, part in pairs))

    def parts(self) -> Parts:
        facts: dict[str, Json] = {"tunable": self.tunable, "biases": "hardware" if self.biases is None else "free"}
        facts["data"] = None if self.data is None else self.data.facts()
        objective = objective_parts(self.objective)
        facts |= objective.facts
        if self.adjustable:
            facts["adjustable"] = True
        facts |= {name: True for name in ("one_chip", "chained") if getattr(self, name)}
        if not isinstance(self.architecture, FullyConnected):  # which the layers say themselves
            facts["architecture"] = self.architecture.facts()
        arrays: dict[str, np.ndarray] = {}
        inner = [layer.parts() for layer in self.layers]
        facts["layers"] = [dict(part.facts) for part in inner]
        for n, part in enumerate(inner):
            arrays |= part.prefixed(f"layers.{n}")
        for n, bias in enumerate(self.biases or ()):
            arrays[f"biases.{n}"] = bias
        if self.samples is not None:
            arrays["samples"] = self.samples
        arrays |= objective.arrays
        arrays |= {f"buffers.{name}": array for name, array in self.buffers.items()}
        return Parts(facts, arrays)

    @classmethod
    def from_parts(cls, parts: Parts, provenance: Provenance | None = None) -> "NetworkInstance":
        facts = parts.facts
        exact_keys(facts, REQUIRED, OPTIONAL, "network", InvalidInstance)
        check_facts(facts)
        count = len(facts["layers"])
        check_names(parts, count, InvalidInstance, {"biases", "samples", *FLAGS, "buffers"})
        layers = tuple(
            LayerInstance.from_parts(Parts(facts["layers"][n], parts.under(f"layers.{n}"))) for n in range(count)
        )
        bias = parts.under("biases")
        if facts["biases"] == "hardware":
            exact_keys(bias, set(), set(), "biases", InvalidInstance)
        said = architecture_from(facts["architecture"]) if "architecture" in facts else None
        found = cls(
            layers,
            biases=listed(bias, count, InvalidInstance) if facts["biases"] == "free" else None,
            tunable=facts["tunable"],
            objective=objective_of(parts),
            data=None if facts["data"] is None else read_object(DataReference, facts["data"], "data", InvalidInstance),
            samples=parts.arrays.get("samples"),
            adjustable=facts.get("adjustable", False),
            provenance=provenance or Provenance(),
            architecture=said,  # type: ignore[arg-type]
            buffers=parts.under("buffers"),
            one_chip=facts.get("one_chip", False),
            chained=facts.get("chained", False),
        )
        if said not in (None, found.architecture):
            raise InvalidInstance(f"architecture: the layers make {found.architecture}, found {said}")
        return found
