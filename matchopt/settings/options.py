"""Options of solvers and trainers: their dataclass fields, checked however a solver is made, read, and described."""

import dataclasses
import functools
import re
from abc import ABC
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from matchopt.errors import InvalidOption, PluginError, UnknownName
from matchopt.settings.kinds import Unfit, fields_of, full_name, kind_of, read_fields, shown

OptionValue = int | float | str | bool | None
_kind_of = functools.cache(kind_of)
Made = TypeVar("Made", bound="WithOptions")


class WithOptions(ABC):
    """Base of frozen dataclasses whose fields are options.

    However one is made, each value is checked against its field's annotation before a `__post_init__` of the class's
    own runs: `epochs: Annotated[int, Ge(1)] = 20`. Whole numbers given for a float become floats, lists tuples.

    Raises
    ------
    InvalidOption
        naming the option, the value and the range.
    """

    name: ClassVar[str]
    noun: ClassVar[str]  # what it is, in sentences

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        own = vars(cls).get("__post_init__")
        if own is None:
            return

        @functools.wraps(own)
        def checked(self: "WithOptions", *given: Any) -> None:
            check_fields(self, self.called())
            own(self, *given)

        cls.__post_init__ = checked  # type: ignore[method-assign]

    def __post_init__(self, *given: Any) -> None:
        del given
        check_fields(self, self.called())

    @classmethod
    def called(cls) -> str:
        """How sentences call it, such as "solver slots"."""
        return f"{cls.noun} {getattr(cls, 'name', cls.__name__)}"


@dataclass(frozen=True)
class Option:
    """One option of a solver or trainer, or of a data set.

    Parameters
    ----------
    name : name of the field.
    type : what it takes, in words, such as "int", "float or none" or "one of fast, slow".
    range : its bounds, such as "> 0 and <= 1"; empty for none.
    default : its value when it is not given.
    doc : what the docstring of the class says about it; empty where it says nothing.
    """

    name: str
    type: str
    range: str
    default: Any
    doc: str


@functools.cache
def options_of(owner: Callable[..., Any]) -> tuple[Option, ...]:
    """The options of a solver, a trainer or a function that loads data, in order.

    Raises PluginError for a field without a default, or of a type that no command line can give.
    """
    told = reversed(owner.__mro__) if isinstance(owner, type) else [owner]  # what a base says of its fields holds
    docs = {name: text for one in told for name, text in _parameter_docs(one.__doc__ or "").items()}
    found = []
    for field in fields_of(owner).values():
        place = f"{full_name(owner)}.{field.name}"
        if field.kind is None or "table" in field.kind.type or isinstance(field.default, list):
            raise PluginError(
                f"{place} has type {field.hint!r}; options are int, float, str, bool, Literal of these, "
                "tuple[int, ...], tuple[float, ...], Optional, or Annotated with bounds of annotated_types"
            )
        if field.default is dataclasses.MISSING:
            raise PluginError(f"{place} needs a default: every option has one")
        try:
            default = field.kind.read(field.default)
        except Unfit as cause:
            raise PluginError(f"{place}: its default {cause.message}") from None
        found.append(Option(field.name, field.kind.type, field.kind.range, default, docs.get(field.name, "")))
    return tuple(found)


def make(cls: type[Made], options: Mapping[str, Any]) -> Made:
    """Make a solver or trainer with these options, text being read by the type of its field.

    Raises
    ------
    UnknownName
        for an option it does not have.
    InvalidOption
        for a value of the wrong type or out of range, or options that it does not take together.
    """
    values = read_options(cls, options, cls.called())
    try:
        return cls(**values)
    except (ValueError, TypeError) as cause:
        given = ", ".join(f"{name}={shown(value)}" for name, value in values.items()) or "the defaults"
        raise InvalidOption(f"{cls.called()} does not take {given}: {_sentence(cause)}") from cause
    except KeyboardInterrupt:
        raise
    except BaseException as cause:  # the class is somebody's, and may raise what it likes
        raise PluginError(f"{cls.called()} cannot be made: {type(cause).__name__}: {_sentence(cause)}") from cause


def read_options(owner: Callable[..., Any], options: Mapping[str, Any], what: str, text: bool = True) -> dict[str, Any]:
    """The values of options of a class or function called `what`, text being read by type; raises as `make` does."""
    known = [option.name for option in options_of(owner)]
    for name in options:
        if name not in known:
            value = vars(owner).get(name)
            if isinstance(value, int | float) and isinstance(owner, type):
                hint = f"{name}: {type(value).__name__} = {value}"
                raise InvalidOption(f"{what}: {name} is no option, as it has no annotation; write {hint}")
            raise UnknownName(f"option of {what}", name, known)
    try:
        return read_fields(owner, options, text)
    except Unfit as cause:
        raise InvalidOption(cause.sentence(what)) from None


def option_values(made: WithOptions) -> dict[str, Any]:
    """The values of all options of a solver or trainer."""
    return {option.name: getattr(made, option.name) for option in options_of(type(made))}


def check_fields(made: Any, what: str, error: Callable[[str], Exception] = InvalidOption) -> None:
    """Check the fields of a dataclass instance called `what` against their annotations, and put them in form.

    Fields whose annotation is no setting's are left alone.

    Raises
    ------
    error
        naming the field, the value and the range.
    """
    owner: Any = type(made)
    for field in fields_of(owner).values():
        value = getattr(made, field.name)
        if field.kind is None:
            continue
        try:
            found = field.kind.read(value, text=False)
        except Unfit as cause:
            raise error(Unfit(cause.message, (field.name, *cause.path)).sentence(what)) from None
        object.__setattr__(made, field.name, found)


def checked(value: Any, hint: Any, what: str, error: Callable[[str], Exception] = InvalidOption) -> Any:
    """A value called `what`, in the form of this annotation.

    Raises
    ------
    error
        naming it, the value and the range.
    """
    kind = _kind_of(hint)
    assert kind is not None, f"{hint} is no setting"
    try:
        return kind.read(value)
    except Unfit as cause:
        raise error(cause.sentence(what)) from None


@functools.cache
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
