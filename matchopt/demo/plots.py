"""The figures of the demo's page, as PNG images."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from matchopt.demo.claims import ORDER
from matchopt.demo.records import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which people with colour-blindness tell apart; grey goes first, to the baseline.
COLOURS = ("#999999", "#E69F00", "#0072B2", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*")
SHOWN = 3  # solvers whose weights are drawn

Weights = Mapping[str, tuple[Float[np.ndarray, " connections"], Float[np.ndarray, " connections"]]]


def accuracy_figure(rows: Sequence[Row], target: Mapping[str, float]) -> str:
    """Test accuracy against weight error, one point per solver, draw and regime; base64 of a PNG."""
    figure, axes = _figure(1, 7.2, 4.2)
    (axis,) = axes
    styles = _styles([row.solver for row in rows])
    regimes = list(dict.fromkeys(row.regime for row in rows))
    for row in sorted(rows, key=lambda row: styles[row.solver]):
        n, hollow = styles[row.solver], regimes.index(row.regime) > 0
        axis.scatter(
            row.figures("weight_error"),
            [100 * accuracy for accuracy in row.figures("test_accuracy")],
            s=90 / (1 + 0.6 * n),  # solvers that find the same mapping stay visible as rings
            marker=MARKERS[n % len(MARKERS)],
            facecolors="none" if hollow else COLOURS[n % len(COLOURS)],
            edgecolors=COLOURS[n % len(COLOURS)],
            linewidths=1.4,
            label=f"{row.solver}, {row.regime}",
            zorder=3,
        )
    axis.axhline(100 * target["test_accuracy"], color="black", linewidth=1, linestyle="--", label="target, unmapped")
    axis.set_xscale("log")
    axis.set_xlabel("weight error of the mapping (log scale)")
    axis.set_ylabel("test accuracy, %")
    axis.legend(fontsize=7.5, frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return _png(figure)


def residual_figure(weights: Weights) -> str:
    """Histogram of realised minus target weight, one line per solver; base64 of a PNG."""
    figure, axes = _figure(1, 7.2, 3.4)
    (axis,) = axes
    errors = {solver: realised - target for solver, (target, realised) in weights.items()}
    widest = max(float(np.abs(error).max(initial=0.0)) for error in errors.values()) or 1.0
    bins = np.linspace(-widest, widest, 82)
    styles = _styles(list(weights))
    for solver, error in errors.items():
        n = styles[solver]
        label = f"{solver}: rms {np.sqrt(np.mean(error**2)):.3f}"
        axis.hist(error, list(bins), histtype="step", linewidth=1.6, color=COLOURS[n % len(COLOURS)], label=label)
    axis.set_yscale("log")
    axis.set_xlabel("realised minus target weight")
    axis.set_ylabel("connections (log scale)")
    axis.legend(fontsize=8, frameon=False)
    return _png(figure)


def weights_figure(weights: Weights) -> str:
    """Realised against target weights, one panel per solver; base64 of a PNG."""
    figure, axes = _figure(len(weights), 3.1 * len(weights), 3.3)
    span = max(float(np.abs(values).max(initial=1e-9)) for pair in weights.values() for values in pair)
    styles = _styles(list(weights))
    for axis, (solver, (target, realised)) in zip(axes, weights.items(), strict=True):
        n = styles[solver]
        axis.plot([-span, span], [-span, span], color="black", linewidth=0.8)
        axis.scatter(target, realised, s=3, alpha=0.5, color=COLOURS[n % len(COLOURS)], linewidths=0)
        axis.set_title(solver, fontsize=10)
        axis.set_xlabel("target weight")
        axis.set_aspect("equal")
        axis.set_xlim(-span, span)
        axis.set_ylim(-span, span)
    axes[0].set_ylabel("realised weight")
    return _png(figure)


def _styles(solvers: Sequence[str]) -> dict[str, int]:
    """A number for every solver, the same in all figures: those of the claims first, the others by name."""
    return {name: n for n, name in enumerate([*ORDER, *sorted(set(solvers) - set(ORDER))])}


def _figure(panels: int, width: float, height: float) -> tuple["Figure", list["Axes"]]:
    # A Figure of its own canvas: pyplot would keep global state and may look for a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=130)
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots(1, panels, squeeze=False)
    for axis in axes[0]:
        axis.grid(color="#dddddd", linewidth=0.6)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
    return figure, list(axes[0])


def _png(figure: "Figure") -> str:
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return base64.b64encode(content.getvalue()).decode()
