"""Certificates of networks: layers on one chip as one layer or one by one, potentials, and what is claimed of them."""

import importlib
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from matchopt import (
    Assignment,
    AssignmentInstance,
    Gains,
    Hardware,
    LayerInstance,
    LayerMapping,
    NetworkInstance,
    NetworkMapping,
    OutputError,
    ProgramInstance,
    ProgramPoint,
    Rules,
    Target,
)
from matchopt.errors import Refused
from matchopt.proofs import budget, certify, effort, proof_file
from matchopt.proofs.certificate import Certificate, Duals
from matchopt.proofs.effort import Effort
from matchopt.proofs.inner import exact_costs
from matchopt.proofs.proof_file import proof_of
from matchopt.proofs.separable import separable
from matchopt.testing.brute import brute_force

certifying = importlib.import_module("matchopt.proofs.certify")
TURNED = np.array([2, 0, 3, 1])


def _turned(chip: Hardware) -> Hardware:
    parts = {name: getattr(chip, name)[TURNED] for name in ("weights", "variance", "usable", "bus")}
    return Hardware(**parts, neuron=TURNED)


def _spoilt(field: str) -> Callable[[Hardware], Hardware]:
    def spoil(chip: Hardware) -> Hardware:
        values = getattr(chip, field).copy()
        values[1, 0] = not values[1, 0] if field == "usable" else values[1, 0] * 1.001
        return replace(chip, **{field: values})

    return spoil


def same(chip: Hardware) -> Hardware:
    """Of the first layer."""
    return chip


# What the second layer is offered, under which rules and objective, and whether all rows are one layer's then.
OFFERED: dict[str, tuple[Callable[[Hardware], Hardware], dict[str, Any], bool]] = {
    "the same": (same, {}, True),
    "scaled": (lambda chip: chip.scaled(0.3), {}, True),
    "in another order": (lambda chip: _turned(chip.scaled(2.0)), {}, True),
    "a diagonal objective": (same, {"objective": OutputError(np.diag([0.5, 2.0]))}, True),
    "mirrored": (lambda chip: chip.scaled(-1.0), {}, False),
    "nothing": (lambda chip: chip.scaled(0.0), {}, False),
    "other weights": (_spoilt("weights"), {}, False),
    "other noise": (_spoilt("variance"), {}, False),
    "other faults": (_spoilt("usable"), {}, False),
    "other rules": (same, {"rules": Rules(drop=True)}, False),
    "other gains": (same, {"rules": Rules(gains=Gains.finite(0.5, 1.0))}, False),
    "correlated inputs": (same, {"objective": OutputError(np.array([[1.0, 0.5], [0.5, 2.0]]))}, False),
}


@pytest.mark.parametrize("shared", [False, True], ids=["free", "shared"])
@pytest.mark.parametrize("name", OFFERED)
def test_layers_on_one_chip_are_one_layer_where_they_can_be(name: str, shared: bool) -> None:
    """Bounds are bounds either way; as one layer rows on free lines are proved, by potentials that fit every layer."""
    offered, fields, as_one = OFFERED[name]
    rng = np.random.default_rng(8)
    bus = np.zeros(4, int) if shared else None
    chip = Hardware(rng.normal(size=(4, 4)), rng.random((4, 4)) / 9, rng.random((4, 4)) < 0.9, bus=bus)
    targets = [Target.from_dense(rng.normal(size=shape)) for shape in ((2, 2), (1, 2))]
    layers = (LayerInstance(targets[0], chip), LayerInstance(targets[1], offered(chip), **fields))
    network = NetworkInstance(layers, (np.zeros(2), np.zeros(1)), one_chip=True)
    best = brute_force(network)
    assert best.value is not None and isinstance(best.solution, NetworkMapping)
    if name == "correlated inputs":
        with pytest.raises(Refused, match=r"correlated-inputs"):
            certify(network, best.solution)
        return
    found = certify(network, best.solution)
    assert found.bound <= best.value * (1 + 1e-9) and (found.method != "sum of layers") == as_one
    if not as_one or shared:
        assert not found.duals and not found.improvable
        with pytest.raises(Refused, match="does not understand one-chip"):
            proof_of(network, best.solution)
        return
    assert found.optimal and found.bound == pytest.approx(best.value)
    prices = dict(zip(layers[0].hardware.neuron.tolist(), found.duals[0].columns.tolist(), strict=True))
    for layer, duals in zip(layers, found.duals, strict=True):
        rows, neurons = (index.ravel() for index in np.indices((layer.n_rows, 4)))
        costs = exact_costs(separable(layer), rows, neurons).reshape(-1, 4)
        assert (duals.rows[:, None] + duals.columns <= costs + 1e-12).all()
        assert duals.columns.tolist() == [prices[number] for number in layer.hardware.neuron.tolist()]
    total = sum(duals.rows.sum() for duals in found.duals) + sum(prices.values())
    assert total == pytest.approx(best.value)


def test_potentials_come_layer_by_layer() -> None:
    """Of layers that share tunable weights and of others, in the order of the layers, and the bounds add up."""
    rng, rows = np.random.default_rng(9), (1, 2, 3)
    layers = [
        LayerInstance(
            Target.from_dense(rng.normal(size=(n, 3))), Hardware(rng.normal(size=(n + 1, 4))), Rules(tunable=n % 2)
        )
        for n in rows
    ]
    biases = tuple(np.zeros(n) for n in rows)
    layers[1:] = [replace(layer, target=Target.from_dense(rng.normal(size=(n, n - 1))))
                  for n, layer in zip(rows[1:], layers[1:], strict=True)]  # fmt: skip
    for total in (0, 1, 2, None):
        network = NetworkInstance(tuple(layers), biases, tunable=total)
        best = brute_force(network)
        assert best.value is not None and isinstance(best.solution, NetworkMapping)
        found = certify(network, best.solution)
        assert [len(duals.rows) for duals in found.duals] == [1, 2, 3]
        assert [len(duals.columns) for duals in found.duals] == [2, 3, 4]
        assert 0.5 * best.value < found.bound <= best.value * (1 + 1e-9)
        written = proof_of(network, best.solution).head
        assert written["bound"] <= best.value and written["bound"] == pytest.approx(found.bound, rel=1e-9)
        prices = [duals.price for duals in found.duals]
        assert prices[1] == 0.0 and (total != 0 or not any(prices)) and (total != 1 or prices[0] > 0.0)
    with pytest.raises(Refused, match="not feasible"):
        certify(network, NetworkMapping(best.solution.layers[:2]))


def test_potentials_are_split_by_groups_of_rows() -> None:
    """Three groups, each with the columns that it chooses, at one price."""
    duals = Duals(np.arange(6.0), np.array([-1.0, -2.0, -3.0]), 0.5)
    found = duals.split([1, 3, 2], [np.array([2]), np.array([0, 1]), np.array([1, 0, 2])])
    assert [part.rows.tolist() for part in found] == [[0.0], [1.0, 2.0, 3.0], [4.0, 5.0]]
    assert [part.columns.tolist() for part in found] == [[-3.0], [-1.0, -2.0], [-2.0, -1.0, -3.0]]
    assert {part.price for part in found} == {0.5}


def test_what_betters_a_layer_betters_the_network_only_where_layers_are_alone() -> None:
    """On one chip, and where a layer's lines are the neurons before it, the better mapping may not be one."""
    rng = np.random.default_rng(10)
    chips = Hardware(rng.normal(size=(4, 4))), Hardware(rng.normal(size=(4, 4)), neuron=np.arange(4))
    layers = tuple(LayerInstance(Target.from_dense(rng.normal(size=(2, 2))), chip) for chip in chips)
    network = NetworkInstance(layers, (np.zeros(2), np.zeros(2)))
    shared = replace(network, one_chip=True)
    best = brute_force(shared).solution
    assert isinstance(best, NetworkMapping)
    apart = certify(network, best)
    worse = replace(best, layers=tuple(replace(part, cell=part.cell[::-1].copy()) for part in best.layers))
    assert certify(network, worse).improvable and certify(network, worse).duals
    found = certify(shared, worse)
    assert (found.improvable, found.optimal, found.duals) == (False, False, ())
    assert found.bound == pytest.approx(apart.bound)


@pytest.mark.parametrize(
    ("objective", "bound", "allowance", "optimal"),
    [
        (4, 4 - 3.9e-6, 1.0, True), (4, 4 - 4.1e-6, 1.0, False), (-4, -4 - 3.9e-6, 1.0, True),
        (0, -0.9e-12, 1.0, True), (0, -1.1e-12, 1.0, False), (4, 3, 0.0, True),
    ],
)  # fmt: skip
def test_no_allowance_makes_an_optimum_of_what_is_not_close(
    objective: int, bound: float, allowance: float, optimal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a millionth, or next to nothing; what needs no allowance needs no such look."""
    given = Certificate(bound, True, False, allowance, "made up")
    monkeypatch.setattr(certifying, "certify_assignment", lambda *_: given)
    instance = AssignmentInstance([[objective]])
    assert certify(instance, Assignment([0])) == replace(given, optimal=optimal)


def test_kinds_that_do_not_fit_are_refused_by_name() -> None:
    """A solution of another kind; an instance that no proof is about."""
    layer = LayerInstance(Target.from_dense(np.eye(2)), Hardware(np.ones((2, 2))))
    with pytest.raises(Refused, match="the solution is of kind assignment, its instance of kind layer"):
        certify(layer, Assignment([0, 1]))
    program = ProgramInstance(np.zeros(1), np.array([0]), [], [], [], [], np.ones(1), np.zeros(1))
    with pytest.raises(Refused, match="no independent proof of a bound on program instances"):
        certify(program, ProgramPoint(np.zeros(1)))


def test_what_a_large_proof_runs_is_loaded_while_the_solver_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, by the first layer that is large or shares lines; nothing for small ones."""
    loaded: list[str] = []

    def thread(target: Any, args: tuple[str]) -> Any:
        assert target is importlib.import_module
        return SimpleNamespace(start=lambda: loaded.extend(args))

    monkeypatch.setattr(certifying.threading, "Thread", thread)
    target, cells = Target.from_dense(np.ones((2, 2))), np.ones((3, 2))
    small, shared = LayerInstance(target, Hardware(cells)), LayerInstance(target, Hardware(cells, bus=np.zeros(3, int)))
    for large, layers, wanted in (
        (13, [small], []),
        (12, [small], ["matchopt.proofs.loops"]),
        (13, [shared], ["matchopt.proofs.crossbar_loops"]),
        (12, [small, shared], ["matchopt.proofs.loops"]),
        (13, [small, shared], ["matchopt.proofs.crossbar_loops"]),
    ):
        monkeypatch.setattr(certifying, "LARGE", large)
        loaded.clear()
        network = NetworkInstance(tuple(layers), tuple(np.zeros(2) for _ in layers))
        certifying.prepare(layers[0] if len(layers) == 1 and large == 12 else network)
        assert loaded == wanted
    certifying.prepare(AssignmentInstance([[1]]))
    assert loaded == wanted


def test_layers_share_the_work_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may take an equal share of what those before it left, also where layers share a budget."""
    shares: list[float] = []
    spent = iter([2.0, 4.0, 6.0])

    def prove(*given: Any) -> Certificate:
        own = next(one for each in given for one in (each, getattr(each, "effort", None)) if isinstance(one, Effort))
        shares.append(own.steps)
        own.spend(next(spent))
        return Certificate(0.0, True, False, 0.0, "made up", (Duals(np.zeros(2), np.zeros(2)),))

    layer = LayerInstance(Target.from_dense(np.eye(2)), Hardware(np.ones((2, 2))))
    network = NetworkInstance((layer,) * 3, (np.zeros(2),) * 3)
    mapping = LayerMapping.from_cells(layer.target, np.arange(2), np.array([0, 1]))
    monkeypatch.setattr(effort, "STEPS", 30.0)
    monkeypatch.setattr(certifying, "_certify_layer", prove)
    assert certify(network, NetworkMapping((mapping,) * 3)).optimal
    assert shares == [10.0, 14.0, 24.0]
    monkeypatch.setattr(budget, "certify_pairs", prove)
    monkeypatch.setattr(budget, "Table", SimpleNamespace(of=lambda _, effort: SimpleNamespace(effort=effort)))
    rows = [budget._Rows.of(layer, mapping, Effort()) for _ in range(3)]
    shares.clear()
    spent = iter([2.0, 4.0, 6.0])
    budget._at(rows, [0.0] * 3, 0.0, 0.0, [0.0] * 3, Effort(steps=30.0))
    assert shares == [10.0, 14.0, 24.0]


def test_potentials_that_prove_too_little_are_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """An optimum whose written bound is too far below it has no file."""
    instance, best = AssignmentInstance([[0.5, 1.5], [2.5, 0.25]]), Assignment([0, 1])
    found = certify(instance, best)
    assert proof_of(instance, best).head["bound"] == pytest.approx(0.75)
    (duals,) = found.duals
    low = replace(found, duals=(Duals(duals.rows - 1.0, duals.columns),))
    monkeypatch.setattr(proof_file, "certify", lambda *_, **__: low)
    with pytest.raises(Refused, match="too far below"):
        proof_of(instance, best)
