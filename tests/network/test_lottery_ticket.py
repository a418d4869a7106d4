import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matchopt.network.methods.lottery_ticket import LotteryTicket, ladder

from .stepping import SEEDS, WIDTHS_AND_DATA, assert_zero_outside, network_and_data, train_watched

LENET = [(300, 784), (100, 300), (10, 100)]
TINY = LotteryTicket(rounds=2, epochs=1, batch_size=10, learning_rate=0.01)


@pytest.mark.parametrize(
    ("rounds", "percent"), [(3, 51.28), (7, 21.07), (9, 13.52), (12, 6.95), (15, 3.58), (18, 1.85), (20, 1.19)]
)
def test_ladder_is_that_of_the_paper(rounds, percent):
    """LeNet-300-100 at 20 % and 10 % a round: (265,200 * .8^k + 1,000 * .9^k) / 266,200."""
    left = sum(ladder(LENET, rounds, 0.2, 0.1))
    assert round(100 * left / 266_200, 2) == percent
    assert left / 266_200 == pytest.approx((265_200 * 0.8**rounds + 1_000 * 0.9**rounds) / 266_200, abs=1e-5)


def watch(trainer, widths, data, seed):
    """Train; the run at the beginning of each later round: (parameters, mask, stored, weights before)."""
    rounds, last, first = [], [], []

    def look(run, at):
        assert_zero_outside(run.net)
        if at.phase == 0:
            first.append(run.net.parameters)
        last[:] = [run.net.parameters, run.net.mask.copy()]

    def look_at_entry(run, phase):
        if phase == 0:
            first.append(run.net.parameters)
        else:
            rounds.append((run.net.parameters, run.net.mask.copy(), run.stored.copy(), *last))

    return train_watched(trainer, data, widths, seed, look, look_at_entry), rounds, first


@settings(max_examples=12, deadline=None)
@given(
    WIDTHS_AND_DATA,
    st.integers(0, 3),
    st.floats(0.0, 0.9),
    st.floats(0.0, 0.9),
    st.sampled_from(["layer", "global"]),
    st.integers(0, 4),
    st.sampled_from(["adam", "sgd"]),
    SEEDS,
)
def test_rounds_prune_by_the_ladder_and_rewind_bitwise(found, rounds, pruned, output, scope, step, optimiser, seed):
    """Survivors and biases are those of the step stored, bit by bit; the smallest weights go, and as many as due."""
    widths, data = network_and_data(found, seed)
    options = {"pruned": pruned, "pruned_output": output, "scope": scope, "rewind_step": step, "optimiser": optimiser}
    result, entered, first = watch(replace(TINY, rounds=rounds, **options), widths, data, seed)
    shapes = [(m, n) for n, m in itertools.pairwise(widths)]
    assert len(entered) == rounds
    for number, (parameters, mask, stored, before, mask_before) in enumerate(entered, start=1):
        assert stored.tobytes() == first[step].tobytes()
        everything = np.concatenate([mask, np.ones(len(stored) - len(mask), bool)])
        assert parameters[everything].tobytes() == stored[everything].tobytes()
        assert not (mask & ~mask_before).any()
        starts = np.cumsum([0, *(m * n for m, n in shapes)])
        parts = [slice(a, b) for a, b in itertools.pairwise(starts)]
        due = ladder(shapes, number, pruned, output)
        if scope == "global":
            parts, due = [slice(0, starts[-1])], [round(int(starts[-1]) * (1 - pruned) ** number)]
        for part, count in zip(parts, due, strict=True):
            assert mask[part].sum() == count
            size, gone = np.abs(before[part]), mask_before[part] & ~mask[part]
            assert size[mask[part]].min(initial=np.inf) >= size[gone].max(initial=-1)
    assert len(result.history) == rounds + 1


def test_controls_differ_in_what_they_should(few_images):
    """Until the last training all is equal; then fresh weights on the same sites, or stored weights on other sites."""
    widths, found = (784, 20, 10), {}
    for control in ("none", "reinitialised", "random-mask"):
        _, rounds, _ = watch(replace(TINY, control=control, batch_size=100), widths, few_images, 3)
        found[control] = rounds
        assert rounds[0][0].tobytes() == found["none"][0][0].tobytes()
    (ticket, mask, stored, *_), (fresh, same, *_), (moved, other, *_) = (found[c][1] for c in found)
    n_weights = len(mask)
    assert np.array_equal(same, mask)
    assert (fresh != ticket)[:n_weights][mask].mean() > 0.999
    assert fresh[: 784 * 20][mask[: 784 * 20]].var() == pytest.approx(2 / 784, rel=0.05)
    assert not np.array_equal(other, mask)
    assert (other[: 784 * 20].sum(), other.sum()) == (mask[: 784 * 20].sum(), mask.sum())
    assert moved[:n_weights][other].tobytes() == stored[:n_weights][other].tobytes()


def test_no_rounds_are_the_dense_network(few_images):
    """The first training of any ticket is that of the network without rounds."""
    dense = replace(TINY, rounds=0, batch_size=50).train(few_images, (784, 20, 10), 2)
    ticket = replace(TINY, rounds=1, batch_size=50).train(few_images, (784, 20, 10), 2)
    assert dense.history[0].loss == ticket.history[0].loss
    assert dense.network.connectivity == 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [({"rounds": -1}, "rounds must be a whole number >= 0"), ({"pruned": 1.0}, "pruned must be a number >= 0 and < 1")],
)
def test_impossible_configuration_is_refused(options, message):
    """Configurations check themselves."""
    with pytest.raises(ValueError, match=message):
        replace(TINY, **options)


def test_rewinding_to_a_step_that_never_comes_is_refused(few_images):
    """The step weights are set back to is one of the first training."""
    with pytest.raises(ValueError, match="rewind_step must be at most 20"):
        replace(TINY, rewind_step=21, batch_size=100).train(few_images, (784, 20, 10), 0)
