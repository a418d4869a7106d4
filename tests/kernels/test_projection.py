"""Projections on hardware neurons: against assignment by scipy, and the rules every projection keeps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from matchopt.errors import InvalidInstance
from matchopt.kernels.projection import BoundProjection, FreeProjection, Projection

SEEDS = st.integers(0, 2**32 - 1)
FORBIDDEN = 1e9


def drawn(rng: np.random.Generator, rows: int, inputs: int, cells: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Wishes, hardware weights and usable cells; with ties and zeros now and then."""
    wishes, weights = rng.standard_normal((rows, inputs)), rng.standard_normal((rows, cells))
    if rng.random() < 0.3:
        wishes, weights = np.round(wishes), np.round(weights)
    usable = rng.random((rows, cells)) < rng.choice([0.7, 1.0])
    return wishes.astype(np.float32), weights.astype(np.float32).astype(float), usable


def full(projection: Projection, shape: tuple[int, ...]) -> np.ndarray:
    """The realised weights as a matrix."""
    made, matrix = projection.wires, np.zeros(shape)
    for i in range(shape[0]):
        n = made.count[i]
        matrix[i, made.inputs[i, :n]] = made.weights[i, :n]
    return matrix


def assert_one_use(projection: Projection, weights: np.ndarray, usable: np.ndarray) -> None:
    """Every cell and every input of a row at most once, usable cells only, and their own weights bit for bit."""
    made = projection.wires
    for i in range(len(weights)):
        cells, inputs = made.cells[i, : made.count[i]], made.inputs[i, : made.count[i]]
        assert len(set(cells.tolist())) == len(cells) == len(set(inputs.tolist()))
        assert usable[i, cells].all()
        assert np.array_equal(made.weights[i, : made.count[i]], weights[i, cells].astype(np.float32))


def least(cost: np.ndarray) -> float:
    """Optimal assignment by scipy."""
    rows, columns = linear_sum_assignment(cost)
    return float(cost[rows, columns].sum())


def free_distance(wishes: np.ndarray, cells: np.ndarray) -> float:
    """Least squared distance with optional cells: every input takes a cell or a zero of its own."""
    zeros = np.where(np.eye(len(wishes), dtype=bool), 0.0, FORBIDDEN)
    cost = np.hstack([(wishes[:, None] - cells) ** 2, (wishes**2)[:, None] + zeros])
    return least(cost)


@given(SEEDS)
def test_free_projection_is_nearest(seed: int) -> None:
    """At threshold 0.5 no use of the cells is nearer, by linear assignment; also after the wishes have moved."""
    rng = np.random.default_rng(seed)
    shape = (2, int(rng.integers(0, 12)))
    wishes, weights, usable = drawn(rng, *shape, int(rng.integers(0, 8)))
    projection = FreeProjection(weights, usable, shape[1])
    for _ in range(3):
        projection.project(wishes)
        assert_one_use(projection, weights, usable)
        found = ((wishes - full(projection, shape)) ** 2).sum(axis=1)
        best = [
            free_distance(wish.astype(float), h[kept]) for wish, h, kept in zip(wishes, weights, usable, strict=True)
        ]
        assert found == pytest.approx(best, abs=1e-4)
        wishes = wishes + np.float32(0.3) * rng.standard_normal(shape, np.float32)


@given(SEEDS)
def test_greedy_is_never_nearer(seed: int) -> None:
    """The rule that takes cells in turn keeps the rules and is at best as near as the exact projection."""
    rng = np.random.default_rng(seed)
    wishes, weights, usable = drawn(rng, 3, 10, 5)
    worth = []
    for exact in (True, False):
        projection = FreeProjection(weights, usable, 10, exact=exact)
        projection.project(wishes)
        assert_one_use(projection, weights, usable)
        worth.append(((wishes - full(projection, wishes.shape)) ** 2).sum(axis=1))
    assert (worth[0] <= worth[1] + 1e-5).all()


@given(SEEDS, st.sampled_from([0.0, 0.3, 0.5]), st.booleans())
def test_worths_are_those_of_projecting(seed: int, threshold: float, exact: bool) -> None:
    """The worth of every row on every neuron is that of projecting it there."""
    rng = np.random.default_rng(seed)
    wishes, weights, usable = drawn(rng, 4, int(rng.integers(1, 90)), int(rng.integers(0, 7)))
    rule = {"threshold": threshold, "exact": exact}
    found = FreeProjection(weights[:3], usable[:3], wishes.shape[1], **rule).worths(wishes)
    assert found.shape == (4, 3)
    for j in range(3):
        one = FreeProjection(np.repeat(weights[j : j + 1], 4, axis=0), np.repeat(usable[j : j + 1], 4, axis=0),
                             wishes.shape[1], **rule)  # fmt: skip
        one.project(wishes)
        used = full(one, wishes.shape)
        assert found[:, j] == pytest.approx((used * wishes - threshold * used**2).sum(axis=1), abs=1e-4)


def test_greedy_takes_what_the_exact_one_leaves() -> None:
    """The known case: cells 10 and 5, one wish of 5.1; taking them in turn uses 10."""
    wishes, weights = np.array([[5.1, 0.0]], np.float32), np.array([[10.0, 5.0]])
    used = []
    for exact in (True, False):
        projection = FreeProjection(weights, weights > 0, 2, exact=exact)
        used.append(projection.project(wishes).weights[0, 0])
    assert used == [5.0, 10.0]


@pytest.mark.parametrize("cells", [7, 40, 300])
def test_threshold_zero_uses_every_cell(cells: int) -> None:
    """All cells get an input, and no such use is nearer; with as many cells as inputs it is a permutation."""
    rng = np.random.default_rng(cells)
    wishes, weights = rng.standard_normal((4, 300), np.float32), rng.standard_normal((4, cells))
    wishes[1] = 0.0  # equal wishes: still no input twice
    usable = np.ones(weights.shape, bool)
    projection = FreeProjection(weights, usable, 300, threshold=0.0)
    for _ in range(2):
        assert (projection.project(wishes).count == cells).all()
        assert_one_use(projection, weights, usable)
        found = ((wishes - full(projection, wishes.shape)) ** 2).sum(axis=1)
        for i in (0, 2, 3):
            other = np.append(weights[i], np.zeros(300 - cells))
            assert found[i] == pytest.approx(least((wishes[i].astype(float)[:, None] - other) ** 2), rel=1e-5)
        wishes = wishes + np.float32(0.01) * rng.standard_normal(wishes.shape, np.float32)
    if cells == 300:
        assert np.array_equal(
            np.sort(full(projection, wishes.shape), axis=1), np.sort(weights.astype(np.float32), axis=1)
        )


def test_more_cells_than_inputs_leave_some() -> None:
    """Where cells cannot all be used, wishes are served by cells of their sign."""
    wishes, weights = np.array([[1.0, -1.0]], np.float32), np.array([[0.5, 2.0, -3.0]])
    projection = FreeProjection(weights, weights != 0, 2, threshold=0.0)
    projection.project(wishes)
    assert full(projection, (1, 2)).tolist() == [[2.0, -3.0]]


@given(SEEDS, st.booleans(), st.booleans())
def test_bound_projection_is_nearest(seed: int, drop: bool, extra: bool) -> None:
    """Among all uses that serve the row's own inputs (or may drop them, or add others), none is nearer."""
    rng = np.random.default_rng(seed)
    inputs, cells = int(rng.integers(1, 9)), int(rng.integers(1, 7))
    wishes, weights, usable = drawn(rng, 2, inputs, cells)
    own = [np.sort(rng.permutation(inputs)[: rng.integers(0, inputs + 1)]) for _ in range(2)]
    if not drop:
        own = [some[: int(kept.sum())] for some, kept in zip(own, usable, strict=True)]
    starts = np.concatenate([[0], np.cumsum([len(some) for some in own])])
    projection = BoundProjection(weights, usable, inputs, starts, np.concatenate(own), drop=drop, extra=extra)
    projection.project(wishes)
    assert_one_use(projection, weights, usable)
    found = ((wishes - full(projection, wishes.shape)) ** 2).sum(axis=1)
    for i in range(2):
        served = np.arange(inputs) if extra else own[i]
        left = np.setdiff1d(np.arange(inputs), served)
        optional = drop | ~np.isin(served, own[i])
        wish = wishes[i, served].astype(float)
        zeros = np.where(np.eye(len(served), dtype=bool) & optional[:, None], 0.0, FORBIDDEN)
        cost = np.hstack([(wish[:, None] - weights[i, usable[i]]) ** 2, (wish**2)[:, None] + zeros])
        best = least(cost) + float((wishes[i, left].astype(float) ** 2).sum())
        assert found[i] == pytest.approx(best, abs=1e-4)
        if not drop:
            assert set(own[i]) <= set(projection.wires.inputs[i, : projection.wires.count[i]].tolist())


def test_bad_input_gets_one_sentence() -> None:
    """Too few cells, a negative threshold and wishes of another shape are named."""
    weights = np.ones((1, 2))
    with pytest.raises(InvalidInstance, match="3 inputs and 2 usable cells"):
        BoundProjection(weights, weights > 0, 3, np.array([0, 3]), np.arange(3), drop=False)
    with pytest.raises(InvalidInstance, match="threshold"):
        FreeProjection(weights, weights > 0, 3, threshold=-1.0)
    with pytest.raises(InvalidInstance, match="shape"):
        FreeProjection(weights, weights > 0, 3).project(np.zeros((1, 2), np.float32))
