"""Importing this compiles the loops of training, or loads them from the disk, so that no solver's clock pays for it."""

import numpy as np

from matchopt.kernels import BoundProjection, FreeProjection, adam_step, wired_backward, wired_forward

_one, _usable = np.ones((1, 1), np.float32), np.ones((1, 1), bool)
_line, _number = np.ones(1, np.float32), np.float32(1)
BoundProjection(_one, _usable, 1, np.arange(2), np.zeros(1, int), drop=True).project(_one)
_wires = FreeProjection(_one, _usable, 1).project(_one).compiled
wired_forward(_wires, _line, _one, np.ones((1, 1), np.float32))
wired_backward(_wires, _one, _one, np.ones((1, 1), np.float32))
adam_step(*(np.ones(1, np.float32) for _ in range(4)), *(_number for _ in range(5)))
