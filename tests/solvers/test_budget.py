"""`lagrangian` and its layer form: against enumeration and engines, within the budgets, with bounds that hold."""

from dataclasses import replace

import numpy as np
import pytest
from matchopt_budget import Lagrangian, LagrangianLayer
from matchopt_cpsat import CpSat
from matchopt_milp import Milp

from matchopt import (
    Gains,
    Hardware,
    LayerInstance,
    Limits,
    NetworkInstance,
    OutputError,
    ProgramInstance,
    Refused,
    Result,
    Rules,
    Status,
    Target,
    WeightError,
    certify,
    check,
)
from matchopt.reduce import reduction
from matchopt.testing import brute_force


def budgeted(seed: int) -> NetworkInstance:
    """Two layers of two rows; noise, faults, gains, drops, importances and ties are drawn, and the budgets."""
    rng = np.random.default_rng(seed)
    drop, layers = bool(rng.random() < 0.4), []
    for inputs, most in ((int(rng.integers(2, 4)), 4), (2, 3)):
        shape = 2 + int(rng.integers(0, 2)), int(rng.integers(1, 4))
        size = (2, inputs)
        weights = rng.integers(-2, 3, size) * 1.0 if rng.random() < 0.3 else rng.normal(size=size)
        importance = rng.choice([1.0, 1.0, 2.0, 0.0], size) if rng.random() < 0.5 else None
        target = Target.from_dense(weights, rng.random(size) < 0.7, importance)
        noise = rng.random(shape) * 0.3 if rng.random() < 0.4 else None
        chip = Hardware(rng.normal(size=shape), noise, rng.random(shape) < 0.85 if rng.random() < 0.4 else None)
        objective = OutputError(np.diag(rng.random(inputs))) if rng.random() < 0.3 else WeightError()
        gains = Gains() if rng.random() < 0.6 else Gains.finite(-0.5, 1.0)
        rules = Rules(drop=drop, gains=gains, tunable=int(rng.integers(0, most)))
        layers.append(LayerInstance(target, chip, rules, objective))
    total = int(rng.integers(0, 4)) if rng.random() < 0.8 else None
    return NetworkInstance(tuple(layers), (np.zeros(2), np.zeros(2)), tunable=total)


def solved(instance: NetworkInstance | LayerInstance) -> Result:
    """The result of the form for this kind."""
    solver = Lagrangian() if isinstance(instance, NetworkInstance) else LagrangianLayer()
    return solver.solve(instance, Limits(), np.random.default_rng(0))


def judged(instance: NetworkInstance | LayerInstance) -> tuple[float | None, float]:
    """The optimum by enumeration and the value found, all claims and the certificate held against the optimum."""
    best, result = brute_force(instance).value, solved(instance)
    if best is None:
        assert result.status is Status.INFEASIBLE
        return None, np.inf
    assert result.solution is not None
    report = check(instance, result.solution)
    assert report.feasible and report.objective is not None, report.violations
    tiny = 1e-9 * (1.0 + best)
    assert result.bound <= best + tiny and report.objective >= best - tiny
    assert result.status is Status.FEASIBLE or report.objective <= best + tiny
    proof = certify(instance, result.solution)
    assert proof.bound <= best + tiny and not proof.improvable
    assert not proof.optimal or report.objective <= best + 1e-6
    assert proof.bound >= result.bound - 0.2 * best - tiny, "a price found without help is a good one too"
    return best, report.objective


@pytest.mark.parametrize("first", [0, pytest.param(30, marks=[pytest.mark.slow, pytest.mark.long])])
def test_networks_agree_with_enumeration(first: int) -> None:
    """30 networks, 200 in the long run: bounds hold, what is claimed is true, and nearly all optima are found."""
    seeds = range(first, 30 if first == 0 else 200)
    found = [judged(budgeted(seed)) for seed in seeds]
    optima = [(best, value) for best, value in found if best is not None]
    assert len(optima) > len(found) / 2
    assert np.mean([value <= best + 1e-9 for best, value in optima]) >= 0.95


def test_layers_agree_with_enumeration() -> None:
    """The same for single layers and their own budgets."""
    for seed in range(30):
        judged(budgeted(seed).layers[0])


@pytest.mark.slow
@pytest.mark.long
def test_engines_agree() -> None:
    """On 200 networks CP-SAT and MILP find what `lagrangian` cannot beat and does not miss by more than its bound."""
    for seed in range(200):
        network, results = budgeted(seed), []
        way = reduction(network, ProgramInstance)
        for engine in (CpSat(), Milp()):
            parts = [engine.solve(part, Limits(60), np.random.default_rng(0)) for part in way.parts]
            if any(part.status is Status.INFEASIBLE for part in parts):
                results.append(np.inf)
                continue
            assert all(part.status is Status.OPTIMAL or part.bound < 1e-9 for part in parts), seed  # or next to nothing
            results.append(network.value(way.lift([part.solution for part in parts])))  # type: ignore[arg-type, misc]
        assert results[0] == pytest.approx(results[1], rel=1e-6, abs=1e-9), seed
        result = solved(network)
        if np.isinf(results[0]):
            assert result.status is Status.INFEASIBLE, seed
        else:
            tiny = 1e-6 * results[0] + 1e-9
            assert result.bound - tiny <= results[0] <= network.value(result.solution) + tiny, seed  # type: ignore[arg-type]


def sparse_network(share: float) -> NetworkInstance:
    """100-40-20 rows of eight connections on as many cells."""
    rng, layers = np.random.default_rng(0), []
    for inputs, rows in ((100, 40), (40, 20)):
        mask = np.argsort(rng.random((rows, inputs)), axis=1) < 8
        target = Target.from_dense(rng.laplace(size=mask.shape), mask)
        layers.append(LayerInstance(target, Hardware(rng.normal(size=(rows, 8))), Rules(tunable=target.n_connections)))
    return NetworkInstance(tuple(layers), (np.zeros(40), np.zeros(20)), tunable=round(share * 480))


@pytest.mark.parametrize("share", [0.01, 0.1])
def test_close_to_its_bound(share: float) -> None:
    """Within 0.5 % of its own bound and of the certificate's, all of the budget used."""
    network = sparse_network(share)
    result = solved(network)
    value = network.value(result.solution)  # type: ignore[arg-type]
    assert value <= 1.005 * result.bound
    assert value <= 1.005 * certify(network, result.solution).bound  # type: ignore[arg-type]
    assert sum(len(part.tunable) for part in result.solution.layers) == network.tunable  # type: ignore[union-attr]


def test_layers_keep_their_own_budgets() -> None:
    """A layer that may have few of the network's tunable weights gets no more, and the others get the rest."""
    network = sparse_network(0.1)
    first, second = network.layers
    capped = replace(network, layers=(replace(first, rules=Rules(tunable=5)), second))
    result = solved(capped)
    assert [len(part.tunable) for part in result.solution.layers] == [5, 43]  # type: ignore[union-attr]
    assert capped.value(result.solution) <= 1.005 * result.bound  # type: ignore[arg-type]


def test_a_mapping_beyond_the_budget_has_no_certificate() -> None:
    """Nor one that wires a connection that is tunable."""
    network = sparse_network(0.1)
    solution = solved(network).solution
    first = network.layers[0]
    poorer = replace(network, layers=(replace(first, rules=Rules(tunable=1)), network.layers[1]))
    with pytest.raises(Refused, match="not feasible"):
        certify(poorer, solution)  # type: ignore[arg-type]


def test_what_is_refused() -> None:
    """Gains in an interval, shared lines and correlated inputs are no matter of one price."""
    assert not {"gain-interval", "shared-bus", "several-cells", "correlated-inputs"} & Lagrangian.understands
