"""Claims, page and study of the demo, from made-up records."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matchopt.demo import demo_study, show_demo
from matchopt.demo.claims import claims_of
from matchopt.demo.figures import accuracy_figure
from matchopt.demo.page import write_page
from matchopt.errors import MissingExtra
from matchopt.grid.task import Place
from matchopt.plugins import load_plugins
from matchopt.study import Outcome, find_study
from matchopt.study.report import aligned, rows_of, table
from matchopt.terminal.figures import number

TARGET = {"validation": 0.97, "test": 0.97, "connectivity": 0.0133}
STUDY = find_study("demo")
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "best_of_random.py"


def record(solver: str, label: str, draw: int, test: float, **changes: Any) -> dict[str, Any]:
    """A record with a solution, as the demo's study keeps it."""
    value = 10.0 * (1.0 - test) + draw
    plain = {"label": label, "solver": solver, "hardware_seed": draw, "value": value, "squared_error": value}
    plain |= {"bound": value, "gap": 0.0, "proof": None, "seconds": 1.0, "validation": test, "test": test}
    return plain | {"fan_in_ratio": 1.25} | changes


def tight(accuracies: dict[str, list[float]]) -> list[dict[str, Any]]:
    """Records of the tight hardware: test accuracy of every solver on every draw."""
    return [
        record(solver, "K/n = 1.25", draw, test, proof="proven" if solver == "hungarian" else None)
        for solver, tests in accuracies.items()
        for draw, test in enumerate(tests)
    ]


RISING = {"random": [0.2, 0.3], "greedy": [0.5, 0.5], "hungarian": [0.8, 0.7]}


def verdict(records: list[dict[str, Any]], word: str) -> bool:
    """Whether the claim with this word in it holds."""
    (claim,) = [claim for claim in claims_of(rows_of(STUDY, records), TARGET) if word in claim.statement]
    return claim.holds


def test_the_order_is_judged_draw_by_draw() -> None:
    """One draw on which greedy beats hungarian refutes the claim, though the means keep the order."""
    assert verdict(tight(RISING), "rises")
    assert not verdict(tight(RISING | {"hungarian": [0.9, 0.45]}), "rises")
    assert not verdict(tight(RISING | {"random": [0.2, 0.5]}), "rises")
    assert not verdict([*tight(RISING | {"random": []}), record("random", "K/n = 1.25", 7, 0.1)], "rises")  # no pair


def test_the_best_mapping_is_chosen_without_test_data() -> None:
    """At K/n = 4 the mapping of least weight error is judged, not the one of best test accuracy."""
    good = record("greedy", "K/n = 4", 0, 0.97, value=5.0)
    assert verdict([good, record("random", "K/n = 4", 0, 0.6, value=50.0)], "0.3 points")
    assert not verdict([good, record("hungarian", "K/n = 4", 0, 0.96, value=1.0)], "0.3 points")


def test_one_mapping_without_a_proof_refutes_the_claim() -> None:
    """Every hungarian record must be proven."""
    assert verdict(tight(RISING), "proved")
    assert not verdict([*tight(RISING)[:-1], record("hungarian", "K/n = 1.25", 1, 0.7, proof="claimed")], "proved")


def test_the_label_free_solver_must_win_on_every_draw() -> None:
    """Accuracy without labels is judged against hungarian draw by draw."""
    for wins, accuracies in ((True, [0.9, 0.8]), (False, [0.95, 0.6])):
        free = [record("reroute", "K/n = 1.25, outputs", draw, test) for draw, test in enumerate(accuracies)]
        assert verdict([*tight(RISING), *free], "without labels") is wins


def test_learned_selection_must_come_within_half_a_point() -> None:
    """The target has 97 %: 96.6 is near, 96.4 is not."""
    assert verdict([record("reroute+slots", "K/n = 1.25, labels", 0, 0.966)], "with labels")
    assert not verdict([record("reroute+slots", "K/n = 1.25, labels", 0, 0.964)], "with labels")


def test_a_claim_that_nothing_decides_does_not_hold() -> None:
    """Where no solver found anything, the full demo's claims about mappings do not hold."""
    claims = claims_of({}, TARGET)
    assert [claim.holds for claim in claims] == [True, False, False, False, False]
    assert claims_of({}, TARGET, full=False) == []
    assert not any(claim.holds for claim in claims_of({}, {}))  # the network could not be trained


def test_the_small_network_makes_no_claim_about_the_large_one() -> None:
    """With the quick study the accuracy of the target is no claim."""
    rows = rows_of(STUDY, tight(RISING))
    assert not [claim for claim in claims_of(rows, TARGET, full=False) if "96.5" in claim.statement]


def test_the_table_has_a_row_for_each_label_and_solver() -> None:
    """In the order of the study, with mean and deviation over draws, a line between labels."""
    records = [*tight(RISING), record("hungarian", "K/n = 4", 0, 0.97)]
    headings, cells = aligned(STUDY, *table(STUDY, records))
    assert headings[-2:] == [">validation %", ">test %"]
    assert [row[1] for row in cells if row] == ["random", "greedy", "hungarian", "hungarian"]
    assert cells[0][-1] == "25.00 ±7.07" and cells[2][-4] == "proven" and cells[3] == []


def test_a_proof_that_some_lack_is_not_shown_as_everybodys() -> None:
    """Two draws, one proof."""
    records = [record("hungarian", "K/n = 4", 0, 0.9, proof="proven"), record("hungarian", "K/n = 4", 1, 0.9)]
    assert table(STUDY, records)[1][0][-4] == "proven, 1 without"


def test_another_seed_moves_training_and_hardware_and_solvers_of_others_are_tried() -> None:
    """Once in every block that asks for solvers of their kind."""
    registry = load_plugins([EXAMPLE])
    study = demo_study(registry, seed=5)
    assert study.targets["lenet"]["seed"] == 5
    assert {run["hardware_seed"] for run in study.runs["cpu"]} == {5, 6, 7}
    assert [run["label"] for run in study.runs["cpu"] if run["solver"] == "best-of-random"] == ["K/n = 1.25", "K/n = 4"]
    assert not [run for run in study.runs["cpu"] if run["solver"].partition("+")[0] not in registry.solvers]
    plain = [{**run, "hardware_seed": run["hardware_seed"] - 5} for run in study.runs["cpu"]]
    assert all({"hardware_seed": 0, **run} in plain for run in STUDY.runs["cpu"])


@pytest.mark.parametrize("installed", [True, False])
def test_the_page_stands_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool) -> None:
    """The page needs no other file; without matplotlib it has no plots and says what to install."""
    pytest.importorskip("matplotlib")
    if not installed:

        def lacks(*_: object) -> str:
            raise MissingExtra("drawing plots", "matplotlib", "reports")

        monkeypatch.setattr("matchopt.demo.page.draw", lacks)
    records = [*tight(RISING), record("reroute", "K/n = 1.25, outputs", 0, 0.9)]
    cells = aligned(STUDY, *table(STUDY, records))
    claims = claims_of(rows_of(STUDY, records), TARGET)
    weights = {"random": (np.array([1.0, -2.0]), np.array([0.5, -1.0]))}
    page = tmp_path / "index.html"
    drawn = write_page(page, replace(STUDY, title="<T>"), records, cells, claims, ["x: no"], weights, "a & b", 0.97)
    text = page.read_text()
    assert drawn is installed
    assert text.count("<svg") == (2 if installed else 0) and text.count("<img") == (1 if installed else 0)
    assert ("matchopt[reports]" in text) is not installed
    assert "src='http" not in text and "href=" not in text.replace("xlink:href", "").replace("<use href", "")
    assert "<em>outputs</em>" in text and "<code>hungarian</code>" in text
    for part in ("&lt;T&gt;", "a &amp; b", "x: no", "<b class='no'>does not hold</b>", "<td>hungarian</td>"):
        assert part in text


def test_the_page_begins_with_the_accuracy_of_every_strategy() -> None:
    """The picture stands before all text, has a row for every row of the table, its mean, and the target's line."""
    pytest.importorskip("matplotlib")
    records = [*tight(RISING), record("reroute", "K/n = 1.25, outputs", 0, 0.961)]
    picture = accuracy_figure(rows_of(STUDY, records), TARGET["test"])
    for text in (*RISING, "reroute", "25.0", "50.0", "75.0", "96.1", "target (unmapped) 97.0", "K/n = 1.25, outputs"):
        assert f">{text}</text>" in picture, text
    assert "target (unmapped)" not in accuracy_figure(rows_of(STUDY, records), None)


@pytest.mark.parametrize("name", ["demo", "demo-quick"])
def test_plots_of_the_demo_can_be_read(name: str) -> None:
    """At most eight series each; and time is no limit of work on a machine that is five times as slow."""
    study = find_study(name)
    for plot in study.plots:
        assert len({str(run.get(plot.lines, "")) for run in study.runs["cpu"]}) <= 8, plot.name
    assert all(run["time_limit"] >= 60.0 for run in study.runs["cpu"])


@pytest.mark.parametrize(("figure", "text"), [(None, "-"), (305, "305"), (305.0, "305"), (5.69912, "5.699")])
def test_numbers(figure: float | None, text: str) -> None:
    """Whole numbers in full, others to four significant digits."""
    assert number(figure) == text


def test_a_demo_whose_network_fails_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No network, no mapping: every line has its reason, the page is there, and no claim holds."""
    study = demo_study(load_plugins())
    failed = [{**run, "error": "what it needs failed: no memory"} for run in study.runs["cpu"]]
    lines: list[str] = []
    claims = show_demo(study, Outcome(tuple(failed), 0), Place(tmp_path), lines.append)
    assert not any(claim.holds for claim in claims)
    assert "no solution: K/n = 4, hungarian: what it needs failed: no memory" in lines
    assert "no memory" in (tmp_path / "index.html").read_text() and capsys.readouterr().out
