"""Objectives of mappings, written down as docs/mathematics.md defines them."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from matchopt.checker.report import total
from matchopt.errors import Refused
from matchopt.instances import LayerInstance, LayerMapping, OutputError, WeightError


@dataclass(frozen=True)
class RealisedRow:
    """What the chip computes for one target neuron.

    Parameters
    ----------
    weight : realised weight by input; inputs that are left out are 0.
    noise : read-noise variance behind each input, of each cell times the square of its factor; inputs that are left out
        are 0.
    """

    weight: dict[int, float]
    noise: dict[int, float]


def realised_rows(instance: LayerInstance, mapping: LayerMapping) -> Iterator[RealisedRow]:
    """The realised weights of a feasible mapping, row by row, so that never all of them are held."""
    hardware, target = instance.hardware, instance.target
    buses = hardware.bus[mapping.neuron_of].tolist()
    driven: dict[int, dict[int, int]] = defaultdict(dict)  # bus of several neurons: line: the input it carries
    sharing = Counter(buses)
    for a, bus in enumerate(buses):
        if sharing[bus] == 1:
            continue
        for k, x in mapping.wires(a):
            driven[bus][k] = x
    places: dict[int, list[int]] = defaultdict(list)
    for a, i in enumerate(mapping.row.tolist()):
        places[i].append(a)
    tuned: dict[int, list[tuple[int, float]]] = defaultdict(list)  # row: input and value of tunable connections
    values = target.weights[mapping.tunable] if mapping.tuned is None else mapping.tuned
    for e, value in zip(mapping.tunable.tolist(), values.tolist(), strict=True):
        tuned[int(target.row_of[e])].append((int(target.indices[e]), value))
    for i in range(instance.n_rows):
        cells: dict[int, list[float]] = defaultdict(list)
        noise: dict[int, list[float]] = defaultdict(list)
        shares = len(places[i]) if instance.rules.copies > 1 else 1  # copies are averaged, parts of a row add
        for a in places[i]:
            j, factor, used = int(mapping.neuron_of[a]), float(mapping.gain[a]) / shares, mapping.wires(a)
            for n, (k, x) in enumerate(used, start=int(mapping.wire_indptr[a])):
                written = math.nan if mapping.written is None else float(mapping.written[n])
                reads, variance = _reading(instance, j, k, written)
                cells[x].append(factor * reads)
                noise[x].append(factor * factor * variance)
            own = {k for k, _ in used}
            others = driven[buses[a]] if len(driven[buses[a]]) > len(own) else {}  # other lines are driven too
            leaking = hardware.hard_wired & (hardware.input[j] >= 0) & (hardware.off[j] != 0)
            always = {k: int(hardware.input[j, k]) for k in np.flatnonzero(leaking).tolist()}  # whoever listens
            for k, x in {**others, **always}.items():
                if k not in own:  # switched-off cells leak
                    cells[x].append(factor * float(hardware.off[j, k]))
        weight = {x: total(terms) for x, terms in cells.items()}
        weight.update(tuned[i])
        yield RealisedRow(weight, {x: total(terms) for x, terms in noise.items()})


def _reading(instance: LayerInstance, j: int, k: int, written: float) -> tuple[float, float]:
    """What a cell reads with this value written into it, NaN for none, and the variance of that."""
    hardware = instance.hardware
    if math.isnan(written):
        return float(hardware.weights[j, k]), float(hardware.variance[j, k])
    for level, variance in zip(hardware.levels[j, k].tolist(), hardware.level_variance[j, k].tolist(), strict=True):
        if level == written:
            return level, variance
    return float(written), float(hardware.write_variance[j, k])


def layer_objective(instance: LayerInstance, mapping: LayerMapping) -> float:
    """The layer's objective at a feasible mapping."""
    rows = realised_rows(instance, mapping)
    if isinstance(instance.objective, OutputError):
        moments = instance.objective.second_moments
        return total(_row_output_error(instance, moments, i, row) for i, row in enumerate(rows))
    if isinstance(instance.objective, WeightError):
        return total(_row_weight_error(instance, i, row) for i, row in enumerate(rows))
    raise Refused(f"the checker does not know the objective {instance.objective.name}")


def _row_weight_error(instance: LayerInstance, i: int, row: RealisedRow) -> float:
    target, part = instance.target, instance.target.row(i)
    inputs = target.indices[part].tolist()
    wanted = dict(zip(inputs, target.weights[part].tolist(), strict=True))
    importance = dict(zip(inputs, target.importance[part].tolist(), strict=True))
    terms = []
    for x in {**wanted, **row.weight}:
        error = wanted.get(x, 0.0) - row.weight.get(x, 0.0)
        terms.append(importance.get(x, 1.0) * (error * error + row.noise.get(x, 0.0)))
    return total(terms)


def _row_output_error(instance: LayerInstance, moments: np.ndarray, i: int, row: RealisedRow) -> float:
    target, part = instance.target, instance.target.row(i)
    error: dict[int, float] = dict(zip(target.indices[part].tolist(), target.weights[part].tolist(), strict=True))
    for x, weight in row.weight.items():
        error[x] = error.get(x, 0.0) - weight
    inputs = sorted(error)
    vector = np.array([error[x] for x in inputs])
    quadratic = float(vector @ moments[np.ix_(inputs, inputs)] @ vector)
    return total([quadratic, *(float(moments[x, x]) * noise for x, noise in row.noise.items())])
