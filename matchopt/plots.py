"""Plots for notebooks; they need matplotlib."""

from typing import TYPE_CHECKING, Any

from matchopt.errors import MissingExtra
from matchopt.run import Mapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 20_000  # points of a layer that are drawn


def plot_weights(mapped: Mapped, ax: "Axes | None" = None) -> "Axes":
    """Draw the weight that the hardware realises of every connection against the weight that was wanted.

    Parameters
    ----------
    mapped : `run.mapping`. Of a layer with more than 20 000 connections every so manieth is drawn.
    ax : where to draw; None for a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        with one set of points for each layer.

    Raises
    ------
    MissingExtra
        without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MissingExtra("plotting weights", "matplotlib", "reports") from None
    axes: Any = Figure(figsize=(5.0, 5.0), layout="constrained").subplots() if ax is None else ax
    for number, (found, wanted) in enumerate(zip(mapped.weights, mapped.targets, strict=True)):
        used = (wanted != 0) | (found != 0)
        step = max(1, int(used.sum()) // MOST)
        axes.plot(wanted[used][::step], found[used][::step], ".", markersize=3, label=f"layer {number}")
    low, high = axes.get_xlim()
    axes.plot([low, high], [low, high], color="0.5", linewidth=0.8)  # where both are equal
    axes.set(xlabel="weight wanted", ylabel="weight realised")
    axes.legend()
    return axes  # type: ignore[no-any-return]
