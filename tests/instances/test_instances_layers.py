"""Layers, networks and what they are made of: construction, messages, parts, digests."""

import copy
import pickle
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError, dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matchopt.errors import InvalidInstance, InvalidSolution
from matchopt.instances import (
    DataReference,
    FunctionalError,
    Gains,
    Hardware,
    LayerInstance,
    LayerMapping,
    NetworkInstance,
    NetworkMapping,
    OutputError,
    Parts,
    Provenance,
    Rules,
    Target,
    TaskLoss,
    WeightError,
)
from matchopt.settings import NonNegativeInt

TARGET = Target.from_dense(np.array([[1.0, 0.0, 2.0], [0.0, 0.0, 3.0]]))
LAYER = LayerInstance(TARGET, Hardware(np.ones((3, 4))))
MAPPING = LayerMapping(np.array([0, 2]), np.array([0, 2, 3]), np.array([0, 1, 3]), np.array([0, 2, 2]))
BIASES = (np.zeros(2),)
NETWORK = NetworkInstance((LAYER,), BIASES)
FULL = NetworkInstance(
    (LAYER,),
    BIASES,
    tunable=1,
    objective=TaskLoss(np.ones((2, 3)), np.array([0, 1])),
    data=DataReference("mnist", "0" * 64),
    samples=np.ones((1, 3)),
)

Make = Callable[[], object]
BROKEN: dict[str, tuple[Make, str]] = {
    "weights not finite": (
        lambda: Target.from_dense(np.array([[np.nan]]), np.array([[True]])),
        "target.weights.*nan at",
    ),
    "inputs out of order": (lambda: Target(np.array([0, 2]), np.array([1, 0]), np.ones(2), 2), "row 0: 0 is repeated"),
    "input out of range": (lambda: Target(np.array([0, 1]), np.array([2]), np.ones(1), 2), "row 0: 2 is not in 0 .. 1"),
    "row starts fall": (lambda: Target(np.array([0, 2, 1, 2]), np.array([0, 1]), np.ones(2), 2), "indptr must rise"),
    "importance negative": (
        lambda: Target(np.array([0, 1]), np.array([0]), np.ones(1), 1, -np.ones(1)),
        "connection 0",
    ),
    "weights too many": (lambda: Target(np.array([0, 1]), np.array([0]), np.ones(2), 1), r"shape \(1,\)"),
    "hardware not a matrix": (lambda: Hardware(np.ones(3)), "hardware.weights must have 2 dimension"),
    "variance negative": (lambda: Hardware(np.ones((1, 2)), -np.ones((1, 2))), "neuron 0, cell 0"),
    "variance of another shape": (
        lambda: Hardware(np.ones((1, 2)), np.ones((2, 2))),
        "hardware.variance must have shape",
    ),
    "usable not bool": (lambda: Hardware(np.ones((1, 1)), usable=np.ones((1, 1))), "hardware.usable must hold bool"),
    "bus negative": (lambda: Hardware(np.ones((2, 1)), bus=np.array([0, -1])), "neuron 1"),
    "bus not whole": (
        lambda: Hardware(np.ones((2, 1)), bus=np.array([0.0, 0.5])),
        "hardware.bus must hold whole numbers",
    ),
    "hard-wired below -1": (
        lambda: Hardware(np.ones((1, 2)), input=np.array([[0, -2]])),
        "found -2 at neuron 0, cell 1",
    ),
    "hard-wired apart on one bus": (
        lambda: Hardware(np.ones((3, 1)), bus=np.array([5, 2, 5]), input=np.array([[0], [1], [1]])),
        "neurons 0 and 2 share a bus",
    ),
    "hard-wired beyond the inputs": (
        lambda: replace(LAYER, hardware=Hardware(np.ones((3, 4)), input=np.full((3, 4), 3))),
        "the target has 3 inputs, found input 3",
    ),
    "gains empty": (lambda: Gains(()), "non-empty set"),
    "gains equal": (lambda: Gains.finite(1.0, 1.0), "non-empty set"),
    "gain not finite": (lambda: Gains.finite(float("inf")), "rules.gains: values must be a list of finite numbers"),
    "gains crossed": (lambda: Gains.interval(2.0, 1.0), "low must be <= high"),
    "gains twice": (lambda: Gains((1.0,), 0.0, 1.0), "not both"),
    "no cell per weight": (lambda: Rules(cells_per_weight=0), "rules: cells_per_weight must be a whole number >= 1"),
    "tunable negative": (lambda: Rules(tunable=-1), "rules: tunable must be a whole number >= 0"),
    "S not square": (lambda: OutputError(np.ones((2, 3))), "square"),
    "S not symmetric": (lambda: OutputError(np.array([[1.0, 0.5], [0.0, 1.0]])), "symmetric"),
    "S negative": (lambda: OutputError(np.diag([1.0, -1.0])), "found -1.0 at 1"),
    "no sample": (lambda: TaskLoss(np.ones((0, 2)), np.zeros(0, int)), "at least one sample"),
    "no unlabelled sample": (lambda: FunctionalError(np.ones((0, 2), np.uint8)), "at least one sample"),
    "samples not finite": (
        lambda: FunctionalError(np.full((1, 2), np.nan, np.float32)),
        "objective.inputs must be finite",
    ),
    "samples of three dimensions": (lambda: FunctionalError(np.ones((1, 2, 2), np.uint8)), "must have 2 dimension"),
    "scale zero": (lambda: FunctionalError(np.ones((1, 2)), 0.0), "objective.scale must be a finite number > 0"),
    "scale infinite": (lambda: TaskLoss(np.ones((1, 2)), np.zeros(1, int), float("inf")), "objective.scale"),
    "labels too few": (lambda: TaskLoss(np.ones((2, 2)), np.zeros(1, int)), "objective.labels"),
    "neurons too few": (lambda: LayerInstance(TARGET, Hardware(np.ones((1, 4)))), "2 target neurons need as many"),
    "S of another size": (lambda: replace(LAYER, objective=OutputError(np.eye(2))), "one row per input, 3, found 2"),
    "task loss of a layer": (lambda: replace(LAYER, objective=FULL.objective), "found task-loss"),
    "functional error of a layer": (
        lambda: replace(LAYER, objective=FunctionalError(np.ones((1, 3)))),
        "found functional-error",
    ),
    "weight error of a network": (
        lambda: replace(NETWORK, objective=WeightError()),
        "a network minimises task-loss, functional-error, score-error or .*found weight-error",
    ),
    "hardware biases adjustable": (
        lambda: NetworkInstance((LAYER,), adjustable=True),
        "adjustable: only digital biases",
    ),
    "functional inputs of another size": (
        lambda: replace(NETWORK, objective=FunctionalError(np.ones((1, 2)))),
        "must have 3 columns, found 2",
    ),
    "network empty": (lambda: NetworkInstance(()), "at least one layer"),
    "layers do not follow": (lambda: NetworkInstance((LAYER, LAYER), BIASES * 2), "layers.1: must take 2 inputs"),
    "biases too few": (lambda: NetworkInstance((LAYER,), ()), "one array per layer, 1, found 0"),
    "bias of another size": (lambda: NetworkInstance((LAYER,), (np.zeros(3),)), "biases.0"),
    "network budget negative": (lambda: replace(NETWORK, tunable=-1), "tunable must be a whole number >= 0"),
    "samples of another size": (lambda: replace(NETWORK, samples=np.ones((1, 2))), "samples must have shape"),
    "loss inputs of another size": (
        lambda: replace(NETWORK, objective=TaskLoss(np.ones((1, 2)), np.array([0]))),
        "must have 3 columns, found 2",
    ),
    "label out of range": (
        lambda: replace(NETWORK, objective=TaskLoss(np.ones((1, 3)), np.array([2]))),
        "objective.labels must be in 0 .. 1",
    ),
    "digest malformed": (lambda: DataReference("mnist", "12"), "64 hexadecimal digits"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_data_is_refused(case: str) -> None:
    """What is no instance raises InvalidInstance, and the sentence names the field and what was found."""
    make, message = BROKEN[case]
    with pytest.raises(InvalidInstance, match=message):
        make()


BROKEN_MAPPINGS: dict[str, tuple[Make, str]] = {
    "starts fall": (lambda: replace(MAPPING, wire_indptr=np.array([0, 3, 2])), "wire_indptr must rise"),
    "starts too few": (lambda: replace(MAPPING, wire_indptr=np.array([0, 3])), r"wire_indptr must have shape \(3,\)"),
    "inputs too few": (lambda: replace(MAPPING, input=np.array([0])), "input must have shape"),
    "gain not finite": (
        lambda: replace(MAPPING, gain=np.array([1.0, np.inf])),
        "gain must be finite, found inf at position 1",
    ),
    "neuron not whole": (lambda: replace(MAPPING, neuron_of=np.array([0.5, 1.0])), "whole numbers, found 0.5"),
    "layers missing": (lambda: NetworkMapping.from_parts(Parts({"layers": 1}, {})), "number of layers"),
    "array of no layer": (
        lambda: NetworkMapping.from_parts(Parts({"layers": 0}, {"layers.0.cell": np.zeros(1)})),
        "'layers.0.cell' is unknown",
    ),
}


@pytest.mark.parametrize("case", BROKEN_MAPPINGS)
def test_broken_mappings_are_refused(case: str) -> None:
    """What is no mapping raises InvalidSolution and names the field."""
    make, message = BROKEN_MAPPINGS[case]
    with pytest.raises(InvalidSolution, match=message):
        make()


def test_arrays_are_private_and_read_only() -> None:
    """Changing the array given, or the one handed out, does not reach the instance."""
    weights = np.ones((2, 2))
    hardware = Hardware(weights)
    weights[0, 0] = 5.0
    assert hardware.weights[0, 0] == 1.0
    for array in (hardware.weights, hardware.variance, hardware.off, hardware.usable, hardware.bus, MAPPING.gain):
        with pytest.raises(ValueError, match="read-only"):
            array[..., 0] = 0
    with pytest.raises(FrozenInstanceError):
        hardware.weights = weights  # type: ignore[misc]


def test_defaults_take_no_memory() -> None:
    """Default variance, usable and off are views of one number."""
    hardware = Hardware(np.ones((300, 784)))
    assert not any(hardware.variance.strides + hardware.usable.strides + hardware.off.strides)
    assert hardware.free_routing
    assert set(hardware.arrays()) == {"weights"}


def test_rows_and_support() -> None:
    """Connections are numbered row by row; a zero weight stays a connection when the support says so."""
    target = Target.from_dense(np.array([[0.0, 5.0], [6.0, 0.0]]), np.array([[True, True], [True, False]]))
    assert target.weights.tolist() == [0.0, 5.0, 6.0]
    assert target.row_of.tolist() == [0, 0, 1]
    assert target.fan_in.tolist() == [2, 1]
    assert target.row(1) == slice(2, 3)
    np.testing.assert_array_equal(target.dense(), [[0.0, 5.0], [6.0, 0.0]])


def test_a_constant_input_is_one_more_column() -> None:
    """Rows without connections get theirs too; importance of the others stays."""
    full, mask = np.array([[0.0, 2.0], [0.0, 0.0], [3.0, 0.0]]), np.array([[True, True], [False] * 2, [True, False]])
    target = Target.from_dense(full, mask, 1.0 + full)
    found = target.with_constant(np.array([5.0, 0.0, 7.0]))
    wanted = Target.from_dense(
        np.column_stack([full, [5.0, 0.0, 7.0]]),
        np.column_stack([mask, [True] * 3]),
        np.column_stack([1.0 + full, np.ones(3)]),
    )
    assert found.n_inputs == 3
    assert all(np.array_equal(found.arrays()[name], wanted.arrays()[name]) for name in wanted.arrays())


def test_from_cells() -> None:
    """One cell per connection; -1 leaves the connection without a wire."""
    mapping = LayerMapping.from_cells(TARGET, np.array([1, 0]), np.array([3, -1, 2]))
    assert [mapping.wires(0), mapping.wires(1)] == [[(3, 0)], [(2, 2)]]
    assert mapping.row_of.tolist() == [0, 1]


def test_gains() -> None:
    """A set allows its members, an interval everything between its ends; the default is the gain nearest to 1."""
    assert Gains().fixed and Gains().allow(1.0) and not Gains().allow(1.1)
    assert Gains.finite(0.5, 2.0).default == 0.5
    assert Gains.interval(2.0, 3.0).default == 2.0
    assert Gains.interval(-1.0, 0.5).allow(-1.0) and not Gains.interval(-1.0, 0.5).allow(0.6)


def test_diagonal_moments() -> None:
    """S is diagonal when nothing off the diagonal is non-zero, zeros on it included."""
    assert OutputError(np.diag([1.0, 0.0])).is_diagonal
    assert not OutputError(np.ones((2, 2))).is_diagonal


@st.composite
def layers(draw: st.DrawFn) -> LayerInstance:
    """Layers with any subset of the optional fields."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, inputs, cells = (draw(st.integers(low, 4)) for low in (0, 1, 0))
    shape = (rows + draw(st.integers(0, 2)), cells)
    fields: dict[str, Any] = {}
    if draw(st.booleans()):
        fields["variance"] = rng.random(shape)
    if draw(st.booleans()):
        fields["usable"] = rng.random(shape) < 0.5
    if draw(st.booleans()):
        fields["off"] = rng.normal(size=shape)
    if draw(st.booleans()):
        fields["bus"] = rng.integers(0, 3, shape[0])
    if draw(st.booleans()):
        fields["input"] = np.broadcast_to(rng.integers(-1, inputs, cells), shape)
    gains = draw(st.sampled_from([Gains(), Gains.finite(0.1, -3.0), Gains.interval(0.25, 0.75)]))
    rules = Rules(draw(st.integers(1, 3)), draw(st.booleans()), draw(st.booleans()), gains, draw(st.integers(0, 5)))
    weights = rng.normal(size=(rows, inputs))
    importance = rng.random(weights.shape) if draw(st.booleans()) else None
    target = Target.from_dense(weights, rng.random(weights.shape) < 0.7, importance)
    objective = OutputError(np.diag(rng.random(inputs))) if draw(st.booleans()) else WeightError()
    return LayerInstance(target, Hardware(rng.normal(size=shape), **fields), rules, objective)


@given(layers(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_parts_round_trip(layer: LayerInstance, digital: bool) -> None:
    """Taken apart and put together again, layers and networks have the digest they had; provenance is no part of it."""
    again = LayerInstance.from_parts(layer.parts(), Provenance(name="other"))
    assert again.digest == layer.digest
    assert again.name == "other"
    biases = (np.arange(float(layer.n_rows)),) if digital else None
    network = NetworkInstance((layer,), biases, tunable=3, samples=np.ones((1, layer.target.n_inputs - (not digital))))
    assert NetworkInstance.from_parts(network.parts()).digest == network.digest != layer.digest


def test_full_network_round_trip() -> None:
    """Task loss, data reference, samples and budget survive, and so do mappings."""
    again = NetworkInstance.from_parts(FULL.parts())
    assert (again.digest, again.data, again.tunable) == (FULL.digest, FULL.data, 1)
    both = NetworkMapping((MAPPING, MAPPING))
    assert NetworkMapping.from_parts(both.parts()).digest == both.digest
    assert LayerMapping.from_parts(MAPPING.parts()).digest == MAPPING.digest


CHANGES: dict[str, LayerInstance] = {
    "weight": replace(LAYER, target=replace(TARGET, weights=np.array([1.0, 2.0, 3.5]))),
    "importance": replace(LAYER, target=replace(TARGET, importance=np.array([1.0, 2.0, 1.0]))),
    "inputs": replace(LAYER, target=replace(TARGET, n_inputs=4)),
    "hardware": replace(LAYER, hardware=Hardware(np.ones((3, 5)))),
    "usable": replace(LAYER, hardware=Hardware(np.ones((3, 4)), usable=np.zeros((3, 4), bool))),
    "bus": replace(LAYER, hardware=Hardware(np.ones((3, 4)), bus=np.zeros(3, int))),
    "hard-wired": replace(LAYER, hardware=Hardware(np.ones((3, 4)), input=np.zeros((3, 4), int))),
    "rule": replace(LAYER, rules=Rules(drop=True)),
    "gains": replace(LAYER, rules=Rules(gains=Gains.finite(2.0))),
    "objective": replace(LAYER, objective=OutputError(np.eye(3))),
}


def test_digest_sees_every_change() -> None:
    """Every field of the content changes the digest; a default written out and provenance do not."""
    digests = {LAYER.digest, *(layer.digest for layer in CHANGES.values())}
    assert len(digests) == 1 + len(CHANGES)
    explicit = Hardware(np.ones((3, 4)), np.zeros((3, 4)), np.ones((3, 4), bool), np.zeros((3, 4)), np.arange(3))
    assert replace(LAYER, hardware=explicit).digest == LAYER.digest
    assert replace(LAYER, provenance=Provenance(name="named", seed=3)).digest == LAYER.digest


BROKEN_PARTS: dict[str, tuple[Callable[[Parts], Parts], str]] = {
    "fact missing": (lambda p: Parts({}, p.arrays), "'n_inputs' is missing"),
    "fact unknown": (lambda p: Parts({**p.facts, "colour": 1}, p.arrays), "'colour' is unknown"),
    "inputs not whole": (lambda p: Parts({**p.facts, "n_inputs": True}, p.arrays), "n_inputs must be a whole number"),
    "objective unknown": (lambda p: Parts({**p.facts, "objective": "best"}, p.arrays), "found 'best'"),
    "rules not an object": (lambda p: Parts({**p.facts, "rules": 3}, p.arrays), "rules must be an object"),
    "array missing": (lambda p: Parts(p.facts, {}), "is missing"),
    "array unknown": (lambda p: Parts(p.facts, {**p.arrays, "stray": np.zeros(1)}), "'stray' is unknown"),
}


@pytest.mark.parametrize("case", BROKEN_PARTS)
def test_broken_parts_are_refused(case: str) -> None:
    """Parts with a wrong, missing or unknown entry are refused by name."""
    change, message = BROKEN_PARTS[case]
    with pytest.raises(InvalidInstance, match=message):
        LayerInstance.from_parts(change(LAYER.parts()))


def test_provenance() -> None:
    """Provenance keeps what is set, and refuses unknown or ill-typed fields by name."""
    known = Provenance(name="row8", seed=0, best_value=1.5)
    assert Provenance.from_facts(known.facts()) == known
    assert known.facts() == {"name": "row8", "seed": 0, "best_value": 1.5}
    with pytest.raises(InvalidInstance, match=r"provenance: colour is unknown"):
        Provenance.from_facts({"colour": "red"})
    with pytest.raises(InvalidInstance, match=r"provenance: seed must be a whole number"):
        Provenance.from_facts({"seed": 1.5})


@dataclass(frozen=True)
class NewerRules(Rules):
    """Rules with one more, as of a later version."""

    most_rows: NonNegativeInt = 0


def test_a_rule_that_is_new_leaves_files_and_digests_alone() -> None:
    """At its default it is not written, so what does not use it reads and hashes as before; elsewhere it is."""
    assert NewerRules(drop=True).facts() == Rules(drop=True).facts()
    assert NewerRules.from_facts(Rules().facts()) == NewerRules()
    used = NewerRules(most_rows=2)
    assert used.facts() == {**Rules().facts(), "most_rows": 2} and NewerRules.from_facts(used.facts()) == used
    with pytest.raises(InvalidInstance, match="rules: 'most_rows' is unknown"):
        Rules.from_facts(used.facts())
    with pytest.raises(TypeError, match=r"NewerRules\.most_rows is tied to no demand"):
        _ = used.demands


def arrays_of(owner: Any) -> Iterator[np.ndarray]:
    """Every array in an object, and in what it holds."""
    if isinstance(owner, np.ndarray):
        yield owner
    elif isinstance(owner, tuple):
        for each in owner:
            yield from arrays_of(each)
    elif hasattr(owner, "__dict__"):
        yield from arrays_of(tuple(vars(owner).values()))


@pytest.mark.parametrize("again", [copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))])
@pytest.mark.parametrize(
    "made", [LAYER, FULL, MAPPING, LayerInstance(TARGET, LAYER.hardware, objective=OutputError(np.eye(3)))]
)
def test_copies_are_immutable_too(made: Any, again: Callable[[Any], Any]) -> None:
    """Their digests, which are kept, stay right: no array of theirs can be written to."""
    digest, found = made.digest, again(made)
    arrays = list(arrays_of(found))
    assert found.digest == digest and len(arrays) >= 5 and not any(array.flags.writeable for array in arrays)
