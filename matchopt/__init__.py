"""matchopt: map trained sparse networks onto hardware whose weights are random and fixed.

The public door: `__init__.pyi` lists everything a user or a plugin needs, and each name loads on first use: numpy with
the instances, numba and scipy only with what computes. Kernels have a second door, `matchopt.kernels`.
"""

import importlib
import warnings
from typing import Any

import lazy_loader

__version__ = "0.1.0"

_from_stub, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
# What plugins written for 0.1 found here; it lives behind the second door now.
_MOVED = (
    *("BoundProjection", "CellPlacement", "FreeProjection", "Places", "Projection", "RowErrors", "Scales", "Wires"),
    *("adam_step", "wired_backward", "wired_forward"),
)


def __getattr__(name: str) -> Any:
    """Load a public name on first use."""
    if name not in _MOVED:
        return _from_stub(name)
    warnings.warn(f"import {name} from matchopt.kernels", DeprecationWarning, stacklevel=2)
    return getattr(importlib.import_module("matchopt.kernels"), name)
