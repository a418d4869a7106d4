"""What may be reported of an answer, whatever a solver claims."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from matchopt import Assignment, AssignmentInstance, Limit, Status
from matchopt.run import Run, gap_of
from matchopt.run.answers import Answer
from matchopt.run.judge import Judge, certified

COST = np.array([[4.0, 1.0, 3.0], [2.0, 0.0, 5.0]])  # optimum 1 + 2 = 3
INSTANCE = AssignmentInstance(COST)
BEST, FAIR, BAD = Assignment(np.array([1, 0])), Assignment(np.array([0, 1])), Assignment(np.array([1, 1]))


def judged(answer, *incumbents):
    """The verdict on an answer after these incumbents."""
    judge = Judge(INSTANCE)
    for number, (solution, bound) in enumerate(incumbents):
        judge.incumbent(solution, bound, float(number))
    return judge.verdict(answer)


def test_an_honest_optimum_is_claimed_then_proven():
    """The solver's word is "claimed"; a certificate makes it "proven"."""
    verdict = judged(Answer(Status.OPTIMAL, solution=BEST, bound=3.0))
    assert (verdict.status, verdict.best.objective, verdict.bound, verdict.proof) == (
        Status.OPTIMAL,
        3.0,
        3.0,
        "claimed",
    )
    assert certified(INSTANCE, verdict).proof == "proven"


def test_an_optimum_without_a_bound_claims_its_objective():
    """The claim says as much as the bound would."""
    assert judged(Answer(Status.OPTIMAL, solution=BEST)).bound == 3.0


@pytest.mark.parametrize("incumbents", [(), ((BEST, 2.0),)], ids=["last", "last-and-reported"])
def test_an_optimum_far_above_its_own_bound_is_no_optimum(incumbents):
    """The bound may be true, the claim does not follow; what an engine's tolerance leaves is no contradiction."""
    verdict = judged(Answer(Status.OPTIMAL, solution=BEST, bound=-1e9), *incumbents)
    assert (verdict.status, verdict.proof, verdict.bound) == (Status.FEASIBLE, None, 2.0 if incumbents else -1e9)
    assert verdict.message == "the solver claims optimal although its bound is -1000000000, below 3; ignored"
    verdict = judged(Answer(Status.OPTIMAL, solution=BEST, bound=3.0 - 1e-5), *incumbents)
    assert (verdict.status, verdict.bound, verdict.message) == (Status.OPTIMAL, 3.0, "")


def test_an_optimum_without_a_last_bound_outdoes_the_bounds_before():
    """An engine that ends with a proof need not repeat it as a bound."""
    assert judged(Answer(Status.OPTIMAL, solution=BEST), (BEST, 1.0)).bound == 3.0


def test_a_feasible_optimum_is_proven_too():
    """The certificate does not ask who found the solution; the status stays the solver's."""
    verdict = certified(INSTANCE, judged(Answer(Status.FEASIBLE, solution=BEST)))
    assert (verdict.status, verdict.proof, verdict.bound) == (Status.FEASIBLE, "proven", pytest.approx(3.0))


def test_a_refuted_optimum_is_feasible_with_the_bound_of_the_certificate():
    """The claimed bound goes with the claim."""
    verdict = certified(INSTANCE, judged(Answer(Status.OPTIMAL, solution=FAIR, bound=4.0)))
    assert (verdict.status, verdict.proof, verdict.best.objective) == (Status.FEASIBLE, None, 4.0)
    assert verdict.bound == pytest.approx(3.0) and "claim of optimality is false" in verdict.message


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("solution", [None, BEST, FAIR, BAD], ids=["none", "best", "fair", "bad"])
@pytest.mark.parametrize("limit", [None, Limit.TIME])
@pytest.mark.parametrize("died", [False, True])
@pytest.mark.parametrize("incumbents", [(), ((FAIR, 0.0),), ((BAD, 0.0),)], ids=["none", "fair", "bad"])
def test_every_verdict_is_coherent(status, solution, limit, died, incumbents):
    """OPTIMAL and FEASIBLE have a solution, INFEASIBLE and UNKNOWN none; neither claim stands beside a limit."""
    verdict = judged(Answer(status, limit, solution, died=died), *incumbents)
    if verdict.status in (Status.OPTIMAL, Status.FEASIBLE):
        assert verdict.best is not None
    if verdict.status in (Status.INFEASIBLE, Status.UNKNOWN):
        assert verdict.best is None
    if verdict.status in (Status.OPTIMAL, Status.INFEASIBLE):
        assert verdict.limit is None and verdict.proof == "claimed" and verdict.status is status
    if solution is BAD:
        assert verdict.status is Status.ERROR and verdict.violations
    if verdict.status is Status.ERROR:
        assert verdict.message or status is Status.ERROR
        assert verdict.proof is None and verdict.bound is None
    useful = {id(s) for s, _ in incumbents} | {id(solution)}
    assert (verdict.best is not None) == bool(useful & {id(BEST), id(FAIR)})


def test_infeasibility_is_proven_claimed_or_refuted():
    """Hall's condition proves a claim; a feasible solution refutes it, which is an error of the solver."""
    forbidden = AssignmentInstance(np.array([[1.0, np.inf], [2.0, np.inf]]))
    claim = Answer(Status.INFEASIBLE, message="says the solver")
    proven = certified(forbidden, Judge(forbidden).verdict(claim))
    assert (proven.status, proven.proof, proven.message) == (Status.INFEASIBLE, "proven", "says the solver")
    refuted = certified(INSTANCE, judged(claim))
    assert (refuted.status, refuted.proof, refuted.bound) == (Status.ERROR, None, None)
    assert refuted.message == ("the claim of infeasibility is false: a feasible solution exists; says the solver")


def test_claims_that_no_proof_understands_stay_claims(monkeypatch):
    """A demand that is newer than the proofs makes nothing proven and nothing refuted."""
    verdicts = [judged(Answer(Status.OPTIMAL, solution=BEST, bound=3.0)), judged(Answer(Status.INFEASIBLE))]
    monkeypatch.setattr(AssignmentInstance, "demands", property(lambda instance: frozenset({"made-up"})))
    assert [certified(INSTANCE, verdict) for verdict in verdicts] == verdicts


@given(st.lists(st.floats(), max_size=4), st.floats(), st.sampled_from([Status.OPTIMAL, Status.FEASIBLE]))
def test_no_bound_above_the_objective_or_below_a_valid_one_is_reported(streamed, last, status):
    """The bound is the greatest that can be true, whatever the solver sends."""
    verdict = judged(Answer(status, solution=BEST, bound=last), *((FAIR, bound) for bound in streamed))
    valid = [bound for bound in [*streamed, last] if -math.inf < bound <= 3.0]
    if verdict.bound is None:
        assert not valid and verdict.status is Status.FEASIBLE
    else:
        assert verdict.bound <= 3.0 and verdict.bound >= max(valid, default=-math.inf)
    false = [bound for bound in [*streamed, last] if bound > 3.1]
    assert not false or (verdict.status is Status.FEASIBLE and "above the objective" in verdict.message)
    assert ("not a number" in verdict.message) == any(math.isnan(bound) for bound in [*streamed, last])


def test_a_bound_within_rounding_of_the_objective_is_cut_to_it():
    """Engines with tolerances overshoot; that is no lie."""
    verdict = judged(Answer(Status.OPTIMAL, solution=BEST, bound=3.0 + 1e-7))
    assert (verdict.status, verdict.bound, verdict.message) == (Status.OPTIMAL, 3.0, "")


def test_the_trace_keeps_only_improvements_in_order_of_time():
    """A clock that runs backwards is not believed."""
    judge = Judge(INSTANCE)
    assert judge.incumbent(FAIR, 1.0, 5.0) is not None
    assert judge.incumbent(FAIR, 2.0, 6.0) is None
    assert judge.incumbent(BAD, 2.0, 6.5) is None
    assert judge.incumbent(BEST, math.nan, 4.0) is not None
    assert judge.trace == [(5.0, 4.0, 1.0), (5.0, 3.0, 2.0)]


def test_times_are_those_that_were_told():
    """From the first incumbent on; an answer without a time is as late as what came before it."""
    judge = Judge(INSTANCE)
    judge.incumbent(FAIR, -math.inf, 0.25)
    judge.verdict(Answer(Status.FEASIBLE, solution=BEST))
    assert judge.trace == [(0.25, 4.0, None), (0.25, 3.0, None)]
    judge = Judge(INSTANCE)
    judge.verdict(Answer(Status.FEASIBLE, solution=BEST))
    assert judge.trace == [(0.0, 3.0, None)]


def test_a_bound_above_an_incumbent_is_not_kept_with_it():
    """It cannot be true of this solution."""
    judge = Judge(INSTANCE)
    kept = judge.incumbent(BEST, 5.0, 0.5)
    assert kept.bound == -math.inf and judge.trace == [(0.5, 3.0, None)]


def test_infeasible_incumbents_are_counted_and_told():
    """With the reason of the first."""
    verdict = judged(Answer(Status.FEASIBLE, solution=BEST), (BAD, 0.0), (BAD, 0.0))
    assert verdict.message.startswith("2 incumbent(s) were infeasible and ignored: row 1: column 1 is taken")
    assert verdict.status is Status.FEASIBLE


def test_a_bound_that_a_better_solution_refutes_goes():
    """A bound as high as the objective was no claim of optimality, and is as false as one."""
    verdict = certified(INSTANCE, judged(Answer(Status.FEASIBLE, solution=FAIR, bound=4.0)))
    assert (verdict.status, verdict.proof, verdict.bound) == (Status.FEASIBLE, None, pytest.approx(3.0))
    assert verdict.message == ""
    low = certified(INSTANCE, judged(Answer(Status.FEASIBLE, solution=FAIR, bound=3.5)))
    assert "the solver claims a bound of 3.5" in low.message


def test_there_is_nothing_to_certify_without_a_solution():
    """The verdict stays as it is."""
    verdict = judged(Answer(Status.UNKNOWN, bound=2.0))
    assert certified(INSTANCE, verdict) is verdict


def test_every_broken_rule_is_counted():
    """The first is told, and how many more there are."""
    verdict = judged(Answer(Status.FEASIBLE, solution=Assignment(np.array([3, -1]))))
    assert len(verdict.violations) == 2 and verdict.message.endswith("not in 0 .. 2 (and 1 more)")
    assert "more" not in judged(Answer(Status.FEASIBLE, solution=BAD)).message


def test_an_objective_of_zero_equals_itself():
    """Nothing is relative to it."""
    nothing = AssignmentInstance(np.zeros((2, 2)))
    judge = Judge(nothing)
    judge.incumbent(FAIR, -math.inf, 0.0)
    verdict = judge.verdict(Answer(Status.OPTIMAL, solution=FAIR, bound=0.0))
    assert (verdict.status, verdict.bound, verdict.message) == (Status.OPTIMAL, 0.0, "")


@pytest.mark.parametrize(("objective", "short"), [(0.5, 1e-4), (20.0, 2e-3)])
def test_an_optimum_may_lie_above_its_bound_by_so_much(objective, short):
    """1e-4 of the objective, which counts as 1 at least."""
    one, only = AssignmentInstance([[objective]]), Assignment(np.array([0]))
    for share, status in ((0.9, Status.OPTIMAL), (1.1, Status.FEASIBLE)):
        verdict = Judge(one).verdict(Answer(Status.OPTIMAL, solution=only, bound=objective - share * short))
        assert verdict.status is status


def test_a_sum_that_is_no_number_is_told():
    """Every pair may be used, but not all together."""
    with np.errstate(over="ignore"):
        verdict = Judge(AssignmentInstance(np.full((2, 2), 1e308))).verdict(Answer(Status.FEASIBLE, solution=BEST))
    assert verdict.status is Status.ERROR and verdict.violations == ("its objective is inf",)
    assert verdict.message == (
        "the solver's solution has costs whose sum is beyond floating point: its objective is inf"
    )


def test_a_claim_is_shown_with_the_bound_that_was_proved():
    """Where there is no time to prove it, its gap is that of the proved bound, and the claim is told."""
    rng = np.random.default_rng(0)
    instance = AssignmentInstance(rng.random((60, 60)))
    best = Assignment(linear_sum_assignment(instance.cost)[1])
    judge = Judge(instance)
    verdict = judge.verdict(Answer(Status.OPTIMAL, solution=best, bound=instance.value(best)))
    late = certified(instance, verdict, 1e-9)
    assert (late.status, late.proof, late.bound_proved) == (Status.OPTIMAL, "claimed", True)
    assert late.bound < instance.value(best) - 0.1
    assert late.message == f"the solver claims a bound of {verdict.bound:.10g}, of which {late.bound:.10g} is proved"
    proved = certified(instance, verdict)
    assert (proved.proof, proved.bound_proved) == ("proven", True) and not verdict.bound_proved


def test_what_killed_a_solver_comes_first_in_the_message():
    """Then what was kept."""
    verdict = judged(Answer(Status.ERROR, message="the worker died of SIGSEGV", died=True), (FAIR, -math.inf))
    assert verdict.message == "the worker died of SIGSEGV; its best incumbent is kept"
    assert verdict.status is Status.FEASIBLE


@pytest.mark.parametrize(
    ("objective", "bound", "gap"),
    [(4, 4, 0.0), (4.0, 3.0, 0.25), (-4, -5, 0.25), (0, 0, 0.0), (0, -1, None), (None, 1, None), (1, None, None)],
)
def test_the_gap_is_relative_to_the_objective(objective, bound, gap):
    """0 when equal, None where there is none."""
    assert gap_of(objective, bound) == gap


def test_json_has_neither_nan_nor_infinity():
    """Non-finite numbers, wherever they hide, become null; enumerations their names."""
    run = Run(
        *("name", "digest", "assignment", "solver", {"x": math.inf}, None, "1", 0, Status.FEASIBLE, Limit.TIME),
        stats={"rate": math.nan, "nodes": 3},
        trace=((0.5, 3, None), (math.inf, 2, -math.inf)),
        bound=-math.inf,
        objective=2,
    )
    facts = json.loads(json.dumps(run.to_json(), allow_nan=False))
    assert facts["status"] == "feasible" and facts["limit"] == "time" and facts["objective"] == 2
    assert facts["options"] == {"x": None} and facts["stats"] == {"rate": None, "nodes": 3}
    assert facts["trace"] == [[0.5, 3, None], [None, 2, None]] and facts["bound"] is None
    wanted = "instance kind solver status limit objective bound gap proof seconds seed message"
    assert set(wanted.split()) <= set(facts) and "solution" not in facts and "log" not in facts
