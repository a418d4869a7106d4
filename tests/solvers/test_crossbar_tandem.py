"""`crossbar-tandem`: deltas are those of a recomputation, and quadratic assignment problems are solved as crossbars."""

import importlib.util
import itertools
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from matchopt_crossbar import Tandem
from matchopt_crossbar.tandem_pairs import improve, made, mapped, start

from matchopt import Hardware, LayerInstance, Limits, OutputError, Target, check
from matchopt.contract import refusal
from matchopt.library import library_folder


def bench() -> ModuleType:
    """The script that makes crossbars of QAPLIB's files."""
    path = Path(__file__).parents[2] / "benches" / "crossbar_qaplib.py"
    spec = importlib.util.spec_from_file_location("crossbar_qaplib", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def square(seed: int, n: int) -> LayerInstance:
    """A sparse square layer with importance by input and noise, so that both terms of the cost are there."""
    rng = np.random.default_rng(seed)
    target = Target.from_dense(rng.normal(size=(n, n)), rng.random((n, n)) < 0.5)
    chip = Hardware(rng.normal(size=(n, n)), variance=rng.random((n, n)), bus=np.zeros(n, int))
    return LayerInstance(target, chip, objective=OutputError(np.diag(rng.random(n))))


@pytest.mark.parametrize("kicks", [False, True])
def test_deltas_are_those_of_a_recomputation(kicks: bool) -> None:
    """After hundreds of swaps each delta is the difference of two values of the layer, and so is the cost."""
    layer = square(0, 9)
    pairs = made(layer, np.random.default_rng(0))
    start(pairs)
    first = layer.value(mapped(layer, pairs.place)) - pairs.cost[0]
    improve(pairs, 300, 20 if kicks else 10**6)
    value = layer.value(mapped(layer, pairs.place))
    assert value - pairs.cost[0] == pytest.approx(first)
    assert layer.value(mapped(layer, pairs.best)) - pairs.cost[1] == pytest.approx(first)
    for r, s in itertools.combinations(range(9), 2):
        other = pairs.place.copy()
        other[[r, s]] = other[[s, r]]
        assert layer.value(mapped(layer, other)) - value == pytest.approx(pairs.delta[r, s], abs=1e-9)


def test_small_layers_are_solved() -> None:
    """The least value of all permutations of six rows and inputs together."""
    for seed in range(5):
        layer = square(seed, 6)
        result = Tandem(iterations=3000).solve(layer, Limits(), np.random.default_rng(seed))
        assert check(layer, result.solution).feasible
        best = min(layer.value(mapped(layer, np.array(each))) for each in itertools.permutations(range(6)))
        assert layer.value(result.solution) == pytest.approx(best)


def test_a_quadratic_assignment_is_a_crossbar() -> None:
    """The error of the layer is the cost of the assignment problem plus a constant, diagonals and all."""
    rng = np.random.default_rng(3)
    first, second = rng.integers(0, 9, (7, 7)).astype(float), rng.integers(0, 9, (7, 7)).astype(float)
    layer, constant = bench().as_crossbar(first, second)
    for _ in range(5):
        place = rng.permutation(7)
        cost = (first * second[np.ix_(place, place)]).sum()
        assert layer.value(mapped(layer, place)) - constant == pytest.approx(cost)


@pytest.mark.skipif(library_folder() is None, reason="MATCHOPT_LIBRARY is not set")
def test_published_problems_are_solved() -> None:
    """Two of QAPLIB's, n = 12, to their optimum within ten seconds of processor time."""
    library, script = library_folder(), bench()
    assert library is not None
    folder = library / "instances"
    for name in ("nug12", "tai12a"):
        line = script.solved(name, folder, script.known_values(folder)[name], 10.0)
        assert line["found"] == line["known"]


def test_other_shapes_are_refused() -> None:
    """Spare neurons, and several buses, have their sentence."""
    wide = LayerInstance(Target.from_dense(np.ones((2, 2))), Hardware(np.ones((3, 2)), bus=np.zeros(3, int)))
    assert "as many rows as inputs" in (refusal(Tandem(), wide) or "")
    two = LayerInstance(Target.from_dense(np.ones((2, 2))), Hardware(np.ones((2, 2))))
    assert "share one bus" in (refusal(Tandem(), two) or "")
