"""What a setting takes, read from its annotation: kinds of values with their ranges, in words and as checks."""

import dataclasses
import inspect
import math
import numbers
import operator
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from annotated_types import BaseMetadata, Ge, GroupedMetadata, Gt, Le, Lt, MaxLen, MinLen, Predicate

from matchopt.errors import PluginError

Made = TypeVar("Made")
Take = Callable[[Any, bool], Any]
FINITE = Predicate(math.isfinite)  # as IsFinite of annotated_types has it
_NO: Any = object()  # what a Take answers for a value that is none of its kind
_COMPARED = {Ge: (">=", operator.ge), Gt: (">", operator.gt), Le: ("<=", operator.le), Lt: ("<", operator.lt)}
_SWITCH = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(("false", "no", "off", "0"), False)
_BEYOND = 2**63  # whole numbers with a range stay below, so that arrays can hold them
_SHOWN = 60  # characters of a value that a sentence quotes


class Unfit(Exception):  # whoever reads says which error it is
    """A value does not fit; `path` leads to it, `message` is the end of a sentence about it."""

    def __init__(self, message: str, path: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message, self.path = message, path

    def sentence(self, where: str) -> str:
        """The whole sentence about something called `where`."""
        return f"{where}: {'.'.join(self.path)} {self.message}" if self.path else f"{where} {self.message}"


@dataclass(frozen=True)
class Kind:
    """Values that a setting takes.

    Parameters
    ----------
    type : for listings, such as "int" or "float or none".
    words, plural : for sentences, such as "a whole number >= 1".
    take : the value in the kind's own type; its second argument says whether words are read as one would type them.
    range : the bounds, such as "> 0 and <= 1"; empty for none.
    """

    type: str
    words: str
    plural: str
    take: Take
    range: str = ""

    def read(self, value: Any, text: bool = False) -> Any:
        """The value in this kind's own type; raises Unfit for one of another kind or out of range."""
        found = self.take(value, text)
        if found is _NO:
            raise Unfit(f"must be {self.words}, found {shown(value, text)}")
        return found


@dataclass(frozen=True)
class Field:
    """A setting: a field of a dataclass, or a parameter of a function.

    Parameters
    ----------
    name, hint : as written.
    kind : what it takes; None where the annotation is no setting's.
    default : `dataclasses.MISSING` where it must be given.
    """

    name: str
    hint: Any
    kind: Kind | None
    default: Any


def kind_of(hint: Any, around: tuple[Any, ...] = ()) -> Kind | None:
    """The kind that an annotation means; None for one that no setting has.

    Parameters
    ----------
    hint : int, float, bool, str, None, a Literal, a union, a tuple or list, a mapping or a dataclass; in Annotated with
        constraints of annotated_types: bounds of numbers, IsFinite, lengths of lists. NaN is no number. Infinities
        are, unless there is a bound; then only where a bound is infinite.
    around : constraints from an Annotated around it.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return kind_of(inner[0], (*inner[1:], *around))
    if origin in (typing.Union, types.UnionType):
        return _either([kind_of(one, around) for one in inner])
    each = [one for group in around for one in (group if isinstance(group, GroupedMetadata) else (group,))]
    rules = [one for one in each if isinstance(one, BaseMetadata)]
    if hint in (int, float):
        bounds = [rule for rule in rules if rule != FINITE]
        return _number(hint, bounds, FINITE in rules) if all(type(rule) in _COMPARED for rule in bounds) else None
    if origin in (tuple, list):
        return _several(origin, inner, rules)
    if rules and hint is not type(None):
        return None  # a rule that nothing would keep
    if origin is Literal and all(isinstance(member, int | str) for member in inner):
        words = "one of " + ", ".join(map(str, inner))
        return Kind(words, words, words, lambda value, text: _member(inner, value, text))
    made = hint if isinstance(hint, type) and dataclasses.is_dataclass(hint) else None
    if made is not None or hint is dict or origin in (dict, Mapping):
        entry = kind_of(inner[1]) if inner else None
        return Kind("table", "a table", "tables", lambda value, text: _table(made, entry, value, text))
    return {
        bool: Kind("bool", "true or false", "true or false", _switch),
        str: Kind("str", "text", "texts", lambda value, text: value if isinstance(value, str) else _NO),
        type(None): Kind("none", "none", "none", _nothing),
    }.get(hint)


def _number(base: type[int] | type[float], rules: list[Any], finite: bool) -> Kind:
    bounds = [(*_COMPARED[type(rule)], dataclasses.astuple(rule)[0]) for rule in rules]
    infinite = not finite and (not bounds or any(math.isinf(bound) for _, _, bound in bounds))
    limits = " and ".join(f"{sign} {bound:.12g}" for sign, _, bound in bounds if math.isfinite(bound))
    open_ended = len({sign[0] for sign, _, _ in bounds}) < 2
    wide = numbers.Integral if base is int else numbers.Real
    noun = "whole number" if base is int else "finite number" if open_ended and not infinite else "number"
    words = f"a {noun} {limits}".strip()

    def take(value: Any, text: bool) -> Any:
        typed = text and isinstance(value, str)
        if not typed and (not isinstance(value, wide) or isinstance(value, bool)):
            return _NO
        try:
            number = base(value)
        except (ValueError, OverflowError):
            return _NO
        if base is float and not math.isfinite(number):
            spelt = not typed or "inf" in value.lower()  # 1e400 is a mistake
            if not infinite or not spelt or math.isnan(number):
                return _NO
        if not all(compare(number, bound) for _, compare, bound in bounds):
            return _NO
        if bounds and abs(number) >= _BEYOND and base is int:
            raise Unfit(f"must be {words} and < 2^63, found {shown(value, text)}")
        return number

    return Kind(base.__name__, words, f"{noun}s {limits}".strip(), take, limits)


def _switch(value: Any, text: bool) -> Any:
    if text and isinstance(value, str):
        return _SWITCH.get(value.strip().lower(), _NO)
    plain = value.item() if hasattr(value, "dtype") and not value.shape else value  # numpy's
    return plain if isinstance(plain, bool) else _NO


def _nothing(value: Any, text: bool) -> Any:
    return None if value is None or (text and isinstance(value, str) and value.lower() == "none") else _NO


def _member(members: tuple[Any, ...], value: Any, text: bool) -> Any:
    if text and isinstance(value, str):
        return {str(member): member for member in members}.get(value, _NO)
    return next((member for member in members if (type(member), member) == (type(value), value)), _NO)


def _either(kinds: list[Kind | None]) -> Kind | None:
    found = [kind for kind in kinds if kind is not None]
    if len(found) < len(kinds):
        return None

    def take(value: Any, text: bool) -> Any:
        for kind in sorted(found, key=lambda kind: kind.type == "str"):  # text is the last resort
            try:
                return kind.read(value, text)
            except Unfit:
                if kind.type == "table" and isinstance(value, Mapping):
                    raise  # nothing else takes one, and this says which field is wrong
        return _NO

    reals = {kind.range for kind in found if kind.type == "float"}  # of int | float only the float is spoken of
    parts = [[kind.type, kind.words, kind.plural] for kind in found if kind.type != "int" or kind.range not in reals]
    named, words, plural = (" or ".join(part) for part in zip(*parts, strict=True))
    return Kind(named, words, plural, take, " or ".join(kind.range for kind in found if kind.range))


def _several(container: Any, inner: tuple[Any, ...], rules: list[Any]) -> Kind | None:
    # tuple[int, ...], list[int] or tuple[str, str]
    item = kind_of(inner[0]) if len(set(inner) - {Ellipsis}) == 1 else None
    if item is None or not all(isinstance(rule, MinLen | MaxLen) for rule in rules):
        return None
    whole = item
    exact = [len(inner)] if container is tuple and Ellipsis not in inner else []
    least = max([rule.min_length for rule in rules if isinstance(rule, MinLen)] + exact, default=0)
    most = min([rule.max_length for rule in rules if isinstance(rule, MaxLen)] + exact, default=math.inf)
    count = "" if not least else f"{least} " if least == most else f"{least} or more "

    def take(value: Any, text: bool) -> Any:
        if text and isinstance(value, str):
            value = [part for part in value.strip("()[] ").split(",") if part.strip()]
        value = value.tolist() if hasattr(value, "tolist") else value  # numpy's arrays
        if not isinstance(value, list | tuple) or not least <= len(value) <= most:
            return _NO
        return container([_item(whole, value, number, text) for number in range(len(value))])

    plural = f"{count}{item.plural}"
    return Kind(f"{item.type},{item.type},...", f"a list of {plural}", f"lists of {plural}", take, item.range)


def _item(kind: Kind, values: Any, place: int | str, text: bool) -> Any:
    try:
        return kind.read(values[place], text)
    except Unfit as cause:
        raise Unfit(cause.message, (str(place), *cause.path)) from None


def _table(cls: Any, entry: Kind | None, value: Any, text: bool) -> Any:
    if cls is not None and isinstance(value, cls):
        return value
    if not isinstance(value, Mapping):
        return _NO
    if cls is not None:
        return cls(**read_fields(cls, value, text))
    return {key: value[key] if entry is None else _item(entry, value, key, text) for key in value}


def full_name(owner: Callable[..., Any]) -> str:
    """A class or function with its module, that of a plugin file as the author calls it."""
    return f"{re.sub('^matchopt_file_[0-9a-f]+_', '', owner.__module__)}.{owner.__qualname__}"


@cache
def fields_of(owner: Callable[..., Any]) -> Mapping[str, Field]:
    """The settings of a dataclass, or of a function, whose parameters of other types are none, by name and in order.

    Raises PluginError for an annotation that cannot be read.
    """
    try:
        hints = typing.get_type_hints(owner, include_extras=True)
    except Exception as cause:  # an annotation in quotes may be anything
        raise PluginError(f"{full_name(owner)}: an annotation cannot be read: {cause}") from None
    if dataclasses.is_dataclass(owner):
        given = [field for field in dataclasses.fields(owner) if field.init]
        defaults = {f.name: f.default if f.default_factory is MISSING else f.default_factory() for f in given}
    else:
        parameters = inspect.signature(owner).parameters.values()
        defaults = {p.name: MISSING if p.default is p.empty else p.default for p in parameters}
    fields = {name: Field(name, hints[name], kind_of(hints[name]), default) for name, default in defaults.items()}
    return {name: field for name, field in fields.items() if field.kind is not None or isinstance(owner, type)}


def read_fields(owner: Callable[..., Any], given: Mapping[str, Any], text: bool = False) -> dict[str, Any]:
    """Values for the fields of a dataclass or the parameters of a function, each read by its annotation.

    Raises Unfit for an unknown name, a value that does not fit, or one that is missing.
    """
    fields, values = fields_of(owner), {}
    for name, value in given.items():
        if name not in fields:
            raise Unfit(f"is unknown (known: {', '.join(sorted(fields))})", (name,))
        kind = fields[name].kind
        try:
            values[name] = value if kind is None else kind.read(value, text)
        except Unfit as cause:
            raise Unfit(cause.message, (name, *cause.path)) from None
    missing = [name for name, field in fields.items() if field.default is MISSING and name not in values]
    if missing:
        raise Unfit(f"lacks {', '.join(missing)}")
    return values


def read_object(owner: type[Made], given: Any, what: str, error: Callable[[str], Exception]) -> Made:
    """An object of a dataclass from the object called `what` in a file, or `error` naming what is wrong with it."""
    if not isinstance(given, Mapping):
        raise error(f"{what} must be an object, found {shown(given)}")
    try:
        return owner(**read_fields(owner, given))
    except Unfit as cause:
        raise error(cause.sentence(what)) from None


def shown(value: Any, text: bool = False) -> str:
    """A value as a sentence quotes it: cut where it is long, a number that came as text without quotes."""
    try:
        words = repr(value)
        if text and isinstance(value, str):
            float(value)
            words = value.strip()
    except ValueError:  # no number; or one of thousands of digits, which Python does not write
        words = repr(value) if isinstance(value, str) else "a whole number of thousands of digits"
    return words if len(words) <= _SHOWN else f"{words[: _SHOWN - 20]}...{words[-17:]}"
