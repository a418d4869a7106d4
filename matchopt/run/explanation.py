"""Why an instance has no solution: a smallest set of rows that cannot be served together, in words.

Rows that fit too few columns or hardware neurons are counted (P. Hall). Everything else goes by trying: of the target
neurons of a layer, or the rows of a program, a smallest set that is infeasible is found by halving (U. Junker,
"QuickXplain: preferred explanations and relaxations for over-constrained problems", AAAI 2004). That a set is feasible
is shown by a solution of it, which the checker has seen.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from matchopt.checker import is_feasible
from matchopt.errors import Refused
from matchopt.instances import (
    AssignmentInstance,
    Gains,
    Instance,
    LayerInstance,
    NetworkInstance,
    ProgramInstance,
    ProgramPoint,
    Target,
    WeightError,
)
from matchopt.proofs import certify_infeasible, constructed
from matchopt.proofs.infeasible import Crowded, crowded
from matchopt.reduce import reduction

SHOWN = 12  # members, or terms of a row, that a sentence names
COUNTED, TRIED = "counted", "HiGHS found no solution of them"


@dataclass(frozen=True)
class Explanation:
    """A smallest reason for infeasibility: without any one of its members the others have a solution.

    Parameters
    ----------
    sentence : the reason in words.
    members : rows of an assignment, target neurons, or rows or variables of a program, by name.
    columns : what they have for them, where that was counted: columns, or numbers of hardware neurons.
    by : how it is known that they have no solution: they were counted, or an exact engine tried.
    """

    sentence: str
    members: tuple[str, ...]
    columns: tuple[int, ...] = ()
    by: str = COUNTED


def explain(instance: Instance, *, seconds: float = 60.0) -> Explanation | None:
    """Explain why an instance has no solution; None where it has one.

    Parameters
    ----------
    instance : of any kind.
    seconds : time to spend on trying; what is counted takes none to speak of.

    Raises
    ------
    Refused
        when the time was too short, or the instance does not reduce to a program that can be tried.
    """
    deadline = time.monotonic() + seconds
    match instance:
        case NetworkInstance() if not instance.one_chip:
            instance = replace(instance, layers=tuple(map(_plainer, instance.layers)), objective=None)
            found = _of_one_of(instance.layers, deadline)
            if found is not None or (instance.tunable is None and not instance.chained):  # nothing couples the layers
                return found
        case NetworkInstance():
            instance = replace(instance, objective=None)
        case LayerInstance():
            instance = _plainer(instance)
    if not instance.demands & {"several-neurons", "copies", "chained"} and not isinstance(instance, ProgramInstance):
        counted = crowded(instance)
        if counted is not None:
            return _of_crowded(instance, counted)
    if _solved(instance, deadline):
        return None
    match instance:
        case LayerInstance():
            return _of_layer(instance, deadline)
        case NetworkInstance():
            return _of_network(instance, deadline)
        case ProgramInstance():
            return _of_program(instance, deadline)
    raise Refused(f"no reason is known why this {instance.kind} instance has no solution")


def _plainer(layer: LayerInstance) -> LayerInstance:
    """A layer that has a solution where the given one has: errors, gains, noise and writes are left out."""
    rules = replace(layer.rules, gains=Gains.finite(layer.rules.gains.default), writes=None)
    none: Any = None  # for the default
    hardware = replace(layer.hardware.fixed(), variance=none, off=none)
    return replace(layer, hardware=hardware, rules=rules, objective=WeightError())


def _of_crowded(instance: Instance, found: Crowded) -> Explanation:
    if isinstance(instance, AssignmentInstance):
        rows = [f"row {i}" for _, i in found.rows]
        few = f"{_only_so_many(len(found.columns), 'column')}{' between them' if found.columns else ''}"
        return Explanation(f"{_these(rows, 'row')} may take {few}{_listed(found.columns)}", tuple(rows), found.columns)
    layers = instance.layers if isinstance(instance, NetworkInstance) else (instance,)
    plain = [layer for layer in layers if isinstance(layer, LayerInstance)]
    names = [_name(n, i, isinstance(instance, NetworkInstance)) for n, i in found.rows]
    least = min(int(plain[n].target.fan_in[i]) - plain[n].rules.tunable for n, i in found.rows)
    wired = any(layer.hardware.hard_wired for layer in plain)
    what = "the cells that are needed" if wired else f"{_count(least, 'usable cell')} or more"
    verb, few = "share" if len(names) > 1 else "fits", _only_so_many(len(found.columns), "hardware neuron")
    sentence = f"{_these(names, 'target neuron')} {verb} {few} with {what}"
    return Explanation(sentence + _listed(found.columns), tuple(names), found.columns)


def _of_one_of(layers: Sequence[LayerInstance], deadline: float) -> Explanation | None:
    """Why the first layer has none that has none by itself."""
    for n, layer in enumerate(layers):
        found = explain(layer, seconds=deadline - time.monotonic())
        if found is not None:
            members = tuple(f"layer {n} {member}" for member in found.members)
            return replace(found, sentence=f"layer {n}: {found.sentence}", members=members)
    return None


def _of_network(network: NetworkInstance, deadline: float) -> Explanation:
    """The smallest set of target neurons whose connections cannot all be served, though those of a layer can."""
    rows = [(n, i) for n, layer in enumerate(network.layers) for i in np.flatnonzero(layer.target.fan_in).tolist()]

    def infeasible(some: Sequence[int]) -> bool:
        return not _solved(_emptied(network, {rows[k] for k in some}), deadline)

    chosen = [rows[k] for k in _smallest(range(len(rows)), infeasible)]
    names = [_name(n, i, True) for n, i in chosen]
    facts = ["the layers share one chip"] if network.one_chip else []
    facts += ["arrays are chained: what sits on a neuron arrives on the line of its number"] if network.chained else []
    if network.tunable is not None:
        facts.append(f"the network allows {_count(network.tunable, 'tunable weight')}")
    sentence = f"the connections of {_these(names, 'target neuron')} cannot be served together"
    return Explanation("; ".join([sentence, *facts]), tuple(names), by=TRIED)


def _emptied(network: NetworkInstance, kept: set[tuple[int, int]]) -> NetworkInstance:
    """The network with the connections of these target neurons alone."""
    layers = []
    for n, layer in enumerate(network.layers):
        target, rows = layer.target, [i for m, i in kept if m == n]
        own = np.isin(target.row_of, np.array(rows, dtype=np.int64))
        starts = np.concatenate([[0], np.cumsum(own)])[target.indptr]
        parts = (target.indices[own], target.weights[own], target.n_inputs, target.importance[own])
        layers.append(replace(layer, target=Target(starts, *parts)))
    return replace(network, layers=tuple(layers))


def _of_layer(layer: LayerInstance, deadline: float) -> Explanation:
    """The smallest set of target neurons that cannot be mapped together."""
    rows = _smallest(range(layer.n_rows), lambda some: not _solved(_only(layer, some), deadline))
    part, chip, facts = _only(layer, rows), layer.hardware, []
    if not chip.free_routing:
        buses = len(set(chip.bus.tolist()))
        lines = (
            f"the one bus has {chip.n_cells} lines" if buses == 1 else f"{buses} buses have {chip.n_cells} lines each"
        )
        facts.append(f"they listen to {_count(len(set(part.target.indices.tolist())), 'input')}, and {lines}")
    held = int(chip.n_usable.max(initial=0)) * layer.rules.neurons_per_row
    beyond = int(np.maximum(0, part.target.fan_in - held).sum())
    if beyond:
        allowed = f"may have {_count(layer.rules.tunable, 'tunable weight')}"
        facts.append(f"they have {_count(beyond, 'connection')} more than hardware neurons have cells, and {allowed}")
    if layer.rules.neurons > 1:
        most = f"each may have {layer.rules.neurons} hardware neurons, of which there are {chip.n_neurons}"
        facts.append(f"they have {_count(part.target.n_connections, 'connection')}, and {most}")
    names = [f"row {i}" for i in rows]
    sentence = f"{_these(names, 'target neuron')} cannot be mapped together" + "".join(f"; {fact}" for fact in facts)
    return Explanation(sentence, tuple(names), by=COUNTED if certify_infeasible(part) else TRIED)


def _of_program(program: ProgramInstance, deadline: float) -> Explanation:
    """The smallest set of rows that cannot hold together; of variables whose own bounds cross, the first."""
    low = np.where(program.integral, np.ceil(program.low), program.low)
    crossed = np.flatnonzero(low > np.where(program.integral, np.floor(program.high), program.high))
    if len(crossed):
        v = int(crossed[0])
        kind = "whole number" if program.integral[v] else "number"
        sentence = (
            f"variable {program.variable_name(v)} must be a {kind} from {program.low[v]:g} to {program.high[v]:g}"
        )
        return Explanation(sentence, (program.variable_name(v),))
    rows = _smallest(range(program.n_rows), lambda some: not _solved(_kept(program, some), deadline))
    said = [_row_text(program, i) for i in rows[:SHOWN]]
    more = f"; and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    verb = "cannot hold together within the bounds of their variables" if len(rows) > 1 else "cannot hold"
    text = f"{_count(len(rows), 'row')} {verb}: {'; '.join(said)}{more}"
    return Explanation(text, tuple(program.row_name(i) for i in rows), by=TRIED)


def _smallest(members: Sequence[int], infeasible: Callable[[Sequence[int]], bool]) -> list[int]:
    """A set that is infeasible, all its proper subsets being feasible; the whole is known to be infeasible."""

    def among(kept: list[int], changed: bool, open_: list[int]) -> list[int]:
        if changed and infeasible(kept):
            return []
        if len(open_) <= 1:
            return open_
        first, second = open_[: len(open_) // 2], open_[len(open_) // 2 :]
        of_second = among([*kept, *first], True, second)
        return among([*kept, *of_second], bool(of_second), first) + of_second

    return sorted(among([], False, list(members)))


def _solved(instance: Instance, deadline: float) -> bool:
    """Whether the instance has a solution: one that is plain, or one that HiGHS finds for its program."""
    plain = constructed(instance)
    if plain is not None and is_feasible(instance, plain):
        return True
    decided = certify_infeasible(instance)
    if decided is not None:
        return not decided
    step, points = reduction(instance, ProgramInstance), []
    for part in step.parts:
        assert isinstance(part, ProgramInstance)
        point = _point(part, deadline)
        if point is None:
            return False
        points.append(point)
    if not is_feasible(instance, step.lift(points)):
        raise Refused("what HiGHS calls a solution is none: the tolerances of floats do not decide this instance")
    return True


def _point(program: ProgramInstance, deadline: float) -> ProgramPoint | None:
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    crossed = bool((program.low > program.high).any()) or bool((program.row_low > program.row_high).any())
    if crossed or program.n_variables == 0:  # of which the only point was tried
        return None
    shape = (program.n_rows, program.n_variables)
    rows = csr_array((program.coefficients, program.indices, program.indptr), shape=shape)
    left = deadline - time.monotonic()
    found = milp(
        np.zeros(program.n_variables),
        integrality=program.integral.astype(np.uint8),
        bounds=Bounds(program.low, program.high),
        constraints=LinearConstraint(rows, program.row_low, program.row_high) if program.n_rows else None,
        options={"time_limit": max(left, 0.01)},
    )
    if found.x is not None:
        return ProgramPoint(np.where(program.integral, np.round(found.x), found.x))
    if found.status != 2 or left <= 0:
        raise Refused("whether it has a solution was not decided in the time; give more with --seconds")
    return None


def _only(layer: LayerInstance, rows: Sequence[int]) -> LayerInstance:
    """The layer with these target neurons alone."""
    target = layer.target
    parts = [target.row(i) for i in rows]
    indices, weights, importance = (
        np.concatenate([array[:0], *(array[part] for part in parts)])
        for array in (target.indices, target.weights, target.importance)
    )
    starts = np.concatenate([[0], np.cumsum([part.stop - part.start for part in parts])]).astype(np.int64)
    return replace(layer, target=Target(starts, indices, weights, target.n_inputs, importance))


def _kept(program: ProgramInstance, rows: Sequence[int]) -> ProgramInstance:
    """The program with these rows alone."""
    parts = [slice(int(program.indptr[i]), int(program.indptr[i + 1])) for i in rows]
    starts = np.concatenate([[0], np.cumsum([part.stop - part.start for part in parts])]).astype(np.int64)
    indices, coefficients = (
        np.concatenate([array[:0], *(array[part] for part in parts)])
        for array in (program.indices, program.coefficients)
    )
    chosen = np.array(rows, dtype=np.int64)
    low, high = program.row_low[chosen], program.row_high[chosen]
    rows_of = (program.cost, starts, indices, coefficients, low, high)
    return ProgramInstance(*rows_of, program.low, program.high, program.integral)


def _row_text(program: ProgramInstance, i: int) -> str:
    variables, coefficients = program.row(i)
    pairs = list(zip(variables.tolist(), coefficients.tolist(), strict=True))
    terms = " + ".join(f"{c:g} {program.variable_name(v)}" for v, c in pairs[:SHOWN]).replace("+ -", "- ") or "0"
    more = f" + {len(pairs) - SHOWN} more terms" if len(pairs) > SHOWN else ""
    low, high = program.row_low[i], program.row_high[i]
    ends = f"= {low:g}" if low == high else " and ".join(
        f"{sign} {end:g}" for sign, end in ((">=", low), ("<=", high)) if np.isfinite(end)
    )  # fmt: skip
    return f"{program.row_name(i)}: {terms}{more} {ends}"


def _these(names: Sequence[str], what: str) -> str:
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    listed = f"({', '.join(names[:SHOWN])}{rest})"
    return f"this {what} {listed}" if len(names) == 1 else f"these {_count(len(names), what)} {listed}"


def _name(n: int, i: int, several: bool) -> str:
    return f"layer {n} row {i}" if several else f"row {i}"


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def _only_so_many(number: int, what: str) -> str:
    return f"only {_count(number, what)}" if number else f"no {what}"


def _listed(columns: Sequence[int]) -> str:
    if not columns:
        return ""
    rest = f" and {len(columns) - SHOWN} more" if len(columns) > SHOWN else ""
    return f" ({', '.join(map(str, columns[:SHOWN]))}{rest})"
