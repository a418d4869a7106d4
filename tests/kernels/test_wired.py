"""The loops of networks of few wires: against dense products, and Adam against its published form."""

import numpy as np
import pytest

from matchopt.kernels.projection import FreeProjection
from matchopt.kernels.wired import adam_step, wired_backward, wired_forward


def test_forward_and_backward_are_products() -> None:
    """Forward is W x + b, backward W^T delta where the unit before was active."""
    rng = np.random.default_rng(1)
    weights = rng.standard_normal((5, 3))
    projection = FreeProjection(weights, np.ones((5, 3), bool), 7)
    wires = projection.project(rng.standard_normal((5, 7), np.float32))
    matrix = np.zeros((5, 7), np.float32)
    for i in range(5):
        matrix[i, wires.inputs[i, : wires.count[i]]] = wires.weights[i, : wires.count[i]]
    bias, delta = rng.standard_normal(5, np.float32), rng.standard_normal((5, 11), np.float32)
    before = np.maximum(rng.standard_normal((7, 11), np.float32), 0)
    after, behind = np.empty((5, 11), np.float32), np.empty((7, 11), np.float32)
    wired_forward(wires, bias, before, after)
    assert after == pytest.approx(matrix @ before + bias[:, None], abs=1e-5)
    wired_backward(wires, delta, before, behind)
    assert behind == pytest.approx((matrix.T @ delta) * (before > 0), abs=1e-5)


def test_adam_is_the_published_one() -> None:
    """Ten steps agree with algorithm 1 of Kingma and Ba in double precision."""
    rng = np.random.default_rng(3)
    values = rng.standard_normal(20).astype(np.float32)
    first, second = np.zeros(20, np.float32), np.zeros(20, np.float32)
    x, m, v = values.astype(float), np.zeros(20), np.zeros(20)
    for step in range(1, 11):
        g = rng.standard_normal(20).astype(np.float32)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g.astype(float) ** 2
        x -= 0.01 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
        numbers = (0.01 / (1 - 0.9**step), (1 - 0.999**step) ** -0.5, 0.9, 0.999, 1e-8)
        adam_step(values, g, first, second, *map(np.float32, numbers))
    assert values == pytest.approx(x, abs=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        {"bias": np.zeros(2, np.float32)},
        {"before": np.zeros((9, 7), np.float32)},
        {"before": np.zeros((4, 11), np.float32)},
        {"after": np.zeros((4, 11), np.float32)},
        {"after": np.zeros((5, 12), np.float32)},
    ],
    ids=["bias", "before-transposed", "before-short", "units", "samples"],
)
def test_arrays_that_do_not_fit_are_refused(change: dict[str, np.ndarray]) -> None:
    """Instead of what lies beside them in memory being read or written, forward, backward and in Adam's step."""
    wires = FreeProjection(np.ones((5, 3)), np.ones((5, 3), bool), 9).project(np.ones((5, 9), np.float32))
    wires.inputs[0, 0] = 8
    given = {
        name: np.zeros(shape, np.float32) for name, shape in (("bias", 5), ("before", (9, 11)), ("after", (5, 11)))
    }
    wired_forward(wires, *given.values())
    given |= change
    with pytest.raises(ValueError, match=r"one line per unit|a wire listens"):
        wired_forward(wires, *given.values())
    if "bias" not in change:
        with pytest.raises(ValueError, match=r"delta has one line per unit|a wire listens"):
            wired_backward(wires, given["after"], given["before"], np.zeros_like(given["before"]))
    long, short = np.zeros(9, np.float32), np.zeros(8, np.float32)
    with pytest.raises(ValueError, match="as long as values"):
        adam_step(long, long, long, short, *map(np.float32, (1, 1, 0.9, 0.999, 1e-8)))
