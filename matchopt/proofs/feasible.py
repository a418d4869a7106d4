"""What a mapping must keep for its value to mean something; `matchopt.check` tells what is wrong where it fails."""

import numpy as np
from jaxtyping import Int

from matchopt.errors import Refused
from matchopt.instances import LayerInstance, LayerMapping

NOTHING = "the mapping is not feasible, so there is nothing to prove; matchopt.check tells why"


def refuse_infeasible(instance: LayerInstance, mapping: LayerMapping) -> None:
    """Raise Refused unless neurons, cells, inputs and gains are ones that the rules allow, none of them twice."""
    hardware, gains = instance.hardware, instance.rules.gains
    fits = mapping.n_rows == instance.n_rows and len(mapping.tunable) == 0
    fits = fits and set(np.bincount(mapping.row).tolist()) <= set(range(1, instance.rules.neurons + 1))
    fits = fits and _distinct_below(mapping.neuron_of, hardware.n_neurons)
    fits = fits and bool(((mapping.input >= 0) & (mapping.input < instance.target.n_inputs)).all())
    fits = fits and bool(((mapping.cell >= 0) & (mapping.cell < hardware.n_cells)).all())
    cells = mapping.place_of * hardware.n_cells + mapping.cell
    fits = fits and _distinct_below(cells, len(mapping.row) * hardware.n_cells)
    fits = fits and bool(hardware.usable[mapping.neuron_of[mapping.place_of], mapping.cell].all())
    if not fits or not all(gains.allow(gain) for gain in mapping.gain.tolist()):
        raise Refused(NOTHING)


def refuse_wrong_sums(instance: LayerInstance, mapping: LayerMapping) -> None:
    """Raise Refused where `refuse_infeasible` does, or where the number of cells on an input breaks a rule."""
    refuse_infeasible(instance, mapping)
    target, rules = instance.target, instance.rules
    served, count = np.unique(mapping.row_of * target.n_inputs + mapping.input, return_counts=True)
    wanted = target.row_of * target.n_inputs + target.indices
    fits = count.max(initial=0) <= rules.cells_per_weight and (rules.drop or bool(np.isin(wanted, served).all()))
    if not fits or not (rules.extra_inputs or bool(np.isin(served, wanted).all())):
        raise Refused(NOTHING)


def _distinct_below(values: Int[np.ndarray, " any"], end: int) -> bool:
    return bool(((values >= 0) & (values < end)).all()) and len(np.unique(values)) == len(values)


def refuse_shared_lines(instance: LayerInstance, mapping: LayerMapping) -> None:
    """Raise Refused unless lines and inputs of every bus belong to each other, and all connections are served."""
    target, chip = instance.target, instance.hardware
    bus = chip.bus[mapping.neuron_of[mapping.place_of]]
    wires = np.unique(np.stack([bus, mapping.cell, mapping.input]), axis=1)
    fits = all(len(np.unique(wires[[0, part]], axis=1).T) == wires.shape[1] for part in (1, 2))
    served = np.unique(mapping.row_of * target.n_inputs + mapping.input)
    wanted = target.row_of * target.n_inputs + target.indices
    fits = fits and len(served) == len(mapping.cell) and (instance.rules.drop or bool(np.isin(wanted, served).all()))
    if not fits or not (instance.rules.extra_inputs or bool(np.isin(served, wanted).all())):
        raise Refused(NOTHING)
