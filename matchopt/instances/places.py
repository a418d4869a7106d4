"""Where the hardware neurons of a layer are on a measured chip, and what was measured there."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from matchopt.errors import InvalidInstance
from matchopt.parts import Json, field_values
from matchopt.settings import FiniteFloat, NonNegativeInt, check_fields, read_object


@dataclass(frozen=True)
class Place:
    """Where an array of a chip was read from.

    Parameters
    ----------
    file : name of the file, as it was given.
    array : name of the array in it; "" where the file names none.
    row, column : of the array's first cell in the file, >= 0.
    neurons : number of the array's rows, which are hardware neurons, >= 0.
    first_cell : number of the array's first cell in its hardware neurons, >= 0; above 0 for an array beside the one
        before, whose rows are the same hardware neurons.
    cells : number of the array's columns, >= 0; 0 where unknown.

    Raises
    ------
    InvalidInstance
        when a field is out of its range.
    """

    file: str = ""
    array: str = ""
    row: NonNegativeInt = 0
    column: NonNegativeInt = 0
    neurons: NonNegativeInt = 0
    first_cell: NonNegativeInt = 0
    cells: NonNegativeInt = 0

    def __post_init__(self) -> None:
        check_fields(self, "place", InvalidInstance)


@dataclass(frozen=True)
class CellPlace:
    """A cell of a chip by its physical name; `cell` None stands for the whole neuron.

    Parameters
    ----------
    file, array : see `Place`.
    row, column : in the file's array, >= 0; column None for the whole neuron.
    """

    file: str
    array: str
    row: int
    column: int | None


@dataclass(frozen=True)
class Origin:
    """The chip that a layer's hardware neurons are part of; its neurons are numbered through all its arrays.

    Parameters
    ----------
    places : the arrays of the chip in order: neurons 0, 1, .. are the rows of the first, those after them of the next
        that is not beside another.
    unit : of the measured values, such as "S" (siemens); "" if unknown.
    scale : factor from measured values to the weights of this layer, finite; below 0 where a chip is read
        with the other sign.
    scales : a further factor for each neuron of the chip, finite; empty where they have none.

    Raises
    ------
    InvalidInstance
        when a field is out of its range.
    """

    places: tuple[Place, ...] = ()
    unit: str = ""
    scale: FiniteFloat = 1.0
    scales: tuple[FiniteFloat, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self, "origin", InvalidInstance)
        if len(self.scales) not in (0, self.n_neurons):
            raise InvalidInstance(f"origin.scales: one for each of {self.n_neurons} neurons, found {len(self.scales)}")

    @property
    def n_neurons(self) -> int:
        """Number of neurons of the whole chip."""
        return self._ends[-1] if self.places else 0

    @cached_property
    def _ends(self) -> list[int]:
        """The number behind the last neuron of each array; of those beside another that of the other."""
        return list(accumulate(0 if place.first_cell else place.neurons for place in self.places))

    def cell(self, neuron: int, cell: int | None = None) -> CellPlace:
        """The physical name of a cell, or of a neuron, by its number on the chip.

        Raises
        ------
        InvalidInstance
            when the chip has no such neuron.
        """
        if not 0 <= neuron < self.n_neurons:
            raise InvalidInstance(f"origin: the chip has {self.n_neurons} neurons, found number {neuron}")
        at = bisect_right(self._ends, neuron)
        start = self._ends[at] - self.places[at].neurons
        while at + 1 < len(self.places) and 0 < self.places[at + 1].first_cell <= (cell or 0):
            at += 1
        place = self.places[at]
        column = None if cell is None else place.column + cell - place.first_cell
        return CellPlace(place.file, place.array, place.row + neuron - start, column)

    def scale_of(self, neuron: int) -> float:
        """The factor from values of this neuron of the chip to weights."""
        return self.scale * self.scales[neuron] if self.scales else self.scale

    def array_of(self, neuron: int) -> int:
        """The number of the array whose row a neuron is; of arrays beside each other that of the first."""
        return bisect_right(self._ends, neuron)

    def facts(self) -> Json:
        """As JSON."""
        newer = ("first_cell", "cells")
        places = [{k: v for k, v in field_values(place).items() if k not in newer or v} for place in self.places]
        found = {**field_values(self), "places": places}
        return found if self.scales else {name: value for name, value in found.items() if name != "scales"}

    @classmethod
    def from_facts(cls, facts: Any) -> "Origin":
        """Rebuild from `facts()`."""
        return read_object(cls, facts, "origin", InvalidInstance)


def numbered(sizes: Sequence[int]) -> list[slice]:
    """The neurons of each of several arrays with these numbers of rows, when all are numbered in order."""
    ends = np.cumsum([0, *sizes]).tolist()
    return [slice(start, end) for start, end in pairwise(ends)]
