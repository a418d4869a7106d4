"""Training sparse networks, and judging what a chip makes of them.

`__init__.pyi` lists what is here; each name loads on first use. Training needs torch, and loads it when it begins; all
of this imports without.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
