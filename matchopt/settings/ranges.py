"""The commonest ranges of settings, by name; others are written out, such as `Annotated[int, Interval(ge=2, le=9)]`."""

from typing import Annotated

from annotated_types import Ge, Gt, IsFinite, Le

PositiveInt = Annotated[int, Ge(1)]
NonNegativeInt = Annotated[int, Ge(0)]
FiniteFloat = IsFinite[float]
PositiveFloat = Annotated[float, Gt(0)]
NonNegativeFloat = Annotated[float, Ge(0)]
Share = Annotated[float, Gt(0), Le(1)]
