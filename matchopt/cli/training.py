"""The command train."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from matchopt.cli.settings import WHOLE_NUMBERS, OutputFile, debug_option, plugin_option, settings, table_option

if TYPE_CHECKING:
    from matchopt.instances.architecture import Architecture
    from matchopt.network import Conduct, EpochRecord, ImageData, TrainedResult
    from matchopt.terminal.progress import Progress
    from matchopt.trainer_contract import TrainerContract

WIDTHS = (784, 300, 100, 10)


@click.command(epilog="Example: matchopt train --method gradual-pruning --fan-in 8,8,30 --output net.safetensors")
@click.option(
    "--method", default="gradual-pruning", show_default=True, help="Training method; `matchopt trainers` lists them."
)
@table_option("-o", "--option", "options", about="An option of the method")
@click.option(
    "--dataset", default="mnist", show_default=True, help="What to learn; `matchopt data` lists the data sets."
)
@table_option("--data-option", "data_options", about="An option of the data")
@click.option("--widths", type=WHOLE_NUMBERS, help="Units of each layer, inputs first.  [default: 784,300,100,10]")
@click.option("--architecture", help="Another network than --widths, such as cnn:8c5-m2-16c5-m2-64-10 or lstm:128.")
@click.option(
    "--fan-in", metavar="N,N,...", help="Connections of each unit, per layer; gradual-pruning.  [default: 8,8,30]"
)
@click.option(
    "--connectivity",
    help="Share of connections left; with gradual-pruning instead of --fan-in.  [default: the method's]",
)
@click.option(
    "--mode",
    metavar="row|layer|global",
    help="Where gradual-pruning compares weights: within a unit, a layer, or the network.  "
    "[default: row, with --connectivity global]",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    help="Passes over the training images: the method's option epochs; with gradual-pruning, of both its phases.",
)
@click.option("--augment", help="Change training images at random: distort or crop.")
@click.option(
    "--labels",
    type=click.Choice(["fixed", "permuted"]),
    default="fixed",
    show_default=True,
    help="permuted: a new random permutation of the classes in every epoch.",
)
@click.option(
    "--patience",
    type=click.IntRange(min=1),
    help="Stop the last phase after so many validations without a better one, and keep the best network.",
)
@click.option("--validate-every", type=click.IntRange(min=1), help="Epochs between validations.  [default: ten in all]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of all randomness.")
@click.option("--device", default="cpu", show_default=True, help="Where to train: cpu, or a device of torch.")
@click.option(
    "--checkpoint", type=OutputFile(), help="Keep the state between epochs here, and go on from it where it exists."
)
@click.option(
    "--output", type=OutputFile(), default=Path("net.safetensors"), show_default=True, help="Where the network goes."
)
@plugin_option
@debug_option
def train(output: Path, seed: int, device: str, checkpoint: Path | None, method: str, **given: Any) -> None:
    """Train a sparse network.

    Same method, options and seed give the same network, interrupted or not. Validation data choose; test data are
    looked at once.
    """
    from matchopt.network import write_network
    from matchopt.network.data import load_data
    from matchopt.terminal.progress import Progress

    if checkpoint is not None and checkpoint.absolute() == output.absolute():
        raise click.UsageError("--checkpoint and --output name one file; the network would take the checkpoint's place")
    try:
        trainer = _trainer(method, given)
        data = load_data(given["dataset"], **given["data_options"])
        architecture = _architecture(given, data)
        with Progress(f"training, {method}") as bar:
            show, conduct = _shown(bar), _conduct(given, data)
            result: TrainedResult = trainer.train(data, architecture, seed, show, checkpoint, device, conduct)
    except KeyboardInterrupt:
        click.echo(_kept(checkpoint), err=True)
        raise
    write_network(output, result.network)
    _report(result, output)


def _shown(bar: "Progress") -> "Callable[[EpochRecord], None]":
    """What is seen of every epoch."""

    def show(epoch: "EpochRecord") -> None:
        accuracy = epoch.validation_accuracy
        note = f"{epoch.phase}, loss {epoch.loss:.4f}, {100 * epoch.connectivity:.2f} % connected"
        note += "" if accuracy is None else f", validation {100 * accuracy:.2f} %"
        bar.update(epoch.epoch, note, epoch.epochs)

    return show


def _kept(checkpoint: Path | None) -> str:
    if checkpoint is None:
        return "Nothing is kept of the training; with --checkpoint FILE it could go on."
    if not checkpoint.exists():
        return "Nothing is kept of the training: its first epoch was not over."
    return f"The checkpoint is in {checkpoint}; the same command goes on from it."


def _report(result: "TrainedResult", output: Path) -> None:
    network, record = result.network, result.network.record
    click.echo(f"connections   {network.n_connections} ({100 * network.connectivity:.3f} %)")
    click.echo(f"in training   at most {100 * result.connectivity:.3f} %")
    for name, accuracy in (("validation", record.validation_accuracy), ("test", record.test_accuracy)):
        click.echo(f"{name:<14}{'-' if accuracy is None else f'{100 * accuracy:.2f} %'}")
    click.echo(f"written       {output}")


def _architecture(given: dict[str, Any], data: "ImageData") -> "Architecture | tuple[int, ...]":
    from matchopt.instances.architecture_names import architecture_named

    if given["architecture"] is None:
        return tuple(given["widths"] or WIDTHS)
    if given["widths"]:
        raise click.UsageError("give --widths or --architecture, not both")
    return architecture_named(given["architecture"], data.shape, data.n_classes)


def _conduct(given: dict[str, Any], data: "ImageData") -> "Conduct":
    from matchopt.network import Conduct
    from matchopt.network.data.augmentation import augmentation_for

    transform = None if given["augment"] is None else augmentation_for(given["augment"], data)
    return Conduct(transform, given["labels"], given["validate_every"], given["patience"])


def _trainer(method: str, given: dict[str, Any]) -> "TrainerContract":
    """The training method with the settings that were given."""
    from matchopt.plugins import load_plugins
    from matchopt.settings import options_of

    registry = load_plugins(settings().plugin_files)
    known = {option.name for option in options_of(registry.trainer(method).cls)}
    chosen = {name: given[name] for name in ("fan_in", "connectivity", "mode") if given[name] is not None}
    for name in chosen:
        if name not in known:
            flag = f"--{name.replace('_', '-')}"
            raise click.UsageError(f"{flag} is no option of {method}; see matchopt trainers {method}")
    if {"fan_in", "mode"} <= known:
        if "connectivity" in chosen:
            chosen.setdefault("mode", "global")
        mode = (chosen | given["options"]).get("mode", "row")
        if ("connectivity" if mode == "row" else "fan_in") in chosen:
            raise click.UsageError("give --fan-in (mode row) or --connectivity (modes layer and global), not both")
    epochs = given["epochs"]
    if epochs is not None and "epochs" in known:
        chosen["epochs"] = epochs
    elif epochs is not None and {"prune_epochs", "retrain_epochs"} <= known:
        prune = max(1, round(epochs / 6))  # a sixth for pruning, as gradual pruning's own numbers share them
        chosen |= {"prune_epochs": prune, "retrain_epochs": epochs - prune}
    elif epochs is not None:
        raise click.UsageError(f"{method} has several lengths; set them by --option, see matchopt trainers {method}")
    options = given["options"]
    for name in ("fan_in", "connectivity", "mode", "epochs"):
        if name in options and given[name] is not None:
            raise click.UsageError(f"{name} is given twice, by --{name.replace('_', '-')} and by --option")
    return registry.make_trainer(method, chosen | options)
