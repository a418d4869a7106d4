"""One read of a chip is the realised network plus noise of the cells in use."""

import numpy as np
import pytest

from matchopt import Hardware, LayerInstance, LayerMapping, NetworkInstance, NetworkMapping, Target
from matchopt.network import realise


def case(variance: float) -> tuple[NetworkInstance, NetworkMapping]:
    target = Target.from_dense(np.array([[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]]))
    hardware = Hardware(np.array([[1.0, -1.0], [2.0, 0.5]]), np.full((2, 2), variance))
    mapping = LayerMapping.from_cells(target, np.array([0, 1]), np.array([0, 1, 0]), gain=np.array([2.0, 1.0]))
    return NetworkInstance((LayerInstance(target, hardware),), (np.zeros(2),)), NetworkMapping((mapping,))


def test_reads_scatter_around_the_mean_by_gain_and_variance() -> None:
    """Over many reads: the mean is the realised network's, the deviation |gain| times the cell's."""
    instance, mapping = case(0.04)
    rng = np.random.default_rng(3)
    reads = np.stack([realise(instance, mapping, rng).weights[0] for _ in range(4_000)])
    mean = realise(instance, mapping).weights[0]
    # standard errors: .4/sqrt(4000) = .0063 for the mean, 1/sqrt(2 * 4000) = 1.1 % for the deviation
    np.testing.assert_allclose(reads.mean(0), mean, atol=0.03)
    np.testing.assert_allclose(reads.std(0), [[0.4, 0.0, 0.4], [0.0, 0.2, 0.0]], rtol=0.05)


def test_a_quiet_chip_reads_its_mean() -> None:
    """Without variance a read is the realised network itself, bit for bit."""
    instance, mapping = case(0.0)
    np.testing.assert_array_equal(
        realise(instance, mapping, np.random.default_rng(0)).weights[0], realise(instance, mapping).weights[0]
    )


def test_tuned_weights_have_no_read_noise() -> None:
    """A fully tuned connection is read as the target's weight; those beside it still scatter."""
    instance, mapping = case(1.0)
    layer = mapping.layers[0]
    tuned = LayerMapping(layer.neuron_of, layer.wire_indptr, layer.cell, layer.input, layer.gain, np.array([2]))
    read = realise(instance, NetworkMapping((tuned,)), np.random.default_rng(0)).weights[0]
    assert read[1, 1] == 2.0
    assert read[0, 0] != pytest.approx(2.0, abs=1e-6)
