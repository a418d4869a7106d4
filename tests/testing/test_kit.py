"""The conformance kit tested by mutation: honest solvers pass, and each law catches a liar."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from testing.mutants import MUTANTS, solver

from matchopt import (
    AssignmentInstance,
    Instance,
    LayerInstance,
    NetworkInstance,
    ProgramInstance,
    Result,
    Solver,
    Status,
    UnknownName,
)
from matchopt.testing import KIT_VERSION, LAWS, KitReport, run_checks, tiny_instances
from matchopt.testing import kit as kit_module

SOME = (
    "assignment-1x1",
    "assignment-all-equal",
    "assignment-square-floats",
    "assignment-forbidden-wide",
    "assignment-hall",
    "assignment-near-int64",
    "assignment-sparse",
    "layer-spare",
    "layer-too-few-cells",
    "program-knapsack",
    "program-choice",
    "program-parity",
)


@pytest.fixture
def fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kit on a dozen instances, which keeps these tests quick."""
    some = tuple(tiny for tiny in tiny_instances() if tiny.name in SOME)
    monkeypatch.setattr(kit_module, "tiny_instances", lambda: some)


def broken_laws(report: KitReport) -> set[str]:
    """The laws that failed."""
    return {row.law for row in report.rows if row.outcome == "failed"}


@pytest.mark.slow
@pytest.mark.usefixtures("fewer")
@pytest.mark.parametrize("law", MUTANTS)
def test_a_liar_is_caught_by_the_law_it_breaks_and_by_no_other(law: str) -> None:
    """The solver that breaks one law fails exactly there."""
    assert broken_laws(run_checks(MUTANTS[law](), grace=0.1)) == {law}


@dataclass(frozen=True)
class Buses(Solver):
    """Takes what it is told to take, and solves nothing."""

    name = "buses"
    solves = LayerInstance
    understands = frozenset({"shared-bus"})

    free: bool = False

    def refuses(self, instance: LayerInstance) -> str | None:
        return None if self.free or not instance.hardware.free_routing else "is too free"

    def solve(self, instance: Any, limits: Any, rng: Any) -> Result:
        return Result(None)


@pytest.mark.parametrize("free", [True, False])
def test_a_solver_of_shared_buses_is_asked_whether_it_stops(free: bool) -> None:
    """Who refuses the first middling instance is asked about the next."""
    (check,) = [
        check for check in kit_module.plan(Buses(free), (), 2.0, KIT_VERSION)[0] if check.law.name == "stops-in-time"
    ]
    assert check.case.refusal is None
    assert ("shared-bus" in check.case.instance.demands) != free


def test_every_law_has_a_liar() -> None:
    """No law of the kit is without a solver that breaks it."""
    assert {law.name for law in LAWS} == set(MUTANTS)


def test_every_law_makes_a_claim() -> None:
    """Names are distinct, each law has a claim of one sentence, and no law is newer than the kit."""
    assert len({law.name for law in LAWS}) == len(LAWS)
    for law in LAWS:
        assert law.claim.endswith("."), law.name
        assert 1 <= law.since <= KIT_VERSION


@pytest.mark.usefixtures("fewer")
@pytest.mark.parametrize("kind", [AssignmentInstance, LayerInstance, ProgramInstance])
def test_enumeration_passes(kind: type[Instance]) -> None:
    """The honest solver of a kind breaks no law."""
    report = run_checks(solver(kind=kind))
    assert broken_laws(report) == set()
    assert report.counts["passed"] > 30


@pytest.mark.slow
@pytest.mark.parametrize("kind", [AssignmentInstance, LayerInstance, NetworkInstance])
def test_enumeration_passes_on_everything(kind: type[Instance]) -> None:
    """The honest solver of a kind breaks no law on any tiny instance, so the yardstick and the ladder agree."""
    assert broken_laws(run_checks(solver(kind=kind))) == set()


@pytest.mark.usefixtures("fewer")
@pytest.mark.parametrize(
    "refuses",
    [
        lambda instance: "no",
        lambda instance: 7,
        lambda instance: "two\nlines of it",
        lambda instance, seen=[]: seen.append(0) or f"refused for the time {len(seen)}",
        lambda instance: instance.cost.setflags(write=True) or instance.cost.fill(0),
        lambda instance: 1 // 0,
    ],
    ids=["one-word", "number", "two-lines", "fickle", "writes", "raises"],
)
def test_a_bad_refusal_is_caught(refuses: Callable[[Any], Any]) -> None:
    """A refusal must be one line of two words or more, always the same, and must touch nothing."""
    report = run_checks(solver(refuses=refuses))
    assert "refusal-has-a-reason" in broken_laws(report)


@pytest.mark.usefixtures("fewer")
@pytest.mark.parametrize("stage", ["start", "expired"])
def test_raising_in_a_corner_is_caught(stage: str) -> None:
    """A solver that raises only when it gets a start, or no time, fails there."""

    def twist(instance: Any, limits: Any, result: Result) -> Result:
        if (limits.start is not None) if stage == "start" else limits.seconds == 0:
            raise RuntimeError("not prepared")
        return result

    report = run_checks(solver(twist))
    broken = broken_laws(report)
    assert any("RuntimeError: not prepared (" in row.detail for row in report.rows)
    expired = {"expired-limit-is-honest", "limit-is-no-proof"}
    starts = {"feasible-start-is-harmless", "infeasible-start-is-harmless"}
    assert broken == (starts if stage == "start" else expired)


@pytest.mark.usefixtures("fewer")
def test_lies_are_found_through_the_ladder() -> None:
    """A solver that is honest on its own kind and claims too much on reduced layers fails on the layer."""
    own = {tiny.instance.digest for tiny in tiny_instances()}

    def twist(instance: Any, limits: Any, result: Result) -> Result:
        if instance.digest in own or result.solution is None or instance.n_rows != 2:
            return result
        return Result(type(result.solution)(result.solution.col_of[::-1]), Status.OPTIMAL)

    rows = run_checks(solver(twist)).rows
    assert ("optimal-is-optimal", "layer-spare") in {(row.law, row.instance) for row in rows if row.outcome == "failed"}


@pytest.mark.usefixtures("fewer")
def test_an_expected_failure_is_counted_apart() -> None:
    """A law that fails as announced leaves the report passed, and the reason is printed."""
    report = run_checks(MUTANTS["bound-is-a-number"](), expected_failures={"bound-is-a-number": "upstream bug 12"})
    assert report.passed
    assert report.counts["expected-failure"] > 0
    assert "upstream bug 12" in report.summary()


@pytest.mark.usefixtures("fewer")
def test_an_expected_failure_that_passes_fails() -> None:
    """An excuse that is no longer needed must go."""
    report = run_checks(solver(), expected_failures={"bound-is-a-number": "once"})
    assert [row.detail for row in report.rows if row.outcome == "failed"] == [kit_module.STALE]


def test_an_excuse_for_no_law_is_an_error() -> None:
    """A misspelt law in expected_failures is named, with the nearest one."""
    with pytest.raises(UnknownName, match="did you mean 'bound-is-valid'"):
        run_checks(solver(), expected_failures={"bound-is-vaild": "typo"})


@pytest.mark.usefixtures("fewer")
def test_the_summary_counts_every_check() -> None:
    """The counts add up to the checks, and the summary names the kit version and each reason of a refusal."""
    seen: list[tuple[str, int]] = []
    report = run_checks(solver(), on_row=lambda row, total: seen.append((row.law, total)))
    assert sum(report.counts.values()) == len(report.rows)
    assert len(seen) == seen[0][1]
    text = report.summary()
    assert f"{len(report.rows)} checks" in text
    assert f"kit version {KIT_VERSION}" in text
    assert "is too large to enumerate" in text


@pytest.mark.usefixtures("fewer")
def test_an_older_kit_asks_no_newer_laws() -> None:
    """A plugin that pins a kit version before the first law is asked nothing."""
    assert run_checks(solver(), kit_version=0).rows == ()


@pytest.mark.usefixtures("fewer")
def test_heuristics_are_not_asked_for_proofs_and_that_is_shown() -> None:
    """Laws for exact solvers appear once, as skipped with the reason."""
    rows = [row for row in run_checks(solver(role="heuristic")).rows if row.law == "exact-solves"]
    assert [(row.outcome, row.instance) for row in rows] == [("skipped", "class")]


def test_a_declaration_keeps_tiny_instances_away_by_name() -> None:
    """A solver that declares few demands is asked on what has no others; all else is refused, naming the demand."""
    report = run_checks(solver(declares=frozenset({"rectangular"})))
    assert report.passed, report.summary()
    refused = [row for row in report.rows if row.outcome == "refused"]
    assert any("sparse (the allowed pairs are listed" in row.detail for row in refused)
    met = [row for row in report.rows if row.law == "declared-demands-are-met"]
    assert [row.outcome for row in met] == ["passed"]


def test_a_declared_demand_that_is_never_met_is_told() -> None:
    """The kit does not say that it tested what it did not."""
    report = run_checks(solver(declares=frozenset({"sparse", "forbidden-pairs", "integer-costs", "rectangular"}),
                               refuses=lambda instance: "is not listed" if instance.is_sparse else None))  # fmt: skip
    (met,) = (row for row in report.rows if row.law == "declared-demands-are-met")
    assert (met.outcome, met.detail) == ("skipped", "no tiny instance that it takes has sparse")
