"""How learning rates fall while training runs."""

import math
from typing import Literal

Schedule = Literal["linear", "cosine", "constant", "restarts"]


def rate_factor(schedule: Schedule, done: float, epochs: int, restarts: tuple[int, ...] = ()) -> float:
    """Share of the full learning rate.

    Parameters
    ----------
    schedule : "linear" or "cosine" fall to 0 at the end; "restarts" falls to 0 as a cosine and begins again at the
        full rate at some epochs; "constant" does not fall.
    done : share of training that is over, 0 .. 1.
    epochs : length of training.
    restarts : epochs, ascending, at whose ends "restarts" begins again; those at or beyond `epochs` do not matter.

    References
    ----------
    Loshchilov and Hutter 2017, SGDR, ICLR, arXiv 1608.03983 (warm restarts).

    Examples
    --------
    >>> [rate_factor("restarts", epoch / 8, 8, (2, 20)) for epoch in (0, 1, 2, 5)]
    [1.0, 0.5, 1.0, 0.5]
    """
    if schedule == "constant":
        return 1.0
    if schedule == "linear":
        return 1.0 - done
    ends = [0, *(epoch for epoch in restarts if epoch < epochs), epochs] if schedule == "restarts" else [0, epochs]
    at = done * epochs
    begin = max(end for end in ends[:-1] if end <= at)
    end = min(end for end in ends if end > at or end == epochs)
    return 0.5 * (1.0 + math.cos(math.pi * (at - begin) / (end - begin)))
