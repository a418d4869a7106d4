"""Rows, claims and page of the demo, from made-up records."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matchopt.demo.claims import claims_of
from matchopt.demo.page import write_page
from matchopt.demo.records import HEADINGS, rows_of, table_cells, unsolved, write_csv
from matchopt.errors import FormatError
from matchopt.grid.records import ResultLog, content_key
from matchopt.terminal.figures import number, spread

TARGET = {"validation_accuracy": 0.97, "test_accuracy": 0.97, "connectivity": 0.0133}


def record(solver: str, regime: str, draw: int, test: float | None, **changes: Any) -> dict[str, Any]:
    """A record as the demo keeps it."""
    objective = None if test is None else 10.0 * (1.0 - test) + draw
    plain = {"regime": regime, "draw": draw, "solver": solver, "objective": objective, "weight_error": objective}
    plain |= {
        "bound": objective,
        "gap": None if test is None else 0.0,
        "proof": None,
        "seconds": 1.0,
        "limit": None,
        "refused": False,
    }
    plain |= {"validation_accuracy": test, "test_accuracy": test, "status": "feasible", "message": ""}
    return plain | changes


def tight(accuracies: dict[str, list[float]]) -> list[dict[str, Any]]:
    """Records of the tight regime: test accuracy of every solver on every draw."""
    return [
        record(solver, "K/n = 1.25", draw, test, proof="proven" if solver == "hungarian" else None)
        for solver, tests in accuracies.items()
        for draw, test in enumerate(tests)
    ]


RISING = {"random": [0.2, 0.3], "greedy": [0.5, 0.5], "hungarian": [0.8, 0.7]}


def verdict(records: list[dict[str, Any]], word: str) -> bool:
    """Whether the claim with this word in it holds."""
    (claim,) = [claim for claim in claims_of(rows_of(records), TARGET) if word in claim.statement]
    return claim.holds


def test_the_order_is_judged_draw_by_draw() -> None:
    """One draw on which greedy beats hungarian refutes the claim, though the means keep the order."""
    assert verdict(tight(RISING), "rises")
    assert not verdict(tight(RISING | {"hungarian": [0.9, 0.45]}), "rises")
    assert not verdict(tight(RISING | {"random": [0.2, 0.5]}), "rises")


def test_the_best_mapping_is_chosen_without_test_data() -> None:
    """At K/n = 4 the mapping of least weight error is judged, not the one of best test accuracy."""
    good = record("greedy", "K/n = 4", 0, 0.97, objective=5.0)
    assert verdict([good, record("random", "K/n = 4", 0, 0.6, objective=50.0)], "0.3 points")
    assert not verdict([good, record("hungarian", "K/n = 4", 0, 0.96, objective=1.0)], "0.3 points")


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
    claims = claims_of([], TARGET)
    assert [claim.holds for claim in claims] == [True, False, False, False, False]


def test_the_small_network_makes_no_claim_about_the_large_one() -> None:
    """With the quick plan the accuracy of the target is no claim."""
    assert not [c for c in claims_of(rows_of(tight(RISING)), TARGET, full=False) if "96.5" in c.statement]


def test_the_table_has_the_target_and_a_row_per_regime_and_solver() -> None:
    """The unmapped target comes first, the worst weight error before the best, with mean and half range."""
    records = [*tight(RISING), record("hungarian", "K/n = 4", 0, 0.97)]
    cells = table_cells(rows_of(records), TARGET)
    assert cells[0][1] == "target (unmapped)" and cells[0][-2:] == ["97.00", "97.00"]
    filled = [row for row in cells if row]
    assert [row[1] for row in filled[1:]] == ["random", "greedy", "hungarian", "hungarian"]
    assert all(len(row) == len(HEADINGS) for row in filled)
    assert filled[1][-1] == "25.00 ±5.00"
    assert filled[3][6] == "proven"
    assert [] in cells


def test_solvers_without_a_solution_are_listed_with_their_reason() -> None:
    """A refusal and a time-out each leave one line and no row."""
    refused = record("cpsat", "K/n = 4", 0, None, refused=True, message="refused: too large", status="unknown")
    late = record("milp", "K/n = 4", 0, None, limit="time", status="unknown", message="nothing yet")
    assert rows_of([refused, late]) == []
    assert unsolved([refused, late, refused]) == [
        "K/n = 4, cpsat: refused: too large",
        "K/n = 4, milp: unknown, time limit: nothing yet",
    ]


@pytest.mark.parametrize("installed", [True, False])
def test_the_page_stands_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool) -> None:
    """The page needs no other file; without matplotlib it has no plots and says what to install."""
    if not installed:
        monkeypatch.setattr("matchopt.demo.page.find_spec", lambda name: None)
    else:
        pytest.importorskip("matplotlib")
    records = [*tight(RISING), record("<b>", "K/n = 1.25", 0, None, message="a < b")]
    rows = rows_of(records)
    weights = {name: (np.linspace(-1, 1, 9), np.linspace(-1, 1, 9) ** 3) for name in RISING}
    path = tmp_path / "index.html"
    assert write_page(path, rows, records, claims_of(rows, TARGET), TARGET, weights, "settings") is installed
    page = path.read_text()
    assert page.count("data:image/png;base64,") == (3 if installed else 0)
    assert ("pip install" in page) is not installed
    assert "http" not in page and "<script" not in page and "<link" not in page
    assert "&lt;b&gt;" in page and "a &lt; b" in page
    for name in RISING:
        assert f"<td>{name}</td>" in page


def test_the_csv_has_a_line_per_record(tmp_path: Path) -> None:
    """results.csv has one line for every record, and its header."""
    write_csv(tmp_path / "results.csv", tight(RISING))
    lines = (tmp_path / "results.csv").read_text().splitlines()
    assert len(lines) == 7 and lines[0].startswith("regime,draw")


def test_a_torn_line_is_dropped_and_the_rest_kept(tmp_path: Path) -> None:
    """After a power cut in the middle of a line all whole results are there, and the next one is appended cleanly."""
    path = tmp_path / "results.jsonl"
    log = ResultLog(path)
    log.append("a", {"value": 1})
    log.append("b", {"value": 2})
    path.write_bytes(path.read_bytes() + b'{"key": "c", "val')
    again = ResultLog(path)
    assert again.get("c") is None and again.get("b") == {"key": "b", "value": 2}
    again.append("a", {"value": 3})
    assert [result["value"] for result in ResultLog(path).results()] == [3, 2]


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    """A line in the middle that is no result is an error that names file and line."""
    path = tmp_path / "results.jsonl"
    path.write_text('{"key": "a"}\nnonsense\n{"key": "b"}\n')
    with pytest.raises(FormatError, match=r"results\.jsonl, line 2"):
        ResultLog(path)


def test_keys_depend_on_content_alone() -> None:
    """The order of facts does not matter, every value does."""
    key = content_key({"a": 1, "b": {"c": 2.5, "d": None}})
    assert key == content_key({"b": {"d": None, "c": 2.5}, "a": 1})
    assert key != content_key({"a": 1, "b": {"c": 2.5, "d": 0}})


@pytest.mark.parametrize(
    ("figures", "text"), [([], "-"), ([None], "-"), ([0.5], "50.00"), ([0.5, 0.7, None], "60.00 ±10.00")]
)
def test_spreads(figures: list[float | None], text: str) -> None:
    """A mean, with half the range where there are several figures."""
    assert spread(figures, 100.0) == text


@pytest.mark.parametrize(("figure", "text"), [(None, "-"), (305, "305"), (305.0, "305"), (5.69912, "5.699")])
def test_numbers(figure: float | None, text: str) -> None:
    """Whole numbers in full, others to four significant digits."""
    assert number(figure) == text
