"""Tables and plots say what the records say."""

import csv
import io
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from matchopt.study import publish
from matchopt.study.plots import COLOURS, MARKERS, curves, draw
from matchopt.study.publish import series_csv
from matchopt.study.report import mean_and_deviation, rank_correlation, runs_csv, table
from matchopt.study.study_file import Plot, Published, Study

PLOT = Plot("accuracy", "Accuracy", "fan_in_ratio", "validation", lines="solver", x_scale="log")
OVER_EPOCHS = Plot("epochs", "Epochs", "epoch", "connectivity", lines="solver")
STUDY = Study(
    name="small", title="A small study", about="What is asked.", kind="mapping", runs={}, by=("solver",),
    show=("validation", "status"), plots=(PLOT, OVER_EPOCHS),
    published=(Published("they", {"fan_in_ratio": 1.0}, 90.0, "validation", "a paper"),),
)  # fmt: skip
RECORDS = [
    {"solver": s, "fan_in_ratio": k, "hardware_seed": h, "validation": v, "status": "optimal",
     "series": {"connectivity": [0.5, 0.25]}}
    for s, k, h, v in (("a", 1.0, 0, 0.9), ("a", 1.0, 1, 0.92), ("a", 2.0, 0, 0.95), ("b", 1.0, 0, 0.5))
]  # fmt: skip
FAILED = {"solver": "b", "fan_in_ratio": 1.0, "hardware_seed": 1, "error": "it broke"}


def test_the_table_averages_over_everything_but_its_keys() -> None:
    """A row has mean and deviation of its runs, and counts the failed ones."""
    headings, rows = table(STUDY, [*RECORDS, FAILED])
    assert headings == ["solver", "runs", "validation %", "status"]
    assert rows == [["a", "3", "92.33 ±2.52", "optimal"], ["b", "1 (1 failed)", "50.00", "optimal"]]


@given(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=6))
def test_mean_and_deviation_are_those_of_the_textbook(figures: list[float]) -> None:
    """With n - 1 in the denominator, in percent, to two digits."""
    mean, spread = mean_and_deviation(figures, "test").split(" ±")
    average = sum(figures) / len(figures)
    deviation = (sum((f - average) ** 2 for f in figures) / (len(figures) - 1)) ** 0.5
    assert float(mean) == pytest.approx(100 * average, abs=0.0051)
    assert float(spread) == pytest.approx(100 * deviation, abs=0.0051)


def test_every_run_is_a_line_of_the_csv() -> None:
    """Failed runs too, with their error; series are left to their own file."""
    rows = list(csv.DictReader(io.StringIO(runs_csv([*RECORDS, FAILED]))))
    assert len(rows) == 5
    assert rows[0]["validation"] == "0.9"
    assert rows[4]["error"] == "it broke"
    assert "series" not in rows[0]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=9))
def test_rank_correlation_is_scipys(pairs: list[tuple[int, int]]) -> None:
    """Spearman's, with ties; NaN where either side is constant."""
    if len({x for x, _ in pairs}) > 1 and len({y for _, y in pairs}) > 1:
        assert rank_correlation(pairs) == pytest.approx(spearmanr(*zip(*pairs, strict=True)).statistic)
    else:
        assert rank_correlation(pairs) != rank_correlation(pairs)


def test_lines_join_means_and_shares_are_percent() -> None:
    """A curve has all values of each x, a share as percent; over epochs, one value each."""
    assert curves(PLOT, RECORDS) == {"a": {1.0: [90.0, 92.0], 2.0: [95.0]}, "b": {1.0: [50.0]}}
    assert curves(OVER_EPOCHS, RECORDS)["b"] == {1.0: [50.0], 2.0: [25.0]}


def test_repetitions_stand_above_each_other() -> None:
    """An x that is an outcome differs between seeds: the runs of a row are drawn at its mean; a setting stays."""
    runs = {"cpu": ({"solver": "a", "seed": 0}, {"solver": "a", "seed": 1})}
    plot = replace(PLOT, x="tuned", x_scale="linear")
    records = [{"solver": "a", "seed": seed, "tuned": 0.01 + seed, "validation": 0.9} for seed in (0, 1)]
    content = draw(replace(STUDY, runs=runs, plots=(plot,), published=()), plot, records)
    assert len(markers(content)) == 1
    plot = replace(plot, x="seed")
    assert len(markers(draw(replace(STUDY, runs=runs, plots=(plot,), published=()), plot, records))) == 2


def markers(content: str) -> list[str]:
    """The points of the only line of a plot, without that in the legend."""
    return [line for line in content.splitlines() if "<use" in line and COLOURS[0] in line][:-1]


def test_a_figure_is_drawn_over_a_figure_that_is_a_series_too() -> None:
    """Where a name is both, the final figure is what an axis means."""
    records = [{"solver": "a", "connectivity": 0.5, "test": 0.9, "series": {"connectivity": [0.5, 0.25]}}]
    assert curves(Plot("p", "t", "connectivity", "test", lines="solver"), records) == {"a": {50.0: [90.0]}}


def test_plots_are_svg_and_the_same_every_time() -> None:
    """Two drawings agree to the byte, are XML, and show published figures."""
    first = draw(STUDY, PLOT, [*RECORDS, FAILED])
    assert first == draw(STUDY, PLOT, [*RECORDS, FAILED])
    root = ElementTree.fromstring(first)
    assert root.tag.endswith("svg")
    assert "published" in first


def test_a_study_of_failures_is_drawn_empty() -> None:
    """Every run failed: the page says why, and its plots are no reason to lose it."""
    assert "<svg" in draw(STUDY, replace(PLOT, panels="law"), [FAILED])


def test_no_two_lines_look_the_same() -> None:
    """A hundred lines: each has a colour and a marker that no other has together."""
    assert len({(COLOURS[n % len(COLOURS)], MARKERS[n % len(MARKERS)]) for n in range(100)}) == 100


def test_the_vertical_axis_begins_where_it_is_told_and_says_so() -> None:
    """Unless nothing would be left to see."""
    assert "below 90 not shown" in draw(STUDY, replace(PLOT, y_from=90.0), RECORDS)
    assert "not shown" not in draw(STUDY, replace(PLOT, y_from=101.0), RECORDS)


def test_series_have_one_line_per_run_and_epoch() -> None:
    """With the run's keys before them."""
    lines = series_csv(STUDY, RECORDS).splitlines()
    assert lines[0] == "solver,hardware_seed,epoch,connectivity"
    assert lines[1:3] == ["a,0,1,0.5", "a,0,2,0.25"]
    assert len(lines) == 1 + 2 * len(RECORDS)


def test_the_page_holds_table_plots_seeds_failures_and_the_command(tmp_path: Path) -> None:
    """Everything a reader needs to repeat it, in the files that are said to be written."""
    files = publish(STUDY, [*RECORDS, FAILED], tmp_path)
    assert sorted(path.name for path in files) == sorted(path.name for path in tmp_path.iterdir())
    page = (tmp_path / "small.md").read_text()
    for text in ("| a | 3 | 92.33 ±2.52 |", "(small-accuracy.svg)", "Seeds: 0, 1", "Failed: it broke",
                 "`matchopt reproduce small`", "they (fan_in_ratio 1.0): validation 90.0 (a paper)"):  # fmt: skip
        assert text in page
