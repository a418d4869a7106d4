"""Training sparse networks, and judging what a chip makes of them.

Training needs torch, and loads it when it begins; all of this imports without.
"""

from matchopt.network.accuracy import Measurement as Measurement
from matchopt.network.accuracy import measure as measure
from matchopt.network.data import ImageData as ImageData
from matchopt.network.data import load_mnist as load_mnist
from matchopt.network.export import draw_hardware as draw_hardware
from matchopt.network.export import export_network as export_network
from matchopt.network.foreign import read_network as read_network
from matchopt.network.methods.deep_rewiring import DeepRewiring as DeepRewiring
from matchopt.network.methods.dense import DenseTraining as DenseTraining
from matchopt.network.methods.edge_popup import EdgePopup as EdgePopup
from matchopt.network.methods.fixed_random import FixedRandom as FixedRandom
from matchopt.network.methods.gradual_pruning import GradualPruning as GradualPruning
from matchopt.network.methods.l1_shrinkage import L1Shrinkage as L1Shrinkage
from matchopt.network.methods.laperm import LaPerm as LaPerm
from matchopt.network.methods.lottery_ticket import LotteryTicket as LotteryTicket
from matchopt.network.methods.magnitude_pruning import MagnitudePruning as MagnitudePruning
from matchopt.network.methods.rigl import RigL as RigL
from matchopt.network.methods.slot_machines import SlotMachines as SlotMachines
from matchopt.network.methods.soft_deep_rewiring import SoftDeepRewiring as SoftDeepRewiring
from matchopt.network.methods.sparse_evolution import SparseEvolution as SparseEvolution
from matchopt.network.network_file import write_network as write_network
from matchopt.network.realise import RealisedNetwork as RealisedNetwork
from matchopt.network.realise import realise as realise
from matchopt.network.realise import unmapped as unmapped
from matchopt.network.sparse_network import SparseLayer as SparseLayer
from matchopt.network.sparse_network import SparseNetwork as SparseNetwork
from matchopt.network.sparse_network import TrainingRecord as TrainingRecord
from matchopt.network.training.masked import MaskedModel as MaskedModel
from matchopt.network.training.method import Method as Method
from matchopt.network.training.method import Phase as Phase
from matchopt.network.training.method import Setting as Setting
from matchopt.network.training.method import Step as Step
from matchopt.network.training.model import Model as Model
from matchopt.network.training.optimisers import Adam as Adam
from matchopt.network.training.optimisers import Sgd as Sgd
from matchopt.network.training.records import Conduct as Conduct
from matchopt.network.training.records import EpochRecord as EpochRecord
from matchopt.network.training.records import Progress as Progress
from matchopt.network.training.records import TrainedResult as TrainedResult
from matchopt.network.training.trainer import Trainer as Trainer
from matchopt.parts import Parts as Parts
