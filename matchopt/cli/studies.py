"""The commands that run studies: reproduce, and demo."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from matchopt.cli.settings import OutputFolder, debug_option, plugin_option, settings

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from contextlib import AbstractContextManager

    from matchopt.study import Outcome, Study


cluster_option = click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Run on the Dask cluster whose scheduler is there, such as tcp://10.0.0.1:8786, instead of on this machine. "
    "Its workers see the same folders.",
)


@click.command(epilog="Example: matchopt reproduce label-free --jobs 2 --output results")
@click.argument("studies", nargs=-1, metavar="[STUDY]...")
@click.option("--output", type=OutputFolder(), default=Path("results"), show_default=True,
              help="Folder for results; what an earlier run left there is used again.")  # fmt: skip
@click.option("--scale", type=click.Choice(["cpu", "paper"]), default="cpu", show_default=True,
              help="cpu: settings for two cores, named so in the study; paper: the published ones.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(min=1), default=None, help="Runs at a time.  [default: one per core]")
@cluster_option
@click.option("--device", default="cpu", show_default=True, help="Where networks are trained: cpu, cuda, cuda:1.")
@click.option("--publish", "published", type=OutputFolder(),
              help="Write page, table and plots into this folder too, and what all studies there took.")  # fmt: skip
@plugin_option
@debug_option
def reproduce(
    studies: tuple[str, ...],
    output: Path,
    scale: str,
    jobs: int | None,
    cluster: str | None,
    device: str,
    published: Path | None,
) -> None:
    """Run studies: grids of trainings or mappings from files, with a table and plots at the end of each.

    STUDY is the name of one that ships, a .toml file of your own, a folder of such files, or all: those that ship, one
    after the other. Without it the command lists them; with --publish, what those published there took. Every run is on
    the disk as soon as it is done: stop with Ctrl-C, and the same command goes on where it stopped.

    Exit status: 1 where a run failed.
    """
    from matchopt.study import HEADINGS, find_studies, list_studies, publish, runtimes, write_runtimes
    from matchopt.study.report import aligned, table
    from matchopt.terminal.table import print_table

    if not studies and published is not None:
        print_table((HEADINGS[0], *(f">{heading}" for heading in HEADINGS[1:])), runtimes(published))
        click.echo(f"written: {write_runtimes(published)}")
        return
    if not studies:
        rows = [[s.name, s.kind, str(len(s.runs["cpu"])), str(len(s.runs["paper"])), s.title] for s in list_studies()]
        print_table(("study", "kind", ">runs", ">runs, paper", "question"), rows)
        return
    wanted, failed = find_studies(studies), False
    with _lines(jobs, cluster) as executor:
        for number, chosen in enumerate(wanted, 1):
            if len(wanted) > 1:
                click.echo(f"study {number} of {len(wanted)}: {chosen.name}", err=True)
            folder = output / chosen.name / scale
            found = _run(chosen, folder, scale, device, executor)
            files = publish(chosen, found.records, folder, scale)
            if published is not None:
                publish(chosen, found.records, published, scale)
                write_runtimes(published)
            print_table(*aligned(chosen, *table(chosen, found.records)), title=chosen.title)
            for record in found.failed:
                click.echo(f"failed: {record.get('label', '')} {record['error']}", err=True)
            click.echo(f"{_counted(found)}; {files[0]}")
            failed = failed or bool(found.failed)
    if failed:
        raise click.exceptions.Exit(1)


@click.command(epilog="Example: matchopt demo --output demo-output, then open demo-output/index.html")
@click.option(
    "--output",
    type=OutputFolder(),
    default=Path("demo-output"),
    show_default=True,
    help="Folder for everything it makes.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of training and hardware.")
@click.option("--quick", is_flag=True, help="A small network on few images: every step, in seconds.")
@click.option("--jobs", type=click.IntRange(min=1), default=2, show_default=True, help="Solves at a time.")
@cluster_option
@plugin_option
@debug_option
def demo(output: Path, seed: int, quick: bool, jobs: int, cluster: str | None) -> None:
    """Train a sparse network on MNIST, map it onto random hardware with every solver, and compare them.

    Leaves the network, the instances, the solutions, all results and a page to look at. A second run takes what it
    finds there. Exit status: 1 where something the demo should show does not hold (not with --quick).
    """
    from matchopt.demo import demo_study, show_demo
    from matchopt.grid.task import Place
    from matchopt.plugins import load_plugins

    began, files = time.monotonic(), settings().plugin_files
    study = demo_study(load_plugins(files), seed, quick)
    with _lines(jobs, cluster) as executor:
        found = _run(study, output, "cpu", "cpu", executor)
    claims = show_demo(study, found, Place(output, plugin_files=tuple(files)), click.echo, not quick)
    click.echo(f"{_counted(found)}; {time.monotonic() - began:.0f} s in all")
    if not quick and not all(claim.holds for claim in claims):
        raise click.exceptions.Exit(1)


def _lines(jobs: int | None, cluster: str | None) -> "AbstractContextManager[Executor]":
    """Where tasks are performed: for all studies of a command in the same processes, whose imports take seconds."""
    from matchopt.grid.lines import LocalProcesses, dask_executor

    return dask_executor(cluster) if cluster is not None else LocalProcesses(jobs or os.cpu_count() or 1)


def _run(study: "Study", folder: Path, scale: str, device: str, executor: "Executor") -> "Outcome":
    """Run a study and say how it goes."""
    from matchopt.study import run_study
    from matchopt.terminal.progress import Progress

    with Progress(f"study {study.name}", len(study.runs[scale])) as bar:

        def notify(done: int, total: int, note: str) -> None:
            bar.update(done, note, total)
            if not os.isatty(2):
                click.echo(f"{done} of {total}: {note}", err=True)

        found = run_study(
            study,
            folder,
            scale=scale,
            device=device,
            plugin_files=settings().plugin_files,
            executor=executor,
            notify=notify,
        )
    if found.stale:
        from matchopt.terminal.figures import count

        stale = f"not used: {count(found.stale, 'result')} in {folder}"
        click.echo(f"{stale} that other settings, versions, plugins or data made", err=True)
    return found


def _counted(found: "Outcome") -> str:
    from matchopt.terminal.figures import count

    again = f", {found.reused} of them from an earlier run" if found.reused else ""
    return f"{count(len(found.records), 'run')}{again}"
