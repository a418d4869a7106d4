"""Plugin of pytest for a process of its own: the module that MUTANT names (path:index) is loaded with that fault."""

import ast
import importlib.machinery
import os
from typing import Any

from operators import mutated

_PATH, _, _INDEX = os.environ["MUTANT"].rpartition(":")
_Loader = importlib.machinery.SourceFileLoader
_stats, _data = _Loader.path_stats, _Loader.get_data


def _path_stats(self: Any, path: str) -> Any:
    if path == _PATH:
        raise OSError("its bytecode on disk is of no use")
    return _stats(self, path)


def _get_data(self: Any, path: str) -> bytes:
    content = _data(self, path)
    return ast.unparse(mutated(content.decode(), int(_INDEX))).encode() if path == _PATH else content


_Loader.path_stats = _path_stats  # type: ignore[method-assign]
_Loader.get_data = _get_data  # type: ignore[method-assign]
