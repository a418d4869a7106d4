"""The conformance kit: every law crossed with every tiny instance, the report of one run, and it all as a test."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from matchopt.contract import raised
from matchopt.errors import UnknownName
from matchopt.instances import INSTANCES, Instance
from matchopt.solver import Solver
from matchopt.testing.answer_laws import ANSWER_LAWS
from matchopt.testing.behaviour_laws import BEHAVIOUR_LAWS
from matchopt.testing.case import KIT_VERSION, PATIENCE, Broken, Case, Law, Skipped
from matchopt.testing.symmetry_laws import SYMMETRY_LAWS
from matchopt.testing.tiny import TinyInstance, middling_instances, tiny_instances

LAWS = (*ANSWER_LAWS, *BEHAVIOUR_LAWS, *SYMMETRY_LAWS)
GRACE = 2.0  # seconds past a time limit; below that a busy machine, not the solver, is measured

Outcome = Literal["passed", "refused", "skipped", "failed", "expected-failure"]
OUTCOMES: tuple[Outcome, ...] = ("passed", "refused", "skipped", "expected-failure", "failed")


@dataclass(frozen=True)
class KitRow:
    """One check: a law, what it was asked about, and how that went.

    Parameters
    ----------
    law : name of the law.
    instance : name of the tiny instance, or "class" for what is asked once.
    outcome : passed; refused (by the solver, or there is no way down the ladder); skipped (the law says nothing here);
        failed; expected-failure (failed, and the author said so beforehand).
    detail : the reason of anything but a pass.
    """

    law: str
    instance: str
    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True)
class KitReport:
    """What a run of the kit found.

    Parameters
    ----------
    solver : name of the solver.
    kit_version : version of the kit that ran.
    rows : all checks, in the order of the laws.
    """

    solver: str
    kit_version: int
    rows: tuple[KitRow, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing failed unexpectedly."""
        return self.counts["failed"] == 0

    @property
    def counts(self) -> dict[Outcome, int]:
        """Number of checks of each outcome; they add up to the number of rows."""
        found = Counter(row.outcome for row in self.rows)
        return {outcome: found[outcome] for outcome in OUTCOMES}

    def summary(self) -> str:
        """How many checks ran and how they went, with each reason and each failure."""
        counts = ", ".join(f"{count} {outcome}" for outcome, count in self.counts.items())
        lines = [f"{self.solver}: {len(self.rows)} checks: {counts} (kit version {self.kit_version})"]
        for outcome in OUTCOMES[1:3]:
            reasons = Counter(row.detail for row in self.rows if row.outcome == outcome)
            lines += [f"  {outcome} {count:4d} x  {reason}" for reason, count in reasons.most_common()]
        for outcome in OUTCOMES[3:]:
            rows = [row for row in self.rows if row.outcome == outcome]
            lines += [f"  {outcome}  {row.law} on {row.instance}: {row.detail}" for row in rows]
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class Check:
    """A law and the case it is asked about."""

    law: Law
    case: Case

    @property
    def instance(self) -> str:
        """Name of the instance, or "class"."""
        return "class" if self.law.where == "class" else self.case.tiny.name

    def row(self) -> KitRow:
        """Ask the law."""
        outcome, detail = self._ask()
        return KitRow(self.law.name, self.instance, outcome, detail)

    def _ask(self) -> tuple[Outcome, str]:
        try:
            if not self.law.refused:
                try:
                    refusal = self.case.refusal
                except Exception as error:
                    return "skipped", f"refuses raises {type(error).__name__}; see refusal-has-a-reason"
                if refusal is not None:
                    return "refused", refusal
            self.law.check(self.case)
        except Skipped as reason:
            return "skipped", str(reason)
        except Broken as found:
            return "failed", str(found)
        except Exception as error:
            return "failed", f"raises {raised(error)}"
        return "passed", ""


def plan(
    solver: Solver, expected: Iterable[str], grace: float, kit_version: int, seconds: float = PATIENCE
) -> tuple[list[Check], list[KitRow]]:
    """All checks of a solver, and a row for each law that is not asked of it; `expected` must be names of laws."""
    known = [law.name for law in LAWS]
    for name in expected:
        if name not in known:
            raise UnknownName("law", name, known)
    kinds = list(INSTANCES)
    above = kinds[: kinds.index(solver.solves.kind)]
    own = tuple(tiny for tiny in tiny_instances() if tiny.instance.kind == solver.solves.kind)
    solved: list[Instance] = []
    cases = [Case(solver, tiny, own[n + 1 :] + own[:n], grace, seconds, solved) for n, tiny in enumerate(own)]
    higher = [Case(solver, tiny, (), grace, seconds) for tiny in tiny_instances() if tiny.instance.kind in above]
    named = [(f"{solver.solves.kind}-middling", one) for one in middling_instances()[solver.solves.kind]]
    middling = [Case(solver, TinyInstance(*one), own, grace, seconds) for one in named]
    taken = next((case for case in middling if _takes(case)), middling[0])
    once = {"class": Case(solver, own[0], own, grace, seconds), "middling": taken}
    checks: list[Check] = []
    unasked: list[KitRow] = []
    for law in LAWS:
        reason = law.asks(solver)
        if law.since > kit_version:
            continue
        if reason is not None:
            unasked.append(KitRow(law.name, "class", "skipped", reason))
        elif law.where in once:
            checks.append(Check(law, once[law.where]))
        else:
            checks += [Check(law, case) for case in (*(higher if law.ladder else ()), *cases)]
    return checks, unasked


def _takes(case: Case) -> bool:
    with contextlib.suppress(BaseException):  # one that refuses by mistake is asked, and told
        return case.refusal is None
    return True


def run_checks(
    solver: Solver,
    *,
    expected_failures: Mapping[str, str] | None = None,
    grace: float = GRACE,
    kit_version: int = KIT_VERSION,
    seconds: float = PATIENCE,
    on_row: Callable[[KitRow, int], None] | None = None,
    on_check: Callable[[str, str], None] | None = None,
) -> KitReport:
    """Ask every law of `solver` on every tiny instance, in this process.

    A solver that hangs or crashes the interpreter takes the caller with it; `matchopt check-solver` runs the same
    checks in a process of their own.

    Parameters
    ----------
    solver : the solver, its options set.
    expected_failures : reason by law, for laws that are known to fail; one that nothing breaks any more is a failure.
    grace : seconds past a time limit that a solver may need to stop.
    kit_version : ask only the laws of this version of the kit, so that a new release breaks no pinned plugin.
    seconds : time limit of each solve; a solver that improves as long as it may takes it whole, again and again.
    on_row : called after every check with its row and the number of checks, for a progress bar.
    on_check : called before every check with the names of its law and instance.

    Raises
    ------
    UnknownName
        for an expected failure that names no law.
    """
    expected = dict(expected_failures or {})
    checks, rows = plan(solver, expected, grace, kit_version, seconds)
    for check in checks:
        if on_check is not None:
            on_check(check.law.name, check.instance)
        row = check.row()
        if row.outcome == "failed" and row.law in expected:
            row = KitRow(row.law, row.instance, "expected-failure", f"{expected[row.law]} ({row.detail})")
        rows.append(row)
        if on_row is not None:
            on_row(row, len(checks))
    failing = {row.law for row in rows if row.outcome == "expected-failure"}
    rows += [KitRow(law, "class", "failed", STALE) for law in expected if law not in failing]
    return KitReport(solver.name, kit_version, tuple(rows))


STALE = "listed as an expected failure, but nothing breaks it: remove it"


def solver_checks(
    solver: Solver,
    *,
    expected_failures: Mapping[str, str] | None = None,
    grace: float = GRACE,
    kit_version: int = KIT_VERSION,
    seconds: float = PATIENCE,
) -> Callable[..., None]:
    """Return a pytest test that asks every law of `solver` on every tiny instance; one id per law and instance.

    A refused check is skipped with the reason. The test runs in pytest's own process, so a solver that hangs hangs
    pytest; `matchopt check-solver` survives that.

    Parameters
    ----------
    solver, expected_failures, grace, kit_version, seconds : as for `run_checks`.

    Raises
    ------
    UnknownName
        for an expected failure that names no law.

    Examples
    --------
    In a plugin's `tests/test_solver.py`:

    >>> from matchopt_random import RandomAssignment
    >>> test_random = solver_checks(RandomAssignment(draws=5))
    """
    import pytest

    expected = dict(expected_failures or {})
    checks, unasked = plan(solver, expected, grace, kit_version, seconds)
    row_of = cache(Check.row)

    def run(check: Check) -> None:
        row = row_of(check)
        if row.outcome == "failed" and row.law in expected:
            pytest.xfail(f"{expected[row.law]} ({row.detail})")
        if row.outcome == "failed":
            pytest.fail(f"{row.law}: {check.law.claim}\n{row.instance}: {row.detail}", pytrace=False)
        if row.outcome != "passed":
            pytest.skip(f"{row.outcome}: {row.detail}")

    def still_fails(law: str) -> None:
        if not any(row_of(check).outcome == "failed" for check in checks if check.law.name == law):
            pytest.fail(f"{law}: {STALE}", pytrace=False)

    def not_asked(reason: str) -> None:
        pytest.skip(f"not asked: {reason}")

    items = [pytest.param(run, check, id=f"{check.law.name}-{check.instance}") for check in checks]
    items += [pytest.param(still_fails, law, id=f"{law}-expected-failure") for law in expected]
    items += [pytest.param(not_asked, row.detail, id=f"{row.law}-class") for row in unasked]

    @pytest.mark.parametrize(("ask", "about"), items)
    def test_solver(ask: Callable[[object], None], about: object) -> None:
        """The solver keeps the law on the instance."""
        ask(about)

    return test_solver
