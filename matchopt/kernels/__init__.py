"""The hot loops, compiled on first use, and the second public door: what authors of fast solvers build on.

`__init__.pyi` lists it; each name loads on first use, numba with those that are compiled. `python -m matchopt.kernels`
compiles everything once and keeps it on disk.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
