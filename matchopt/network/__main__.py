"""Compile the loops of training and keep them on disk: `python -m matchopt.network`, so that none has to wait."""

from typing import Any

import numpy as np

from matchopt.instances.architecture import FullyConnected
from matchopt.instances.network import DataReference
from matchopt.network import ImageData
from matchopt.network.data.augmentation import Augmentation, CropAugmentation
from matchopt.plugins import load_plugins

REWIRING = {"connectivity": 0.3, "alpha": 0.05, "noise_std": 0.05, "epochs": 5}  # some connections end
METHODS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("deep-rewiring", REWIRING),
    ("deep-rewiring", {**REWIRING, "optimiser": "adam", "budget": "network", "redraw_signs": True}),
    ("soft-deep-rewiring", REWIRING),
    ("slot-machines", {"optimiser": "sgd"}),
    ("slot-machines", {"selection": "probabilistic"}),
    ("slot-machines", {"form": "scores"}),
)


def compile_all() -> None:
    """Train a tiny network by each of the methods that run compiled loops."""
    part = np.eye(4, dtype=np.float32), np.arange(4)
    data = ImageData(*part, *part, *part, 4, DataReference("identity", "0" * 64), (4,))
    registry = load_plugins()
    for name, options in METHODS:
        registry.make_trainer(name, {"epochs": 1, "batch_size": 2, **options}).train(data, FullyConnected((4, 3, 4)), 0)
    rng = np.random.default_rng(0)
    Augmentation()(np.zeros((1, 28 * 28), np.float32), rng)
    for pixels in (np.uint8, np.float32):
        CropAugmentation()(np.zeros((1, 3 * 32 * 32), pixels), rng)


if __name__ == "__main__":
    compile_all()
