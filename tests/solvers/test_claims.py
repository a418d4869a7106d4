"""No engine's false word is passed on: claims against exact fractions, and the kinds of programs that fooled them."""

import math

import numpy as np
import pytest
from matchopt_cpsat import CpSat
from matchopt_milp import Milp
from repo.test_benches import loaded
from solvers.small import objective, program, solved

from matchopt import Limits, ProgramInstance, ProgramPoint, Result, Solver, Status, check, tightened, weighed

BENCH = loaded("engine_claims")
BOTH = pytest.mark.parametrize("solver", [CpSat(), Milp()], ids=["cpsat", "milp"])
inf = math.inf


def judged(count: int, seed: int) -> set[str]:
    rng, found = np.random.default_rng(seed), set()
    for number in range(count):
        family = BENCH.FAMILIES[number % len(BENCH.FAMILIES)]
        instance = BENCH.random_program(family, rng)
        known = BENCH.truth(instance)
        for name, solver in BENCH.ENGINES.items():
            became = BENCH.outcome(solver, instance, known)
            assert became != "false", f"{name}, {family}, program {number} of seed {seed}"
            found.add(f"{name} {became}")
    return found


def test_no_false_claim_on_a_sample() -> None:
    """Coefficients of 1e-9 to 1e15, switches, whole and continuous variables, siemens, equalities, wide costs."""
    assert {"cpsat claimed", "milp claimed", "cpsat open", "milp open", "cpsat refused"} <= judged(180, 3)


@pytest.mark.slow
def test_no_false_claim_on_two_thousand() -> None:
    """The acceptance run; `python benches/engine_claims.py` counts what became of them."""
    judged(2000, 1)


def test_the_judge_is_right() -> None:
    """Exact optima of two programs solved by hand, and what belies them."""
    switch = program([-5, -1], [[3, -1e15]], [-inf], [2], None, [1, 1])
    assert BENCH.truth(switch).value == -6
    mixed = program([-1, 1], [[1, -1e9]], [-inf], [0], None, [5, 1])
    mixed = ProgramInstance(**{**vars(mixed), "integral": np.array([False, True])})
    assert BENCH.truth(mixed).value == -4
    assert BENCH.truth(switch).belies(Result(ProgramPoint(np.zeros(2)), Status.OPTIMAL), 0.0)
    assert BENCH.truth(switch).belies(Result(None, Status.INFEASIBLE), None)
    assert not BENCH.truth(switch).belies(Result(ProgramPoint(np.zeros(2))), 0.0)


@BOTH
@pytest.mark.parametrize(
    ("instance", "best"),
    [
        # A switch of 15 digits beside a weight of 3; weights of 11 digits; one row of 1e15; rows that say 1 in siemens.
        (program([0, -5], [[-2e14, 153.25]], [-inf], [0], None, [1, 1]), -5.0),
        (
            program(
                [-8, -7, -1, -5, 9],
                [[54324214930, 61528197360, 26797480890, 52424457490, -110878975360], [0, 0, 1, 1, 0]],
                [-inf, -inf], [84195375310, 1], None, [1] * 5,
            ),
            -11.0,
        ),
        (program([1], [[1e15]], [2e15], [inf], None, [9]), 2.0),
        (program([3, 2], [[1e-9, 1e-9]], [1e-9], [inf], None, [1, 1]), 2.0),
        (program([1, 1], [[1, 1]], [1e-9], [inf], None, [1, 1]), 1.0),
        (program([-1, -1], [[1e15, 1]], [-inf], [5], None, [1, 1]), -1.0),
    ],
)  # fmt: skip
def test_what_fooled_engines(solver: Solver, instance: ProgramInstance, best: float) -> None:
    """Each is solved, for single rows are worked out in fractions before an engine sees them."""
    assert solver.refuses(instance) is None
    result = solved(solver, instance)
    assert (result.status, objective(instance, result.solution)) == (Status.OPTIMAL, best)


def test_tightening_is_a_proof_where_a_row_cannot_be_met() -> None:
    """No engine is asked, and the sentence names the row."""
    assert tightened(program([1], [[1e12]], [2.5e12], [inf], None, [2])) == (
        "row r0 cannot be met within the bounds of its variables"
    )
    even = program([1, 2], [[1, 3]], [1], [inf], None, [2, 2])
    assert tightened(even) is even


def test_tightening_gives_switches_their_least_constant() -> None:
    """Also for rows of >=, and whole variables that begin elsewhere than at 0."""
    found = tightened(program([0, 0], [[-1e6, 3]], [-inf], [0], None, [1, 1]))
    assert isinstance(found, ProgramInstance) and found.coefficients.tolist() == [-3, 3]
    found = tightened(program([0, 0], [[1e6, -3]], [-2], [inf], [1, 0], [2, 9]))
    assert isinstance(found, ProgramInstance)
    points = [(x, y) for x in (1, 2) for y in range(10)]
    assert [check(found, ProgramPoint(np.array(p, float))).feasible for p in points] == [True] * 20


def test_a_claim_within_tolerances_only_is_withdrawn() -> None:
    """A point that breaks a row of whole variables by less than engines notice is no optimum; nor is one in doubt."""
    instance = program([-1, -1], [[1, 1 + 1e-12]], [-inf], [2], None, [1, 1])
    both = Result(ProgramPoint(np.ones(2)), Status.OPTIMAL, bound=-2.0)
    found = weighed(instance, both)
    assert (found.status, found.bound) == (Status.FEASIBLE, -2.0)
    assert found.message == "the engine's word, optimal, is not taken: row r0 holds within tolerances only"
    one = Result(ProgramPoint(np.array([1.0, 0.0])), Status.OPTIMAL, bound=-1.0)
    assert weighed(instance, one) is one
    assert (weighed(instance, one, "x").status, weighed(instance, one, "x").bound) == (Status.FEASIBLE, -inf)
    assert weighed(instance, one, error=1e-5).status is Status.FEASIBLE
    none = Result(None, Status.INFEASIBLE)
    assert weighed(instance, none) is none
    assert weighed(instance, none, "the numbers are large").status is Status.UNKNOWN


def test_milp_refuses_bounds_that_its_engine_takes_for_none() -> None:
    """Of variables as of rows, and names them; what scaling brings into range is taken."""
    assert Milp().refuses(program([-1], [], [], [], None, [2e20])) == (
        "variable x0 has the bound 2e+20, and HiGHS takes 1e20 and beyond for no bound"
    )
    assert "row r0" in (Milp().refuses(program([-1], [[1]], [-inf], [1e21], None, [5])) or "")
    assert Milp().refuses(program([-1], [[1e20]], [-inf], [1e21], None, [5])) is None


def test_a_model_error_is_no_infeasibility() -> None:
    """scipy says status 2 for both; rows of continuous variables span more than HiGHS holds."""
    wide = program([-1, 0], [[1e16, 1e-9]], [-inf], [1e16], None, [1, 1], whole=False)
    result = Milp().solve(wide, Limits(), np.random.default_rng(0))
    assert result.status in (Status.FEASIBLE, Status.UNKNOWN) and "is not taken" in result.message
