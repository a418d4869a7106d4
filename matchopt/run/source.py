"""A solver by name or made already: where another process finds its class, and what records call it."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from matchopt.contract import validate_solver
from matchopt.errors import InvalidOption, PluginError
from matchopt.plugins import load_plugins
from matchopt.settings import OptionValue, full_name, option_values
from matchopt.solver import Solver


@dataclass(frozen=True)
class SolverLabel:
    """What a record says about a solver, or about several in a pipeline.

    Parameters
    ----------
    name : of the solver, or names with + between them.
    options : the values of all its options.
    distribution, version : of the plugin; for a file None and the start of its SHA-256.
    """

    name: str
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    distribution: str | None = None
    version: str = ""


@dataclass(frozen=True)
class SolverSource:
    """Enough to make a solver again in another process.

    Parameters
    ----------
    label : its name, options and version.
    cls : its class.
    plugin : the installed plugin that registers it, None for a file or a class that no plugin registers.
    file : the plugin's file, or that of the module of a class that no plugin registers.
    registered : whether a plugin registers it.
    """

    label: SolverLabel
    cls: type[Solver]
    plugin: str | None = None
    file: Path | None = None
    registered: bool = True

    def facts(self) -> dict[str, Any]:
        """The source as JSON."""
        return {
            "name": self.label.name,
            "options": dict(self.label.options),
            "module": self.cls.__module__,
            "qualname": self.cls.__qualname__,
            "plugin": self.plugin,
            "file": None if self.file is None else str(self.file),
            "registered": self.registered,
        }


def source_of(solver: str | Solver, options: Mapping[str, OptionValue], files: Sequence[Path]) -> SolverSource:
    """Find a solver by name or by instance.

    Raises
    ------
    UnknownName, PluginError, InvalidOption
        when there is no such solver, it cannot be made again elsewhere, or does not take the options.
    """
    registry = load_plugins(files)
    if isinstance(solver, str):
        entry = registry.entry(solver)
        made = registry.make(solver, options)
    else:
        if options:
            raise InvalidOption(f"solver {solver.name} is made already; give its options there, not besides")
        found = registry.solvers.get(solver.name)
        if found is None or found.cls is not type(solver):
            return _unregistered(solver)
        entry, made = found, solver
    cls = entry.cls
    label = SolverLabel(cls.name, option_values(made), entry.distribution, entry.version)
    plugin = None if entry.file is not None else entry.plugin
    return SolverSource(label, cls, plugin, entry.file)


def _unregistered(solver: Solver) -> SolverSource:
    cls = type(solver)
    validate_solver(cls)
    place = full_name(cls)
    try:
        file = Path(inspect.getfile(cls)).resolve()
    except (OSError, TypeError):
        raise PluginError(f"{place} must be defined in a file, so that its own process can import it") from None
    if "<locals>" in cls.__qualname__:
        raise PluginError(f"{place} must be defined at the top of its module, so that its own process can import it")
    version = "sha256:" + sha256(file.read_bytes()).hexdigest()[:12]
    label = SolverLabel(cls.name, option_values(solver), None, version)
    return SolverSource(label, cls, None, file, registered=False)
