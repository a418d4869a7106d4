"""Planted targets: their optimum is what they say, under every rule, and recipes are what they were."""

import pytest

from matchopt import Provenance, check
from matchopt.errors import FormatError, InvalidInstance
from matchopt.formats.recipes import recipe_from
from matchopt.instances.planted import planted
from matchopt.testing import brute_force

SMALL = "rows=2 inputs=3 fan_in=2 neurons=3 cells=3"
RULES = {
    "free": "",
    "drop": "drop=true faults=0.3",
    "noise": "noise=0.05",
    "tunable": "tunable=2",
    "buses": "neurons=4 bus=2",
    "crossbar": "bus=0",
    "crossbar, faults": "bus=0 faults=0.2 neurons=4",
    "sums": "cells_per_weight=2",
    "sums on a bus": "bus=0 cells=4 cells_per_weight=2",
    "hard-wired": "wired=2 cells=0 cells_per_weight=2",
    "split": "neurons=4 cells=2 neurons_per_row=2",
    "copies": "neurons=4 copies=2",
    "chain": "rows=2 inputs=2 fan_in=2 neurons=2 cells=2 bus=0 chain=2",
}


def text(law: str, more: str) -> str:
    """A small recipe with some numbers changed."""
    numbers = dict(word.split("=") for word in f"{SMALL} {more}".split())
    return " ".join([f"planted law={law}", *(f"{name}={value}" for name, value in numbers.items())])


@pytest.mark.parametrize("law", ["exact", "noisy"])
@pytest.mark.parametrize("rules", RULES)
def test_the_planted_optimum_is_that_of_enumeration(rules: str, law: str) -> None:
    """The sub-wiring costs what is said, and no mapping costs less."""
    made = planted(recipe_from(text(law, f"{RULES[rules]} seed=3")), Provenance())
    assert made.solution is not None and made.optimum is not None
    report = check(made.instance, made.solution)
    assert report.feasible and report.objective == made.optimum
    assert brute_force(made.instance).value == pytest.approx(made.optimum, abs=1e-12)
    assert law == "exact" or made.optimum > 0.0


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [
        (text("noisy", "widest_gain=2"), "no optimum is planted with gains"),
        (text("exact", "bus=0 neurons_per_row=2 neurons=4"), "wired freely"),
        (text("exact", "cells=1"), "2 cells of each neuron are needed, found 1"),
        (text("exact", "bus=0 chain=2"), "one size"),
        (text("exact", "rows=9"), "more rows than neurons"),
        ("drawn rows=2", "reads planted name=value"),
        ("", "reads planted name=value"),
        (text("exact", "rows=two"), "rows must be a whole number >= 1"),
        (text("wild", ""), "law must be one of exact, noisy, random"),
    ],
)
def test_numbers_that_make_nothing_are_refused(recipe: str, reason: str) -> None:
    """In one sentence that names them."""
    with pytest.raises((InvalidInstance, FormatError), match=reason):
        recipe_from(recipe)
