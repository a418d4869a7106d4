from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matchopt.instances.architecture import FullyConnected
from matchopt.network.training.starts import matrix_budgets

LENET = (784, 300, 100, 10)


@pytest.mark.parametrize(
    ("connectivity", "budgets"),
    [
        (3552 / 266_200, (2352, 900, 300)),  # densities .01, .03, .3 of the paper
        (0.01, (1763, 674, 225)),
        (0.02, (3525, 1349, 450)),
        (0.05, (8903, 3407, 1000)),  # the output layer is full
        (1.0, (235_200, 30_000, 1_000)),
    ],
)
def test_published_budgets(connectivity, budgets):
    """LeNet-300-100 gets the budgets of the DEEP R paper and those derived from its ratio."""
    assert matrix_budgets(FullyConnected(LENET).matrices, connectivity) == budgets


@given(st.lists(st.integers(1, 200), min_size=2, max_size=6).map(tuple), st.floats(1e-6, 1.0))
def test_budgets_add_up(widths, connectivity):
    """No layer is empty or more than full, the sum is right to half a connection per layer, the last is no sparser."""
    budgets = matrix_budgets(FullyConnected(widths).matrices, connectivity)
    sizes = [m * n for n, m in pairwise(widths)]
    assert all(1 <= budget <= size for budget, size in zip(budgets, sizes, strict=True))
    assert abs(sum(budgets) - max(connectivity * sum(sizes), len(sizes))) <= len(sizes) * 0.51
    if len(sizes) > 1:
        density = [budget / size for budget, size in zip(budgets, sizes, strict=True)]
        assert density[-1] >= density[0] - 1 / min(sizes)


@pytest.mark.parametrize("connectivity", [0.0, -0.1, 1.1, float("nan")])
def test_impossible_connectivity_is_refused(connectivity):
    """Connectivity is above 0 and at most 1."""
    with pytest.raises(ValueError, match="connectivity must be above 0"):
        matrix_budgets(FullyConnected(LENET).matrices, connectivity)
