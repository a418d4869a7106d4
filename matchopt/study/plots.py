"""The plots of a study, as SVG files that come out the same every time."""

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle, product
from typing import TYPE_CHECKING, Any

from matchopt.errors import MissingExtra
from matchopt.grid.task import ERROR
from matchopt.study.report import PERCENT, rows_of
from matchopt.study.study_file import Plot, Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Record = Mapping[str, Any]
Points = dict[float, list[float]]  # values of y over repetitions, for every x
EPOCH = "epoch"
COLOURS = (
    "#0b5fa5", "#d1495b", "#3a7d44", "#e08e00", "#6a4c93", "#17a2a2", "#7f5539", "#b5179e", "#555555", "#8ab17d",
    "#ff7f51", "#111111",
)  # fmt: skip
MARKERS = "os^Dv<>PpXh"  # one fewer than colours: 132 lines differ


def draw(study: Study, plot: Plot, records: Sequence[Record]) -> str:
    """One plot as the text of an SVG file. Raises MissingExtra without matplotlib."""
    good = [record for record in records if ERROR not in record]
    good = [record for record in good if all(record.get(name) == value for name, value in plot.where.items())]
    good = good if plot.form == "points" else _repetitions_above_each_other(study, plot, good)
    panels = (list(dict.fromkeys(record.get(plot.panels) for record in good)) if plot.panels else []) or [None]
    with new_figure(len(panels), 1.6 + 4.6 * len(panels), 4.0) as (figure, axes):
        looks = zip(cycle(COLOURS), cycle(MARKERS), strict=False)
        styles = dict(zip(curves(plot, good), looks, strict=False))
        for axis, panel in zip(axes, panels, strict=True):
            chosen = [record for record in good if panel is None or record.get(plot.panels) == panel]
            _panel(axis, plot, chosen, styles)
            _published(axis, study, plot)
            axis.set_title("" if panel is None else f"{plot.panels} {panel}", fontsize=9)
        axes[0].set_ylabel(plot.y_label or (_label(plot.y) if len(plot.y.split()) == 1 else ""))
        handles = {text: line for axis in axes for line, text in zip(*axis.get_legend_handles_labels(), strict=True)}
        axes[-1].legend(handles.values(), handles.keys(), fontsize=7.5, frameon=False, loc="center left",
                           bbox_to_anchor=(1.01, 0.5))  # fmt: skip
        figure.suptitle(plot.title, fontsize=10)
        return as_svg(figure)


def as_svg(figure: "Figure") -> str:
    """The text of an SVG file, the same every time; asked for within the block of its figure."""
    content = io.StringIO()
    figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in content.getvalue().splitlines()) + "\n"


@contextmanager
def new_figure(panels: int, width: float, height: float) -> Iterator[tuple["Figure", list["Axes"]]]:
    """A figure of this size in inches, with panels side by side on one vertical scale; saved within the block.

    Raises MissingExtra without matplotlib.
    """
    with empty_figure(width, height) as figure:
        axes: Any = figure.subplots(1, panels, squeeze=False, sharey=True)
        for axis in axes[0]:
            axis.grid(color="#dddddd", linewidth=0.6)
            axis.set_axisbelow(True)
            axis.spines[["top", "right"]].set_visible(False)
        yield figure, list(axes[0])


@contextmanager
def empty_figure(width: float, height: float, text: int = 9, doing: str = "drawing plots") -> Iterator["Figure"]:
    """A figure of this size in inches, with text of so many points; what it is for is said without matplotlib.

    Raises MissingExtra without it.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure  # a figure of its own: pyplot keeps global state and may want a display
    except ModuleNotFoundError:
        raise MissingExtra(doing, "matplotlib", "reports") from None
    with mpl.rc_context({"svg.hashsalt": "matchopt", "svg.fonttype": "none", "font.size": text}):
        yield Figure(figsize=(width, height), layout="constrained")


def curves(plot: Plot, records: Sequence[Record]) -> dict[str, Points]:
    """The values that a plot draws: for each line, y over the repetitions at every x; shares in percent.

    Several columns in `y` are a line each, whatever `lines` says.
    """
    found: dict[str, Points] = {}
    several = len(plot.y.split()) > 1
    for record, column in product(records, plot.y.split()):
        line = found.setdefault(_label(column) if several else str(record.get(plot.lines, "")), {})
        for x, y in _points(plot, column, record):
            if math.isfinite(x) and math.isfinite(y):
                line.setdefault(x, []).append(y)
    return {name: dict(sorted(points.items())) for name, points in found.items() if points}


def _repetitions_above_each_other(study: Study, plot: Plot, records: Sequence[Record]) -> list[Record]:
    """The records, those of one row of the table at their mean x: it may be an outcome that differs between seeds."""
    if any(plot.x in settings for runs in study.runs.values() for settings in runs):
        return list(records)
    found: list[Record] = []
    for row in rows_of(study, records).values():
        xs = [x for x in (record.get(plot.x) for record in row) if isinstance(x, (int, float))]
        varies = len(set(xs)) > 1 and len(xs) == len(row)
        found += [{**record, plot.x: math.fsum(xs) / len(xs)} for record in row] if varies else row
    return found


def _points(plot: Plot, column: str, record: Record) -> list[tuple[float, float]]:
    scale = _scale(column)
    series = record.get("series", {})
    if plot.x == EPOCH or (plot.x in series and column in series):  # a name may be a figure and a series, too
        ys = series.get(column, [])
        xs = series.get(plot.x, range(1, len(ys) + 1))
        return [(_scale(plot.x) * x, scale * y) for x, y in zip(xs, ys, strict=True) if x is not None and y is not None]
    x, y = record.get(plot.x), record.get(column)
    if not isinstance(x, (int, float)) or not isinstance(y, (int, float)):
        return []
    return [(_scale(plot.x) * x, scale * y)]


def _panel(axis: "Axes", plot: Plot, records: Sequence[Record], styles: Mapping[str, tuple[str, str]]) -> None:
    lines = curves(plot, records)
    for name, points in lines.items():
        colour, marker = styles[name]
        x = list(points)
        if plot.form == "points":
            pairs = [(at, y) for at, ys in points.items() for y in ys]
            look: Any = {"color": colour, "marker": marker, "alpha": 0.7, "linewidths": 0}
            axis.scatter([at for at, _ in pairs], [y for _, y in pairs], s=18, label=name, **look)
            continue
        means = [math.fsum(ys) / len(ys) for ys in points.values()]
        axis.plot(
            x, means, color=colour, marker=marker if len(x) < 30 else None, markersize=4, linewidth=1.4, label=name
        )
        low, high = [min(ys) for ys in points.values()], [max(ys) for ys in points.values()]
        if low != high:
            axis.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    axis.set_xscale(plot.x_scale)
    axis.set_yscale(plot.y_scale)
    for scale, side in ((plot.x_scale, axis.xaxis), (plot.y_scale, axis.yaxis)):
        if scale == "log":
            side.set_major_formatter("{x:g}")
    least = plot.y_from  # unless nothing would be left to see
    if least is not None and any(y > least for points in lines.values() for ys in points.values() for y in ys):
        axis.set_ylim(bottom=plot.y_from)
        axis.annotate(f"below {plot.y_from:g} not shown", (0.01, 0.01), xycoords="axes fraction", fontsize=7)
    axis.set_xlabel(plot.x_label or _label(plot.x))


def _published(axis: "Axes", study: Study, plot: Plot) -> None:
    points = [
        (entry.at[plot.x], entry.value) for entry in study.published if entry.column == plot.y and plot.x in entry.at
    ]
    if points:
        x = [_scale(plot.x) * float(at) for at, _ in points]
        axis.scatter(x, [y for _, y in points], marker="*", s=90, color="black", label="published", zorder=5)


def _scale(column: str) -> float:
    return 100.0 if column in PERCENT else 1.0


def _label(name: str) -> str:
    return f"{name.replace('_', ' ')}, %" if name in PERCENT else name.replace("_", " ")
