"""The choice among fixed values: compiled, by torch, and by definition."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from matchopt.network.training.optimisers import Adam, Sgd
from matchopt.network.training.slot_choice import LatentSlots, ScoreSlots, draw_values, drawn, highest, starts_of
from matchopt.network.training.slot_kernels import envelope, nearest_breaks, take, take_drawn, take_highest
from matchopt.network.training.starts import he_normal

SIZES = st.tuples(st.integers(1, 30), st.integers(1, 9))
SEEDS = st.integers(0, 2**32 - 1)


def taken(latent, slopes, breaks, factor=1.0):
    low, high, weights = (np.full(len(latent), x, np.float32) for x in (np.inf, -np.inf, np.nan))
    take(latent, slopes, breaks, np.float32(factor), low, high, weights)
    return weights


@settings(max_examples=60, deadline=None)
@given(SIZES, st.booleans(), st.floats(0.01, 2.0), SEEDS)
def test_the_highest_line_is_taken(sizes, shared, factor, seed):
    """What `envelope` and `take` choose has, of all lines factor * score + latent * value, the highest at the latent.

    Values and scores are from a coarse grid, so that equal values and equal lines are there.
    """
    (n, k), rng = sizes, np.random.default_rng(seed)
    values = (rng.integers(-3, 4, (1 if shared else n, k)) / 4).astype(np.float32)
    scores = (rng.integers(0, 5, (n, k)) / 8).astype(np.float32)
    latent = rng.normal(0, 1, n).astype(np.float32)
    slopes, breaks = np.zeros((n, k), np.float32), np.zeros((n, k - 1), np.float32)
    envelope(values, scores, slopes, breaks)
    assert (np.diff(slopes, axis=1) >= 0).all()
    assert (breaks[:, 1:] >= breaks[:, :-1]).all()
    weights = taken(latent, slopes, breaks, factor)
    heights = factor * scores.astype(float) + latent[:, None].astype(float) * values
    assert (weights[:, None] == values).any(axis=1).all()
    own = np.where(values == weights[:, None], heights, -np.inf).max(axis=1)
    np.testing.assert_allclose(own, heights.max(axis=1), atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(SIZES, st.booleans(), SEEDS)
def test_the_nearest_value_is_taken_again_and_again(sizes, shared, seed):
    """Latents that walk, looked at only where they left their interval: always the nearest value."""
    (n, k), rng = sizes, np.random.default_rng(seed)
    slopes = rng.normal(0, 1, (1 if shared else n, k)).astype(np.float32)
    values, breaks = slopes.copy(), np.zeros((len(slopes), k - 1), np.float32)
    nearest_breaks(slopes, breaks)
    latent = rng.normal(0, 1, n).astype(np.float32)
    low, high, weights = (np.full(n, x, np.float32) for x in (np.inf, -np.inf, np.nan))
    for _ in range(20):
        take(latent, slopes, breaks, np.float32(1), low, high, weights)
        distance = abs(latent[:, None].astype(float) - values)
        np.testing.assert_allclose(abs(latent.astype(float) - weights), distance.min(axis=1), atol=1e-6)
        latent += rng.normal(0, 0.3, n).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(SIZES, st.booleans(), SEEDS)
def test_compiled_and_torch_choose_alike(sizes, shared, seed):
    """The highest score, of equal ones the first."""
    (n, k), rng = sizes, np.random.default_rng(seed)
    scores = rng.integers(0, 4, (k, n + 3)).astype(np.float32)
    values = rng.normal(0, 1, (k, 1 if shared else n)).astype(np.float32)
    weights, best = np.zeros(n, np.float32), np.zeros(n, np.float32)
    take_highest(scores, 3, values, best, weights)
    chosen = scores[:, 3:].argmax(axis=0)
    assert np.array_equal(weights, np.broadcast_to(values, (k, n))[chosen, np.arange(n)])
    assert np.array_equal(best, scores[:, 3:].max(axis=0))
    assert np.array_equal(highest(torch.from_numpy(scores[:, 3:]), torch.from_numpy(values)).numpy(), weights)


@pytest.mark.parametrize("way", ["compiled", "torch"])
def test_values_are_drawn_with_the_probabilities_of_the_scores(way):
    """Frequencies of 40,000 connections with the scores log 1, log 2, log 3 and log 4, within four deviations."""
    n, rng = 40_000, np.random.default_rng(0)
    scores = np.repeat(np.log(np.arange(1, 5, dtype=np.float32))[:, None], n, axis=1)
    values = np.array([[3], [-1], [0.5], [7]], np.float32)
    if way == "torch":
        found = drawn(torch.from_numpy(scores), torch.from_numpy(values), torch.Generator().manual_seed(1)).numpy()
    else:
        found = np.zeros(n, np.float32)
        take_drawn(np.exp(scores), 0, values, rng.random(n, np.float32), found)
    for value, share in zip(values[:, 0], (0.1, 0.2, 0.3, 0.4), strict=True):
        assert (found == value).mean() == pytest.approx(share, abs=4 * (share * (1 - share) / n) ** 0.5)


@pytest.mark.parametrize("start", ["nearest", "random"])
@pytest.mark.parametrize("rule", [Adam(), Sgd(0.9, False, 1e-3)])
def test_latents_in_tensors_choose_as_compiled(start, rule, monkeypatch):
    """The form for other devices, step by step."""
    rng, shapes = np.random.default_rng(3), ((4, 5), (3, 4))
    tables = draw_values(shapes, 6, [0.5, 0.7], "normal", "connection", rng)
    latent = he_normal(shapes, rng)[:32]
    scores = None if start == "nearest" else starts_of(tables, [20, 12], [0.1, 0.1], latent, rng)
    compiled = LatentSlots(shapes, tables, scores, latent.copy(), rule, "cpu")
    monkeypatch.setattr("matchopt.network.training.tensors.is_cpu", lambda device: False)
    monkeypatch.setattr("matchopt.network.training.slot_choice.is_cpu", lambda device: False)
    tensors = LatentSlots(shapes, tables, scores, latent.copy(), rule, "cpu")
    weights, as_tensor = np.zeros(32, np.float32), torch.zeros(32)
    for _ in range(50):
        compiled.fill(weights, True)
        tensors.fill(as_tensor, True)
        assert np.array_equal(weights, as_tensor.numpy())
        gradient = rng.normal(0, 1, 32).astype(np.float32)
        compiled.step(gradient, 0.02)
        tensors.step(torch.from_numpy(gradient), 0.02)


@pytest.mark.parametrize("share", ["connection", "layer", "network"])
@pytest.mark.parametrize("law", ["uniform", "normal"])
def test_fixed_values_follow_their_law(law, share):
    """Variance bound^2 / 3, the uniform law within the bound; shared values are one row for all."""
    shapes, bounds = ((50, 60), (40, 50)), [0.1, 0.3]
    tables = draw_values(shapes, 30 if share == "connection" else 40_000, bounds, law, share, np.random.default_rng(0))
    if share == "network":
        bounds = [0.2, 0.2]
        assert tables[0] is tables[1]
    for table, (m, n), bound in zip(tables, shapes, bounds, strict=True):
        assert len(table) == (m * n if share == "connection" else 1)
        assert table.var() == pytest.approx(bound**2 / 3, rel=0.03)
        assert law == "normal" or abs(table).max() <= bound


def test_scores_get_the_gradient_times_their_values():
    """One plain step of rate 1: every score of every connection falls by g W, chosen or not."""
    rng, shapes = np.random.default_rng(5), ((3, 4), (2, 3))
    tables = draw_values(shapes, 5, [1.0, 2.0], "uniform", "connection", rng)
    latent = np.zeros(18, np.float32)
    slots = ScoreSlots(shapes, tables, starts_of(tables, [12, 6], [1.0, 1.0], latent, rng), Sgd(), "cpu")
    before, gradient = slots.scores.numpy().T.copy(), rng.normal(0, 1, 18).astype(np.float32)
    slots.fill(np.zeros(18, np.float32), True)
    slots.step(gradient, 1.0)
    wanted = gradient[:, None] * np.concatenate(tables)
    np.testing.assert_allclose(before - slots.scores.numpy().T, wanted, atol=1e-6)
