"""How the hot loops are compiled: once, cached on disk, and without the interpreter lock.

Compiled functions carry `typing.no_type_check`: the run-time type checks of the test suite would otherwise wrap them
before numba sees them. Their arguments are documented instead: arrays are C-ordered float64 or int32, `a` and `b`
bound a row in the arrays of its block, and `n_cells` is the number of usable cells of a hardware neuron.
"""

from numba import njit

# Threads of a pool call these, so they release the lock; numba's own threading layer would cost load time.
compiled = njit(cache=True, nogil=True, error_model="numpy")

# For sums only: terms may be added in any order, so that the loop fills vector registers.
compiled_sum = njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
