"""The command export."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from matchopt.cli.measured import HOW_READ, by_chip, read_measured, reading_options, state_options
from matchopt.cli.settings import (
    FILE,
    GAIN_SET,
    NUMBERS,
    Names,
    OutputFile,
    Real,
    check_apart,
    debug_option,
    go_with,
    together,
)
from matchopt.cli.trained import SAMPLE_SOURCE, data_option, read_trained, sample_options, trained_options

if TYPE_CHECKING:
    from matchopt.instances import Hardware, Imperfections, Instance, Provenance, Target
    from matchopt.network import SparseNetwork
    from matchopt.network.chip import Fit

SHARE = Real(min=0, max=1)
AT_LEAST_0 = Real(min=0)
# Options named as what they set.
_FLAWS = ("read_noise", "bad_cells", "bad_lines", "stuck_cells", "leak", "neurons_per_bus")
_RULES = ("cells_per_weight", "drop", "extra_inputs", "gains", "tunable", "writes", "neurons_per_row", "copies")


# The options that describe the chip.
_hardware_options = together(
    click.option(
        "--hardware",
        multiple=True,
        metavar="FILE[:NAME]",
        help="Measured weights, .npy, .npz, .csv, .h5 or text; every row is a hardware neuron. Given once for each "
        "layer, or once: then each layer gets the next rows. NAME chooses an array of an .npz file.",
    ),
    click.option("--one-chip", is_flag=True,
                 help="All layers draw on one chip, whose arrays are all files given: every hardware neuron and line "
                 "is offered to every layer, and serves one."),
    click.option("--chained", is_flag=True,
                 help="The layers are crossbars one behind the other: hardware neuron j of one drives line j of the "
                 "next. Random hardware has --fan-in-ratio lines for each input of the first."),
    reading_options,
    state_options,
    click.option("--readings", type=NUMBERS,
                 help="Times, in seconds, of the readings in --hardware that the mapping knows; it minimises the "
                 "expected error over them.  [default: the latest alone]"),
    click.option("--law", type=Names("matchopt.instances.generators:LAWS"), default="gaussian",
                 show_default=True, help="Law of random hardware weights, where no file is given."),
    click.option("--fan-in-ratio", type=float, default=1.25, show_default=True,
                 help="K/n: cells of a hardware neuron for each connection of the largest target neuron."),
    click.option("--hard-wired", type=click.IntRange(min=0), default=0, show_default=True,
                 help="Cells of every hardware neuron on each input of its layer, which can only be kept or switched "
                 "off; instead of --fan-in-ratio, whose cells are routed.", metavar="D"),
    click.option("--neuron-ratio", type=float, default=1.0, show_default=True,
                 help="M/m: hardware neurons for each target neuron."),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True,
                 help="Seed of the hardware draw."),
    click.option("--keep-scale", is_flag=True,
                 help="Leave measured weights in their unit.  [default: scaled to each layer's rms]"),
    click.option("--scale-per", type=click.Choice(["layer", "array", "neuron"]), default="layer", show_default=True,
                 help="What has a scale of its own, from measured values to weights: all cells of a layer, those of "
                 "each array, or those of each hardware neuron."),
    click.option("--read-noise", type=AT_LEAST_0, default=0.0, show_default=True,
                 help="Standard deviation of additive read noise, in units of the weights' rms."),
    click.option("--bad-cells", type=SHARE, default=0.0, show_default=True,
                 help="Probability that a cell is unusable."),
    click.option("--bad-lines", type=SHARE, default=0.0, show_default=True,
                 help="Probability that cell k is unusable in all neurons."),
    click.option("--stuck-cells", type=SHARE, default=0.0, show_default=True,
                 help="Probability that a cell cannot be switched off."),
    click.option("--leak", type=float, default=0.0, show_default=True,
                 help="What a cell adds while switched off, as a share of its weight."),
    click.option("--neurons-per-bus", type=click.IntRange(min=1), default=1, show_default=True,
                 help="Neighbouring neurons that share one wiring; 1 is free routing."),
)  # fmt: skip


# The options that say what a mapping may do, and what it minimises.
_rule_options = together(
    click.option("--cells-per-weight", type=click.IntRange(min=1), default=1, show_default=True,
                 help="Most cells that may add up to one weight."),
    click.option("--drop", is_flag=True, help="A connection may stay unrealised."),
    click.option("--extra-inputs", is_flag=True, help="Cells may listen to inputs outside the target's."),
    click.option("--gains", type=GAIN_SET, default="1", show_default=True,
                 help="Gains a neuron may have: one, several, or an interval."),
    click.option("--tunable", type=click.IntRange(min=0), default=0, show_default=True,
                 help="Fully tunable connections, as one budget of the network (of the layer, with --layer)."),
    click.option("--writes", type=click.IntRange(min=0),
                 help="Most cells of a layer that may be written, where its hardware has programmable cells."),
    click.option("--neurons-per-row", type=click.IntRange(min=1), default=1, show_default=True,
                 help="Most hardware neurons that one row is split over; their outputs add."),
    click.option("--copies", type=click.IntRange(min=1), default=1, show_default=True,
                 help="Most hardware neurons that each realise one row; their mean serves it."),
    click.option("--objective", type=Names("matchopt.instances.sample_objective:OBJECTIVES"),
                 default="weight-error", show_default=True,
                 help="What is minimised. weight-error: squared distance of the weights. output-error: "
                 "squared error of each layer's sums on the inputs it gets. functional-error: how far all "
                 "layers together stray from the target's signals; no labels. score-error: the angle between "
                 "the outputs and the target's, which no common factor changes; no labels. task-loss: "
                 "cross-entropy of the answers. The last three need the whole network and solvers that take "
                 "it."),
    click.option("--samples", type=SAMPLE_SOURCE,
                 help="Inputs that the objective is measured on: so many training images of the network's "
                 "data set, or a file with one input a row.  [default: 5000; all for task-loss]"),
    click.option("--centred", is_flag=True,
                 help="output-error around each layer's mean input: what is left once biases are adjusted."),
    click.option("--biases", type=Names("matchopt.network.objectives:Biases"), default="free",
                 show_default=True,
                 help="free: digital, as trained. adjustable: digital, and a mapping may change them, to make "
                 "up for the errors of its weights. hardware: weights on an input that is always 1, mapped "
                 "like all others."),
)  # fmt: skip


@click.command(
    epilog="Example: matchopt export net.safetensors --law gaussian --fan-in-ratio 1.25 --output net.matchopt"
)
@click.argument("network", type=FILE)
@click.option("--output", type=OutputFile(), required=True, help="Where the instance goes.")
@click.option("--layer", type=click.IntRange(min=0), help="Only this layer, counted from 0.  [default: the network]")
@trained_options
@data_option
@_hardware_options
@_rule_options
@debug_option
def export(
    network: Path,
    output: Path,
    layer: int | None,
    hardware: tuple[str, ...],
    keep_scale: bool,
    data: Path | None,
    **given: Any,
) -> None:
    """Make an instance: the trained network in NETWORK and the chip it shall run on.

    NETWORK is what `matchopt train` or `matchopt import` wrote, an ONNX file, a NIR graph, or a PyTorch state dict, a
    safetensors file or a NumPy archive of linear layers or of what --architecture says; files are never executed.
    Every filter of a convolution and every gate of a recurrent cell is a neuron. The chip is random by a law, or
    measured.
    """
    from matchopt.formats import write
    from matchopt.formats.sources import stem_of
    from matchopt.instances import Imperfections, Provenance, Rules
    from matchopt.network.own_network import samples_of
    from matchopt.terminal.sizes import size_of

    check_apart(output, network)
    trained = read_trained(network, given["architecture"], given["input_mean"], given["input_std"])
    own = None if data is None else samples_of(data, trained)
    if own is not None:
        trained = trained.with_record(replace(trained.record, data=own.reference))
        if own.train_images.shape == own.test_images.shape and (own.train_images == own.test_images).all():
            click.echo(f"Note: {data}: its samples serve as training and as test data; name them x_train, x_test .. to "
                       "keep them apart", err=True)  # fmt: skip
    if layer is not None:
        _check_layer(layer, len(trained.layers), given["objective"], given["biases"])
    _check_chained(given, layer)
    flaws = Imperfections(**{name: given[name] for name in _FLAWS})
    draw = tuple(given[name] for name in ("law", "fan_in_ratio", "neuron_ratio", "seed"))
    go_with(not keep_scale, "sets scales, which --keep-scale leaves; give one of them", "scale_per")
    fit = not keep_scale if given["scale_per"] == "layer" else given["scale_per"]
    chip = _chip(trained, layer, hardware, draw, flaws, fit, given)
    options = {name: given[name] for name in ("objective", "biases", "centred")}
    options |= {"rules": Rules(**{name: given[name] for name in _RULES}), "tunable": given["tunable"] or None}
    options |= {name: given[name] for name in ("one_chip", "chained")}
    options |= sample_options(trained, given["objective"], given["samples"], own)
    drawn = "{} hardware, K/n {:g}, M/m {:g}".format(*draw)
    source = f"{network.name} on {', '.join(hardware) or drawn}"
    instance = _instance(trained, layer, chip, options, Provenance(stem_of(output), source, given["seed"]))
    write(instance, output)
    click.echo(f"Wrote {output}: {instance.kind}, {size_of(instance)}")
    _say_what_fits(instance, not hardware or (len(hardware) < len(chip) and not given["one_chip"]), keep_scale)


def _check_layer(layer: int, count: int, objective: str, biases: str) -> None:
    from matchopt.instances.sample_objective import LAYER_OBJECTIVES

    if layer >= count:
        raise click.UsageError(f"--layer must be in 0 .. {count - 1}, found {layer}")
    if objective not in LAYER_OBJECTIVES:
        raise click.UsageError(f"--layer: {objective} judges the network as a whole; leave --layer out")
    if biases == "adjustable":
        raise click.UsageError("--layer: a single layer has no digital biases to adjust; leave --layer out")


def _chip(
    network: "SparseNetwork",
    layer: int | None,
    files: tuple[str, ...],
    draw: tuple[Any, ...],
    flaws: "Imperfections",
    fit: "Fit",
    given: dict[str, Any],
) -> tuple["Hardware", ...]:
    """One chip layer for each layer that is exported."""
    import numpy as np

    from matchopt.instances.line_resistance import hardware_behind_lines
    from matchopt.network import draw_hardware
    from matchopt.network.chip import chip_layers, chip_shared, one_chip
    from matchopt.network.export import chip_sizes, layer_targets

    law, fan_in_ratio, neuron_ratio, seed = draw
    biases, rng = given["biases"], np.random.default_rng(seed)
    if given["one_chip"] and (not files or layer is not None):
        raise click.UsageError("--one-chip: all layers draw on the chip in --hardware; give that, and no --layer")
    go_with(files, "says what is in --hardware, or is done to it; give that too", "readings", "keep_scale",
            "scale_per", *HOW_READ)  # fmt: skip
    go_with(not files, "is of random hardware; leave it out, or --hardware", "law")
    go_with(not files, "draws the wiring; that of a measured chip is said by its file, as an array input", "hard_wired")
    ratios = ("fan_in_ratio", "neuron_ratio")
    go_with(not given["one_chip"], "sizes each layer's part of a chip; leave it out, or --one-chip", *ratios)
    if not files:
        options: dict[str, Any] = {"biases": biases, "imperfections": flaws}
        options |= {name: given[name] for name in ("hard_wired", "chained")}
        drawn = draw_hardware(network, law, fan_in_ratio, neuron_ratio, seed, **options)
        drawn = tuple(hardware_behind_lines(each, given["line_resistance"]) for each in drawn)
        return drawn if layer is None else (drawn[layer],)
    targets: list[Target] = list(layer_targets(network, biases))
    targets = targets if layer is None else [targets[layer]]
    if given["one_chip"]:
        return one_chip(read_measured(files, given), targets, rng, flaws, fit)
    chips = by_chip(files, given)
    if len(chips) == 1 and len(targets) > 1 and not given["chained"]:
        sizes = chip_sizes(targets, [fan_in_ratio] * len(targets), neuron_ratio)
        return chip_shared(read_measured(chips[0], given), targets, sizes, rng, flaws, fit)
    if flaws != type(flaws)():
        raise click.UsageError(
            "with one file of hardware for each layer the flaws come from the file: give it as .npz with the arrays "
            "weights, variance, usable, off and bus"
        )
    if len(chips) != len(targets):
        raise click.UsageError(f"one file of hardware for each layer is needed, {len(targets)}, found {len(chips)}")
    layers = chip_layers([read_measured(chip, given) for chip in chips], targets, fit)
    return _on_one_bus(layers) if given["chained"] else layers


def _check_chained(given: dict[str, Any], layer: int | None) -> None:
    if given["chained"] and layer is not None:
        raise click.UsageError("--chained: one layer is behind no other; leave --layer out")
    go_with(not given["chained"], "says who shares lines; with --chained all neurons of a layer do",
            "neurons_per_bus", "one_chip")  # fmt: skip
    go_with(not given["chained"], "ties cells to inputs; with --chained the array before says what is on a line: leave "
            "out one of them", "hard_wired")  # fmt: skip


def _on_one_bus(layers: tuple["Hardware", ...]) -> tuple["Hardware", ...]:
    import numpy as np

    return tuple(replace(layer, bus=np.zeros_like(layer.bus)) for layer in layers)


def _instance(
    network: "SparseNetwork",
    layer: int | None,
    chip: tuple["Hardware", ...],
    options: dict[str, Any],
    provenance: "Provenance",
) -> "Instance":
    from matchopt.network import draw_hardware, export_network

    hardware = chip
    if layer is not None:  # the other layers only carry the samples through; any hardware that fits will do
        others = draw_hardware(network, "binary", 1.0, 1.0, 0, biases=options["biases"])
        hardware = tuple(chip[0] if n == layer else other for n, other in enumerate(others))
        options = options | {"tunable": None}
    whole = export_network(network, hardware, provenance=provenance, **options)
    return whole if layer is None else replace(whole.layers[layer], provenance=provenance)


def _say_what_fits(instance: "Instance", by_ratio: bool, keep_scale: bool) -> None:
    """How many cells there are for a connection, and where a chip that keeps its unit is far from the network's."""
    import numpy as np

    from matchopt.formats.wiring import layers_of
    from matchopt.network.chip import root_mean_square

    layers = layers_of(instance)
    held = [int(layer.hardware.n_usable.sum()) for layer in layers]
    connections = [layer.target.n_connections for layer in layers]
    if getattr(instance, "one_chip", False):
        held, connections = held[:1], [sum(connections)]
    ratios = [own / max(wanted, 1) for own, wanted in zip(held, connections, strict=True)]
    about = "; K/n multiplies the largest fan-in of a layer" if by_ratio else ""
    click.echo(f"Usable cells per connection: {', '.join(f'{ratio:.3g}' for ratio in ratios)}{about}")
    for number, layer in enumerate(layers):
        below = 100 * float(np.mean(layer.target.weights < 0)) if layer.target.n_connections else 0.0
        if below and not layer.hardware.programmable and layer.hardware.weights.min() >= 0:
            click.echo(f"Note: layer {number}: no cell is negative, and {below:.0f} % of weights are; --pairs makes "
                       "weights of the differences of two devices", err=True)  # fmt: skip
    for number, layer in enumerate(layers) if keep_scale else ():
        cells = layer.hardware.weights[layer.hardware.usable & (layer.hardware.weights != 0)]
        own, wanted = float(np.sqrt(np.mean(cells**2))) if cells.size else 0.0, root_mean_square(layer.target)
        if not 0.1 <= own / wanted <= 10:
            click.echo(f"Note: layer {number}: the weights of the chip have an rms of {own:.3g}, those of the network "
                       f"{wanted:.3g}; without --keep-scale the chip is scaled", err=True)  # fmt: skip
