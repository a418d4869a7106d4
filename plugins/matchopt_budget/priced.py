"""One layer in which a fully tunable weight has a price: what its rows cost, and how they are wired."""

from dataclasses import dataclass, replace

import numpy as np

from matchopt import LayerInstance, LayerMapping, Limits, Target, kernels

CHUNK = 10**7  # connections times neurons that are priced between two looks at the clock; a second where rows are mixed


@dataclass(frozen=True, eq=False)
class Wiring:
    """The rows of a layer on given neurons, wired.

    Parameters
    ----------
    neuron_of, gain : of each row.
    cell_of : cell of each connection, -1 for none.
    tunable : whether a tunable weight serves each connection.
    error : of each connection, read noise included.
    """

    neuron_of: np.ndarray
    cell_of: np.ndarray
    gain: np.ndarray
    tunable: np.ndarray
    error: np.ndarray

    @property
    def used(self) -> int:
        """Number of tunable weights."""
        return int(self.tunable.sum())

    def mapping(self, target: Target) -> LayerMapping:
        """The same as a solution."""
        return LayerMapping.from_cells(target, self.neuron_of, self.cell_of, self.gain, np.flatnonzero(self.tunable))


class PricedLayer:
    """A layer with free routing and one cell per weight, and so many tunable weights at most."""

    def __init__(self, layer: LayerInstance) -> None:
        self.layer, self.target, self.hardware = layer, layer.target, layer.hardware
        self.importance = layer.objective.importance(layer.target)
        self.budget = min(layer.rules.tunable, layer.target.n_connections)
        self.squares = self.importance * self.target.weights**2
        gain = max(abs(gain) for gain in layer.rules.gains.values or (1.0,))
        reach = np.abs(self.target.weights).max(initial=0.0) + gain * np.abs(self.hardware.weights).max(initial=0.0)
        largest = self.importance.max(initial=0.0) * (reach**2 + gain**2 * self.hardware.variance.max(initial=0.0))
        # At this price a tunable weight is worth it only where there are too few cells.
        self.most = float(largest * self.target.fan_in.max(initial=0)) or 1.0

    def needed(self) -> np.ndarray:
        """How many tunable weights every row needs at least on every neuron."""
        if self.layer.rules.drop:
            return np.zeros((self.target.n_rows, self.hardware.n_neurons))
        return np.asarray(np.maximum(0.0, self.target.fan_in[:, None] - self.hardware.n_usable[None, :]))

    def even(self) -> np.ndarray:
        """Importances that are the same within a row, for costs that are found fast."""
        sums = np.bincount(self.target.row_of, self.importance, self.target.n_rows)
        return np.asarray((sums / np.maximum(1, self.target.fan_in))[self.target.row_of])

    @property
    def is_even(self) -> bool:
        """Whether they are so already."""
        return bool((self.importance == self.even()).all())

    def costs(self, price: float, limits: Limits, importance: np.ndarray | None = None) -> np.ndarray | None:
        """Costs of all pairs of rows and neurons, tunable weights at their price included; None out of time."""
        target, rules = self.target, self.layer.rules
        given = self.importance if importance is None else importance
        found = np.empty((target.n_rows, self.hardware.n_neurons))
        chunk = np.cumsum(target.fan_in) * self.hardware.n_neurons // CHUNK
        for rows in np.split(np.arange(target.n_rows), np.flatnonzero(np.diff(chunk)) + 1) if target.n_rows else ():
            if limits.reached():
                return None
            part = slice(int(target.indptr[rows[0]]), int(target.indptr[rows[-1] + 1]))
            starts = target.indptr[rows[0] : rows[-1] + 2] - part.start
            some = Target(starts, target.indices[part], target.weights[part], target.n_inputs)
            found[rows] = kernels.pair_costs(
                some, self.hardware, gains=rules.gains, drop=rules.drop, importance=given[part],
                price=price if self.budget else None, threads=limits.threads,
            )  # fmt: skip
        return found

    def wired(self, neuron_of: np.ndarray, price: float) -> Wiring:
        """The cheapest wiring on these neurons at this price; of equally cheap ones fewest tunable weights."""
        rules, price = self.layer.rules, price if self.budget else np.inf
        found = kernels.match_rows(
            self.target, self.hardware, neuron_of, gains=rules.gains, drop=rules.drop, importance=self.importance,
            price=price if self.budget else None,
        )  # fmt: skip
        tunable = found.cell_of < 0
        if rules.drop:
            tunable = tunable & (self.squares > price)
        return self._measured(neuron_of, found.cell_of, found.gain, tunable)

    def rewired(self, neuron_of: np.ndarray, tunable: np.ndarray) -> Wiring:
        """The cheapest wiring on these neurons where these connections are tunable."""
        rest, importance = self._without(tunable)
        rules = self.layer.rules
        found = kernels.match_rows(
            rest, self.hardware, neuron_of, gains=rules.gains, drop=rules.drop, importance=importance
        )
        cell_of = np.full(self.target.n_connections, -1)
        cell_of[~tunable] = found.cell_of
        return self._measured(neuron_of, cell_of, found.gain, tunable)

    def replaced(self, tunable: np.ndarray, limits: Limits) -> np.ndarray | None:
        """The best neurons where these connections are tunable; None out of time."""
        rest, _ = self._without(tunable)
        costs = PricedLayer(_plain(self.layer, rest)).costs(np.inf, limits)
        return None if costs is None else kernels.assign(costs)

    def _without(self, tunable: np.ndarray) -> tuple[Target, np.ndarray]:
        left, target = ~tunable, self.target
        starts = np.concatenate([[0], np.cumsum(left)])[target.indptr]
        factor = np.asarray(target.importance)[left]
        rest = Target(starts, target.indices[left], target.weights[left], target.n_inputs, factor)
        return rest, self.importance[left]

    def _measured(self, neuron_of: np.ndarray, cell_of: np.ndarray, gain: np.ndarray, tunable: np.ndarray) -> Wiring:
        neurons, factor = neuron_of[self.target.row_of], gain[self.target.row_of]
        error = np.where(tunable, 0.0, self.squares)
        on = cell_of >= 0
        values, noise = (part[neurons[on], cell_of[on]] for part in (self.hardware.weights, self.hardware.variance))
        off = self.target.weights[on] - factor[on] * values
        error[on] = self.importance[on] * (off * off + factor[on] ** 2 * noise)
        return Wiring(neuron_of, cell_of, gain, tunable, error)


def _plain(layer: LayerInstance, target: Target) -> LayerInstance:
    return replace(layer, target=target, rules=replace(layer.rules, tunable=0))
