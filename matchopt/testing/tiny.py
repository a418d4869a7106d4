"""The tiny instances of the conformance kit, of every kind and rule, and one of middling size per kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from matchopt.instances import (
    AssignmentInstance,
    Hardware,
    Instance,
    LayerInstance,
    NetworkInstance,
    ProgramInstance,
    Target,
)
from matchopt.testing.brute import brute_force
from matchopt.testing.optimum import Optimum
from matchopt.testing.tiny_assignments import tiny_assignments
from matchopt.testing.tiny_layers import tiny_layers
from matchopt.testing.tiny_networks import tiny_networks
from matchopt.testing.tiny_programs import tiny_programs

RELATIVE_TOLERANCE = 1e-6  # engines that work in floats stop within 1e-7 of a row's or objective's scale


@dataclass(frozen=True, eq=False)
class TinyInstance:
    """A named instance that enumeration can solve.

    Parameters
    ----------
    name : kind and trait, such as "layer-drop-noise"; part of a test's id.
    instance : the instance.
    """

    name: str
    instance: Instance

    @cached_property
    def optimum(self) -> Optimum:
        """What `brute_force` finds; computed once."""
        return brute_force(self.instance)

    @cached_property
    def tolerance(self) -> float:
        """How far a float objective may be from the optimum and still equal it; 0 where all costs are integers."""
        return tolerance_of(self.instance)


def tolerance_of(instance: Instance) -> float:
    """1e-6 of the size of an instance's costs, so that instances in siemens are judged as sharply as others."""
    match instance:
        case AssignmentInstance():
            finite = np.abs(instance.cost[np.isfinite(instance.cost)])
            return 0.0 if instance.is_integral else RELATIVE_TOLERANCE * float(finite.max(initial=0.0))
        case LayerInstance():
            arrays = (instance.target.weights, instance.hardware.weights)  # the largest squared is the size of an error
            return RELATIVE_TOLERANCE * float(max(np.abs(array).max(initial=0.0) for array in arrays) ** 2)
        case NetworkInstance() if instance.objective is None:
            return sum(tolerance_of(layer) for layer in instance.layers)
        case ProgramInstance():
            return RELATIVE_TOLERANCE * (float(np.abs(instance.cost).max(initial=0.0)) + abs(instance.offset))
    return RELATIVE_TOLERANCE


@cache
def tiny_instances() -> tuple[TinyInstance, ...]:
    """All tiny instances, in a fixed order; their optima are found when they are first asked for."""
    tables: tuple[Mapping[str, Instance], ...] = (tiny_networks(), tiny_layers(), tiny_assignments(), tiny_programs())
    return tuple(TinyInstance(name, instance) for table in tables for name, instance in table.items())


@cache
def middling_instances() -> Mapping[str, tuple[Instance, ...]]:
    """Instances of each kind on which a search has something to do for longer than the kit's time limit.

    A solver is asked about the first that it takes; the last of layers and networks are for solvers of shared buses.
    """
    rng = np.random.default_rng(7)
    layers = tuple(_middling_layer(rng, rows, inputs) for rows, inputs in ((24, 40), (16, 24)))
    biases = tuple(np.zeros(layer.n_rows) for layer in layers)
    table = {"assignment": (AssignmentInstance(rng.random((120, 150))),), "program": (_middling_program(rng),)}
    crossbar = LayerInstance(layers[0].target, Hardware(rng.normal(size=(32, 44)), bus=np.zeros(32, np.int64)))
    network = NetworkInstance((crossbar,), biases[:1])
    return {"network": (NetworkInstance(layers, biases), network), "layer": (layers[0], crossbar), **table}


def _middling_layer(rng: np.random.Generator, rows: int, inputs: int, fan_in: int = 8) -> LayerInstance:
    mask = np.argsort(rng.random((rows, inputs)), axis=1) < fan_in
    return LayerInstance(
        Target.from_dense(rng.normal(size=(rows, inputs)), mask), Hardware(rng.normal(size=(rows + 8, fan_in + 2)))
    )


def _middling_program(rng: np.random.Generator, items: int = 60, resources: int = 5) -> ProgramInstance:
    """A knapsack with several resources: quickly feasible, slowly proved."""
    weights = rng.integers(10, 100, (resources, items))
    return ProgramInstance(
        cost=-(weights.sum(axis=0) + rng.integers(0, 50, items)).astype(float),
        indptr=np.arange(resources + 1) * items,
        indices=np.tile(np.arange(items), resources),
        coefficients=weights.ravel().astype(float),
        row_low=np.full(resources, -np.inf),
        row_high=weights.sum(axis=1) // 2.0,
        high=np.ones(items),
        integral=np.ones(items, bool),
    )
