"""The report says who wins, draws it in a real browser without the network, and needs nothing beside its one file."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from bench.made_up import mapped_layer, records
from click.testing import CliRunner

from matchopt.bench import Standing, picture
from matchopt.bench.charts import data, specs
from matchopt.bench.course import RESULTS
from matchopt.bench.kept import keep_best
from matchopt.bench.standing import families, regimes
from matchopt.cli import main

BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
MEASURE = """<script>
addEventListener("load", async () => {
  while (!document.documentElement.dataset.ready) await new Promise((done) => setTimeout(done, 20));
  const wide = [...document.querySelectorAll(".scroll, body")].filter((e) => e.scrollWidth > e.clientWidth + 1);
  const page = document.documentElement.dataset;
  page.clipped = wide.length;
  page.early = document.querySelectorAll(".chart svg.marks").length;
  page.rows = document.querySelectorAll("#runs tbody tr").length;
  document.getElementById("all-runs").click();
  dispatchEvent(new Event("beforeprint"));
  await null; // what is printed is what is there when the handlers, and what they have promised, are done
  await new Promise((done) => setTimeout(done));
  page.drawn = document.querySelectorAll(".chart svg.marks").length;
});
</script></body>"""
MADE = records(21, 5, 2)  # more than the page shows at once


def test_the_standing_names_winner_margin_and_doubt() -> None:
    """The first is the one built to be best; equals are no clear winner; a refusal has no rank."""
    standing = Standing(tuple(records(20, 4, 2)))
    first, *_, last = standing.leaderboard()
    assert first["solver"] == "solver-0" and first["first"] > 0.95 and first["rank"] < 1.5 and first["losses"] == 0
    assert last["solver"] == "solver-3" and (last["instances"], last["refused"]) == (7, 13) and last["first"] is None
    assert np.isnan(standing.costs[:, -1]).sum() == 13
    text = " ".join(standing.verdict())
    assert text.startswith("solver-0 wins: mean rank 1.") and "20 instances, 134 runs" in text
    assert "Accuracy left on test data, mean and range over 10 networks: solver-0 90.1 % [90.0, 90.1] of 95.0 %" in text
    assert "Second is solver-1" in text and "The machine drifted during" in text and "have no solution" in text
    twins = [{**r, "solver": name} for r in records(9, 2, 1) if r["solver"] == "solver-0" for name in "ab"]
    assert Standing(tuple(twins)).verdict()[0].startswith("No winner: a, b share the first place: mean rank 1.50 [")
    few = Standing(tuple(records(3, 3, 1))).verdict()
    assert few[0].startswith("No clear winner: solver-0 is ahead") and "so few say little" in few[1]
    assert Standing(()).verdict() == ["Nothing was run."]
    assert list(families(records(4, 2, 1))) == ["all instances", "layer", "layer: shared-bus"]


def test_figures_are_the_metrics_of_the_runs() -> None:
    """Times to 1 %, gaps over time and their means by plain loops over the same records."""
    made = records(6, 3, 2)
    standing = Standing(tuple(made))
    own = [r for r in made if r["solver"] == "solver-0" and not r["spoiled"]]
    row = standing.leaderboard()[0]
    times = [min([t for t, v, _ in r["trace"] if v <= 100.0 / 0.99] or [np.inf]) for r in own]
    assert row["reached"] == np.isfinite(times).sum()
    assert row["par10"] == pytest.approx(np.mean([t if np.isfinite(t) else 100.0 for t in times]), rel=1e-12)
    at, gaps = standing.anytime()
    middle = [min([1 - 100.0 / v for t, v, _ in r["trace"] if t <= at[40]] or [1.0]) for r in own]
    assert gaps[40, standing.solvers.index("solver-0")] == pytest.approx(np.mean(middle), rel=1e-12)


def test_regimes_are_counted_solver_by_solver() -> None:
    """Of each group of instances: who took them, who was first, medians and shares, from the records by plain loops."""
    made = records(21, 4, 1)
    rows = regimes(made)
    assert [row["regime"] for row in rows].count("layer: shared-bus") == 4 and len(rows) == 12
    (row,) = [row for row in rows if row["regime"] == "layer" and row["solver"] == "solver-1"]
    own = [r for r in made if r["solver"] == "solver-1" and not r["demands"]]
    gaps = [1 - 100.0 / r["objective"] for r in own]
    first = sum(r["objective"] <= min(o.get("objective") or np.inf for o in made if o["instance"] == r["instance"])
                for r in own)  # fmt: skip
    assert (row["instances"], row["took"], row["refused"], row["first"]) == (11, 11, 0, first)
    assert row["median_gap"] == pytest.approx(np.median(gaps)) and (row["proven"], row["ended_by_time"]) == (0.0, 1.0)
    last = [row for row in rows if row["solver"] == "solver-3"]
    assert all(row["took"] + row["refused"] == row["instances"] and row["refused"] for row in last)
    assert regimes([]) == []


def test_every_figure_is_a_chart_of_the_library() -> None:
    """Each compiles and draws marks of its data."""
    library = pytest.importorskip("vl_convert")
    rows = data(Standing(tuple(records(4, 3, 1))))
    rows["residuals"] = [{"series": name, "from": 0.0, "to": 0.1, "count": 3} for name in "abcd"]
    rows["cells"] = [{"neuron": 0, "neuron_end": 1, "cell": k, "cell_end": k + 1, "state": "stuck"} for k in range(4)]
    rows["wiring"] = [{"input": x, "target": 1.0, "realised": 0.9, "cells": "0:1"} for x in range(4)]
    for name, (_, _, spec) in (specs() | picture.specs()).items():
        drawn = library.vegalite_to_svg({**spec, "width": 400, "data": {"values": rows[name]}})
        assert rows[name] and drawn.count("<path") > 3, name


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a folder of results, by the command."""
    pytest.importorskip("vl_convert")
    folder = tmp_path_factory.mktemp("made")
    (folder / RESULTS).write_text("".join(f"{json.dumps(record)}\n" for record in MADE))
    keep_best(folder, *mapped_layer(), 1.0, {"instance": "instance-0", "solver": "solver-0", "seed": 0, "key": "k"})
    done = CliRunner().invoke(main, ["report", str(folder), "--title", "Five <solvers>"])
    assert done.exit_code == 0 and "solver-0 wins" in done.stdout, done.output
    return folder / "report.html"


def test_the_page_needs_nothing_else(made: Path) -> None:
    """One file under 2 MB, that loads nothing; texts of results cannot break out of their place."""
    text = made.read_text()
    own = "".join(re.split(r'<script(?: type="text/plain" id="library")?>.*?</script>', text, flags=re.S))
    assert len(text) < 2e6 and not re.search(r"<(?:script|link|img)[^>]*(?:src|href)=", own)
    assert text.lower().count("</script>") == 4 and own.count("<script") == 1 and "Five &lt;solvers&gt;" in own
    content = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])  # type: ignore[index]
    assert len(content["runs"]) == len(MADE) and set(content["specs"]) == {*specs(), *picture.specs()}
    assert list(content["best"]) == ["instance-0"] and content["best"]["instance-0"]["layers"][0]["size"] == [3, 4]
    assert {path.name for path in made.parent.iterdir()} >= {RESULTS, "results.csv", "regimes.csv", "report.html"}


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed here")
def test_a_browser_draws_everything_and_filters(made: Path) -> None:
    """No console error, nothing clipped at 1024 pixels; a family and part of a name filter the runs.

    Few of the eleven figures and of many runs are drawn until they are asked for: all when the page is printed.
    """
    place = made.with_name("measured.html")
    place.write_text(MEASURE.join(made.read_text().rsplit("</body>", 1)))
    for words, count in (("", len(MADE)), ("#family=layer%3A%20shared-bus&solver=solver-1", 20)):
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1024,900", "--enable-logging=stderr",
                 "--virtual-time-budget=30000", "--dump-dom"]  # fmt: skip
        done = subprocess.run([BROWSER or "", *flags, f"{place.as_uri()}{words}"], text=True, capture_output=True,
                              timeout=120, check=False)  # fmt: skip
        head = re.search(r"<html[^>]*>", done.stdout)
        assert head is not None and "CONSOLE" not in done.stderr, done.stderr
        assert all(word in head[0] for word in ('data-drawn="11"', 'data-clipped="0"', "data-ready=")), head[0]
        assert "data-error" not in head[0] and f'data-rows="{min(count, 200)}"' in head[0]
        assert int(re.search(r'data-early="(\d+)"', head[0])[1]) < 6  # type: ignore[index]
        runs = done.stdout[done.stdout.index('<table id="runs">') :]
        assert runs[: runs.index("</table>")].count("<tr") == count + 1
        assert "it is no square" in unescape(runs) or words
