"""The command problems: what is listed, how it is made again, and what is known better."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from matchopt.cli.settings import FILE, OutputFile, debug_option

if TYPE_CHECKING:
    from matchopt.formats import CatalogueEntry


class Problems(click.Group):
    """Its commands by name; any other word, or none, is for `list`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See `click.Group`."""
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = ["list", *args]
        return super().parse_args(ctx, args)


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
table_option = click.option(
    "--table", type=click.Path(dir_okay=False, path_type=Path),
    help="Your own table of best known values.  [default: matchopt/best-known.csv in XDG_DATA_HOME or ~/.local/share]",
)  # fmt: skip


@click.group(cls=Problems, epilog="Example: matchopt problems --kind layer --text crossbar")
def problems() -> None:
    """List the problems that matchopt knows, describe and regenerate them, and submit what is better.

    `matchopt problems` lists them with their best known values and bounds, `matchopt problems NAME` says all that is
    known about one. Some ship with matchopt, some are made from recipes when they are asked for, the others are read
    from the folder that the environment variable MATCHOPT_LIBRARY names.
    """


@problems.command("list", epilog="Example: matchopt problems list --text crossbar --status optimal")
@click.argument("name", required=False)
@click.option("--kind", help="Only problems of this kind: network, layer, assignment or program.")
@click.option("--variant", help="Only recipes that say this, such as bus=0, law=noisy, or a name alone: tunable.")
@click.option("--most-rows", type=click.IntRange(min=1), help="Only recipes of at most so many rows.")
@click.option("--status", type=click.Choice(["optimal", "feasible", "infeasible", "unknown"]),
              help="Only problems of this status; optimal is proved, here or as published.")  # fmt: skip
@click.option("--text", default="", help="Only problems whose name, recipe or source has this text.")
@table_option
@json_option
@debug_option
def listed(name: str | None, table: Path | None, as_json: bool, **wanted: Any) -> None:
    """List the problems, or with NAME all that is known about one."""
    from matchopt.formats import find_entry, read_problems
    from matchopt.terminal.figures import number
    from matchopt.terminal.table import print_table

    entries = read_problems(table)
    chosen = [find_entry(name, entries)] if name else [e for e in entries if _fits(e, **wanted)]
    if as_json:
        click.echo(json.dumps({"problems": [_facts(each) for each in chosen]}))
    elif name:
        _show(chosen[0])
    else:
        rows = [
            [e.name, e.kind, e.format, number(e.best_value, 9), number(e.best_bound, 9), e.status, e.place]
            for e in chosen
        ]
        print_table(["problem", "kind", "format", ">best value", ">best bound", "status", "place"], rows)


@problems.command(epilog="Example: matchopt problems regenerate crossbar-8-noisy --output crossbar.matchopt")
@click.argument("name")
@click.option("--output", type=OutputFile(), help="Write the instance here.  [default: only check it]")
@json_option
@debug_option
def regenerate(name: str, output: Path | None, as_json: bool) -> None:
    """Make a problem again from its recipe, byte for byte, and check its digest."""
    from matchopt.formats import find_entry, read_problems
    from matchopt.formats.atomic import write_bytes

    entry = find_entry(name, read_problems())
    content = entry.regenerate()
    if output is not None:
        write_bytes(output, content)
    if as_json:
        click.echo(json.dumps({"name": entry.name, "digest": entry.digest, "sha256": entry.sha256,
                               "bytes": len(content), "output": None if output is None else str(output)}))  # fmt: skip
        return
    click.echo(f"{entry.name}: {len(content)} bytes, as listed\ndigest      {entry.digest}\nsha256      {entry.sha256}")
    click.echo(f"written     {output}") if output is not None else None


@problems.command(epilog="Example: matchopt problems submit best.matchopt --bound")
@click.argument("solution", type=FILE)
@click.option("--problem", help="Name of the problem.  [default: found by the digest in SOLUTION]")
@click.option("--proof", type=FILE, help="A proof file; its bound counts once tools/check_proof.py accepts it.")
@click.option("--bound", is_flag=True, help="Prove a bound, as `matchopt check --prove` does.")
@table_option
@json_option
@debug_option
def submit(
    solution: Path, problem: str | None, proof: Path | None, bound: bool, table: Path | None, as_json: bool
) -> None:
    """Make SOLUTION, or the bound proved with it, the best known one, where checker and certificate say it is better.

    The table that ships stays as it is: better ones are rows of your own table, which `matchopt problems` reads too,
    with the solution in the folder `solutions` beside it. Exit status 2 where nothing is better, or SOLUTION is
    infeasible or of no listed problem.
    """
    from matchopt.formats import SolutionFile, find_entry, read, read_instance, read_problems
    from matchopt.run.best_known import submit as run

    given = None
    if problem is not None:
        entry = find_entry(problem, read_problems(table))
        given = read_instance(entry.locate(), entry.format)
    found = read(solution, instance=given)
    if not isinstance(found, SolutionFile):
        raise click.UsageError(f"{solution} holds an instance, a solution is needed")
    if proof is not None and bound:
        raise click.UsageError("--proof brings a bound, --bound proves one; give one of them")
    done = run(found, problem=problem, proof=proof, bound=bound, table=table)
    if as_json:
        facts = {"better_value": done.better_value, "better_bound": done.better_bound}
        click.echo(json.dumps(_facts(done.entry) | facts | {"table": str(done.table), "solution": str(done.solution)}))
        return
    better = [what for what, new in (("value", done.better_value), ("bound", done.better_bound)) if new]
    click.echo(f"{done.entry.name}: better {' and '.join(better) or 'status'}, written to {done.table}")
    _show(done.entry)


def _fits(
    entry: "CatalogueEntry", kind: str | None, variant: str | None, most_rows: int | None, status: str | None, text: str
) -> bool:
    """Whether an entry is one of those that are asked for."""
    words = entry.recipe.split()
    said = dict(word.partition("=")[::2] for word in words)
    plain = variant is None or variant in words or variant in said
    small = most_rows is None or ("rows" in said and int(said["rows"]) <= most_rows)
    spoken = any(text in each for each in (entry.name, entry.recipe, entry.source))
    return kind in (None, entry.kind) and status in (None, entry.status) and plain and small and spoken


def _facts(entry: "CatalogueEntry") -> dict[str, Any]:
    return {"name": entry.name, **asdict(entry), "gap": _gap(entry), "file": _place(entry)[0]}


def _gap(entry: "CatalogueEntry") -> float | None:
    """How far the value is above the bound, as a share of the value; None where one of them is unknown."""
    if entry.best_value is None or entry.best_bound is None:
        return None
    return max(0.0, entry.best_value - entry.best_bound) / (abs(entry.best_value) or 1.0)


def _place(entry: "CatalogueEntry") -> tuple[str | None, str]:
    """The file, and why there is none."""
    from matchopt.errors import MatchoptError

    if entry.recipe:
        return None, "made when it is asked for, matchopt problems regenerate"
    try:
        return str(entry.locate()), ""
    except MatchoptError as cause:
        return None, str(cause)


def _show(entry: "CatalogueEntry") -> None:
    from matchopt.formats import read_instance
    from matchopt.formats.recipes import made
    from matchopt.terminal.figures import number, share
    from matchopt.terminal.sizes import size_of

    path, reason = _place(entry)
    lines = {"name": entry.name, "file": path or f"not here: {reason}", "kind": entry.kind, "format": entry.format}
    if path:
        lines["size"] = size_of(read_instance(path, entry.format))
    elif entry.recipe.startswith("planted"):
        lines["size"] = size_of(made(entry.recipe, entry.name).instance)
    lines |= {"recipe": entry.recipe} if entry.recipe else {}
    lines |= {"best value": number(entry.best_value, 12), "best bound": number(entry.best_bound, 12)}
    gap = _gap(entry)
    lines |= {"gap": "-" if gap is None else f"{share(gap, 4)} %"}
    by = ", as published" if entry.published else ", proved" if entry.status == "optimal" else ""
    lines |= {"status": entry.status + by, "source": entry.source}
    lines |= {"digest": entry.digest} if entry.digest else {}
    lines |= {"sha256": entry.sha256}
    for label, text in lines.items():
        click.echo(f"{label:<12}{text}")
