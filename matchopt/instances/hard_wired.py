"""Hardware whose cells are hard-wired: when the best sum of cells can be found for each weight alone."""

import math
from dataclasses import replace

import numpy as np

from matchopt.instances.hardware import Hardware

MOST_SUMS = 4096  # of half of the cells on one input: those of 12 cells, so that all of 24 can be tried
MOST_BITS = 62  # cells of a set that is held in one number


def n_sums(cells: int, most: int) -> int:
    """How many sums of at most `most` of so many cells there are, the empty one included."""
    return sum(math.comb(cells, n) for n in range(min(cells, most) + 1))


def wired_in_order(hardware: Hardware, cells: int) -> Hardware:
    """The same chip, hard-wired: the first so many cells of every neuron to input 0, the next to input 1, and so on."""
    order = np.arange(hardware.n_cells) // cells
    return replace(hardware, input=np.broadcast_to(order, hardware.weights.shape))


def not_sums(hardware: Hardware, cells_per_weight: int) -> str | None:
    """Why the weights of this hardware are no sums over the cells of one input each, few enough to try, or None."""
    if not hardware.hard_wired:
        return "cells are not hard-wired"
    if bool((hardware.usable & (hardware.input < 0)).any()):
        return "some cells can listen to any input while others are hard-wired"
    most = hardware.most_on_input
    if most > MOST_BITS or n_sums((most + 1) // 2, cells_per_weight) > MOST_SUMS:
        some = min(cells_per_weight, most)
        return f"up to {some} of the {most} cells on one input make more sums than are tried (24 cells are few enough)"
    return None
