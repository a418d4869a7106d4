"""Every rule of every kind of instance: a feasible solution passes, and breaking one thing is named."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from matchopt.checker import check, is_feasible
from matchopt.instances import (
    Assignment,
    AssignmentInstance,
    Gains,
    Hardware,
    Instance,
    LayerInstance,
    LayerMapping,
    NetworkInstance,
    NetworkMapping,
    ProgramInstance,
    ProgramPoint,
    Rules,
    Solution,
    Target,
)

# Two rows on three neurons; row 0 has inputs 0 and 1 (connections 0, 1), row 1 has inputs 1 and 2 (connections 2, 3).
TARGET = Target.from_dense(np.array([[1.0, 2.0, 0.0, 0.0], [0.0, 3.0, 4.0, 0.0]]))
USABLE = np.array([[True, True, True, False], [True] * 4, [True] * 4])
WEIGHTS = np.arange(12.0).reshape(3, 4)


def layer(bus: Any = None, **rules: Any) -> LayerInstance:
    return LayerInstance(TARGET, Hardware(WEIGHTS, usable=USABLE, bus=bus), Rules(**rules))


def wired(own: list[list[int]], bus: Any = None, usable: Any = USABLE) -> LayerInstance:
    hardware = Hardware(WEIGHTS, usable=USABLE if usable is None else usable, bus=bus, input=np.array(own))
    return LayerInstance(TARGET, hardware)


def mapping(row0: list[tuple[int, int]], row1: list[tuple[int, int]], **fields: Any) -> LayerMapping:
    wires = np.array(row0 + row1, dtype=np.int64).reshape(-1, 2)
    starts = np.array([0, len(row0), len(row0) + len(row1)])
    return LayerMapping(
        **{"neuron_of": np.array([0, 1]), **fields}, wire_indptr=starts, cell=wires[:, 0], input=wires[:, 1]
    )


ROW0, ROW1 = [(0, 0), (1, 1)], [(0, 1), (1, 2)]
GOOD = mapping(ROW0, ROW1)
BUSED = mapping([(0, 0), (1, 1)], [(1, 1), (2, 2)])
TUNED = mapping([(0, 0)], [(1, 2)], tunable=np.array([1, 2]))
NAN_GAIN = mapping(ROW0, ROW1)
object.__setattr__(NAN_GAIN, "gain", np.array([1.0, np.nan]))  # the class itself refuses this; a file reader might not
TUNED_TO = replace(TUNED, tuned=np.array([0.5, -7.0]))
NAN_TUNED, ONE_TUNED = replace(TUNED_TO), replace(TUNED_TO)  # neither can be made; a file reader might let them pass
object.__setattr__(NAN_TUNED, "tuned", np.array([0.5, np.nan]))
object.__setattr__(ONE_TUNED, "tuned", np.array([0.5]))
SHORT = LayerMapping(np.array([0]), np.array([0, 2]), np.array([0, 1]), np.array([0, 1]))
LONG = LayerMapping(np.arange(3), np.array([0, 2, 4, 4]), np.array([0, 1, 0, 1]), np.array([0, 1, 1, 2]))


def several(*parts: tuple[int, int, list[tuple[int, int]]]) -> LayerMapping:
    """A mapping from (row, hardware neuron, wires) of every hardware neuron in use."""
    wires = np.array([wire for _, _, part in parts for wire in part], np.int64).reshape(-1, 2)
    starts = np.cumsum([0] + [len(part) for _, _, part in parts])
    row, neuron_of = (np.array(listed) for listed in zip(*((i, j) for i, j, _ in parts), strict=True))
    return LayerMapping(neuron_of, starts, wires[:, 0], wires[:, 1], row=row)


SPLIT = several((0, 0, [(0, 0)]), (0, 2, [(1, 1)]), (1, 1, ROW1))
COPIED = several((0, 0, ROW0), (0, 2, ROW0), (1, 1, ROW1))
SHARED = [0, 0, 1]
FIRST = np.array([[True] + [False] * 3, [True] + [False] * 3, [False] * 4])  # cell 0 of two neurons has a range
WRITABLE = Hardware(
    WEIGHTS, low=np.where(FIRST, -1.0, np.nan), high=np.where(FIRST, 1.0, np.nan),
    levels=np.where(FIRST[:, ::-1], 0.0, np.nan)[:, :, None] + [0.0, 0.5],
)  # fmt: skip
MENUS = LayerInstance(TARGET, WRITABLE, Rules(writes=2))  # and cell 3 of both two levels


def written(*values: float) -> LayerMapping:
    return replace(mapping([(0, 0), (3, 1)], [(0, 1), (1, 2)]), written=np.array(values))


WRITTEN = written(-1.0, 0.5, np.nan, np.nan)
LAYERS = {
    "written below the range": (MENUS, WRITTEN, written(-1.1, 0.5, np.nan, np.nan), "written-range", "row 0"),
    "written without end": (MENUS, WRITTEN, written(np.inf, 0.5, np.nan, np.nan), "written-range", "row 0"),
    "written between levels": (MENUS, WRITTEN, written(-1.0, 0.25, np.nan, np.nan), "written-level", "row 0"),
    "written into a fixed cell": (MENUS, WRITTEN, written(-1.0, np.nan, np.nan, 1.0), "cell-not-programmable", "row 1"),
    "a write too many": (MENUS, WRITTEN, written(-1.0, 0.5, 1.0, np.nan), "write-budget", "at most 2"),
    "neuron too large": (layer(), GOOD, replace(GOOD, neuron_of=np.array([0, 3])), "neuron-range", "row 1"),
    "neuron negative": (layer(), GOOD, replace(GOOD, neuron_of=np.array([-1, 1])), "neuron-range", "row 0"),
    "neuron taken": (layer(), GOOD, replace(GOOD, neuron_of=np.array([1, 1])), "neuron-used-twice", "row 1"),
    "cell too large": (layer(), GOOD, mapping(ROW0, [(0, 1), (4, 2)]), "cell-range", "row 1"),
    "cell negative": (layer(), GOOD, mapping([(-1, 0), (1, 1)], ROW1), "cell-range", "row 0"),
    "cell unusable": (layer(), GOOD, mapping([(0, 0), (3, 1)], ROW1), "cell-unusable", "row 0"),
    "cell with two inputs": (layer(), GOOD, mapping([(0, 0), (0, 1)], ROW1), "cell-two-inputs", "row 0"),
    "wire twice": (layer(), GOOD, mapping(ROW0, [*ROW1, (1, 2)]), "wire-twice", "row 1"),
    "input too large": (layer(), GOOD, mapping(ROW0, [*ROW1, (2, 4)]), "input-range", "row 1"),
    "input negative": (layer(extra_inputs=True), GOOD, mapping([*ROW0, (2, -1)], ROW1), "input-range", "row 0"),
    "input outside": (layer(), GOOD, mapping([*ROW0, (2, 3)], ROW1), "input-outside-support", "row 0"),
    "unrealised": (layer(), GOOD, mapping(ROW0, [(0, 1)]), "connection-unrealised", "row 1"),
    "two cells": (layer(), GOOD, mapping([*ROW0, (2, 1)], ROW1), "too-many-cells", "row 0"),
    "three cells": (
        layer(cells_per_weight=2),
        mapping(ROW0, [*ROW1, (2, 2)]),
        mapping(ROW0, [*ROW1, (2, 2), (3, 2)]),
        "too-many-cells",
        "row 1",
    ),
    "two cells on an extra input": (
        layer(extra_inputs=True),
        mapping(ROW0, [*ROW1, (2, 3)]),
        mapping(ROW0, [*ROW1, (2, 3), (3, 3)]),
        "too-many-cells",
        "row 1",
    ),
    "split though one": (layer(), GOOD, SPLIT, "too-many-neurons", "has 2 hardware neurons; at most 1"),
    "split over three": (
        layer(neurons_per_row=2, drop=True),
        SPLIT,
        several((0, 0, []), (0, 1, []), (0, 2, []), (1, 1, [])),
        "too-many-neurons",
        "at most 2",
    ),
    "row without neuron": (
        layer(neurons_per_row=2),
        SPLIT,
        replace(SPLIT, row=np.array([1, 1, 1])),
        "row-without-neuron",
        "no hardware neuron",
    ),
    "neuron serves two rows": (
        layer(neurons_per_row=2),
        SPLIT,
        several((0, 0, [(0, 0)]), (0, 1, [(1, 1)]), (1, 1, ROW1)),
        "neuron-used-twice",
        "by row 0 already",
    ),
    "input on two parts": (
        layer(neurons_per_row=2),
        SPLIT,
        several((0, 0, [(0, 0)]), (0, 2, [(0, 0), (1, 1)]), (1, 1, ROW1)),
        "too-many-cells",
        "input 0 is served by 2 cells",
    ),
    "part left out": (
        layer(neurons_per_row=2),
        SPLIT,
        several((0, 0, [(0, 0)]), (0, 2, []), (1, 1, ROW1)),
        "connection-unrealised",
        "input 1",
    ),
    "copy incomplete": (layer(copies=2), COPIED, SPLIT, "connection-unrealised", "input 1"),
    "parts on two lines": (
        layer([0, 1, 0], copies=2),
        COPIED,
        several((0, 0, ROW0), (0, 2, [(2, 0), (1, 1)]), (1, 1, ROW1)),
        "input-many-lines",
        "input 0 drives 2 lines of bus 0 together with row 0",
    ),
    "parts with two inputs": (
        layer([0, 1, 0], copies=2),
        COPIED,
        several((0, 0, ROW0), (0, 2, [(1, 0), (2, 1)]), (1, 1, ROW1)),
        "line-two-inputs",
        "line 1 of bus 0 carries input 1 for row 0, not input 0 as well",
    ),
    "gain where fixed": (layer(), GOOD, replace(GOOD, gain=np.array([1.0, 2.0])), "gain-not-allowed", "row 1"),
    "gain not in the set": (
        layer(gains=Gains.finite(1.0, 2.0)),
        replace(GOOD, gain=np.array([2.0, 1.0])),
        replace(GOOD, gain=np.array([1.5, 1.0])),
        "gain-not-allowed",
        "row 0",
    ),
    "gain above the interval": (
        layer(gains=Gains.interval(0.5, 2.0)),
        replace(GOOD, gain=np.array([2.0, 0.7])),
        replace(GOOD, gain=np.array([2.0, 2.1])),
        "gain-not-allowed",
        "row 1",
    ),
    "gain below the interval": (
        layer(gains=Gains.interval(0.5, 2.0)),
        replace(GOOD, gain=np.array([2.0, 0.7])),
        replace(GOOD, gain=np.array([0.4, 1.0])),
        "gain-not-allowed",
        "row 0",
    ),
    "gain not finite": (layer(), GOOD, NAN_GAIN, "gain-not-finite", "row 1"),
    "tunable too large": (layer(tunable=2), TUNED, replace(TUNED, tunable=np.array([1, 4])), "tunable-range", "4"),
    "tunable negative": (layer(tunable=2), TUNED, replace(TUNED, tunable=np.array([-1, 2])), "tunable-range", "-1"),
    "tunable repeated": (
        layer(tunable=3),
        TUNED,
        replace(TUNED, tunable=np.array([1, 2, 2])),
        "tunable-repeated",
        "row 1",
    ),
    "tunable out of order": (
        layer(tunable=2),
        TUNED,
        replace(TUNED, tunable=np.array([2, 1])),
        "tunable-order",
        "row 0",
    ),
    "tunable over budget": (
        layer(tunable=1, drop=True),
        mapping([(0, 0)], [(1, 2)]),
        TUNED,
        "tunable-budget",
        "at most 1",
    ),
    "tunable with cells": (
        layer(tunable=2),
        TUNED,
        mapping(ROW0, [(1, 2)], tunable=np.array([1, 2])),
        "tunable-has-cells",
        "row 0",
    ),
    "tuned not finite": (layer(tunable=2), TUNED_TO, NAN_TUNED, "tuned-not-finite", "connection 2"),
    "tuned too few": (layer(tunable=2), TUNED_TO, ONE_TUNED, "tuned-count", "2 tunable connections"),
    "line with two inputs": (
        layer(SHARED),
        BUSED,
        mapping([(0, 0), (1, 1)], [(1, 1), (0, 2)]),
        "line-two-inputs",
        "row 1",
    ),
    "input on two lines": (
        layer(SHARED),
        BUSED,
        mapping([(0, 0), (1, 1)], [(3, 1), (2, 2)]),
        "input-many-lines",
        "row 1",
    ),
    "input on three lines": (
        layer(SHARED, cells_per_weight=2),
        mapping([(0, 0), (1, 1)], [(3, 1), (2, 2)]),
        mapping([(2, 0), (0, 1)], [(1, 1), (3, 1)], neuron_of=np.array([0, 1])),
        "input-many-lines",
        "row 1",
    ),
    "hard-wired to another input": (
        wired([[0, 1, 1, -1]] * 3),
        mapping(ROW0, [(2, 1), (3, 2)]),
        mapping(ROW0, [(0, 1), (3, 2)]),
        "cell-hard-wired",
        "row 1",
    ),
    "input on two lines besides those that are hard-wired": (
        wired([[0, 1, -1, -1]] * 3, [0, 0, 0], usable=None),
        mapping(ROW0, [(2, 1), (3, 2)]),
        mapping([(0, 0), (3, 1)], [(2, 1), (1, 2)]),
        "input-many-lines",
        "row 1",
    ),
    "too few rows": (layer(), GOOD, SHORT, "row-count", "found 1"),
    "too many rows": (layer(), GOOD, LONG, "row-count", "found 3"),
    "another kind": (layer(), GOOD, Assignment(np.array([0, 1])), "wrong-kind", "assignment"),
}

# Two layers with digital biases; the second takes the two rows of the first.
SECOND = LayerInstance(Target.from_dense(np.array([[1.0, 2.0]])), Hardware(WEIGHTS), Rules(tunable=1))
FIRST = layer(tunable=2)
NETWORK = NetworkInstance((FIRST, SECOND), (np.zeros(2), np.zeros(1)), tunable=2)
ON_SECOND = LayerMapping(np.array([2]), np.array([0, 2]), np.array([0, 1]), np.array([0, 1]))
TUNED_SECOND = LayerMapping(np.array([2]), np.array([0, 1]), np.array([1]), np.array([1]), tunable=np.array([0]))
BOTH = NetworkMapping((TUNED, ON_SECOND))
ADJUSTABLE = replace(NETWORK, adjustable=True)
ADJUSTED = NetworkMapping(BOTH.layers, (np.array([0.1, -9.0]), np.array([3.0])))
NAN_BIAS, ONE_BIAS = replace(ADJUSTED), replace(ADJUSTED)
object.__setattr__(NAN_BIAS, "biases", (np.zeros(2), np.array([np.inf])))
object.__setattr__(ONE_BIAS, "biases", (np.zeros(2),))
NETWORKS = {
    "layer missing": (NETWORK, BOTH, NetworkMapping((TUNED,)), "layer-count", "2, found 1"),
    "layer of another kind": (
        NETWORK,
        BOTH,
        NetworkMapping((TUNED, Assignment(np.array([0])))),  # type: ignore[arg-type]  # as a solver may answer
        "wrong-kind",
        "layer 1: its part of the mapping must be of kind layer, found Assignment",
    ),
    "network budget": (NETWORK, BOTH, NetworkMapping((TUNED, TUNED_SECOND)), "network-tunable-budget", "found 3"),
    "biases not adjustable": (NETWORK, BOTH, ADJUSTED, "biases-not-adjustable", "not adjustable"),
    "biases of another shape": (
        ADJUSTABLE,
        ADJUSTED,
        replace(ADJUSTED, biases=(np.zeros(3), np.zeros(1))),
        "biases-shape",
        "layer 0: biases must have shape (2,), found (3,)",
    ),
    "biases too few": (ADJUSTABLE, ADJUSTED, ONE_BIAS, "biases-count", "2 layers are needed, found 1"),
    "biases not finite": (ADJUSTABLE, ADJUSTED, NAN_BIAS, "biases-not-finite", "layer 1"),
    "broken second layer": (
        NETWORK,
        BOTH,
        NetworkMapping((TUNED, replace(ON_SECOND, neuron_of=np.array([7])))),
        "neuron-range",
        "layer 1, row 0",
    ),
}

CHIP = NetworkInstance(
    (LayerInstance(TARGET, Hardware(np.ones((4, 4)), bus=np.zeros(4, int)), Rules(drop=True)),
     LayerInstance(Target.from_dense(np.ones((1, 2))), Hardware(np.ones((2, 4)), bus=np.zeros(2, int),
                                                               neuron=np.array([3, 1])), Rules(drop=True))),
    (np.zeros(2), np.zeros(1)),
    one_chip=True,
)  # fmt: skip
ON_CHIP = (mapping([(0, 0)], [(1, 2)]), LayerMapping(np.array([0]), np.array([0, 1]), np.array([2]), np.array([1])))
NETWORKS |= {
    "neuron of two layers": (
        CHIP, NetworkMapping(ON_CHIP), NetworkMapping((ON_CHIP[0], replace(ON_CHIP[1], neuron_of=np.array([1])))),
        "neuron-two-layers", "layer 1, row 0: neuron 1 of the chip is taken by layer 0, row 1",
    ),
    "line of two layers": (
        CHIP, NetworkMapping(ON_CHIP), NetworkMapping((ON_CHIP[0], replace(ON_CHIP[1], cell=np.array([0])))),
        "line-two-layers", "layer 1, row 0: line 0 of bus 0 carries an input of layer 0 (row 0)",
    ),
}  # fmt: skip

ONE_BUS = Hardware(np.ones((3, 4)), bus=np.zeros(3, int))
CHAIN = NetworkInstance(
    (LayerInstance(TARGET, ONE_BUS, Rules(drop=True)),
     LayerInstance(Target.from_dense(np.ones((1, 3))), ONE_BUS, Rules(drop=True))),
    chained=True,
)  # fmt: skip
LINKED = NetworkMapping(
    (LayerMapping(np.array([2, 0]), np.array([0, 1, 1]), np.array([1]), np.array([0])),
     LayerMapping(np.array([1]), np.array([0, 2]), np.array([2, 3]), np.array([0, 2]))),
)  # fmt: skip


def _linked(cells: list[int], inputs: list[int]) -> NetworkMapping:
    last = LayerMapping(np.array([1]), np.array([0, 2]), np.array(cells), np.array(inputs))
    return replace(LINKED, layers=(LINKED.layers[0], last))


NETWORKS |= {
    "line of another row": (
        CHAIN, LINKED, _linked([0, 3], [0, 2]), "line-of-another",
        "layer 1, row 0: input 0 is on line 2, which row 0 of layer 0 drives, not on line 0",
    ),
    "constant on a driven line": (
        CHAIN, LINKED, _linked([2, 1], [0, 2]), "line-of-another",
        "layer 1, row 0: input 2 is on line 1, which hardware neuron 1 of layer 0 drives",
    ),
}  # fmt: skip

DENSE = AssignmentInstance(np.array([[1.0, 2.0, 3.0], [4.0, np.inf, 6.0]]))
SPARSE = AssignmentInstance(np.array([1, 0, 5]), np.array([0, 2, 3]), np.array([0, 1, 2]), 3)
FITS = Assignment(np.array([1, 2]))
ASSIGNMENTS = {
    "columns missing": (DENSE, FITS, Assignment(np.array([1])), "row-count", "2, found 1"),
    "column too large": (DENSE, FITS, Assignment(np.array([1, 3])), "column-range", "row 1"),
    "column negative": (SPARSE, FITS, Assignment(np.array([-1, 2])), "column-range", "row 0"),
    "column taken": (DENSE, FITS, Assignment(np.array([2, 2])), "column-used-twice", "row 1"),
    "infinite cost": (DENSE, FITS, Assignment(np.array([0, 1])), "forbidden-pair", "row 1"),
    "pair not listed": (SPARSE, FITS, Assignment(np.array([1, 0])), "forbidden-pair", "row 1"),
}

# 1 <= a + 2 b <= 4, 0 <= a <= 3 whole, b <= 1.5
PROGRAM = ProgramInstance(
    cost=np.array([1.0, 1.0]),
    indptr=np.array([0, 2]),
    indices=np.array([0, 1]),
    coefficients=np.array([1.0, 2.0]),
    row_low=np.array([1.0]),
    row_high=np.array([4.0]),
    low=np.array([0.0, -np.inf]),
    high=np.array([3.0, 1.5]),
    integral=np.array([True, False]),
    row_names=("capacity",),
    variable_names=("a", "b"),
)
POINT = ProgramPoint(np.array([1.0, 0.5]))
PROGRAMS = {
    "value missing": (PROGRAM, POINT, ProgramPoint(np.array([1.0])), "variable-count", "2, found 1"),
    "below a bound": (PROGRAM, POINT, ProgramPoint(np.array([-1.0, 1.2])), "variable-low", "variable 0 (a)"),
    "above a bound": (PROGRAM, POINT, ProgramPoint(np.array([0.0, 1.6])), "variable-high", "variable 1 (b)"),
    "not whole": (PROGRAM, POINT, ProgramPoint(np.array([1.0 + 3e-6, 0.5])), "variable-not-whole", "variable 0 (a)"),
    "row too low": (PROGRAM, POINT, ProgramPoint(np.array([1.0, -0.1])), "row-low", "row 0 (capacity)"),
    "row too high": (PROGRAM, POINT, ProgramPoint(np.array([3.0, 0.6])), "row-high", "row 0 (capacity)"),
}

CASES = {**LAYERS, **NETWORKS, **ASSIGNMENTS, **PROGRAMS}


@pytest.mark.parametrize("case", CASES)
def test_corrupted_solution_is_rejected(case: str) -> None:
    """A feasible solution passes; with one thing broken, the report names the rule and the place."""
    instance, good, bad, rule, place = CASES[case]
    assert isinstance(instance, Instance) and isinstance(bad, Solution)
    assert check(instance, good).violations == () and is_feasible(instance, good)
    report = check(instance, bad)
    assert not is_feasible(instance, bad)
    assert not report.feasible
    assert report.objective is None
    named = [violation for violation in report.violations if violation.rule == rule]
    assert named, report.violations
    assert place in named[0].message
    if place.startswith("row"):
        assert named[0].row == int(place.split()[1])


def test_one_broken_rule_hides_no_other() -> None:
    """Of an assignment all broken rules are told, a forbidden column that is taken already twice."""
    cost = np.array([[1.0, 2.0], [1.0, np.inf], [1.0, np.inf]])
    report = check(AssignmentInstance(cost.T.copy()), Assignment(np.array([3, 0])))
    assert [(found.rule, found.row) for found in report.violations] == [("column-range", 0)]
    report = check(AssignmentInstance(np.vstack([cost.T, [[5.0, 5.0, np.inf]]])), Assignment(np.array([-1, 2, 2])))
    assert [(found.rule, found.row) for found in report.violations] == [
        ("column-range", 0), ("forbidden-pair", 1), ("column-used-twice", 2), ("forbidden-pair", 2)
    ]  # fmt: skip


def test_of_a_row_every_broken_wire_is_told() -> None:
    """A cell that is not there does not hide one that listens to two inputs."""
    found = check(layer(), mapping([(99, 0), (0, 0), (0, 1)], ROW1)).violations
    assert {"cell-range", "cell-two-inputs"} <= {violation.rule for violation in found}


def test_a_neuron_that_is_not_there_hides_no_shared_line() -> None:
    """Rows after it are still held against each other."""
    weights = np.ones((3, 3))
    three = LayerInstance(Target.from_dense(np.eye(3)), Hardware(weights, bus=np.zeros(3, np.int64)), Rules())
    bad = LayerMapping(np.array([7, 1, 2]), np.arange(4), np.array([0, 1, 1]), np.arange(3))
    assert {"neuron-range", "line-two-inputs"} <= {violation.rule for violation in check(three, bad).violations}


def test_bounds_of_variables_hold_relative_to_their_size() -> None:
    """1e-6 plus 1e-9 of the bound; an infinite bound allows everything finite."""
    nothing = (np.zeros(1), np.array([0]), np.zeros(0, np.int64), np.zeros(0), np.zeros(0), np.zeros(0))
    bounded = ProgramInstance(*nothing, low=np.array([-1e6]), high=np.array([1e6]))
    free = ProgramInstance(*nothing, low=np.array([-np.inf]), high=np.array([np.inf]))
    for sign in (-1.0, 1.0):
        assert check(bounded, ProgramPoint(np.array([sign * (1e6 + 9e-4)]))).feasible
        assert not check(bounded, ProgramPoint(np.array([sign * (1e6 + 11e-4)]))).feasible
        assert check(free, ProgramPoint(np.array([sign * 1e300]))).feasible


def test_every_rule_is_corrupted() -> None:
    """At least 25 kinds of corruption are tried on layers, and 40 altogether."""
    assert len({case[3] for case in LAYERS.values()}) >= 20
    assert len(LAYERS) >= 25
    assert len(CASES) >= 40


def test_violations_name_their_layer() -> None:
    """A violation inside a network carries the layer's number; outside it carries none."""
    instance, _, bad, _, _ = NETWORKS["broken second layer"]
    assert [violation.layer for violation in check(instance, bad).violations] == [1]
    assert check(layer(), NAN_GAIN).violations[0].layer is None


def test_allowed_things_pass() -> None:
    """What a rule allows is feasible: drops, extra inputs, several cells, a shared line, unused lines."""
    assert check(layer(drop=True), mapping([], [(1, 2)])).feasible
    assert check(layer(extra_inputs=True), mapping([*ROW0, (2, 3)], ROW1)).feasible
    assert check(layer(cells_per_weight=2), mapping([*ROW0, (2, 1)], ROW1)).feasible
    assert check(layer(SHARED), BUSED).feasible
    assert check(layer([0, 1, 0]), mapping([(0, 0), (1, 1)], [(1, 1), (0, 2)])).feasible


def test_one_fault_hides_no_other_and_makes_none() -> None:
    """A connection that there is not, and one that is listed twice; two cells, on a bus that nobody else uses."""
    broken = check(layer(tunable=3), replace(TUNED, tunable=np.array([9, 1, 1]))).violations
    assert [v.rule for v in broken] == ["tunable-range", "tunable-repeated", "connection-unrealised"]
    broken = check(layer(SHARED, drop=True), mapping([(0, 0), (1, 1), (2, 1)], [(3, 2)])).violations
    assert [v.rule for v in broken] == ["too-many-cells"]


def test_all_who_drive_an_input_on_a_bus_are_named() -> None:
    """The last is to blame."""
    shared = LayerInstance(TARGET, Hardware(WEIGHTS, bus=np.zeros(3, int)), Rules(copies=2, drop=True))
    crowded = several((0, 0, [(0, 0), (1, 1)]), (0, 2, [(0, 0), (2, 1)]), (1, 1, [(3, 1)]))
    (broken,) = check(shared, crowded).violations
    assert broken.row == 1 and "input 1 drives 3 lines of bus 0 together with row 0, 0;" in broken.message


def test_tolerances_of_programs() -> None:
    """Rows and bounds hold within 1e-6, plus 1e-9 of the size of a row's terms; no more."""
    assert check(PROGRAM, ProgramPoint(np.array([1.0 - 5e-7, 0.0]))).feasible
    assert check(PROGRAM, ProgramPoint(np.array([3.0 + 5e-7, 0.5]))).feasible
    assert not check(PROGRAM, ProgramPoint(np.array([1.0, -2e-6]))).feasible
    large = ProgramInstance(
        np.zeros(2), np.array([0, 2]), np.array([0, 1]), np.array([1e6, -1e6]), np.zeros(1), np.zeros(1)
    )
    assert check(large, ProgramPoint(np.array([1.0, 1.0 + 1e-9]))).feasible
    assert not check(large, ProgramPoint(np.array([1.0, 1.0 + 5e-9]))).feasible


def test_tolerances_of_programs_are_those_of_their_units() -> None:
    """A row of coefficients in siemens, or a variable in amperes, is judged as one of ohms or volts."""
    siemens = ProgramInstance(
        np.zeros(2), np.array([0, 2]), np.array([0, 1]), np.array([1e-6, 2e-6]), np.array([2e-6]), np.array([3e-6]),
        high=np.array([1.0, 1e-8]),
    )  # fmt: skip
    assert not check(siemens, ProgramPoint(np.array([0.0, 0.0]))).feasible
    assert not check(replace(siemens, row_low=np.zeros(1)), ProgramPoint(np.array([0.0, 2e-8]))).feasible
    assert check(replace(siemens, row_low=np.zeros(1)), ProgramPoint(np.array([1.0 + 5e-7, 1e-8]))).feasible
    current = replace(siemens, row_low=np.array([1e-6]), row_high=np.array([1e-6]))
    assert check(current, ProgramPoint(np.array([1.0 - 1e-7, 1e-8]))).feasible
    assert not check(current, ProgramPoint(np.array([1.0 - 1e-5, 0.0]))).feasible
