"""Objectives own their encoding and their algebra."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from jaxtyping import Float, Int

from matchopt.errors import InvalidInstance
from matchopt.instances import (
    FunctionalError,
    Hardware,
    LayerInstance,
    LayerObjective,
    NetworkInstance,
    OutputError,
    SampleObjective,
    ScoreError,
    Target,
    TaskLoss,
    WeightError,
    sample_objective,
)
from matchopt.instances.demands import PLAIN
from matchopt.instances.sample_objective import LAYER_OBJECTIVES, OBJECTIVES
from matchopt.parts import Parts

RNG = np.random.default_rng(1)
MIXED = RNG.normal(size=(4, 4))
TARGET = Target.from_dense(
    RNG.normal(size=(3, 4)), np.array([[1, 0, 1, 1], [0, 0, 0, 0], [1, 1, 0, 0]], bool), RNG.random((3, 4))
)
PIXELS = np.array([[0, 255, 3, 4], [1, 2, 3, 9]], np.uint8)
EXAMPLES = (
    WeightError(),
    OutputError(MIXED @ MIXED.T),
    OutputError(np.diag([1.0, 0.0, 2.0, 3.0])),
    TaskLoss(PIXELS, np.array([0, 2])),
    FunctionalError(PIXELS, 1 / 255),
    ScoreError(PIXELS.astype(np.float32)),
)
OF_LAYERS = [example for example in EXAMPLES if isinstance(example, LayerObjective)]


def test_every_objective_has_an_example_here() -> None:
    """The table of objectives by name is complete, and so are the tests below."""
    assert {type(example) for example in EXAMPLES} == set(OBJECTIVES.values())
    assert all(name == cls.name and cls.level in ("layer", "network") for name, cls in OBJECTIVES.items())


@pytest.mark.parametrize("objective", EXAMPLES, ids=lambda objective: objective.name)
def test_parts_bring_an_objective_back(objective: Any) -> None:
    """Arrays keep their bits and types; a fact at its default is left out; what is missing or unknown is named."""
    parts = objective.parts()
    again = type(objective).from_parts(parts)
    assert type(again) is type(objective) and again.parts().facts == parts.facts
    for name, array in parts.arrays.items():
        assert again.parts().arrays[name].dtype == array.dtype
        assert np.array_equal(again.parts().arrays[name], array)
    assert parts.facts == ({"scale": 1 / 255} if objective.name == "functional-error" else {})
    for name in parts.arrays:
        with pytest.raises(InvalidInstance, match=f"here: '{name}' is missing"):
            objective.from_parts(Parts(parts.facts, {k: v for k, v in parts.arrays.items() if k != name}), "here")
    with pytest.raises(InvalidInstance, match="objective: 'stray' is unknown"):
        objective.from_parts(Parts({**parts.facts, "stray": 1}, parts.arrays))


@pytest.mark.parametrize("objective", OF_LAYERS, ids=lambda objective: objective.name)
def test_the_quadratic_forms_of_rows_are_the_value(objective: LayerObjective) -> None:
    """The value is the sum of e^T Q e and of the noise on Q's diagonal; the parts of Q agree with each other."""
    error, noise = RNG.normal(size=(3, 4)), RNG.random((3, 4))
    total = 0.0
    for i in range(3):
        form = objective.row_quadratic(TARGET, i)
        assert form.ndim == (1 if objective.is_diagonal else 2)
        matrix = np.diag(form) if form.ndim == 1 else form
        total += float(error[i] @ matrix @ error[i] + matrix.diagonal() @ noise[i])
        assert np.array_equal(objective.diagonal(TARGET, np.full(4, i), np.arange(4)), matrix.diagonal())
        inputs = TARGET.indices[TARGET.row(i)]
        assert np.array_equal(objective.importance(TARGET)[TARGET.row(i)], matrix.diagonal()[inputs])
        if objective.shared_quadratic is not None:
            assert np.array_equal(objective.shared_quadratic, matrix)
    assert objective.value(TARGET, error, noise) == pytest.approx(total)


@pytest.mark.parametrize("objective", EXAMPLES[3:], ids=lambda objective: objective.name)
def test_a_part_of_the_samples_is_an_objective_of_its_own(objective: SampleObjective) -> None:
    """Samples, labels and scale go along."""
    second = objective.part(np.array([1]))
    assert np.array_equal(second.rows(0), objective.rows(1)) and len(second.inputs) == 1
    assert (second.classes is None) == (objective.classes is None)
    if objective.classes is not None and second.classes is not None:
        assert objective.labelled and second.classes.tolist() == objective.classes[1:].tolist()


@dataclass(frozen=True, eq=False)
class Shifted(LayerObjective):
    """A weight error with a weight for each input, and a factor: made up, with an array and a fact."""

    per_input: Float[np.ndarray, " inputs"]
    factor: float = 1.0
    name = "shifted"
    is_diagonal = True

    @property
    def demands(self) -> frozenset[str]:
        """Nothing, so that everything takes it here."""
        return PLAIN

    def diagonal(
        self, target: Target, rows: Int[np.ndarray, " pairs"], inputs: Int[np.ndarray, " pairs"]
    ) -> Float[np.ndarray, " pairs"]:
        """See `LayerObjective.diagonal`."""
        return self.factor * self.per_input[inputs]

    def value(
        self, target: Target, error: Float[np.ndarray, "rows inputs"], noise: Float[np.ndarray, "rows inputs"]
    ) -> float:
        """See `LayerObjective.value`."""
        return float((self.factor * self.per_input * (error**2 + noise)).sum())


def test_what_a_network_is_fed_is_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """All samples, read-only and made once where they are few, some, or numbered ones, in whatever layout."""
    rng = np.random.default_rng(2)
    weights = rng.normal(size=(200, 200))
    first = np.where(rng.random(weights.shape) < 0.01, weights, 0.0)
    chip, objective = Hardware(weights), ScoreError(rng.integers(0, 256, (30, 200)).astype(np.uint8), 1 / 255)
    layers = (LayerInstance(Target.from_dense(first), chip),)
    trained = NetworkInstance(layers, biases=(np.zeros(200),), objective=objective)
    for most in (sample_objective.MOST_KEPT, 0):
        monkeypatch.setattr(sample_objective, "MOST_KEPT", most)
        for which in (slice(0, 30), slice(0, 10), slice(None), np.array([3, 1])):
            fed = objective.fed(which, trained, first)
            assert np.array_equal(fed, objective.rows(which)) and fed.T.flags.c_contiguous
        assert (objective.fed(slice(0, 30), trained, first) is objective.fed(slice(None), trained, first)) is (most > 0)
        assert fed.flags.writeable and objective.fed(slice(None), trained, first).flags.writeable is (most == 0)


def test_a_new_layer_objective_is_one_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registered by name, it is encoded, reduced, enumerated and proved without another line."""
    from matchopt.instances import AssignmentInstance, ProgramInstance
    from matchopt.proofs import certify
    from matchopt.reduce import reduction
    from matchopt.testing.brute import brute_force

    monkeypatch.setitem(LAYER_OBJECTIVES, "shifted", Shifted)
    monkeypatch.setattr(sample_objective, "_DEFINED", sample_objective._DEFINED | {Shifted})
    hardware = Hardware(RNG.normal(size=(4, 3)), RNG.random((4, 3)))
    target = Target.from_dense(RNG.normal(size=(2, 3)), np.array([[1, 1, 0], [0, 1, 1]], bool))
    layer = LayerInstance(target, hardware, objective=Shifted(np.array([1.0, 0.5, 2.0]), 3.0))
    assert layer.parts().facts["objective"] == {"name": "shifted", "factor": 3.0}
    again = LayerInstance.from_parts(layer.parts())
    assert again.digest == layer.digest and isinstance(again.objective, Shifted)
    network = NetworkInstance((layer,), (np.zeros(2),))
    assert NetworkInstance.from_parts(network.parts()).digest == network.digest
    best = brute_force(layer)
    assert best.solution is not None and layer.value(best.solution) == pytest.approx(best.value)
    for kind in (AssignmentInstance, ProgramInstance):
        way = reduction(layer, kind)
        lowered = way.lower(best.solution)
        assert sum(part.value(each) for part, each in zip(way.parts, lowered, strict=True)) == pytest.approx(best.value)
    (pairs,) = reduction(layer, AssignmentInstance).parts
    assert brute_force(pairs).value == pytest.approx(best.value)
    assert certify(layer, best.solution).optimal
