"""Demands: every field is tied to one or to the plain core, and a change of a field is exactly its demand."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pytest

from matchopt.errors import Refused
from matchopt.instances import (
    AssignmentInstance,
    Convolution,
    Convolutional,
    DataReference,
    FunctionalError,
    Gains,
    Hardware,
    LayerInstance,
    NetworkInstance,
    OutputError,
    ProgramInstance,
    Provenance,
    Recurrent,
    Rules,
    ScoreError,
    Target,
    TaskLoss,
    WeightError,
)
from matchopt.instances.demands import AT_0_1, DEMANDS, PLAIN, asks, demands_of, not_understood, refuse_unknown

TWO = np.eye(2)
TARGET = Target.from_dense(TWO)
HARDWARE = Hardware(np.array([[1.0, 2.0], [3.0, 4.0]]))
LAYER = LayerInstance(TARGET, HARDWARE)
BIASES = (np.zeros(2),)
NETWORK = NetworkInstance((LAYER,), BIASES)
ASSIGNMENT = AssignmentInstance(TWO)
PROGRAM = ProgramInstance(np.zeros(0), np.zeros(1, int), np.zeros(0, int), np.zeros(0), np.zeros(0), np.zeros(0))
SAMPLES = np.array([[1.0, 2.0]])
CORRELATED = OutputError(np.ones((2, 2)))

# Per class: the plainest object, the fields that ask for nothing, and for every other field changes of that field alone
# with the demands they bring.
Changes = dict[str, tuple[tuple[dict[str, Any], set[str]], ...]]


def _one(changed: dict[str, Any], *demands: str) -> tuple[tuple[dict[str, Any], set[str]], ...]:
    return ((changed, set(demands)),)


def _program(low: float, high: float, integral: bool) -> dict[str, Any]:
    """A program of one variable, in place of one of none."""
    ends = {"low": np.array([low]), "high": np.array([high])}
    return {"cost": np.zeros(1), "integral": np.array([integral]), **ends}


TIED: dict[type, tuple[Any, set[str], Changes]] = {
    Target: (
        TARGET,
        {"indptr", "indices", "weights", "n_inputs"},
        {"importance": _one({"importance": np.array([1.0, 2.0])}, "importance")},
    ),
    Hardware: (
        HARDWARE,
        {"weights", "neuron", "origin", "measured"},
        {
            "variance": _one({"variance": TWO}, "read-noise"),
            "usable": _one({"usable": TWO == 0}, "unusable-cells"),
            "off": _one({"off": TWO}, "leak"),
            "bus": _one({"bus": np.zeros(2, int)}, "shared-bus"),
            "low": _one({"low": -TWO, "high": TWO}, "programmable-cells"),
            "high": _one({"low": TWO, "high": TWO}, "programmable-cells"),
            "write_variance": (({"write_variance": TWO}, set()),),
            "levels": _one({"levels": TWO[..., None]}, "programmable-cells"),
            "level_variance": _one({"levels": TWO[..., None], "level_variance": TWO[..., None]}, "programmable-cells"),
            "input": _one({"input": np.zeros((2, 2), int)}, "hard-wired"),
        },
    ),
    Gains: (
        Gains(),
        set(),
        {
            "values": _one({"values": (0.5,)}, "gains") + _one({"values": (1.0, 2.0)}, "gains"),
            "low": _one({"values": None, "low": 0.5, "high": 1.0}, "gain-interval"),
            "high": _one({"values": None, "low": 1.0, "high": 1.0}, "gain-interval"),
        },
    ),
    Rules: (
        Rules(),
        set(),
        {
            "cells_per_weight": _one({"cells_per_weight": 2}, "several-cells"),
            "drop": _one({"drop": True}, "drop"),
            "extra_inputs": _one({"extra_inputs": True}, "extra-inputs"),
            "gains": _one({"gains": Gains.finite(2.0)}, "gains")
            + _one({"gains": Gains.interval(0.0, 1.0)}, "gain-interval"),
            "tunable": _one({"tunable": 1}, "tunable"),
            "neurons_per_row": _one({"neurons_per_row": 2}, "several-neurons"),
            "copies": _one({"copies": 2}, "copies"),
            "writes": _one({"writes": 0}, "write-budget"),
        },
    ),
    WeightError: (WeightError(), set(), {}),
    LayerInstance: (
        LAYER,
        {"provenance"},
        {
            "target": _one({"target": replace(TARGET, importance=np.array([0.0, 1.0]))}, "importance"),
            "hardware": _one({"hardware": replace(HARDWARE, off=TWO)}, "leak"),
            "rules": _one({"rules": Rules(drop=True)}, "drop"),
            "objective": _one({"objective": OutputError(TWO)}, "output-error")
            + _one({"objective": CORRELATED}, "output-error", "correlated-inputs"),
        },
    ),
    NetworkInstance: (
        NETWORK,
        {"data", "samples", "provenance", "buffers"},
        {
            "one_chip": _one({"one_chip": True}, "one-chip"),
            "chained": _one(
                {"chained": True, "layers": (replace(LAYER, hardware=replace(HARDWARE, bus=np.zeros(2, int))),)},
                "chained",
                "shared-bus",
            ),
            "layers": _one({"layers": (replace(LAYER, rules=Rules(drop=True)),)}, "drop"),
            "biases": _one({"biases": None}, "hardware-bias"),
            "tunable": _one({"tunable": 0}, "network-tunable"),
            "objective": _one({"objective": TaskLoss(SAMPLES, np.zeros(1, int))}, "task-loss")
            + _one({"objective": FunctionalError(SAMPLES)}, "functional-error")
            + _one({"objective": ScoreError(SAMPLES)}, "score-error"),
            "adjustable": _one({"adjustable": True}, "adjustable-bias"),
            "architecture": (),  # changes the layers too; see below
        },
    ),
    AssignmentInstance: (
        ASSIGNMENT,
        {"provenance"},
        {
            "cost": _one({"cost": np.eye(2, dtype=int)}, "integer-costs")
            + _one({"cost": np.array([[1.0, np.inf], [0.0, 0.0]])}, "forbidden-pairs"),
            "indptr": _one(
                {"cost": np.zeros(4), "indptr": np.array([0, 2, 4]), "indices": np.array([0, 1, 0, 1])}, "sparse"
            ),
            "indices": _one(
                {"cost": np.zeros(2), "indptr": np.array([0, 1, 2]), "indices": np.array([0, 1])},
                "sparse",
                "forbidden-pairs",
            ),
            "n_cols": _one({"cost": np.zeros((2, 3)), "n_cols": 3}, "rectangular"),
        },
    ),
    ProgramInstance: (
        PROGRAM,
        {"cost", "indptr", "indices", "coefficients", "row_low", "row_high", "offset", "row_names", "variable_names"}
        | {"provenance"},
        {
            "low": _one(_program(-np.inf, 1.0, True), "unbounded-variables", "whole-variables"),
            "high": _one(_program(0.0, np.inf, True), "unbounded-variables", "whole-variables"),
            "integral": _one(_program(0.0, 1.0, True), "whole-variables")
            + _one(_program(0.0, 1.0, False), "continuous-variables"),
        },
    ),
}
SAMPLED = (FunctionalError(SAMPLES, 2.0), ScoreError(SAMPLES, 2.0), TaskLoss(SAMPLES, np.zeros(1, int), 2.0))


@pytest.mark.parametrize("cls", TIED, ids=lambda cls: cls.__name__)
def test_every_field_is_tied_to_a_demand_or_to_the_plain_core(cls: type) -> None:
    """A field that is new fails here until somebody says what it asks for."""
    _, plain, changes = TIED[cls]
    assert {field.name for field in fields(cls)} == plain | set(changes)
    assert not plain & set(changes)


@pytest.mark.parametrize("cls", TIED, ids=lambda cls: cls.__name__)
def test_the_plainest_asks_for_nothing_and_a_change_for_exactly_its_demand(cls: type) -> None:
    """One field changed from its default, exactly its demand."""
    base, _, changes = TIED[cls]
    assert base.demands == PLAIN
    for name, cases in changes.items():
        for changed, wanted in cases:
            assert replace(base, **changed).demands == wanted, (name, changed)


def test_fields_of_the_plain_core_ask_for_nothing() -> None:
    """Sizes, data, names and sample inputs may be anything."""
    assert replace(NETWORK, samples=SAMPLES, provenance=Provenance("a")).demands == PLAIN
    assert replace(NETWORK, data=DataReference("mnist", "0" * 64)).demands == PLAIN
    assert Hardware(np.zeros((3, 5))).demands == PLAIN
    assert Target.from_dense(np.zeros((3, 5))).demands == PLAIN


@pytest.mark.parametrize("objective", SAMPLED, ids=lambda objective: objective.name)
def test_objectives_of_networks_demand_their_name(objective: Any) -> None:
    """Whatever their samples, labels and scale."""
    assert objective.demands == {objective.name}


def test_other_architectures_are_demands() -> None:
    """A network that is no chain of layers says so."""
    convolutional = Convolutional((1, 2, 2), (Convolution(2, 2, normalise="batch"),), (), 2)
    assert convolutional.demands == {"convolutional"}
    assert Recurrent(1, 2, 1, 2).demands == {"recurrent"}


def test_importance_that_is_equal_but_not_one_is_a_demand() -> None:
    """Who ignores importance gets the value wrong by a factor then."""
    assert replace(TARGET, importance=np.array([2.0, 2.0])).demands == {"importance"}


@dataclass(frozen=True)
class Forgetful:
    """A part with a field that nobody tied to a demand."""

    old: int = 0
    new: int = 0

    @property
    def demands(self) -> frozenset[str]:
        """Forgets `new`."""
        return demands_of(self, "old")


def test_a_field_that_is_forgotten_fails_at_its_first_use() -> None:
    """It must not pass for a plain one."""
    with pytest.raises(TypeError, match=r"Forgetful.new is tied to no demand"):
        _ = Forgetful().demands


def test_the_sentence_names_every_demand_with_its_meaning() -> None:
    """One sentence for all that is not understood; none where all is."""
    layer = replace(LAYER, rules=Rules(drop=True, tunable=1))
    assert not_understood(layer, {"drop", "tunable"}, "x") is None
    found = not_understood(layer, {"gains"}, "solver x")
    assert found == f"solver x does not understand drop ({DEMANDS['drop']}) and tunable ({DEMANDS['tunable']})"
    with pytest.raises(Refused, match="the split does not understand drop"):
        refuse_unknown(layer, {"tunable"}, "the split")


def test_only_demands_of_the_vocabulary_can_be_asked_for() -> None:
    """A typing error in a name is found where it is made."""
    with pytest.raises(AssertionError):
        asks("dorp", True)


def test_what_plugins_of_0_1_understand_is_frozen() -> None:
    """A demand that is new never enters: plugins without a declaration were not written for it."""
    layer = "importance read-noise unusable-cells leak shared-bus several-cells drop extra-inputs gains gain-interval"
    layer += " tunable output-error correlated-inputs"
    network = "task-loss functional-error score-error hardware-bias adjustable-bias network-tunable convolutional"
    assert {
        "layer": set(layer.split()),
        "network": {*layer.split(), *network.split(), "recurrent"},
        "assignment": {"sparse", "forbidden-pairs", "integer-costs", "rectangular"},
        "program": {"whole-variables", "continuous-variables", "unbounded-variables"},
    } == AT_0_1


def test_every_demand_has_a_meaning_and_somebody_asks_for_it(demanded: Callable[[], set[str]]) -> None:
    """The vocabulary holds nothing that no tiny instance of the kit demands."""
    assert set(DEMANDS) == demanded()
    assert all(meaning and not meaning.endswith(".") for meaning in DEMANDS.values())


@pytest.fixture
def demanded() -> Callable[[], set[str]]:
    """All demands of the kit's tiny instances."""
    from matchopt.testing.tiny import tiny_instances

    return lambda: set().union(*(tiny.instance.demands for tiny in tiny_instances()))
