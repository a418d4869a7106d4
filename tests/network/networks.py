"""Networks for tests of files, export and accuracy."""

from itertools import pairwise

import numpy as np

from matchopt.instances.network import DataReference
from matchopt.network.sparse_network import SparseNetwork, TrainingRecord

RECORD = TrainingRecord("made-up", {"epochs": 3, "fan_in": [2, 2]}, 7, 0.5, 0.25, DataReference("toy", "ab" * 32))


def random_network(widths=(6, 5, 4), share=0.5, seed=0, record=RECORD):
    rng = np.random.default_rng(seed)
    weights, biases, masks = [], [], []
    for n, m in pairwise(widths):
        mask = rng.random((m, n)) < share
        weights.append((rng.standard_normal((m, n)) * mask).astype(np.float32))
        biases.append(rng.standard_normal(m).astype(np.float32))
        masks.append(mask)
    return SparseNetwork.from_arrays(weights, biases, masks, record)


def same(left, right):
    return left.widths == right.widths and all(
        np.array_equal(a.weights, b.weights) and np.array_equal(a.mask, b.mask) and np.array_equal(a.biases, b.biases)
        for a, b in zip(left.layers, right.layers, strict=True)
    )
