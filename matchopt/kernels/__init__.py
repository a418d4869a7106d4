"""Matching costs of target rows with hardware neurons: the hot loops, compiled on first use."""

from matchopt.kernels.matching import Matching as Matching
from matchopt.kernels.matching import match_rows as match_rows
from matchopt.kernels.pairs import cheapest_neurons as cheapest_neurons
from matchopt.kernels.pairs import nearest_cell_costs as nearest_cell_costs
from matchopt.kernels.pairs import pair_costs as pair_costs
from matchopt.kernels.placing import CellPlacement as CellPlacement
from matchopt.kernels.placing import Places as Places
from matchopt.kernels.placing import RowErrors as RowErrors
from matchopt.kernels.placing import Scales as Scales
from matchopt.kernels.projection import BoundProjection as BoundProjection
from matchopt.kernels.projection import FreeProjection as FreeProjection
from matchopt.kernels.projection import Projection as Projection
from matchopt.kernels.projection import Wires as Wires
from matchopt.kernels.wired import adam_step as adam_step
from matchopt.kernels.wired import wired_backward as wired_backward
from matchopt.kernels.wired import wired_forward as wired_forward
