"""Tiny assignments, each with one trait that has broken a published code."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from matchopt.instances import AssignmentInstance

INF = np.inf
BIG = 2**53  # from here on neighbouring integers share a float64
NEAR = 2**62 + 2**61  # two of them add up past int64


def tiny_assignments() -> Mapping[str, AssignmentInstance]:
    """All tiny assignments by name."""
    return {f"assignment-{name}": instance for name, instance in {**_dense(), **_sparse()}.items()}


def _dense() -> dict[str, AssignmentInstance]:
    rng = np.random.default_rng(20)
    tables: dict[str, object] = {
        "1x1": [[7]],
        "empty": np.zeros((0, 0)),
        "no-rows": np.zeros((0, 3)),
        "one-row": [[4.5, 2.5, 3.0, 2.75]],
        "all-equal": np.full((4, 4), 3),
        "all-zero": np.zeros((3, 4)),
        "ties": rng.integers(0, 2, (5, 5)),
        "square": rng.integers(0, 100, (5, 5)),
        "square-floats": rng.random((5, 5)),
        "wide": rng.integers(0, 50, (3, 8)),
        "wide-floats": rng.normal(size=(3, 7)),
        "negative": rng.integers(-20, 0, (4, 4)),
        "negative-wide": rng.integers(-20, 5, (3, 5)),
        "product": np.outer(np.arange(1, 6), np.arange(1, 6)),
        "greedy-trap": [[1, 2, 9], [2, 100, 9], [9, 9, 9]],
        "close-floats": [[0.0, 1e-4, 5.0], [0.0, 3e-4, 5.0], [5.0, 5.0, 1e-4]],
        "forced-edge": [[INF, 1.0, 2.0], [5.0, INF, INF], [4.0, 1.0, INF]],
        "forbidden-wide": [[INF, 3.0, INF, 8.0], [2.0, 3.0, INF, INF], [INF, 1.0, INF, 9.0]],
        "forbidden-negative": [[-5.0, INF, -1.0], [-7.0, -2.0, INF], [INF, -9.0, -3.0]],
        "dead-column": [[3.0, INF, 4.0], [1.0, INF, 5.0]],
        "all-forbidden": np.full((3, 3), INF),
        "dead-row": [[1.0, 2.0, 3.0], [INF, INF, INF], [3.0, 1.0, 2.0]],
        "hall": [[1.0, 2.0, INF, INF], [3.0, 1.0, INF, INF], [2.0, 2.0, INF, INF]],
        "past-2-53": [[BIG + 1, BIG, BIG + 3], [BIG + 2, BIG + 2, BIG], [BIG + 1, BIG + 4, BIG + 1]],
        "near-int64": [[NEAR + 1, NEAR, NEAR + 9], [NEAR, NEAR + 5, NEAR + 9], [NEAR + 9, NEAR + 9, NEAR + 2]],
        "far-apart": [[-NEAR, 0, 5], [NEAR, -NEAR + 1, 7], [1, NEAR, 3]],
        "tiny-numbers": rng.random((4, 5)) * 1e-12,
    }
    return {name: AssignmentInstance(np.asarray(cost)) for name, cost in tables.items()}


def _sparse() -> dict[str, AssignmentInstance]:
    return {
        "sparse": _listed(
            4, 5, {(0, 0): 4, (0, 2): 1, (1, 0): 2, (1, 4): 7, (2, 1): 3, (2, 2): 2, (3, 0): 5, (3, 2): 9}
        ),
        "sparse-zeros": _listed(3, 3, {(0, 0): 0, (0, 1): 4, (1, 0): 3, (1, 1): 0, (2, 1): 2, (2, 2): 0}),
        "sparse-floats": _listed(
            3, 4, {(0, 0): 0.5, (0, 3): 0.25, (1, 3): 0.125, (1, 1): 2.0, (2, 3): 0.0, (2, 2): 1.5}
        ),
        "sparse-inf": _listed(2, 3, {(0, 0): 1.0, (0, 2): INF, (1, 0): 2.0, (1, 1): 8.0}),
        "sparse-negative": _listed(3, 4, {(0, 1): -3, (0, 2): 5, (1, 1): -4, (1, 3): -1, (2, 0): 6, (2, 1): -9}),
        "sparse-empty-row": _listed(3, 3, {(0, 0): 1, (0, 1): 2, (2, 2): 3}),
        "sparse-hall": _listed(3, 4, {(0, 1): 1, (1, 1): 2, (2, 0): 3, (2, 3): 1}),
        "sparse-no-pairs": _listed(2, 2, {}),
    }


def _listed(n_rows: int, n_cols: int, pairs: Mapping[tuple[int, int], Any]) -> AssignmentInstance:
    order = sorted(pairs)
    indptr = np.cumsum([0, *np.bincount(np.array([i for i, _ in order], np.int64), minlength=n_rows)])
    costs = np.array([pairs[pair] for pair in order]) if order else np.zeros(0, np.int64)
    return AssignmentInstance(costs, indptr, np.array([j for _, j in order], np.int64), n_cols)
