"""Differential pairs: two devices make one signed weight, the difference of what they read."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from matchopt.errors import InvalidInstance
from matchopt.instances.chip import OTHERS, Chip, ChipArray
from matchopt.instances.places import Place

# Fields of values that can be written, and those they become where cells count negative.
MIRRORED = {"low": "high", "high": "low", "levels": "levels"}


def paired(chip: Chip) -> Chip:
    """The chip whose cells are the fixed pairs of `chip`: the cells at one place of G+ and of G-, subtracted.

    Weights, readings and what is left of a cell that is switched off are G+ less G-. Variances add. A pair is usable
    where both halves are, and stuck where both are; one half that is stuck shifts the pair, switched on or off. The
    place of an array of pairs names both, the cells have row and column of G+.

    Raises
    ------
    InvalidInstance
        when the pairs of the chip are not fixed, or G+ and G- have other buses or times of reading.
    """
    return Chip(tuple(_difference(*halves) for halves in _halves(chip, "fixed", "subtracted")), chip.unit)


def freed(chip: Chip) -> Chip:
    """The chip whose hardware neurons have the cells of G+ and behind them those of G-, which count negative.

    A weight is then a sum of cells of both signs: under a rule of two cells per weight any cell of G+ with any of G-
    (or two of one half, as their currents add up too), or one cell alone. Weights, readings, leaks and values to write
    of G- have the other sign; cells keep the place where they were read.

    Raises
    ------
    InvalidInstance
        when the pairs of the chip are not free, or G+ and G- have other buses or times of reading.
    """
    return Chip(tuple(_joined(*halves) for halves in _halves(chip, "free", "joined")), chip.unit)


def _halves(chip: Chip, pairs: str, done: str) -> Iterator[tuple[ChipArray, ChipArray]]:
    """G+ and G- of every pair."""
    if chip.pairs != pairs:
        raise InvalidInstance(f"chip.pairs: only {pairs} pairs are {done}, found {chip.pairs!r}")
    return zip(chip.arrays[::2], chip.arrays[1::2], strict=True)


def _joined(plus: ChipArray, minus: ChipArray) -> ChipArray:
    _refuse_unlike(plus, minus)
    both: dict[str, np.ndarray] = {}
    for name in ("weights", "usable", "stuck", "off", "variance", "readings"):
        first, second = getattr(plus, name), getattr(minus, name)
        if first is not None:
            second = -second if name in ("weights", "off", "readings") else second
            both[name] = np.concatenate([first, second], axis=-1)
    negative = {MIRRORED.get(n, n): -values if n in MIRRORED else values for n, values in minus.others.items()}
    others = {}
    for name in {**plus.others, **negative}:
        halves = [plus.others.get(name), negative.get(name)]
        depth = max(part.shape[2:] for part in halves if part is not None)
        full = np.full((*both["weights"].shape, *depth), OTHERS[name], np.int64 if name == "input" else np.float64)
        for part, at in zip(halves, (0, plus.n_cells), strict=True):
            if part is not None:
                full[(slice(None), slice(at, at + part.shape[1]), *map(slice, part.shape[2:]))] = part
        others[name] = full
    beside = replace(minus.place, first_cell=plus.n_cells)  # which has the number of its own cells already
    return ChipArray(**both, place=plus.place, bus=plus.bus, seconds=plus.seconds, others=others, beside=beside)


def _refuse_unlike(plus: ChipArray, minus: ChipArray) -> None:
    for field in ("bus", "seconds"):
        if not np.array_equal(getattr(plus, field), getattr(minus, field)):
            raise InvalidInstance(f"chip.pairs: {field} must be the same for G+ and G-, found "
                                  f"{getattr(plus, field)} and {getattr(minus, field)}")  # fmt: skip


def _difference(plus: ChipArray, minus: ChipArray) -> ChipArray:
    others = {**plus.others, **minus.others}
    if set(others) - {"input"}:
        raise InvalidInstance("chip.pairs: what can be written into the halves of a pair is not subtracted; leave out "
                              f"{', '.join(others)}")  # fmt: skip
    if not np.array_equal(plus.others.get("input", -1), minus.others.get("input", -1)):
        raise InvalidInstance("chip.pairs: input must be the same for G+ and G-")
    _refuse_unlike(plus, minus)
    return ChipArray(
        plus.weights - minus.weights,
        _both(plus.place, minus.place),
        plus.usable & minus.usable,
        plus.stuck & minus.stuck,
        plus.off - minus.off,
        plus.variance + minus.variance,
        plus.bus,
        None if plus.readings is None or minus.readings is None else plus.readings - minus.readings,
        plus.seconds,
        others,
    )


def _both(plus: Place, minus: Place) -> Place:
    """G+ by its place, and the name of G- behind its name."""
    return replace(plus, file=_names(plus.file, minus.file), array=_names(plus.array, minus.array))


def _names(plus: str, minus: str) -> str:
    return plus if plus == minus else f"{plus} - {minus}"
