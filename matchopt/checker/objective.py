"""Objectives of mappings, written down as docs/mathematics.md defines them."""

from collections import defaultdict
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
    noise : gain squared times the read-noise variance behind each input; inputs that are left out are 0.
    """

    weight: dict[int, float]
    noise: dict[int, float]


def realised_rows(instance: LayerInstance, mapping: LayerMapping) -> list[RealisedRow]:
    """The realised weights of a feasible mapping, row by row."""
    hardware, target = instance.hardware, instance.target
    neurons = mapping.neuron_of.tolist()
    buses = hardware.bus[mapping.neuron_of].tolist()
    driven: dict[int, dict[int, int]] = defaultdict(dict)  # bus: line: the input it carries
    for i, bus in enumerate(buses):
        for k, x in mapping.wires(i):
            driven[bus][k] = x
    rows: list[RealisedRow] = []
    for i, (j, bus, gain) in enumerate(zip(neurons, buses, mapping.gain.tolist(), strict=True)):
        cells: dict[int, list[float]] = defaultdict(list)
        noise: dict[int, list[float]] = defaultdict(list)
        used = mapping.wires(i)
        for k, x in used:
            cells[x].append(float(hardware.weights[j, k]))
            noise[x].append(float(hardware.variance[j, k]))
        own = {k for k, _ in used}
        if len(driven[bus]) > len(own):  # some lines are driven for other rows: their switched-off cells leak
            off = hardware.off[j].tolist()
            for k, x in driven[bus].items():
                if k not in own:
                    cells[x].append(off[k])
        weight = {x: gain * total(values) for x, values in cells.items()}
        rows.append(RealisedRow(weight, {x: gain * gain * total(values) for x, values in noise.items()}))
    for e in mapping.tunable.tolist():
        rows[int(target.row_of[e])].weight[int(target.indices[e])] = float(target.weights[e])
    if mapping.tuned is not None:
        for e, value in zip(mapping.tunable.tolist(), mapping.tuned.tolist(), strict=True):
            rows[int(target.row_of[e])].weight[int(target.indices[e])] = value
    return rows


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
