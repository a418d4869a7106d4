"""One solve, described: what to solve, by which solver, within which limits."""

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from matchopt.contract import validate_solver
from matchopt.errors import InvalidOption, InvalidSolution, PluginError
from matchopt.instances import SOLUTIONS, Instance, Solution
from matchopt.options import stage_numbers, stage_options
from matchopt.plugins import load_plugins
from matchopt.run.record import Number
from matchopt.settings import OptionValue, option_values
from matchopt.solver import Solver


@dataclass(frozen=True, eq=False)
class Task:
    """The arguments of `matchopt.run.solve`, checked; see there.

    Parameters
    ----------
    surrogate : whether a solver that refuses the instance is given `matchopt.reduce.surrogate` of it instead, as the
        stages of a pipeline are.

    Raises
    ------
    InvalidOption
        for a limit or seed out of range, or a pipeline with an empty stage.
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
    stage_limits: Mapping[str, Number] = field(default_factory=dict)
    surrogate: bool = False

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
        for stage, value in self.stage_limits.items():
            if not (_is_number(value) and 0 < value < math.inf):
                raise InvalidOption(f"the limit of stage {stage} must be a positive number of seconds, found {value!r}")
        if not all(self.stages):
            raise InvalidOption(f"solver {self.solver!r} has an empty stage; give names with one + between them")
        object.__setattr__(self, "options", dict(self.options))
        object.__setattr__(self, "stage_limits", dict(self.stage_limits))
        object.__setattr__(self, "plugin_files", tuple(Path(file) for file in self.plugin_files))

    @cached_property
    def stages(self) -> tuple[str, ...]:
        """Names of the solvers, one after the other; more than one in a pipeline such as "hungarian+reroute"."""
        if isinstance(self.solver, str):
            return tuple(name.strip() for name in self.solver.split("+"))
        return (self.solver.name,)


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


def refer_stages(task: Task) -> tuple[SolverReference, ...]:
    """Find the solver of each stage of a task, with its options.

    Raises
    ------
    UnknownName, PluginError, InvalidOption
        when a solver or an option does not exist or fit; nothing has been started by then.
    """
    if not isinstance(task.solver, str):
        return (refer(task.solver, task.options, task.plugin_files),)
    registry = load_plugins(task.plugin_files)
    for name in task.stages:
        registry.entry(name)  # a wrong name is said before the options that belong to it
    options = stage_options(task.stages, task.options)
    return tuple(refer(name, own, task.plugin_files) for name, own in zip(task.stages, options, strict=True))


def joined(references: Sequence[SolverReference]) -> SolverReference:
    """A pipeline as one reference, for records: options by stage, and all that it is made of by name."""
    if len(references) == 1:
        return references[0]
    names = [reference.name for reference in references]
    options = {
        f"{name if names.count(name) == 1 else number}.{option}": value
        for number, (name, reference) in enumerate(zip(names, references, strict=True), start=1)
        for option, value in reference.options.items()
    }
    distributions = dict.fromkeys(ref.distribution for ref in references if ref.distribution)
    versions = dict.fromkeys(ref.version for ref in references if ref.version)
    nobody: Any = Solver  # a pipeline has no class of its own
    return SolverReference(
        "+".join(names), nobody, options, None, None, None, None, "+".join(distributions) or None, "+".join(versions)
    )


def identity(task: Task) -> dict[str, Any]:
    """All that determines the result of a task besides its instance, as JSON: solvers, versions, options, limits, seed.

    Raises
    ------
    UnknownName, PluginError, InvalidOption
        as `refer_stages` and `stage_limits`.
    """
    reference = joined(refer_stages(task))
    facts = {name: getattr(task, name) for name in ("seed", "threads", "time_limit", "memory_limit", "iterations")}
    facts |= {"solver": reference.name, "options": dict(reference.options), "certify": task.certify}
    facts |= {"distribution": reference.distribution, "version": reference.version}
    start = None if task.start is None else task.start.digest
    facts["surrogate"] = task.surrogate or len(task.stages) > 1
    return facts | {"stage_limits": list(stage_limits(task)), "start": start}


def stage_limits(task: Task) -> tuple[Number | None, ...]:
    """The time limit of each stage of a pipeline, None where it has none of its own.

    Raises
    ------
    UnknownName
        for a limit of a stage that does not exist.
    InvalidOption
        when the limits leave nothing of the task's time to a stage without one, or add up to more than there is.
    """
    found: list[Number | None] = [None] * len(task.stages)
    for stage, seconds in task.stage_limits.items():
        for number in stage_numbers(task.stages, stage):
            found[number] = seconds
    total = sum(seconds for seconds in found if seconds is not None)
    if task.time_limit is not None and (total > task.time_limit or (total == task.time_limit and None in found)):
        raise InvalidOption(
            f"the limits of the stages add up to {total:g} s of {task.time_limit:g} s, which is not enough for "
            f"{'+'.join(task.stages)}; raise time_limit"
        )
    return tuple(found)


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
