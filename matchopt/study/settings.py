"""Settings of a run: a mapping read into the fields of a dataclass, strictly."""

import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from matchopt.errors import InvalidOption, UnknownName

Made = TypeVar("Made")


def settings_of(cls: type[Made], given: Mapping[str, Any]) -> Made:
    """Make `cls`, a dataclass, from settings; a setting `name.key` becomes the entry `key` of the field `name`.

    Raises
    ------
    UnknownName
        for a setting that `cls` does not have.
    InvalidOption
        for a value of the wrong type, or one that `cls` does not take.
    """
    fields = cls.__dataclass_fields__  # type: ignore[attr-defined]
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for name, value in given.items():
        field, dot, key = name.partition(".")
        if field not in fields:
            raise UnknownName("setting", name, fields)
        if dot:
            values[field] = {**values.get(field, {}), key: value}
        elif isinstance(value, dict):
            values[field] = {**values.get(field, {}), **value}
        else:
            values[field] = _read(hints[field], value, name)
    try:
        return cls(**values)
    except (TypeError, ValueError) as cause:
        raise InvalidOption(f"these settings do not work: {cause}") from None


def _read(hint: Any, value: Any, name: str) -> Any:
    if typing.get_origin(hint) is list:
        (inner,) = typing.get_args(hint)
        if isinstance(value, list) and all(type(one) is inner for one in value):
            return value
    elif hint is float and type(value) is int:
        return float(value)
    elif type(value) is hint:
        return value
    raise InvalidOption(f"setting {name} takes {_words(hint)}, found {value!r}")


def _words(hint: Any) -> str:
    return str(hint) if typing.get_origin(hint) else str(hint.__name__)
