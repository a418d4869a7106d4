"""What a mapping must keep for its value to mean something; `matchopt.check` tells what is wrong where it fails."""

import numpy as np
from jaxtyping import Int

from matchopt.errors import Refused
from matchopt.instances import LayerInstance, LayerMapping

NOTHING = "the mapping is not feasible, so there is nothing to prove; matchopt.check tells why"


def refuse_infeasible(instance: LayerInstance, mapping: LayerMapping) -> None:
    """Raise Refused unless neurons, cells, inputs, gains and shared lines are ones that the rules allow, none twice."""
    hardware, gains = instance.hardware, instance.rules.gains
    fits = mapping.n_rows == instance.n_rows and len(mapping.tunable) == 0
    fits = fits and set(np.bincount(mapping.row).tolist()) <= set(range(1, instance.rules.neurons + 1))
    fits = fits and _distinct_below(mapping.neuron_of, hardware.n_neurons)
    fits = fits and bool(((mapping.input >= 0) & (mapping.input < instance.target.n_inputs)).all())
    fits = fits and bool(((mapping.cell >= 0) & (mapping.cell < hardware.n_cells)).all())
    cells = mapping.place_of * hardware.n_cells + mapping.cell
    fits = fits and _distinct_below(cells, len(mapping.row) * hardware.n_cells)
    fits = fits and bool(hardware.usable[mapping.neuron_of[mapping.place_of], mapping.cell].all())
    fits = fits and (hardware.free_routing or _lines_agree(instance, mapping))
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


def _lines_agree(instance: LayerInstance, mapping: LayerMapping) -> bool:
    """Whether each line of a bus carries one input, and no input more lines than a weight may have cells."""
    chip = instance.hardware
    wires = np.stack([chip.bus[mapping.neuron_of[mapping.place_of]], mapping.cell, mapping.input])
    wires = np.unique(wires, axis=1)
    lines = np.unique(wires[[0, 2]], axis=1, return_counts=True)[1].max(initial=0)
    few = chip.hard_wired or lines <= instance.rules.cells_per_weight
    return bool(few and len(np.unique(wires[:2], axis=1).T) == wires.shape[1])
