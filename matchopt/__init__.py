"""matchopt: map trained sparse networks onto hardware whose weights are random and fixed.

Everything a user or a plugin needs is here, and loads on first use: numpy with the instances, numba and scipy only with
what computes. Not `check` and `certify`: a function and a module of one name would shadow each other.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matchopt.check import is_feasible as is_feasible
    from matchopt.errors import DataError as DataError
    from matchopt.errors import FormatError as FormatError
    from matchopt.errors import InvalidInstance as InvalidInstance
    from matchopt.errors import InvalidOption as InvalidOption
    from matchopt.errors import InvalidSolution as InvalidSolution
    from matchopt.errors import MatchoptError as MatchoptError
    from matchopt.errors import MissingExtra as MissingExtra
    from matchopt.errors import PluginError as PluginError
    from matchopt.errors import Refused as Refused
    from matchopt.errors import UnknownName as UnknownName
    from matchopt.formats import read as read
    from matchopt.formats import write as write
    from matchopt.hookspecs import hookimpl as hookimpl
    from matchopt.instances import Architecture as Architecture
    from matchopt.instances import Assignment as Assignment
    from matchopt.instances import AssignmentInstance as AssignmentInstance
    from matchopt.instances import Convolution as Convolution
    from matchopt.instances import Convolutional as Convolutional
    from matchopt.instances import DataReference as DataReference
    from matchopt.instances import FullyConnected as FullyConnected
    from matchopt.instances import FunctionalError as FunctionalError
    from matchopt.instances import Gains as Gains
    from matchopt.instances import Hardware as Hardware
    from matchopt.instances import Imperfections as Imperfections
    from matchopt.instances import Instance as Instance
    from matchopt.instances import LayerInstance as LayerInstance
    from matchopt.instances import LayerMapping as LayerMapping
    from matchopt.instances import NetworkInstance as NetworkInstance
    from matchopt.instances import NetworkMapping as NetworkMapping
    from matchopt.instances import Objective as Objective
    from matchopt.instances import OutputError as OutputError
    from matchopt.instances import ProgramInstance as ProgramInstance
    from matchopt.instances import ProgramPoint as ProgramPoint
    from matchopt.instances import Provenance as Provenance
    from matchopt.instances import Recurrent as Recurrent
    from matchopt.instances import Rules as Rules
    from matchopt.instances import SampleObjective as SampleObjective
    from matchopt.instances import ScoreError as ScoreError
    from matchopt.instances import Solution as Solution
    from matchopt.instances import Target as Target
    from matchopt.instances import TaskLoss as TaskLoss
    from matchopt.instances import WeightError as WeightError
    from matchopt.instances import architecture_named as architecture_named
    from matchopt.kernels import BoundProjection as BoundProjection
    from matchopt.kernels import CellPlacement as CellPlacement
    from matchopt.kernels import FreeProjection as FreeProjection
    from matchopt.kernels import Places as Places
    from matchopt.kernels import Projection as Projection
    from matchopt.kernels import RowErrors as RowErrors
    from matchopt.kernels import Scales as Scales
    from matchopt.kernels import Wires as Wires
    from matchopt.kernels import adam_step as adam_step
    from matchopt.kernels import match_rows as match_rows
    from matchopt.kernels import pair_costs as pair_costs
    from matchopt.kernels import wired_backward as wired_backward
    from matchopt.kernels import wired_forward as wired_forward
    from matchopt.reduce import not_separable as not_separable
    from matchopt.reduce import reduction as reduction
    from matchopt.reduce import surrogate as surrogate
    from matchopt.run import solve as solve
    from matchopt.solver import Limit as Limit
    from matchopt.solver import Limits as Limits
    from matchopt.solver import Result as Result
    from matchopt.solver import Solver as Solver
    from matchopt.solver import Status as Status

__version__ = "0.1.0"

_DOOR = {
    "matchopt.check": ("is_feasible",),
    "matchopt.errors": (
        "DataError",
        "FormatError",
        "InvalidInstance",
        "InvalidOption",
        "InvalidSolution",
        "MatchoptError",
        "MissingExtra",
        "PluginError",
        "Refused",
        "UnknownName",
    ),
    "matchopt.formats": ("read", "write"),
    "matchopt.hookspecs": ("hookimpl",),
    "matchopt.instances": (
        "Architecture",
        "Assignment",
        "AssignmentInstance",
        "Convolution",
        "Convolutional",
        "DataReference",
        "FullyConnected",
        "FunctionalError",
        "Gains",
        "Hardware",
        "Imperfections",
        "Instance",
        "LayerInstance",
        "LayerMapping",
        "NetworkInstance",
        "NetworkMapping",
        "Objective",
        "OutputError",
        "ProgramInstance",
        "ProgramPoint",
        "Provenance",
        "Recurrent",
        "Rules",
        "SampleObjective",
        "ScoreError",
        "Solution",
        "Target",
        "TaskLoss",
        "WeightError",
        "architecture_named",
    ),
    "matchopt.kernels": (
        "BoundProjection",
        "CellPlacement",
        "FreeProjection",
        "Places",
        "Projection",
        "RowErrors",
        "Scales",
        "Wires",
        "adam_step",
        "match_rows",
        "pair_costs",
        "wired_backward",
        "wired_forward",
    ),
    "matchopt.reduce": ("not_separable", "reduction", "surrogate"),
    "matchopt.run": ("solve",),
    "matchopt.solver": ("Limit", "Limits", "Result", "Solver", "Status"),
}
_HOME = {name: module for module, names in _DOOR.items() for name in names}
__all__ = [*_HOME, "__version__"]  # they load on first use


def __getattr__(name: str) -> Any:
    """Load a public name on first use."""
    if name not in _HOME:
        raise AttributeError(f"module 'matchopt' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """All public names."""
    return sorted(__all__)
