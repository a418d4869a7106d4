"""Facts and arrays: groups go in and come out, and the hash covers every bit of both."""

import numpy as np
import pytest

from matchopt.parts import Parts

INNER = Parts({"steps": 3}, {"values": np.arange(3.0), "deep.values": np.arange(2)})
OTHER = Parts({}, {"values": np.ones((2, 2), np.float32)})


def same(one: Parts, other: Parts) -> bool:
    return one.digest("parts") == other.digest("parts")


def test_groups_come_out_as_they_went_in() -> None:
    """`part` undoes `merging`, also of parts that were merged before; a group that is not there is empty."""
    outer = Parts.merging(inner=INNER, other=OTHER)
    assert same(outer.part("inner"), INNER)
    assert same(outer.part("other"), OTHER)
    assert same(Parts.merging(outer=outer).part("outer").part("inner"), INNER)
    assert same(outer.part("nobody"), Parts())
    assert set(INNER.under("deep")) == {"values"}


def test_later_parts_win() -> None:
    """`|` joins facts and arrays like dictionaries."""
    joined = INNER | Parts({"more": True}, {"values": np.zeros(1)})
    assert same(joined, Parts({"steps": 3, "more": True}, {**INNER.arrays, "values": np.zeros(1)}))


@pytest.mark.parametrize(
    "other",
    [
        Parts({"steps": 4}, INNER.arrays),
        Parts(INNER.facts, {**INNER.arrays, "values": np.arange(3)}),
        Parts(INNER.facts, {**INNER.arrays, "values": np.arange(3.0).reshape(3, 1)}),
        Parts(INNER.facts, {**INNER.arrays, "values": np.array([0.0, 1.0, -2.0])}),
        Parts(INNER.facts, Parts({}, INNER.arrays).prefixed("x")),
    ],
    ids=["fact", "type", "shape", "value", "name"],
)
def test_the_digest_tells_all_apart(other: Parts) -> None:
    """Another fact, name, type, shape or value gives another digest; another kind does too."""
    assert not same(INNER, other)
    assert INNER.digest("parts") != INNER.digest("other")
