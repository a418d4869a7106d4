"""One solve in a process of its own: limits enforced, incumbents kept, everything checked, one record at the end."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
