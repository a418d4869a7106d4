from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matchopt.instances.architecture import FullyConnected
from matchopt.network.methods.gradual_pruning import GradualPruning, strongest
from matchopt.network.training.starts import matrix_budgets

from .conftest import WIDTHS, toy_data

TINY = GradualPruning(fan_in=(8, 6, 10), prune_epochs=4, retrain_epochs=3, batch_size=50, retrain_batch_size=50)

TOY = GradualPruning(prune_epochs=2, retrain_epochs=1, batch_size=5, retrain_batch_size=5, refresh=3)


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 12), st.integers(2, 9), st.data(), st.integers(0, 2**32))
def test_row_mode_ends_with_constant_fan_in(hidden, other, data, seed):
    """Every unit of a layer ends with exactly the fan-in asked for, whatever the shape."""
    widths = (6, hidden, other, 3)
    fan_in = tuple(data.draw(st.integers(1, inputs)) for inputs in widths[:-1])
    trainer = replace(TOY, fan_in=fan_in)
    result = trainer.train(toy_data(), widths, seed)
    assert [set(layer.fan_in.tolist()) for layer in result.network.layers] == [{n} for n in fan_in]


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(["global", "layer"]), st.floats(0.05, 1.0), st.integers(0, 2**32))
def test_other_modes_end_with_exact_counts(mode, connectivity, seed):
    """Modes layer and global end with exactly the connections asked for, per layer and in all."""
    widths = (6, 8, 7, 3)
    trainer = replace(TOY, mode=mode, connectivity=connectivity)
    network = trainer.train(toy_data(), widths, seed).network
    if mode == "layer":
        assert tuple(layer.n_connections for layer in network.layers) == matrix_budgets(
            FullyConnected(widths), connectivity
        )
    else:
        assert network.n_connections == round(connectivity * (48 + 56 + 21))


def test_connectivity_follows_the_cubic_schedule(few_images):
    """No epoch uses more connections than the one before; before `begin` it is all, after `end` the final share."""
    trainer = GradualPruning("layer", connectivity=0.05, prune_epochs=10, retrain_epochs=1, batch_size=100, refresh=1)
    history = trainer.train(few_images, WIDTHS, 0).history
    share = [record.connectivity for record in history]
    assert share[0] == 1.0
    assert all(a >= b for a, b in pairwise(share))
    # At the start of epoch 6, half-way: p = (.5 - .15) / .7 = .5.
    assert share[5] == pytest.approx(0.05 + 0.95 * 0.5**3, abs=0.01)
    assert share[9] == share[10] == pytest.approx(0.05, abs=1e-3)


def test_learns_real_images_and_repeats_bit_by_bit(few_images):
    """A tiny run on MNIST is far above chance, records itself, and the same seed gives the same network."""
    first, again = (TINY.train(few_images, WIDTHS, 3) for _ in range(2))
    record = first.network.record
    assert record.validation_accuracy > 0.4
    assert record.test_accuracy > 0.4
    assert (record.method, record.seed, record.data) == ("gradual-pruning", 3, few_images.reference)
    assert record.config["fan_in"] == [8, 6, 10]
    for left, right in zip(first.network.layers, again.network.layers, strict=True):
        assert left.weights.tobytes() == right.weights.tobytes()
        assert left.biases.tobytes() == right.biases.tobytes()
    assert [r.loss for r in first.history] == [r.loss for r in again.history]
    other = replace(TINY, prune_epochs=1, retrain_epochs=0).train(few_images, WIDTHS, 4)
    assert other.network.layers[0].weights.tobytes() != first.network.layers[0].weights.tobytes()


def test_progress_is_told_every_epoch(few_images):
    """The callback gets every record once, in order, with the last accuracy measured."""
    seen = []
    trainer = replace(TINY, prune_epochs=1, retrain_epochs=2)
    result = trainer.train(few_images, WIDTHS, 0, seen.append)
    assert tuple(seen) == result.history
    assert [(r.phase, r.epoch, r.epochs) for r in seen] == [("prune", 1, 3), ("retrain", 2, 3), ("retrain", 3, 3)]
    assert seen[-1].validation_accuracy == result.network.record.validation_accuracy


@given(st.integers(1, 5), st.integers(1, 30), st.data())
def test_strongest_are_the_largest_of_every_row(rows, columns, data):
    """Exactly `keep` per row, and none that is dropped exceeds one that stays."""
    keep = data.draw(st.integers(0, columns))
    size = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 9, (rows, columns)).astype(np.float32)
    kept = strongest(size, keep)
    assert kept.sum(axis=1).tolist() == [keep] * rows
    for row, mask in zip(size, kept, strict=True):
        assert row[mask].min(initial=np.inf) >= row[~mask].max(initial=-np.inf)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"connectivity": 0.0}, "connectivity must be"),
        ({"begin": 0.9, "end": 0.2}, "begin must be below end, found 0.9 and 0.2"),
        ({"refresh": 0}, "refresh must be a whole number >= 1"),
    ],
)
def test_impossible_configuration_is_refused(options, message):
    """Configurations check themselves."""
    with pytest.raises(ValueError, match=message):
        GradualPruning(**options)


@pytest.mark.parametrize(
    ("trainer", "widths", "message"),
    [
        (TINY, (784, 30, 10), "fan_in needs one number per layer, 2"),
        (replace(TINY, fan_in=(8, 31, 10)), WIDTHS, "fan_in of layer 1 must be at most its 30 inputs, found 31"),
        (TINY, (784, 30, 20, 9), "must begin with 784 and end with 10"),
        (replace(TINY, batch_size=5_000), WIDTHS, "batch_size must be in 1 .. 2000"),
    ],
)
def test_configuration_that_does_not_fit_is_refused(few_images, trainer, widths, message):
    """What does not fit data or widths is one sentence, before training begins."""
    with pytest.raises(ValueError, match=message):
        trainer.train(few_images, widths, 0)
