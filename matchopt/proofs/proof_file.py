"""Proofs as files that need no matchopt to read (docs/proofs.md); `tools/check_proof.py` checks them, exactly.

A certificate's potentials are written with what makes them fit in exact arithmetic: u is lowered by what rounding can
do to the costs. Where several connections of a row want one cell, their least cost on a hardware neuron is that of a
matching in order, which the checker finds itself; where no order helps, potentials w of cells are written for the pair.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from matchopt.errors import Refused
from matchopt.instances import (
    Assignment,
    AssignmentInstance,
    Instance,
    LayerInstance,
    LayerMapping,
    NetworkInstance,
    NetworkMapping,
    Solution,
)
from matchopt.instances.demands import AT_0_1, refuse_unknown, understanding
from matchopt.parts import Json
from matchopt.proofs.assignment import HALF_ULP
from matchopt.proofs.certificate import PROVED_WITHIN, TINY, Certificate, Duals
from matchopt.proofs.certify import certify
from matchopt.proofs.effort import Effort
from matchopt.proofs.infeasible import crowded
from matchopt.proofs.inner import exact_costs
from matchopt.proofs.layer import Table
from matchopt.proofs.menus import MenuTable
from matchopt.proofs.placed_lines import UNDERSTOOD as PLACED_LAYERS
from matchopt.proofs.placed_lines import placed_lines
from matchopt.proofs.separable import UNDERSTOOD as SEPARABLE
from matchopt.proofs.separable import separable
from matchopt.proofs.splits import potentials

FORMAT, SECOND = "matchopt-proof-1", "matchopt-proof-2"
GRID = 60  # potentials are multiples of the largest one's power of two over 2**GRID: whole numbers of few digits
LAYERS = SEPARABLE - {"gain-interval"} | {"tunable", "programmable-cells", "write-budget"}
NETWORKS = LAYERS | AT_0_1["network"] - AT_0_1["layer"] | {"one-chip"}
NETWORKS -= {"task-loss", "functional-error", "score-error"}
PLACED = PLACED_LAYERS | AT_0_1["network"] | {"chained"}
PLACED -= {"task-loss", "functional-error", "score-error", "network-tunable"}
COUNTED = NETWORKS | AT_0_1["layer"] | AT_0_1["assignment"]  # what changes no number of cells, or is counted


@dataclass(frozen=True)
class ProofFile:
    """A proof, as it is written: a head and a line for each layer.

    Parameters
    ----------
    head : format, claim ("optimal", "bound" or "infeasible"), digest of the instance, objective, bound, allowance.
    lines : the decision and the potentials of an assignment, or of each layer; or the rows that are too many.
    """

    head: Mapping[str, Json]
    lines: Sequence[Mapping[str, Json]]

    def to_bytes(self) -> bytes:
        """JSON, a line each; the last is the SHA-256 of all before it."""
        body = "\n".join(json.dumps(line, separators=(",", ":"), allow_nan=False) for line in (self.head, *self.lines))
        return f'{body}\n{{"sha256":"{hashlib.sha256(body.encode()).hexdigest()}"}}\n'.encode()


def proof_of(instance: Instance, solution: Solution, *, seconds: float | None = None) -> ProofFile:
    """Prove a solution optimal, or a bound on what all solutions cost, as a file.

    Parameters
    ----------
    instance, solution, seconds : see `certify`.

    Raises
    ------
    Refused
        when there is no proof, or none that such a file can hold.
    """
    if _is_placed(instance):
        return _placed(instance, solution, seconds)
    certificate = certify(instance, solution, seconds=seconds)
    if not certificate.duals and not isinstance(instance, AssignmentInstance):
        return _placed(instance, solution, seconds)
    match instance, solution:
        case AssignmentInstance(), Assignment():
            lines, bound = _of_assignment(solution, certificate)
        case LayerInstance(), LayerMapping():
            lines, bound = _of_layers(instance, [instance], [solution], certificate)
        case NetworkInstance(), NetworkMapping():
            lines, bound = _of_layers(instance, instance.layers, solution.layers, certificate)
    return _closed(instance, solution, certificate, lines, bound)


def _closed(
    instance: Instance,
    solution: Solution,
    certificate: Certificate,
    lines: Sequence[Mapping[str, Json]],
    bound: float,
    form: str = FORMAT,
) -> ProofFile:
    """The file of these lines, with the claim that follows from them."""
    objective = instance.value(solution)
    exact = certificate.allowance == 0 and certificate.optimal
    left = 0 if exact else float(objective - bound) + 1e-9 * PROVED_WITHIN * abs(objective)
    claim = "optimal" if exact or (certificate.optimal and left <= PROVED_WITHIN * abs(objective) + TINY) else "bound"
    if claim == "bound" and certificate.optimal:
        raise Refused(f"no proof file: the bound that can be written, {bound!r}, is too far below {objective!r}")
    head = _head(instance, claim) | {"format": form, "objective": objective, "bound": bound, "allowance": left}
    return ProofFile(head, lines)


def _is_placed(instance: Instance) -> bool:
    """Whether some layer asks for more than lines of the first form can say."""
    if isinstance(instance, NetworkInstance):
        return not instance.one_chip and instance.objective is None and any(map(_is_placed, instance.layers))
    return isinstance(instance, LayerInstance) and not instance.demands <= LAYERS


@understanding("the proof file", PLACED)
def _placed(instance: Instance, solution: Solution, seconds: float | None) -> ProofFile:
    layers = [instance] if isinstance(instance, LayerInstance) else getattr(instance, "layers", ())
    parts = [solution] if isinstance(solution, LayerMapping) else getattr(solution, "layers", ())
    lines, bound = placed_lines(layers, parts, partial(certify, seconds=seconds))
    objective = instance.value(solution)
    allowance = objective - bound
    optimal = allowance <= PROVED_WITHIN * abs(objective) + TINY
    known = Certificate(bound, optimal, False, allowance, "second form")
    return _closed(instance, solution, known, lines, bound, SECOND)


@understanding("the proof file", COUNTED)
def proof_of_infeasible(instance: Instance) -> ProofFile:
    """Prove that there is no solution, as a file: rows that together fit fewer columns, or neurons, than they are many.

    Raises
    ------
    Refused
        when no such rows are found, or the instance has a demand that the file's readers do not know.
    """
    found = crowded(instance)
    if found is None:
        raise Refused(
            "no proof file: no rows are known that fit fewer hardware neurons, or columns, than they are many"
        )
    return ProofFile(_head(instance, "infeasible"), [{"rows": found.rows, "columns": found.columns}])


def _head(instance: Instance, claim: str) -> dict[str, Json]:
    return {"format": FORMAT, "claim": claim, "kind": instance.kind, "name": instance.name, "instance": instance.digest}


def _duals(certificate: Certificate) -> tuple[Duals, ...]:
    if not certificate.duals:
        raise Refused(f"no proof file can hold this proof yet: {certificate.method}, see docs/proofs.md")
    return certificate.duals


def _of_assignment(solution: Assignment, certificate: Certificate) -> tuple[list[dict[str, Json]], float | int]:
    (duals,) = _duals(certificate)
    v, u = duals.columns, duals.rows
    if v.dtype.kind == "f":
        v = _snapped(np.minimum(v, 0.0), v)
        u = u - 8.0 * HALF_ULP * (np.abs(u) + float(np.abs(duals.columns).max(initial=0.0)))
    line = {"neurons": solution.col_of.tolist(), "rows": u.tolist(), "columns": v.tolist(), "price": 0}
    return [line], _sum([*line["rows"], *line["columns"]])


def _of_layers(
    instance: LayerInstance | NetworkInstance,
    layers: Sequence[LayerInstance],
    parts: Sequence[LayerMapping],
    certificate: Certificate,
) -> tuple[list[dict[str, Json]], float]:
    refuse_unknown(instance, NETWORKS if isinstance(instance, NetworkInstance) else LAYERS, "the proof file")
    limit = instance.tunable if isinstance(instance, NetworkInstance) else None
    lines = [_of_layer(*each, limit) for each in zip(layers, parts, _duals(certificate), strict=True)]
    chip: dict[Any, float] = {}
    terms: list[float | Fraction] = [u for line in lines for u in line["rows"]]
    sharing = []
    for n, (layer, line) in enumerate(zip(layers, lines, strict=True)):
        shared = isinstance(instance, NetworkInstance) and instance.one_chip
        names = layer.hardware.neuron.tolist()
        chip |= zip(names if shared else [(n, name) for name in names], line["columns"], strict=True)
        tunable = _tunable(layer, limit)
        terms.append(-Fraction(line["price"]) * (tunable or layer.rules.writes or 0))
        sharing += [(line["price"], tunable)] if tunable else []
    if limit is not None and sharing:
        terms.append(Fraction(min(sharing)[0]) * max(0, sum(tunable for _, tunable in sharing) - limit))
    return lines, max(0.0, float(_sum([*terms, *chip.values()])))


def _tunable(layer: LayerInstance, limit: int | None) -> int:
    most = min(layer.rules.tunable, layer.target.n_connections)
    return most if limit is None else min(most, limit)


def _of_layer(layer: LayerInstance, part: LayerMapping, duals: Duals, limit: int | None) -> dict[str, Json]:
    """The line of a layer: the decision connection by connection, u, v, and w of the pairs that need it."""
    layer = replace(layer, hardware=layer.hardware.fixed()) if layer.rules.writes == 0 else layer
    table = _table(layer, duals.price, limit)
    v = _snapped(np.minimum(duals.columns, 0.0), duals.columns)
    problem = table.problem
    off = problem.rounding[:, None]
    costs = table.bounds - off * (np.where(np.isinf(table.bounds), 0.0, table.bounds) + problem.dropped[:, None])
    rows, neurons = np.nonzero(costs < duals.rows[:, None] + v)
    pairs, ordered = [], problem.uniform[rows] & (not layer.hardware.programmable)
    known = exact_costs(problem, rows[ordered], neurons[ordered]) if ordered.any() else np.zeros(0)
    costs[rows[ordered], neurons[ordered]] = known - problem.rounding[rows[ordered]] * (
        np.where(np.isinf(known), 0.0, known) + problem.dropped[rows[ordered]]
    )
    for i, j in zip(rows[~ordered].tolist(), neurons[~ordered].tolist(), strict=True):
        costs[i, j], helped = _helped(table, i, j)
        pairs.append([i, j, *helped])
    u = (costs - v).min(axis=1, initial=np.inf)
    u = _snapped(u - 8.0 * HALF_ULP * (np.abs(u) + float(np.abs(v).max(initial=0.0))), u)
    values = layer.rules.gains.values or ()
    found = {"neurons": part.neuron_of.tolist(), "gains": [values.index(gain) for gain in part.gain.tolist()]}
    found |= {"cells": _places(layer, part), "rows": u.tolist(), "columns": v.tolist()}
    return found | {"price": duals.price, "pairs": pairs}


def _table(layer: LayerInstance, price: float, limit: int | None) -> MenuTable:
    """The layer's pairs with every connection on its cheapest cell."""
    plain = replace(layer, rules=replace(layer.rules, tunable=0, writes=None))
    if plain.hardware.programmable:
        return MenuTable.priced(plain, price, Effort())
    problem = separable(plain)
    if _tunable(layer, limit):
        problem = replace(problem, price=price)
    bounds = Table.of(problem, Effort())
    gains = layer.rules.gains.values or ()
    return MenuTable(problem, bounds.bounds, bounds.exact, bounds.effort, layer.hardware, gains, 0.0)


def _helped(table: MenuTable, i: int, j: int) -> tuple[float, list[list[list[Json]]]]:
    """A lower bound on the cost of a pair, and for each gain the potentials of cells that prove it."""
    problem, cells = table.problem, np.flatnonzero(table.hardware.usable[j])
    part, best, helped = slice(int(problem.starts[i]), int(problem.starts[i + 1])), math.inf, []
    for gain in table.gains:
        cost = table.costs(j, part, gain)[0]
        wide = cost
        if problem.skip.size:
            own = np.full((len(cost), len(cost)), np.inf)
            np.fill_diagonal(own, problem.skip[part])
            wide = np.concatenate([cost, own], axis=1)
        w = potentials(wide[None])[1][0][: cost.shape[1]]
        w = _snapped(np.minimum(w, 0.0), cost)
        least = (cost - w).min(axis=1, initial=np.inf)
        least = np.minimum(least, problem.skip[part]) if problem.skip.size else least
        size = float(np.abs(least).sum() + np.abs(w).sum() + problem.dropped[i])
        best = min(best, math.fsum([*least.tolist(), *w.tolist()]) - float(problem.rounding[i]) * size)
        helped.append([[k, x] for k, x in zip(cells.tolist(), w.tolist(), strict=True) if x < 0.0])
    return best, helped


def _places(layer: LayerInstance, part: LayerMapping) -> list[list[Json]]:
    """Of each connection its cell and that one's state (0 as it is, from 1 on written), [] tunable, None dropped."""
    target, chip, tuned = layer.target, layer.hardware, set(part.tunable.tolist())
    found: list[list[Json]] = []
    for i in range(layer.n_rows):
        wires = slice(int(part.wire_indptr[i]), int(part.wire_indptr[i + 1]))
        at = {x: n for n, x in enumerate(part.input[wires].tolist(), wires.start)}
        row: list[Json] = []
        for e, x in enumerate(target.indices[target.row(i)].tolist(), int(target.indptr[i])):
            if e in tuned or x not in at:
                row.append([] if e in tuned else None)
                continue
            k, put = int(part.cell[at[x]]), math.nan if part.written is None else float(part.written[at[x]])
            levels = chip.levels[int(part.neuron_of[i]), k]
            level = np.flatnonzero(levels[~np.isnan(levels)] == put)
            row.append([k, 0 if math.isnan(put) else 1 + (int(level[0]) if len(level) else 0)])
        found.append(row)
    return found


def _snapped(values: Float[np.ndarray, "*shape"], scale: np.ndarray) -> Float[np.ndarray, "*shape"]:
    """Rounded down to a grid that is fine beside `scale`."""
    finite = np.abs(scale[np.isfinite(scale)])
    unit = 2.0 ** (math.frexp(float(finite.max(initial=0.0)))[1] - GRID)
    return np.asarray(np.floor(values / unit) * unit) if unit > 0.0 else values


def _sum(terms: Sequence[int | float | Fraction]) -> float | int:
    """The sum, exact of whole numbers, of others rounded down."""
    if all(isinstance(term, int) for term in terms):
        return int(sum(terms))
    exact = sum((Fraction(term) for term in terms), Fraction(0))
    found = float(exact)
    return found if Fraction(found) <= exact else math.nextafter(found, -math.inf)
