"""What a result may be: one definition, for solves and for the kit."""

import numpy as np
import pytest

from matchopt import Assignment, Limit, Result, Status
from matchopt.contract import proper_result
from matchopt.errors import PluginError
from matchopt.testing.case import wrong_form

ONE = Assignment(np.array([0, 1]))


def test_values_of_numpy_and_texts_become_plain():
    """Lenient in what it takes, plain in what it gives, in a solve as in the kit."""
    given = Result(ONE, "optimal", "time", np.int64(3), {"nodes": np.int32(7), "engine": "e" * 300}, "done")
    assert wrong_form(given, "assignment") is None
    found = proper_result(given, "assignment")
    assert (found.status, found.limit, found.bound) == (Status.OPTIMAL, Limit.TIME, 3.0)
    assert [type(value) for value in (found.status, found.bound, found.stats["nodes"])] == [Status, float, int]
    assert len(found.stats["engine"]) == 200


@pytest.mark.parametrize(
    "given",
    [None, 3, Result(np.arange(2)), Result(ONE, "superb"), Result(ONE, limit="fun"), Result(ONE, bound=True),
     Result(ONE, bound="low"), Result(ONE, stats={"nodes": None}), Result(ONE, stats=[]), Result(ONE, message=3)],
)  # fmt: skip
def test_what_is_no_result_is_none_to_both(given):
    """The kit says the sentence that a solve would."""
    with pytest.raises(PluginError) as caught:
        proper_result(given, "assignment")
    assert wrong_form(given, "assignment") == str(caught.value)
