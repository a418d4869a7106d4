"""What all commands share: global options, and the types of their parameters."""

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


def plugin_option(command: Command) -> Command:
    """Give a command that uses solvers the option `--plugin`, also after its name."""

    def add(context: click.Context, parameter: click.Parameter, files: tuple[Path, ...]) -> None:
        del context, parameter
        settings().plugin_files.extend(files)

    option = click.option(
        "--plugin",
        type=PLUGIN_FILE,
        multiple=True,
        expose_value=False,
        callback=add,
        help="Load solvers from this Python file too; repeatable.",
    )
    return option(command)


def strict_option(command: Command) -> Command:
    """Give a command that reads files of others the option `--strict`."""

    def switch(context: click.Context, parameter: click.Parameter, given: bool) -> None:
        del context, parameter
        if given:
            warnings.simplefilter("error", FormatWarning)

    text = "Refuse files that programs read differently, where else a warning says how they were read."
    return click.option("--strict", is_flag=True, is_eager=True, expose_value=False, callback=switch, help=text)(
        command
    )


def debug_option(command: Command) -> Command:
    """Give a command the option `--debug`, also after its name."""

    def switch(context: click.Context, parameter: click.Parameter, given: bool) -> None:
        del context, parameter
        settings().debug |= given

    option = click.option(
        "--debug",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=switch,
        help="Show the traceback of an error, and what a solver printed.",
    )
    return option(command)


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


class OutputFile(click.ParamType):  # type: ignore[type-arg]  # generic in newer click only
    """A file to write; its folder must exist and take files, so that a mistake is noticed before the work is done."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(value)
        if not path.absolute().parent.is_dir():
            self.fail(f"the folder {str(path.parent)!r} does not exist; make it first", param, ctx)
        if path.is_dir():
            self.fail(f"{str(path)!r} is a folder; name a file in it", param, ctx)
        try:
            with tempfile.TemporaryFile(dir=path.absolute().parent):
                pass
        except OSError as cause:
            self.fail(f"nothing can be written to the folder {str(path.parent)!r}: {cause.strerror}", param, ctx)
        return path


class Pair(click.ParamType):  # type: ignore[type-arg]  # generic in newer click only
    """`name=value`, or `stage.name=value` in a pipeline, as (name, value)."""

    name = "option=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        name, equals, text = str(value).partition("=")
        if not equals or not name.strip():
            self.fail(f"{value!r} must read option=value, such as seconds=10", param, ctx)
        stage, dot, option = name.strip().rpartition(".")  # names of solvers keep their dashes
        return stage + dot + option.replace("-", "_"), text.strip()


def each_once(
    context: click.Context, parameter: click.Parameter, pairs: tuple[tuple[str, Any], ...]
) -> tuple[tuple[str, Any], ...]:
    """Refuse a repeatable option that names the same thing twice."""
    del context
    for name, count in Counter(name for name, _ in pairs).items():
        if count > 1:
            raise click.UsageError(f"{name} is given twice by {parameter.opts[-1]}; give it once")
    return pairs


class StageLimit(click.ParamType):  # type: ignore[type-arg]  # generic in newer click only
    """`stage=seconds`, as (stage, seconds)."""

    name = "stage=seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        if isinstance(value, tuple):
            return value
        stage, _, text = str(value).partition("=")
        try:
            return stage.strip(), float(text)
        except ValueError:
            return self.fail(f"{value!r} must read stage=seconds, such as slots=40", param, ctx)


class Numbers(click.ParamType):  # type: ignore[type-arg]  # generic in newer click only
    """Numbers with commas between them, as a tuple; `kind` is int or float."""

    def __init__(self, kind: type[int] | type[float] = int) -> None:
        self._kind = kind
        self.name = "n,n,..." if kind is int else "x,x,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(self._kind(part) for part in str(value).split(","))
        except ValueError:
            what = "whole numbers with commas between them, such as 784,300,10"
            what = what if self._kind is int else "numbers with commas between them, such as 0.1307"
            return self.fail(f"{value!r} must be {what}", param, ctx)


class GainSet(click.ParamType):  # type: ignore[type-arg]  # generic in newer click only
    """One gain, several with commas between them, or an interval low:high; as `matchopt.Gains`."""

    name = "g | a,b,c | low:high"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from matchopt.instances import Gains

        if isinstance(value, Gains):
            return value
        try:
            if ":" in str(value):
                low, high = (float(part) for part in str(value).split(":"))
                return Gains.interval(low, high)
            return Gains.finite(*(float(part) for part in str(value).split(",")))
        except ValueError as cause:
            return self.fail(f"{value!r} must be 1, or 0.5,1,2, or 0.5:2 ({cause})", param, ctx)
