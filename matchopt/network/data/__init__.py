"""Data sets for training and accuracy, all loaded as `ImageData`; one module each, loaded on first use."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
