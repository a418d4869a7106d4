"""The checker's own way to run networks: against loops over single samples, weights and pixels."""

import numpy as np
import pytest
from plain_forward import CASES, STATISTICS, parameters, plain_logits

from matchopt.checker import forward
from matchopt.checker.forward import PlainLayer
from matchopt.checker.network import target_network
from matchopt.instances import FunctionalError, Hardware, LayerInstance, NetworkInstance, Target
from matchopt.instances.architecture import Convolutional, Recurrent


def network(name: str) -> tuple[NetworkInstance, list[np.ndarray], list[np.ndarray], list[PlainLayer]]:
    """A network, its weights, of which some are missing, its biases, and the layers as the checker holds them."""
    architecture = CASES[name]
    weights, biases = parameters(architecture, seed=2)
    rng = np.random.default_rng(3)
    supports = [rng.random(w.shape) < 0.6 for w in weights]
    supports[0][0] = False
    weights = [np.where(support, w, 0.0) for support, w in zip(supports, weights, strict=True)]
    layers = [
        LayerInstance(Target.from_dense(w, support), Hardware(np.ones(w.shape)))
        for support, w in zip(supports, weights, strict=True)
    ]
    inputs = rng.integers(0, 256, (7, architecture.n_inputs), np.uint8)
    instance = NetworkInstance(
        tuple(layers), tuple(biases), objective=FunctionalError(inputs, 0.5), architecture=architecture,
        buffers=STATISTICS if architecture.buffers else {},
    )  # fmt: skip
    return instance, weights, biases, target_network(instance)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("full", [0.0, 2.0], ids=["matrices", "rows"])
def test_networks_run_as_plain_loops_do(name: str, full: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every architecture: answers, and sums that are the weights times what is heard, by matrices and by rows."""
    monkeypatch.setattr(forward, "FULL", full)
    instance, weights, biases, layers = network(name)
    inputs = np.random.default_rng(4).standard_normal((3, instance.architecture.n_inputs))
    passed = forward.run(instance, layers, inputs.T.copy())
    for (heard, sums), w, bias in zip(
        passed, weights, biases, strict=True
    ):  # sums are good until the next are asked for
        np.testing.assert_allclose(sums, w @ heard + bias[:, None], rtol=1e-10, atol=1e-12)
    found = forward.answers(instance, sums)
    wanted = np.array([plain_logits(instance.architecture, weights, biases, x, STATISTICS) for x in inputs])
    if wanted.ndim == 3:  # of every frame: columns are in the order frame, sample
        wanted = wanted.swapaxes(0, 1).reshape(-1, wanted.shape[2])
    np.testing.assert_allclose(found.T, wanted, rtol=1e-10, atol=1e-12)
    assert forward.reads(instance) == (4 if name == "mean" else 1)


@pytest.mark.parametrize("name", ["connected", "plain", "every"])
@pytest.mark.parametrize(("samples", "numbers"), [(2, 2**22), (2_000, 600), (2_000, 1)])
def test_samples_come_a_few_at_a_time(name: str, samples: int, numbers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them once, scaled, as columns; as many as fit into an array of the widest layer, and one at least."""
    monkeypatch.setattr(forward, "SAMPLES", samples)
    monkeypatch.setattr(forward, "NUMBERS", numbers)
    instance = network(name)[0]
    net = instance.architecture
    samples_of = instance.objective
    assert isinstance(samples_of, FunctionalError)
    found, inputs = list(forward.batches(instance, samples_of)), samples_of.inputs
    np.testing.assert_array_equal(np.hstack([columns for columns, _ in found]), 0.5 * inputs.T)
    np.testing.assert_array_equal(np.concatenate([inputs[part] for _, part in found]), inputs)
    widest = 1
    if isinstance(net, Convolutional):  # what each filter sees at all places, and what it says there
        widest = max(4 * 3 * 18, 5 * 4 * 8)
    if isinstance(net, Recurrent):
        widest = net.frames * 4 * net.hidden
    assert next(columns.shape[1] for columns, _ in found) == min(7, samples, max(1, numbers // widest))


def test_read_noise_is_that_of_every_sum() -> None:
    """Summed over columns: the square of what is heard times its variance, and the constant input's."""
    rng = np.random.default_rng(6)
    heard, noise = rng.normal(size=(3, 5)), rng.random(3)
    layer = PlainLayer([{}], 3, np.zeros(1), noise, 0.25)
    wanted = sum(noise[x] * heard[x, n] ** 2 for x in range(3) for n in range(5)) + 5 * 0.25
    assert layer.added(heard) == pytest.approx(wanted)
    assert PlainLayer([{}], 3, np.zeros(1), np.zeros(3)).added(heard) == 0.0


def test_spreads_of_batches_are_those_of_all() -> None:
    """Mean and variance of each row, however the columns come."""
    rng = np.random.default_rng(7)
    samples = rng.normal(size=(3, 20)) * 4 + 9
    spread = forward.Spread(3)
    for start, stop in ((0, 1), (1, 8), (8, 20)):
        spread.add(samples[:, start:stop])
    assert spread.mean == pytest.approx(samples.mean(axis=1))
    assert spread.variance() == pytest.approx(samples.var(axis=1).sum())
