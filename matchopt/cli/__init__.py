"""The command line `matchopt`: parsing only, each command calls what the library offers to everyone."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
