"""A layer whose neurons share lines, as costs of connections on cells."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from matchopt.instances import LayerInstance
from matchopt.instances.demands import understanding
from matchopt.instances.menus import FIELDS as MENUS
from matchopt.proofs.assignment import HALF_ULP
from matchopt.proofs.separable import refuse_unfit

UNDERSTOOD = frozenset(
    {"importance", "read-noise", "unusable-cells", "leak", "shared-bus", "drop", "extra-inputs", "gains"}
    | {"output-error", "programmable-cells", "write-budget"}
)


@dataclass(frozen=True, eq=False)
class Coupled:
    """A layer whose neurons share lines, as costs of connections on cells.

    Lines are added where connections may be dropped and a bus has fewer than there are inputs: nothing is wired there.

    Parameters
    ----------
    weight, factor : target weight and importance of each connection.
    items : for rows, and for inputs that have connections: the connections of each.
    weights, variance, off : of the cells at each gain, shape (gains, neurons, lines).
    usable : shape (neurons, lines).
    drop : whether connections may be dropped.
    one_bus : whether all neurons share their lines.
    silent : which connections are none of the target's, but inputs of other rows, whose lines leak into this one; None
        where they are left out.
    extra_inputs : whether those may be wired as well.
    gains : at which cells are given.
    menus : what can be written into cells before any gain, as the fields of `Hardware` in their order, whatever their
        number; None for nothing.
    """

    weight: Float[np.ndarray, " connections"]
    factor: Float[np.ndarray, " connections"]
    items: tuple[list[np.ndarray], list[np.ndarray]]
    weights: Float[np.ndarray, "gains neurons lines"]
    variance: Float[np.ndarray, "gains neurons lines"]
    off: Float[np.ndarray, "gains neurons lines"]
    usable: Bool[np.ndarray, "neurons lines"]
    drop: bool
    one_bus: bool
    silent: Bool[np.ndarray, " connections"] | None = None
    extra_inputs: bool = False
    gains: tuple[float, ...] = (1.0,)
    menus: list[np.ndarray] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Connections, neurons and lines."""
        return (len(self.weight), *self.usable.shape)

    @cached_property
    def item_of(self) -> tuple[Int[np.ndarray, " connections"], Int[np.ndarray, " connections"]]:
        """Row, and number of the input, of each connection."""
        of = np.empty(len(self.weight), np.int64), np.empty(len(self.weight), np.int64)
        for number, items in zip(of, self.items, strict=True):
            for a, e in enumerate(items):
                number[e] = a
        return of

    def costs(self, e: Int[np.ndarray, " some"]) -> Float[np.ndarray, "some neurons lines"]:
        """The least that connections `e` can cost on each cell; inf where they must be wired and cannot be."""
        weight = self.weight[e][:, None, None]
        least = np.full((len(e), *self.usable.shape), np.inf)
        for gain, weights, variance, off in zip(self.gains, self.weights, self.variance, self.off, strict=True):
            wired = (weight - weights) ** 2 + variance
            for value, spread in self._written(weight / gain if gain else 0.0 * weight):
                wired = np.fmin(wired, (weight - gain * value) ** 2 + gain * gain * spread)
            wired = np.where(self.usable, wired, np.inf)
            if self.silent is not None:  # every input drives its line, into each cell on it
                leaks, quiet = self.silent[e][:, None, None], off**2
                wired = np.where(leaks, np.minimum(wired, quiet) if self.extra_inputs else quiet, wired)
            if self.drop:  # what is not wired reads 0, or what its cell leaks
                wired = np.minimum(wired, np.minimum(weight**2, (weight - off) ** 2))
            least = np.minimum(least, wired)
        unpriced = np.where(np.isinf(least), np.inf, 0.0)
        return np.asarray(unpriced + self.factor[e][:, None, None] * np.where(np.isinf(least), 0.0, least))

    def at(self, g: int) -> "Coupled":
        """The same at the gain of this number alone."""
        one = slice(g, g + 1)
        return replace(self, **{name: getattr(self, name)[one] for name in ("weights", "variance", "off", "gains")})

    def _written(self, wanted: Float[np.ndarray, "some _ _"]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Values to write and their variances, NaN where there is none: of ranges the nearest to what is wanted."""
        if self.menus is not None:
            low, high, variance, levels, spreads = self.menus
            yield np.where(wanted < low, low, np.where(wanted > high, high, wanted + 0.0 * low)), variance
            for s in range(levels.shape[2]):
                yield levels[:, :, s], spreads[:, :, s]

    def rounding(self) -> float:
        """What rounding can do to a bound: roundings of the largest cost of each connection, for each number added."""
        longest = max((len(e) for side in self.items for e in side), default=0)
        terms = 64.0 + 4.0 * (longest + sum(self.usable.shape))
        worst = 0.0
        most = sum(float(np.abs(np.nan_to_num(part)).max(initial=0.0)) for part in self.menus or ())
        for gain, weights, variance in zip(self.gains, self.weights, self.variance, strict=True):
            size = np.abs(self.weight) + float(np.abs(weights).max(initial=0.0)) + abs(gain) * most
            spread = float(variance.max(initial=0.0)) + gain * gain * most
            worst = max(worst, float((self.factor * (size**2 + spread)).sum()))
        return HALF_ULP * terms * worst


@understanding("the proof of a bound on layers", UNDERSTOOD)
def coupled(instance: LayerInstance, leaks: bool = False) -> Coupled:
    """Take a layer apart, with what lines leak into rows that do not listen to them where `leaks` asks for it.

    Raises
    ------
    Refused
        when there is no proof for such a layer, or it is too large.
    """
    refuse_unfit(instance)
    target, chip = instance.target, instance.hardware if instance.rules.writes != 0 else instance.hardware.fixed()
    inputs, input_of = np.unique(target.indices, return_inverse=True)
    row_of, weight, factor = target.row_of, target.weights, instance.objective.importance(target)
    silent = np.zeros(len(weight), bool)
    if leaks:
        quiet = np.ones((target.n_rows, len(inputs)), bool)
        quiet[row_of, input_of] = False
        i, x = np.nonzero(quiet)
        row_of, input_of = np.append(row_of, i), np.append(input_of, x)
        weight, silent = np.append(weight, np.zeros(len(i))), np.append(silent, np.ones(len(i), bool))
        factor = np.append(factor, instance.objective.diagonal(target, i, inputs[x]))
    rows, by_input = (
        np.split(np.argsort(of, kind="stable"), np.cumsum(np.bincount(of, minlength=size))[:-1])
        for of, size in ((row_of, target.n_rows), (input_of, len(inputs)))
    )
    extra = max(0, len(inputs) - chip.n_cells) if instance.rules.drop else 0
    values = instance.rules.gains.values or ()
    gains = np.array(values)[:, None, None]
    menus = [getattr(chip, name) for name in MENUS] if chip.programmable else []
    wide = [np.pad(part, [(0, 0), (0, extra), (0, 0)][: part.ndim], constant_values=np.nan) for part in menus]
    weights, variance, off, usable = (
        np.pad(np.asarray(part), ((0, 0), (0, extra))) for part in (chip.weights, chip.variance, chip.off, chip.usable)
    )
    return Coupled(
        weight, factor, (rows if target.n_rows else [], by_input if len(inputs) else []),
        gains * weights, gains * gains * variance, gains * off, usable, instance.rules.drop,
        len(set(chip.bus.tolist())) == 1, silent if leaks else None, instance.rules.extra_inputs,
        values, wide or None,
    )  # fmt: skip
