"""Compile all kernels and keep them on disk: `python -m matchopt.kernels`, so that no first solve has to wait."""

import numpy as np

from matchopt.instances import Gains, Hardware, Target
from matchopt.kernels import cheapest_neurons, match_rows, nearest_cell_costs, pair_costs


def compile_all() -> None:
    """Call every compiled function once, on one weight and one cell."""
    one = np.ones((1, 1))
    target, hardware = Target.from_dense(one), Hardware(one)
    for gains in (Gains(), Gains.interval(0.5, 2.0)):
        pair_costs(target, hardware, gains=gains, drop=False)
        nearest_cell_costs(target, hardware, gains=gains, drop=False)
        cheapest_neurons(target, hardware, gains=gains, drop=False, keep=1)
        match_rows(target, hardware, np.zeros(1, int), gains=gains, drop=False)


if __name__ == "__main__":
    compile_all()
