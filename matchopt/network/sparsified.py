"""Dense networks made sparse: the largest weights are kept, and trained on where there are data."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from matchopt.errors import InvalidInstance, InvalidOption
from matchopt.network.chain import network_of
from matchopt.network.data.images import ImageData
from matchopt.network.methods.gradual_pruning import strongest
from matchopt.network.sparse_network import SparseNetwork, TrainingRecord
from matchopt.network.steps import sample_shape, steps_of
from matchopt.network.training.engines import steady_arithmetic
from matchopt.network.training.loop import TrainingLoop
from matchopt.network.training.method import Method, Phase, Setting, Step, check_fit
from matchopt.network.training.optimisers import Adam
from matchopt.network.training.records import Conduct, Progress
from matchopt.network.training.streams import Streams
from matchopt.settings import NonNegativeFloat, PositiveInt, Share, checked


def sparsified(network: SparseNetwork, connectivity: float | None = None, fan_in: Sequence[int] = ()) -> SparseNetwork:
    """The network with its largest weights alone.

    Parameters
    ----------
    network : what is pruned; batch normalisation is multiplied into its filters first.
    connectivity : share of all weights to keep, above 0, at most 1; each is compared as a multiple of the root mean
        square of its matrix.
    fan_in : instead of that, weights to keep of every unit, for each layer; a layer with fewer inputs keeps all.

    Raises
    ------
    InvalidOption
        when both or neither are given, a number is out of range, or there is not one fan-in for each layer.
    """
    network = plain(network)
    if (connectivity is None) == (not fan_in):
        raise InvalidOption("connectivity or fan_in: one of them says how sparse a network becomes, give one")
    sizes = [np.abs(layer.weights) for layer in network.layers]
    if connectivity is None:
        if len(fan_in) != len(sizes) or min(fan_in) < 1:
            raise InvalidOption(f"fan_in needs one number >= 1 per layer, {len(sizes)}, found {tuple(fan_in)}")
        masks = [strongest(size, min(count, size.shape[1])) for size, count in zip(sizes, fan_in, strict=True)]
    else:
        checked(connectivity, Share, "connectivity")
        scaled = [size / max(float(np.sqrt(np.mean(size**2))), 1e-30) for size in sizes]
        flat = np.concatenate([size.ravel() for size in scaled])
        kept = strongest(flat[None, :], max(1, round(connectivity * flat.size)))[0]
        masks = [part.reshape(size.shape) for part, size in
                 zip(np.split(kept, np.cumsum([size.size for size in sizes])[:-1]), sizes, strict=True)]  # fmt: skip
    found = [(layer.weights * mask, mask & layer.mask) for layer, mask in zip(network.layers, masks, strict=True)]
    return SparseNetwork.from_arrays(
        [weights for weights, _ in found], network.biases, [mask for _, mask in found], network.record,
        network.architecture,
    )  # fmt: skip


def plain(network: SparseNetwork) -> SparseNetwork:
    """The network with its batch normalisations multiplied into filters."""
    if not network.buffers:
        return network
    made = network_of(steps_of(network), sample_shape(network.architecture), InvalidInstance)
    return made.with_record(network.record)


def retrained(
    network: SparseNetwork,
    data: ImageData,
    epochs: int = 5,
    seed: int = 0,
    rate: float = 1e-3,
    batch_size: int = 100,
    progress: Progress | None = None,
) -> SparseNetwork:
    """The network trained on with its connections alone; its record has the accuracies.

    Parameters
    ----------
    network : where training starts; batch normalisation is multiplied into its filters first.
    data : trained on, chosen on and, once, tested on.
    epochs : passes over the training samples, >= 1.
    seed : of their order.
    rate : learning rate of Adam at the start, falling linearly to 0.
    batch_size : most samples per step; few enough for ten steps in an epoch are taken.
    progress : told of every epoch.

    Raises
    ------
    InvalidOption
        when the network does not fit the data, or training diverges.
    """
    checked(epochs, PositiveInt, "epochs")
    checked(rate, NonNegativeFloat, "rate")
    network = plain(network)
    check_fit(data, network.architecture)
    streams, size = Streams.of(seed), max(1, min(batch_size, len(data.train_images) // 10))
    config = {**network.record.config, "epochs": epochs, "rate": rate, "batch_size": size}
    with steady_arithmetic(1):
        setting = Setting(data, network.architecture, "cpu", streams.start, streams.chance, streams.noise)
        record = TrainingRecord("retrained", config, seed)
        method = _Retraining(network, setting, Phase("retrain", epochs, size), rate)
        found = TrainingLoop(data, method, record, streams, progress, Conduct()).run().network
    reference = network.record.data or data.reference
    return found.with_record(replace(found.record, data=reference))


class _Retraining(Method):
    """Adam on the connections that there are."""

    def __init__(self, network: SparseNetwork, setting: Setting, phase: Phase, rate: float) -> None:
        parameters = np.concatenate([part.ravel() for part in (*network.weights, *network.biases)])
        self.net = setting.model(Adam(), parameters.astype(np.float32))
        self.net.use(np.concatenate([layer.mask.ravel() for layer in network.layers]))
        self.phases, self._rate = (phase,), rate

    def step(self, at: Step) -> None:
        self.net.step(self._rate * (1.0 - at.done))  # type: ignore[attr-defined]
