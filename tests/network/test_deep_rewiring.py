from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from matchopt.instances.architecture import FullyConnected
from matchopt.network.methods.deep_rewiring import DeepRewiring
from matchopt.network.methods.rewiring import ListedRewiring, MatrixRewiring, Rewiring, allot, random_start
from matchopt.network.training.starts import matrix_budgets

from .conftest import WIDTHS, toy_data
from .stepping import SEEDS, WIDTHS_AND_DATA, network_and_data, train_watched

TINY = DeepRewiring(connectivity=0.1, epochs=4, batch_size=5, learning_rate=0.1)


def make(widths, budgets, seed=0, alpha=0.0, noise=0.0, redraw=False):
    rng = np.random.default_rng(seed)
    model, signs = random_start(widths, budgets, rng)
    return model, Rewiring(model, signs, rng, alpha, noise, redraw)


def theta_of(model, rewiring):
    return model.values[: len(model.source)] * rewiring.sign


@settings(max_examples=12, deadline=None)
@given(
    st.tuples(*[st.integers(2, 8)] * 4),
    st.lists(st.floats(0.01, 1.0), min_size=3, max_size=3),
    st.floats(0.0, 0.2),
    st.floats(0.0, 0.1),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_exactly_k_connections_after_every_step(widths, shares, alpha, noise, redraw, seed):
    """Full layers included: K distinct sites, theta >= 0, and with fixed signs every weight has its site's sign."""
    sizes = [m * n for n, m in pairwise(widths)]
    budgets = [max(1, int(share * size)) for share, size in zip(shares, sizes, strict=True)]
    model, rewiring = make(widths, budgets, seed, alpha, noise, redraw)
    data = toy_data(widths[0], widths[-1], seed=seed)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    for _ in range(15):
        model.loss(data.train_images, data.train_labels, np.arange(7))
        rewiring.step(model.values, model.gradient, 0.5)
        assert (theta_of(model, rewiring) >= 0).all()
        for layer, (budget, size) in enumerate(zip(budgets, sizes, strict=True)):
            sites = model.sites(layer)
            assert len(np.unique(sites)) == budget
            assert sites.min() >= 0
            assert sites.max() < size
            if not redraw:
                signs = rewiring.signs[starts[layer] + sites]
                assert np.array_equal(signs, rewiring.sign[model.connections(layer)])
    assert [layer.n_connections for layer in model.network().layers] == budgets


@settings(max_examples=10, deadline=None)
@given(st.tuples(*[st.integers(1, 9)] * 3), st.floats(0.01, 1.0), st.integers(0, 2**32))
def test_start_is_distinct_sites_with_half_normal_theta(widths, share, seed):
    """Sites are drawn without replacement, theta is not negative, biases are zero."""
    budgets = [max(1, int(share * m * n)) for n, m in pairwise(widths)]
    model, rewiring = make(widths, budgets, seed)
    for layer, budget in enumerate(budgets):
        assert len(set(model.sites(layer).tolist())) == budget
    assert (theta_of(model, rewiring) >= 0).all()
    assert not model.values[sum(budgets) :].any()


@pytest.mark.parametrize("kind", [ListedRewiring, MatrixRewiring])
@settings(max_examples=12, deadline=None)
@given(
    WIDTHS_AND_DATA,
    st.floats(0.05, 1.0),
    st.sampled_from(["sgd", "adam"]),
    st.sampled_from(["layer", "network"]),
    st.floats(0.0, 0.2),
    SEEDS,
)
def test_budgets_hold_after_every_step(kind, found, connectivity, optimiser, budget, alpha, seed):
    """Both ways and both optimisers: exactly the budget, of every layer or in all; what is not in use is zero."""
    widths, data = network_and_data(found, seed)
    budgets = matrix_budgets(FullyConnected(widths), connectivity)
    trainer = replace(TINY, connectivity=connectivity, optimiser=optimiser, budget=budget, alpha=alpha, epochs=2)

    def look(run, at):
        layers = run.network().layers
        assert tuple(layer.n_connections for layer in layers) == run.counts
        assert not any(layer.weights[~layer.mask].any() for layer in layers)
        assert sum(run.counts) == sum(budgets)
        if budget == "layer":
            assert run.counts == budgets

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DeepRewiring, "new_run", lambda self, setting: kind(self.plan(setting), setting))
        result = train_watched(trainer, data, widths, seed, look)
    assert result.connectivity == result.network.connectivity


def test_one_budget_moves_connections_to_the_layers_by_their_shares():
    """Far more sites than connections, all of which end in every step: layers get them in proportion to their shares.

    Counts of one step are multinomial, so that of 200 steps is; chi-square at .001.
    """
    widths, budgets = (50, 40, 30), [30, 60]
    rng = np.random.default_rng(0)
    model, signs = random_start(widths, budgets, rng)
    rewiring = Rewiring(model, signs, rng, 100.0, 0.0, False, budgets)
    moments, counts = np.zeros((2, len(model.values)), np.float32), np.zeros(2)
    for _ in range(200):
        moments[:, :90] = model.values[:90]
        ended = rewiring.step(model.values, np.zeros_like(model.gradient), 1.0, moments)
        counts += np.diff(model.first_connection)
        alive = np.setdiff1d(np.arange(90), ended)
        assert not alive.size
        for layer in (0, 1):
            sites = model.sites(layer)
            assert len(np.unique(sites)) == len(sites)
            assert np.array_equal(rewiring.sign[model.connections(layer)], signs[2_000 * layer + sites])
    assert chisquare(counts, 200 * np.array(budgets)).pvalue > 1e-3


def test_what_is_kept_per_connection_moves_with_it():
    """When connections change layers, those that stay keep their site, weight and the optimiser's numbers."""
    rng = np.random.default_rng(1)
    model, signs = random_start((20, 15, 10), [100, 50], rng)
    rewiring = Rewiring(model, signs, rng, 0.1, 0.0, False, [100, 50])

    def table():
        sites = np.concatenate([model.sites(0), 300 + model.sites(1)])
        return {site: (model.values[k], moments[0, k]) for k, site in enumerate(sites.tolist())}

    moments = rng.standard_normal((1, len(model.values))).astype(np.float32)
    for _ in range(5):
        before = table()
        ended = rewiring.step(model.values, np.zeros_like(model.gradient), 1.0, moments)
        moments[:, ended] = 7.0
        after = table()
        assert len(after) == 150
        stayed = {site: pair for site, pair in after.items() if pair[1] != 7.0}
        assert len(stayed) == 150 - len(ended)
        for site, (value, moment) in stayed.items():
            assert moment == before[site][1]
            assert abs(value) == pytest.approx(abs(before[site][0]) - 0.1, abs=1e-6)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=1, max_size=5), st.data())
def test_no_layer_is_allotted_more_than_it_has_room_for(layers, data):
    """As many as asked for, never more than the room of a layer, none without a share while others have room."""
    shares, room = (np.array(column) for column in zip(*layers, strict=True))
    count = data.draw(st.integers(0, int(room.sum())))
    given_out = allot(count, shares.astype(float), room, np.random.default_rng(data.draw(SEEDS)))
    assert given_out.sum() == count
    assert (given_out <= room).all()
    if (given_out[shares > 0] < room[shares > 0]).any():
        assert not given_out[shares == 0].any()


def test_start_has_the_scale_of_the_paper():
    """theta = |N(0, 1)| / sqrt(inputs): mean sqrt(2 / pi) / sqrt(inputs); signs are fair."""
    model, rewiring = make((400, 300), [20_000])
    assert theta_of(model, rewiring).mean() == pytest.approx((2 / np.pi / 400) ** 0.5, rel=0.02)
    assert abs(rewiring.signs.mean()) < 4 / 120_000**0.5


def test_without_gradient_theta_falls_by_the_prior():
    """Zero gradient, no noise: theta falls by eta * alpha per step and the site goes dormant at the predicted step."""
    model, rewiring = make((50, 40), [500], alpha=0.01)
    rate, zero = 0.5, np.zeros_like(model.gradient)
    start, sites = theta_of(model, rewiring).astype(np.float64), model.sites(0)
    fall = rate * 0.01
    for step in range(1, 12):
        rewiring.step(model.values, zero, rate)
        expected = start - step * fall
        alive = expected > 1e-6
        assert np.array_equal(model.sites(0)[alive], sites[alive])
        np.testing.assert_allclose(theta_of(model, rewiring)[alive], expected[alive], atol=1e-6)
        ended = expected < -1e-6
        assert (theta_of(model, rewiring)[ended] == 0).all()  # one-step probes: replaced again in every step
    assert ended.any()
    assert alive.any()


def test_active_connections_follow_the_gradient():
    """While theta stays positive a step is plain descent plus the prior towards zero; biases feel no prior."""
    model, rewiring = make((30, 20), [200], alpha=0.1)
    rng = np.random.default_rng(5)
    gradient = (0.01 * rng.standard_normal(len(model.values))).astype(np.float32)
    model.values[:200] = rewiring.sign * np.float32(1.0)
    before = model.values.copy()
    rewiring.step(model.values, gradient, 0.2)
    np.testing.assert_allclose(
        model.values[:200], before[:200] - 0.2 * gradient[:200] - 0.02 * rewiring.sign, rtol=1e-5
    )
    np.testing.assert_allclose(model.values[200:], before[200:] - 0.2 * gradient[200:], rtol=1e-6)


def test_nothing_moves_without_rate_prior_and_noise():
    """alpha = T = eta = 0: values and sites stay bit by bit."""
    model, rewiring = make((9, 8, 7), [30, 56])
    values, source, target = model.values.copy(), model.source.copy(), model.target.copy()
    for _ in range(5):
        rewiring.step(model.values, np.ones_like(model.gradient), 0.0)
    assert np.array_equal(model.values, values)
    assert np.array_equal(model.source, source)
    assert np.array_equal(model.target, target)


def test_rates_fall_as_the_schedule_says():
    """Constant but for the decay after epochs, or down to 0 by a line; the prior falls with the rate."""
    steps = replace(TINY, learning_rate=0.4, rate_decay=0.5)
    assert [steps.rate(done) for done in (0.0, 0.2, 0.25, 0.8)] == [0.4, 0.4, 0.2, 0.05]
    line = replace(TINY, learning_rate=0.4, schedule="linear")
    assert [line.rate(done) for done in (0.0, 0.25, 0.5)] == pytest.approx([0.4, 0.3, 0.2])
    assert replace(line, rate_decay=0.5).rate(0.5) == pytest.approx(0.05)


def test_reactivated_sites_are_uniform():
    """Sites drawn for one ended connection are uniform over the dormant ones and the one just ended (chi-square)."""
    model, rewiring = make((10, 10), [60], seed=3)
    rng = np.random.default_rng(4)
    counts, expected = np.zeros(100), np.zeros(100)
    for _ in range(1_500):
        slot = int(rng.integers(60))
        before = model.sites(0)
        gradient = np.zeros_like(model.gradient)
        model.values[:60] = rewiring.sign
        gradient[slot] = 2 * rewiring.sign[slot]  # theta = 1 - 2 < 0
        rewiring.step(model.values, gradient, 1.0)
        counts[model.sites(0)[slot]] += 1
        candidates = np.setdiff1d(np.arange(100), np.delete(before, slot))
        expected[candidates] += 1 / len(candidates)
        assert np.array_equal(np.delete(model.sites(0), slot), np.delete(before, slot))
    assert chisquare(counts, expected).pvalue > 1e-3


def test_noise_has_the_standard_deviation_asked_for():
    """Without gradient and prior, one step moves theta by relative noise * eta, normally distributed."""
    model, rewiring = make((100, 100), [9_000], noise=0.2)
    model.values[:9_000] = rewiring.sign * np.float32(10.0)
    rewiring.step(model.values, np.zeros_like(model.gradient), 0.5)
    moved = theta_of(model, rewiring) - 10.0
    assert moved.std() == pytest.approx(0.1, rel=0.05)
    assert abs(moved.mean()) < 0.01


def test_redrawn_signs_are_fair():
    """With redrawn signs a re-activated site is positive half of the time, also in a full layer."""
    model, rewiring = make((40, 50), [2_000], redraw=True)
    model.values[:2_000] = rewiring.sign
    gradient = np.zeros_like(model.gradient)
    gradient[:2_000] = 2 * rewiring.sign
    fixed = rewiring.signs.copy()
    rewiring.step(model.values, gradient, 1.0)
    assert abs(rewiring.sign.mean()) < 4 / 2_000**0.5
    assert np.array_equal(rewiring.signs, fixed)


def test_full_layer_keeps_its_signs():
    """With fixed signs and every site active, an ended site can only come back with its own sign."""
    model, rewiring = make((5, 4), [20], alpha=10.0)
    signs = dict(zip(model.sites(0).tolist(), rewiring.sign.tolist(), strict=True))
    for _ in range(3):
        rewiring.step(model.values, np.zeros_like(model.gradient), 1.0)
    assert dict(zip(model.sites(0).tolist(), rewiring.sign.tolist(), strict=True)) == signs


def test_learns_real_images_and_repeats_bit_by_bit(few_images):
    """A tiny run on MNIST is above chance, keeps its connectivity in every epoch, and repeats exactly."""
    first, again = (TINY.train(few_images, WIDTHS, 1) for _ in range(2))
    assert first.network.record.validation_accuracy > 0.5
    assert {record.connectivity for record in first.history} == {first.network.connectivity}
    for left, right in zip(first.network.layers, again.network.layers, strict=True):
        assert left.weights.tobytes() == right.weights.tobytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"connectivity": 0.0}, "connectivity must be"),
        ({"epochs": 0}, "epochs must be a whole number >= 1"),
        ({"alpha": -1.0}, "alpha must be a finite number >= 0"),
        ({"noise_std": float("nan")}, "noise_std must be a finite number >= 0"),
    ],
)
def test_impossible_configuration_is_refused(options, message):
    """Configurations check themselves."""
    with pytest.raises(ValueError, match=message):
        replace(TINY, **options)
