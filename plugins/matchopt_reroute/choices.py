"""What a row may choose from: inputs to listen to, and gains."""

import numpy as np

from matchopt import LayerInstance
from matchopt.kernels import CellPlacement, RowErrors, Scales


def gain_choices(
    layer: LayerInstance, threads: int, *, single: bool = False
) -> tuple[dict[float, CellPlacement], Scales]:
    """For each gain of a finite set (1 under an interval) the search on cells of that gain; the scales besides."""
    gains = layer.rules.gains
    finite = gains.values if gains.values is not None else (1.0,)
    placers = {gain: CellPlacement(layer.hardware, factor=gain, single=single, threads=threads) for gain in finite}
    return placers, Scales() if gains.low is None or gains.high is None else Scales(gains.low, gains.high)


def likely_inputs(errors: RowErrors, support: np.ndarray, most: int) -> np.ndarray | None:
    """The `most` inputs of each row that alone explain most of its signal, and its support; None for all."""
    if most >= support.shape[1]:
        return None
    power = errors.moments.diagonal()
    worth = np.abs(errors.linear) / np.sqrt(np.maximum(power, power.dtype.type(1e-30)))
    worth[support] = np.inf
    kept = support.copy()
    np.put_along_axis(kept, np.argsort(-worth, axis=1, kind="stable")[:, :most], True, axis=1)
    return listed(kept)


def listed(mask: np.ndarray) -> np.ndarray:
    """The true columns of each row, rising, -1 filling up."""
    count = mask.sum(axis=1)
    order = np.argsort(~mask, axis=1, kind="stable")[:, : max(1, int(count.max(initial=0)))]
    return np.where(np.arange(order.shape[1]) < count[:, None], order, -1)
