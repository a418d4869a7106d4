"""`matchopt fuzz`: what is drawn covers all there is, wrong solvers are found, shipped ones are not."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import pytest

from matchopt import Assignment, AssignmentInstance, Limits, Result, Solver, Status
from matchopt.instances import Hardware, NetworkInstance, Rules
from matchopt.instances.demands import BY_KIND
from matchopt.instances.sample_objective import OBJECTIVES as ALL_OBJECTIVES
from matchopt.kernels import assign
from matchopt.plugins import load_plugins
from matchopt.testing import drawn
from matchopt.testing.fuzz import fuzz, instance_number, save
from matchopt.testing.jury import judged


def optimum(instance: AssignmentInstance) -> Result:
    """An honest answer."""
    col_of = assign(instance.cost) if not instance.is_sparse else None
    if col_of is None:
        return Result(None, Status.INFEASIBLE)
    return Result(Assignment(col_of), Status.OPTIMAL, bound=float(instance.value(Assignment(col_of))))


@dataclass(frozen=True)
class Honest(Solver):
    """Solves assignments; the wrong ones below change its answer."""

    name = "honest"
    solves = AssignmentInstance
    role = "heuristic"

    def refuses(self, instance: AssignmentInstance) -> str | None:
        """See `Solver.refuses`."""
        return "pairs are listed, which is not understood here" if instance.is_sparse else None

    def solve(self, instance: AssignmentInstance, limits: Limits, rng: np.random.Generator) -> Result:
        """See `Solver.solve`."""
        return self.spoil(optimum(instance), instance, rng)

    def spoil(self, result: Result, instance: AssignmentInstance, rng: np.random.Generator) -> Result:
        """What a wrong solver makes of an honest answer."""
        del instance, rng
        return result


CALLS: list[int] = []


def worst(result: Result, instance: AssignmentInstance) -> Result:
    """The rows in order, called the optimum."""
    plain = Assignment(np.arange(instance.n_rows))
    return Result(plain, Status.OPTIMAL) if np.isfinite(float(instance.value(plain))) else result


def moody(result: Result, instance: AssignmentInstance) -> Result:
    """Other columns at every call."""
    CALLS.append(1)
    turned = Assignment((np.arange(instance.n_rows) + len(CALLS)) % instance.n_cols)
    return Result(turned) if np.isfinite(float(instance.value(turned))) else result


def crash(result: Result, instance: AssignmentInstance) -> Result:
    """An answer that is none."""
    raise ZeroDivisionError(f"{result.status} {instance.kind}")


WRONG: dict[str, tuple[str, Callable[[Result, AssignmentInstance], Result]]] = {
    "bound": ("bound", lambda result, instance: replace(result, bound=result.bound + 1.0)),
    "optimum": ("optimal", worst),
    "infeasible": ("infeasible", lambda result, instance: Result(None, Status.INFEASIBLE)),
    "twice-a-column": ("infeasible", lambda result, instance: Result(Assignment(np.zeros(instance.n_rows, int)))),
    "crash": ("crash", crash),
    "seed": ("seed", moody),
}


def wrong(spoil: Callable[[Result, AssignmentInstance], Result]) -> Solver:
    """A solver with this fault."""

    @dataclass(frozen=True)
    class Wrong(Honest):
        """Lies."""

        name = "wrong"

        def spoil(self, result: Result, instance: AssignmentInstance, rng: np.random.Generator) -> Result:
            del rng
            return spoil(result, instance)

    return Wrong()


def found(solver: Solver, most: int) -> Iterator[str]:
    """The sorts of failures of a solver, besides an honest one, as they come."""
    run = fuzz([Honest(), solver], seconds=60.0, seed=3, most=most)
    return (failure.what for _, _, failures, _ in run for failure in failures if failure.solver == solver.name)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_solvers_are_found(name: str) -> None:
    """Each within forty instances, of the sort it is."""
    what, spoil = WRONG[name]
    assert what in found(wrong(spoil), 40)


def spin(result: Result, instance: AssignmentInstance) -> Result:
    """Without end."""
    while True:
        result = replace(result, message=instance.kind)


def test_a_solver_past_its_limit_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, and no disagreement: in a solve the host ends its process."""
    monkeypatch.setattr("matchopt.testing.jury.HANGING", 0.05)
    run = fuzz([wrong(spin)], seconds=60.0, seed=3, most=4, solve_seconds=0.05)
    *_, (_, _, _, table) = run
    assert table.counts["wrong"]["late"] > 0 and not table.failures


def test_an_enumeration_that_takes_too_long_judges_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is broken off, and the solvers are judged by each other."""
    begun = []

    def endless(instance: AssignmentInstance) -> None:
        begun.append(instance)
        while True:
            pass

    monkeypatch.setattr("matchopt.testing.jury.HANGING", 0.2)
    monkeypatch.setattr("matchopt.testing.jury.brute_force", endless)
    instance = AssignmentInstance([[1, 2], [3, 4]])
    answers, failures = judged(instance, [load_plugins().make("hungarian")], 1.0, repeat=False)
    assert begun == [instance] and answers[0].objective == 5 and not failures


def test_honest_solvers_pass() -> None:
    """Nothing is found against one whose answers are true."""
    assert not set(found(Honest(), 40))


def test_every_field_is_drawn() -> None:
    """Every field of hardware, rules, objectives and networks has its generator."""
    assert {field.name for field in fields(Hardware)} == {"weights", *drawn.HARDWARE}
    assert {field.name for field in fields(Rules)} == set(drawn.RULES)
    assert {field.name for field in fields(NetworkInstance)} == {*drawn.NETWORK, *drawn.NETWORK_PLAIN}
    assert set(ALL_OBJECTIVES) == set(drawn.OBJECTIVES)


def test_every_demand_is_drawn() -> None:
    """Layers and networks with every demand there is come among a thousand instances."""
    demands = frozenset[str]().union(*(instance_number(0, number, 3).demands for number in range(1000)))
    assert {*BY_KIND["layer"], *BY_KIND["network"]} <= demands


def test_an_instance_is_saved_and_drawn_again(tmp_path: Path) -> None:
    """By seed and number, or from the file beside which it says what was found."""
    run = fuzz([wrong(crash)], seconds=60.0, seed=3, most=40)
    number, instance, failures = next((n, one, failures) for n, one, failures, _ in run if failures)
    place = save(tmp_path, number, instance, failures)
    assert instance_number(3, number, 3).digest == instance.digest
    assert f"matchopt fuzz --replay {place.name}" in place.with_suffix(".txt").read_text()


SLOW, LONG = pytest.mark.slow, pytest.mark.long


@pytest.mark.parametrize("most", [4, pytest.param(40, marks=SLOW), pytest.param(1000, marks=[SLOW, LONG])])
def test_shipped_solvers_agree(most: int) -> None:
    """No disagreement of the quick ones over random instances."""
    registry = load_plugins()
    names = [
        "hungarian",
        "greedy",
        "greedy-pairs",
        "random",
        "random-wiring",
        "milp",
        "lagrangian",
        "lagrangian-layer",
        "crossbar-exact",
    ]
    run = fuzz([registry.make(name) for name in names], seconds=600.0, seed=1, most=most)
    assert [(n, failure) for n, _, failures, _ in run for failure in failures] == []
