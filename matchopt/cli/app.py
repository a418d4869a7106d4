"""The group of all commands. Their modules load when they are called, so that `--help` answers at once."""

from pathlib import Path

import click

from matchopt import __version__
from matchopt.cli.group import CommandTable, LazyGroup
from matchopt.cli.settings import PLUGIN_FILE, Settings

COMMANDS: CommandTable = {
    "demo": ("studies", "From a trained MNIST network to checked mappings, in one go."),
    "train": ("training", "Train a sparse network."),
    "chip": ("chips", "Describe a measured chip: values, faults, noise; with a picture."),
    "import": ("importing", "Make a network file of others' networks; sparse, retrained, on your data."),
    "export": ("exporting", "Make an instance: a trained network and the chip it shall run on."),
    "solve": ("solving", "Solve an instance and check the solution."),
    "check": ("solving", "Check a solution by the definition, and prove how good it is."),
    "explain": ("explaining", "Say why an instance has no solution."),
    "evaluate": ("networks", "Accuracy of a mapped network beside that of its target."),
    "convert": ("converting", "Write a file in another format, or reduced to a simpler kind."),
    "schema": ("converting", "Print the JSON Schema of wiring tables."),
    "solvers": ("extending", "List the solvers with their options."),
    "trainers": ("extending", "List the training methods with their options."),
    "plugins": ("extending", "List the plugins, those that failed to load included."),
    "new-plugin": ("extending", "Start a plugin of your own from a working template."),
    "check-solver": ("extending", "Run the conformance kit on a solver."),
    "fuzz": ("fuzzing", "Judge all solvers on random tiny instances."),
    "data": ("datasets", "List the data sets and where they are; fetch one."),
    "bench": ("benching", "Compare solvers: instances x solvers x options x seeds, resumable."),
    "report": ("benching", "One page on what a bench says: who wins, by how much, how sure."),
    "reproduce": ("studies", "Run a study: published figures, a sweep of your own; with table and plots."),
    "problems": ("catalogue", "List the problems that ship with matchopt, with their best known values."),
}


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Try `matchopt demo` first, then `matchopt COMMAND --help`: every command's help ends with an example.",
)
@click.option(
    "--plugin",
    "plugins",
    type=PLUGIN_FILE,
    multiple=True,
    help="Load solvers from this file too, Python, or TOML that describes a program; repeatable.",
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error, and what a solver printed.")
@click.version_option(__version__, prog_name="matchopt")
@click.pass_context
def main(context: click.Context, plugins: tuple[Path, ...], debug: bool) -> None:
    """Map trained sparse networks onto hardware whose weights are random and fixed.

    A mapping says which hardware neuron serves each neuron of the network, and which of its fixed weights listens to
    which input. Solvers are plugins; every solution is checked, and proved optimal where that can be.
    """
    context.obj = Settings(list(plugins), debug)
