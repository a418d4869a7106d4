"""Linear assignment in C as a solver of matchopt."""

import ctypes
from pathlib import Path

import numpy as np

import matchopt

_library = ctypes.CDLL(str(next(Path(__file__).parent.glob("assignment*.so"))))
_library.assign.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]


def assign(cost: np.ndarray) -> np.ndarray:
    """The column of every row of an optimal assignment; `cost` has at least as many columns as rows, all finite."""
    cost = np.ascontiguousarray(cost, np.float64)
    columns = np.empty(cost.shape[0], np.int64)
    if _library.assign(*cost.shape, cost.ctypes.data, columns.ctypes.data):
        raise MemoryError("no memory for an assignment of this size")
    return columns


register_solvers = matchopt.registering(
    matchopt.function_solver("c-hungarian", assign, exact=True, about="Shortest augmenting paths, compiled from C.")
)
