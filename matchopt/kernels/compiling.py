"""How the hot loops are compiled: once, cached on disk, and without the interpreter lock.

Compiled functions carry no annotations, as the compiler types them from their arguments. These are documented instead:
arrays are C-ordered float64 or int32, `a` and `b` bound a row in the arrays of its block, and `n_cells` is the number
of usable cells of a hardware neuron.
"""

import contextlib
import hashlib
import inspect
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from numba import njit

REORDERED = {"reassoc", "contract", "nsz"}  # lets sums use vector units; the order of adding stays the same every run


@cache
def digest(folder: Path) -> str:
    """Of all sources that a function in this folder may call: those of its package, and of this one."""
    folders = {Path(__file__).parent} | ({folder} if (folder / "__init__.py").exists() else set())
    sources = b"".join(path.read_bytes() for found in sorted(folders) for path in sorted(found.glob("*.py")))
    return hashlib.sha256(sources).hexdigest()[:16]


def _cached(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Compile, with a cache entry that an edit of any module of these packages makes void.

    Numba looks only at the file of the function itself, so a function would keep old code of what it calls from other
    files. The name is part of the entry's file name; hence the digest of all sources goes into the name.
    """
    function = inspect.unwrap(function)  # run-time type checks of a test suite may have wrapped it
    source = Path(function.__code__.co_filename)
    function.__qualname__ = f"{function.__qualname__}_{digest(source.parent)}"
    compiled_function = njit(nogil=True, error_model="numpy", **options)(function)
    if source.is_file():  # what was typed into an interpreter has none to keep the code beside
        # Where no folder takes it, as for a user without a home, it is compiled in every process anew.
        with contextlib.suppress(RuntimeError):
            compiled_function.enable_caching()
    made: Callable[..., Any] = compiled_function
    return made


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a hot loop by numba on its first call, and keep it on disk until its package or this one changes.

    Threads of a pool may call it side by side, as it holds no lock; numba's own threads would cost load time.

    Parameters
    ----------
    function : what numba compiles; checks that another decorator has put around it are taken off.
    """
    return _cached(function)


def reordered(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same for long sums, whose terms may be added in another order, so that loops fill vector registers.

    Parameters
    ----------
    function : see `compiled`.
    """
    return _cached(function, fastmath=REORDERED)


# Without numba's reference counts, whose atomic operations would cost more than a short row: for functions that
# allocate nothing.
leaf = partial(_cached, _nrt=False)

# Passing ten arrays to a function costs some 40 ns: for what runs once per pair or more often.
inlined = partial(_cached, _nrt=False, forceinline=True)

# The same where a product and a sum may be rounded together, as a vectorised loop does; the order of adding stays.
fused = partial(_cached, _nrt=False, forceinline=True, fastmath={"contract"})

# For sums only: terms may be added in any order, so that the loop fills vector registers.
inlined_sum = partial(_cached, _nrt=False, forceinline=True, fastmath=REORDERED)

# The same for a whole function: long sums and sweeps over arrays.
sums = partial(_cached, _nrt=False, fastmath=REORDERED)

# For scans over finite numbers that keep the largest: comparisons may be reordered too.
quick = partial(_cached, _nrt=False, fastmath=True)

# The same where some of the numbers may be infinite, but none NaN.
scan = partial(_cached, _nrt=False, fastmath=REORDERED | {"nnan"})
inlined_scan = partial(_cached, _nrt=False, forceinline=True, fastmath=REORDERED | {"nnan"})

# The same for what runs inside a scan over finite numbers, where a call would cost more than its work.
inlined_quick = partial(_cached, _nrt=False, forceinline=True, fastmath=True)
