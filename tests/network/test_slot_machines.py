from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matchopt.instances.architecture import FullyConnected
from matchopt.instances.architecture_names import architecture_named
from matchopt.network.methods.slot_machines import SlotMachines, SlotRun, filter_areas
from matchopt.network.training.slot_choice import LatentSlots, ScoreSlots

from .conftest import toy_data
from .selecting import AsOnAnotherDevice, flat_weights, gradient_by_autograd, image_data, setting_of
from .stepping import SEEDS, WIDTHS_AND_DATA, network_and_data, train_watched

TINY = SlotMachines(values=4, epochs=3, batch_size=7, learning_rate=0.05)
KINDS = st.fixed_dictionaries(
    {
        "values": st.integers(1, 6),
        "selection": st.sampled_from(["greedy", "probabilistic"]),
        "form": st.sampled_from(["fitting", "scores"]),
        "start": st.sampled_from(["nearest", "random"]),
        "share": st.sampled_from(["connection", "layer", "network"]),
        "law": st.sampled_from(["uniform", "normal"]),
        "bound": st.sampled_from(["glorot-deviation", "glorot", "he"]),
        "optimiser": st.sampled_from(["adam", "sgd"]),
    }
)


def among(weights, tables, shapes):
    """Whether every weight is, bit by bit, one of the fixed values of its connection."""
    begin = 0
    for table, (m, n) in zip(tables, shapes, strict=True):
        part = weights[begin : begin + m * n]
        if not (part[:, None] == table).any(axis=1).all():
            return False
        begin += m * n
    return begin == len(weights)


@settings(max_examples=12, deadline=None)
@given(WIDTHS_AND_DATA, KINDS, SEEDS)
def test_weights_are_always_among_fixed_values_that_never_change(found, options, seed):
    """In every step and at the end, whatever is chosen and however; biases stay zero and all connections in use."""
    widths, data = network_and_data(found, seed)
    first, tables = [], []

    def look(run, at):
        del at
        if not first:
            first.extend(table.copy() for table in run.tables)
        assert all(np.array_equal(a, b) for a, b in zip(first, run.tables, strict=True))
        assert among(run.net._engine.values[: run.net.n_weights], first, run.net.shapes)
        assert among(flat_weights(run.net.network()), first, run.net.shapes)
        tables[:] = run.tables

    network = train_watched(replace(TINY, **options), data, widths, seed, look).network
    assert among(flat_weights(network), tables, network.architecture.matrices)
    assert not any(layer.biases.any() for layer in network.layers)
    assert network.connectivity == 1.0


@pytest.mark.parametrize("start", ["nearest", "random"])
@pytest.mark.parametrize(("momentum", "decay"), [(0.0, 0.0), (0.9, 0.0), (0.9, 2e-3)])
def test_latents_and_scores_choose_the_same_values(start, momentum, decay):
    """One number per connection takes the place of K scores under gradient descent: the same choices for 100 steps."""
    widths = (20, 15, 10, 3)
    data = toy_data(20, 3, train=60)
    options = replace(TINY, values=8, start=start, momentum=momentum, decay=decay, penalty=0.0)
    runs = [SlotRun(replace(options, form=form), setting_of(widths, data)) for form in ("latent", "scores")]
    assert isinstance(runs[0].net.selection, LatentSlots)
    assert isinstance(runs[1].net.selection, ScoreSlots)
    moved = set()
    for number in range(100):
        batch = np.arange(number % 6 * 10, number % 6 * 10 + 10)
        for run in runs:
            run.net.loss(data.train_images, data.train_labels, batch)
        assert np.array_equal(runs[0].net.weights(), runs[1].net.weights()), number
        moved.add(runs[0].net.weights().tobytes())
        for run in runs:
            run.net.step(0.1)
    assert len(moved) > 10  # and they do choose anew


def test_score_gradient_is_straight_through():
    """A step on a real batch: score k of a connection falls by rate * dL/dw * W_k, dL/dw from automatic derivatives."""
    widths = (9, 8, 3)
    data, architecture = toy_data(9, 3), FullyConnected(widths)
    options = replace(TINY, form="scores", optimiser="sgd", momentum=0.0)
    run = SlotRun(options, setting_of(widths, data))
    batch = np.arange(5, 17)
    before = run.net.selection.scores.numpy().T.copy()
    run.net.loss(data.train_images, data.train_labels, batch)
    slope = gradient_by_autograd(architecture, run.net.weights(), data, batch)
    run.net.step(0.5)
    wanted = 0.5 * slope[:, None] * np.concatenate(run.tables)
    np.testing.assert_allclose(before - run.net.selection.scores.numpy().T, wanted, atol=1e-6)


def test_a_penalty_pulls_latents_to_zero():
    """Without gradient a latent falls by the factor 1 - rate * penalty per step, and ends with its smallest value."""
    run = SlotRun(replace(TINY, optimiser="sgd", momentum=0.0, penalty=0.5), setting_of((6, 5, 3)))
    start, nothing = run.net.values.copy(), np.zeros(45, np.float32)
    for _ in range(10):
        run.net.selection.step(nothing, 0.2)
    np.testing.assert_allclose(run.net.values, start * 0.9**10, rtol=1e-5)
    for _ in range(400):
        run.net.selection.step(nothing, 0.2)
    assert np.array_equal(abs(run.net.weights()), abs(np.concatenate(run.tables)).min(axis=1))


@pytest.mark.parametrize("options", [{}, {"form": "scores"}, {"selection": "probabilistic"}, {"start": "random"}])
def test_a_single_value_is_kept(options):
    """K = 1: nothing is ever chosen, so nothing changes."""
    seen = []

    def look(run, at):
        del at
        seen.append(run.net.weights())

    train_watched(replace(TINY, values=1, **options), toy_data(), (6, 5, 3), 0, look)
    assert all(np.array_equal(weights, seen[0]) for weights in seen)


def test_evaluation_takes_the_highest_score_and_no_chance():
    """Probabilistic: batches see weights drawn anew, evaluation always the same ones, and draws nothing."""
    setting = setting_of((6, 5, 3))
    data = setting.data
    run = SlotRun(replace(TINY, selection="probabilistic"), setting)
    seen = set()
    for _ in range(10):
        run.net.loss(data.train_images, data.train_labels, np.arange(5))
        seen.add(run.net._engine.values.tobytes())
    assert len(seen) == 10
    chance = setting.chance.bit_generator.state
    first = run.net.classifier().logits(data.test_images)
    assert np.array_equal(first, run.net.network().logits(data.test_images))
    assert setting.chance.bit_generator.state == chance
    scores = run.net.selection.scores.numpy()
    values = np.concatenate(run.tables)[np.arange(scores.shape[1]), scores.argmax(axis=0)]
    assert np.array_equal(run.net.weights(), values)


@pytest.mark.parametrize("options", [{}, {"selection": "probabilistic"}, {"form": "scores", "optimiser": "sgd"}])
def test_tensors_train_as_arrays(options):
    """All as on another device, for three epochs: latents and scores choose what they do on a CPU."""
    data, trainer = toy_data(), replace(TINY, **options, finetune_epochs=1)
    wanted = trainer.train(data, (6, 5, 3), 0)
    with AsOnAnotherDevice():
        found = trainer.train(data, (6, 5, 3), 0)
        sizes = [layer.weights.shape for layer in found.network.layers]
    assert sizes == [(5, 6), (3, 5)]
    if "selection" not in options:  # chance is drawn otherwise there
        for left, right in zip(found.network.layers, wanted.network.layers, strict=True):
            np.testing.assert_allclose(left.weights, right.weights, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"selection": "probabilistic"}])
def test_finetuning_begins_with_the_chosen_weights(options):
    """The second phase starts where the first one ended, and at rate 0 it ends there; at another rate it moves on."""
    data, trainer = toy_data(), replace(TINY, **options, finetune_epochs=2, finetune_rate=0.0)
    chosen, shapes = [], ((5, 6), (3, 5))

    def enter(run, phase):
        if phase == 1:
            chosen.extend([run.net.weights(), run.tables])

    still = flat_weights(train_watched(trainer, data, (6, 5, 3), 0, after_enter=enter).network)
    assert np.array_equal(still, chosen[0])
    assert among(still, chosen[1], shapes)
    moved = flat_weights(replace(trainer, finetune_rate=0.1).train(data, (6, 5, 3), 0).network)
    assert (moved != still).mean() > 0.3  # dead units keep theirs
    assert not among(moved, chosen[1], shapes)


def test_without_choice_all_weights_are_learnt(few_images):
    """No epochs of choice and one value: the learned baseline; gradient descent from the same law."""
    trainer = SlotMachines(values=1, epochs=0, finetune_epochs=3, batch_size=20, bound="glorot")
    result = trainer.train(few_images, (784, 30, 20, 10), 0)
    assert result.network.record.validation_accuracy > 0.6
    assert {record.phase for record in result.history} == {"tune"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "least"),
    [
        ({}, 0.75),
        ({"values": 2}, 0.6),
        ({"start": "random", "optimiser": "sgd", "learning_rate": 0.2, "bound": "glorot-deviation"}, 0.6),
        ({"selection": "probabilistic", "start": "random", "optimiser": "sgd", "learning_rate": 25.0}, 0.3),
    ],
)
def test_learns_real_images(few_images, options, least):
    """A tiny run on MNIST is far above chance, greedy and probabilistic, as here and as published."""
    trainer = replace(SlotMachines(epochs=4, batch_size=20), **options)
    assert trainer.train(few_images, (784, 30, 20, 10), 1).network.record.validation_accuracy > least


@pytest.mark.parametrize("name", ["cnn:3c3-m2-drop0.5-5-4-3", "cnn:2c3p1b-2c3p1b-m2-4c3p1b-4c3p1b-a2-3", "lstm:4"])
@pytest.mark.parametrize("selection", ["greedy", "probabilistic"])
def test_other_architectures_train(name, selection):
    """A small CONV, a VGG-like network with batch statistics, and gates: weights stay among their values."""
    shape = (5, 4) if name.startswith("lstm") else (2, 8, 8)
    data, tables = image_data(shape), []
    architecture = architecture_named(name, shape, 3)

    def look(run, at):
        del at
        tables[:] = run.tables

    trainer = SlotMachines(values=3, selection=selection, epochs=2, batch_size=4)
    network = train_watched(trainer, data, architecture, 0, look).network
    assert among(flat_weights(network), tables, architecture.matrices)
    assert not any(layer.biases.any() for layer in network.layers)
    if network.buffers:
        assert any(network.buffers[key].any() for key in network.buffers if key.startswith("mean"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["conv2", "conv4", "conv6"])
def test_published_convolutional_networks_take_steps(name):
    """CONV-2, 4 and 6 on CIFAR-10's shape: two steps of two images."""
    data = image_data((3, 32, 32), classes=10, train=4)
    architecture = architecture_named(name, (3, 32, 32), 10)
    result = SlotMachines(values=2, epochs=1, batch_size=2).train(data, architecture, 0)
    assert result.network.connectivity == 1.0
    assert np.isfinite(result.history[0].loss)


def test_bounds_are_the_published_ones():
    """sqrt(2 / (inputs + outputs)), sqrt(6 / ...) and sqrt(6 / inputs); a filter's area counts on both sides."""
    architecture = architecture_named("cnn:3x8x8-6c3p1-m2-10", (3, 8, 8), 10)
    areas = filter_areas(architecture)
    assert areas == (9, 1)
    shapes = architecture.matrices
    assert SlotMachines(bound="glorot-deviation").bounds(shapes, areas)[0] == pytest.approx((2 / (27 + 54)) ** 0.5)
    assert SlotMachines(bound="glorot").bounds(shapes, areas)[1] == pytest.approx((6 / (96 + 10)) ** 0.5)
    assert SlotMachines(bound="he", bound_scale=2.0).bounds(shapes, areas)[0] == pytest.approx(2 * (6 / 27) ** 0.5)


def test_with_random_scores_some_values_can_never_win():
    """On average 3.8 of 8 values are highest anywhere (4.5 of 16): published starts use half of their values."""
    widths = (60, 50, 10)
    for values, reachable in ((2, 2.0), (8, 3.8), (16, 4.5)):
        run = SlotRun(replace(TINY, values=values, start="random"), setting_of(widths))
        slopes, breaks = run.net.selection._lines[0]
        assert np.isfinite(breaks).sum(axis=1).mean() + 1 == pytest.approx(reachable, abs=0.15)
        assert slopes.shape == (3_000, values)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"values": 0}, "values must be a whole number >= 1, found 0"),
        ({"selection": "probabilistic", "form": "latent"}, "form latent goes with greedy selection"),
        ({"epochs": 0}, "at least one epoch"),
        ({"optimiser": "adam", "decay": 0.1}, "decay goes with optimiser sgd"),
        ({"momentum": 1.0}, "momentum must be a number >= 0 and < 1"),
        ({"form": "scores", "penalty": 0.1}, "penalty goes with form latent, found penalty 0.1 and scores"),
        ({"optimiser": "sgd", "learning_rate": 50.0, "decay": 1e-3}, "learning_rate \\* decay must be at most"),
    ],
)
def test_impossible_configuration_is_refused(options, message):
    """Configurations check themselves."""
    with pytest.raises(ValueError, match=message):
        SlotMachines(**options)
