"""Compile what proofs run and keep it on disk: `python -m matchopt.proofs`, so that no first proof has to wait."""

import numpy as np

from matchopt.instances import Gains, Hardware, LayerInstance, LayerMapping, Rules, Target
from matchopt.proofs import certify, crossbar_tree, hard_wired, separable, streamed

NOISE = np.full((3, 3), 0.1)


def compile_all() -> None:
    """Prove tiny layers as if they were large, and one on shared lines."""
    before = separable.LARGE, hard_wired.PLAIN, crossbar_tree.PARTS, streamed.FROM_PAIRS
    separable.LARGE, hard_wired.PLAIN, crossbar_tree.PARTS = 0, 0, 1
    try:
        for rules in (Rules(), Rules(drop=True), Rules(gains=Gains.interval(0.5, 2.0))):
            for variance in (0.0 * NOISE, NOISE):
                for streamed.FROM_PAIRS in (before[-1], 0):
                    _prove(Hardware(np.arange(9.0).reshape(3, 3), variance), rules)
        _prove(Hardware(np.arange(9.0).reshape(3, 3), input=np.tile(np.arange(3), (3, 1))), Rules())
        _prove(Hardware(np.arange(9.0).reshape(3, 3), bus=np.zeros(3, int)), Rules())
    finally:
        separable.LARGE, hard_wired.PLAIN, crossbar_tree.PARTS, streamed.FROM_PAIRS = before


def _prove(hardware: Hardware, rules: Rules) -> None:
    target = Target.from_dense(np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 2.0], [2.0, 0.0, 1.0]]))
    layer = LayerInstance(target, hardware, rules)
    certify(layer, LayerMapping.from_cells(target, np.arange(3), target.indices))


if __name__ == "__main__":
    compile_all()
