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


def random_of(architecture, share=0.5, seed=0, record=RECORD):
    rng = np.random.default_rng(seed)
    masks = [rng.random(shape) < share for shape in architecture.matrices]
    weights = [rng.standard_normal(mask.shape).astype(np.float32) * mask for mask in masks]
    biases = [rng.standard_normal(len(mask)) for mask in masks]
    buffers = {name: rng.random(shape) + 0.5 for name, shape in architecture.buffers.items()}
    return SparseNetwork.from_arrays(weights, biases, masks, record, architecture, buffers)


def same(left, right):
    alike = left.widths == right.widths and left.architecture == right.architecture
    alike = alike and all(np.array_equal(left.buffers[name], right.buffers[name]) for name in left.buffers)
    return alike and all(
        np.array_equal(a.weights, b.weights) and np.array_equal(a.mask, b.mask) and np.array_equal(a.biases, b.biases)
        for a, b in zip(left.layers, right.layers, strict=True)
    )
