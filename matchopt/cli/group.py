"""A group of commands that load on first use, with one sentence for every expected error."""

import difflib
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Mapping
from importlib import import_module
from keyword import iskeyword
from types import FrameType
from typing import Any

import click

from matchopt.cli.settings import Settings
from matchopt.cli.streams import end_quietly, repair_streams
from matchopt.errors import MatchoptError

CommandTable = Mapping[str, tuple[str, str]]  # command: module of matchopt.cli that defines it, line in the listing
INTERRUPTED = 130  # what a shell reports for a command that Ctrl-C ended


class OneSentence(click.ClickException):
    """An expected error: its text and exit status 2."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        """Print the sentence on standard error."""
        click.echo(f"Error: {self.message}", file=file or sys.stderr)


class LazyGroup(click.Group):
    """Commands by name; the module of one is imported when the command is called or its help is asked for."""

    def __init__(self, *args: Any, table: CommandTable, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the table, which is the order of use."""
        del ctx
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, imported now; None where there is none."""
        del ctx
        if cmd_name not in self._table:
            return None
        module = import_module(f"matchopt.cli.{self._table[cmd_name][0]}")
        name = cmd_name.replace("-", "_")
        command = getattr(module, f"{name}_" if iskeyword(name) else name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See `click.Group`; an unknown command is answered with the closest one."""
        name = args[0]
        if name not in self._table and not name.startswith("-"):
            close = difflib.get_close_matches(name, self._table, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else f" The commands are: {', '.join(self._table)}."
            raise click.UsageError(f"There is no command {name!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table, without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, short) for name, (_, short) in self._table.items()])

    def main(self, *args: Any, **settings: Any) -> Any:
        """Run the command line; see `click.Command`."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _interrupt)  # `kill` and `timeout` clean up as Ctrl-C does
        repair_streams()
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                try:
                    return super().main(*args, **settings)
                finally:
                    sys.stdout.flush()  # here, where a full disk can still be told in one sentence
        except KeyboardInterrupt:  # one that came while click was still starting up or already ending
            sys.exit(INTERRUPTED)
        except BrokenPipeError:  # the reader, such as `head`, has seen enough
            end_quietly()
            sys.exit(1)
        except OSError as cause:
            end_quietly()
            OneSentence(f"standard output: {cause.strerror}").show()
            sys.exit(OneSentence.exit_code)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an expected error becomes one sentence and exit status 2, Ctrl-C exit status 130."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            raise
        except (MatchoptError, OSError, MemoryError, Warning) as cause:
            if isinstance(ctx.obj, Settings) and ctx.obj.debug:
                traceback.print_exc()
            raise OneSentence(_sentence(cause)) from cause


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


def _show_warning(message: Warning | str, *place: Any, **more: Any) -> None:
    del place, more
    click.echo(f"Warning: {message}", err=True)


def _sentence(cause: BaseException) -> str:
    if isinstance(cause, MemoryError):
        return f"there is not enough memory: {cause}".removesuffix(": ")
    if isinstance(cause, OSError) and not isinstance(cause, MatchoptError) and cause.strerror:
        place = f"{cause.filename}: " if cause.filename else ""
        return f"{place}{cause.strerror}"
    return " ".join(str(cause).split()) or type(cause).__name__
