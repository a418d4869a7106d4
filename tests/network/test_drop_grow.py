import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matchopt.network.methods.replacement import at_random, by_score, drop_share, replace_weakest


@st.composite
def layers(draw):
    """(sites in use, their magnitudes, number of sites, generator); full layers included."""
    n_sites = draw(st.integers(1, 60))
    count = draw(st.one_of(st.just(n_sites), st.integers(1, n_sites)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    size = rng.integers(0, 5, count).astype(np.float32)  # many equals
    return rng.permutation(n_sites)[:count], size, n_sites, rng


@given(layers(), st.floats(0.0, 1.0), st.booleans())
def test_weakest_go_and_as_many_dormant_sites_come(layer, share, random):
    """As many leave as enter, the weakest leave, what enters was dormant before: nothing regrows at once."""
    sites, size, n_sites, rng = layer
    score = rng.standard_normal(n_sites).astype(np.float32)
    choose = at_random(rng) if random else by_score(score)
    dropped, grown = replace_weakest(sites, size, n_sites, share, choose)
    assert len(dropped) == len(grown) == min(round(share * len(sites)), n_sites - len(sites))
    kept = np.setdiff1d(np.arange(len(sites)), dropped)
    assert len(kept) == len(sites) - len(dropped)
    assert size[dropped].max(initial=-1) <= size[kept].min(initial=9)
    assert not set(grown) & set(sites)
    assert len(set(grown)) == len(grown)
    if not random:
        rest = np.setdiff1d(np.arange(n_sites), np.concatenate([sites, grown]))
        assert score[grown].min(initial=9) >= score[rest].max(initial=-9)


def test_random_growth_is_uniform():
    """Each of the dormant sites is chosen equally often: six-sigma band for each of 90 of them over 500 draws."""
    sites, rng = np.arange(10), np.random.default_rng(0)
    size, seen = np.arange(10, dtype=np.float32), np.zeros(100)
    for _ in range(500):
        dropped, grown = replace_weakest(sites, size, 100, 0.3, at_random(rng))
        assert dropped.tolist() == [0, 1, 2]
        seen[grown] += 1
    assert not seen[:10].any()
    expected = 500 * 3 / 90
    assert np.abs(seen[10:] - expected).max() < 6 * expected**0.5


def test_share_falls_like_a_cosine():
    """All at the start, half in the middle, nothing at the end and after it."""
    assert [drop_share(done, 0.3, 0.75) for done in (0.0, 0.375, 0.75, 0.9)] == pytest.approx([0.3, 0.15, 0.0, 0.0])
