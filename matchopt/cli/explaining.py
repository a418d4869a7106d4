"""The command explain."""

import dataclasses
import json
from pathlib import Path

import click

from matchopt.cli.settings import FILE, OutputFile, Real, check_apart, debug_option, strict_option
from matchopt.cli.solving import proof_file


@click.command(epilog="Example: matchopt explain layer.matchopt")
@click.argument("path", type=FILE)
@click.option(
    "--seconds",
    type=Real(min=0, min_open=True),
    default=60.0,
    show_default=True,
    metavar="S",
    help="Most seconds for trying; what can be counted takes none to speak of.",
)
@click.option("--proof", type=OutputFile(), help="Write what was counted here, as a proof (docs/proofs.md).")
@click.option("--format", "form", help="Format of PATH.  [default: recognised from content and ending]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@strict_option
@debug_option
@click.pass_context
def explain(
    context: click.Context, path: Path, seconds: float, proof: Path | None, form: str | None, as_json: bool
) -> None:
    """Say why the instance in PATH has no solution.

    Names a smallest set of rows, target neurons or constraints that cannot hold together: without any one of them the
    others have a solution, which was found and checked.

    Exit status: 0 with a reason, 1 where a solution exists, 2 for bad input, or where nothing was decided.
    """
    from matchopt.formats import read_instance
    from matchopt.run import explain as reason

    check_apart(proof, path)
    instance = read_instance(path, form)
    found = reason(instance, seconds=seconds)
    written = proof_file(instance, None, proof) if proof is not None and found is not None else ""
    if as_json:
        said = {} if found is None else dataclasses.asdict(found)
        said |= {"proof_file": written} if written else {}
        click.echo(json.dumps({"infeasible": found is not None, **said}))
    elif found is None:
        click.echo(f"{instance.name} has a solution")
    else:
        click.echo(f"{instance.name} has no solution: {found.sentence}")
        others = f"Without any one of the {len(found.members)} the others have one"
        click.echo(f"{others if len(found.members) > 1 else 'That alone is why'} ({found.by}).")
    if written and not as_json:
        click.echo(f"proof: {written}")
    context.exit(0 if found is not None else 1)
