"""Layers that minimise an output error: which of them can be wired here, and their errors by weights."""

from typing import TYPE_CHECKING

import numpy as np

from matchopt import LayerInstance, OutputError
from matchopt_reroute.bounds import moments_of

if TYPE_CHECKING:
    from matchopt.kernels import RowErrors


def refuses_wiring(instance: LayerInstance, solver: str) -> str | None:
    """Why a solver of output errors with one cell per weight on freely routed neurons refuses `instance`, or None."""
    rules = instance.rules
    if not isinstance(instance.objective, OutputError):
        return f"{solver} minimises output errors; under the weight error hungarian is exact"
    if not instance.hardware.free_routing:
        return f"{solver} wires every hardware neuron freely, but some share a bus"
    if rules.cells_per_weight > 1:
        return f"{solver} puts one cell on an input, but {rules.cells_per_weight} are allowed"
    if rules.tunable > 0:
        return f"{solver} would leave a budget of {rules.tunable} tunable connections unspent"
    return None


def output_errors(instance: LayerInstance) -> "tuple[RowErrors, np.ndarray]":
    """The rows' errors as functions of their weights, and the support as a mask."""
    from matchopt.kernels import RowErrors  # only here: it loads numba

    target, moments = instance.target, moments_of(instance).copy()  # writable, so that it is not copied again
    wanted, support = target.dense(), np.zeros((target.n_rows, target.n_inputs), bool)
    support[target.row_of, target.indices] = True
    linear = wanted @ moments
    constant = np.einsum("ix,ix->i", linear, wanted)
    fixed = not instance.rules.drop
    return RowErrors(moments, linear, constant, None, support if fixed else None, wanted if fixed else None), support
