"""Public instances: the exact solvers reach every value of the catalogue, and the checker agrees.

Needs the files that MATCHOPT_LIBRARY names.
"""

import pytest
from matchopt_cpsat import CpSat
from matchopt_hungarian import Hungarian
from matchopt_milp import Milp
from solvers.small import objective, solved

from matchopt import AssignmentInstance, Limits, ProgramInstance, Solver, Status, reduction
from matchopt.formats import CatalogueEntry, read_catalogue, read_instance
from matchopt.library import LIBRARY_VARIABLE, library_folder
from matchopt.proofs import certify

pytestmark = pytest.mark.skipif(library_folder() is None, reason=f"{LIBRARY_VARIABLE} is not set")
ENTRIES = [entry for entry in read_catalogue() if entry.place == "library" and entry.status == "optimal"]
ASSIGNMENTS = [entry for entry in ENTRIES if entry.kind == "assignment"]
SMALL_GAP = tuple(f"gap{number}-" for number in range(1, 7))  # the others take minutes on one core
PROGRAMS = [entry for entry in ENTRIES if entry.path.startswith("miplib") or entry.name.startswith(SMALL_GAP)]
QUICK = ("p01", "egout", "gap1-0", "gap2-0", "assign100")


def entries(listed: list[CatalogueEntry], slow: bool = True) -> list[object]:
    """One parameter per entry, all but the quick ones marked slow."""
    marks = {entry.name: [pytest.mark.slow] if slow and entry.name not in QUICK else [] for entry in listed}
    return [pytest.param(entry, id=entry.name, marks=marks[entry.name]) for entry in listed]


def test_the_catalogue_lists_what_is_tested_here() -> None:
    """Six dense and three sparse assignments, eight MIPLIB programs and the eighteen of gap1 to gap6."""
    assert (len(ASSIGNMENTS), len(PROGRAMS)) == (9, 26)


@pytest.mark.parametrize("engine", ["lap", "scipy"])
@pytest.mark.parametrize("entry", entries(ASSIGNMENTS, slow=False))
def test_hungarian_reaches_the_catalogue(entry: CatalogueEntry, engine: str) -> None:
    """The optimum of the catalogue, dense and sparse, proved by the certificate and met by the solver's own bound."""
    instance = read_instance(entry.locate())
    result = solved(Hungarian(engine=engine), instance)  # type: ignore[arg-type]
    assert objective(instance, result.solution) == entry.best_value == result.bound
    assert result.solution is not None
    assert certify(instance, result.solution).optimal


@pytest.mark.parametrize("solver", [Milp(), CpSat()], ids=["milp", "cpsat"])
@pytest.mark.parametrize("entry", entries(PROGRAMS))
def test_programs_reach_the_catalogue(entry: CatalogueEntry, solver: Solver) -> None:
    """The optimum of the catalogue to its printed digits, with a bound that proves it; or refused as continuous."""
    instance = read_instance(entry.locate())
    assert isinstance(instance, ProgramInstance)
    if solver.name == "cpsat" and not instance.integral.all():
        assert "variables are continuous" in (solver.refuses(instance) or "")
        return
    result = solved(solver, instance, Limits(seconds=60.0))
    assert entry.best_value is not None
    assert result.status is Status.OPTIMAL
    assert objective(instance, result.solution) == pytest.approx(entry.best_value, rel=1e-8)
    assert result.bound == pytest.approx(entry.best_value, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("solver", [Milp(), CpSat()], ids=["milp", "cpsat"])
@pytest.mark.parametrize("entry", entries([entry for entry in ASSIGNMENTS if entry.name in ("assign100", "assign200")]))
def test_programs_agree_on_assignments(entry: CatalogueEntry, solver: Solver) -> None:
    """Linearised, an assignment has the value of the catalogue where the solver is done in 60 s, and no bound above."""
    instance = read_instance(entry.locate())
    assert isinstance(instance, AssignmentInstance)
    down = reduction(instance, ProgramInstance)
    result = solved(solver, down.parts[0], Limits(seconds=60.0))
    assert entry.best_value is not None
    assert result.bound <= entry.best_value
    if result.status is Status.OPTIMAL:
        assert result.solution is not None
        assert objective(instance, down.lift([result.solution])) == entry.best_value
    else:
        assert entry.name != "assign100", "10,000 binaries take a few seconds"
