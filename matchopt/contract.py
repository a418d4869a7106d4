"""Whether a class keeps the form of its contract, asked once when its plugin is loaded; and whether a result does."""

import inspect
import numbers
import os
import re
import traceback
from collections.abc import Mapping
from dataclasses import fields
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, get_args

import numpy as np

from matchopt.errors import PluginError
from matchopt.instances import INSTANCES, SOLUTIONS, Instance, Solution
from matchopt.instances.demands import AT_0_1, not_understood
from matchopt.settings import full_name, options_of
from matchopt.solver import Limit, Result, Solver, Status
from matchopt.trainer_contract import Promise, TrainerContract

MOST_TEXT = 2000  # characters of a message
MOST_STATS = 100
ROLES = ("exact", "heuristic", "baseline")


def understood_by(cls: type[Solver]) -> frozenset[str]:
    """The demands that a solver class takes: those it declares, without a declaration all of version 0.1."""
    return AT_0_1[cls.solves.kind] if cls.understands is None else frozenset(cls.understands)


def refusal(solver: Solver, instance: Instance) -> str | None:
    """Why `solver` does not take `instance`, which is of its own kind, or None.

    Raises
    ------
    PluginError
        when `refuses` returns anything but a reason or None.
    """
    strange = not_understood(instance, understood_by(type(solver)), f"solver {solver.name}")
    if strange is not None:
        return strange
    reason: Any = solver.refuses(instance)
    if reason is not None and not isinstance(reason, str):
        raise PluginError(f"refuses must return a reason or None, found {type(reason).__name__} {str(reason)[:80]}")
    return f"solver {solver.name} gives no reason" if reason == "" else reason


def validate_solver(cls: Any) -> None:
    """Check that `cls` is a solver class the framework can list, make and run.

    Raises
    ------
    PluginError
        naming the class and the first rule it breaks.
    """
    place = _check_form(cls, Solver, "matchopt.Solver")
    if getattr(cls, "solves", None) not in INSTANCES.values():
        kinds = ", ".join(kind.__name__ for kind in INSTANCES.values())
        raise PluginError(f"{place}.solves must be one of {kinds}, found {getattr(cls, 'solves', None)!r}")
    if cls.role not in ROLES:
        raise PluginError(f"{place}.role must be one of {', '.join(ROLES)}, found {cls.role!r}")
    if cls.understands is not None and not (
        isinstance(cls.understands, frozenset) and all(isinstance(demand, str) for demand in cls.understands)
    ):
        raise PluginError(f"{place}.understands must be a frozenset of names of demands, found {cls.understands!r}")
    options_of(cls)


def validate_trainer(cls: Any) -> None:
    """Check that `cls` is a training method the framework can list, make and run.

    Raises
    ------
    PluginError
        naming the class and the first rule it breaks.
    """
    place = _check_form(cls, TrainerContract, "matchopt.network.Trainer")
    promises = get_args(Promise)
    if getattr(cls, "promise", None) not in promises:
        raise PluginError(
            f"{place}.promise must be one of {', '.join(promises)}, found {getattr(cls, 'promise', None)!r}"
        )
    options_of(cls)


def _check_form(cls: Any, base: Any, called: str) -> str:
    """What all contracts have in common; returns the class's full name."""
    if not isinstance(cls, type) or not issubclass(cls, base):
        hint = "; give the class, not an instance" if isinstance(cls, base) else ""
        raise PluginError(f"register takes a subclass of {called}, found {cls!r}{hint}")
    place = full_name(cls)
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(cls.__abstractmethods__))  # type: ignore[attr-defined]
        raise PluginError(f"{place} lacks the method {missing}")
    made = vars(cls).get("__dataclass_params__")
    if made is None or not made.frozen:
        raise PluginError(f"{place} must be a frozen dataclass: put @dataclass(frozen=True) above it")
    name = getattr(cls, "name", None)
    if "name" in [field.name for field in fields(cls)]:
        raise PluginError(f"{place}.name must not be annotated: an annotated name is an option")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise PluginError(f"{place}.name must be lower-case words and dashes, found {name!r}")
    for field, what in (("needs", "module"), ("may_use", "distribution")):
        listed = getattr(cls, field, ())
        if not isinstance(listed, tuple) or not all(isinstance(entry, str) for entry in listed):
            raise PluginError(f"{place}.{field} must be a tuple of {what} names, found {listed!r}")
    if not isinstance(getattr(cls, "extra", None), str):
        raise PluginError(f"{place}.extra must be the name of an extra, or empty")
    return place


def raised(cause: BaseException) -> str:
    """An exception of a plugin in words, with the line of the plugin that it comes from."""
    house = (f"{Path(__file__).parent}{os.sep}", "<")  # not matchopt_somebody's
    frames = traceback.extract_tb(cause.__traceback__)
    steps = [(one.filename.startswith(house), two.filename) for one, two in pairwise(frames)]
    file = next((name for left, name in steps if left and not name.startswith(house)), None)
    lines = [f" ({Path(file).name}, line {frame.lineno})" for frame in frames if file and frame.filename == file]
    return traceback.format_exception_only(cause)[-1].strip() + "".join(lines[-1:])


def proper_result(result: Any, kind: str, *, strict: bool = True) -> Result:
    """What a solver for `kind` returned, with plain values: status and limit may be given as text, numbers as numpy's.

    Parameters
    ----------
    strict : whether odd statistics are an error; otherwise they are left out, and the message says so.

    Raises
    ------
    PluginError
        naming the field that is wrong.
    """
    if not isinstance(result, Result):
        raise PluginError(
            f"the solver returned {_short(result)} instead of a Result; end it with return Result(solution)"
        )
    if result.solution is not None:
        proper_solution(result.solution, kind, "Result.solution must be")
    try:
        status = Status(result.status)
        limit = None if result.limit is None else Limit(result.limit)
    except ValueError as cause:
        raise PluginError(f"Result.status or Result.limit is wrong: {cause}") from None
    bound = proper_number(result.bound, "Result.bound must be a number")
    if not isinstance(result.message, str):
        raise PluginError(f"Result.message must be text, found {_short(result.message)}")
    stats, odd = proper_stats(result.stats)
    if odd and strict:
        raise PluginError(odd)
    message = f"{odd}; left out. {result.message}" if odd else result.message
    return Result(result.solution, status, limit, bound, stats, message[:MOST_TEXT])


def printable(text: object, most: int = MOST_TEXT) -> str:
    """A text of someone else's on one line: runs of white space one space each, what no terminal shows as escapes."""
    return escaped(" ".join(str(text)[: 4 * most].split())[:most])


def escaped(line: str) -> str:
    """A line in which what no terminal shows is written as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def proper_solution(solution: Any, kind: str, what: str) -> Solution:
    """The solution, if it is one of `kind`; PluginError, beginning with `what`, if it is not."""
    wanted = SOLUTIONS[kind]
    if not isinstance(solution, wanted):
        raise PluginError(f"{what} a solution of type {wanted.__name__}, found {_short(solution)}")
    return solution


def proper_number(value: Any, what: str) -> float:
    """The number as a float; PluginError, beginning with `what`, if it is none."""
    if isinstance(value, bool) or not isinstance(value, (numbers.Real, np.number)):
        raise PluginError(f"{what}, found {_short(value)}")
    try:
        return float(value)
    except OverflowError:
        raise PluginError(f"{what}, found one beyond all floats") from None


def proper_stats(stats: Any) -> tuple[dict[str, int | float | str], str]:
    """The statistics that are numbers or short texts by name, at most a hundred; what is wrong with the others."""
    if not isinstance(stats, Mapping):
        return {}, f"Result.stats must be a mapping, found {_short(stats)}"
    plain: dict[str, int | float | str] = {}
    odd = ""
    for name, value in islice(stats.items(), MOST_STATS):
        simple = value.item() if isinstance(value, np.generic) else value
        fits = isinstance(simple, (float, str)) or (isinstance(simple, int) and abs(simple) < 2**63)
        if isinstance(name, str) and fits:
            plain[printable(name, 80)] = printable(simple, 200) if isinstance(simple, str) else simple
        else:
            shown = printable(name, 80) if isinstance(name, str) else _short(name)
            odd = odd or f"Result.stats must hold numbers and short texts by name, found {shown!r}: {_short(value)}"
    if len(stats) > MOST_STATS:
        odd = odd or f"Result.stats must hold at most {MOST_STATS} numbers and texts, found {len(stats)}"
    return plain, odd


def _short(value: Any) -> str:
    """A value in an error message: its type and the start of its text."""
    try:
        text = " ".join(repr(value).split())
    except Exception:
        text = "?"
    return f"{type(value).__name__} {text[:80]}" if value is not None else "None"
