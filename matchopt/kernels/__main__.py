"""Compile all kernels and keep them on disk: `python -m matchopt.kernels`, so that no first solve has to wait."""

import numpy as np

from matchopt.instances import Gains, Hardware, Rules, Target
from matchopt.kernels import match_rows, pair_costs
from matchopt.kernels.augmenting import shortest_paths
from matchopt.kernels.cell_placement import CellPlacement, RowErrors
from matchopt.kernels.copies import copied_row
from matchopt.kernels.crossbar import Crossbar
from matchopt.kernels.hard_wired import HardWired
from matchopt.kernels.projection import BoundProjection, FreeProjection
from matchopt.kernels.sparse_assignment import sparse_paths
from matchopt.kernels.wired import adam_step, wired_backward, wired_forward


def compile_all() -> None:
    """Call every compiled function once, on one weight and one cell."""
    one = np.ones((1, 1))
    target, hardware = Target.from_dense(one), Hardware(one)
    written, wired = Hardware(one, levels=one[..., None]), Hardware(one, input=np.zeros((1, 1), int))
    for chip, gains in ((hardware, Gains()), (hardware, Gains.interval(0.5, 2.0)), (written, Gains())):
        pair_costs(target, chip, gains=gains, drop=False)
        match_rows(target, chip, np.zeros(1, int), gains=gains, drop=False)
    sums = HardWired(target, wired, Rules())
    sums.costs()
    sums.wire(np.zeros(1, int))
    copied_row(one[0], one[0], one, one, drop=False)
    shortest_paths(one)
    sparse_paths(np.arange(2), np.zeros(1, int), one[0], 1)
    crossbar = Crossbar(target, hardware, np.random.default_rng(0))
    for step in (crossbar.anneal, crossbar.perturb):
        step(1, 1.0)
    crossbar.descend(1)
    _compile_placement(hardware)
    _compile_training()


def _compile_placement(hardware: Hardware) -> None:
    for single in (True, False):
        one = np.ones((1, 1), np.float32 if single else np.float64)
        errors, search = RowErrors(one, one, one[0]), CellPlacement(hardware, single=single)
        search.costs(errors)
        search.improve(errors, np.zeros(1, int))


def _compile_training() -> None:
    one, usable = np.ones((1, 1), np.float32), np.ones((1, 1), bool)
    BoundProjection(one, usable, 1, np.arange(2), np.zeros(1, int), drop=True).project(one)
    wires = FreeProjection(one, usable, 1).project(one)
    line, number = np.ones(1, np.float32), np.float32(1)
    wired_forward(wires, line, one, one.copy())
    wired_backward(wires, one, one, one.copy())
    adam_step(line, line, line.copy(), line.copy(), number, number, number, number, number)


if __name__ == "__main__":
    compile_all()
