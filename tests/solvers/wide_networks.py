"""A network as others train and prune them: fan-ins differ widely, up to ninety."""

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from matchopt import NetworkInstance, Rules
from matchopt.network import ImageData, SparseNetwork, draw_hardware, export_network, load_mnist, read_network

SIZES = (784, 128, 64, 10)
ROUNDS = (0.37, 0.137, 0.05)  # shares of the weights that are left
FREE: dict[str, Any] = {"drop": True, "extra_inputs": True}


@cache
def images() -> ImageData:
    """MNIST, read once."""
    return load_mnist()


@cache
def pruned(folder: Any, epochs: int = 1) -> SparseNetwork:
    """784-128-64-10 on MNIST by PyTorch, three rounds of global magnitude pruning to 5 %: 5,459 connections."""
    import torch
    from torch.nn.utils import prune

    data, layers = images(), list[Any]()
    inputs, labels = torch.tensor(data.train_images, dtype=torch.float32), torch.tensor(data.train_labels).long()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for n, m in pairwise(SIZES):
            layers += [torch.nn.Linear(n, m), torch.nn.ReLU()]
        net, linear = torch.nn.Sequential(*layers[:-1]), layers[::2]

        def train() -> None:
            optimiser = torch.optim.Adam(net.parameters(), lr=2e-3)
            for _ in range(epochs):
                for batch in torch.randperm(len(inputs)).split(128):
                    optimiser.zero_grad()
                    torch.nn.functional.cross_entropy(net(inputs[batch]), labels[batch]).backward()
                    optimiser.step()

        train()
        for before, share in zip((1.0, *ROUNDS), ROUNDS, strict=False):
            weights = [(layer, "weight") for layer in linear]
            prune.global_unstructured(weights, pruning_method=prune.L1Unstructured, amount=1.0 - share / before)
            train()
        for layer in linear:
            prune.remove(layer, "weight")
    torch.save(net.state_dict(), folder / "pruned.pt")
    return read_network(folder / "pruned.pt")


def on_chip(net: SparseNetwork, ratio: float = 1.25, **options: Any) -> NetworkInstance:
    """The network on gaussian cells, to be mapped freely, with 5,000 training images."""
    inputs = np.round(images().train_images[:5_000] * 255).astype(np.uint8)
    chip = draw_hardware(net, "gaussian", ratio, 1.0, 0)
    return export_network(
        net, chip, rules=Rules(**FREE), biases="adjustable", sample_inputs=inputs, sample_scale=1 / 255, **options
    )
