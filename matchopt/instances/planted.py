"""Layers and chains drawn from a few numbers, of every variant; with planted ones the optimum is known at any size.

A planted target is a sub-wiring of its hardware. All cells are whole numbers, so that whatever a mapping wires, every
weight it realises is one too: a connection whose weight is a whole number and delta, |delta| <= 1/4, costs at least
delta^2 under any rules, and the sub-wiring that the target was read from costs just that. Fully tunable weights take
the largest of these away. What is drawn is rounded to multiples of 2**-16, so that it does not depend on a machine's
last digits.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le
from jaxtyping import Float, Int

from matchopt.errors import InvalidInstance
from matchopt.instances.base import Instance, Provenance
from matchopt.instances.generators import LAWS, TARGET_LAWS
from matchopt.instances.hardware import Hardware
from matchopt.instances.layer import LayerInstance, LayerMapping
from matchopt.instances.network import NetworkInstance, NetworkMapping
from matchopt.instances.rules import Gains, Rules
from matchopt.instances.target import Target
from matchopt.settings import NonNegativeInt, PositiveInt, check_fields

Share = Annotated[float, Ge(0.0), Le(1.0)]
UNIT = 2.0**-16
LARGEST = 16  # of the whole numbers that planted cells have


@dataclass(frozen=True)
class Recipe:
    """The numbers that an instance is made from.

    Parameters
    ----------
    law : what targets are: "exact" or "noisy" sub-wirings of the hardware, or "random" (Laplace on normal cells).
    rows, fan_in : target neurons, and connections of each (fewer where faults leave no more).
    inputs : of the layer.
    neurons, cells : hardware neurons M, and cells K of each.
    bus : neurons that share their wiring, T; 1 is free routing, 0 one crossbar.
    cells_per_weight, neurons_per_row, copies, tunable, drop : see `Rules`.
    wired : cells of every neuron hard-wired to each input, in place of `cells`; 0 for none.
    chain : crossbars one behind the other; their inputs, rows, cells and neurons are `neurons` each.
    faults : probability that a cell is unusable.
    noise : read-noise variance of every cell.
    widest_gain : gains reach from its inverse to this; 1 for the gain 1 alone.
    seed : of all draws.

    Raises
    ------
    InvalidInstance
        for numbers that make no instance, or none whose optimum would be known.
    """

    law: Literal["exact", "noisy", "random"]
    rows: PositiveInt
    inputs: PositiveInt
    fan_in: PositiveInt
    neurons: PositiveInt
    cells: NonNegativeInt
    bus: NonNegativeInt = 1
    cells_per_weight: PositiveInt = 1
    neurons_per_row: PositiveInt = 1
    copies: PositiveInt = 1
    tunable: NonNegativeInt = 0
    drop: bool = False
    wired: NonNegativeInt = 0
    chain: PositiveInt = 1
    faults: Share = 0.0
    noise: Share = 0.0
    widest_gain: PositiveInt = 1
    seed: NonNegativeInt = 0

    def __post_init__(self) -> None:
        check_fields(self, "recipe", InvalidInstance)
        several = max(self.cells_per_weight, self.neurons_per_row, self.copies)
        if self.law != "random" and (self.widest_gain > 1 or (several > 1 and self.noise > 0.0)):
            raise InvalidInstance(
                "recipe: no optimum is planted with gains, or where several noisy cells make a weight"
            )
        if self.law == "noisy" and self.copies > 2:
            raise InvalidInstance(
                "recipe: means of more than two copies come nearer to noisy targets than planted ones"
            )
        if self.neurons_per_row * self.copies > 1 and self.bus != 1:
            raise InvalidInstance("recipe: rows on several neurons are wired freely here; leave bus at 1")
        if self.chain > 1 and (self.bus != 0 or len({self.rows, self.inputs, self.neurons, self.cells}) > 1):
            raise InvalidInstance("recipe: chained crossbars have bus 0 and one size: rows, inputs, neurons and cells")
        needed = -(-self.fan_in // self.neurons_per_row) if self.bus == 1 else self.inputs
        if self.rows * self.neurons_per_row * self.copies > self.neurons or self.fan_in > self.inputs:
            raise InvalidInstance("recipe: more rows than neurons, or more connections than inputs")
        if not self.wired and self.cells < needed:
            raise InvalidInstance(f"recipe: {needed} cells of each neuron are needed, found {self.cells}")


@dataclass(frozen=True)
class Planted:
    """What a recipe makes.

    Parameters
    ----------
    instance : named by its recipe alone.
    solution : the sub-wiring that a planted target was read from; None for random ones.
    optimum : what it costs, the least of all; None for random ones.
    """

    instance: Instance
    solution: LayerMapping | NetworkMapping | None
    optimum: float | None


def planted(recipe: Recipe, provenance: Provenance) -> Planted:
    """Make the instance of a recipe."""
    rng = np.random.default_rng(recipe.seed)
    order = rng.permutation(recipe.cells or recipe.inputs)
    layers = []
    for _ in range(recipe.chain):
        layers.append(_Layer(recipe, rng, order))
        order = layers[-1].places  # a neuron of one array drives the line of that number of the next
    if recipe.law == "random":
        made = [layer.random() for layer in layers]
        parts, known, optimum = made, None, None
    else:
        found = [layer.planted() for layer in layers]
        parts, known, optimum = [part[0] for part in found], [part[1] for part in found], sum(part[2] for part in found)
    if recipe.chain == 1:
        (only,) = parts
        instance = LayerInstance(only.target, only.hardware, only.rules, provenance=provenance)
        return Planted(instance, None if known is None else known[0], optimum)
    biases = tuple(np.zeros(recipe.rows) for _ in parts)
    network = NetworkInstance(tuple(parts), biases, chained=True, provenance=provenance)
    return Planted(network, None if known is None else NetworkMapping(tuple(known)), optimum)


@dataclass(eq=False)
class _Layer:
    """One layer while it is made: its chip, where its rows are, and on which lines each input is."""

    recipe: Recipe
    rng: np.random.Generator
    order: Int[np.ndarray, " lines"]
    places: Int[np.ndarray, " neurons"] = field(init=False)
    hardware: Hardware = field(init=False)

    def __post_init__(self) -> None:
        recipe, rng = self.recipe, self.rng
        shape = (recipe.neurons, recipe.wired * recipe.inputs or recipe.cells)
        if recipe.law == "random":
            weights = _rounded(LAWS["gaussian"](rng, shape))
        else:
            weights = rng.integers(1, LARGEST + 1, shape) * rng.choice([-1.0, 1.0], shape)
        usable = rng.random(shape) >= recipe.faults
        size = recipe.bus or recipe.neurons
        wired = np.tile(np.arange(shape[1]) // recipe.wired, (shape[0], 1)) if recipe.wired else None
        self.hardware = Hardware(
            weights, np.full(shape, _rounded(recipe.noise)), usable, bus=np.arange(shape[0]) // size, input=wired  # type: ignore[arg-type]  # None means default
        )  # fmt: skip
        self.places = rng.permutation(recipe.neurons)

    @property
    def rules(self) -> Rules:
        """The rules of the recipe."""
        recipe, widest = self.recipe, float(self.recipe.widest_gain)
        gains = Gains.interval(1.0 / widest, widest) if widest > 1.0 else Gains()
        return Rules(
            recipe.cells_per_weight, recipe.drop, gains=gains, tunable=recipe.tunable,
            neurons_per_row=recipe.neurons_per_row, copies=recipe.copies,
        )  # fmt: skip

    def random(self) -> LayerInstance:
        """Laplace weights on random inputs."""
        recipe = self.recipe
        inputs = np.sort(np.argsort(self.rng.random((recipe.rows, recipe.inputs)), axis=1)[:, : recipe.fan_in], axis=1)
        weights = _rounded(TARGET_LAWS["laplace"](self.rng, (inputs.size,)))
        starts = np.arange(recipe.rows + 1) * recipe.fan_in
        return LayerInstance(Target(starts, inputs.ravel(), weights, recipe.inputs), self.hardware, self.rules)

    def planted(self) -> tuple[LayerInstance, LayerMapping, float]:
        """A target that is a sub-wiring, that sub-wiring, and what it costs."""
        recipe, chip, rng = self.recipe, self.hardware, self.rng
        parts = recipe.neurons_per_row * recipe.copies
        lines = self._lines()
        weights, wires = [], []
        for i in range(recipe.rows):
            used = self.places[i * parts : (i + 1) * parts].tolist()
            own = self._wires(used, lines)
            given = np.zeros(recipe.inputs)
            for j, k, x in own:
                given[x] += chip.weights[j, k] / recipe.copies
            weights.append(given)
            wires += [sorted((k, x) for j, k, x in own if j == one) for one in used]
        support = np.zeros((recipe.rows, recipe.inputs), bool)
        for at, some in enumerate(wires):
            support[at // parts, [x for _, x in some]] = True
        target = Target.from_dense(np.array(weights), support)
        off = (
            rng.integers(-4, 5, target.n_connections) / 16.0 if recipe.law == "noisy" else np.zeros(len(target.weights))
        )
        target = Target(target.indptr, target.indices, target.weights + off, recipe.inputs)
        cells = np.array([k for some in wires for k, _ in some], np.int64)
        inputs = np.array([x for some in wires for _, x in some], np.int64)
        starts = np.cumsum([0, *map(len, wires)])
        layer = LayerInstance(target, chip, self.rules)
        costs = off * off + _rounded(recipe.noise)
        tuned = np.sort(np.argsort(-costs, kind="stable")[: recipe.tunable])
        row = np.arange(recipe.rows * parts) // parts
        mapping = _without(
            layer, LayerMapping(self.places[: recipe.rows * parts], starts, cells, inputs, row=row), tuned
        )
        return layer, mapping, float(np.delete(costs, tuned).sum())

    def _lines(self) -> list[list[list[int]]]:
        """Of each bus, the lines that each input may be read on; none where wiring is free."""
        recipe = self.recipe
        if recipe.wired:
            each = [[*range(x * recipe.wired, (x + 1) * recipe.wired)] for x in range(recipe.inputs)]
            return [each] * recipe.neurons
        if recipe.bus == 1:
            return []
        found = []
        for bus in range(len(set(self.hardware.bus.tolist()))):
            order = self.order if bus == 0 else self.rng.permutation(recipe.cells)
            spare = order[recipe.inputs :].tolist()
            each = [[int(k)] for k in order[: recipe.inputs]]
            for some in each:
                some += [spare.pop() for _ in range(min(len(spare), recipe.cells_per_weight - 1))]
            found.append(each)
        return found

    def _wires(self, used: list[int], lines: list[list[list[int]]]) -> list[tuple[int, int, int]]:
        """Neurons, cells and inputs of the wires of one row."""
        recipe, rng, usable = self.recipe, self.rng, self.hardware.usable
        most = recipe.cells_per_weight
        if not lines:
            inputs = rng.choice(recipe.inputs, recipe.fan_in, replace=False).tolist()
            if recipe.copies > 1:
                cells = [rng.permutation(np.flatnonzero(usable[j])).tolist()[: len(inputs)] for j in used]
                return [
                    (j, k, x) for j, own in zip(used, cells, strict=True) for k, x in zip(own, inputs, strict=False)
                ]
            spare = [(j, k) for j in used for k in np.flatnonzero(usable[j]).tolist()]
            spare = [spare[n] for n in rng.permutation(len(spare)).tolist()]
            served = [(*place, x) for place, x in zip(spare, inputs, strict=False)]
            if most == 1 or recipe.neurons_per_row > 1:
                return served
            return served + [(*place, x) for place, x in zip(spare[len(inputs) :], inputs, strict=False)]
        (j,) = used
        own = lines[j // (recipe.bus or recipe.neurons)]
        whole = [[k for k in some if usable[j, k]] for some in own]
        inputs = rng.permutation([x for x, some in enumerate(whole) if some]).tolist()[: recipe.fan_in]
        count = [int(rng.integers(1, min(most, len(whole[x])) + 1)) for x in inputs]
        return [(j, k, x) for x, n in zip(inputs, count, strict=True) for k in whole[x][:n]]


def _without(layer: LayerInstance, mapping: LayerMapping, tuned: Int[np.ndarray, " some"]) -> LayerMapping:
    """The mapping with tunable weights in place of the wires of some connections."""
    target = layer.target
    row = np.repeat(mapping.row, np.diff(mapping.wire_indptr))
    owner = np.repeat(np.arange(layer.n_rows), target.fan_in)
    left = ~np.isin(row * target.n_inputs + mapping.input, owner[tuned] * target.n_inputs + target.indices[tuned])
    place = np.repeat(np.arange(len(mapping.neuron_of)), np.diff(mapping.wire_indptr))[left]
    starts = np.concatenate([[0], np.cumsum(np.bincount(place, minlength=len(mapping.neuron_of)))])
    cells, inputs = mapping.cell[left], mapping.input[left]
    return LayerMapping(mapping.neuron_of, starts, cells, inputs, tunable=tuned, row=mapping.row)


def _rounded(values: Float[np.ndarray, "*shape"] | float) -> Float[np.ndarray, "*shape"]:
    return np.asarray(np.round(np.asarray(values) / UNIT) * UNIT)
