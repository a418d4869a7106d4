"""Errors of matchopt: one tree, and each reaches another process with its text."""

import copy
import pickle

import pytest

from matchopt import errors
from matchopt.errors import MatchoptError, MissingExtra, UnknownName

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, MatchoptError)]
MADE = {UnknownName: ("solver", "hungarain", ["hungarian"]), MissingExtra: ("solver cpsat", "ortools", "engines")}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_survives_a_pipe(kind: type[MatchoptError]) -> None:
    """A pool of processes hands it back as it was raised, and does not break."""
    error = kind(*MADE.get(kind, ("row 3: what was found",)))
    for again in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert type(again) is kind and str(again) == str(error) and len(str(error)) > 5


def test_a_package_without_an_extra_has_no_empty_one() -> None:
    """The pip command names an extra only where there is one."""
    assert str(MissingExtra("solver mine", "sage", "")) == "solver mine needs the package sage; install it first"


def test_of_very_many_names_the_close_ones_are_said() -> None:
    """One sentence, however many problems there are."""
    names = [f"crossbar-{n}" for n in range(200)]
    assert str(UnknownName("problem", "crosbar-7", names)).endswith(" 195 more)")
    assert "did you mean 'crossbar-7'" in str(UnknownName("problem", "crosbar-7", names))
    assert str(UnknownName("problem", "zzz", names)) == "unknown problem 'zzz' (known: 200 more)"
    assert str(UnknownName("problem", "zzz", names[:2])) == "unknown problem 'zzz' (known: crossbar-0, crossbar-1)"
