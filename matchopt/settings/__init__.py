"""Typed settings, spelt once: their ranges stand in annotations, and are checked, shown and quoted from there."""

from matchopt.settings.kinds import Unfit as Unfit
from matchopt.settings.kinds import fields_of as fields_of
from matchopt.settings.kinds import full_name as full_name
from matchopt.settings.kinds import read_fields as read_fields
from matchopt.settings.kinds import read_object as read_object
from matchopt.settings.kinds import shown as shown
from matchopt.settings.options import Option as Option
from matchopt.settings.options import OptionValue as OptionValue
from matchopt.settings.options import WithOptions as WithOptions
from matchopt.settings.options import check_fields as check_fields
from matchopt.settings.options import checked as checked
from matchopt.settings.options import make as make
from matchopt.settings.options import option_values as option_values
from matchopt.settings.options import options_of as options_of
from matchopt.settings.options import read_options as read_options
from matchopt.settings.ranges import FiniteFloat as FiniteFloat
from matchopt.settings.ranges import NonNegativeFloat as NonNegativeFloat
from matchopt.settings.ranges import NonNegativeInt as NonNegativeInt
from matchopt.settings.ranges import PositiveFloat as PositiveFloat
from matchopt.settings.ranges import PositiveInt as PositiveInt
from matchopt.settings.ranges import Share as Share
