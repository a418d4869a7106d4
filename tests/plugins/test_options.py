"""Options of solvers: described from fields, read from text, checked however made, refused with one sentence."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import pytest
from annotated_types import Ge, Gt, Interval, Le, Len
from hypothesis import given
from hypothesis import strategies as st

from matchopt import AssignmentInstance, Result, Solver
from matchopt.errors import InvalidOption, PluginError, UnknownName
from matchopt.settings import Option, make, option_values, options_of


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
        Option("draws", "int", "", 10, "how many to draw, at least 1."),
        Option("scale", "float", "", 1.0, "where the costs go."),
        Option("shift", "float or none", "", None, "where the costs go."),
        Option("mode", "one of fast, exact, 3", "", "fast", "fast or exact."),
        Option("deep", "bool", "", False, ""),
        Option("label", "str", "", "x", ""),
        Option("depth", "int or str", "", 1, ""),
        Option("widths", "int,int,...", "", (2, 3), ""),
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
    found = getattr(make(Many, {name: text}), name)
    assert found == value and type(found) is type(value)


WRONG = [
    ("draws", "1.5", "a whole number, found 1.5"),
    ("draws", "many", "a whole number, found 'many'"),
    ("draws", True, "a whole number, found True"),
    ("draws", 1.0, "a whole number, found 1.0"),
    ("draws", None, "a whole number, found None"),
    ("draws", "1" * 5000, f"a whole number, found {'1' * 40}...{'1' * 17}"),
    ("scale", "nan", "a number, found nan"),
    ("scale", float("nan"), "a number, found nan"),
    ("scale", "1e400", "a number, found 1e400"),
    ("scale", 10**400, f"a number, found 1{'0' * 39}...{'0' * 17}"),
    ("scale", 10**5000, "a number, found a whole number of thousands of digits"),
    ("shift", 10**5000, "a number or none, found a whole number of thousands of digits"),
    ("scale", "one", "a number, found 'one'"),
    ("mode", "slow", "one of fast, exact, 3, found 'slow'"),
    ("mode", True, "one of fast, exact, 3, found True"),
    ("deep", "maybe", "true or false, found 'maybe'"),
    ("deep", 1, "true or false, found 1"),
    ("label", 3, "text, found 3"),
    ("widths", 7, "a list of whole numbers, found 7"),
]
FROM_PYTHON = [row for row in WRONG if not isinstance(row[1], str)]


@pytest.mark.parametrize(("name", "value", "words"), WRONG, ids=[words[:40] for _, _, words in WRONG])
def test_a_value_of_the_wrong_type_is_one_sentence(name, value, words):
    """The sentence names the solver, the option, what it takes and what was found."""
    with pytest.raises(InvalidOption, match=f"^solver many: {name} must be {re.escape(words)}$"):
        make(Many, {name: value})


@pytest.mark.parametrize(("name", "value", "words"), FROM_PYTHON, ids=[words[:40] for _, _, words in FROM_PYTHON])
def test_values_from_python_are_checked_the_same(name, value, words):
    """Though the class has a `__post_init__` of its own that calls no other."""
    with pytest.raises(InvalidOption, match=f"^solver many: {name} must be {re.escape(words)}$"):
        Many(**{name: value})


def test_text_is_no_number_from_python():
    """Only what comes as words is read as words."""
    with pytest.raises(InvalidOption, match=r"^solver many: draws must be a whole number, found '12'$"):
        Many(draws="12")


def test_a_wrong_item_is_named():
    """By its place in the list."""
    with pytest.raises(InvalidOption, match=r"^solver many: widths\.1 must be a whole number, found 'x'$"):
        make(Many, {"widths": "7,x"})


def test_the_range_is_checked_by_the_solver():
    """Its ValueError becomes one sentence."""
    match = r"^solver many does not take draws=0: draws must be >= 1, found 0$"
    with pytest.raises(InvalidOption, match=match):
        make(Many, {"draws": "0"})


def test_an_unknown_option_lists_the_known_ones():
    """With the nearest name."""
    with pytest.raises(
        UnknownName, match=r"unknown option of solver many 'drawz'; did you mean 'draws' \(known: deep,"
    ):
        make(Many, {"drawz": 1})


@dataclass(frozen=True)
class Careless(Solver):
    """A solver with a field that lacks its annotation, and a check that fails by mistake."""

    name = "careless"
    solves = AssignmentInstance

    draws = 10
    count: int = np.int64(3)
    fast: bool = np.True_

    def __post_init__(self):
        if not self.fast:
            {}["slow"]

    def solve(self, instance, limits, rng):
        return Result(None)


def test_a_field_without_annotation_is_told_to_its_author():
    """What to write instead; attributes of the contract are options neither way."""
    with pytest.raises(InvalidOption, match=r"draws is no option, as it has no annotation; write draws: int = 10$"):
        make(Careless, {"draws": 3})
    with pytest.raises(UnknownName, match="'role'"):
        make(Careless, {"role": "exact"})


def test_a_mistake_in_a_solvers_own_check_is_one_sentence():
    """Whatever it raises; with its name."""
    with pytest.raises(PluginError, match=r"^solver careless cannot be made: KeyError: 'slow'$"):
        make(Careless, {"fast": "no"})


def test_scalars_of_numpy_are_values_and_defaults():
    """In Python's own types, so that they can be sent and recorded."""
    assert [type(value) for value in option_values(Careless()).values()] == [int, bool]
    assert option_values(Careless(count=np.int8(4), fast=np.bool_(True))) == {"count": 4, "fast": True}
    assert [option.default for option in options_of(Careless)] == [3, True]


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
    assert make(Many, {name: str(value) for name, value in option_values(solver).items()}) == solver


@dataclass(frozen=True)
class Ranged(Solver):
    """A solver whose annotations have ranges, and which has no checks of its own."""

    name = "ranged"
    solves = AssignmentInstance

    epochs: Annotated[int, Ge(1)] = 20
    share: Annotated[float, Gt(0), Le(1)] = 0.5
    level: Annotated[float, Ge(0)] | None = None
    bits: Annotated[int, Interval(ge=20, le=53)] = 50
    cutoff: Annotated[float, Ge(0), Le(float("inf"))] = 1.0
    sizes: Annotated[tuple[Annotated[int, Ge(1)], ...], Len(1, 3)] = (1,)
    shares: tuple[float, ...] = ()

    def solve(self, instance, limits, rng):
        return Result(None)


def test_ranges_are_listed():
    """As the annotations have them."""
    found = {option.name: (option.type, option.range) for option in options_of(Ranged)}
    assert found == {
        "epochs": ("int", ">= 1"),
        "share": ("float", "> 0 and <= 1"),
        "level": ("float or none", ">= 0"),
        "bits": ("int", ">= 20 and <= 53"),
        "cutoff": ("float", ">= 0"),
        "sizes": ("int,int,...", ">= 1"),
        "shares": ("float,float,...", ""),
    }


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("epochs", 0, "epochs must be a whole number >= 1, found 0"),
        ("epochs", 10**400, f"epochs must be a whole number >= 1 and < 2^63, found 1{'0' * 39}...{'0' * 17}"),
        ("share", 0.0, "share must be a number > 0 and <= 1, found 0.0"),
        ("share", 2, "share must be a number > 0 and <= 1, found 2"),
        ("level", float("inf"), "level must be a finite number >= 0 or none, found inf"),
        ("bits", 54, "bits must be a whole number >= 20 and <= 53, found 54"),
        ("cutoff", float("-inf"), "cutoff must be a number >= 0, found -inf"),
        ("sizes", (), "sizes must be a list of 1 or more whole numbers >= 1, found ()"),
        ("sizes", (3, 0), "sizes.1 must be a whole number >= 1, found 0"),
    ],
)
def test_a_value_out_of_range_is_one_sentence(name, value, words):
    """From Python and by name alike."""
    for attempt in (lambda: Ranged(**{name: value}), lambda: make(Ranged, {name: value})):
        with pytest.raises(InvalidOption, match=f"^solver ranged: {re.escape(words)}$"):
            attempt()


def test_text_out_of_range_is_quoted_as_it_was_typed():
    """Numbers without quotes."""
    with pytest.raises(InvalidOption, match=r"^solver ranged: epochs must be a whole number >= 1, found 0$"):
        make(Ranged, {"epochs": "0"})
    with pytest.raises(InvalidOption, match=r"finite number >= 0 or none, found 1e400$"):
        make(Ranged, {"level": "1e400"})


def test_values_take_the_form_of_their_field():
    """Whole numbers become floats, lists tuples, numpy's numbers Python's."""
    made = Ranged(np.int64(3), np.float32(0.5), 2, sizes=[np.int32(4)], shares=[1, 0.5], cutoff=float("inf"))
    values = (made.epochs, made.share, made.level, *made.sizes, *made.shares)
    assert values == (3, 0.5, 2.0, 4, 1.0, 0.5) and made.cutoff == float("inf")
    assert [type(value) for value in values] == [int, float, float, int, float, float]


def test_a_constraint_that_is_not_understood_is_told_at_once():
    """It would otherwise be a check that never happens."""

    @dataclass(frozen=True)
    class Odd(Ranged):
        text: Annotated[int, Len(3)] = 5

    with pytest.raises(PluginError, match=r"text has type .*; options are int, float"):
        options_of(Odd)


def test_a_check_of_its_own_sees_values_in_form():
    """Whether it calls the base's or not, in a class of slots, and in a class below."""

    @dataclass(frozen=True, slots=True)
    class Crossed(Ranged):
        least: Annotated[float, Ge(0)] = 0.0

        def __post_init__(self):
            super(Ranged, self).__post_init__()
            if not isinstance(self.least, float) or self.least > self.epochs:
                raise ValueError(f"least must be at most epochs, found {self.least}")

    @dataclass(frozen=True)
    class Below(Crossed):
        name = "below"

    assert Crossed(least=3).least == 3.0
    with pytest.raises(InvalidOption, match=r"^solver ranged: epochs must be a whole number >= 1, found 0$"):
        Crossed(epochs=0)
    with pytest.raises(InvalidOption, match=r"^solver below: least must be a finite number >= 0, found -1$"):
        Below(least=-1)
    with pytest.raises(InvalidOption, match=r"^solver below does not take least=30.0: least must be at most epochs"):
        make(Below, {"least": 30})
