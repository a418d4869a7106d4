"""The command import."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from matchopt.cli.settings import FILE, WHOLE_NUMBERS, OutputFile, Real, check_apart, debug_option, go_with
from matchopt.cli.trained import data_option, read_trained, trained_options

if TYPE_CHECKING:
    from matchopt.network import ImageData, SparseNetwork

EPOCHS = 5


@click.command(
    "import", epilog="Example: matchopt import net.onnx --connectivity 0.05 --data digits.npz --output net.matchopt"
)
@click.argument("source", type=FILE)
@click.option("--output", type=OutputFile(), required=True, help="Where the network goes.")
@trained_options
@data_option
@click.option("--connectivity", type=Real(min=0, max=1, min_open=True),
              help="Keep this share of the weights, the largest in units of their layer's rms.")  # fmt: skip
@click.option(
    "--fan-in", type=WHOLE_NUMBERS, help="Keep so many weights of every unit, the largest; one for each layer."
)
@click.option("--epochs", type=click.IntRange(min=0), default=EPOCHS, show_default=True,
              help="Passes over the training samples of --data with the connections left; 0 for none.")  # fmt: skip
@click.option("--rate", type=Real(min=0), default=1e-3, show_default=True, help="Learning rate of these passes.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of these passes.")
@debug_option
def import_(
    source: Path,
    output: Path,
    connectivity: float | None,
    fan_in: tuple[int, ...] | None,
    data: Path | None,
    **given: Any,
) -> None:
    """Make a network file of the network in SOURCE, which others wrote: ONNX, NIR, PyTorch, safetensors or .npz.

    `export` and `evaluate --network` read SOURCE directly, too; this is for what they do not do: make a dense network
    sparse, train on with the connections that are left, measure accuracies, and keep --mean and --std. Files are never
    executed. With --data and a sparsity the network is retrained on its training part; what is tested on is used once.
    """
    from matchopt.network import write_network
    from matchopt.network.own_network import samples_of
    from matchopt.network.sparsified import retrained, sparsified

    check_apart(output, source)
    go_with(data is not None and (connectivity or fan_in), "is of the retraining; give --data, and --connectivity or "
            "--fan-in", "epochs", "rate", "seed")  # fmt: skip
    network = read_trained(source, given["architecture"], given["input_mean"], given["input_std"])
    config = {name: value for name, value in network.record.config.items() if name != "notes"}  # they have been said
    network = network.with_record(replace(network.record, config=config))
    if connectivity is not None or fan_in:
        if connectivity is not None and fan_in:
            raise click.UsageError("give --connectivity or --fan-in, not both")
        network = sparsified(network, connectivity, fan_in or ())
    samples = (
        None if data is None else samples_of(data, network, split=bool(connectivity or fan_in) and given["epochs"] > 0)
    )
    if samples is not None:
        network = network.with_record(replace(network.record, data=samples.reference))
        if given["epochs"] and (connectivity is not None or fan_in):
            network = retrained(network, samples, given["epochs"], given["seed"], given["rate"])
        network = _measured(network, samples)
    write_network(output, network)
    _report(network, output)


def _measured(network: "SparseNetwork", data: "ImageData") -> "SparseNetwork":
    from matchopt.network.evaluation import Accuracies

    found = Accuracies.of(network, data)
    record = replace(network.record, validation_accuracy=found.validation, test_accuracy=found.test)
    return network.with_record(record)


def _report(network: "SparseNetwork", output: Path) -> None:
    shapes = ", ".join(f"{rows} x {inputs}" for rows, inputs in (layer.shape for layer in network.layers))
    click.echo(f"{network.architecture.kind} network, layers of {shapes}")
    click.echo(f"connections   {network.n_connections} ({100 * network.connectivity:.3f} %)")
    record = network.record
    for name, accuracy in (("validation", record.validation_accuracy), ("test", record.test_accuracy)):
        if accuracy is not None:
            click.echo(f"{name:<14}{100 * accuracy:.2f} %")
    click.echo(f"written       {output}")
