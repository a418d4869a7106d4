"""The command problems."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from matchopt.cli.settings import debug_option

if TYPE_CHECKING:
    from matchopt.formats import CatalogueEntry


@click.command(epilog="Example: matchopt problems --kind assignment")
@click.argument("name", required=False)
@click.option("--kind", help="Only problems of this kind: network, layer, assignment or program.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@debug_option
def problems(name: str | None, kind: str | None, as_json: bool) -> None:
    """List the problems that matchopt knows, with their best known values and bounds.

    With NAME, where its file is, its size, and all that is known about it. Some ship with matchopt; the others are
    read from the folder that the environment variable MATCHOPT_LIBRARY names.
    """
    from matchopt.formats import find_entry, read_catalogue
    from matchopt.terminal.figures import number
    from matchopt.terminal.table import print_table

    entries = read_catalogue()
    chosen = [find_entry(name, entries)] if name else [e for e in entries if kind in (None, e.kind)]
    if as_json:
        listed = [{"name": e.name, **asdict(e), "file": _place(e)[0]} for e in chosen]
        click.echo(json.dumps({"problems": listed}))
    elif name:
        _show(chosen[0])
    else:
        rows = [
            [e.name, e.kind, e.format, number(e.best_value, 9), number(e.best_bound, 9), e.status, e.place]
            for e in chosen
        ]
        print_table(["problem", "kind", "format", ">best value", ">best bound", "status", "place"], rows)


def _place(entry: "CatalogueEntry") -> tuple[str | None, str]:
    """The file, and why there is none."""
    from matchopt.errors import DataError

    try:
        return str(entry.locate()), ""
    except DataError as cause:
        return None, str(cause)


def _show(entry: "CatalogueEntry") -> None:
    from matchopt.formats import read_instance
    from matchopt.terminal.figures import number
    from matchopt.terminal.sizes import size_of

    path, reason = _place(entry)
    lines = {"name": entry.name, "file": path or f"not here: {reason}", "kind": entry.kind, "format": entry.format}
    if path:
        lines["size"] = size_of(read_instance(path, entry.format))
    lines |= {"best value": number(entry.best_value, 12), "best bound": number(entry.best_bound, 12)}
    lines |= {"status": entry.status, "source": entry.source, "sha256": entry.sha256}
    for label, text in lines.items():
        click.echo(f"{label:<12}{text}")
