"""How far the dual ascent on small crossbars is from the optimum of the level-1 program, which PDLP finds.

    python benches/crossbar_level1.py --output FILE.csv [--seconds 120]

Layers are those of `crossbars.py` with fewer rows. The program has a variable for each row on each neuron, each input
on each line, and each connection on each cell: a connection's cells add up to its row's and its input's place, and two
connections of one row (one input) share no line (neuron). Bounds are relative to the sum of squared targets, `ascent`
that after 200 steps from nothing, `smoothed` that after 200 smooth steps and 200 more.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from crossbars import crossbar
from matchopt_crossbar.ascent import Ascent
from matchopt_crossbar.relaxation import free_bound
from ortools.pdlp import solve_log_pb2, solvers_pb2
from ortools.pdlp.python import pdlp
from scipy import sparse

from matchopt import LayerInstance, Limits

LAYERS = ((10, 1, 0.3), (10, 2, 0.3), (20, 1, 0.2), (20, 2, 0.2), (20, 4, 0.2), (30, 1, 0.15))
STEPS, TOLERANCE = 200, 1e-5
FIELDS = ("rows", "redundancy", "density", "seed", "free_bound", "ascent", "smoothed", "level1")
Block = tuple[sparse.coo_array, float, float]


def constraints(layer: LayerInstance) -> list[Block]:
    """Sums of variables, and what they lie between; those of connections on cells come last."""
    target, (neurons, lines) = layer.target, layer.hardware.weights.shape
    inputs, input_of = np.unique(target.indices, return_inverse=True)
    on_neuron = np.arange(target.n_rows * neurons).reshape(target.n_rows, neurons)
    on_line = on_neuron.size + np.arange(len(inputs) * lines).reshape(len(inputs), lines)
    first = on_neuron.size + on_line.size
    at = first + np.arange(target.n_connections * neurons * lines).reshape(-1, neurons, lines)
    blocks: list[Block] = []

    def add(groups: np.ndarray, minus: np.ndarray | None, low: float, high: float) -> None:
        """For each row of `groups` the sum of its variables, less one other, lies between these."""
        number = np.arange(len(groups))
        entries, columns, values = np.repeat(number, groups.shape[1]), groups.ravel(), np.ones(groups.size)
        if minus is not None:
            entries, columns = np.append(entries, number), np.append(columns, minus)
            values = np.append(values, -np.ones(len(groups)))
        blocks.append((sparse.coo_array((values, (entries, columns)), shape=(len(groups), first + at.size)), low, high))

    for places in (on_neuron, on_line):
        add(places, None, 1.0, 1.0)
        add(places.T, None, -np.inf, 1.0)
    for cells, i, x in zip(at, target.row_of, input_of, strict=True):
        add(cells, on_neuron[i], 0.0, 0.0)
        add(cells.T, on_line[x], 0.0, 0.0)
    for i in range(target.n_rows):
        add(at[target.row_of == i].reshape(-1, neurons * lines).T, np.repeat(on_neuron[i], lines), -np.inf, 0.0)
    for x in range(len(inputs)):
        add(at[input_of == x].reshape(-1, neurons * lines).T, np.tile(on_line[x], neurons), -np.inf, 0.0)
    return blocks


def level1(layer: LayerInstance, seconds: float) -> float:
    """The dual objective at which PDLP ends; nan where it has not converged by then."""
    blocks, weights = constraints(layer), layer.target.weights
    matrix = sparse.csc_matrix(sparse.vstack([block for block, _, _ in blocks]))
    errors = ((weights[:, None, None] - layer.hardware.weights) ** 2).ravel() / float((weights**2).sum())
    n_rows, n_variables = matrix.shape
    program = pdlp.QuadraticProgram()
    program.resize_and_initialize(n_variables, n_rows)
    program.objective_vector = np.append(np.zeros(n_variables - errors.size), errors)
    program.variable_lower_bounds, program.variable_upper_bounds = np.zeros(n_variables), np.full(n_variables, np.inf)
    program.constraint_lower_bounds = np.concatenate([np.full(block.shape[0], low) for block, low, _ in blocks])
    program.constraint_upper_bounds = np.concatenate([np.full(block.shape[0], high) for block, _, high in blocks])
    program.constraint_matrix = matrix
    asked = solvers_pb2.PrimalDualHybridGradientParams()
    asked.termination_criteria.simple_optimality_criteria.eps_optimal_relative = TOLERANCE
    asked.termination_criteria.simple_optimality_criteria.eps_optimal_absolute = 0.1 * TOLERANCE
    asked.termination_criteria.time_sec_limit = seconds
    log = pdlp.primal_dual_hybrid_gradient(program, asked).solve_log
    if log.termination_reason != solve_log_pb2.TERMINATION_REASON_OPTIMAL:
        return float("nan")
    return float(log.solution_stats.convergence_information[0].dual_objective)


def main() -> None:
    """Bound, and write a line for each layer."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--seconds", type=float, default=120.0)
    given.add_argument("--seeds", type=int, nargs="+", default=[0])
    given.add_argument("--layers", type=int, default=len(LAYERS), help="how many, the smallest first")
    given.add_argument("--output", type=Path, required=True)
    options = given.parse_args()
    with options.output.open("w", newline="") as lines:
        table = csv.writer(lines, lineterminator="\n")
        table.writerow(FIELDS)
        for size, redundancy, density in LAYERS[: options.layers]:
            for seed in options.seeds:
                layer = crossbar(redundancy, False, seed, size, density)
                whole, ascent, found = float((layer.target.weights**2).sum()), Ascent(layer), []
                for smooth in (0, STEPS):
                    if smooth:
                        ascent.smooth(smooth)
                    for _ in range(STEPS):
                        ascent.step()
                    found.append(ascent.bound() / whole)
                bounds = (free_bound(layer, Limits()) / whole, *found, level1(layer, options.seconds))
                table.writerow([size, redundancy, density, seed, *(round(bound, 5) for bound in bounds)])
                lines.flush()


if __name__ == "__main__":
    main()
