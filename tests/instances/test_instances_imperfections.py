"""Imperfections of a chip: each does what it says, none does nothing, and nonsense is refused."""

from typing import Any

import numpy as np
import pytest

from matchopt.errors import InvalidInstance
from matchopt.instances import Hardware, Imperfections
from matchopt.instances.generators import draw_hardware, draw_weights

WEIGHTS = np.random.default_rng(0).normal(size=(6, 200))


def made(**fields: Any) -> Hardware:
    """The chip that was meant to have WEIGHTS."""
    return Imperfections(**fields).applied(WEIGHTS, np.random.default_rng(1))


def test_a_perfect_chip_has_the_weights_and_nothing_else() -> None:
    """The default is free routing, no noise, no faults, no leaks; its arrays stay out of the content."""
    assert set(made().arrays()) == {"weights"}
    assert np.array_equal(made().weights, WEIGHTS)


def test_each_imperfection_is_what_it_says() -> None:
    """Noise in units of the rms or of each weight, faults at their rates, leaks as shares, neighbours on a bus."""
    rms = np.sqrt(np.mean(WEIGHTS**2))
    assert np.allclose(made(read_noise=0.1, relative_noise=0.2).variance, (0.1 * rms) ** 2 + (0.2 * WEIGHTS) ** 2)
    assert np.array_equal(made(scale_error=-2.0).weights, -2.0 * WEIGHTS)
    assert np.allclose(made(scale_error=2.0, read_noise=0.1).variance, (0.2 * rms) ** 2)
    assert np.allclose(made(leak=0.03).off, 0.03 * WEIGHTS)
    assert made(neurons_per_bus=4).bus.tolist() == [0, 0, 0, 0, 1, 1]
    assert 0.2 < 1 - made(bad_cells=0.3).usable.mean() < 0.4
    stuck = made(bad_cells=0.2, stuck_cells=0.3, leak=0.1)
    fails = stuck.off == WEIGHTS
    assert 0.15 < fails.mean() < 0.35 and not stuck.usable[fails].any() and (~stuck.usable & ~fails).any()
    assert np.allclose(stuck.off[~fails], 0.1 * WEIGHTS[~fails])
    dead = ~made(bad_lines=0.3).usable
    assert np.array_equal(dead.all(axis=0), dead.any(axis=0)) and 0.2 < dead.mean() < 0.4


def test_drawn_hardware_has_them_too() -> None:
    """The law draws the weights, then the chip spoils them."""
    drawn = draw_hardware("binary", 3, 5, np.random.default_rng(2), 0.5, Imperfections(leak=0.1))
    assert np.array_equal(drawn.weights, draw_weights("binary", 3, 5, np.random.default_rng(2), 0.5))
    assert np.allclose(drawn.off, 0.1 * drawn.weights)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"read_noise": -0.1}, "read_noise must be a finite number >= 0, found -0.1"),
        ({"relative_noise": float("nan")}, "relative_noise must be a finite number >= 0, found nan"),
        ({"bad_cells": 1.1}, "bad_cells must be a number >= 0 and <= 1, found 1.1"),
        ({"bad_lines": -1.0}, "bad_lines must be a number"),
        ({"stuck_cells": 2.0}, "stuck_cells must be a number >= 0 and <= 1, found 2.0"),
        ({"leak": float("inf")}, "leak must be a finite number"),
        ({"scale_error": float("nan")}, "scale_error must be a finite number"),
        ({"neurons_per_bus": 0}, "neurons_per_bus must be a whole number >= 1, found 0"),
    ],
)
def test_nonsense_is_refused(fields: dict[str, Any], message: str) -> None:
    """The field and what was found are named."""
    with pytest.raises(InvalidInstance, match=message):
        Imperfections(**fields)
