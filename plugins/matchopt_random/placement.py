"""Random hardware neurons for the rows of a layer, with room for their connections as far as there is room."""

import numpy as np

from matchopt import LayerInstance


def place(instance: LayerInstance, packed: bool, rng: np.random.Generator) -> np.ndarray:
    """A hardware neuron for every row.

    Rows with the most connections choose first, equals in random order. With free routing a row then finds a neuron
    with enough usable cells whenever the layer can be mapped without leaving connections out, for the neurons that
    suit a row suit every later one. On shared buses this is a heuristic.

    Parameters
    ----------
    instance : the layer.
    packed : whether a row goes where its bus has to carry the fewest new inputs, instead of to any bus with room.
    rng : source of randomness.
    """
    target, hardware = instance.target, instance.hardware
    buses, bus_of = np.unique(hardware.bus, return_inverse=True)
    shared = not hardware.free_routing
    # Inputs each bus carries so far; with free routing the rows' fan-in says it all.
    carried = np.zeros((len(buses), target.n_inputs), bool) if shared else np.zeros((0, 0), bool)
    free = np.ones(hardware.n_neurons, bool)
    neuron_of = np.full(instance.n_rows, -1)
    shuffled = rng.permutation(instance.n_rows)
    for i in shuffled[np.argsort(-target.fan_in[shuffled], kind="stable")]:
        inputs = target.indices[target.row(i)]
        candidates = np.flatnonzero(free)
        shortage = np.maximum(len(inputs) - hardware.n_usable[candidates], 0)
        if shared:
            new = len(inputs) - carried[:, inputs].sum(axis=1)
            over = np.maximum(carried.sum(axis=1) + new - hardware.n_cells, 0)
            shortage = shortage + over[bus_of[candidates]]
            if packed:
                shortage = shortage * (target.n_inputs + 1) + new[bus_of[candidates]]
        j = rng.choice(candidates[shortage == shortage.min()])
        neuron_of[i] = j
        free[j] = False
        if shared:
            carried[bus_of[j], inputs] = True
    return neuron_of
