"""The command fuzz."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from matchopt.cli.settings import FILE, OutputFolder, Real, debug_option, go_with, plugin_option, settings

if TYPE_CHECKING:
    from matchopt.solver import Solver
    from matchopt.testing.fuzz import Fuzzing


@click.command(epilog="Example: matchopt fuzz --seconds 600 --solver hungarian --solver cpsat --output found")
@click.option("--seconds", type=Real(min=0), default=60.0, show_default=True, metavar="S",
              help="For how long.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the sequence of instances.")
@click.option("--solver", "names", multiple=True, help="Ask this one; repeatable. All that are installed otherwise.")
@click.option("--size", type=click.IntRange(1, 12), default=3, show_default=True,
              help="Most rows and inputs of a layer.")  # fmt: skip
@click.option("--instances", type=click.IntRange(min=1), help="End after so many.")
@click.option("--solve-limit", type=Real(min=0, min_open=True), default=2.0, show_default=True, metavar="S",
              help="Time limit of each solve.")  # fmt: skip
@click.option("--output", type=OutputFolder(), help="A folder for the instances that failures are found on.")
@click.option("--replay", type=FILE, help="Judge the instance in this file instead of random ones.")
@plugin_option
@debug_option
@click.pass_context
def fuzz(
    context: click.Context,
    seconds: float,
    seed: int,
    names: tuple[str, ...],
    size: int,
    instances: int | None,
    solve_limit: float,
    output: Path | None,
    replay: Path | None,
) -> None:
    """Solve random tiny instances with every solver and hold all claims against each other.

    Every rule, kind of hardware, objective and form of network is drawn. Judged are feasibility and objective by the
    checker, bounds and claims of optimality and infeasibility by what all solvers, enumeration and the certificate
    find, crashes, refusals, equal answers for equal seeds, and files that must come back as they were. One line for
    each disagreement, then a table. Solvers run in this process; one that ends it leaves its instance in the file
    `running.matchopt` of --output. Exit status: 0 when nothing was found, 1 when something was, 2 for bad input.
    """
    solvers = _solvers(names)
    drawing = ("seconds", "seed", "size", "instances")
    go_with(replay is None, "is of random instances; leave it out, or --replay", *drawing)
    if replay is not None:
        context.exit(_again(replay, solvers, solve_limit))
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
    context.exit(_run(solvers, seconds, seed, size, instances, solve_limit, output))


def _solvers(names: tuple[str, ...]) -> "list[Solver]":
    from importlib.util import find_spec

    from matchopt.plugins import load_plugins

    registry = load_plugins(settings().plugin_files)
    if names:
        return [registry.make(name) for name in names]
    usable = [name for name, entry in registry.solvers.items() if all(find_spec(need) for need in entry.cls.needs)]
    return [registry.make(name) for name in sorted(usable)]


def _run(
    solvers: "list[Solver]",
    seconds: float,
    seed: int,
    size: int,
    most: int | None,
    solve_limit: float,
    output: Path | None,
) -> int:
    import time

    from matchopt.formats import write
    from matchopt.instances import Instance
    from matchopt.terminal.progress import Progress
    from matchopt.testing.fuzz import Fuzzing, save
    from matchopt.testing.fuzz import fuzz as draw

    running = None if output is None else output / "running.matchopt"

    def note(number: int, instance: Instance) -> None:
        if running is not None:
            write(instance, running)

    found, began = Fuzzing(), time.monotonic()
    with Progress("fuzzing", seconds) as bar:
        limits = {"seconds": seconds, "seed": seed, "size": size, "most": most, "solve_seconds": solve_limit}
        for number, instance, failures, found in draw(solvers, before=note, **limits):  # type: ignore[arg-type]
            for failure in failures:
                click.echo(f"{number}: {failure.solver}: {failure.what}: {failure.detail}")
            if failures and output is not None:
                save(output, number, instance, failures)
            bar.update(time.monotonic() - began, f"{found.instances} instances, {len(found.failures)} failures")
    if running is not None:
        running.unlink(missing_ok=True)
    _print(found)
    return 1 if found.failures else 0


def _again(file: Path, solvers: "list[Solver]", solve_limit: float) -> int:
    from matchopt.errors import FormatError
    from matchopt.formats import read
    from matchopt.instances import Instance
    from matchopt.testing.fuzz import Fuzzing
    from matchopt.testing.jury import judged

    instance = read(file)
    if not isinstance(instance, Instance):
        raise FormatError(f"{file}: an instance is needed, found a solution")
    for solver in solvers:
        solver.prepare()
    found = Fuzzing()
    answers, failures = judged(instance, solvers, solve_limit, True)
    found.add(answers, failures)
    for failure in failures:
        click.echo(f"{failure.solver}: {failure.what}: {failure.detail}")
    _print(found)
    return 1 if failures else 0


def _print(found: "Fuzzing") -> None:
    from matchopt.terminal.table import print_table
    from matchopt.testing.fuzz import COLUMNS

    rows = [[name, *(str(row[column]) for column in COLUMNS)] for name, row in sorted(found.counts.items())]
    print_table(["solver", *(f">{column}" for column in COLUMNS)], rows)
    click.echo(f"{found.instances} instances, {len(found.failures)} failures")
