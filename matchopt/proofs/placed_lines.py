"""The lines of proof files of the second form: layers whose rows are more than single cells each (docs/proofs.md).

The checker finds out what rows cost by itself; so a line holds the decision, and potentials lowered by more than what
rounding can have done to them, or the bound that a search of its own confirms, or the unit of all cells.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from matchopt.errors import Refused
from matchopt.instances import LayerInstance, LayerMapping
from matchopt.instances.demands import AT_0_1, refuse_unknown
from matchopt.parts import Json
from matchopt.proofs.certificate import Certificate, Duals
from matchopt.proofs.lattice import UNDERSTOOD as LATTICE
from matchopt.proofs.lattice import lattice_bound

UNDERSTOOD = AT_0_1["layer"] | {"several-neurons", "copies", "hard-wired", "programmable-cells"}
UNDERSTOOD -= {"correlated-inputs"}
SLACK = 2.0**-40  # of the largest number in a bound: what potentials are lowered by
CLOSE = 1e-9  # of the value: within that a unit proves the optimum
Prove = Callable[[LayerInstance, LayerMapping], Certificate]


def placed_lines(
    layers: Sequence[LayerInstance], parts: Sequence[LayerMapping], prove: Prove
) -> tuple[list[dict[str, Json]], float]:
    """A line for each layer, and the bound that they prove together.

    Raises
    ------
    Refused
        when a layer has no proof, or none that such a line can hold.
    """
    lines, bounds = [], []
    for n, (layer, part) in enumerate(zip(layers, parts, strict=True)):
        refuse_unknown(layer, UNDERSTOOD, "the proof file")
        decision = _decision(layer, part)
        known = lattice_bound(layer) if layer.demands <= LATTICE else None
        value = layer.value(part)
        if known is not None and known[1] >= value - CLOSE * abs(value):
            lines.append(decision | {"unit": known[0]})
            bounds.append(known[1])
            continue
        if layer.rules.tunable or ("leak" in layer.demands and not layer.hardware.free_routing):
            raise Refused(f"no proof file: layer {n} leaks into lines that are shared, or has a budget besides")
        if layer.rules.gains.low is not None and layer.rules.gains.low <= 0.0:
            raise Refused(f"no proof file: gains of layer {n} reach down to {layer.rules.gains.low:g}, not above 0")
        found = prove(layer, part)
        if found.duals:
            line = _potentials(layer, found.duals[0])
            bounds.append(line.pop("bound"))
            lines.append(decision | line)
        elif layer.rules.cells_per_weight == layer.rules.neurons == 1 and found.bound > 0.0:
            lines.append(decision | {"goal": found.bound})
            bounds.append(found.bound)
        else:
            raise Refused(f"no proof file can hold this proof yet: {found.method}, see docs/proofs.md")
    return lines, math.nextafter(math.fsum(bounds), -math.inf) if any(bounds) else 0.0


def _decision(layer: LayerInstance, part: LayerMapping) -> dict[str, Json]:
    """Neurons and gains of each row; of each connection (row, input) its cells as (place among those neurons, cell)."""
    target = layer.target
    if part.tuned is not None and not np.array_equal(part.tuned, target.weights[part.tunable]):
        raise Refused("no proof file: tunable weights have other values than the target's")
    used: list[list[list[Json]]] = [[] for _ in range(layer.n_rows)]
    wired: dict[tuple[int, int], list[list[int]]] = {}
    for a, i in enumerate(part.row.tolist()):
        for k, x in part.wires(a):
            wired.setdefault((i, x), []).append([len(used[i]), k])
        used[i].append([int(part.neuron_of[a]), float(part.gain[a])])
    tuned = [[int(target.row_of[e]), int(target.indices[e])] for e in part.tunable.tolist()]
    return {"used": used, "cells": [[i, x, cells] for (i, x), cells in sorted(wired.items())], "tuned": tuned}


def _potentials(layer: LayerInstance, duals: Duals) -> dict[str, Json]:
    """u and v that fit exactly, and the bound that they make."""
    target = layer.target
    own = np.bincount(target.row_of, layer.objective.importance(target) * target.weights**2, minlength=layer.n_rows)
    v = np.minimum(duals.columns, 0.0)
    u = duals.rows - SLACK * (np.abs(duals.rows) + own + float(np.abs(v).max(initial=0.0)))
    unit = 2.0 ** (math.frexp(float(np.abs(u).max(initial=0.0)))[1] - 60)
    u, v = (np.floor(some / unit) * unit for some in (u, v))
    bound = math.nextafter(math.fsum([*u.tolist(), *v.tolist()]), -math.inf)
    return {"rows": u.tolist(), "columns": v.tolist(), "bound": max(0.0, bound)}
