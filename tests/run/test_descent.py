"""Solving by parts: limits shared, statuses and bounds put together, incumbents lifted."""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest

from matchopt import (
    Hardware,
    LayerInstance,
    LayerMapping,
    Limit,
    Limits,
    NetworkInstance,
    NetworkMapping,
    Refused,
    Result,
    Solver,
    Status,
    Target,
    solve,
)
from matchopt.checker import check
from matchopt.errors import PluginError
from matchopt.reduce import Reduction
from matchopt.run import descent
from matchopt.run.descent import solve_parts

RNG = np.random.default_rng(5)


def layer(rows, inputs):
    """A layer with as many cells as inputs and one spare neuron."""
    target = Target.from_dense(RNG.standard_normal((rows, inputs)))
    return LayerInstance(target, Hardware(RNG.standard_normal((rows + 1, inputs))))


NETWORK = NetworkInstance((layer(3, 2), layer(2, 3), layer(2, 2)), tuple(np.zeros(m) for m in (3, 2, 2)))


def identity(part):
    """Row i on neuron i, weight by weight."""
    wide = part.target.n_inputs
    cells = np.tile(np.arange(wide), (part.n_rows, 1))
    return LayerMapping.from_cells(part.target, np.arange(part.n_rows), cells.reshape(-1))


@dataclass(frozen=True)
class Script(Solver):
    """Answers part after part from a list."""

    name = "script"
    solves = LayerInstance

    def solve(self, instance, limits, rng):
        return next(ANSWERS)(instance, limits)


def run(*answers, **limits):
    """The result for the network, its incumbents, and the descent."""
    global ANSWERS
    ANSWERS = itertools.chain(answers)
    seen = []
    told = Limits(on_incumbent=lambda *pair: seen.append(pair), **limits)
    result, replaced = solve_parts(NETWORK, Script(), np.random.default_rng(0), told)
    assert not replaced
    return result, seen


def answer(status=Status.OPTIMAL, bound=-math.inf, **more):
    """A part's answer with its identity mapping."""
    return lambda part, limits: Result(identity(part), status, bound=bound, **more)


def test_the_whole_is_optimal_only_if_all_parts_are():
    """Bounds add up, counters too, and the lifted solution is feasible."""
    result, _ = run(*(answer(bound=float(b), stats={"nodes": b, "engine": f"e{b}"}) for b in (1, 2, 3)))
    assert (result.status, result.bound, result.stats) == (Status.OPTIMAL, 6.0, {"nodes": 6, "engine": "e3"})
    assert isinstance(result.solution, NetworkMapping) and check(NETWORK, result.solution).feasible


@pytest.mark.parametrize("status", [Status.FEASIBLE, Status.UNKNOWN, Status.INFEASIBLE, Status.ERROR])
def test_one_lesser_part_makes_the_whole_lesser(status):
    """The worst status wins; a missing bound leaves none."""
    result, _ = run(answer(bound=1.0), answer(status), answer(bound=1.0))
    assert result.status is status and result.bound == -math.inf


@pytest.mark.parametrize("status", [Status.UNKNOWN, Status.INFEASIBLE, Status.ERROR])
def test_a_part_without_a_solution_ends_the_solve(status):
    """Its status is the whole's, and the message says which part."""
    result, _ = run(answer(), lambda part, limits: Result(None, status, Limit.TIME, message="why"))
    assert (result.status, result.limit, result.solution) == (status, Limit.TIME, None)
    assert result.message == "part 1 of 3 has no solution; why"


def test_time_is_shared_half_by_size_and_left_over_time_is_passed_on():
    """Each part may use its share of what remains, half of it by the data it holds."""
    given, sizes = [], []

    def note(part, limits):
        given.append(limits.seconds)
        sizes.append(1 + sum(array.size for array in part.parts().arrays.values()))
        return Result(identity(part))

    run(note, note, note, seconds=30.0)
    for number in range(3):
        share = 0.5 / (3 - number) + 0.5 * sizes[number] / sum(sizes[number:])
        assert given[number] == pytest.approx(30 * share, rel=0.1)
    given.clear()
    run(note, note, note, seconds=1e-9)
    assert all(0 <= seconds < 1e-8 for seconds in given)


def test_no_limit_stays_no_limit():
    """And the other limits reach every part."""
    given = []

    def note(part, limits):
        given.append((limits.seconds, limits.iterations, limits.threads, limits.start))
        return Result(identity(part))

    run(note, note, note, iterations=7, threads=2)
    assert given == [(None, 7, 2, None)] * 3


def test_incumbents_of_the_last_part_are_lifted():
    """Earlier parts have no whole solution yet, unless there is a warm start for the others."""

    def report(part, limits):
        limits.report(identity(part), 1.0)
        return Result(identity(part), bound=1.0)

    _, seen = run(report, report, report)
    assert len(seen) == 1 and check(NETWORK, seen[0][0]).feasible and seen[0][1] == 3.0
    start = NetworkMapping(tuple(identity(part) for part in NETWORK.layers))
    _, seen = run(report, report, report, start=start)
    assert len(seen) == 3 and [bound for _, bound in seen] == [-math.inf, -math.inf, 3.0]


def test_a_last_bound_does_not_replace_a_better_one():
    """What a part reported stays proved, whatever it returns at its end."""

    def forgets(part, limits):
        limits.report(identity(part), 5.0)
        return Result(identity(part), bound=3.0)

    def improves(part, limits):
        limits.report(identity(part), 1.0)
        return Result(identity(part), bound=2.0)

    result, seen = run(forgets, improves, forgets)
    assert result.bound == 12.0 and seen[0][1] == 12.0


def test_the_warm_start_reaches_the_parts():
    """Each part gets its own."""
    start = NetworkMapping(tuple(identity(part) for part in NETWORK.layers))

    def note(part, limits):
        assert check(part, limits.start).feasible
        return Result(limits.start)

    result, _ = run(note, note, note, start=start)
    assert result.solution.digest == start.digest


@dataclass(frozen=True)
class Beginner(Script):
    """Wants something to begin with."""

    begins = True


def begun(*answers, **limits):
    """The result for the network by a solver that begins with something, and its incumbents."""
    global ANSWERS
    ANSWERS = itertools.chain(answers)
    seen = []
    told = Limits(on_incumbent=lambda *pair: seen.append(pair), **limits)
    return solve_parts(NETWORK, Beginner(), np.random.default_rng(0), told)[0], seen


def test_a_solver_that_begins_with_something_never_ends_with_nothing():
    """A solution is made and reported at once; it stands where a part ends without one, or with a worse one."""
    nothing = lambda part, limits: Result(None, limit=Limit.TIME)  # noqa: E731
    result, seen = begun(nothing, nothing, nothing)
    assert (result.status, result.limit) == (Status.FEASIBLE, Limit.TIME)
    assert len(seen) == 1 and seen[0][0].digest == result.solution.digest
    assert check(NETWORK, result.solution).feasible
    made = result.solution

    def no_better(part, limits):
        assert check(part, limits.start).feasible
        return Result(identity(part))

    result, _ = begun(no_better, no_better, no_better)
    pairs = zip(NETWORK.layers, made.layers, strict=True)
    least = [min(part.value(identity(part)), part.value(own)) for part, own in pairs]
    assert NETWORK.value(result.solution) == pytest.approx(sum(least))
    result, _ = begun(answer(Status.FEASIBLE), lambda part, limits: Result(None, Status.ERROR, message="why"))
    assert (result.solution, result.status) == (None, Status.ERROR)
    given = NetworkMapping(tuple(identity(part) for part in NETWORK.layers))
    result, seen = begun(nothing, start=given)
    assert result.solution is None and not seen


@pytest.mark.slow
@pytest.mark.parametrize("name", ["milp", "cpsat"])
def test_an_exact_engine_without_time_has_a_solution(name):
    """Whatever the machine is busy with."""
    pytest.importorskip("ortools" if name == "cpsat" else "scipy")
    run = solve(NETWORK, name, time_limit=1e-9)
    assert run.solution is not None and run.objective >= solve(NETWORK, "hungarian").objective


def test_a_refused_part_refuses_the_whole_before_anything_is_solved():
    """The reason is the solver's."""

    @dataclass(frozen=True)
    class Picky(Script):
        def refuses(self, instance):
            return "has three inputs" if instance.target.n_inputs == 3 else None

    with pytest.raises(Refused, match="has three inputs"):
        solve_parts(NETWORK, Picky(), np.random.default_rng(0), Limits())


def test_a_solution_that_cannot_be_lifted_names_the_broken_rule(monkeypatch):
    """Whatever the reduction trips over, the message is the violation of the part."""
    part = NETWORK.layers[0]
    wrong = LayerMapping(np.array([9, 0, 1]), np.zeros(4, int), np.array([], int), np.array([], int))
    expected = check(part, wrong).violations[0].message

    def trip(solutions):
        raise IndexError("9 is out of bounds")

    monkeypatch.setattr(descent, "reduction", lambda *_: Reduction("trip", (part,), trip, lambda solution: ()))
    with pytest.raises(PluginError) as caught:
        run(lambda part, limits: Result(wrong))
    assert str(caught.value) == f"the solution of the layer instance is infeasible: {expected}"


def test_a_part_of_the_wrong_kind_is_a_broken_contract():
    """The message says what is wanted."""
    with pytest.raises(PluginError, match=r"must be a solution of type LayerMapping, found NetworkMapping"):
        run(lambda part, limits: Result(NetworkMapping(())))
