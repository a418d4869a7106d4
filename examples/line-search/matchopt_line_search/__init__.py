"""Rows to neurons and inputs to lines of one crossbar, each assigned exactly by turns."""

from dataclasses import dataclass

import numpy as np

from matchopt import LayerInstance, LayerMapping, PositiveInt, Result, Solver, hookimpl


@dataclass(frozen=True)
class LineSearch(Solver):
    """Assign rows for given lines, then inputs to lines for given rows, until nothing changes; from many beginnings.

    Parameters
    ----------
    beginnings : random lines to begin from, >= 1.
    turns : most turns from each of them, >= 1.
    """

    name = "line-search"
    solves = LayerInstance
    needs = ("scipy",)
    understands = frozenset({"shared-bus"})  # every other wish of an instance is refused, by name

    beginnings: PositiveInt = 20
    turns: PositiveInt = 50

    def refuses(self, instance):
        """Several buses, and crossbars with fewer lines than inputs in use; see `Solver.refuses`."""
        used = len(np.unique(instance.target.indices))
        if len(np.unique(instance.hardware.bus)) > 1:
            return "its hardware neurons are on several buses, and one crossbar is needed"
        if used > instance.hardware.n_cells:
            return f"its {used} inputs need as many lines, and there are {instance.hardware.n_cells}"
        return None

    def solve(self, instance, limits, rng):
        """See `Solver.solve`."""
        from scipy.optimize import linear_sum_assignment

        target, cells = instance.target, instance.hardware.weights
        used, place = np.unique(target.indices, return_inverse=True)  # `place`: of each connection's input in `used`
        for _ in limits.steps(self.beginnings):
            line = rng.permutation(instance.hardware.n_cells)[: len(used)]
            neuron, best = None, np.inf
            for _ in range(self.turns):
                error = (target.weights[:, None] - cells[:, line[place]].T) ** 2  # of each connection on each neuron
                rows = np.zeros((target.n_rows, len(cells)))
                np.add.at(rows, target.row_of, error)
                neuron = linear_sum_assignment(rows)[1]
                error = (target.weights[:, None] - cells[neuron[target.row_of]]) ** 2  # and on each line
                inputs = np.zeros((len(used), cells.shape[1]))
                np.add.at(inputs, place, error)
                _, line = linear_sum_assignment(inputs)
                value = inputs[np.arange(len(used)), line].sum()
                if not value < best or limits.reached():
                    break
                best = value
            mapping = LayerMapping.from_cells(target, neuron, line[place])
            limits.offer(mapping, instance.value(mapping))
        return Result(limits.best, limit=limits.reached())


@hookimpl
def register_solvers(register):
    """See matchopt's hook of this name."""
    register(LineSearch)
