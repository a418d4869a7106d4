"""OR-Library files: token streams whose integers stay integers, dense and sparse told apart by content."""

from pathlib import Path

import numpy as np
import pytest
from formats.files import assignment, seeds
from hypothesis import given, settings

from matchopt.errors import FormatError, Refused
from matchopt.formats import read_instance, recognise, write
from matchopt.formats.numbers import parse_numbers
from matchopt.instances import AssignmentInstance, ProgramInstance


def read_text(folder: Path, text: str, format: str | None = None) -> AssignmentInstance:
    (folder / "x.txt").write_text(text)
    found = read_instance(folder / "x.txt", format)
    assert isinstance(found, AssignmentInstance)
    return found


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_an_assignment_comes_back_equal(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """Costs, whole or not, negative and zero, survive in both forms, compressed or not."""
    folder, given = tmp_path_factory.getbasetemp(), assignment(seed)
    format = "orlib-assignment-sparse" if given.is_sparse else "orlib-assignment"
    for name in ("x.txt", "x.txt.gz"):
        write(given, folder / name)
        found = read_instance(folder / name, format)
        assert isinstance(found, AssignmentInstance)
        if given.n_pairs:  # nothing is left that could tell the type of no costs
            assert found.digest == given.digest
            assert found.cost.dtype == given.cost.dtype


def test_line_breaks_carry_no_meaning(tmp_path: Path) -> None:
    """The same tokens wrapped anywhere give the same instance."""
    one = read_text(tmp_path, "2 1 2 3 0")
    other = read_text(tmp_path, "\n2\n1\n\n2 3\t\r\n0\n\n")
    assert one.digest == other.digest
    assert one.cost.dtype == np.int64


def test_a_listed_cost_of_zero_is_a_cost_and_a_missing_pair_is_forbidden(tmp_path: Path) -> None:
    """Sparse files in any order of pairs; what is not listed costs infinity."""
    found = read_text(tmp_path, "2\n2 1 0\n1 2 0\n1 1 7\n")
    assert found.is_sparse
    assert found.dense.tolist() == [[7, 0], [0, np.inf]]


def test_a_sparse_file_names_the_rows_without_pairs(tmp_path: Path) -> None:
    """A row without any pair is legal data of an infeasible instance."""
    found = read_text(tmp_path, "3\n1 1 5\n")
    assert (found.n_rows, found.n_cols, found.n_pairs) == (3, 3, 1)


def test_large_integers_are_exact(tmp_path: Path) -> None:
    """Costs beyond 2**53 do not pass through floats, not even beside signs."""
    big = 2**62 + 1
    found = read_text(tmp_path, f"2\n{big} -{big}\n0 {2**63 - 1}\n")
    assert found.cost.tolist() == [[big, -big], [0, 2**63 - 1]]


@pytest.mark.parametrize("text", ["1_0", "0x10", "1-2", "\u0661", "1,5", "++1", "1e", "nan", "inf", "1.5.2"])
def test_what_is_no_plain_number_is_none(tmp_path: Path, text: str) -> None:
    """Spellings that some parsers take are refused, with the line."""
    with pytest.raises(FormatError, match=r"x\.txt:2: expected a number"):
        read_text(tmp_path, f"1\n{text}\n", "orlib-assignment")


def test_both_ways_to_parse_agree() -> None:
    """Plain digits take the fast way, anything else the slow one; the values are the same."""
    tokens = [str(n) for n in np.random.default_rng(1).integers(0, 10**17, 1000)]
    text = " ".join(tokens)
    fast = parse_numbers(text.encode(), pytest.fail)  # type: ignore[arg-type]
    slow = parse_numbers(f"{text} -1".encode(), pytest.fail)  # type: ignore[arg-type]
    assert fast.tolist() == slow.tolist()[:-1] == [int(token) for token in tokens]


def test_gap_has_one_equality_per_item_and_one_capacity_per_agent(tmp_path: Path) -> None:
    """The program is the one of the papers: each item once, weights within capacity, costs minimised."""
    (tmp_path / "small.gap").write_text("2 3\n1 2 3\n4 5 6\n7 8 9\n1 1 2\n20 5\n")
    found = read_instance(tmp_path / "small.gap")
    assert isinstance(found, ProgramInstance)
    assert found.cost.tolist() == [1, 2, 3, 4, 5, 6]
    dense = np.zeros((5, 6))
    for i in range(5):
        columns, values = found.row(i)
        dense[i, columns] = values
    assert dense[:3].tolist() == np.hstack([np.eye(3), np.eye(3)]).tolist()
    assert dense[3:].tolist() == [[7, 8, 9, 0, 0, 0], [0, 0, 0, 1, 1, 2]]
    assert found.row_low.tolist() == [1, 1, 1, -np.inf, -np.inf]
    assert found.row_high.tolist() == [1, 1, 1, 20, 5]
    assert found.variable_name(4) == "x_2_2"
    assert found.row_name(3) == "agent_1"
    assert bool(found.integral.all())
    assert found.high.tolist() == [1] * 6


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("2 1 2 3 4", "orlib-assignment"),
        ("2 1 1 4 2 2 4", "orlib-assignment-sparse"),
        ("1 2 1 1 1 1 9", "orlib-gap"),
        ("0", "orlib-assignment"),
    ],
)
def test_the_form_is_recognised_from_the_numbers(tmp_path: Path, text: str, name: str) -> None:
    """The ending says nothing; the number of tokens does."""
    (tmp_path / "x").write_text(text)
    assert recognise(tmp_path / "x").name == name


def test_what_the_forms_cannot_say_is_not_written(tmp_path: Path) -> None:
    """More columns than rows, and forbidden pairs in the dense form, are refused with the way out."""
    wide = AssignmentInstance(np.zeros((1, 2)))
    holed = AssignmentInstance(np.array([[0.0, np.inf], [1.0, 2.0]]))
    for format in ("orlib-assignment", "orlib-assignment-sparse"):
        with pytest.raises(Refused, match="are square, this instance is 1 x 2"):
            write(wide, tmp_path / "x.txt", format)
    with pytest.raises(Refused, match="write orlib-assignment-sparse"):
        write(holed, tmp_path / "x.txt", "orlib-assignment")
    write(holed, tmp_path / "x.txt", "orlib-assignment-sparse")
    found = read_instance(tmp_path / "x.txt", "orlib-assignment-sparse")
    assert isinstance(found, AssignmentInstance)
    assert np.array_equal(found.dense, holed.dense)
