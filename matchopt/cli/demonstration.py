"""The command demo."""

import sys
from pathlib import Path

import click

from matchopt.cli.settings import FILE, debug_option, plugin_option, settings


@click.command(epilog="Example: matchopt demo --output demo-output, then open demo-output/index.html")
@click.option(
    "--output", type=FILE, default=Path("demo-output"), show_default=True, help="Folder for everything it makes."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of training and hardware.")
@click.option("--quick", is_flag=True, help="A small network on few images: every step, in seconds.")
@click.option("--jobs", type=click.IntRange(min=1), default=2, show_default=True, help="Solves at a time.")
@plugin_option
@debug_option
@click.pass_context
def demo(context: click.Context, output: Path, seed: int, quick: bool, jobs: int) -> None:
    """Train a sparse network on MNIST, map it onto random hardware with every solver, and compare them.

    Leaves the network, the instances, the solutions, all results and a page to look at. A second run takes what it
    finds there. Exit status: 1 where something the demo should show does not hold (not with --quick).
    """
    from matchopt.demo import run_demo
    from matchopt.demo.plan import full_plan, quick_plan

    plan = quick_plan(seed) if quick else full_plan(seed)
    report = run_demo(plan, output, lambda line: click.echo(line, file=sys.stdout), settings().plugin_files, jobs)
    context.exit(0 if quick or all(claim.holds for claim in report.claims) else 1)
