"""One read of a chip is the realised network plus noise of the cells in use."""

import numpy as np
import pytest
from scipy.sparse import issparse

from matchopt import Hardware, LayerInstance, LayerMapping, NetworkInstance, NetworkMapping, Target
from matchopt.instances import signals
from matchopt.network import realise, unmapped


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


def test_few_weights_need_no_full_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compressed rows hold what the full matrix holds, to the last bit; with hardware biases and noise too."""
    rng = np.random.default_rng(3)
    dense = np.where(rng.random((40, 31)) < 0.2, rng.normal(size=(40, 31)), 0.0)
    dense[:, -1] = 1.0
    layer = LayerInstance(Target.from_dense(dense), Hardware(rng.normal(size=(40, 31)), rng.random((40, 31)) / 9))
    cells = np.concatenate([rng.permutation(31)[:n] for n in layer.target.fan_in.tolist()])
    instance = NetworkInstance((layer,), None)
    mapping = NetworkMapping((LayerMapping.from_cells(layer.target, rng.permutation(40), cells),))
    full = [realise(instance, mapping, np.random.default_rng(1)), unmapped(instance)]
    monkeypatch.setattr(signals, "LARGE", 0)
    monkeypatch.setattr(signals, "HUGE", 0)
    few = [realise(instance, mapping, np.random.default_rng(1)), unmapped(instance)]
    for one, other in zip(full, few, strict=True):
        assert isinstance(one.given[0], np.ndarray) and issparse(other.given[0])
        np.testing.assert_array_equal(one.weights[0], other.weights[0])
        np.testing.assert_array_equal(one.biases[0], other.biases[0])
        np.testing.assert_allclose(one.logits(dense[:, :-1]), other.logits(dense[:, :-1]), rtol=1e-12)
