"""The cost of a square layer whose rows and inputs move together, for the compiled loops."""

import numpy as np

from matchopt import LayerInstance, LayerMapping
from matchopt_crossbar.layer import scaled
from matchopt_crossbar.tandem_loops import Pairs
from matchopt_crossbar.tandem_loops import improve as improve
from matchopt_crossbar.tandem_loops import start as start


def mapped(layer: LayerInstance, place: np.ndarray) -> LayerMapping:
    """Rows and inputs on the neurons and lines of these numbers."""
    gain = np.full(layer.n_rows, layer.rules.gains.default)
    return LayerMapping.from_cells(layer.target, place.copy(), place[layer.target.indices], gain)


def made(layer: LayerInstance, rng: np.random.Generator) -> Pairs:
    """q (w - h)^2 + q v, taken apart into -2 q w times h, and q times h^2 + v where that is not the same for all."""
    target, chip, size = layer.target, scaled(layer), layer.n_rows
    factor = layer.objective.importance(target)
    full = np.zeros((2, size, size))
    full[0, target.row_of, target.indices] = -2.0 * factor * target.weights
    full[1, target.row_of, target.indices] = factor
    given = np.stack([chip.weights, chip.weights**2 + chip.variance])
    terms = 1 if size == 0 or bool((full[1] == full[1, 0, 0]).all()) else 2
    for part in (*full, *given):  # what all permutations have in common would only cost digits
        _centre(part)
    whole = [np.zeros((size, size), np.int64), np.zeros(size, np.int64), np.zeros(2, np.int64)]
    return Pairs(
        np.ascontiguousarray(full[:terms]), np.ascontiguousarray(given[:terms]), rng.permutation(size),
        np.zeros((size, size)), whole[0], whole[1], np.full(2, np.inf), whole[2], np.zeros((4, size)),
        np.array([rng.integers(1, 2**63)], np.uint64),
    )  # fmt: skip


def _centre(part: np.ndarray) -> None:
    """Take the means off the diagonal and off the rest."""
    apart = ~np.eye(len(part), dtype=bool)
    for chosen in (apart, ~apart):
        if chosen.any():
            part[chosen] -= part[chosen].mean()
