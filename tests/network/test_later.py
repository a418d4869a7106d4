"""The same wires on a chip of another time, and what is set anew for it."""

from dataclasses import replace

import numpy as np
import pytest

from matchopt import Hardware, LayerInstance, LayerMapping, NetworkInstance, NetworkMapping, Rules
from matchopt.errors import InvalidInstance
from matchopt.instances import Chip, ChipArray, Place
from matchopt.instances.demands import BY_KIND
from matchopt.network import export_network, realise, unmapped
from matchopt.network.later import on_chips, refitted
from matchopt.testing.brute import brute_force
from matchopt.testing.tiny_networks import tiny_networks
from tests.network.networks import random_network

SCALES = (2.0, 0.5)


def case(seed: int = 0, tunable: bool = False) -> tuple[NetworkInstance, NetworkMapping, Chip]:
    """Two layers on one chip of two arrays, read at 0 s and at 1000 s; the first layer takes neurons of both."""
    rng, network = np.random.default_rng(seed), random_network((7, 6, 4), 0.7, seed)
    arrays = [
        ChipArray(readings=rng.normal(size=(2, rows, 7)), seconds=np.array([0.0, 1e3]), variance=rng.random((rows, 7)),
                  place=Place("c.npz", str(rows)))
        for rows in (5, 8)
    ]  # fmt: skip
    chip = Chip(tuple(arrays), "S")
    early, neurons = chip.at(0.0), np.array_split(rng.permutation(13)[:10], [6])
    hardware = [early.hardware(part, 7, scale) for part, scale in zip(neurons, SCALES, strict=True)]
    instance = export_network(network, hardware, rules=Rules(tunable=int(tunable), drop=True))
    parts = []
    for layer in instance.layers:
        cells, chosen = layer.target.indices.copy(), np.array([1] if tunable else [], np.int64)
        cells[chosen] = -1
        gain = rng.uniform(0.5, 1.5, layer.n_rows)
        parts.append(LayerMapping.from_cells(layer.target, rng.permutation(layer.n_rows), cells, gain, chosen))
    return instance, NetworkMapping(tuple(parts)), chip


def at(instance: NetworkInstance, chip: Chip, seconds: float) -> NetworkInstance:
    """The network at another time."""
    found = on_chips(instance, [chip.at(seconds)])
    assert isinstance(found, NetworkInstance)
    return found


def test_cells_are_found_again_by_their_numbers() -> None:
    """Every weight is the later reading of the cell of its number times the layer's scale; all else is as it was."""
    instance, _, chip = case()
    later = at(instance, chip, 1e3)
    for before, after, scale in zip(instance.layers, later.layers, SCALES, strict=True):
        for j, number in enumerate(before.hardware.neuron.tolist()):
            array, row = (chip.arrays[0], number) if number < 5 else (chip.arrays[1], number - 5)
            assert array.readings is not None
            np.testing.assert_allclose(after.hardware.weights[j], scale * array.readings[1, row])
            np.testing.assert_allclose(after.hardware.variance[j], scale**2 * array.variance[row])
        assert after.target is before.target and np.array_equal(after.hardware.neuron, before.hardware.neuron)
    again = on_chips(later, [chip.at(0.0)] * 2)
    assert again.digest == instance.digest


def test_written_cells_keep_what_was_written() -> None:
    """Of cells that can be written those that are hold their values, all others read what the chip reads now."""
    instance, mapping, chip = case()
    layer, part = instance.layers[0], mapping.layers[0]
    ends = np.full(layer.hardware.weights.shape, 3.0)
    menu = replace(layer.hardware, low=-ends, high=ends, write_variance=0.1 * ends)
    written = np.where(np.arange(len(part.cell)) % 2, 0.25, np.nan)
    instance = replace(instance, layers=(replace(layer, hardware=menu, rules=Rules(writes=40)), instance.layers[1]))
    later = at(instance, chip, 1e3)
    put, fresh = replace(part, written=written), later.layers[0].hardware.weights
    realised = later.layers[0].realised(put)
    for n, (i, x, k) in enumerate(zip(part.row_of, part.input, part.cell, strict=True)):
        value = 0.25 if n % 2 else fresh[part.neuron_of[i], k]
        assert realised[i, x] == pytest.approx(part.gain[i] * value)


def test_chips_that_are_not_the_same_are_refused() -> None:
    """Other sizes, another number, and hardware that is of no chip."""
    instance, _, chip = case()
    with pytest.raises(InvalidInstance, match=r"its chip has arrays of \[5, 8\] neurons, found \[5\]"):
        on_chips(instance, [Chip(chip.arrays[:1])])
    with pytest.raises(InvalidInstance, match="one per layer is needed, 2, found 3"):
        on_chips(instance, [chip] * 3)
    layer = replace(instance.layers[0], hardware=Hardware(instance.layers[0].hardware.weights))
    with pytest.raises(InvalidInstance, match="does not say where on a chip it is"):
        on_chips(layer, [chip])


@pytest.mark.parametrize("how", ["layer", "neuron"])
@pytest.mark.parametrize("tunable", [False, True])
def test_weights_are_refitted_by_least_squares(how: str, tunable: bool) -> None:
    """No other factor, on all gains of a layer or on any one of them, has a smaller expected squared error."""
    instance, mapping, chip = case(1, tunable)
    later = at(instance, chip, 1e3)
    found = refitted(later, mapping, how)  # type: ignore[arg-type]
    assert later.value(found) < later.value(mapping)
    for n, (layer, part) in enumerate(zip(later.layers, found.layers, strict=True)):
        best = layer.value(part)
        for step in (0.99, 1.01):
            shifts = [np.full(len(part.gain), step)]
            if how == "neuron":
                shifts = [np.where(np.arange(len(part.gain)) == i, step, 1.0) for i in range(len(part.gain))]
            for shift in shifts:
                assert layer.value(replace(part, gain=part.gain * shift)) >= best - 1e-12
        if how == "layer":
            ratio = part.gain / mapping.layers[n].gain
            np.testing.assert_allclose(ratio, ratio[0])


def test_outputs_are_refitted_with_their_biases() -> None:
    """Rows that are the target's but for a factor, and inputs that shift, give the target's own outputs again."""
    rng = np.random.default_rng(5)
    network = random_network((7, 6, 4), 0.7, 2)
    chips = [
        Hardware(layer.target.dense() * rng.uniform(0.3, 3.0, (layer.target.n_rows, 1))) for layer in network.layers
    ]
    instance = export_network(network, chips)
    mapping = NetworkMapping(tuple(
        LayerMapping.from_cells(layer.target, np.arange(layer.n_rows), layer.target.indices.copy())
        for layer in instance.layers
    ))  # fmt: skip
    shifted = NetworkMapping(mapping.layers, tuple(bias + 3.0 for bias in instance.biases or ()))
    inputs = rng.random((200, 7))
    found = refitted(instance, shifted, "outputs", inputs)
    np.testing.assert_allclose(realise(instance, found).logits(inputs), unmapped(instance).logits(inputs), atol=1e-9)


@pytest.mark.parametrize("name", ["convolutional", "recurrent"])
def test_outputs_of_other_architectures_are_not_refitted(name: str) -> None:
    """A sentence, as their layers do not follow each other by ReLU alone; weights are refitted in any."""
    instance = tiny_networks()[f"network-{name}"]
    mapping, inputs = brute_force(instance).solution, np.ones((3, instance.n_inputs))
    assert isinstance(mapping, NetworkMapping)
    with pytest.raises(InvalidInstance, match=f"fully connected networks only, found a {name} one"):
        refitted(instance, mapping, "outputs", inputs)
    assert refitted(instance, mapping, "neuron").layers[0].n_rows == mapping.layers[0].n_rows


def test_outputs_are_nearest_layer_by_layer() -> None:
    """With errors that no factor undoes, the first layer's factors and biases solve their normal equations."""
    instance, mapping, chip = case(3, True)
    later = at(instance, chip, 1e3)
    inputs = np.random.default_rng(0).random((150, 7))
    quiet = replace(later, layers=tuple(
        replace(layer, hardware=replace(layer.hardware, variance=None)) for layer in later.layers
    ))  # fmt: skip
    found = refitted(quiet, mapping, "outputs", inputs)
    assert found.biases is not None
    weights = quiet.layers[0].realised(found.layers[0])
    wanted = quiet.target_signals(inputs)[0]
    error = inputs @ weights.T + found.biases[0] - wanted
    e = quiet.layers[0].target
    cells = weights.copy()
    cells[e.row_of[1], e.indices[1]] = 0.0  # what is tunable takes no factor
    assert np.abs(error.mean(axis=0)).max() < 1e-12
    assert np.abs((error * (inputs @ cells.T)).mean(axis=0)).max() < 1e-10
    noisy = refitted(later, mapping, "outputs", inputs)
    assert np.abs(noisy.layers[0].gain).sum() < np.abs(found.layers[0].gain).sum()
    with pytest.raises(InvalidInstance, match="outputs are fitted on sample inputs, found none"):
        refitted(later, mapping, "outputs")
    assert "read-noise" in later.demands and set(later.demands) <= {*BY_KIND["layer"], *BY_KIND["network"]}
    assert isinstance(later.layers[0], LayerInstance)
