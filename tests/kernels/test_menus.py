"""`matchopt.kernels` on cells that can be written: pairs against SciPy's assignments, wiring against its cost."""

from dataclasses import replace

import numpy as np
import pytest
from layers import random_menus
from scipy.optimize import linear_sum_assignment

from matchopt import Gains, Hardware, Refused, Target
from matchopt.instances.cell_states import best_states
from matchopt.kernels import match_rows, pair_costs


def layer(rng: np.random.Generator, m: int, n: int, neurons: int, cells: int) -> tuple[Target, Hardware]:
    support, shape = rng.random((m, n)) < 0.7, (neurons, cells)
    importance = rng.uniform(0.0, 3.0, (m, n)) if rng.random() < 0.5 else None
    target = Target.from_dense(rng.normal(size=(m, n)), support, importance)
    noise, usable = (rng.random(shape) / 5 if rng.random() < 0.5 else None), rng.random(shape) < 0.8
    return target, Hardware(rng.normal(size=shape), noise, usable, **random_menus(rng, shape, "range levels fixed"))


def by_scipy(target: Target, chip: Hardware, i: int, j: int, gains: Gains, drop: bool, price: float) -> float:
    part, best = target.row(i), np.inf
    weights, factor = target.weights[part], target.importance[part]
    for gain in gains.values or ():
        table, _ = best_states(
            chip, np.full((1, 1), j), np.arange(chip.n_cells)[None], weights[:, None],
            factor=factor[:, None], gain=gain, price=price,
        )  # fmt: skip
        if drop:
            table = np.hstack([table, np.tile((factor * weights**2)[:, None], len(weights))])
        if len(weights) <= table.shape[1]:
            try:
                best = min(best, table[linear_sum_assignment(table)].sum())
            except ValueError:  # a weight too many
                continue
    return best


@pytest.mark.parametrize("seed", range(40))
def test_pairs_and_wiring(seed: int) -> None:
    """Costs of all pairs are SciPy's; the wiring of a row costs what its pair does, and pays for every write."""
    rng = np.random.default_rng(seed)
    target, chip = layer(rng, 3, int(rng.integers(1, 9)), 4, int(rng.integers(3, 12)))
    gains = Gains.finite(*rng.choice([-1.0, 0.5, 1.0, 0.0], int(rng.integers(1, 3)), replace=False))
    drop, price = bool(rng.random() < 0.5), float(rng.choice([0.0, 0.05, 0.5]))
    costs = pair_costs(target, chip, gains=gains, drop=drop, threads=1, write_price=price)
    wanted = [[by_scipy(target, chip, i, j, gains, drop, price) for j in range(4)] for i in range(3)]
    np.testing.assert_allclose(costs, wanted, rtol=1e-9, atol=1e-12)
    fits = np.isfinite(costs).all(axis=0)
    if not fits.any():
        return
    j = int(np.argmax(fits))
    found = match_rows(target, chip, np.full(3, j), gains=gains, drop=drop, write_price=price)
    np.testing.assert_allclose(found.cost, costs[:, j], rtol=1e-9, atol=1e-12)
    assert found.written is not None
    wired = found.cell_of >= 0
    again, written = best_states(
        chip, np.full(wired.sum(), j), found.cell_of[wired], target.weights[wired],
        factor=target.importance[wired], gain=found.gain[target.row_of[wired]], price=price,
    )  # fmt: skip
    np.testing.assert_array_equal(found.written[wired], written)
    lost = (target.importance * target.weights**2)[~wired]
    assert again.sum() + lost.sum() == pytest.approx(found.cost.sum(), rel=1e-9, abs=1e-12)


def test_gains_of_an_interval_are_refused() -> None:
    """The best value to write depends on the gain, and the best gain on what is written."""
    target, chip = layer(np.random.default_rng(0), 1, 2, 1, 9)
    for call in (pair_costs, lambda *parts, **rules: match_rows(*parts, np.zeros(1, int), **rules)):
        with pytest.raises(Refused, match="gains of an interval"):
            call(target, chip, gains=Gains.interval(0.5, 2.0), drop=True)


def test_cells_with_nothing_to_write_are_as_fixed_ones() -> None:
    """A chip with one programmable cell, which is not usable, costs what the fixed one does."""
    target, chip = layer(np.random.default_rng(3), 3, 5, 4, 9)
    low = np.full((4, 9), np.nan)
    low[0, 0] = 0.0
    usable = np.array(chip.usable)
    usable[0, 0] = False
    one = replace(chip.fixed(), usable=usable, low=low, high=low)
    rules = {"gains": Gains(), "drop": True, "threads": 1}
    np.testing.assert_allclose(pair_costs(target, one, **rules), pair_costs(target, one.fixed(), **rules))
