"""What all commands share: global options, and the types of their parameters."""

import functools
import math
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, get_args

import click
from click.core import ParameterSource

from matchopt.errors import FormatWarning

FILE = click.Path(path_type=Path)
PLUGIN_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass
class Settings:
    """The options that stand before the command, or after it.

    Parameters
    ----------
    plugin_files : files to load solvers from, besides the installed plugins.
    debug : whether errors show their traceback.
    """

    plugin_files: list[Path] = field(default_factory=list)
    debug: bool = False


def settings() -> Settings:
    """The settings of the running command."""
    found = click.get_current_context().find_root().obj
    return found if isinstance(found, Settings) else Settings()


def _add_plugins(context: click.Context, parameter: click.Parameter, files: tuple[Path, ...]) -> None:
    del context, parameter
    settings().plugin_files.extend(files)


def _switch_strict(context: click.Context, parameter: click.Parameter, given: bool) -> None:
    del context, parameter
    if given:
        warnings.simplefilter("error", FormatWarning)


def _switch_debug(context: click.Context, parameter: click.Parameter, given: bool) -> None:
    del context, parameter
    settings().debug |= given


# The options that may also stand after the name of a command: for those that use solvers, and for all.
plugin_option = click.option("--plugin", type=PLUGIN_FILE, multiple=True, expose_value=False, callback=_add_plugins,
                             help="Load solvers from this file too, Python, or TOML that describes a program; "
                             "repeatable.")  # fmt: skip
debug_option = click.option("--debug", is_flag=True, is_eager=True, expose_value=False, callback=_switch_debug,
                            help="Show the traceback of an error, and what a solver printed.")  # fmt: skip
# For commands that read files of others.
strict_option = click.option("--strict", is_flag=True, is_eager=True, expose_value=False, callback=_switch_strict,
                             help="Refuse files that programs read differently, where else a warning says how they "
                             "were read.")  # fmt: skip


class Names(click.Choice):  # type: ignore[type-arg]  # generic in newer click only
    """One of the names that are defined in `source`, "module:attribute", which is imported when they are needed."""

    def __init__(self, source: str, without: str = "") -> None:
        self.case_sensitive = True
        self._source, self._without = source, without

    @cached_property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]
        """The keys of a mapping, or the members of a Literal."""
        module, _, attribute = self._source.partition(":")
        names = getattr(import_module(module), attribute)
        return tuple(name for name in get_args(names) or names if name != self._without)


class Real(click.FloatRange):
    """A number of a range; nan is within none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = float(super().convert(value, param, ctx))
        return self.fail(f"{value} is no number", param, ctx) if math.isnan(found) else found


def go_with(present: object, why: str, *names: str) -> None:
    """Refuse the options called `names` where they are given and what they belong to is not `present`."""
    context = click.get_current_context()
    for name in names:
        if not present and context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"--{name.replace('_', '-')} {why}")


def check_apart(output: Path | None, *inputs: Path) -> None:
    """Refuse to write over what is read."""
    if output is not None and output.resolve() in [path.resolve() for path in inputs]:
        raise click.UsageError(f"{str(output)!r} is read, and would be written over; name another file")


class OutputFile(click.ParamType):  # type: ignore[type-arg]  # generic in newer click only
    """A file to write; its folder must exist and take files, so that a mistake is noticed before the work is done.

    Parameters
    ----------
    endings : what its name may end in; none for anything.
    """

    name = "file"

    def __init__(self, *endings: str) -> None:
        self._endings = endings

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(value)
        if not path.absolute().parent.is_dir():
            self.fail(f"the folder {str(path.parent)!r} does not exist; make it first", param, ctx)
        if path.is_dir():
            self.fail(f"{str(path)!r} is a folder; name a file in it", param, ctx)
        if self._endings and path.suffix.lower() not in self._endings:
            self.fail(f"{str(path)!r} must end in {' or '.join(self._endings)}", param, ctx)
        try:
            _check_writable(path.parent)
        except OSError as cause:
            self.fail(f"nothing can be written to the folder {str(path.parent)!r}: {cause.strerror}", param, ctx)
        return path


class OutputFolder(click.ParamType):  # type: ignore[type-arg]  # generic in newer click only
    """A folder to write into, which is made where it is missing."""

    name = "folder"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(value)
        there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
        if not there.is_dir():
            self.fail(f"{str(there)!r} is a file; name a folder", param, ctx)
        _check_writable(there)
        return path


def _check_writable(folder: Path) -> None:
    """Raise OSError for a folder that takes no file."""
    try:
        with tempfile.TemporaryFile(dir=folder.absolute()):
            pass
    except OSError as cause:
        raise type(cause)(cause.errno, cause.strerror, str(folder)) from None  # not the file that nobody asked for


class Parsed(click.ParamType):  # type: ignore[type-arg]  # generic in newer click only
    """What a function makes of the text.

    Parameters
    ----------
    name : how help calls such a value.
    parse : makes the value, or raises ValueError.
    wrong : what is said then, of `{value}` and `{cause}`.
    """

    def __init__(self, name: str, parse: Callable[[str], Any], wrong: str) -> None:
        self.name, self._parse, self._wrong = name, parse, wrong

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self._parse(value) if isinstance(value, str) else value
        except ValueError as cause:
            return self.fail(self._wrong.format(value=value, cause=cause), param, ctx)


def _pair(text: str) -> tuple[str, str]:
    """`name=value`, or `stage.name=value` in a pipeline, as (name, value)."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ValueError
    stage, dot, option = name.strip().rpartition(".")  # names of solvers keep their dashes
    return stage + dot + option.replace("-", "_"), value.strip()


def _stage_limit(text: str) -> tuple[str, float]:
    stage, _, seconds = text.partition("=")
    return stage.strip(), float(seconds)


def _gains(text: str) -> Any:
    """One gain, several with commas between them, or an interval low:high; as `matchopt.Gains`."""
    from matchopt.instances import Gains

    low, colon, high = text.partition(":")
    return Gains.interval(float(low), float(high)) if colon else Gains.finite(*map(float, text.split(",")))


PAIR = Parsed("option=value", _pair, "{value!r} must read option=value, such as seconds=10")
STAGE_LIMIT = Parsed("stage=seconds", _stage_limit, "{value!r} must read stage=seconds, such as slots=40")
GAIN_SET = Parsed("g | a,b,c | low:high", _gains, "{value!r} must be 1, or 0.5,1,2, or 0.5:2 ({cause})")
WHOLE_NUMBERS = Parsed("n,n,...", lambda text: tuple(map(int, text.split(","))),
                       "{value!r} must be whole numbers with commas between them, such as 784,300,10")  # fmt: skip
NUMBERS = Parsed("x,x,...", lambda text: tuple(map(float, text.split(","))),
                 "{value!r} must be numbers with commas between them, such as 0.1307")  # fmt: skip


def each_once(context: click.Context, parameter: click.Parameter, pairs: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    """The pairs of a repeatable option as a table; one that names the same thing twice is refused."""
    del context
    for name, count in Counter(name for name, _ in pairs).items():
        if count > 1:
            raise click.UsageError(f"{name} is given twice by {parameter.opts[-1]}; give it once")
    return dict(pairs)


def table_option(*names: str, about: str, kind: Parsed = PAIR) -> Callable[[Command], Command]:
    """A repeatable option whose pairs make a table."""
    return click.option(*names, type=kind, callback=each_once, multiple=True, help=f"{about}; repeatable.")


def together(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one decorator, in the order of the help."""
    return lambda command: functools.reduce(lambda made, option: option(made), reversed(options), command)
