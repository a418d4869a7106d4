"""Layers that are not separable, as one integer linear program (all rules; finite sets of gains).

Binary variables, for a row i, a hardware neuron j, a gain g, a cell k, an input x and a bus b:

- z[i,j,g]       row i sits on neuron j with gain g: one per row, or as many as it may be split over, and at most one
                 row per neuron. For copies z[i,j,g,n], j being one of n copies, and one n for each row;
- on[i,j,g,k,x]  cell k of that neuron listens to x for row i, one variable for each value that may be written into it;
- line[b,k,x]    shared buses only, not hard-wired: line k of bus b carries x. One input per line, at most
                 `cells_per_weight` lines per input, and a line carries x only if some row on the bus uses it;
- off[i,j,g,k,x] leaking cells of shared buses, or hard-wired: the line of cell k is driven with x, and row i leaves the
                 cell off;
- t[i,x]         connection (i, x) is served by a fully tunable weight.

Chained arrays: a line carries an input only if its row sits on the hardware neuron of the same number.

Layers on one chip: each of its neurons takes one row of all layers at most, each of its lines one input.

`on`, `off` and `t` are atoms: each adds a value to realised[i,x], so the squared error is a quadratic form in atoms;
products of atoms that can be 1 together become variables of their own (McCormick rows, exact for binaries).
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from matchopt.errors import Refused
from matchopt.instances import (
    LayerInstance,
    LayerMapping,
    NetworkInstance,
    NetworkMapping,
    ProgramPoint,
    Provenance,
    Solution,
)
from matchopt.instances.demands import AT_0_1, understanding
from matchopt.reduce.builder import MAX_ENTRIES, ProgramBuilder, too_large
from matchopt.reduce.layer_block import LayerBlock
from matchopt.reduce.one_chip import coupled_buses
from matchopt.reduce.reduction import Reduction

# Gains in an interval make the error cubic, other objectives than those of layers are no polynomials of binaries.
UNDERSTOOD = AT_0_1["network"] | {"one-chip", "programmable-cells", "write-budget", "several-neurons", "copies"}
UNDERSTOOD |= {"hard-wired", "chained"}
UNDERSTOOD -= {"gain-interval", "task-loss", "functional-error", "score-error"}


@understanding("the program of binaries", UNDERSTOOD)
def program_size(instance: LayerInstance | NetworkInstance) -> int:
    """How many coefficients the program has at least, in no time: those of cells and of products of two of them."""
    total = 0
    if isinstance(instance, NetworkInstance) and instance.chained:  # lines of rows, and the rows' places
        for layer, after in zip(instance.layers, instance.layers[1:], strict=False):
            total += layer.n_rows * after.hardware.n_cells * (1 + len(layer.rules.gains.values or ()))
    for layer in instance.layers if isinstance(instance, NetworkInstance) else (instance,):
        if layer.hardware.hard_wired:
            total += _wired_size(layer, MAX_ENTRIES - total)
            continue
        rules, (usable, apart) = layer.rules, _states(layer)
        fan_in = [layer.target.n_inputs] * layer.n_rows if rules.extra_inputs else layer.target.fan_in.tolist()
        places = len(rules.gains.values or ()) * rules.copies
        rows = 2 if rules.drop or rules.extra_inputs else 3  # in which the variable of a cell is
        rows += 0 if layer.hardware.free_routing else 2
        total += rows * places * sum(fan_in) * usable
        written = usable - int(layer.hardware.n_usable.sum())
        total += 0 if rules.writes is None else places * sum(fan_in) * written
        pairs = _correlated(layer) + (sum(fan_in) if rules.cells_per_weight > 1 else 0)
        total += 7 * places * pairs * apart
        if rules.neurons > 1:  # products of cells of two neurons of a row
            both = _correlated(layer) + (sum(fan_in) if rules.copies > 1 or rules.cells_per_weight > 1 else 0)
            cells = layer.hardware.n_usable.astype(np.int64)
            across = int(cells.sum() ** 2 - (cells**2).sum()) // 2 * len(rules.gains.values or ()) ** 2
            total += 7 * both * across * max(1, rules.copies - 1)
    return total


def _correlated(layer: LayerInstance) -> int:
    """Ordered pairs of correlated inputs of one row, over all rows."""
    moments, target = layer.objective.shared_quadratic, layer.target
    if layer.objective.is_diagonal or moments is None:
        return 0
    related = (moments != 0.0) & ~np.eye(len(moments), dtype=bool)
    if layer.rules.extra_inputs:
        return layer.n_rows * int(np.count_nonzero(related))
    if int((target.fan_in**2).sum()) > MAX_ENTRIES:  # too large whatever the inputs
        return int((target.fan_in**2).sum())
    rows = [target.indices[target.row(i)] for i in range(layer.n_rows)]
    return sum(int(np.count_nonzero(related[np.ix_(row, row)])) for row in rows)


def _wired_size(layer: LayerInstance, enough: int) -> int:
    """The same of one layer with hard-wired cells, which are not written, counted until it is more than `enough`."""
    rules, target, chip, total = layer.rules, layer.target, layer.hardware, 0
    heard, row_of, times = target.indices, target.row_of, len(rules.gains.values or ()) * rules.copies
    if rules.extra_inputs:
        heard, row_of, times = np.arange(target.n_inputs), np.zeros(target.n_inputs, int), times * layer.n_rows
    rows = 2 if rules.drop or rules.extra_inputs else 3  # in which the variable of a cell is
    rows += 0 if layer.hardware.free_routing else 2
    moments = layer.objective.shared_quadratic
    share = 0.0 if layer.objective.is_diagonal or moments is None else np.count_nonzero(moments) / moments.size
    fan_in = np.bincount(row_of, minlength=1)
    for j in range(chip.n_neurons):
        own, usable = chip.input[j], chip.usable[j]
        free = int((usable & (own < 0)).sum())
        cells = free + np.bincount(own[usable & (own >= 0)], minlength=target.n_inputs)[heard]
        pairs = 0.0
        if rules.cells_per_weight > 1:
            pairs += float((cells * (cells - 1)).sum()) / 2
        if share:
            squares = (np.bincount(row_of, cells) ** 2).sum() - (cells**2).sum()
            pairs += share * float(squares - free * (fan_in * (fan_in - 1)).sum()) / 2
        total += times * (rows * int(cells.sum()) + 7 * int(pairs))
        if total > enough:
            break
    return total


def _states(layer: LayerInstance) -> tuple[int, int]:
    """How many states all usable cells have, and how many pairs of two states of different cells of one neuron."""
    chip = layer.hardware
    each = same = chip.n_usable.astype(np.int64)
    if chip.programmable:
        states = chip.usable * (1 + ~np.isnan(chip.low) + (~np.isnan(chip.levels)).sum(axis=2, dtype=np.int32))
        each, same = states.sum(axis=1), (states**2).sum(axis=1)
    return int(each.sum()), int((each**2 - same).sum()) // 2


@understanding("the program of binaries", UNDERSTOOD)
def layers_to_program(instance: LayerInstance | NetworkInstance) -> Reduction:
    """Reduce a layer, or a network without task loss, to one program.

    Raises
    ------
    Refused
        for gains in an interval (the error is no longer linear in products of binaries), for cells in a range that can
        make up for the errors of others, and for instances too large.
    """
    layers = instance.layers if isinstance(instance, NetworkInstance) else (instance,)
    for layer in layers:
        joint = layer.rules.cells_per_weight > 1 or not layer.objective.is_diagonal or layer.rules.copies > 1
        joint = joint or (layer.rules.neurons_per_row > 1 and bool(np.any(layer.hardware.off)))
        joint = joint or bool(((layer.hardware.input >= 0) & (layer.hardware.off != 0.0)).any())
        if joint and not np.isnan(layer.hardware.low).all():
            raise Refused(
                "what is written into a cell within a range can make up for the errors of others where several cells "
                "serve a weight, or leak on its input, or inputs are correlated: no program of whole numbers holds it; "
                "give levels instead"
            )
    if program_size(instance) > MAX_ENTRIES:
        raise too_large()
    builder = ProgramBuilder()
    network = instance if isinstance(instance, NetworkInstance) else None
    coupled = coupled_buses(network) if network and network.one_chip else frozenset()
    if network and network.chained:  # lines of a single neuron are said by the array before as well
        coupled = frozenset(int(layer.hardware.bus[0]) for layer in layers)
    blocks = [LayerBlock(builder, layer, coupled) for layer in layers]
    if network is not None:
        _couple(builder, blocks, network)
    source = f"program of {instance.kind} {instance.digest}"
    program = builder.program(Provenance(name=instance.provenance.name, source=source))

    def lift(solutions: Sequence[Solution]) -> LayerMapping | NetworkMapping:
        (point,) = solutions
        if not isinstance(point, ProgramPoint) or len(point.x) != program.n_variables:
            raise Refused(f"expected a point with {program.n_variables} variables")
        chosen = point.x > 0.5
        mappings = tuple(block.mapping(chosen) for block in blocks)
        return NetworkMapping(mappings) if isinstance(instance, NetworkInstance) else mappings[0]

    def lower(solution: Solution) -> tuple[ProgramPoint]:
        mappings = solution.layers if isinstance(solution, NetworkMapping) else (solution,)
        x = np.zeros(program.n_variables)
        for block, mapping in zip(blocks, mappings, strict=True):
            if not isinstance(mapping, LayerMapping):
                raise Refused(f"expected a layer mapping, found a {mapping.kind} solution")
            block.place(mapping, x)
        return (ProgramPoint(x),)

    return Reduction("program", (program,), lift, lower)


def _couple(builder: ProgramBuilder, blocks: Sequence[LayerBlock], network: NetworkInstance) -> None:
    if network.one_chip:
        _share_chip(builder, blocks)
    if network.chained:
        _link(builder, blocks)
    tuned = {variable: 1.0 for block in blocks for variable in block.tuned.values()}
    if network.tunable is not None and tuned:
        builder.row(tuned, high=float(network.tunable))


def _share_chip(builder: ProgramBuilder, blocks: Sequence[LayerBlock]) -> None:
    """Every neuron of the chip takes one row of all layers at most, every line one input of all layers."""
    rows_on: dict[int, dict[int, float]] = defaultdict(dict)
    inputs_on: dict[tuple[int, int], dict[int, float]] = defaultdict(dict)
    for block in blocks:
        for (_, place), variable in block.sits.items():
            rows_on[int(block.layer.hardware.neuron[place[0]])][variable] = 1.0
        for (bus, k, _), variable in block.line.items():
            inputs_on[bus, k][variable] = 1.0
        for (bus, k), users in block.users_of_wired_lines().items():
            block.wired[bus, k] = variable = builder.variable()
            inputs_on[bus, k][variable] = 1.0
            for user in users:
                builder.row({user: 1.0, variable: -1.0}, high=0.0)
    for terms in (*rows_on.values(), *inputs_on.values()):
        builder.row(terms, high=1.0)


def _link(builder: ProgramBuilder, blocks: Sequence[LayerBlock]) -> None:
    """Every line of an array carries what sits on the neuron of its number before, lines beyond those a constant."""
    for before, block in pairwise(blocks):
        rows, neurons = before.layer.n_rows, before.layer.hardware.n_neurons
        sits: dict[tuple[int, int], dict[int, float]] = defaultdict(dict)
        for (i, place), variable in before.sits.items():
            sits[i, place[0]][variable] = -1.0
        for (_, k, x), variable in block.line.items():
            if x < rows or k < neurons:
                builder.row({variable: 1.0, **sits[x, k]}, high=0.0)
