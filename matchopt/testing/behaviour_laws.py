"""Laws about how a solver behaves: seeds, limits, starts, earlier calls, refusals, declarations."""

from collections.abc import Iterator
from itertools import islice

import numpy as np

from matchopt.checker import check
from matchopt.contract import raised, understood_by, validate_solver
from matchopt.errors import MatchoptError
from matchopt.instances import (
    Assignment,
    AssignmentInstance,
    Instance,
    LayerInstance,
    LayerMapping,
    NetworkInstance,
    NetworkMapping,
    ProgramInstance,
    ProgramPoint,
    Solution,
)
from matchopt.instances.demands import PLAIN, demands_of_kind
from matchopt.settings import options_of
from matchopt.solver import Limit, Result, Status
from matchopt.testing.answer_laws import equals_optimum
from matchopt.testing.case import Broken, Case, Law, Skipped, copy_of, digest_of, refusal_of, same_answer, wrong_form
from matchopt.testing.rewritten import spelled_out
from matchopt.testing.tiny import TinyInstance

TIME_LIMIT = 0.2  # seconds for the middling instance


def same_seed_same_answer(case: Case) -> None:
    """The same instance, options and seed give the same status and solution, unless the time ran out."""
    answers = case.in_a_row[-2:]  # a first call may differ for what came before: that breaks no-memory
    _skip_out_of_time(answers)
    if not same_answer(*answers):
        raise Broken(f"two solves with one seed differ: {_shown(answers[0])}, then {_shown(answers[1])}; use only rng")


def no_memory(case: Case) -> None:
    """The answer does not depend on other instances solved earlier in the process."""
    others = list(islice(_taken(case), 2))
    if not others:
        raise Skipped("no other instance of the kind is taken")
    before = case.in_a_row[-1]
    for other in others:
        if not case.solved_since(other):  # they were where all laws are asked in turn
            case.solve(other.instance)
    after = case.answer("a solve after other instances")
    _skip_out_of_time([before, after])
    if not same_answer(before, after):
        raise Broken(f"solving {others[0].name} in between turned {_shown(before)} into {_shown(after)}")


def array_layout_is_free(case: Case) -> None:
    """Defaults that are stored as views without memory, and the same values in full arrays, give the same answer."""
    _ = case.plain
    full = spelled_out(case.instance)
    if full is None:
        raise Skipped(f"{case.instance.kind} instances have no such defaults")
    try:
        result = case.solve(full, copied=False).result
    except Exception as error:
        raise Broken(f"with full arrays solve raises {raised(error)}") from error
    if wrong_form(result, case.instance.kind) is not None or not same_answer(case.result, result):
        raise Broken(f"{_shown(case.result)} with default views, {_shown(result)} with the same values in full arrays")


def expired_limit_is_honest(case: Case) -> None:
    """With no time at all the answer is still true: a feasible solution or none, and claims only if they hold."""
    result = case.answer("with no time left", seconds=0.0)
    if result.solution is not None:
        case.objective(result.solution, "with no time left, the solution")
    if result.status is Status.OPTIMAL:
        equals_optimum(case, result.solution, "with no time left, claimed optimal")
    if result.status is Status.INFEASIBLE and case.tiny.optimum.feasible:
        raise Broken("with no time left, claimed infeasible; a search that did not end proves nothing")


def limit_is_no_proof(case: Case) -> None:
    """A solver that says it was stopped by a limit claims neither OPTIMAL nor INFEASIBLE."""
    for what, limits in (("no time", {"seconds": 0.0}), ("one iteration", {"iterations": 1})):
        result = case.answer(f"with {what}", **limits)
        if result.limit is not None and result.status in (Status.OPTIMAL, Status.INFEASIBLE):
            raise Broken(f"with {what}: status {result.status} and limit {result.limit}; drop one of the two")


def iterations_are_counted(case: Case) -> None:
    """A solver that counts its passes with `limits.steps` does at most `limits.iterations` of them in total."""
    if case.plain.steps == 0:
        raise Skipped("counts no passes with limits.steps")
    trial = case.trial(iterations=1)
    if trial.steps > 1:
        raise Broken(f"iterations=1, but {trial.steps} passes: call limits.steps once, limits.reached() elsewhere")


def feasible_start_is_harmless(case: Case) -> None:
    """A feasible start is used or ignored: the answer is proper, feasible, and never INFEASIBLE."""
    start = case.tiny.optimum.solution
    if start is None:
        raise Skipped("the instance is infeasible")
    result = case.answer("from a feasible start", start=start)
    if result.status is Status.INFEASIBLE:
        raise Broken("claimed infeasible although it was given a solution")
    if result.solution is not None:
        case.objective(result.solution, "from a feasible start, the solution")


def infeasible_start_is_harmless(case: Case) -> None:
    """An infeasible start is repaired or ignored: the answer is proper and feasible."""
    start = bad_start(case.instance)
    if check(case.instance, start).feasible:
        raise Skipped("the instance is too simple for an infeasible start")
    result = case.answer("from an infeasible start", start=start)
    if result.solution is not None:
        case.objective(result.solution, "from an infeasible start, the solution")


def stops_in_time(case: Case) -> None:
    """With a limit of 0.2 s a middling instance is left within the grace, finished or not."""
    for other in islice(_taken(case), 1):
        case.solve(other.instance)  # compiling and loading libraries are not solving
    taken = []
    for _ in range(2):  # a second try, as the machine may have been busy
        trial = case.trial(seconds=TIME_LIMIT)
        wrong = wrong_form(trial.result, case.instance.kind)
        if wrong is not None:
            raise Broken(wrong)
        taken.append(trial.seconds)
        if trial.seconds <= TIME_LIMIT + case.grace:
            return
    raise Broken(f"limit {TIME_LIMIT} s, grace {case.grace} s, returned after {min(taken):.2f} s; ask limits.reached()")


def refusal_has_a_reason(case: Case) -> None:
    """`refuses` returns None or a sentence, twice the same, raises nothing and leaves the instance untouched."""
    instance = copy_of(case.instance)
    if not instance.demands <= understood_by(type(case.solver)):
        raise Skipped("the framework refuses it, for demands that the solver does not declare")
    try:
        reasons = [case.solver.refuses(instance) for _ in range(2)]
    except Exception as error:
        raise Broken(f"refuses raises {raised(error)}") from error
    if reasons[0] != reasons[1]:
        raise Broken(f"refuses changes its mind: {reasons[0]!r}, then {reasons[1]!r}")
    if digest_of(instance) != digest_of(case.instance):
        raise Broken("refuses changed the instance")
    reason = reasons[0]
    if reason is not None and (not isinstance(reason, str) or len(reason.split()) < 2 or "\n" in reason):
        raise Broken(f"refuses returned {reason!r}; give None, or the reason in one line")


def declared_demands_are_met(case: Case) -> None:
    """What the class declares are demands of its kind; where it declares any, all others are refused by name."""
    kind, declared = case.solver.solves.kind, type(case.solver).understands
    if declared is None:
        raise Skipped("the class declares no demands, so it is given all that its kind had at version 0.1")
    strange = sorted(declared.difference(demands_of_kind(kind)))
    if strange:
        raise Broken(f"{strange[0]} is no demand of a {kind} (known: {', '.join(demands_of_kind(kind))})")
    for other in case.others:
        beyond = other.instance.demands - declared
        reason = refusal_of(case.solver, other.instance) or ""
        if any(demand not in reason for demand in beyond):
            names = ", ".join(sorted(beyond))
            raise Broken(f"{other.name} demands {names}, which the class does not declare, and is {reason or 'taken'}")
    met = PLAIN.union(*(other.instance.demands for other in _taken(case)))
    if declared - met:
        raise Skipped(f"no tiny instance that it takes has {', '.join(sorted(declared - met))}")


def takes_something(case: Case) -> None:
    """At least one tiny instance of the solver's kind is not refused."""
    if next(_taken(case), None) is None:
        raise Broken(f"all {len(case.others)} tiny {case.solver.solves.kind} instances are refused")


def class_is_declared(case: Case) -> None:
    """The class is a frozen dataclass with a name, a kind and a role, as `matchopt plugins` demands."""
    try:
        validate_solver(type(case.solver))
    except MatchoptError as error:
        raise Broken(str(error)) from error


def options_are_documented(case: Case) -> None:
    """Every option is explained under Parameters in the class docstring, and the defaults make a solver."""
    cls = type(case.solver)
    try:
        options = options_of(cls)
    except MatchoptError:
        raise Skipped("the class is not well declared; see class-is-declared") from None
    for option in options:
        if not option.doc:
            raise Broken(f"option {option.name} has no entry under Parameters in the docstring of {cls.__qualname__}")
    try:
        cls(**{option.name: option.default for option in options})
    except Exception as error:
        raise Broken(f"the defaults make no solver: {type(error).__name__}: {error}") from error


def bad_start(instance: Instance) -> Solution:
    """A solution of the right form that breaks the rules of all but the simplest instances."""
    match instance:
        case AssignmentInstance():
            return Assignment(np.zeros(instance.n_rows, np.int64))
        case LayerInstance():
            none = np.zeros(0, np.int64)
            return LayerMapping(
                np.zeros(instance.n_rows, np.int64), np.zeros(instance.n_rows + 1, np.int64), none, none
            )
        case NetworkInstance():
            return NetworkMapping(tuple(bad_start(layer) for layer in instance.layers))  # type: ignore[misc]
        case ProgramInstance():
            return ProgramPoint(np.full(instance.n_variables, 1e6 + 0.5))
    raise Skipped(f"no start is known for {instance.kind} instances")


def _taken(case: Case) -> Iterator[TinyInstance]:
    """The other instances that the solver does not refuse."""
    return (other for other in case.others if refusal_of(case.solver, other.instance) is None)


def _skip_out_of_time(results: list[Result]) -> None:
    if any(result.limit is Limit.TIME for result in results):
        raise Skipped("the time ran out")


def _shown(result: Result) -> str:
    return f"{result.status} {'without a solution' if result.solution is None else result.solution.digest[:8]}"


BEHAVIOUR_LAWS = (
    Law(same_seed_same_answer),
    Law(no_memory),
    Law(array_layout_is_free, kinds=("layer", "network")),
    Law(expired_limit_is_honest),
    Law(limit_is_no_proof),
    Law(iterations_are_counted),
    Law(feasible_start_is_harmless),
    Law(infeasible_start_is_harmless),
    Law(stops_in_time, where="middling"),
    Law(refusal_has_a_reason, refused=True),
    Law(declared_demands_are_met, where="class", refused=True, since=2),
    Law(takes_something, where="class", refused=True),
    Law(class_is_declared, where="class", refused=True),
    Law(options_are_documented, where="class", refused=True),
)
