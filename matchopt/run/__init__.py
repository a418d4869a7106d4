"""One solve in a process of its own: limits enforced, incumbents kept, everything checked, one record at the end."""

import os

import lazy_loader

from matchopt.errors import MatchoptError

if os.name != "posix":
    raise MatchoptError("solving needs Linux or macOS; on Windows, run matchopt in WSL")
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
