"""MPS: exact round trips, equivalent where the format forces a change, and how disputed files are taken."""

import bz2
import lzma
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from formats.files import program, seeds
from hypothesis import given, settings
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from matchopt.cli.app import main
from matchopt.errors import FormatError, FormatWarning, Refused
from matchopt.formats import read_instance, write
from matchopt.instances import ProgramInstance


def optimum(program: ProgramInstance) -> float:
    """The optimum by HiGHS, through scipy."""
    shape = (program.n_rows, program.n_variables)
    matrix = csr_array((program.coefficients, program.indices, program.indptr), shape=shape)
    rows = [LinearConstraint(matrix, program.row_low, program.row_high)] if program.n_rows else []
    found = milp(program.cost, integrality=program.integral, bounds=Bounds(program.low, program.high), constraints=rows)
    assert found.status == 0, found.message
    return float(found.fun) + program.offset


def read_text(folder: Path, text: str) -> ProgramInstance:
    path = folder / "x.mps"
    path.write_text(text)
    found = read_instance(path)
    assert isinstance(found, ProgramInstance)
    return found


def with_single_rows(program: ProgramInstance) -> ProgramInstance:
    """The same program as MPS holds it: rows without limits left out, rows with two different limits split in two."""
    parts: list[tuple[int, float, float, str]] = []
    for i in range(program.n_rows):
        low, high, name = float(program.row_low[i]), float(program.row_high[i]), program.row_name(i)
        if low == high or np.isinf(low) != np.isinf(high):
            parts.append((i, low, high, name))
        elif np.isfinite(low):
            parts += [(i, low, np.inf, name), (i, -np.inf, high, f"{name}_high")]
    entries = [program.row(i) for i, *_ in parts]
    names = tuple(name for *_, name in parts)
    return ProgramInstance(
        program.cost,
        np.concatenate([[0], np.cumsum([len(columns) for columns, _ in entries])]).astype(int),
        np.concatenate([np.zeros(0, int), *(columns for columns, _ in entries)]),
        np.concatenate([np.zeros(0), *(values for _, values in entries)]),
        np.array([low for _, low, _, _ in parts]),
        np.array([high for _, _, high, _ in parts]),
        program.low,
        program.high,
        program.integral,
        program.offset,
        None if names == tuple(f"r{i}" for i in range(len(names))) else names,
        program.variable_names,
    )


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_a_program_comes_back_equal(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """Every number, name and bound survives; only two-sided rows become two, and rows without limits go."""
    folder = tmp_path_factory.getbasetemp()
    given = program(seed)
    for name in ("x.mps", "x.mps.gz"):
        write(given, folder / name)
        assert read_instance(folder / name).digest == with_single_rows(given).digest


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_what_is_read_is_written_the_same(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """Writing what was read gives the same bytes, so nothing drifts over many passes."""
    folder = tmp_path_factory.getbasetemp()
    write(program(seed), folder / "one.mps")
    write(read_instance(folder / "one.mps"), folder / "two.mps")
    assert (folder / "one.mps").read_text() == (folder / "two.mps").read_text()


def test_what_we_write_is_read_alike_by_all(tmp_path: Path) -> None:
    """No sense, no RANGES, one N row, and both bounds of every column, as other programs disagree on all of these."""
    write(program(7), tmp_path / "x.mps")
    text = (tmp_path / "x.mps").read_text()
    assert "OBJSENSE" not in text
    assert "RANGES" not in text
    assert text.count("\n N  ") == 1
    bounds = text.partition("\nBOUNDS\n")[2].splitlines()[:-1]
    for v in range(program(7).n_variables):
        kinds = [line.split()[0] for line in bounds if line.split()[2] == program(7).variable_name(v)]
        assert kinds in (["FX"], ["FR"], ["MI", "UP"], ["UP", "LO"], ["PL", "LO"])


HEAD = "NAME t\nROWS\n N c\n {kind} r\nCOLUMNS\n x c 1 r 2\nRHS\n RHS r 4\nRANGES\n RNG r {reach}\nENDATA\n"


@pytest.mark.parametrize(
    ("kind", "reach", "low", "high"),
    [("L", 3, 1, 4), ("L", -3, 1, 4), ("G", 3, 4, 7), ("G", -3, 4, 7), ("E", 3, 4, 7), ("E", -3, 1, 4), ("E", 0, 4, 4)],
)
def test_ranges_follow_the_standard(tmp_path: Path, kind: str, reach: int, low: int, high: int) -> None:
    """A range spans away from the right-hand side; on an E row its sign says to which side."""
    found = read_text(tmp_path, HEAD.format(kind=kind, reach=reach))
    assert (found.row_low[0], found.row_high[0]) == (low, high)


@pytest.mark.parametrize(
    ("bounds", "low", "high", "whole"),
    [
        ("", 0, np.inf, False),
        (" UP B x 3", 0, 3, False),
        (" LO B x -3", -3, np.inf, False),
        (" UP B x -3\n LO B x -5", -5, -3, False),
        (" MI B x\n UP B x -3", -np.inf, -3, False),
        (" FX B x 2", 2, 2, False),
        (" FR B x", -np.inf, np.inf, False),
        (" FR x", -np.inf, np.inf, False),
        (" FR B x 0", -np.inf, np.inf, False),
        (" FR x 0", -np.inf, np.inf, False),
        (" MI B x", -np.inf, np.inf, False),
        (" PL B x", 0, np.inf, False),
        (" UP x 3", 0, 3, False),
        (" BV B x", 0, 1, True),
        (" LI B x 2", 2, np.inf, True),
        (" UI B x 2", 0, 2, True),
        (" UP B x 1e30", 0, np.inf, False),
        (" LO B x -1E+31", -np.inf, np.inf, False),
        (" UP B x Infinity", 0, np.inf, False),
    ],
)
def test_bounds_follow_the_standard(tmp_path: Path, bounds: str, low: float, high: float, whole: bool) -> None:
    """Each kind of bound, with the name of the set or without, and infinity as a word or as 1e30."""
    section = f"BOUNDS\n{bounds}\n" if bounds else ""
    found = read_text(tmp_path, f"ROWS\n N c\nCOLUMNS\n x c 1\n{section}ENDATA\n")
    assert (found.low[0], found.high[0], bool(found.integral[0])) == (low, high, whole)


@pytest.mark.parametrize(
    "sense", ["OBJSENSE\n    MAX\n", "OBJSENSE MAX\n", "OBJSENSE\n  MAXIMIZE\n", "OBJSENSE maximise\n"]
)
def test_a_maximum_becomes_a_minimum_and_says_so(tmp_path: Path, sense: str) -> None:
    """Costs and constant are negated under every spelling, and provenance tells."""
    body = "ROWS\n N c\n L r\nCOLUMNS\n x c 5 r 1\nRHS\n RHS r 3 c 2\nENDATA\n"
    for text in (f"{sense}NAME t\n{body}", f"NAME t\n{sense}{body}"):
        found = read_text(tmp_path, text)
        assert (found.cost[0], found.offset) == (-5, 2)
        assert optimum(found) == -13  # the maximum of 5 x - 2 for x <= 3, negated
        assert "maximised in the file" in found.provenance.source


def test_the_constant_of_the_objective_is_minus_its_right_hand_side(tmp_path: Path) -> None:
    """The right-hand side of the N row is on the other side of the equation, so its sign turns."""
    found = read_text(tmp_path, "NAME\nROWS\n N c\nCOLUMNS\n x c 1\nRHS\n c -7\nENDATA\n")
    assert found.offset == 7


def test_comments_blank_lines_fixed_columns_and_what_follows_the_end_are_taken(tmp_path: Path) -> None:
    """Layouts seen in old files: stars, Windows line ends, sets without names, text after ENDATA, further N rows."""
    text = (
        "* \u00e9\r\n\r\nNAME          TEST\r\nROWS\r\n N  COST\r\n N  OTHER\r\n G  ROW1\r\nCOLUMNS\r\n"
        "    X         COST              1.D0   ROW1               2.\r\n    X         OTHER              9.\r\n"
        "RHS\r\n              ROW1               .5\r\nENDATA\r\nanything\r\n"
    )
    found = read_text(tmp_path, text)
    assert (found.cost[0], found.coefficients[0], found.row_low[0], found.n_rows) == (1, 2, 0.5, 1)
    assert (found.row_names, found.variable_names, found.name) == (("ROW1",), ("X",), "TEST")
    assert "1 free rows (N) after the first are left out" in found.provenance.source


WHOLE = "NAME\nROWS\n N c\n L r\nCOLUMNS\n M 'MARKER' 'INTORG'\n x c -1 r 1\n y c -1 r 1\n N 'MARKER' 'INTEND'\n"


def command(*words: object) -> Result:
    """The end of a command, run in this process."""
    return CliRunner().invoke(main, [str(word) for word in words])


def test_whole_columns_without_bounds_are_binaries_and_that_is_said(tmp_path: Path) -> None:
    """In a warning with the first one's line and in provenance; --strict refuses; bounds of any kind say otherwise."""
    text, said = f"{WHOLE}RHS\n R r 9\nBOUNDS\n PL B y\nENDATA\n", "1 whole columns without bounds are read as 0 .. 1"
    with pytest.warns(FormatWarning, match=f"x.mps:7: {said}, the first is 'x'"):
        found = read_text(tmp_path, text)
    assert (found.high.tolist(), found.provenance.source) == ([1, np.inf], f"MPS; {said}")
    source, target = tmp_path / "x.mps", tmp_path / "y.matchopt"
    for words in (("solve", source, "--solver", "milp"), ("check", source, source), ("convert", source, target)):
        refused = command(*words, "--strict")
        assert refused.exit_code == 2 and refused.stderr.startswith("Error: ") and said in refused.stderr
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        told = command("convert", source, target)
    assert told.exit_code == 0 and told.stderr.startswith("Warning: ") and said in told.stderr
    with warnings.catch_warnings():
        warnings.simplefilter("error", FormatWarning)
        read_text(tmp_path, text.replace("PL B y", "BV B y\n PL B x"))


@pytest.mark.parametrize("mark", ["*SENSE:Maximize", "* sense : maximise", "  *SENSE:MAX"])
def test_a_sense_in_a_comment_is_not_read_in_silence(tmp_path: Path, mark: str) -> None:
    """The objective is minimised, which a warning and provenance say; with OBJSENSE nothing is in doubt."""
    body = "NAME\nROWS\n N c\nCOLUMNS\n x c 1\nENDATA\n"
    with pytest.warns(FormatWarning, match=r"x.mps:1: \*SENSE:Maximize is a comment, and the objective is minimised"):
        found = read_text(tmp_path, f"{mark}\n{body}")
    assert found.cost.tolist() == [1] and "minimised" in found.provenance.source
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_text(tmp_path, f"{mark}\nOBJSENSE MAX\n{body}").cost.tolist() == [-1]
        assert read_text(tmp_path, f"*SENSE:Minimize\n{body}").cost.tolist() == [1]


LAYOUTS = {
    "dollars": "NAME $\nROWS $ all\n N c $ costs\n G $r $ need\nCOLUMNS $\n $x c 2 $r 1\n y c 3 $ no $r 1\n"
    " y $r 1 $comment $r\nRHS\n $ $r 4 $ four\nBOUNDS\n UP B $x 3 $ at most\n LO B y 0 $\nENDATA $ end\n",
    "stars": "  * a\nNAME\n\t* b\nROWS\n N c\n * G q\n *G q\n G $r\nCOLUMNS\n * $x c 1\n $x c 2 $r 1\n y c 3 $r 1\n"
    "RHS\n * R $r 5\n R $r 4\nBOUNDS\n * UP B y 1\n *UP B y 1\n UP B $x 3\nENDATA\n",
    "lower case": "name t\nrows\n n c\n g $r\ncolumns\n $x c 2 $r 1\n y c 3 $r 1\nrhs\n R $r 4\n"
    "bounds\n up B $x 3\nendata\n",
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_layouts_of_people(tmp_path: Path, layout: str, end: str, mark: bytes) -> None:
    """Comments behind $ and stars, names with both, sections in lower case, tabs, and line ends of every system."""
    path = tmp_path / "x.mps"
    for text in (LAYOUTS[layout], LAYOUTS[layout].replace(" ", "\t")):
        path.write_bytes(mark + text.replace("\n", end).encode() + b"\x1a")
        found = read_instance(path)
        assert isinstance(found, ProgramInstance)
        assert (found.variable_names, found.row_names, found.high.tolist()) == (("$x", "y"), ("$r",), [3, np.inf])
        assert optimum(found) == 9


@pytest.mark.parametrize(("pack", "by"), [(bz2.compress, "packed with bzip2"), (lzma.compress, "packed with xz")])
def test_other_packers_are_named(tmp_path: Path, pack: Callable[[bytes], bytes], by: str) -> None:
    """One sentence, which says what to do and shows no binary bytes."""
    path = tmp_path / "x.mps.bz2"
    path.write_bytes(pack(WHOLE.encode()))
    with pytest.raises(FormatError, match=f"is not read; it is {by}; unpack it, or pack it with gzip$"):
        read_instance(path)


@pytest.mark.parametrize("field", ["low", "high", "row_low", "row_high"])
def test_a_finite_bound_that_reads_as_infinite_is_not_written(tmp_path: Path, field: str) -> None:
    """1e30 means no bound to other programs; the program is refused rather than changed."""
    one = np.ones(1)
    arrays = {"row_low": -one, "row_high": one, "low": -one, "high": one} | {field: np.array([-1e30])}
    wide = ProgramInstance(one, np.array([0, 1]), np.array([0]), one, **arrays)
    with pytest.raises(Refused, match=f"{field} of -1e\\+30 at position 0"):
        write(wide, tmp_path / "x.mps")
    assert not list(tmp_path.iterdir())


def test_awkward_names_survive(tmp_path: Path) -> None:
    """Names that look like keywords, numbers or our own additions come back as they were."""
    names = ("BND", "RHS", "cost", "'MARKER'", "5", "MARKER0", "1e5", "ROWS")
    n = len(names)
    rows = ("cost", "a", "a_high", "'MARKER'")
    given = ProgramInstance(
        np.ones(n),
        np.arange(0, 4 * n + 1, n),
        np.tile(np.arange(n), 4),
        np.arange(1.0, 4 * n + 1),
        np.array([-np.inf, 1.0, 2.0, 3.0]),
        np.array([5.0, 9.0, 2.0, np.inf]),
        integral=np.arange(n) % 2 == 0,
        low=np.array([-np.inf, 0.0] * (n // 2)),
        row_names=rows,
        variable_names=names,
    )
    write(given, tmp_path / "x.mps")
    found = read_instance(tmp_path / "x.mps")
    assert isinstance(found, ProgramInstance)
    assert found.variable_names == names
    assert found.row_names == ("cost", "a", "a_high_1", "a_high", "'MARKER'")
    assert optimum(found) == optimum(given)


def test_lp_shows_every_name_and_number(tmp_path: Path) -> None:
    """The LP file names all rows and variables, and both limits of a row with two."""
    given = ProgramInstance(
        np.array([2.0, -1.0]), np.array([0, 2]), np.array([0, 1]), np.array([1.0, -0.5]), np.array([1.0]),
        np.array([4.0]), integral=np.array([True, False]), offset=3.0,
    )  # fmt: skip
    write(given, tmp_path / "x.lp")
    text = (tmp_path / "x.lp").read_text()
    for line in (" cost: 2 x0 - x1 + 3", " r0: x0 - 0.5 x1 >= 1", " r0_high: x0 - 0.5 x1 <= 4", " 0 <= x1 <= +inf"):
        assert line in text.splitlines()
    assert text.endswith("General\n x0\nEnd\n")
