"""Options of solvers and trainers: the typed fields of their dataclasses, read from text and checked."""

import dataclasses
import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from matchopt.errors import InvalidOption, PluginError, UnknownName
from matchopt.solver import Solver
from matchopt.trainer import TrainerContract

OptionValue = int | float | str | bool | None
Value = TypeVar("Value")
Made = TypeVar("Made", Solver, TrainerContract)
_NUMBERS = tuple[int, ...]
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@dataclass(frozen=True)
class Option:
    """One option of a solver or trainer.

    Parameters
    ----------
    name : name of the field.
    type : what it takes, in words, such as "int", "float or none" or "one of fast, slow".
    default : its value when it is not given.
    doc : what the docstring of the class says about it; empty where it says nothing.
    """

    name: str
    type: str
    default: OptionValue | tuple[int, ...]
    doc: str


def options_of(cls: type[Solver] | type[TrainerContract]) -> tuple[Option, ...]:
    """The options of a solver or trainer class, in the order of its fields.

    Raises
    ------
    PluginError
        for a field without a default, or of a type that no command line can give.
    """
    hints, docs = _hints(cls), _parameter_docs(cls.__doc__ or "")
    found = []
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]  # validated classes are dataclasses
        if not field.init:
            continue
        words = _describe(hints[field.name])
        if words is None:
            raise PluginError(
                f"{_place(cls)}.{field.name} has type {hints[field.name]!r}; options are int, float, str, bool, "
                "Literal of these, tuple[int, ...], or Optional"
            )
        found.append(Option(field.name, words, _default(cls, field, hints[field.name]), docs.get(field.name, "")))
    return tuple(found)


def make_solver(cls: type[Solver], options: Mapping[str, OptionValue]) -> Solver:
    """Make a solver with these options, text being read by the type of its field.

    Raises
    ------
    UnknownName
        for an option the solver does not have.
    InvalidOption
        for a value of the wrong type, or one that the solver does not take.
    """
    return _make(cls, options, "solver")


def make_trainer(cls: type[TrainerContract], options: Mapping[str, OptionValue | tuple[int, ...]]) -> TrainerContract:
    """Make a trainer with these options; see `make_solver`."""
    return _make(cls, options, "trainer")


def _make(cls: type[Made], options: Mapping[str, Any], what: str) -> Made:
    known = [option.name for option in options_of(cls)]
    hints = _hints(cls)
    values = {}
    for name, value in options.items():
        if name not in known:
            raise UnknownName(f"option of {what} {cls.name}", name, known)
        values[name] = _read(hints[name], value, f"option {name} of {what} {cls.name}")
    try:
        return cls(**values)
    except (ValueError, TypeError) as cause:
        given = ", ".join(f"{name}={value!r}" for name, value in values.items()) or "the defaults"
        raise InvalidOption(f"{what} {cls.name} does not take {given}: {_sentence(cause)}") from cause


def option_values(made: Solver | TrainerContract) -> dict[str, OptionValue]:
    """The values of all options of a solver or trainer."""
    return {option.name: getattr(made, option.name) for option in options_of(type(made))}


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


def _hints(cls: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls)
    except NameError as cause:
        raise PluginError(f"{_place(cls)}: an annotation cannot be read: {cause}") from None


def _place(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _default(cls: type, field: "dataclasses.Field[Any]", hint: Any) -> OptionValue | tuple[int, ...]:
    value = field.default
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    if value is dataclasses.MISSING:
        raise PluginError(f"{_place(cls)}.{field.name} needs a default: every option has one")
    kinds = (int, float, str, type(None), *((tuple,) if _NUMBERS in _choices(hint) else ()))
    if not isinstance(value, kinds):
        raise PluginError(f"{_place(cls)}.{field.name} has the default {value!r}, which is no int, float, str or bool")
    found: OptionValue | tuple[int, ...] = value
    return found


def _choices(hint: Any) -> tuple[Any, ...]:
    """The alternatives of a type: members of a union, a Literal counting as one."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return typing.get_args(hint)
    return (hint,)


def _describe(hint: Any) -> str | None:
    words = []
    for choice in _choices(hint):
        if typing.get_origin(choice) is Literal and all(isinstance(v, (int, str)) for v in typing.get_args(choice)):
            words.append("one of " + ", ".join(str(value) for value in typing.get_args(choice)))
        elif choice in (int, float, str, bool):
            words.append(choice.__name__)
        elif choice == _NUMBERS:
            words.append("int,int,...")
        elif choice is not type(None):
            return None
    optional = type(None) in _choices(hint)
    return " or ".join([*words, *(["none"] if optional else [])]) if words else None


def _read(hint: Any, value: Any, what: str) -> Any:
    for choice in sorted(_choices(hint), key=lambda choice: choice is str):  # text is the last resort
        found, read = _read_one(choice, value)
        if found:
            return read
    raise InvalidOption(f"{what} takes {_describe(hint)}, found {value!r}")


def _read_one(choice: Any, value: Any) -> tuple[bool, Any]:
    if typing.get_origin(choice) is Literal:
        allowed = {str(member): member for member in typing.get_args(choice)}
        return str(value) in allowed, allowed.get(str(value))
    if choice == _NUMBERS:
        return _read_numbers(value)
    if choice is type(None):
        return value is None or (isinstance(value, str) and value.lower() == "none"), None
    if isinstance(value, str):
        return _from_text(choice, value)
    if choice is float and isinstance(value, int) and not isinstance(value, bool):
        return True, float(value)
    if choice is float and isinstance(value, float) and math.isnan(value):
        return False, None
    return type(value) is choice, value


def _read_numbers(value: Any) -> tuple[bool, Any]:
    parts = [part for part in value.strip("()[] ").split(",") if part.strip()] if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        return False, None
    read = [_from_text(int, part) if isinstance(part, str) else (type(part) is int, part) for part in parts]
    return all(found for found, _ in read), tuple(number for _, number in read)


def _from_text(choice: Any, text: str) -> tuple[bool, OptionValue]:
    if choice is str:
        return True, text
    if choice is bool:
        return text.lower() in _TRUE + _FALSE, text.lower() in _TRUE
    try:
        number: int | float = choice(text)
    except ValueError:
        return False, None
    return number == number, number  # NaN is no value of an option


def _parameter_docs(doc: str) -> dict[str, str]:
    """What the Parameters section of a numpydoc docstring says about each name."""
    lines = doc.expandtabs().splitlines()
    rules = [n for n, line in enumerate(lines) if n and re.fullmatch(r"\s*-{3,}\s*", line)]
    starts = [n for n in rules if lines[n - 1].strip() == "Parameters"]
    if not starts:
        return {}
    end = min([n - 1 for n in rules if n > starts[0]], default=len(lines))
    body = lines[starts[0] + 1 : end]
    indent = min((len(line) - len(line.lstrip()) for line in body if line.strip()), default=0)
    docs: dict[str, str] = {}
    names: list[str] = []
    for line in body:
        entry = re.match(r"(\w+(?:\s*,\s*\w+)*)\s*(?::\s*(.*))?$", line[indent:])
        if entry and line[:indent].strip() == "":
            names = re.split(r"\s*,\s*", entry[1])
            docs |= dict.fromkeys(names, (entry[2] or "").strip())
        else:
            docs |= {name: f"{docs[name]} {line.strip()}".strip() for name in names}
    return docs


def _sentence(cause: BaseException) -> str:
    """The first line of an exception's text, or its type."""
    text = str(cause).strip()
    return text.splitlines()[0] if text else type(cause).__name__
