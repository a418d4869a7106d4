"""Options of the stages of a pipeline."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from matchopt.errors import InvalidOption, UnknownName

Value = TypeVar("Value")


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
