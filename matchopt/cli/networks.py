"""The commands train and evaluate."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from matchopt.cli.settings import FILE, Numbers, OutputFile, debug_option
from matchopt.cli.trained import architecture_option, read_trained

if TYPE_CHECKING:
    from matchopt.bench.evaluation import Evaluation
    from matchopt.network import EpochRecord, Trainer

METHODS = ("gradual-pruning", "deep-rewiring", "dense")
MODES = ("row", "layer", "global")


@click.command(epilog="Example: matchopt train --method gradual-pruning --fan-in 8,8,30 --output net.safetensors")
@click.option("--method", type=click.Choice(METHODS), default=METHODS[0], show_default=True, help="Training method.")
@click.option("--dataset", type=click.Choice(["mnist"]), default="mnist", show_default=True, help="What to learn.")
@click.option(
    "--widths", type=Numbers(), default="784,300,100,10", show_default=True, help="Units of each layer, inputs first."
)
@click.option(
    "--fan-in", type=Numbers(), help="Connections of each unit, per layer; gradual-pruning.  [default: 8,8,30]"
)
@click.option(
    "--connectivity",
    type=click.FloatRange(min=0, max=1, min_open=True),
    help="Share of connections left, instead of --fan-in.  [default for deep-rewiring: 0.0133]",
)
@click.option(
    "--mode",
    type=click.Choice(MODES),
    help="Where gradual-pruning compares weights: within a unit, a layer, or the network.  "
    "[default: row, with --connectivity global]",
)
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the training images.  [default: the method's]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of all randomness.")
@click.option(
    "--output",
    type=OutputFile(),
    default=Path("net.safetensors"),
    show_default=True,
    help="Where the network goes.",
)
@debug_option
def train(
    method: str,
    dataset: str,
    widths: tuple[int, ...],
    fan_in: tuple[int, ...] | None,
    connectivity: float | None,
    mode: str | None,
    epochs: int | None,
    seed: int,
    output: Path,
) -> None:
    """Train a sparse network on MNIST: fully connected layers, ReLU between them.

    Same method, settings and seed give the same network. Validation images choose; test images are looked at once.
    """
    del dataset
    from matchopt.bench.progress import Progress
    from matchopt.network import load_mnist

    try:
        trainer = _trainer(method, fan_in, connectivity, mode, epochs)
        with Progress(f"training, {method}") as bar:

            def show(epoch: "EpochRecord") -> None:
                accuracy = epoch.validation_accuracy
                note = f"{epoch.phase}, {100 * epoch.connectivity:.2f} % connected"
                bar.update(epoch.epoch, note if accuracy is None else f"{note}, {100 * accuracy:.2f} %", epoch.epochs)

            network = trainer.train(load_mnist(), widths, seed, show).network
    except ValueError as cause:  # the trainer's word for settings that do not fit
        raise click.UsageError(str(cause)) from cause
    network.save(output)
    record = network.record
    click.echo(f"connections   {network.n_connections} ({100 * network.connectivity:.3f} %)")
    for name, accuracy in (("validation", record.validation_accuracy), ("test", record.test_accuracy)):
        click.echo(f"{name:<14}{'-' if accuracy is None else f'{100 * accuracy:.2f} %'}")
    click.echo(f"written       {output}")


def _trainer(
    method: str, fan_in: tuple[int, ...] | None, connectivity: float | None, mode: str | None, epochs: int | None
) -> "Trainer":
    """The training method with the settings that were given."""
    from matchopt.network import DeepRewiring, DenseTraining, GradualPruning

    settings: dict[str, Any] = {}
    if method != "gradual-pruning" and (fan_in or mode):
        raise ValueError("--fan-in and --mode belong to gradual-pruning")
    if method == "dense":
        if connectivity is not None:
            raise ValueError("--connectivity belongs to the sparse methods")
        return DenseTraining(**({} if epochs is None else {"epochs": epochs}))
    if connectivity is not None:
        settings["connectivity"] = connectivity
    if method == "deep-rewiring":
        return DeepRewiring(**(settings if epochs is None else settings | {"epochs": epochs}))
    if connectivity is not None and (fan_in or mode == "row"):
        raise ValueError("give --fan-in (mode row) or --connectivity (modes layer and global), not both")
    if fan_in:
        settings["fan_in"] = fan_in
    settings["mode"] = mode or ("row" if connectivity is None else "global")
    if epochs is not None:  # a sixth for pruning, as the method's own numbers share them
        settings |= {"prune_epochs": max(1, round(epochs / 6)), "retrain_epochs": epochs - max(1, round(epochs / 6))}
    return GradualPruning(**settings)


@click.command(epilog="Example: matchopt evaluate net.matchopt best.matchopt --wiring table.csv")
@click.argument("instance", type=FILE)
@click.argument("solution", type=FILE)
@click.option("--network", type=FILE, help="The trained network; needed where INSTANCE is a single layer.")
@architecture_option
@click.option("--wiring", type=OutputFile(), help="Also write the wiring table here, .csv or .json.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@debug_option
@click.pass_context
def evaluate(
    context: click.Context,
    instance: Path,
    solution: Path,
    network: Path | None,
    architecture: str | None,
    wiring: Path | None,
    as_json: bool,
) -> None:
    """Accuracy of the network that SOLUTION makes of the hardware, beside that of its target.

    Also the error of the realised weights, layer by layer, and how many digital numbers the mapping sets: biases that
    it adjusts, connections that fully tunable weights serve. Exit status: 0, 1 for an infeasible solution, 2 for a
    file that cannot be read.
    """
    from matchopt.bench.evaluation import data_of
    from matchopt.bench.evaluation import evaluate as examine
    from matchopt.check import check
    from matchopt.formats import read_instance, read_solution, write
    from matchopt.instances import NetworkInstance

    given = read_instance(instance)
    mapping = read_solution(solution, instance=given)
    report = check(given, mapping)
    if not report.feasible:
        click.echo(f"infeasible: {report.violations[0].message}", err=True)
        context.exit(1)
    trained = None if network is None else read_trained(network, architecture)
    data = None
    if isinstance(given, NetworkInstance):
        data = data_of(given.data, given.n_inputs)
    elif trained is not None:
        data = data_of(trained.record.data, trained.widths[0])
    found = examine(given, mapping, data, trained)
    if wiring is not None:
        write(mapping, wiring, instance=given)
    if as_json:
        click.echo(json.dumps({"objective": report.objective, **asdict(found)}, allow_nan=False))
    else:
        _show(found, report.objective, wiring)


def _show(found: "Evaluation", objective: float | None, wiring: Path | None) -> None:
    from matchopt.bench.metrics import number, share
    from matchopt.bench.table import print_table

    click.echo(f"objective {number(objective, 8)}")
    if found.mapped is not None and found.target is not None:
        rows = [
            [name, share(accuracies.validation), share(accuracies.test)]
            for name, accuracies in (("target", found.target), ("mapped", found.mapped))
        ]
        print_table(["network", ">validation %", ">test %"], rows)
    else:
        click.echo("no accuracy: name the trained network with --network")
    rows = [
        [str(layer.layer), number(layer.squared, 6), share(layer.relative, 3), number(layer.largest)]
        for layer in found.layers
    ]
    print_table([">layer", ">squared error", ">of the weights %", ">largest error"], rows)
    digital = found.digital
    click.echo(
        f"digital numbers: {digital.biases_adjusted} of {digital.biases} biases adjusted, "
        f"{digital.tunable} tunable weights ({digital.tuned} with a value of their own)"
    )
    if wiring is not None:
        click.echo(f"wiring table {wiring}")
