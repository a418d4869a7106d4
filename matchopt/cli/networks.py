"""The command evaluate."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from matchopt.cli.measured import HOW_READ, by_chip, read_measured, reading_options, state_options
from matchopt.cli.settings import FILE, NUMBERS, Names, OutputFile, Real, check_apart, debug_option, go_with, together
from matchopt.cli.trained import FEW, data_option, read_trained, trained_options

if TYPE_CHECKING:
    from matchopt.instances import Instance, Solution
    from matchopt.network import ImageData, SparseNetwork
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
LOSS = 0.01  # of accuracy from which on another objective is worth a word (docs/answer.md)
TRAINED = ("architecture", "input_mean", "input_std")  # of a network that is read
# The chip as it is now.
_chip_options = together(
    click.option("--chip", multiple=True, metavar="FILE[:NAME]",
                 help="Take the values of the cells from here anew, given as --hardware was given to export.  "
                 "[default: those that the mapping was made for]"),
    click.option("--at", type=Real(min=0), metavar="SECONDS",
                 help="The time of the reading in --chip that counts.  [default: the latest]"),
    click.option("--refit", type=Names("matchopt.network.later:Refit"),
                 help="Set gains anew, whatever the rules allow. layer: one factor for each layer, by least squares of "
                 "its weights. neuron: one for each row. outputs: one for each row, and its digital bias, by least "
                 "squares of the sums on 5000 training images; no labels."),
    reading_options,
    state_options,
)  # fmt: skip


@click.command(epilog="Example: matchopt evaluate net.matchopt best.matchopt --wiring table.csv")
@click.argument("instance", type=FILE)
@click.argument("solution", type=FILE)
@click.option("--network", type=FILE, help="The trained network; needed where INSTANCE is a single layer.")
@trained_options
@data_option
@click.option("--reads", type=click.IntRange(min=1), default=5, show_default=True,
              help="How often all weights are read where the chip has read noise.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the read noise.")
@_converter_options
@_chip_options
@click.option("--wiring", type=OutputFile(), help="Also write the wiring table here, .csv or .json.")
@click.option("--masks", type=OutputFile(), metavar="FILE",
              help="Also write which cells are switched on, for each array of the chip: one .npz, or .csv of 0 and 1, "
              "a file for each array.")  # fmt: skip
@click.option("--realised", type=OutputFile(), metavar="FILE",
              help="Also write the realised network, as it is without noise and converters: .onnx, .nir, or a state "
              "dict in .safetensors or .pt.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@debug_option
@click.pass_context
def evaluate(
    context: click.Context,
    /,
    instance: Path,
    solution: Path,
    network: Path | None,
    architecture: str | None,
    input_mean: tuple[float, ...] | None,
    input_std: tuple[float, ...] | None,
    reads: int,
    seed: int,
    wiring: Path | None,
    masks: Path | None,
    realised: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Accuracy of the network that SOLUTION makes of the hardware, beside that of its target.

    Where the chip has read noise, the mean over several reads, each with noise of its own, and the spread between them.
    Also the error of the realised weights, layer by layer, and how many digital numbers the mapping sets: biases that
    it adjusts, connections that fully tunable weights serve. With --chip the same wires have the values that are read
    from the files of the chip now, such as those of a later time. Exit status: 0, 1 for an infeasible solution, 2 for a
    file that cannot be read.
    """
    from matchopt.checker import check
    from matchopt.formats import read_solution
    from matchopt.formats.summary import programming_of, total
    from matchopt.network import write_elsewhere
    from matchopt.network.evaluation import evaluate as examine
    from matchopt.network.evaluation import realised_network

    check_apart(wiring, instance, solution)
    check_apart(masks, *filter(None, (instance, solution, wiring)))
    check_apart(realised, *filter(None, (instance, solution, wiring, masks, network)))
    go_with(options["chip"], "says how the files in --chip are taken; give --chip", "at", "line_resistance", *HOW_READ)
    go_with(network, "goes with --network; an instance has its own from export", *TRAINED)
    converter = _converter(options)
    given = _read(instance, wiring, realised)
    mapping = read_solution(solution, instance=given)
    report = check(given, mapping)
    if not report.feasible:
        click.echo(f"infeasible: {report.violations[0].message}", err=True)
        context.exit(1)
    trained = None if network is None else read_trained(network, architecture, input_mean, input_std)
    data = _data(given, trained, options["data"])
    now, wires = _as_now(given, mapping, options, data)
    found = examine(now, wires, data, trained, reads=reads, seed=seed, converter=converter)
    for doubt in found.doubts:
        click.echo(f"Warning: {doubt}", err=True)
    _write_tables(mapping, given, wiring, masks)
    if realised is not None:
        write_elsewhere(realised, realised_network(now, wires, trained), _names(trained))
    needed = total(programming_of(mapping, given))
    if as_json:
        shown = {"objective": report.objective, **asdict(found), "programming": asdict(needed)}
        click.echo(json.dumps(shown, allow_nan=False))
    else:
        _show(found, report.objective, wiring, seed, options)
        _advise(found, given)
        click.echo(f"on the chip: {needed.cells} active cells of {needed.neurons} neurons, {needed.switches} routing "
                   f"switches, {needed.writes} cells to write, {needed.dropped} connections dropped")  # fmt: skip
        if realised is not None:
            click.echo(f"realised network {realised}")


def _data(given: "Instance", trained: "SparseNetwork | None", own: Path | None) -> "ImageData | None":
    """What accuracies are measured on: one's own data, or those that are named by the network or else the instance."""
    from matchopt.instances import NetworkInstance
    from matchopt.network.evaluation import data_of
    from matchopt.network.own_network import AS_THEY_ARE, own_samples

    whole = given if isinstance(given, NetworkInstance) else None
    reference = (None if trained is None else trained.record.data) or (None if whole is None else whole.data)
    architecture = trained.architecture if trained is not None else None if whole is None else whole.architecture
    if architecture is None:
        go_with(False, "measures a whole network; name that of the layer with --network", "data")
        return None
    if own is None:
        return data_of(reference, architecture.n_inputs)
    moments = AS_THEY_ARE if reference is None else (reference.mean, reference.deviation)
    return own_samples(own, architecture.n_inputs, architecture.n_classes, moments)


def _read(instance: Path, wiring: Path | None, realised: Path | None) -> "Instance":
    """The instance, where the other two can be written."""
    from matchopt.formats import read_instance
    from matchopt.formats.registry import check_ending
    from matchopt.network.written import check_ending as check_network

    if realised is not None:
        check_network(realised)
    given = read_instance(instance)
    if wiring is not None:
        check_ending(wiring, given.kind)
    return given


def _write_tables(mapping: "Solution", given: "Instance", wiring: Path | None, masks: Path | None) -> None:
    from matchopt.formats import write

    as_tables = masks is not None and masks.suffix.lower() == ".csv"
    for path, form in ((wiring, None), (masks, "masks-csv" if as_tables else "masks")):
        if path is not None:
            write(mapping, path, form, instance=given)


def _names(trained: "SparseNetwork | None") -> tuple[str, ...]:
    """What the file of a trained network calls its layers."""
    found = () if trained is None else trained.record.config.get("names", ())
    return tuple(map(str, found)) if isinstance(found, list | tuple) else ()


def _converter(options: dict[str, Any]) -> "Converter | None":
    from matchopt.network.converter import Converter

    bits, ranges = options["adc_bits"], options["adc_range"]
    if bits is None:
        if ranges is not None:
            raise click.UsageError("--adc-range goes with --adc-bits; give both")
        return None
    return Converter(bits, ranges)


def _as_now(
    instance: "Instance", mapping: "Solution", options: dict[str, Any], data: "ImageData | None"
) -> tuple["Instance", "Solution"]:
    """Instance and mapping with the values of the chip that --chip names, re-fitted where that is asked for."""
    from matchopt.formats.wiring import layers_of
    from matchopt.instances import LayerInstance, NetworkInstance
    from matchopt.network.later import on_chips, refitted_any

    files, how = options["chip"], options["refit"]
    if files:
        asked = options | {"readings": None if options["at"] is None else (options["at"],)}
        shared = len({layer.hardware.origin and layer.hardware.origin.places for layer in layers_of(instance)}) == 1
        chips = [read_measured(group, asked) for group in ([files] if shared else by_chip(files, options))]
        assert isinstance(instance, NetworkInstance | LayerInstance)
        instance = on_chips(instance, chips)
    if how is None:
        return instance, mapping
    return instance, refitted_any(instance, mapping, how, None if data is None else data.train_images[:FEW])


def _advise(found: "Evaluation", given: "Instance") -> None:
    """Where matched weights cost accuracy, how outputs are matched instead."""
    from matchopt.instances import NetworkInstance

    if found.target is None or found.mapped is None or not isinstance(given, NetworkInstance) or given.one_chip:
        return
    if given.objective is None and found.target.validation - found.mapped.validation > LOSS:
        click.echo("matching the outputs in place of the weights often keeps more: export with --objective score-error "
                   "--biases adjustable --drop --extra-inputs")  # fmt: skip


def _show(
    found: "Evaluation", objective: float | None, wiring: Path | None, seed: int, options: dict[str, Any]
) -> None:
    from matchopt.terminal.figures import number, share
    from matchopt.terminal.table import print_table

    click.echo(f"objective {number(objective, 8)}")
    if options["chip"]:
        when = "" if options["at"] is None else f" at {options['at']:g} s"
        click.echo(f"from here on with the values of {', '.join(options['chip'])}{when}")
    if options["refit"]:
        click.echo(f"gains set anew: {options['refit']}")
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
        click.echo("no accuracy: give --data, or name the trained network of a data set with --network")
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
