"""Finds plugins, loads each in its own `try`, and keeps a table of those that failed."""

import contextlib
import difflib
import functools
import os
import sys
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import pluggy

from matchopt import hookspecs
from matchopt.contract import printable, validate_solver, validate_trainer
from matchopt.errors import MatchoptError, PluginError, UnknownName
from matchopt.plugin_files import file_version, import_file, importing, refuse_while_importing
from matchopt.settings import OptionValue, full_name, make
from matchopt.solver import Solver
from matchopt.trainer_contract import TrainerContract

GROUP = "matchopt"
SELECTION_VARIABLE = "MATCHOPT_PLUGINS"
Contract = TypeVar("Contract", Solver, TrainerContract)
_LOADING = threading.Lock()  # importing redirects sys.stdout, which all threads share


@dataclass(frozen=True)
class Entry(Generic[Contract]):
    """A registered class and where it comes from.

    Parameters
    ----------
    cls : the class.
    plugin : name of the plugin: its entry point, or the stem of its file.
    distribution : name of the installed distribution, None for a file.
    version : version of the distribution; for a file the start of its SHA-256.
    file : the plugin's file, None for an installed plugin.
    """

    cls: type[Contract]
    plugin: str
    distribution: str | None
    version: str
    file: Path | None = None


SolverEntry = Entry[Solver]
TrainerEntry = Entry[TrainerContract]


@dataclass(frozen=True)
class PluginInfo:
    """A plugin that was loaded; `hooks`, `solvers` and `trainers` are the names of what it brings."""

    name: str
    distribution: str | None
    version: str
    hooks: tuple[str, ...]
    solvers: tuple[str, ...]
    trainers: tuple[str, ...]
    file: Path | None = None


@dataclass(frozen=True)
class FailedPlugin:
    """A plugin that was left out; `cause` is one sentence, `names` those of what it registered before it failed."""

    plugin: str
    distribution: str | None
    version: str
    cause: str
    file: Path | None = None
    names: frozenset[str] = frozenset()

    def __str__(self) -> str:
        origin = f"{self.distribution} {self.version}" if self.distribution else str(self.file or "not installed")
        return f"plugin {self.plugin} ({origin}) was left out: {self.cause}"


@dataclass(frozen=True)
class Registry:
    """All solvers and trainers that could be loaded, by name, and the plugins behind them."""

    solvers: Mapping[str, SolverEntry]
    trainers: Mapping[str, TrainerEntry]
    plugins: tuple[PluginInfo, ...]
    failed: tuple[FailedPlugin, ...]

    def entry(self, name: str) -> SolverEntry:
        """The solver called `name`.

        Raises
        ------
        UnknownName
            when there is none.
        PluginError
            when there is none, and the plugin of that name, or a file that was asked for, failed to load.
        """
        return self._find(self.solvers, name, "solver")

    def trainer(self, name: str) -> TrainerEntry:
        """The trainer called `name`; raises as `entry` does."""
        return self._find(self.trainers, name, "trainer")

    def make(self, name: str, options: Mapping[str, OptionValue] | None = None) -> Solver:
        """Make the solver called `name` with options given as values or as text.

        Raises
        ------
        UnknownName
            for a solver or an option that does not exist.
        InvalidOption
            for a value the solver does not take.
        """
        return make(self.entry(name).cls, options or {})

    def make_trainer(
        self, name: str, options: Mapping[str, OptionValue | tuple[int, ...]] | None = None
    ) -> TrainerContract:
        """Make the trainer called `name`; see `make`."""
        return make(self.trainer(name).cls, options or {})

    def warn(self) -> None:
        """Warn about each plugin that failed; Python shows the same warning once."""
        for failed in self.failed:
            warnings.warn(str(failed), stacklevel=1)  # so that it is always the same one

    def _find(self, entries: Mapping[str, Entry[Contract]], name: str, what: str) -> Entry[Contract]:
        files = [failed for failed in self.failed if failed.file is not None]
        for failed in files:
            if name in failed.names:
                raise PluginError(f"{what} {name!r} was asked for, and {failed}")
        if name in entries:
            for failed in files:
                warnings.warn(str(failed), stacklevel=1)
            return entries[name]
        for failed in self.failed:
            if failed.plugin == name or failed.file is not None:
                raise PluginError(f"there is no {what} {name!r}; {failed}")
        for plugin in self.plugins:
            if plugin.file is not None and not plugin.solvers + plugin.trainers:
                how = f"its hook {plugin.hooks[0]} must call register(the class)"
                raise PluginError(f"there is no {what} {name!r}; {plugin.file} registers nothing: {how}")
        raise UnknownName(what, name, entries)


def load_plugins(files: Sequence[Path | str] = (), only: Sequence[str] | None = None) -> Registry:
    """Load installed plugins in the order of their names, then `files`; a broken one costs a row of `failed`.

    Parameters
    ----------
    files : plugin files to load besides.
    only : names of the installed plugins to load; default what MATCHOPT_PLUGINS lists (empty: none; unset: all).
    """
    if only is None and SELECTION_VARIABLE in os.environ:
        only = [name.strip() for name in os.environ[SELECTION_VARIABLE].split(",") if name.strip()]
    paths = tuple(Path(file).resolve() for file in files)
    stamps = tuple((path.stat().st_mtime_ns, path.stat().st_size) if path.exists() else None for path in paths)
    refuse_while_importing(())  # the lock is this thread's then
    with _LOADING:
        return _load(paths, stamps, None if only is None else tuple(only), tuple(sys.path))


@functools.lru_cache(maxsize=32)
def _load(paths: tuple[Path, ...], stamps: object, only: tuple[str, ...] | None, path: tuple[str, ...]) -> Registry:
    del stamps, path  # they are in the cache's key: a changed file or search path is loaded anew
    loader = _Loader()
    installed = [] if only == () else sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value))
    for point in installed:
        if only is None or point.name in only:
            name, version = (point.dist.name, point.dist.version) if point.dist else (None, "")
            loader.load(PluginInfo(point.name, name, version, (), (), ()), point)
    for wanted in only or ():
        if wanted not in {point.name for point in installed}:
            known = ", ".join(point.name for point in installed) or "none"
            cause = f"no installed plugin has this name (known: {known}); correct {SELECTION_VARIABLE}"
            loader.failed.append(FailedPlugin(wanted, None, "", cause))
    for file in paths:
        version = file_version(file)
        name = file.parent.name if file.name == "__init__.py" else file.stem
        loader.load(PluginInfo(name, None, version, (), (), (), file), file)
    found = (MappingProxyType(loader.solvers), MappingProxyType(loader.trainers))
    return Registry(*found, tuple(loader.plugins), tuple(loader.failed))


@runtime_checkable
class Loadable(Protocol):
    """An entry point: the standard library's, or that of importlib_metadata, which takes its place once imported."""

    def load(self) -> Any:
        """Import what it names."""


class _Loader:
    """Loads plugins one by one; what a plugin registered counts only once all of it is valid."""

    def __init__(self) -> None:
        self.manager = pluggy.PluginManager(hookspecs.hookspec.project_name)
        self.manager.add_hookspecs(hookspecs)
        self.solvers: dict[str, SolverEntry] = {}
        self.trainers: dict[str, TrainerEntry] = {}
        self.plugins: list[PluginInfo] = []
        self.failed: list[FailedPlugin] = []
        self._names: set[str] = set()  # of what the plugin that is being loaded registers

    def load(self, info: PluginInfo, source: Loadable | Path) -> None:
        plugin, self._names = None, set()
        try:
            # What a plugin prints while it is imported must not mix with what a command prints.
            with contextlib.redirect_stdout(sys.stderr), importing(f"plugin {info.name}", threading.get_ident()):
                plugin = _from_file(source) if isinstance(source, Path) else source.load()
                self._add(plugin, info)
        except KeyboardInterrupt:
            raise
        except BaseException as cause:  # what compiled extensions raise derives from it
            if plugin is not None and self.manager.is_registered(plugin):
                self.manager.unregister(plugin)
            text = str(cause) if isinstance(cause, MatchoptError) else f"{type(cause).__name__}: {cause}"
            about = (info.name, info.distribution, info.version, printable(text), info.file)
            self.failed.append(FailedPlugin(*about, frozenset(self._names)))

    def _add(self, plugin: Any, info: PluginInfo) -> None:
        name = f"{info.file or info.distribution}:{info.name}"
        if self.manager.register(plugin, name) is None:
            raise PluginError("it is blocked")
        hooks = tuple(caller.name for caller in self.manager.get_hookcallers(plugin) or ())
        self._check_hooks(plugin, hooks)
        solvers: list[type[Solver]] = []
        trainers: list[type[TrainerContract]] = []
        self._call("register_solvers", plugin, solvers)
        self._call("register_trainers", plugin, trainers)
        # Both or neither: nothing of a plugin counts before all of it is valid.
        more_solvers = _entries(self.solvers, solvers, validate_solver, "solver", info)
        more_trainers = _entries(self.trainers, trainers, validate_trainer, "trainer", info)
        self.solvers, self.trainers = more_solvers, more_trainers
        names = (tuple(cls.name for cls in solvers), tuple(cls.name for cls in trainers))
        self.plugins.append(PluginInfo(info.name, info.distribution, info.version, hooks, *names, info.file))

    def _call(self, hook: str, plugin: Any, found: list[Any]) -> None:
        """Call a hook of this plugin alone, to collect what it registers."""

        def register(cls: Any) -> None:
            found.append(cls)
            self._names.add(str(getattr(cls, "name", "")))

        others = [other for other in self.manager.get_plugins() if other is not plugin]
        self.manager.subset_hook_caller(hook, others)(register=register)

    def _check_hooks(self, plugin: Any, hooks: tuple[str, ...]) -> None:
        known = [name for name in vars(self.manager.hook) if not name.startswith("_")]
        specified = [name for name in known if getattr(self.manager.hook, name).has_spec()]
        for name in hooks:
            if name not in specified:
                close = difflib.get_close_matches(name, specified, n=1, cutoff=0.4)
                hint = f"; did you mean {close[0]!r}" if close else ""
                raise PluginError(f"its hook {name!r} is unknown{hint} (known: {', '.join(sorted(specified))})")
        self.manager.check_pending()
        if not hooks:
            plain = [name for name in specified if hasattr(plugin, name)]
            raise PluginError(f"{plain[0]} lacks the decorator @hookimpl" if plain else "it has no hook of matchopt")


def _from_file(file: Path) -> Any:
    """The plugin in a Python file, or the one that a TOML file describes."""
    if file.suffix != ".toml":
        return import_file(file)
    from matchopt.bridges import executable_solver, registering  # files of this form are rare, and need the formats

    plugin: Any = ModuleType(file.stem)
    plugin.register_solvers = registering(executable_solver(file))
    return plugin


def _entries(
    known: Mapping[str, Entry[Contract]],
    found: Sequence[Any],
    validate: Callable[[Any], None],
    what: str,
    info: PluginInfo,
) -> dict[str, Entry[Contract]]:
    """The entries with those of a plugin added.

    Raises PluginError when a class breaks its contract, or a name is taken.
    """
    entries = dict(known)
    for cls in found:
        validate(cls)
        if cls.name == "auto":
            raise PluginError(f"{full_name(cls)}: the name 'auto' stands for the solver that suits an instance")
        if cls.name in entries:
            place = full_name(entries[cls.name].cls)
            raise PluginError(f"two {what}s are called {cls.name!r}: {place} and {full_name(cls)}")
        entries[cls.name] = Entry(cls, info.name, info.distribution, info.version, info.file)
    return entries
