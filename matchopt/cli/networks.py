"""The command evaluate."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from matchopt.cli.settings import FILE, NUMBERS, OutputFile, debug_option, together
from matchopt.cli.trained import read_trained, trained_options

if TYPE_CHECKING:
    from matchopt.network.converter import Converter
    from matchopt.network.evaluation import Evaluation

# What stands behind the chip's neurons.
_converter_options = together(
    click.option("--adc-bits", type=click.IntRange(2, 32),
                 help="Read every hardware neuron's sum by a converter of so many bits, before gain and digital bias.  "
                 "[default: exact sums]"),
    click.option("--adc-range", type=NUMBERS,
                 help="Largest sum that converters tell: one for all layers, or one each, in the unit of the layer's "
                 "weights times its inputs.  [default: the largest on the validation images]"),
)  # fmt: skip


@click.command(epilog="Example: matchopt evaluate net.matchopt best.matchopt --wiring table.csv")
@click.argument("instance", type=FILE)
@click.argument("solution", type=FILE)
@click.option("--network", type=FILE, help="The trained network; needed where INSTANCE is a single layer.")
@trained_options
@click.option("--reads", type=click.IntRange(min=1), default=5, show_default=True,
              help="How often all weights are read where the chip has read noise.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the read noise.")
@_converter_options
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
    input_mean: tuple[float, ...] | None,
    input_std: tuple[float, ...] | None,
    reads: int,
    seed: int,
    adc_bits: int | None,
    adc_range: tuple[float, ...] | None,
    wiring: Path | None,
    as_json: bool,
) -> None:
    """Accuracy of the network that SOLUTION makes of the hardware, beside that of its target.

    Where the chip has read noise, the mean over several reads, each with noise of its own, and the spread between them.
    Also the error of the realised weights, layer by layer, and how many digital numbers the mapping sets: biases that
    it adjusts, connections that fully tunable weights serve. Exit status: 0, 1 for an infeasible solution, 2 for a
    file that cannot be read.
    """
    from matchopt.checker import check
    from matchopt.formats import read_instance, read_solution, write
    from matchopt.instances import NetworkInstance
    from matchopt.network.evaluation import data_of
    from matchopt.network.evaluation import evaluate as examine

    converter = _converter(adc_bits, adc_range)
    given = read_instance(instance)
    mapping = read_solution(solution, instance=given)
    report = check(given, mapping)
    if not report.feasible:
        click.echo(f"infeasible: {report.violations[0].message}", err=True)
        context.exit(1)
    trained = None if network is None else read_trained(network, architecture, input_mean, input_std)
    if trained is None and (input_mean or input_std):
        raise click.UsageError("--input-mean and --input-std go with --network; an instance has them from export")
    named, data = None if trained is None else trained.record.data, None
    if isinstance(given, NetworkInstance):
        data = data_of(named or given.data, given.n_inputs)
    elif trained is not None:
        data = data_of(named, trained.widths[0])
    found = examine(given, mapping, data, trained, reads=reads, seed=seed, converter=converter)
    for doubt in found.doubts:
        click.echo(f"Warning: {doubt}", err=True)
    if wiring is not None:
        write(mapping, wiring, instance=given)
    if as_json:
        click.echo(json.dumps({"objective": report.objective, **asdict(found)}, allow_nan=False))
    else:
        _show(found, report.objective, wiring, seed)


def _converter(bits: int | None, ranges: tuple[float, ...] | None) -> "Converter | None":
    from matchopt.network.converter import Converter

    if bits is None:
        if ranges is not None:
            raise click.UsageError("--adc-range goes with --adc-bits; give both")
        return None
    return Converter(bits, ranges)


def _show(found: "Evaluation", objective: float | None, wiring: Path | None, seed: int) -> None:
    from matchopt.terminal.figures import number, share
    from matchopt.terminal.table import print_table

    click.echo(f"objective {number(objective, 8)}")
    if found.mapped is not None and found.target is not None:
        rows = [
            [name, share(accuracies.validation), share(accuracies.test)]
            for name, accuracies in (("target", found.target), ("mapped", found.mapped), ("spread", found.spread))
            if accuracies is not None
        ]
        print_table(["network", ">validation %", ">test %"], rows)
        if found.spread is not None:
            click.echo(f"mapped, spread: mean and standard deviation of {found.reads} reads with noise, seed {seed}")
        if found.ranges is not None:
            ranges = ", ".join(number(largest) for largest in found.ranges)
            click.echo(f"converters: {found.bits} bits, largest sums of the layers {ranges}")
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
