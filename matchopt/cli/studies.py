"""The command reproduce."""

import os
from pathlib import Path

import click

from matchopt.cli.settings import debug_option, plugin_option, settings


@click.command(epilog="Example: matchopt reproduce label-free --jobs 2 --output results")
@click.argument("study", required=False)
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), default=Path("results"), show_default=True,
              help="Folder for results; what an earlier run left there is used again.")  # fmt: skip
@click.option("--scale", type=click.Choice(["cpu", "paper"]), default="cpu", show_default=True,
              help="cpu: settings for two cores, named so in the study; paper: the published ones.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(min=1), default=None, help="Runs at a time.  [default: one per core]")
@click.option("--device", default="cpu", show_default=True, help="Where networks are trained: cpu, cuda, cuda:1.")
@click.option("--publish", "published", type=click.Path(path_type=Path, file_okay=False),
              help="Write page, table and plots into this folder too.")  # fmt: skip
@plugin_option
@debug_option
def reproduce(
    study: str | None, output: Path, scale: str, jobs: int | None, device: str, published: Path | None
) -> None:
    """Run a study: a grid of trainings or mappings from a file, with a table and plots at the end.

    STUDY is the name of one that ships, or a .toml file of your own; without it the command lists them. Every run is
    on the disk as soon as it is done: stop with Ctrl-C, and the same command goes on where it stopped.
    """
    from matchopt.study import find_study, list_studies, publish, run_study
    from matchopt.study.report import table
    from matchopt.terminal.progress import Progress
    from matchopt.terminal.table import print_table

    if study is None:
        rows = [[s.name, s.kind, str(len(s.runs["cpu"])), str(len(s.runs["paper"])), s.title] for s in list_studies()]
        print_table(("study", "kind", ">runs", ">runs, paper", "question"), rows)
        return
    chosen = find_study(study)
    folder = output / chosen.name / scale
    folder.mkdir(parents=True, exist_ok=True)
    with Progress(f"study {chosen.name}", len(chosen.runs[scale])) as bar:

        def notify(done: int, total: int, note: str) -> None:
            bar.update(done, note, total)
            if not os.isatty(2):
                click.echo(f"{done} of {total}: {note}", err=True)

        found = run_study(
            chosen,
            folder,
            scale=scale,
            jobs=jobs or os.cpu_count() or 1,
            device=device,
            plugin_files=settings().plugin_files,
            notify=notify,
        )
    files = publish(chosen, found.records, folder, scale)
    if published is not None:
        publish(chosen, found.records, published, scale)
    headings, lines = table(chosen, found.records)
    plain = len(chosen.by)
    print_table([*headings[:plain], *(f">{name}" for name in headings[plain:])], lines, title=chosen.title)
    for record in found.failed:
        click.echo(f"failed: {record.get('label', '')} {record['error']}", err=True)
    again = f", {found.reused} of them from an earlier run" if found.reused else ""
    click.echo(f"{len(found.records)} runs{again}; {files[0]}")
    if found.failed:
        raise click.exceptions.Exit(1)
