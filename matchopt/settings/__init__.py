"""Typed settings, spelt once: their ranges stand in annotations, and are checked, shown and quoted from there."""

from matchopt.settings.kinds import Unfit, fields_of, full_name, read_fields, read_object, shown
from matchopt.settings.options import (
    Option,
    OptionValue,
    WithOptions,
    check_fields,
    checked,
    make,
    option_values,
    options_of,
    read_options,
)
from matchopt.settings.ranges import FiniteFloat, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Share

__all__ = [
    "FiniteFloat",
    "NonNegativeFloat",
    "NonNegativeInt",
    "Option",
    "OptionValue",
    "PositiveFloat",
    "PositiveInt",
    "Share",
    "Unfit",
    "WithOptions",
    "check_fields",
    "checked",
    "fields_of",
    "full_name",
    "make",
    "option_values",
    "options_of",
    "read_fields",
    "read_object",
    "read_options",
    "shown",
]
