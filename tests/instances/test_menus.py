"""Cells that can be written: what `Hardware` takes, and what it says of the best value to write."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from layers import random_menus

from matchopt import Hardware, InvalidInstance, InvalidSolution, LayerInstance, LayerMapping, Rules, Target
from matchopt.instances.cell_states import best_states, states_of

ONES, NAN = np.ones((1, 2)), np.nan
LEVELS = np.array([[[0.0, 1.0], [2.0, NAN]]])
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "one-end": ({"low": ONES}, "hardware.low and hardware.high must be NaN for the same cells, found one number 1.0"),
    "crossed": ({"low": ONES, "high": -ONES}, "hardware.low must be <= hardware.high, found 1.0 at neuron 0, cell 0"),
    "endless": ({"low": -ONES, "high": ONES * np.inf}, "hardware.high must be finite, or NaN, found inf"),
    "shape": ({"low": np.ones(2), "high": ONES}, "hardware.low must have 2 dimension"),
    "negative": ({"write_variance": -ONES}, "hardware.write_variance must be >= 0, found -1.0 at neuron 0, cell 0"),
    "no-levels": ({"level_variance": LEVELS}, "hardware.level_variance is of hardware.levels, which are not given"),
    "flat": ({"levels": ONES}, "hardware.levels must have 3 dimension"),
    "infinite": ({"levels": LEVELS + np.inf}, "hardware.levels must be finite, or NaN behind the last one"),
    "twice": ({"levels": LEVELS * 0.0}, "hardware.levels of a cell must differ"),
    "both": ({"levels": LEVELS, "low": ONES, "high": ONES}, "hardware.levels and a range are given for one cell"),
    "noise": ({"levels": LEVELS, "level_variance": LEVELS - 1.0}, "hardware.level_variance must be finite and >= 0"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_what_no_cell_can_be_is_refused(case: tuple[dict[str, Any], str]) -> None:
    """The sentence names the field."""
    fields, sentence = case
    with pytest.raises(InvalidInstance, match=sentence.replace("(", r"\(")):
        Hardware(ONES, **fields)


def test_menus_survive_files_and_scale() -> None:
    """Fields at their defaults are left out; a factor scales what is read and written, its square what varies."""
    rng = np.random.default_rng(0)
    chip = Hardware(rng.normal(size=(3, 4)), **random_menus(rng, (3, 4), "range levels fixed"))
    assert chip.programmable and not chip.fixed().programmable
    assert set(Hardware(ONES).arrays()) == set(chip.fixed().arrays()) == {"weights"}
    for name, array in Hardware.from_arrays(chip.arrays()).arrays().items():
        np.testing.assert_array_equal(array, chip.arrays()[name])
    mirrored = chip.scaled(-2.0)
    np.testing.assert_array_equal(mirrored.low, -2.0 * chip.high)
    np.testing.assert_array_equal(mirrored.level_variance, 4.0 * chip.level_variance)
    back = mirrored.scaled(-0.5).arrays()
    assert all(np.array_equal(back[name], array, equal_nan=True) for name, array in chip.arrays().items())


@pytest.mark.parametrize("seed", range(20))
def test_the_best_state_is_the_best_of_all(seed: int) -> None:
    """No level, no value of a fine grid of the range, and not leaving the cell alone costs less."""
    rng = np.random.default_rng(seed)
    chip = Hardware(rng.normal(size=(1, 3)), rng.random((1, 3)) / 5, **random_menus(rng, (1, 3), "range levels fixed"))
    gain, price, factor = rng.choice([-1.0, 0.5, 1.0, 0.0]), 0.1 * rng.random(), rng.random()
    for k in range(3):
        weight = rng.normal()
        cost, written = best_states(
            chip, np.array([0]), np.array([k]), np.array([weight]), factor=factor, gain=gain, price=price
        )
        tried = [NAN, *chip.levels[0, k][~np.isnan(chip.levels[0, k])]]
        if not np.isnan(chip.low[0, k]):
            tried += np.linspace(chip.low[0, k], chip.high[0, k], 1001).tolist()
        value, variance = (
            part.ravel() for part in states_of(chip, np.zeros(len(tried), int), np.full(len(tried), k), np.array(tried))
        )
        costs = factor * ((weight - gain * value) ** 2 + gain**2 * variance) + price * ~np.isnan(tried)
        assert cost[0] <= costs.min() + 1e-12
        own = states_of(chip, np.array([0]), np.array([k]), written)
        paid = factor * ((weight - gain * own[0]) ** 2 + gain**2 * own[1]) + price * ~np.isnan(written)
        assert paid == pytest.approx(cost)


def test_a_mapping_says_what_is_written() -> None:
    """Realised weight and noise follow; a mapping that writes nothing is the one without the field."""
    chip = Hardware(ONES * 3.0, ONES, levels=LEVELS, level_variance=LEVELS / 4.0)
    layer = LayerInstance(Target.from_dense(np.array([[1.0, 2.5]])), chip, Rules(writes=1))
    plain = LayerMapping.from_cells(layer.target, np.zeros(1, int), np.array([0, 1]))
    found = replace(plain, written=np.array([NAN, 2.0]), gain=np.array([2.0]))
    np.testing.assert_array_equal(layer.realised(found), [[6.0, 4.0]])
    np.testing.assert_array_equal(layer.noise(found), [[4.0, 2.0]])
    assert layer.value(found) == 25.0 + 1.5**2 + 4.0 + 2.0
    assert replace(plain, written=np.full(2, NAN)).digest == plain.digest
    again = LayerMapping.from_parts(found.parts())
    assert again.digest == found.digest
    with pytest.raises(InvalidSolution, match="written must have shape"):
        replace(plain, written=np.ones(3))
