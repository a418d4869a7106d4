"""The run-time type checks of the tests: every annotation, and within one call every size of a named axis.

jaxtyping's import hook decorates whatever it meets as `jaxtyping.jaxtyped(typechecker=check)`, which costs 20 to 60 us
a call and 2 ms for each function made within a function. `install` puts the same checks there for much less: named
axes are followed only through functions that have some, arguments are checked once instead of twice, and what was made
for one closure serves the next.
"""

import functools
import inspect
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any, get_args

import jaxtyping
from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintForwardRefException

check = beartype(conf=BeartypeConf(is_pep484_tower=True, violation_type=TypeError))  # an int is a float too

_jaxtyped = jaxtyping.jaxtyped  # as it was before `install`
_templates: dict[CodeType, FunctionType | None] = {}


def install() -> None:
    """Let modules that are imported from now on be decorated by `checked`."""
    jaxtyping.jaxtyped = lambda *, typechecker: checked


def checked(thing: Any) -> Any:
    """A function that checks its arguments and its answer; of a class, only the `__init__` of a dataclass does."""
    if inspect.isclass(thing):
        if "__dataclass_fields__" in vars(thing) and not hasattr(thing.__init__, "__wrapped__"):
            thing.__init__ = checked(thing.__init__)
        return thing
    if not any(has_axes(annotation) for annotation in thing.__annotations__.values()):
        return plainly(thing)
    if inspect.isgeneratorfunction(thing):
        return _jaxtyped(typechecker=check)(thing)
    return with_axes(plainly(thing))


def with_axes(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with sizes of named axes that hold for one call."""

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        with _jaxtyped("context"):
            return function(*arguments, **named)

    return call


def has_axes(annotation: Any) -> bool:
    """Whether an annotation speaks of the axes of an array."""
    if isinstance(annotation, str):
        return "[np.ndarray, " in annotation
    if inspect.isclass(annotation) and issubclass(annotation, jaxtyping.AbstractArray):
        return True
    return any(has_axes(part) for part in get_args(annotation))


def plainly(function: FunctionType) -> Callable[..., Any]:
    """The function with checks that know nothing of axes, made once for all closures with one body."""
    code = function.__code__
    if code not in _templates:
        made = compiled(function)
        _templates[code] = None if made is function else bound(made, None)
        return made
    template = _templates[code]
    return function if template is None else functools.wraps(function)(bound(template, function))


def compiled(function: FunctionType) -> FunctionType:
    """What beartype makes; names in quotes that only static checkers know are taken for Any."""
    try:
        return check(function)
    except BeartypeDecorHintForwardRefException:
        quoted = {name: Any for name, hint in function.__annotations__.items() if isinstance(hint, str)}
        function.__annotations__ = function.__annotations__ | quoted
        return check(function)


def bound(made: FunctionType, function: FunctionType | None) -> FunctionType:
    """A copy of what beartype has made, around another function."""
    copy = FunctionType(made.__code__, made.__globals__, made.__name__)
    copy.__kwdefaults__ = {**made.__kwdefaults__, "__beartype_func": function}
    return copy
