"""The four kinds of instances with their solutions, and what layers are made of."""

from matchopt.instances.architecture import Architecture as Architecture
from matchopt.instances.architecture import Convolution as Convolution
from matchopt.instances.architecture import Convolutional as Convolutional
from matchopt.instances.architecture import FullyConnected as FullyConnected
from matchopt.instances.architecture import Recurrent as Recurrent
from matchopt.instances.architecture_names import architecture_named as architecture_named
from matchopt.instances.assignment import Assignment as Assignment
from matchopt.instances.assignment import AssignmentInstance as AssignmentInstance
from matchopt.instances.base import Instance as Instance
from matchopt.instances.base import Provenance as Provenance
from matchopt.instances.base import Solution as Solution
from matchopt.instances.chip import Chip as Chip
from matchopt.instances.chip import ChipArray as ChipArray
from matchopt.instances.hardware import Hardware as Hardware
from matchopt.instances.imperfections import Imperfections as Imperfections
from matchopt.instances.layer import LayerInstance as LayerInstance
from matchopt.instances.layer import LayerMapping as LayerMapping
from matchopt.instances.network import DataReference as DataReference
from matchopt.instances.network import NetworkInstance as NetworkInstance
from matchopt.instances.network import NetworkMapping as NetworkMapping
from matchopt.instances.objective import LayerObjective as LayerObjective
from matchopt.instances.objective import Objective as Objective
from matchopt.instances.objective import OutputError as OutputError
from matchopt.instances.objective import WeightError as WeightError
from matchopt.instances.places import CellPlace as CellPlace
from matchopt.instances.places import Origin as Origin
from matchopt.instances.places import Place as Place
from matchopt.instances.program import ProgramInstance as ProgramInstance
from matchopt.instances.program import ProgramPoint as ProgramPoint
from matchopt.instances.rules import Gains as Gains
from matchopt.instances.rules import Rules as Rules
from matchopt.instances.sample_objective import FunctionalError as FunctionalError
from matchopt.instances.sample_objective import SampleObjective as SampleObjective
from matchopt.instances.sample_objective import ScoreError as ScoreError
from matchopt.instances.sample_objective import TaskLoss as TaskLoss
from matchopt.instances.target import Target as Target
from matchopt.parts import Parts as Parts

INSTANCES: dict[str, type[Instance]] = {
    cls.kind: cls for cls in (NetworkInstance, LayerInstance, AssignmentInstance, ProgramInstance)
}
SOLUTIONS: dict[str, type[Solution]] = {
    cls.kind: cls for cls in (NetworkMapping, LayerMapping, Assignment, ProgramPoint)
}
