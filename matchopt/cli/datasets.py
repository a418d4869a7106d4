"""The command data."""

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from matchopt.cli.settings import debug_option

if TYPE_CHECKING:
    from matchopt.network.data.published import DataSet


@click.group(invoke_without_command=True, epilog="Example: matchopt data fetch fashion-mnist")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@debug_option
@click.pass_context
def data(context: click.Context, as_json: bool) -> None:
    """List the data sets: what they are, where they were found, and how to get the others.

    Searched are what ships with matchopt, the cache (MATCHOPT_CACHE, else matchopt in XDG_CACHE_HOME or ~/.cache),
    and the folder data of the library that MATCHOPT_LIBRARY names.
    """
    if context.invoked_subcommand is not None:
        return
    from matchopt.network.data.registry import DATA_SETS
    from matchopt.terminal.table import print_table

    listed = [_row(about) for about in DATA_SETS.values()]
    if as_json:
        click.echo(json.dumps({"data": listed}))
        return
    print_table(["data set", "what", "found"], [[d["name"], d["title"], d["place"] or "no"] for d in listed])
    for each in listed:
        if each["place"] is None:
            click.echo(f"{each['name']}: {each['obtain']}")


@data.command(epilog="Example: matchopt data fetch cifar10")
@click.argument("name")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@debug_option
def fetch(name: str, quiet: bool) -> None:
    """Download the data set NAME into the cache, and check it against the published checksums."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from matchopt.network.data.fetching import fetch
    from matchopt.network.data.registry import data_set

    about = data_set(name)
    columns = (TextColumn(name), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet or not sys.stderr.isatty()) as progress:
        folder = fetch(about, _Bar(progress))
    click.echo(f"{name} is complete in {folder}")


class _Bar:
    """A download's progress on a rich display."""

    def __init__(self, progress: Any) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None)
        self.total = 0

    def update(self, count: int) -> None:
        self._progress.update(self._task, total=self.total, advance=count)

    def reset(self) -> None:
        self._progress.reset(self._task, total=self.total)

    def close(self) -> None:
        self._progress.stop_task(self._task)


def _row(about: "DataSet") -> dict[str, Any]:
    place = about.place()
    return {
        "name": about.name,
        "title": about.title,
        "licence": about.licence,
        "place": None if place is None else str(place),
        "obtain": about.advice(about.fetched),
        "searched": [str(folder) for folder in about.places()],
        "options": {option.name: option.default for option in about.options},
    }
