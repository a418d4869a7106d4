"""Believes no solver: checks every incumbent and the answer, and decides what may be reported."""

import contextlib
import math
from dataclasses import dataclass, replace

from matchopt.checker import Report, check, is_feasible
from matchopt.errors import Refused
from matchopt.instances import Instance, LayerInstance, NetworkInstance, Solution
from matchopt.run.answers import Answer
from matchopt.run.record import Incumbent, Number
from matchopt.solver import Limit, Status

ROUNDING = 1e-6  # relative: engines that work with tolerances give bounds that exceed the optimum by as much
TINY = 1e-12
SLACK = 1e-4  # relative, and absolute below 1: by so much do engines let a bound fall short of what they call optimal
MOST_VIOLATIONS = 20


@dataclass(frozen=True, eq=False)
class Verdict:
    """What may be reported; the fields are those of `Run`."""

    status: Status
    limit: Limit | None
    best: Incumbent | None
    bound: Number | None
    proof: str | None
    message: str
    violations: tuple[str, ...] = ()
    bound_proved: bool = False


class Judge:
    """Keeps the best checked solution of one solve."""

    def __init__(self, instance: Instance) -> None:
        self.best: Incumbent | None = None
        self.trace: list[tuple[float, Number, float | None]] = []
        self._instance = instance
        self._squares = isinstance(instance, LayerInstance | NetworkInstance)
        self._bounds: list[float] = []
        self._bound = -math.inf
        self._time = 0.0
        self._bad_incumbents = 0
        self._bad_reason = ""

    def incumbent(self, solution: Solution, bound: float, seconds: float) -> Incumbent | None:
        """Check a solution a solver reports; returns it if it is better than all before."""
        self._note_bound(bound)
        report = check(self._instance, solution, MOST_VIOLATIONS)
        objective = _value(report)
        if objective is None:
            self._bad_incumbents += 1
            self._bad_reason = self._bad_reason or _first(report)
            return None
        return self._keep(solution, objective, seconds)

    def verdict(self, answer: Answer, seconds: float = 0.0) -> Verdict:
        """Judge the answer, which came after so many seconds, in the light of all incumbents."""
        notes = [answer.message] if answer.died and answer.message else []
        violations: tuple[str, ...] = ()
        status, limit = answer.status, answer.limit
        if answer.solution is not None:
            report = check(self._instance, answer.solution, MOST_VIOLATIONS + 1)
            objective = _value(report)
            if objective is None:
                violations = tuple(v.message for v in report.violations[:MOST_VIOLATIONS]) or (_first(report),)
                count = len(report.violations) - 1
                more = f" (and {'at least ' * (count == MOST_VIOLATIONS)}{count} more)" if count > 0 else ""
                fault = "is infeasible" if report.violations else "has costs whose sum is beyond floating point"
                notes.append(f"the solver's solution {fault}: {_first(report)}{more}")
                status = Status.ERROR
            else:
                self._keep(answer.solution, objective, seconds)
                status = self._against_best(status, objective, notes)
                status = _against_bound(status, objective, answer.bound, notes)
        if not violations:
            status = self._consistent(status, answer, notes)
        status, bound = self._valid_bound(status, answer.bound, notes)
        if self._bad_incumbents:
            notes.append(f"{self._bad_incumbents} incumbent(s) were infeasible and ignored: {self._bad_reason}")
        if answer.message and not answer.died:
            notes.append(answer.message)
        proof = "claimed" if status in (Status.OPTIMAL, Status.INFEASIBLE) else None
        return Verdict(status, limit, self.best, bound, proof, "; ".join(notes), violations)

    def _keep(self, solution: Solution, objective: Number, seconds: float) -> Incumbent | None:
        if self.best is not None and objective >= self.best.objective:
            return None
        # The worker's clock is not trusted to run forward.
        self._time = max(self._time, seconds) if math.isfinite(seconds) else self._time
        bound = self._no_less(self._bound, objective) if self._bound <= objective else -math.inf
        self.best = Incumbent(self._time, objective, bound, solution)
        self.trace.append((self._time, objective, bound if bound > -math.inf else None))
        return self.best

    def _no_less(self, bound: float, objective: Number) -> float:
        """A bound as the objective allows: what layers and networks minimise is never negative."""
        return max(bound, 0.0) if self._squares and bound > -math.inf and objective >= 0 else bound

    def _note_bound(self, bound: float) -> None:
        if not math.isnan(bound):
            self._bound = max(self._bound, bound)
        if bound != -math.inf and bound not in self._bounds[-1:]:
            self._bounds.append(bound)

    def _against_best(self, status: Status, objective: Number, notes: list[str]) -> Status:
        """Compare the final solution with the best incumbent."""
        assert self.best is not None
        if objective <= self.best.objective + allowance(objective):
            return status
        notes.append(f"an incumbent of {self.best.objective:.6g} was better than the last solution, and is kept")
        return Status.FEASIBLE if status is Status.OPTIMAL else status

    def _consistent(self, status: Status, answer: Answer, notes: list[str]) -> Status:
        """The status that agrees with what there is."""
        if self.best is not None:
            if status is Status.INFEASIBLE:
                notes.append(f"the solver claims infeasible beside a feasible solution of {self.best.objective:.6g}")
                return Status.ERROR
            if answer.died:
                notes.append("its best incumbent is kept")
                return Status.FEASIBLE
            if status is Status.OPTIMAL and answer.solution is None:
                notes.append("the solver claims optimal but returned no solution")
                return Status.ERROR
            if status is Status.OPTIMAL and answer.limit is not None:
                notes.append(f"the solver claims optimal although it stopped at its {answer.limit} limit; ignored")
                return Status.FEASIBLE
            return Status.FEASIBLE if status is Status.UNKNOWN else status
        if status in (Status.OPTIMAL, Status.FEASIBLE):
            notes.append(f"the solver claims {status} but returned no solution")
            return Status.ERROR
        if status is Status.INFEASIBLE and answer.limit is not None:
            notes.append(f"the solver claims infeasible although it stopped at its {answer.limit} limit; ignored")
            return Status.UNKNOWN
        return status

    def _valid_bound(self, status: Status, last: float, notes: list[str]) -> tuple[Status, Number | None]:
        """The best bound that can be true, and the status without a claim that a false bound has refuted."""
        claims = [*self._bounds, last]
        if any(math.isnan(bound) for bound in claims):
            notes.append("the solver's bound is not a number; ignored")
        claims = [bound for bound in claims if not math.isnan(bound) and bound > -math.inf]
        if status in (Status.INFEASIBLE, Status.ERROR):
            return status, None
        if self.best is None:
            return status, max((self._no_less(bound, 0.0) for bound in claims if bound < math.inf), default=None)
        objective = self.best.objective
        most = objective + allowance(objective)
        false = [bound for bound in claims if bound > most]
        if false:
            notes.append(f"the solver's bound {max(false):.10g} is above the objective {objective:.10g}; ignored")
            status = Status.FEASIBLE if status is Status.OPTIMAL else status
        valid = max(
            (self._no_less(min(bound, objective), objective) for bound in claims if bound <= most), default=None
        )
        return status, objective if status is Status.OPTIMAL else valid  # the claim of an optimum says as much


def _against_bound(status: Status, objective: Number, bound: float, notes: list[str]) -> Status:
    """The status without a claim of optimality that the solver's own last bound does not bear out."""
    if status is not Status.OPTIMAL or not -math.inf < bound < objective - SLACK * max(1.0, abs(objective)):
        return status
    notes.append(f"the solver claims optimal although its bound is {bound:.10g}, below {objective:.10g}; ignored")
    return Status.FEASIBLE


def certified(instance: Instance, verdict: Verdict, seconds: Number | None = None) -> Verdict:
    """Let `matchopt.certify` prove, improve or refute a verdict, in `seconds` or with a fixed amount of work.

    A bound by the certificate takes the place of the solver's, which is only said where it was the better one.
    """
    from matchopt.proofs import certify, certify_infeasible, constructed

    if verdict.status is Status.INFEASIBLE:
        proved = None
        with contextlib.suppress(Refused):
            proved = certify_infeasible(instance)
        if proved is None and (plain := constructed(instance)) is not None and is_feasible(instance, plain):
            proved = False
        if proved is False:
            message = _joined("the claim of infeasibility is false: a feasible solution exists", verdict.message)
            return replace(verdict, status=Status.ERROR, proof=None, message=message)
        return replace(verdict, proof="proven") if proved else verdict
    if verdict.best is None or verdict.status not in (Status.OPTIMAL, Status.FEASIBLE):
        return verdict
    try:
        certificate = certify(instance, verdict.best.solution, seconds=None if seconds is None else float(seconds))
    except Refused:
        return verdict
    objective = verdict.best.objective
    if certificate.optimal:
        return replace(verdict, bound=min(certificate.bound, objective), proof="proven", bound_proved=True)
    bound, status, proof, message = verdict.bound, verdict.status, verdict.proof, verdict.message
    if certificate.improvable:
        proof = None
        if status is Status.OPTIMAL:
            status, bound = Status.FEASIBLE, None
            message = _joined("the claim of optimality is false: a better solution exists", message)
        elif bound is not None and bound >= objective:
            bound = None
    if known := certificate.bound > -math.inf:
        least = min(certificate.bound, objective)
        if bound is not None and bound > least + allowance(least):
            message = _joined(f"the solver claims a bound of {bound:.10g}, of which {least:.10g} is proved", message)
        bound = least
    return replace(verdict, bound=bound, status=status, proof=proof, message=message, bound_proved=known)


def _joined(first: str, then: str) -> str:
    return f"{first}; {then}" if then else first


def allowance(objective: Number) -> float:
    """How far a bound may lie above this objective, or an objective above another, and still equal it."""
    return ROUNDING * abs(objective) + TINY


def _value(report: Report) -> Number | None:
    """The objective of a feasible solution, None for one that is infeasible or worth no finite number."""
    if not report.feasible or report.objective is None or not math.isfinite(report.objective):
        return None
    return report.objective


def _first(report: Report) -> str:
    if report.violations:
        return report.violations[0].message
    return f"its objective is {report.objective}"
