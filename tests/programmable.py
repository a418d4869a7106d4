"""Tiny layers of cells that can be written, for tests of everything that solves or proves them."""

import numpy as np
from layers import random_menus

from matchopt import Gains, Hardware, LayerInstance, Rules, Target


def random_layer(seed: int, *, shared: bool, limited: bool, kinds: str) -> LayerInstance:
    """A tiny layer with cells of these kinds, on shared lines, with a limit on writes."""
    rng = np.random.default_rng(seed)
    m, n = (2, 2) if shared else (2, 3)
    shape = (m + int(rng.integers(0, 2)), n + int(rng.integers(0, 2)) - shared * int(rng.integers(0, 2)))
    target = Target.from_dense(rng.normal(size=(m, n)), rng.random((m, n)) < 0.8, rng.uniform(0.1, 3.0, (m, n)))
    hardware = Hardware(
        rng.normal(size=shape), rng.random(shape) / 5, rng.random(shape) < 0.9,
        rng.normal(size=shape) / 3 if shared and seed % 2 else None,
        np.zeros(shape[0], int) if shared else None, **random_menus(rng, shape, kinds),
    )  # fmt: skip
    drop, gains = bool(rng.random() < 0.5), Gains.finite(*((1.0,) if seed % 3 else (-0.5, 1.5)))
    return LayerInstance(target, hardware, Rules(drop=drop, gains=gains, writes=int(seed % 4) if limited else None))
