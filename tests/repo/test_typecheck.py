"""The run-time type checks that all other tests run under find what they are for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jaxtyping
import numpy as np
import pytest
import typecheck
from jaxtyping import Float

from matchopt.kernels import Scales
from matchopt.proofs.cells import Cells


@typecheck.checked
def product(
    left: Float[np.ndarray, "rows inner"], right: Float[np.ndarray, " inner"], lie: bool = False
) -> Float[np.ndarray, " rows"]:
    """A function with named axes."""
    return right if lie else left @ right


def test_axes_of_one_name_have_one_size() -> None:
    """Within a call, answer included; the next call may have other sizes."""
    assert product(np.ones((2, 3)), np.ones(3)).shape == (2,)
    assert product(np.ones((5, 4)), np.ones(4)).shape == (5,)
    with pytest.raises(TypeError, match="inner"):
        product(np.ones((2, 3)), np.ones(4))
    with pytest.raises(TypeError, match="rows"):
        product(np.ones((2, 3)), np.ones(3), lie=True)
    with pytest.raises(TypeError, match="violates type hint"):
        product(np.ones((2, 3), np.float32).astype(int), np.ones(3))


def test_functions_within_functions_are_checked_each() -> None:
    """Every closure checks, and is bound to its own variables."""

    def make(added: int) -> Callable[[int], int]:
        @typecheck.checked
        def add(number: int) -> int:
            return "no number" if number == 0 else number + added  # type: ignore[return-value]

        return add

    one, two = make(1), make(2)
    assert (one(5), two(5), one.__name__) == (6, 7, "add")
    for add in (one, two):
        for wrong in ("5", 0):
            with pytest.raises(TypeError, match="violates type hint"):
                add(wrong)  # type: ignore[arg-type]


def test_checks_are_made_at_the_first_call() -> None:
    """Until then none are; what has nothing to check passes unchanged."""
    plain = typecheck.checked(eval(compile("lambda x: x", "plain.py", "eval")))
    assert plain(5) == 5

    def anything(x: object, *rest: Any, last: Any = 3) -> Any:
        return x, rest, last

    def number(x: int) -> int:
        return x

    known = len(typecheck._made)
    loose, strict = typecheck.checked(anything), typecheck.checked(number)
    assert len(typecheck._made) == known
    assert [loose(1, 2, last=4) for _ in range(2)] == [(1, (2,), 4)] * 2
    for _ in range(2):
        assert strict(3) == 3
        with pytest.raises(TypeError, match="violates type hint"):
            strict("3")  # type: ignore[arg-type]


def test_classes_and_generators_are_checked() -> None:
    """A dataclass checks what it is made from, a generator what it is called with."""

    @typecheck.checked
    @dataclass
    class Row:
        cells: Float[np.ndarray, " cells"]
        noise: Float[np.ndarray, " cells"]

    @typecheck.checked
    def parts(of: Float[np.ndarray, "n n"]) -> Iterator[Float[np.ndarray, " n"]]:
        yield from of

    assert Row(np.ones(2), np.ones(2)).cells.shape == (2,)
    assert len(list(parts(np.ones((2, 2))))) == 2
    with pytest.raises(TypeError, match="violates type hint"):
        Row(np.ones(2), np.ones(3))
    with pytest.raises((TypeError, jaxtyping.TypeCheckError)):
        parts(np.ones((2, 3)))


def test_the_package_is_under_it() -> None:
    """Functions, methods and dataclasses of the rooms that the options of pytest name."""
    wrong: Any = "1"
    for make in (lambda: Scales(low=wrong), lambda: Cells(wrong, wrong, wrong, wrong)):
        with pytest.raises(TypeError, match="violates type hint"):
            make()


def violations(called: Callable[[Any], Any], wrong: object, calls: int) -> int:
    """How many of so many calls are caught."""
    caught = 0
    for _ in range(calls):
        try:
            called(wrong)
        except TypeError:
            caught += 1
    return caught


def test_of_very_many_calls_some_are_checked() -> None:
    """All of the first in a test, also of what is made anew each time, and of arrays' some of those after."""

    def axes(array: Float[np.ndarray, " n"]) -> int:
        return len(array)

    def plain(text: str) -> object:
        return text

    sized, named, calls = typecheck.checked(axes), typecheck.checked(plain), typecheck.FIRST + 10 * typecheck.SOME
    for test in range(2):
        typecheck.begin_test()
        assert violations(sized, np.zeros((2, 2)), calls) == typecheck.FIRST + calls // typecheck.SOME
        assert violations(named, 5, calls) == typecheck.FIRST, test
    typecheck.begin_test()
    assert violations(lambda wrong: typecheck.checked(plain)(wrong), 5, calls) == typecheck.FIRST
