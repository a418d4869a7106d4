"""Variants x formats: every rung is written so that others read the same problem, or refused in a sentence."""

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp

from matchopt import AssignmentInstance, Instance, LayerInstance, ProgramInstance, read_instance, reduction, write
from matchopt.errors import Refused
from matchopt.formats import FORMATS, find_entry, read_graded
from matchopt.formats.recipes import made
from matchopt.testing import tiny_instances

RUNGS = {"matchopt": None, "mps": ProgramInstance, "lp": ProgramInstance, "opb": ProgramInstance,
         "orlib-assignment": AssignmentInstance, "orlib-assignment-sparse": AssignmentInstance,
         "qaplib": LayerInstance, "orlib-gap": ProgramInstance}  # fmt: skip
TRAITS = [tiny.name for tiny in tiny_instances()][::3]
QUICK = ("layer-drop", "layer-two-cells", "assignment-square", "knapsack")


GRADED = ("buses-8-2-random", "crossbar-6-random", "sums-8-noisy", "hard-wired-8-random", "split-4-noisy",
          "copies-4-noisy", "chain-6-2-exact", "free-12-gains-random", "free-12-tunable-noisy")  # fmt: skip


def graded(name: str) -> Instance:
    """A problem of the graded set."""
    return made(find_entry(name, read_graded()).recipe, name).instance


INSTANCES: dict[str, Callable[[], Instance]] = {name: (lambda n=name: graded(n)) for name in GRADED}
INSTANCES |= {tiny.name: (lambda t=tiny: t.instance) for tiny in tiny_instances() if tiny.name in TRAITS}


def of_opb(path: Path) -> ProgramInstance:
    """The program of an OPB file, read by its grammar."""
    lines = path.read_text().splitlines()
    unit, _, offset = lines[1].rpartition("objective / ")[2].partition(" + ")
    count = int(lines[0].split()[2])

    def terms(text: str, unit: int = 1) -> np.ndarray:
        tokens, found = text.split(), np.zeros(count)
        for value, name in zip(tokens[::2], tokens[1::2], strict=True):
            found[int(name[1:]) - 1] += float(Fraction(int(value), unit))
        return found

    rows = [line.removesuffix(" ;").partition(" >= " if ">=" in line else " = ") for line in lines[3:]]
    assert len(rows) == int(lines[0].split()[4])
    low = np.array([float(end) for _, _, end in rows])
    high = np.array([math.inf if ">=" in side else end for (_, side, _), end in zip(rows, low, strict=True)])
    table = np.array([terms(left) for left, _, _ in rows]).reshape(len(rows), count)
    starts = np.arange(len(rows) + 1) * count
    cost = terms(lines[2].removeprefix("min: ").removesuffix(" ;"), int(unit))
    given = {"high": np.ones(count), "integral": np.ones(count, bool), "offset": float(offset)}
    return ProgramInstance(cost, starts, np.tile(np.arange(count), len(rows)), table.ravel(), low, high, **given)


def by_highs(program: ProgramInstance) -> float:
    """The optimum by HiGHS, through scipy; inf where there is none."""
    table = np.zeros((program.n_rows, program.n_variables))
    for i in range(program.n_rows):
        variables, values = program.row(i)
        table[i, variables] = values
    if program.n_variables == 0:
        return program.offset if (program.row_low <= 0.0).all() and (program.row_high >= 0.0).all() else math.inf
    rows = [LinearConstraint(table, program.row_low, program.row_high)] if program.n_rows else []
    found = milp(program.cost, integrality=program.integral, bounds=Bounds(program.low, program.high), constraints=rows)
    assert found.status in (0, 2), found.message
    return float(found.fun) + program.offset if found.status == 0 else math.inf


def by_scip(path: Path) -> float:
    """The optimum of a file, read and solved by SCIP; inf where there is none."""
    scip = pytest.importorskip("pyscipopt")
    model = scip.Model()
    model.hideOutput()
    model.readProblem(str(path))
    model.optimize()
    return math.inf if model.getStatus() == "infeasible" else float(model.getObjVal())


@pytest.mark.parametrize("format", RUNGS)
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name.endswith(QUICK) or name == "crossbar-6-random" else pytest.mark.slow)
     for name in INSTANCES],
)  # fmt: skip
def test_written_for_others_or_refused(name: str, format: str, tmp_path: Path) -> None:
    """What is read back is equal, or has the same optimum by an engine; a refusal is one sentence."""
    instance, kind, path = INSTANCES[name](), RUNGS[format], tmp_path / f"x{FORMATS[format].endings[0]}"
    try:
        parts = [instance] if kind is None else list(reduction(instance, kind).parts)
        for part in parts:
            write(part, path, format)
    except Refused as cause:
        assert 20 < len(str(cause)) < 400 and "\n" not in str(cause)
        return
    for part in parts:
        write(part, path, format)
        if isinstance(part, ProgramInstance):
            if part.n_variables > 250 or (format == "lp" and not part.n_variables):  # enough for the engines; nothing
                continue
            again = of_opb(path) if format == "opb" else None if format == "lp" else read_instance(path, format)
            assert again is None or isinstance(again, ProgramInstance)
            found = by_scip(path) if again is None else by_highs(again)
            assert found == pytest.approx(by_highs(part), rel=1e-6, abs=1e-6)
        else:
            again = read_instance(path, format)
            same = isinstance(part, AssignmentInstance) and isinstance(again, AssignmentInstance)
            assert np.array_equal(part.dense, again.dense) if same else again.digest == part.digest


def test_every_format_is_in_the_matrix() -> None:
    """All that hold instances; what is only read says so when it shall be written."""
    assert {name for name, each in FORMATS.items() if "mapping" not in each.about} == set(RUNGS)
    program = next(tiny.instance for tiny in tiny_instances() if isinstance(tiny.instance, ProgramInstance))
    with pytest.raises(Refused, match="orlib-gap"):
        write(program, "x.gap", "orlib-gap")
