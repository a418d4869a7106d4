"""The figures of a report as Vega-Lite charts: what is drawn, and the data that they draw."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from matchopt.bench import metrics
from matchopt.bench.standing import FLOOR, TARGET, TARGETS, Standing

Spec = dict[str, Any]
Rows = list[dict[str, Any]]
MOST = 12  # solvers in a chart, the first of the leaderboard: more lines cannot be told apart
STEPS = 250  # points of a line
PROFILE_END = 1_000.0  # times the best, where profiles end
_CHOSEN = {"name": "chosen", "select": {"type": "point", "fields": ["solver"]}, "bind": "legend"}
_FADED: Spec = {"condition": {"param": "chosen", "value": 1}, "value": 0.12}


def specs() -> dict[str, tuple[str, str, Spec]]:
    """Heading, explanation and chart of each figure, without data."""
    target = f"{100 * TARGET:g} %"
    targets = ", ".join(f"{100 * gap:g} %" for gap in TARGETS)
    return {
        "ranks": ("How sure the order is",
                  "Mean rank by gap to the best value, with the interval of 95 % over instances drawn again.",
                  _ranks()),
        "profile": ("Performance profile",
                    f"Share of all instances and seeds that come within {target} of the best value, within a factor of "
                    "the fastest solver's seconds. Who else is there changes it.",
                    _steps("factor", "times the fastest", "share", "share of problems", "log")),
        "pair": ("The first two alone",
                 "The same profile of the two best ranked, which no third one can turn round.",
                 _steps("factor", "times the faster", "share", "share of problems", "log")),
        "distribution": ("Runtime distribution",
                         f"Share of all runs and targets ({targets} from the best value) reached by then.",
                         _steps("seconds", "seconds", "share", "share of runs and targets", "log")),
        "anytime": ("Gap over time",
                    "Mean gap to the best value, 1 before the first solution.",
                    _line("seconds", "seconds", "gap", "mean gap")),
        "gaps": ("Every instance",
                 "Gap to the best value, mean over seeds; empty where a solver refused the instance.",
                 _cells()),
        "accuracy": ("What accuracy is left",
                     "Test accuracy of the mapped networks: mean over seeds, and from the least to the most, with one "
                     "standard deviation of the reads where the chip has read noise. A stroke is the network before.",
                     _accuracy()),
        "errors": ("Error against accuracy",
                   "Every run: squared error of all weights as a share of their squares, and test accuracy. How well "
                   "does what is minimised say what is wanted?",
                   _errors()),
    }  # fmt: skip


def data(standing: Standing) -> dict[str, Rows]:
    """The rows of each figure."""
    names = standing.solvers[:MOST]
    times, gaps = standing.anytime()
    costs = np.where(np.isinf(standing.costs), 1.0, standing.costs)
    return {
        "ranks": [row for row in standing.leaderboard()[:MOST] if row["instances"]],
        "profile": _profile(standing.times[:, : len(names)], names),
        "pair": _profile(standing.times[:, :2], names[:2]) if len(names) > 1 else [],
        "distribution": _rows(standing.distribution(), names, "seconds"),
        "anytime": [
            {"solver": name, "seconds": _short(at), "gap": _short(gap)}
            for name, column in zip(names, gaps.T, strict=False)
            for at, gap in zip(times, column, strict=True)
        ],
        "gaps": [
            {"instance": instance, "solver": name, "gap": _short(costs[i, s])}
            for i, instance in enumerate(standing.instances)
            for s, name in enumerate(names)
            if not np.isnan(costs[i, s])
        ],
        "accuracy": _accuracies(standing, names),
        "errors": [
            {"solver": r["solver"], "instance": r["instance"], "seed": r["seed"], "error": _short(a["error"]),
             "test": _short(a["test"])}
            for r in sorted(standing.runs, key=lambda r: str(r["solver"]) not in names or names.index(r["solver"]))
            if r["solver"] in names and (a := r.get("accuracy")) and a["error"] is not None
        ],
    }  # fmt: skip


def _accuracies(standing: Standing, names: list[str]) -> Rows:
    """One row for each solver and network."""
    own: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for record in standing.runs:
        if record["solver"] in names and record.get("accuracy"):
            own.setdefault((str(record["solver"]), str(record["instance"])), []).append(record["accuracy"])
    return [
        {
            "solver": solver,
            "instance": instance,
            "test": _short(float(np.mean([a["test"] for a in own[solver, instance]]))),
            "low": _short(min(a["test"] - (a["spread"] or 0.0) for a in own[solver, instance])),
            "high": _short(max(a["test"] + (a["spread"] or 0.0) for a in own[solver, instance])),
            "before": _short(own[solver, instance][0]["target_test"]),
        }
        for solver, instance in sorted(own, key=lambda pair: names.index(pair[0]))
    ]


def _profile(times: np.ndarray, names: list[str]) -> Rows:
    if not len(times):
        return []
    found = metrics.performance_profile(times, FLOOR)
    kept = found.at <= PROFILE_END
    return _rows(metrics.Profile(found.at[kept], found.share[kept]), names, "factor")


def _rows(profile: metrics.Profile, names: list[str], x: str) -> Rows:
    """One row for each step of each solver, thinned where there are very many."""
    rows: Rows = []
    for name, share in zip(names, profile.share.T, strict=False):
        new = np.flatnonzero(np.diff(share, prepend=-1.0))
        if not len(new):
            continue
        thin = new if len(new) <= STEPS else new[np.linspace(0, len(new) - 1, STEPS).astype(int)]
        points = sorted({*thin.tolist(), len(share) - 1})
        rows += [{"solver": name, x: max(_short(profile.at[n]), FLOOR), "share": _short(share[n])} for n in points]
    return rows


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _colour() -> Spec:
    return {"field": "solver", "type": "nominal", "sort": None, "scale": {"scheme": "tableau20"},
            "legend": {"title": None, "labelLimit": 260, "symbolLimit": 0}}  # fmt: skip


def _axis(field: str, title: str, scale: str = "linear", **more: Any) -> Spec:
    return {"field": field, "type": "quantitative", "title": title, "scale": {"type": scale, **more}}


def _curve(mark: Mapping[str, Any], x: Spec, y: Spec) -> Spec:
    tip = [{"field": "solver"}, *({"field": axis["field"], "format": ".4g"} for axis in (x, y))]
    shown = {"x": x, "y": y, "color": _colour(), "opacity": _FADED, "tooltip": tip}
    return {"params": [_CHOSEN], "width": "container", "height": 300, "mark": dict(mark), "encoding": shown}


def _steps(x: str, x_title: str, y: str, y_title: str, scale: str) -> Spec:
    mark = {"type": "line", "interpolate": "step-after", "strokeWidth": 2}
    return _curve(mark, _axis(x, x_title, scale, nice=False), _axis(y, y_title, domain=[0, 1]))


def _line(x: str, x_title: str, y: str, y_title: str) -> Spec:
    mark = {"type": "line", "strokeWidth": 2}
    return _curve(mark, _axis(x, x_title, "log", nice=False), _axis(y, y_title, domain=[0, 1]))


def _ranks() -> Spec:
    solver = {"field": "solver", "type": "nominal", "sort": None, "title": None, "axis": {"labelLimit": 260}}
    tip = [{"field": "solver"}, *({"field": name, "format": ".2f"} for name in ("rank", "rank_low", "rank_high"))]
    rank = _axis("rank", "mean rank, 1 is best", zero=False)
    whole = {"x": _axis("rank_low", "mean rank, 1 is best", zero=False), "x2": {"field": "rank_high"}}
    layers = [
        {"mark": {"type": "rule", "strokeWidth": 2}, "encoding": whole},
        {"mark": {"type": "point", "filled": True, "size": 70}, "encoding": {"x": rank, "tooltip": tip}},
    ]
    colour = {**_colour(), "legend": None}
    return {"width": "container", "encoding": {"y": solver, "color": colour}, "layer": layers}


def _cells() -> Spec:
    place = {"type": "nominal", "sort": None, "title": None, "axis": {"labelLimit": 260}}
    colour = {**_axis("gap", "gap", "symlog", constant=0.001, domain=[0, 1], scheme="viridis", reverse=True),
              "legend": {"format": ".2~%"}}  # fmt: skip
    tip = [{"field": "instance"}, {"field": "solver"}, {"field": "gap", "format": ".3%"}]
    shown = {"x": {**place, "field": "solver"}, "y": {**place, "field": "instance"}, "color": colour, "tooltip": tip}
    return {"width": "container", "mark": {"type": "rect"}, "encoding": shown}


def _accuracy() -> Spec:
    """A line for each solver, within it one for each network."""
    label = {"field": "solver", "type": "nominal", "sort": None, "title": None, "axis": {"labelLimit": 260}}
    share = {"type": "quantitative", "title": "test accuracy", "axis": {"format": ".0%"}, "scale": {"zero": False}}
    colour = {"field": "instance", "type": "nominal", "sort": None, "scale": {"scheme": "tableau20"},
              "legend": {"title": None, "labelLimit": 260, "symbolLimit": 0}}  # fmt: skip
    tip = [{"field": "solver"}, {"field": "instance"}]
    tip += [{"field": name, "format": ".2%"} for name in ("test", "low", "high", "before")]
    layers = [
        {"mark": {"type": "rule", "strokeWidth": 2},
         "encoding": {"x": {**share, "field": "low"}, "x2": {"field": "high"}}},
        {"mark": {"type": "point", "filled": True, "size": 45}, "encoding": {"x": {**share, "field": "test"}}},
        {"mark": {"type": "tick", "thickness": 2, "size": 9}, "encoding": {"x": {**share, "field": "before"}}},
    ]  # fmt: skip
    shared = {"y": label, "yOffset": {"field": "instance"}, "color": colour, "tooltip": tip}
    return {"width": "container", "encoding": shared, "layer": layers}


def _errors() -> Spec:
    x = _axis("error", "squared error of the weights, relative", zero=False)
    y = {**_axis("test", "test accuracy", zero=False), "axis": {"format": ".0%"}}
    spec = _curve({"type": "point", "filled": True, "size": 40}, x, y)
    tip = [{"field": name} for name in ("solver", "instance", "seed", "error")] + [{"field": "test", "format": ".2%"}]
    spec["encoding"] |= {"tooltip": tip, "shape": {"field": "instance", "legend": None}}
    return spec
