"""The report of a bench: one HTML file that needs nothing else, neither a server nor the network."""

import html
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from matchopt.bench import picture
from matchopt.bench.charts import data, specs
from matchopt.bench.kept import best_pictures
from matchopt.bench.standing import SHIFT, TARGET, Standing, families
from matchopt.bench.task import REFUSED
from matchopt.errors import MissingExtra
from matchopt.formats.atomic import write_bytes

Record = Mapping[str, Any]
NUMBER, SHORT, SHARE, RANK = "number", "short", "share", "rank"
PICTURES = 24  # instances whose best solutions are drawn: each takes some 100 kB
AT = f"{100 * TARGET:g} %"
LEADER_COLUMNS = (
    ("solver", "solver", ""), ("rank", "mean rank", RANK), ("interval", "interval of 95 %", RANK),
    ("first", "first in draws", SHARE), ("instances", "inst.", NUMBER), ("refused", "re\u00adfused", NUMBER),
    ("best_found", "best value", NUMBER), ("proven", "proven", NUMBER), ("no_solution", "no sol.", NUMBER),
    ("gap", "mean gap", SHARE), ("lost", "acc. lost", SHARE), ("reached", f"within {AT}", NUMBER),
    ("seconds", f"s to {AT}", SHORT), ("par10", "PAR-10, s", SHORT), ("integral", "primal integral", SHARE),
    ("against", "wins, ties, losses", NUMBER), ("p_value", "p", SHORT),
)  # fmt: skip
RUN_COLUMNS = (
    ("instance", "instance", ""), ("solver", "solver", ""), ("seed", "seed", NUMBER), ("status", "status", ""),
    ("limit", "limit", ""), ("proof", "proof", ""), ("objective", "objective", NUMBER),
    ("to_best", "gap to best", SHARE), ("bound", "bound", NUMBER), ("gap", "gap to bound", SHARE),
    ("test", "test accuracy", SHARE),
    ("solver_seconds", "solver's seconds", NUMBER), ("seconds", "seconds in all", NUMBER), ("message", "message", ""),
)  # fmt: skip


def write_report(
    path: Path, records: Sequence[Record], title: str = "Solvers compared", folders: Iterable[Path] = ()
) -> None:
    """Write the page.

    Parameters
    ----------
    path : the HTML file.
    records : see `matchopt.bench.read_results`.
    title : its heading.
    folders : those of the results, where best solutions are kept; of them residuals, cells and wiring are drawn.

    Raises
    ------
    MissingExtra
        without vl-convert-python, which brings the library that draws.
    """
    write_bytes(path, page(records, title, best_pictures(folders)).encode())


def page(records: Sequence[Record], title: str, pictures: Mapping[str, Any] | None = None) -> str:
    """The page as text; see `write_report`."""
    groups = families(records)
    made = {name: _family(standing) for name, standing in groups.items()}
    drawn = {name: spec for name, spec in specs().items() if any(family["charts"][name] for family in made.values())}
    known = {str(record["instance"]) for record in records if "digest" in record}
    best = dict([pair for pair in sorted((pictures or {}).items()) if pair[0] in known][:PICTURES])
    of_best = picture.specs() if best else {}
    measured = any("accuracy" in record for record in records)
    content = {
        "families": made,
        "specs": {name: spec for name, (_, _, spec) in (drawn | of_best).items()},
        "best": best,
        "states": picture.STATES,
        "leader_columns": [column for column in LEADER_COLUMNS if measured or column[0] != "lost"],
        "run_columns": [column for column in RUN_COLUMNS if measured or column[0] != "test"],
        "runs": _runs(groups),
    }
    return PAGE.format(
        title=html.escape(title),
        style=house_style(),
        figures=_figures(drawn) + (CHOICE + _figures(of_best) if best else ""),
        at=AT,
        shift=f"{SHIFT:g}",
        data=json.dumps(_plain(content), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"),
        library=_library(),
        script=_own("page.js"),
    )


def _figures(drawn: Mapping[str, tuple[str, str, Any]]) -> str:
    """Places for charts, with what they say."""
    return "".join(
        f"<h2>{html.escape(heading)}</h2><figure><div class='chart' id='chart-{name}'></div><figcaption>"
        f"{html.escape(about)} <button data-chart='{name}'>data as CSV</button></figcaption></figure>"
        for name, (heading, about, _) in drawn.items()
    )


def _family(standing: Standing) -> dict[str, Any]:
    rows = standing.leaderboard()
    for row in rows:
        row["interval"] = f"{row['rank_low']:.2f} to {row['rank_high']:.2f}"
        row["against"] = f"{row['wins']}, {row['ties']}, {row['losses']}"
    return {"verdict": standing.verdict(), "leaderboard": rows, "charts": data(standing)}


def _runs(groups: Mapping[str, Standing]) -> list[dict[str, Any]]:
    """The rows of the table of runs, each with its group of instances."""
    names = [name for name, _, _ in RUN_COLUMNS if name not in ("to_best", "test")]
    rows = []
    for family, standing in list(groups.items())[1:] or groups.items():
        for record in standing.records:
            row = {name: record[name] for name in names if record.get(name) is not None}
            row |= {"test": record["accuracy"]["test"]} if "accuracy" in record else {}
            gap = math.inf if record["status"] == REFUSED else standing.gap(record)
            rows.append(row | {"family": family, "spoiled": bool(record.get("spoiled")), "to_best": gap})
    return rows


def _plain(value: Any) -> Any:
    """What JSON can say: numbers that are none are missing."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@cache
def _library() -> str:
    """The script of Vega, Vega-Lite and Vega-Embed."""
    try:
        import vl_convert
    except ModuleNotFoundError:
        raise MissingExtra("drawing the report", "vl-convert-python", "report") from None
    converter: Any = vl_convert  # whose types say less than it takes
    return re.sub(r"<(?=/script|!--)", r"<\\", converter.javascript_bundle(), flags=re.IGNORECASE)  # ends no element


def house_style() -> str:
    """The style of all pages: light and dark, and in print."""
    return _own("page.css")


def _own(name: str) -> str:
    return Path(__file__).with_name(name).read_text("utf-8")


CHOICE = """<h2>The best solutions</h2><div class="controls"><label>instance<select id="best"></select></label>
<label>layer<select id="layer"></select></label><label>neuron<select id="neuron"></select></label>
<span class="note" id="whose"></span></div>
"""
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>{style}</style>
<script>
window.addEventListener("error", (e) => {{ document.documentElement.dataset.error ??= e.message; }});
window.addEventListener("unhandledrejection", (e) => {{
  document.documentElement.dataset.error ??= String(e.reason); }});
</script></head><body>
<h1>{title}</h1>
<div class="controls"><label>instances<select id="family"></select></label></div>
<div class="answer" id="answer"></div>
<h2>Leaderboard</h2>
<div class="scroll"><table id="leaderboard"><thead></thead><tbody></tbody></table></div>
<p class="note">Ranks by gap to the best value known, ties shared, refusals left out; solvers that took at least half of
the instances stand first. Wins, ties and losses are instances against the first. Seconds to {at} of the best value:
shifted geometric mean, shift {shift} s, the limit for what did not get there; PAR-10 counts ten limits for it. The
primal integral is the mean gap over the time. <button id="save-leaderboard">data as CSV</button></p>
{figures}
<h2>Runs</h2>
<div class="controls"><label>solver<input id="solver" placeholder="part of a name"></label>
<label>instance<input id="instance" placeholder="part of a name"></label>
<button id="save-runs">data as CSV</button><button id="all-runs" hidden>show all</button>
<span class="note" id="count"></span></div>
<div class="scroll"><table id="runs"><thead></thead><tbody></tbody></table></div>
<p class="note">A click on a heading sorts. Seconds struck through were spoiled by a machine that drifted.</p>
<script type="application/json" id="data">{data}</script>
<script type="text/plain" id="library">{library}</script>
<script>{script}</script>
</body></html>
"""
