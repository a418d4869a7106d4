"""Python files imported as plugins: under a name of their own, and never solving while they are."""

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import threading
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from types import ModuleType

from matchopt.errors import PluginError

_PREFIX = "matchopt_file_"
_importing: list[tuple[int | None, str]] = []  # the thread that imports, None for all, and what it imports
_packages: dict[str, str] = {}  # the name that a package would have once installed: the one it has


def import_file(file: Path) -> ModuleType:
    """Import a Python file under a module name of its own; a package by its `__init__.py`.

    Raises PluginError when there is no such file, or its name does not end in .py.
    """
    if not file.is_file():
        raise PluginError(f"there is no file {file}")
    name, inside = _name_of(file), None
    if file.name == "__init__.py":
        inside = [str(file.parent)]
        _packages[file.parent.name] = name
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=inside)
    if spec is None or spec.loader is None:
        raise PluginError(f"{file.name} is no Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and type hints look their module up here
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def file_version(file: Path) -> str:
    """What a plugin file has instead of a version: the start of its SHA-256, for a package that of all its modules."""
    if not file.is_file():
        return ""
    modules = sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]
    return "sha256:" + sha256(b"\0".join(module.read_bytes() for module in modules)).hexdigest()[:12]


@contextlib.contextmanager
def importing(place: str, thread: int | None = None) -> Iterator[None]:
    """While this lasts, that thread, or every thread of this process, may not solve; see `refuse_while_importing`."""
    entry = (thread, place)
    _importing.append(entry)
    try:
        yield
    finally:
        _importing.remove(entry)


def refuse_while_importing(threads: Sequence[int | None] = (None,)) -> None:
    """Called where a solve begins: one that is begun by an import would be begun again by each worker's import.

    Raises PluginError when this thread imports a plugin, or this process the class that it is to run.

    Parameters
    ----------
    threads : whose imports forbid it besides those of this one; None for what forbids it to every thread.
    """
    for thread, place in _importing:
        if thread in (*threads, threading.get_ident()):
            raise PluginError(
                f'{place} solves while it is imported; put what solves below the line: if __name__ == "__main__":'
            )


def _name_of(file: Path) -> str:
    return f"{_PREFIX}{sha256(str(file).encode('utf-8', 'surrogateescape')).hexdigest()[:12]}_{file.stem}"


class _OtherName(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a plugin that is there under another name than asked for.

    Compiled functions are kept on disk beside their file, and remember their module by its name: that of the file
    before it was installed, or that of the package after. Asked last, so no other module is hidden.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        return importlib.util.spec_from_loader(fullname, self) if self._real_name(fullname) else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._real_name(spec.name))
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state  # its own again

    def _real_name(self, name: str) -> str:
        """The name it is imported by; empty where there is no such plugin."""
        head, dot, rest = name.partition(".")
        real = _packages.get(head, "")
        if head.startswith(_PREFIX):
            files = {known: getattr(module, "__file__", None) for known, module in list(sys.modules.items())}
            real = next((known for known, file in files.items() if file and _name_of(Path(file)) == head), "")
        return real + dot + rest if real in sys.modules and real != head else ""


sys.meta_path.append(_OtherName())
