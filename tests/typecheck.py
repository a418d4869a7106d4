"""The run-time type checks of the tests: every annotation, and within one call every size of a named axis.

jaxtyping's import hook decorates whatever it meets as `jaxtyping.jaxtyped(typechecker=check)`, which costs 20 to 60 us
a call and 2 ms for each function made within a function. `install` puts the same checks there for much less: named
axes are followed only through functions that have some, arguments are checked once instead of twice, what was made
for one closure serves the next, for what is never called nothing is made, and an array that is as it should be is
passed by a few comparisons.
"""

import functools
import inspect
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any, get_args

import jaxtyping
import numpy as np
from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintForwardRefException
from jaxtyping import _array_types
from jaxtyping._storage import get_shape_memo, pop_shape_memo, push_shape_memo

check = beartype(conf=BeartypeConf(is_pep484_tower=True, violation_type=TypeError))  # an int is a float too

# Calls of a function in one test that are all checked, and then every which of those with axes: to check each would
# cost a third of the tests' time.
FIRST, SOME = 20, 64

_jaxtyped = jaxtyping.jaxtyped  # as it was before `install`
_is_one = type(jaxtyping.AbstractArray).__instancecheck__  # likewise
_annotations: dict[Any, tuple[tuple[str | int | None, ...] | None, set[np.dtype[Any]]]] = {}
_NO_ARGUMENTS: dict[str, Any] = {}
_made: dict[tuple[str, CodeType], tuple[CodeType, dict[str, Any]]] = {}
_calls: dict[int, int] = {}  # in this test, by what its body is
_passing: list[FunctionType] = []  # functions that check nothing before the next test
_without_axes: dict[int, CodeType] = {}  # bodies seen, by identity: to hash one reads all of it


def install() -> None:
    """Let modules that are imported from now on be decorated by `checked`."""
    jaxtyping.jaxtyped = lambda *, typechecker: checked
    type(jaxtyping.AbstractArray).__instancecheck__ = is_one  # type: ignore[method-assign]


def begin_test() -> None:
    """Count the calls of every function anew."""
    _calls.clear()
    for function in _passing:
        function.__code__ = _counted.__code__
    _passing.clear()


def checked(thing: Any) -> Any:
    """A function that checks its arguments and its answer; of a class, only the `__init__` of a dataclass does."""
    if inspect.isclass(thing):
        if "__dataclass_fields__" in vars(thing) and not hasattr(thing.__init__, "__wrapped__"):
            thing.__init__ = checked(thing.__init__)
        return thing
    body = id(thing.__code__)
    if body in _without_axes and _calls.get(body, 0) >= FIRST:  # made within a function, again and again
        return thing
    if not any(has_axes(annotation) for annotation in thing.__annotations__.values()):
        _without_axes[body] = thing.__code__
        return plainly(thing)
    if inspect.isgeneratorfunction(thing):
        return _jaxtyped(typechecker=check)(thing)
    return with_axes(plainly(thing, counts=False), thing)


def with_axes(function: Callable[..., Any], unchecked: FunctionType) -> Callable[..., Any]:
    """The function with sizes of named axes that hold for one call; of very many calls some are unchecked."""
    body = id(unchecked.__code__)

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        count = _calls[body] = _calls.get(body, 0) + 1
        if count > FIRST and count % SOME:
            return unchecked(*arguments, **named)
        push_shape_memo(_NO_ARGUMENTS)
        try:
            return function(*arguments, **named)
        finally:
            pop_shape_memo()

    return call


def is_one(annotation: Any, value: Any) -> bool:
    """Whether a value is an array of this annotation; what is not at once seen to be one is jaxtyping's to judge."""
    known = _annotations.get(annotation)
    if known is None:
        known = _annotations[annotation] = axes_of(annotation), set()
    axes, dtypes = known
    if axes is None or type(value) is not np.ndarray or len(axes) != value.ndim:
        return bool(_is_one(annotation, value))
    if value.dtype not in dtypes:  # which dtypes it takes is learnt from arrays that pass
        passes = bool(_is_one(annotation, value))
        if passes:
            dtypes.add(value.dtype)
        return passes
    sizes, new = get_shape_memo()[0], []
    for axis, size in zip(axes, value.shape):  # noqa: B905  # as many as there are dimensions
        if axis is None or axis == size:
            continue
        if axis not in sizes and isinstance(axis, str):
            sizes[axis] = size
            new.append(axis)
        elif sizes.get(axis) != size:
            for name in new:
                del sizes[name]
            return False
    return True


def axes_of(annotation: Any) -> tuple[str | int | None, ...] | None:
    """The name or size of each axis, None for any size; None where they are more than that."""
    if annotation.index_variadic is not None or annotation.array_type is not np.ndarray:
        return None
    axes: list[str | int | None] = []
    for axis in annotation.dims:
        if axis is _array_types._anonymous_dim:
            axes.append(None)
        elif getattr(axis, "broadcastable", True) or getattr(axis, "treepath", False):
            return None
        else:
            axes.append(axis.name if isinstance(axis, _array_types._NamedDim) else getattr(axis, "size", ""))
    return None if "" in axes else tuple(axes)


def has_axes(annotation: Any) -> bool:
    """Whether an annotation speaks of the axes of an array."""
    if isinstance(annotation, str):
        return "[np.ndarray, " in annotation
    if inspect.isclass(annotation) and issubclass(annotation, jaxtyping.AbstractArray):
        return True
    return any(has_axes(part) for part in get_args(annotation))


def plainly(function: FunctionType, counts: bool = True) -> Callable[..., Any]:
    """The function with checks that know nothing of axes, made at its first call: most are never called in a process.

    Until then a plain function stands there. With `counts` it is what is called without checks, too, after so many
    calls in one test; without, its code and hidden arguments become those of what beartype makes.
    """
    if not function.__annotations__:
        return function
    body = id(function.__code__)
    stub = FunctionType((_counted if counts else _first).__code__, function.__globals__, function.__name__)
    stub.__defaults__ = function.__defaults__  # which code that takes any arguments leaves alone

    def ready() -> Callable[..., Any]:
        code, hidden = made_once(function)
        stub.__kwdefaults__ = {**hidden, **stub.__kwdefaults__}  # before the code: threads may call it meanwhile
        stub.__code__ = code
        return stub

    def turn() -> Callable[..., Any]:
        count = _calls[body] = _calls.get(body, 0) + 1
        if count <= FIRST:
            return with_checks()
        stub.__code__ = _as_it_is.__code__ if function.__code__.co_freevars else function.__code__
        _passing.append(stub)
        return function

    @functools.cache
    def with_checks() -> FunctionType:
        code, hidden = made_once(function)
        made = FunctionType(code, function.__globals__, function.__name__)
        made.__kwdefaults__ = {**hidden, "__beartype_func": function}
        return made

    own = function.__kwdefaults__ or {}
    stub.__kwdefaults__ = {**own, "__ready": ready, "__turn": turn, "__beartype_func": function}
    return functools.wraps(function)(stub)


def _first(*arguments: Any, __ready: Callable[[], Callable[..., Any]], **named: Any) -> Any:
    return __ready()(*arguments, **named)


def _counted(*arguments: Any, __turn: Callable[[], Callable[..., Any]], **named: Any) -> Any:
    return __turn()(*arguments, **named)


def _as_it_is(*arguments: Any, __beartype_func: Callable[..., Any], **named: Any) -> Any:
    return __beartype_func(*arguments, **named)


for _between in (_first, _counted, _as_it_is):  # no file of a plugin's, whose lines messages name
    _between.__code__ = _between.__code__.replace(co_filename="<types>")


def made_once(function: FunctionType) -> tuple[CodeType, dict[str, Any]]:
    """Code and hidden arguments of what beartype makes, for all closures with one body."""
    key = function.__code__.co_filename, function.__code__
    if key not in _made:
        made = compiled(function)
        _made[key] = (_as_it_is.__code__, {}) if made is function else (made.__code__, made.__kwdefaults__)
    return _made[key]


def compiled(function: FunctionType) -> FunctionType:
    """What beartype makes; names in quotes that only static checkers know are taken for Any."""
    try:
        return check(function)
    except BeartypeDecorHintForwardRefException:
        quoted = {name: Any for name, hint in function.__annotations__.items() if isinstance(hint, str)}
        function.__annotations__ = function.__annotations__ | quoted
        return check(function)
