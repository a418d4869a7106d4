"""What a pipeline's text means: the options, limits and seconds of each stage, and the names of the whole."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from matchopt.errors import InvalidOption, UnknownName
from matchopt.plugins import load_plugins
from matchopt.run.record import Number
from matchopt.run.source import SolverLabel, SolverSource, source_of
from matchopt.run.task import Task

Value = TypeVar("Value")


def sources_of(task: Task) -> tuple[SolverSource, ...]:
    """Find the solver of each stage of a task, with its options.

    Raises
    ------
    UnknownName, PluginError, InvalidOption
        when a solver or an option does not exist or fit; nothing has been started by then.
    """
    if not isinstance(task.solver, str):
        return (source_of(task.solver, task.options, task.plugin_files),)
    registry = load_plugins(task.plugin_files)
    for name in task.stages:
        registry.entry(name)  # a wrong name is said before the options that belong to it
    options = stage_options(task.stages, task.options)
    return tuple(source_of(name, own, task.plugin_files) for name, own in zip(task.stages, options, strict=True))


def joined(labels: Sequence[SolverLabel]) -> SolverLabel:
    """A pipeline as one label: options by stage, and all that it is made of by name."""
    if len(labels) == 1:
        return labels[0]
    names = [label.name for label in labels]
    options = {
        f"{name if names.count(name) == 1 else number}.{option}": value
        for number, (name, label) in enumerate(zip(names, labels, strict=True), start=1)
        for option, value in label.options.items()
    }
    distributions = dict.fromkeys(label.distribution for label in labels if label.distribution)
    versions = dict.fromkeys(label.version for label in labels if label.version)
    return SolverLabel("+".join(names), options, "+".join(distributions) or None, "+".join(versions))


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
    for stage, limit in task.stage_limits.items():
        for number in stage_numbers(task.stages, stage):
            found[number] = limit
    total, seconds = sum(own for own in found if own is not None), task.allowance.seconds
    if seconds is not None and (total > seconds or (total == seconds and None in found)):
        raise InvalidOption(
            f"the limits of the stages add up to {total:g} s of {seconds:g} s, which is not enough for "
            f"{'+'.join(task.stages)}; raise time_limit"
        )
    return tuple(found)


def stage_options(stages: Sequence[str], options: Mapping[str, Value]) -> tuple[dict[str, Value], ...]:
    """The options of each stage of a pipeline, from names such as "slots.epochs".

    Parameters
    ----------
    stages : names of the solvers in order.
    options : by "stage.option", where the stage is a solver's name (every stage of that name) or its place, from 1.
        With a single stage the name may be left out.

    Raises
    ------
    UnknownName
        for a stage that is not in the pipeline.
    InvalidOption
        for an option without a stage where there are several.
    """
    found: tuple[dict[str, Value], ...] = tuple({} for _ in stages)
    for name, value in options.items():
        stage, dot, option = name.rpartition(".")
        if not dot and len(stages) > 1:
            raise InvalidOption(f"option {name} must name its stage in a pipeline, such as {stages[0]}.{name}")
        for number in stage_numbers(stages, stage) if dot else (0,):
            found[number][option] = value
    return found


def stage_numbers(stages: Sequence[str], stage: str) -> tuple[int, ...]:
    """The places, from 0, of the stages that a solver's name or a place, from 1, means.

    Raises
    ------
    UnknownName
        when there is none.
    """
    numbers = tuple(n for n, name in enumerate(stages) if stage in (name, str(n + 1)))
    if not numbers:
        raise UnknownName("stage of the pipeline", stage, stages)
    return numbers
