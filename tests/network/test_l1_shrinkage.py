from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from matchopt.network.methods.dense import DenseTraining
from matchopt.network.methods.l1_shrinkage import L1Shrinkage, shrink

from .conftest import toy_data
from .stepping import SEEDS, WIDTHS_AND_DATA, network_and_data, train_watched


@given(st.floats(-3, 3, width=32), st.floats(0, 2))
def test_shrinking_is_the_proximal_step(weight, amount):
    """The step finds the least (x - w)^2 / 2 + amount |x| over a fine grid that holds 0."""
    found = torch.tensor([weight])
    shrink(found, amount)
    grid = np.linspace(-3, 3, 6_001)
    best = grid[np.argmin((grid - weight) ** 2 / 2 + amount * np.abs(grid))]
    assert found.item() == pytest.approx(best, abs=6e-4)
    assert found.item() != 0 or abs(weight) <= amount + 1e-6


@settings(max_examples=12, deadline=None)
@given(WIDTHS_AND_DATA, st.floats(0.0, 10.0), st.sampled_from(["adam", "sgd"]), SEEDS)
def test_zeros_are_no_connections_and_the_retrain_adds_none(found, strength, optimiser, seed):
    """Weights in use are those that are not zero; the retrain keeps them, and the result reports the most ever used."""
    widths, data = network_and_data(found, seed)
    counts, masks = [], []

    def look(run, at):
        weights = run.net.weights
        in_use = weights != 0 if at.phase == 0 else run.net.mask
        assert not weights[~in_use].any()
        assert run.counts == tuple(int(in_use[part].sum()) for part in run.net.segments)
        counts.append(sum(run.counts))
        if at.phase == 1:
            masks.append(in_use.copy())

    trainer = L1Shrinkage(strength, epochs=2, retrain_epochs=1, batch_size=7, optimiser=optimiser, learning_rate=0.1)
    result = train_watched(trainer, data, widths, seed, look)
    assert all(np.array_equal(mask, masks[0]) for mask in masks)
    n_sites = sum(layer.mask.size for layer in result.network.layers)
    assert result.connectivity == 1.0  # it begins dense
    assert result.history[1].connectivity == pytest.approx(max(counts[4:9]) / n_sites)
    assert result.network.n_connections == counts[-1]


def test_without_strength_it_is_dense_training(few_images):
    """Strength 0 gives the network of dense training bit by bit."""
    trainer = L1Shrinkage(0.0, epochs=1, retrain_epochs=0, optimiser="adam", learning_rate=1e-3)
    ours = trainer.train(few_images, (784, 20, 10), 5).network
    dense = DenseTraining(epochs=1).train(few_images, (784, 20, 10), 5).network
    for left, right in zip(ours.layers, dense.layers, strict=True):
        assert left.weights.tobytes() == right.weights.tobytes()
        assert left.biases.tobytes() == right.biases.tobytes()


def test_more_strength_leaves_fewer_connections(few_images):
    """Connectivity falls with the strength; the network still learns."""
    trained = [
        L1Shrinkage(strength, ramp=0.0, epochs=3, retrain_epochs=2, batch_size=20)
        .train(few_images, (784, 30, 10), 0)
        .network
        for strength in (1e-4, 1e-3, 1e-2)
    ]
    assert trained[0].connectivity > trained[1].connectivity > trained[2].connectivity
    assert trained[1].record.validation_accuracy > 0.7


def test_penalty_rises_over_the_ramp():
    """Without gradient a weight falls by rate * strength * share of the ramp, step by step."""
    trainer = L1Shrinkage(0.5, ramp=0.5, epochs=1, batch_size=10, learning_rate=0.1, momentum=0.0)
    data, fallen = toy_data(6, 3), []

    def look(run, at):
        fallen.append(np.abs(run.net.weights).max())

    def heavy_and_still(run, phase):
        run.net.load(np.full(21, 5.0, np.float32))
        run.net.loss = lambda *batch: run.net.gradient.fill(0.0) or 0.0

    train_watched(replace(trainer, retrain_epochs=0), data, (6, 3), 0, look, heavy_and_still)
    rates, rises = 0.1 * (1 - np.arange(4) / 4), np.array([0.0, 0.5, 1.0, 1.0])
    np.testing.assert_allclose(fallen, 5.0 - np.cumsum(rates * 0.5 * rises), rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strength": -1.0}, "strength must be a finite number >= 0"),
        ({"epochs": 0}, "epochs must be a whole number >= 1"),
    ],
)
def test_impossible_configuration_is_refused(options, message):
    """Configurations check themselves."""
    with pytest.raises(ValueError, match=message):
        L1Shrinkage(**options)
