"""The kit as a pytest test."""

from collections.abc import Callable, Mapping
from functools import cache

from matchopt.solver import Solver
from matchopt.testing.kit import GRACE, STALE, Check, known_laws, plan
from matchopt.testing.law import KIT_VERSION


def solver_checks(
    solver: Solver,
    *,
    expected_failures: Mapping[str, str] | None = None,
    grace: float = GRACE,
    kit_version: int = KIT_VERSION,
) -> Callable[..., None]:
    """Return a pytest test that asks every law of `solver` on every tiny instance; one id per law and instance.

    A refused check is skipped with the reason. The test runs in pytest's own process, so a solver that hangs hangs
    pytest; `matchopt check-solver` survives that.

    Parameters
    ----------
    solver : the solver, its options set.
    expected_failures : reason by law, for laws that are known to fail; one that nothing breaks any more is a failure.
    grace : seconds past a time limit that a solver may need to stop.
    kit_version : ask only the laws of this version of the kit.

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
    known_laws(expected)
    checks, unasked = plan(solver, grace=grace, kit_version=kit_version)
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
