"""The figures of the demo's page besides its study's: accuracies, and weights as trained and as realised."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from matchopt.formats import read_instance, read_solution
from matchopt.instances import NetworkInstance, NetworkMapping
from matchopt.study.plots import COLOURS, as_svg, new_figure

Weights = Mapping[str, tuple[Float[np.ndarray, " connections"], Float[np.ndarray, " connections"]]]


def accuracy_figure(rows: Mapping[tuple[str, ...], Sequence[Mapping[str, Any]]], target: float | None) -> str:
    """Test accuracy of every row of the table, a mark for each draw, with the line of the target; as SVG."""
    labels = list(dict.fromkeys(label for label, _ in rows))
    places = {key: -n - labels.index(key[0]) for n, key in enumerate(rows)}  # a gap between groups
    with new_figure(1, 11.5, 0.9 + 0.19 * (len(rows) + len(labels))) as (figure, (axis,)):
        for colour, label in zip(COLOURS * len(labels), labels, strict=False):
            own = {key: records for key, records in rows.items() if key[0] == label}
            x = [100.0 * record["test"] for records in own.values() for record in records]
            y = [places[key] for key, records in own.items() for _ in records]
            axis.scatter(x, y, s=26, color=colour, alpha=0.8, linewidths=0, label=label)
            for key, records in own.items():
                mean = 100.0 * sum(record["test"] for record in records) / len(records)
                axis.annotate(f"{mean:.1f}", (1.005, places[key]), xycoords=("axes fraction", "data"), va="center")
        axis.set_yticks(list(places.values()), [solver for _, solver in rows])
        axis.margins(y=0.02)
        if target is not None:
            axis.axvline(100.0 * target, color="black", linestyle="--", linewidth=1.0)
            text = f"target (unmapped) {100.0 * target:.1f}"
            axis.annotate(text, (100.0 * target, 1.0), xycoords=("data", "axes fraction"), ha="right", va="bottom")
        axis.set_xlabel("test accuracy, %; one mark for every hardware draw, means at the right")
        figure.legend(loc="outside upper left", ncols=len(labels), frameon=False)
        text = as_svg(figure)
    return text[text.index("<svg") :]


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
