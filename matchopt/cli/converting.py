"""The commands convert and schema."""

from pathlib import Path

import click

from matchopt.cli.settings import FILE, Names, OutputFile, debug_option, strict_option


@click.command(epilog="Example: matchopt convert layer.matchopt layer.mps.gz --to program")
@click.argument("source", type=FILE)
@click.argument("target", type=OutputFile())
@click.option(
    "--to",
    "kind",
    type=Names("matchopt.instances:INSTANCES", without="network"),
    help="Reduce the instance to this kind first, exactly or not at all.",
)
@click.option("--input-format", help="Format of SOURCE.  [default: recognised from content and ending]")
@click.option("--format", "form", help="Format of TARGET.  [default: by its ending]")
@click.option("--instance", type=FILE, help="The instance of a solution; wiring tables need it.")
@strict_option
@debug_option
def convert(
    source: Path, target: Path, kind: str | None, input_format: str | None, form: str | None, instance: Path | None
) -> None:
    """Write the instance or solution in SOURCE as TARGET, in another format or reduced to a simpler kind.

    The ladder leads from network to layer, assignment and program; a network of several layers becomes one file per
    layer, numbered before the ending. Formats are matchopt, mps, lp and opb (written only), orlib-assignment,
    orlib-assignment-sparse, orlib-gap (read only), qaplib, wiring-json, wiring-csv, and of solutions, written only,
    masks, masks-csv, fusion-csv and summary (what to switch and to write, to be read by people); .gz compresses.
    """
    from matchopt.formats import read, read_instance, write
    from matchopt.instances import INSTANCES, Instance
    from matchopt.reduce import reduction

    given = None if instance is None else read_instance(instance)
    found = read(source, input_format, instance=given)
    if kind is None:
        write(found, target, form, instance=given)
        click.echo(f"Wrote {target}")
        return
    if not isinstance(found, Instance):
        raise click.UsageError(f"--to reduces instances, and {source} holds a solution")
    parts = reduction(found, INSTANCES[kind]).parts
    for number, part in enumerate(parts):
        place = target if len(parts) == 1 else _numbered(target, number)
        write(part, place, form)
        click.echo(f"Wrote {place}")


def _numbered(path: Path, number: int) -> Path:
    """`name.mps.gz` as `name.0.mps.gz`."""
    from matchopt.formats.sources import stem_of

    stem = stem_of(path)
    return path.with_name(f"{stem}.{number}{path.name[len(stem) :]}")


@click.command(epilog="Example: matchopt schema wiring > wiring.schema.json")
@click.argument("name", type=click.Choice(["wiring"]))
@debug_option
def schema(name: str) -> None:
    """Print the JSON Schema of what matchopt writes: `wiring`, the wiring tables in JSON."""
    from matchopt.formats.wiring_json import SCHEMA

    del name  # there is one
    click.echo(SCHEMA.read_text(), nl=False)
