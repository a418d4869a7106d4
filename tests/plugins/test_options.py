"""Options of solvers: described from fields, read from text, refused with one sentence."""

from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matchopt import AssignmentInstance, Result, Solver
from matchopt.errors import InvalidOption, UnknownName
from matchopt.options import Option, make_solver, option_values, options_of


@dataclass(frozen=True)
class Many(Solver):
    """A solver with every type of option.

    Parameters
    ----------
    draws : how many to draw,
        at least 1.
    scale, shift : where the costs go.
    mode : fast or exact.

    References
    ----------
    depth : this is no parameter.
    """

    name = "many"
    solves = AssignmentInstance

    draws: int = 10
    scale: float = 1.0
    shift: float | None = None
    mode: Literal["fast", "exact", 3] = "fast"
    deep: bool = False
    label: str = "x"
    depth: int | str = 1
    widths: tuple[int, ...] = (2, 3)

    def __post_init__(self):
        if self.draws < 1:
            raise ValueError(f"draws must be >= 1, found {self.draws}\nsecond line")

    def solve(self, instance, limits, rng):
        return Result(None)


def test_options_are_described_from_fields_and_docstring():
    """Names, types, defaults and texts, in order."""
    assert options_of(Many) == (
        Option("draws", "int", 10, "how many to draw, at least 1."),
        Option("scale", "float", 1.0, "where the costs go."),
        Option("shift", "float or none", None, "where the costs go."),
        Option("mode", "one of fast, exact, 3", "fast", "fast or exact."),
        Option("deep", "bool", False, ""),
        Option("label", "str", "x", ""),
        Option("depth", "int or str", 1, ""),
        Option("widths", "int,int,...", (2, 3), ""),
    )


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("draws", "12", 12),
        ("draws", 12, 12),
        ("scale", "1e-3", 1e-3),
        ("scale", 2, 2.0),
        ("scale", "inf", float("inf")),
        ("shift", "none", None),
        ("shift", None, None),
        ("shift", "0.5", 0.5),
        ("mode", "exact", "exact"),
        ("mode", "3", 3),
        ("deep", "yes", True),
        ("deep", "False", False),
        ("deep", True, True),
        ("label", "none", "none"),
        ("label", "12", "12"),
        ("depth", "7", 7),
        ("depth", "seven", "seven"),
        ("widths", "784, 10", (784, 10)),
        ("widths", [5], (5,)),
        ("widths", (), ()),
    ],
)
def test_values_are_read_by_the_type_of_the_field(name, text, value):
    """Text and values both become the field's type."""
    found = getattr(make_solver(Many, {name: text}), name)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("draws", "1.5"),
        ("draws", "many"),
        ("draws", True),
        ("draws", 1.0),
        ("draws", None),
        ("scale", "nan"),
        ("scale", float("nan")),
        ("scale", "one"),
        ("mode", "slow"),
        ("deep", "maybe"),
        ("deep", 1),
        ("label", 3),
        ("widths", "7,x"),
        ("widths", 7),
    ],
)
def test_a_value_of_the_wrong_type_is_one_sentence(name, value):
    """The sentence names the option, what it takes and what was found."""
    with pytest.raises(InvalidOption, match=f"^option {name} of solver many takes .*, found {value!r}$"):
        make_solver(Many, {name: value})


def test_the_range_is_checked_by_the_solver():
    """Its ValueError becomes one sentence."""
    match = r"^solver many does not take draws=0: draws must be >= 1, found 0$"
    with pytest.raises(InvalidOption, match=match):
        make_solver(Many, {"draws": "0"})


def test_an_unknown_option_lists_the_known_ones():
    """With the nearest name."""
    with pytest.raises(
        UnknownName, match=r"unknown option of solver many 'drawz'; did you mean 'draws' \(known: deep,"
    ):
        make_solver(Many, {"drawz": 1})


@given(
    st.builds(
        Many,
        draws=st.integers(1),
        scale=st.floats(allow_nan=False),
        shift=st.none() | st.floats(allow_nan=False),
        mode=st.sampled_from(["fast", "exact", 3]),
        deep=st.booleans(),
        label=st.text(),
    )
)
def test_text_of_a_value_reads_back_equal(solver):
    """Every value survives being written as text, None as "none"."""
    assert make_solver(Many, {name: str(value) for name, value in option_values(solver).items()}) == solver
