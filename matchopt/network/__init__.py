"""Training sparse networks, and judging what a chip makes of them.

Names that train need torch and load it when first used; all others do without.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from matchopt.network.accuracy import Measurement as Measurement
from matchopt.network.accuracy import measure as measure
from matchopt.network.data import ImageData as ImageData
from matchopt.network.data import load_mnist as load_mnist
from matchopt.network.export import draw_hardware as draw_hardware
from matchopt.network.export import export_network as export_network
from matchopt.network.foreign import read_network as read_network
from matchopt.network.network_file import write_network as write_network
from matchopt.network.realise import RealisedNetwork as RealisedNetwork
from matchopt.network.realise import realise as realise
from matchopt.network.realise import unmapped as unmapped
from matchopt.network.sparse_network import SparseLayer as SparseLayer
from matchopt.network.sparse_network import SparseNetwork as SparseNetwork
from matchopt.network.sparse_network import TrainingRecord as TrainingRecord
from matchopt.network.trainer import EpochRecord as EpochRecord
from matchopt.network.trainer import Progress as Progress
from matchopt.network.trainer import TrainedResult as TrainedResult
from matchopt.network.trainer import Trainer as Trainer

if TYPE_CHECKING:
    from matchopt.network.deep_rewiring import DeepRewiring as DeepRewiring
    from matchopt.network.dense import DenseTraining as DenseTraining
    from matchopt.network.gradual_pruning import GradualPruning as GradualPruning

_TRAINERS = {"DeepRewiring": "deep_rewiring", "DenseTraining": "dense", "GradualPruning": "gradual_pruning"}


def __getattr__(name: str) -> Any:
    """Load the module of a training method when its class is first asked for."""
    if name not in _TRAINERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from matchopt.errors import MissingExtra

    try:
        return getattr(import_module(f"{__name__}.{_TRAINERS[name]}"), name)
    except ModuleNotFoundError as cause:
        if cause.name != "torch":
            raise
        raise MissingExtra("training", "torch", "torch") from None
