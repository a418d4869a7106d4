"""The figure of the demo's page besides its study's: weights as trained and as realised."""

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from matchopt.formats import read_instance, read_solution
from matchopt.instances import NetworkInstance, NetworkMapping
from matchopt.study.plots import COLOURS, new_figure

Weights = Mapping[str, tuple[Float[np.ndarray, " connections"], Float[np.ndarray, " connections"]]]


def weights_of(folder: Path, record: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Target and realised weight of every connection of the network that a record's files hold."""
    instance = read_instance(folder / record["instance_file"])
    mapping = read_solution(folder / record["solution_file"])
    assert isinstance(instance, NetworkInstance) and isinstance(mapping, NetworkMapping)
    pairs = list(zip(instance.layers, mapping.layers, strict=True))
    target = np.concatenate([layer.target.weights for layer, _ in pairs])
    errors = [layer.pair_errors(part)[2][: layer.target.n_connections] for layer, part in pairs]
    return target, target - np.concatenate(errors)


def weights_figure(weights: Weights) -> str:
    """Realised against target weights, one panel per solver, with the root mean square difference; base64 of a PNG."""
    span = max(float(np.abs(values).max(initial=1e-9)) for pair in weights.values() for values in pair)
    with new_figure(len(weights), 3.4 * len(weights), 3.95) as (figure, axes):
        for colour, axis, (solver, (target, realised)) in zip(COLOURS, axes, weights.items(), strict=False):
            axis.plot([-span, span], [-span, span], color="black", linewidth=0.8)
            axis.scatter(target, realised, s=3, alpha=0.5, color=colour, linewidths=0)
            axis.set_title(f"{solver}: rms {np.sqrt(np.mean((realised - target) ** 2)):.3f}", fontsize=10)
            axis.set_xlabel("target weight")
            axis.set(box_aspect=1, xlim=(-span, span), ylim=(-span, span))
        axes[0].set_ylabel("realised weight")
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=130, metadata={"Software": None})
    return base64.b64encode(content.getvalue()).decode()
