from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matchopt.instances.architecture import FullyConnected
from matchopt.instances.architecture_names import architecture_named
from matchopt.network.training.starts import matrix_budgets

LENET = (784, 300, 100, 10)
NETWORKS = [
    architecture_named(text, ()) for text in ("mlp:784-300-100-10", "mnist-cnn", "cifar-cnn", "lstm:13x64-128-10")
]


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
    assert matrix_budgets(FullyConnected(LENET), connectivity) == budgets


@given(st.lists(st.integers(1, 200), min_size=2, max_size=6).map(tuple), st.floats(1e-6, 1.0))
def test_budgets_add_up(widths, connectivity):
    """No layer is empty or more than full, the sum is right to half a connection per layer, the last is no sparser."""
    budgets = matrix_budgets(FullyConnected(widths), connectivity)
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
        matrix_budgets(FullyConnected(LENET), connectivity)


@given(
    st.sampled_from(NETWORKS), st.sampled_from(["erdos-renyi", "erdos-renyi-matrix", "uniform"]), st.floats(0.02, 0.9)
)
def test_densities_are_those_of_the_definition(architecture, densities, connectivity):
    """Of matrices neither full nor at one connection, density over its ratio is the same, to a connection."""
    budgets = matrix_budgets(architecture, connectivity, densities)
    factors = []
    for budget, (m, n), sides in zip(budgets, architecture.matrices, architecture.tensors, strict=True):
        ratio = {"erdos-renyi": sum(sides), "erdos-renyi-matrix": m + n, "uniform": m * n}[densities] / (m * n)
        if 1 < budget < m * n:
            factors.append(((budget - 0.51) / (m * n * ratio), (budget + 0.51) / (m * n * ratio)))
    assert max(low for low, _ in factors) <= min(high for _, high in factors)


def test_erdos_renyi_spares_the_first_convolution():
    """Of 4,800 weights 837 stay by the sides of their tensor, at 5 % of the network in all; 1 : 3 : 30 leaves 73."""
    network = architecture_named("cnn:3x24x24-64c5-m2-64c5-m2-384-10")
    assert network.tensors[:2] == ((64, 3, 5, 5), (64, 64, 5, 5)) and network.tensors[3] == (10, 384)
    shared = {name: matrix_budgets(network, 0.05, name) for name in ("1:3:30", "erdos-renyi")}
    sizes = [m * n for m, n in network.matrices]
    assert (shared["1:3:30"][0], shared["erdos-renyi"][0], sizes[0]) == (73, 837, 4800)
    assert abs(sum(shared["1:3:30"]) - sum(shared["erdos-renyi"])) <= len(sizes)
