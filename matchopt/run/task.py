"""One solve, described: what to solve, by which solver, within which limits."""

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from matchopt.contract import validate_solver
from matchopt.errors import InvalidOption, InvalidSolution, PluginError
from matchopt.instances import SOLUTIONS, Instance, Solution
from matchopt.options import OptionValue, option_values
from matchopt.plugins import load_plugins
from matchopt.run.record import Number
from matchopt.solver import Solver


@dataclass(frozen=True, eq=False)
class Task:
    """The arguments of `matchopt.run.solve`, checked; see there.

    Raises
    ------
    InvalidOption
        for a limit or seed out of range.
    """

    instance: Instance
    solver: str | Solver
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    time_limit: Number | None = 60.0
    memory_limit: Number | None = None
    seed: int = 0
    threads: int = 1
    iterations: int | None = None
    start: Solution | None = None
    plugin_files: tuple[Path, ...] = ()
    certify: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.instance, Instance):
            raise InvalidOption(f"the instance must be a matchopt Instance, found {type(self.instance).__name__}")
        for name in ("time_limit", "memory_limit"):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and 0 < value < math.inf):
                raise InvalidOption(f"{name} must be a positive number or None, found {value!r}")
        for name, least in (("seed", 0), ("threads", 1), ("iterations", 0)):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool) and value >= least
            if not whole and not (name == "iterations" and value is None):
                raise InvalidOption(f"{name} must be a whole number >= {least}, found {value!r}")
        if self.start is not None and not isinstance(self.start, SOLUTIONS[self.instance.kind]):
            wanted = SOLUTIONS[self.instance.kind].__name__
            raise InvalidSolution(f"start must be a {wanted}, found {type(self.start).__name__}")
        object.__setattr__(self, "options", dict(self.options))
        object.__setattr__(self, "plugin_files", tuple(Path(file) for file in self.plugin_files))


@dataclass(frozen=True)
class SolverReference:
    """Enough to make a solver again in another process.

    Parameters
    ----------
    name, cls : name and class of the solver.
    options : the values of all its options.
    plugin : the installed plugin that registers it, None for a file or a class that no plugin registers.
    file : the plugin's file, or the file of the class's module.
    module, qualname : where to import a class from that no plugin registers.
    distribution, version : of the plugin; for a file None and the start of its SHA-256.
    """

    name: str
    cls: type[Solver]
    options: Mapping[str, OptionValue]
    plugin: str | None
    file: Path | None
    module: str | None
    qualname: str | None
    distribution: str | None
    version: str

    def facts(self) -> dict[str, Any]:
        """The reference as JSON."""
        facts = {name: getattr(self, name) for name in ("name", "options", "plugin", "module", "qualname")}
        return facts | {"file": None if self.file is None else str(self.file), "options": dict(self.options)}


def refer(solver: str | Solver, options: Mapping[str, OptionValue], files: Sequence[Path]) -> SolverReference:
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
    plugin = None if entry.file is not None else entry.plugin
    values = option_values(made)
    return SolverReference(
        entry.cls.name, entry.cls, values, plugin, entry.file, None, None, entry.distribution, entry.version
    )


def _unregistered(solver: Solver) -> SolverReference:
    cls = type(solver)
    validate_solver(cls)
    place = f"{cls.__module__}.{cls.__qualname__}"
    try:
        file = Path(inspect.getfile(cls)).resolve()
    except (OSError, TypeError):
        raise PluginError(f"{place} must be defined in a file, so that its own process can import it") from None
    if "<locals>" in cls.__qualname__:
        raise PluginError(f"{place} must be defined at the top of its module, so that its own process can import it")
    version = "sha256:" + sha256(file.read_bytes()).hexdigest()[:12]
    values = option_values(solver)
    return SolverReference(cls.name, cls, values, None, file, cls.__module__, cls.__qualname__, None, version)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
