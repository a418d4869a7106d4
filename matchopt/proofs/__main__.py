"""Compile what proofs run and keep it on disk: `python -m matchopt.proofs`, so that no first proof has to wait."""

import numpy as np

from matchopt.instances import Hardware, LayerInstance, LayerMapping, Target
from matchopt.proofs import certify, loops


def compile_all() -> None:
    """Call every compiled function once."""
    one, none, row = np.ones(1), np.zeros(0), np.zeros(1, np.int64)
    loops.relax(one, row, one, one, none, none, False, 1)
    loops.in_order(one, row, 1, 1, row, one[None], none[None], False, one.copy())
    target = Target.from_dense(np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 2.0], [2.0, 0.0, 1.0]]))
    crossbar = LayerInstance(target, Hardware(np.arange(9.0).reshape(3, 3), bus=np.zeros(3, int)))
    certify(crossbar, LayerMapping.from_cells(target, np.arange(3), target.indices))


if __name__ == "__main__":
    compile_all()
