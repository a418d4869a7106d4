"""How the hot loops are compiled: once, cached on disk, and without the interpreter lock.

Compiled functions carry `typing.no_type_check`: the run-time type checks of the test suite would otherwise wrap them
before numba sees them. Their arguments are documented instead: arrays are C-ordered float64 or int32, `a` and `b`
bound a row in the arrays of its block, and `n_cells` is the number of usable cells of a hardware neuron.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit

_SOURCES = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
_DIGEST = hashlib.sha256(_SOURCES).hexdigest()[:16]

Compile = Callable[[Callable[..., Any]], Callable[..., Any]]


def _cached(**options: Any) -> Compile:
    """A decorator that compiles, with a cache entry that an edit of any module of this package makes void.

    Numba looks only at the file of the function itself, so a function would keep old code of what it calls from other
    files. The name is part of the entry's file name; hence the digest of all sources goes into the name.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        function.__qualname__ = f"{function.__qualname__}_{_DIGEST}"
        compiled_function: Callable[..., Any] = njit(cache=True, nogil=True, error_model="numpy", **options)(function)
        return compiled_function

    return decorate


# Threads of a pool call these, so they release the lock; numba's own threading layer would cost load time.
compiled = _cached()

# Without numba's reference counts, whose atomic operations would cost more than a short row: for functions that
# allocate nothing.
leaf = _cached(_nrt=False)

# Passing ten arrays to a function costs some 40 ns: for what runs once per pair or more often.
inlined = _cached(_nrt=False, forceinline=True)

# For sums only: terms may be added in any order, so that the loop fills vector registers.
inlined_sum = _cached(_nrt=False, forceinline=True, fastmath={"reassoc", "contract", "nsz"})

# The same for a whole function: long sums and sweeps over arrays.
sums = _cached(_nrt=False, fastmath={"reassoc", "contract", "nsz"})

# For scans over finite numbers that keep the largest: comparisons may be reordered too.
quick = _cached(_nrt=False, fastmath=True)
