"""A mapped network on the analog tiles of aihwkit: `python in_aihwkit.py INSTANCE SOLUTION`.

Without noise the outputs are those of matchopt. With noise, the spread that the chip was measured to have, or with
`--pcm` the phase-change memory model that aihwkit brings, one second after programming.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from aihwkit.inference import PCMLikeNoiseModel
from aihwkit.inference.noise.base import BaseNoiseModel
from aihwkit.nn import AnalogLinear, AnalogSequential
from aihwkit.simulator.configs import InferenceRPUConfig, MappingParameter
from mapped_network import MappedNetwork

SEEDS = 10


class MeasuredNoise(BaseNoiseModel):
    """Read noise of the cells of one tile, Gaussian, with standard deviations in the tile's own units."""

    def __init__(self, deviation: np.ndarray) -> None:
        super().__init__()
        self.deviation = torch.from_numpy(deviation)

    def apply_programming_noise(self, weights: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        return weights, []

    def apply_drift_noise(self, weights: torch.Tensor, drift: list[torch.Tensor], t_inference: float) -> torch.Tensor:
        return weights + self.deviation * torch.randn_like(weights)


def config() -> InferenceRPUConfig:
    """Tiles without converters, which hold each column's weights at a scale of its own and add biases digitally."""
    made = InferenceRPUConfig(
        mapping=MappingParameter(
            digital_bias=True,
            weight_scaling_omega=1.0,
            weight_scaling_columnwise=True,
            max_input_size=0,
            max_output_size=0,
        )
    )
    made.forward.is_perfect = True
    made.drift_compensation = None
    return made


def analog(network: MappedNetwork, noise: BaseNoiseModel | None = None) -> AnalogSequential:
    """The network with its weights programmed into tiles; `noise` in place of what was measured."""
    layers: list[torch.nn.Module] = []
    for weights, bias, deviation in zip(network.weights, network.biases, network.noise, strict=True):
        layer = AnalogLinear(weights.shape[1], weights.shape[0], rpu_config=config())
        layer.set_weights(torch.from_numpy(weights), torch.from_numpy(bias), apply_weight_scaling=True)
        (tile,) = layer.analog_tiles()
        scales = np.broadcast_to(tile.get_mapping_scales().numpy(), len(deviation))
        tile.rpu_config.noise_model = MeasuredNoise(deviation / scales[:, None]) if noise is None else noise
        layers += [layer, torch.nn.ReLU()]
    return AnalogSequential(*layers[:-1]).eval()


def read(model: AnalogSequential, seed: int) -> AnalogSequential:
    """The network one second after programming, with noise."""
    torch.manual_seed(seed)
    model.drift_analog_weights(1.0)
    return model


def outputs(model: AnalogSequential, images: np.ndarray) -> np.ndarray:
    """Of all images."""
    with torch.no_grad():
        return model(torch.from_numpy(images.astype(np.float32))).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("instance", type=Path)
    parser.add_argument("solution", type=Path)
    parser.add_argument("--pcm", action="store_true", help="noise of aihwkit's model, not what was measured")
    given = parser.parse_args()
    network = MappedNetwork(given.instance, given.solution)
    data = network.data()
    images, labels = data.test_images, data.test_labels
    model = analog(network, PCMLikeNoiseModel(g_max=25.0) if given.pcm else None)
    own, perfect = network.signals(images), outputs(model, images)
    accuracies = [np.mean(signals.argmax(axis=1) == labels) for signals in (own, perfect)]
    print("matchopt {:.4f}, aihwkit without noise {:.4f}".format(*accuracies))
    print(f"largest difference of outputs {np.abs(own - perfect).max():.1e}, of {np.abs(own).max():.1f}")
    found = [np.mean(outputs(read(model, seed), images).argmax(axis=1) == labels) for seed in range(SEEDS)]
    print(f"with noise, {SEEDS} seeds: {np.mean(found):.4f} +- {np.std(found, ddof=1):.4f}")


if __name__ == "__main__":
    main()
