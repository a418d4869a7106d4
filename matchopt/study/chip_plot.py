"""A chip as a picture: a map of values and a map of faults for each of its arrays."""

from typing import Any

import numpy as np

from matchopt.instances import Chip, ChipArray
from matchopt.study.plots import as_svg, empty_figure

MOST = 8  # arrays in one picture
FAULTS = (("healthy", "#f4f4f4"), ("unusable", "#111111"), ("stuck low", "#0b5fa5"), ("stuck high", "#d1495b"))


def draw_chip(chip: Chip) -> str:
    """The text of an SVG file with the first arrays, that comes out the same every time.

    Raises MissingExtra without matplotlib.
    """
    shown = chip.arrays[:MOST]
    with empty_figure(9.0, 3.4 * len(shown), 8, "drawing a chip") as figure:
        axes: Any = figure.subplots(len(shown), 2, squeeze=False)
        for row, array in zip(axes, shown, strict=True):
            _draw(figure, row, array, chip.unit)
        if len(chip.arrays) > MOST:
            figure.suptitle(f"the first {MOST} of {len(chip.arrays)} arrays")
        return as_svg(figure)


def _draw(figure: Any, axes: Any, array: ChipArray, unit: str) -> None:
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    healthy = array.usable & ~array.stuck
    values = array.weights[healthy] if healthy.any() else array.weights
    low, high = np.quantile(values, [0.01, 0.99]) if values.size else (0.0, 1.0)
    shown = axes[0].imshow(np.where(array.usable, array.weights, np.nan), vmin=low, vmax=high, cmap="viridis",
                           aspect="auto", interpolation="nearest")  # fmt: skip
    bar = figure.colorbar(shown, ax=axes[0], extend="both")
    bar.set_label(unit)
    kind = np.where(array.usable, 0, 1)
    kind[array.stuck & array.usable] = 2
    kind[array.stuck & array.usable & (array.weights >= np.median(values) if values.size else False)] = 3
    axes[1].imshow(kind, vmin=0, vmax=3, cmap=ListedColormap([colour for _, colour in FAULTS]), aspect="auto",
                   interpolation="nearest")  # fmt: skip
    counts = np.bincount(kind.ravel(), minlength=4).tolist()
    patches = [
        Patch(color=colour, label=f"{name} {count}") for (name, colour), count in zip(FAULTS, counts, strict=True)
    ]
    axes[1].legend(handles=patches, fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    name = " ".join(part for part in (array.place.file.rpartition("/")[2], array.place.array) if part)
    axes[0].set_title(f"{name}: value", fontsize=9)
    axes[1].set_title("faults", fontsize=9)
    for axis in axes:
        axis.set_xlabel("column (cell)")
    axes[0].set_ylabel("row (hardware neuron)")
