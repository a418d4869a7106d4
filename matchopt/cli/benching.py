"""The commands that compare solvers: bench, and report."""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from matchopt.cli.settings import PAIR, OutputFolder, Real, debug_option, plugin_option, settings
from matchopt.cli.studies import cluster_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matchopt.bench import BenchOutcome, BenchPlan, News


@click.command(
    epilog="Example: matchopt bench 'crossbar-*' --solver crossbar-anneal --solver crossbar-perturb --seeds 3 "
    "--time-limit 10 --output crossbars"
)
@click.argument("instances", nargs=-1, required=True)
@click.option("--solver", "solvers", multiple=True,
              help="A solver, several with + between them as a pipeline, or auto; repeatable.  [default: all that are "
              "installed]")  # fmt: skip
@click.option("-o", "--option", "options", type=PAIR, multiple=True,
              help="solver.option=value; an option that comes several times is tried with each value.")  # fmt: skip
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Seeds of each solver, from 0.")
@click.option("--time-limit", type=Real(min=0, min_open=True), default=10.0, show_default=True, metavar="S",
              help="Seconds of each run by the solver's clock.")  # fmt: skip
@click.option("--target-gap", type=Real(min=0, max=1), metavar="G",
              help="End a run once it is this close to the best value known of its instance, 0.01 for 1 %: how long "
              "that takes is what counts then.")  # fmt: skip
@click.option("--iterations", type=click.IntRange(min=0),
              help="Most passes of a solver's main loop: work that is the same on every machine.")  # fmt: skip
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Most threads of a solver.")
@click.option("--memory-limit", type=Real(min=0, min_open=True), metavar="GB",
              help="Memory of a run.  [default: 80 % of what is free]")  # fmt: skip
@click.option("--prove-seconds", type=Real(min=0), metavar="S",
              help="Most seconds for the proof, 0 for none.  [default: a fixed amount of work]")  # fmt: skip
@click.option("--accuracy/--no-accuracy", default=True, show_default=True,
              help="Measure what each mapped network classifies correctly, where its data are here.")  # fmt: skip
@click.option("--output", type=OutputFolder(), default=Path("bench"), show_default=True,
              help="Folder for results; what an earlier run left there is used again.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True,
              help="Runs at a time; with more than there are idle cores, seconds mean little.")  # fmt: skip
@cluster_option
@plugin_option
@debug_option
def bench(
    instances: tuple[str, ...],
    solvers: tuple[str, ...],
    options: tuple[tuple[str, Any], ...],
    output: Path,
    jobs: int,
    cluster: str | None,
    **limits: Any,
) -> None:
    """Compare solvers: every one on every instance with every seed, each run checked and certified.

    INSTANCES are files, folders of files, names or quoted patterns of `matchopt problems`, "shipped" for all that ship,
    or "graded" for all that are made from recipes. Each run is one line of results.jsonl in the folder, written as soon
    as it is there: stop with Ctrl-C, or pull the plug, and the same command goes on with what is missing. A solver that
    refuses an instance is not run on it.

    A fixed piece of work is timed before and after every run. Where it takes more than 1.25 times its usual time the
    machine was not the same, and the run's seconds are marked as spoiled.

    At the end there are results.csv (and results.parquet with pyarrow), the best solution of each instance in the
    folder solutions, and the report, as by `matchopt report`.

    Exit status: 1 where a run could not be performed at all.
    """
    from matchopt.bench import BenchPlan, find_instances, find_variants, run_bench, said
    from matchopt.grid.lines import dask_executor
    from matchopt.terminal.progress import Progress

    files = settings().plugin_files
    plan = BenchPlan(find_instances(instances), find_variants(solvers, options, files), **limits)
    connection = nullcontext() if cluster is None else dask_executor(cluster)
    with connection as executor, Progress("bench") as bar:

        def tell(news: "News") -> None:
            bar.update(news.done, f"{said(news)}; running {', '.join(news.running[:jobs])}", news.total)
            if not os.isatty(2):
                click.echo(said(news), err=True)

        found = run_bench(plan, output, jobs=jobs, plugin_files=files, executor=executor, notify=tell)
    _end(plan, found, output)


def _end(plan: "BenchPlan", found: "BenchOutcome", output: Path) -> None:
    """Write what there is, and say what was run."""
    from matchopt.bench import REFUSED
    from matchopt.terminal.figures import count

    for record in found.failed:
        click.echo(f"failed: {record['solver']} on {record['instance']}: {record['error']}", err=True)
    _show([output], output, "Solvers compared")
    refused = sum(record.get("status") == REFUSED for record in found.records)
    again = f", {found.reused} of them from an earlier run" if found.reused else ""
    stale = f"; {found.stale} other results in the folder" if found.stale else ""
    sizes = ((len(plan.instances), "instance"), (len(plan.variants), "solver"), (plan.seeds, "seed"))
    ran = f"{count(len(found.records) - refused, 'run')}{again}, {count(refused, 'refusal')}"
    click.echo(f"{', '.join(count(*each) for each in sizes)}: {ran}{stale}")
    if found.failed:
        raise click.exceptions.Exit(1)


@click.command(epilog="Example: matchopt report monday tuesday --output week")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--output", type=OutputFolder(),
              help="Folder for the page and the tables.  [default: the first of FOLDERS]")  # fmt: skip
@click.option("--title", default="Solvers compared", show_default=True, help="Heading of the page.")
@debug_option
def report(folders: tuple[Path, ...], output: Path | None, title: str) -> None:
    """Say who wins in the results of one bench or several: a table here, and a page with everything.

    FOLDERS are those of `matchopt bench`; a run that several of them hold counts once, and a bench may be under way.
    Writes report.html, one file that needs no network: the answer, the leaderboard with intervals, profiles, gaps over
    time, accuracy and what the best mappings do with the chip, every run, filters, all figures as SVG and their data as
    CSV; results.csv (results.parquet with pyarrow); and regimes.csv, how each solver does on each group of instances.
    The page needs vl-convert-python: pip install 'matchopt[report]'.
    """
    _show(folders, output or folders[0], title)


def _show(folders: "Sequence[Path]", output: Path, title: str) -> None:
    """Print the answer and the leaderboard; write tables and page."""
    from matchopt.bench import Standing, read_results, write_regimes, write_report, write_tables
    from matchopt.bench.standing import regimes
    from matchopt.errors import MissingExtra
    from matchopt.terminal.figures import number, share
    from matchopt.terminal.table import print_table

    records = read_results(folders)
    output.mkdir(parents=True, exist_ok=True)
    written = [*write_tables(records, output), write_regimes(regimes(records), output)]
    standing = Standing(tuple(record for record in records if "digest" in record))
    rows = [
        [row["solver"], *(f"{row[name]:.2f}" for name in ("rank", "rank_low", "rank_high")), share(row["gap"], 3),
         *(number(row[name]) for name in ("instances", "refused", "runs", "best_found", "proven", "no_solution"))]
        for row in standing.leaderboard()
    ]  # fmt: skip
    names = [">mean rank", ">from", ">to", ">mean gap, %", ">instances", ">refused", ">runs", ">best value", ">proven"]
    print_table(["solver", *names, ">no solution"], rows, title=title)
    for sentence in standing.verdict():
        click.echo(sentence)
    try:
        write_report(output / "report.html", records, title, folders)
        written.append(output / "report.html")
    except MissingExtra as cause:
        click.echo(f"no page: {cause}", err=True)
    click.echo(f"written: {', '.join(map(str, written))}")
