import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matchopt.network.methods.magnitude_pruning import MagnitudePruning

from .stepping import SEEDS, WIDTHS_AND_DATA, assert_zero_outside, network_and_data, train_watched


def watch(trainer, widths, data, seed):
    """Train; (weights, mask) before and after every pruning, and checks after every step."""
    prunings, last = [], []

    def look(run, at):
        del at
        assert_zero_outside(run.net)
        last[:] = [(run.net.parameters, run.net.mask.copy())]

    def look_at_entry(run, phase):
        if phase:
            prunings.append((*last[0], run.net.parameters, run.net.mask.copy(), run.net.segments))

    return train_watched(trainer, data, widths, seed, look, look_at_entry).network, prunings


@settings(max_examples=12, deadline=None)
@given(WIDTHS_AND_DATA, st.floats(0.05, 1.0), st.integers(1, 3), st.sampled_from(["adam", "sgd"]), SEEDS)
def test_wanted_connectivity_is_met(found, connectivity, rounds, optimiser, seed):
    """Each round leaves connectivity^(round / rounds) of the weights, at one quality factor, from where they are."""
    widths, data = network_and_data(found, seed)
    trainer = MagnitudePruning(
        connectivity, rounds=rounds, dense_epochs=1, retrain_epochs=1, final_epochs=1, batch_size=9, optimiser=optimiser
    )
    network, prunings = watch(trainer, widths, data, seed)
    assert len(prunings) == rounds
    for number, (before, mask, after, kept, segments) in enumerate(prunings, start=1):
        assert kept.sum() == min(mask.sum(), round(connectivity ** (number / rounds) * len(mask)))
        assert not (kept & ~mask).any()
        expected = np.where(np.concatenate([kept, np.ones(len(after) - len(kept), bool)]), before, 0)
        assert after.tobytes() == expected.astype(np.float32).tobytes()
        quality = [np.abs(before[: len(mask)][part]) / max(before[part][mask[part]].std(), 1e-30) for part in segments]
        quality = np.concatenate(quality)
        assert quality[kept].min(initial=np.inf) >= quality[mask & ~kept].max(initial=-1) * (1 - 1e-5)
    assert network.n_connections == round(connectivity * len(kept))


@settings(max_examples=8, deadline=None)
@given(WIDTHS_AND_DATA, st.floats(0.0, 2.0), SEEDS)
def test_quality_factor_removes_what_is_below_its_threshold(found, quality, seed):
    """Without a wanted connectivity, what goes is below quality * standard deviation of what is left of its matrix."""
    widths, data = network_and_data(found, seed)
    trainer = MagnitudePruning(None, quality, rounds=2, dense_epochs=1, retrain_epochs=1, final_epochs=1, batch_size=9)
    _, prunings = watch(trainer, widths, data, seed)
    assert len(prunings) == 2
    for before, mask, _, kept, segments in prunings:
        for part in segments:
            if mask[part].any():
                size, threshold = np.abs(before[part]), quality * before[part][mask[part]].std()
                wrong = kept[part] != (mask[part] & (size >= threshold))
                assert np.isclose(size[wrong], threshold, rtol=1e-5).all()


def test_pruning_and_retraining_keep_accuracy(few_images):
    """A tenth of the weights of a small network is enough for a few images."""
    trainer = MagnitudePruning(0.1, rounds=2, dense_epochs=3, retrain_epochs=2, final_epochs=4, batch_size=20)
    assert trainer.train(few_images, (784, 30, 10), 1).network.record.validation_accuracy > 0.75


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"connectivity": 0.0}, "connectivity must be a number > 0 and <= 1 or none"),
        ({"rounds": 0}, "rounds must be a whole number >= 1"),
        ({"quality": -1.0}, "quality must be a finite number >= 0"),
    ],
)
def test_impossible_configuration_is_refused(options, message):
    """Configurations check themselves."""
    with pytest.raises(ValueError, match=message):
        MagnitudePruning(**options)
