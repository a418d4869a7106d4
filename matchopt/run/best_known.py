"""A better solution, or a better bound, of a listed problem: believed once checker and certificates say so."""

import importlib.util
import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from matchopt.checker import check
from matchopt.errors import DataError, Refused, UnknownName
from matchopt.formats import (
    CatalogueEntry,
    SolutionFile,
    read_catalogue,
    read_instance,
    read_problems,
    write,
    write_catalogue,
)
from matchopt.instances import Instance, Solution
from matchopt.library import best_known_file, tools_folder
from matchopt.proofs import certify

BETTER = 1e-9  # of a value or bound: what is nearer to it is no better


@dataclass(frozen=True)
class Submitted:
    """What a submission came to.

    Parameters
    ----------
    entry : the problem as it is known now.
    better_value, better_bound : which of the two is better than before.
    table, solution : the files that say so.
    """

    entry: CatalogueEntry
    better_value: bool
    better_bound: bool
    table: Path
    solution: Path


def submit(
    given: SolutionFile,
    *,
    problem: str | None = None,
    proof: Path | None = None,
    bound: bool = False,
    table: Path | None = None,
) -> Submitted:
    """Check a solution of a listed problem, and a bound where one is given, and keep what is better than what is known.

    Parameters
    ----------
    given : the solution, and the digest of its instance.
    problem : name of the problem; None to find it by the digest.
    proof : a proof file for the problem, which the stand-alone checker checks; its bound counts.
    bound : prove a bound by `matchopt.certify`.
    table : the user's own table; None for `matchopt.library.best_known_file`. Solutions go into a folder beside it.

    Raises
    ------
    Refused
        when the solution is infeasible, or of no listed problem, or neither value nor bound is better.
    UnknownName
        for a problem that is not listed.
    """
    path = best_known_file() if table is None else table
    entry, instance = _meant(given, problem, read_problems(path))
    report = check(instance, given.solution)
    if not report.feasible:
        raise Refused(f"the solution of {entry.name} is infeasible: {report.violations[0].message}")
    found, optimal, how = _bound(instance, given.solution, proof, bound)
    value = report.objective
    assert value is not None
    slack = BETTER * abs(value)
    better_value = entry.best_value is None or value < entry.best_value - slack
    better_bound = found is not None and (entry.best_bound is None or found > entry.best_bound + slack)
    closed = optimal and entry.status != "optimal"
    if not (better_value or better_bound or closed):
        claimed = "" if found is None else f", and its bound {found!r} is not above {entry.best_bound!r}"
        raise Refused(
            f"{entry.name} is known at {entry.best_value!r}, this solution costs {value!r}{claimed}: no better"
        )
    known = replace(
        entry,
        best_value=value if better_value else entry.best_value,
        best_bound=found if better_bound else entry.best_bound,
        status="optimal" if optimal else "feasible" if better_value else entry.status,
        source=f"submitted: {given.solver or 'unknown solver'}{how}",
    )
    if known.best_bound is not None and value < known.best_bound - 1e-6 * abs(value):
        raise DataError(f"{entry.name}: the solution costs {value!r}, below the bound {known.best_bound!r} that the "
                        "table has; one of them is wrong, so nothing is written")  # fmt: skip
    place = path.parent / "solutions" / f"{entry.name}.matchopt"
    place.parent.mkdir(parents=True, exist_ok=True)
    write(replace(given, instance=instance.digest), place)
    own = read_catalogue(path) if path.is_file() else ()
    write_catalogue([*(e for e in own if (e.place, e.path) != (entry.place, entry.path)), known], path)
    return Submitted(known, better_value, better_bound, path, place)


def _meant(
    given: SolutionFile, name: str | None, entries: tuple[CatalogueEntry, ...]
) -> tuple[CatalogueEntry, Instance]:
    """The problem and its instance."""
    chosen = [entry for entry in entries if name in (None, entry.name, entry.path)]
    if not chosen:
        raise UnknownName("problem", str(name), [entry.name for entry in entries])
    for entry in sorted(chosen, key=lambda each: not each.digest):  # files are read only where no recipe has the digest
        if name is None and (entry.kind != given.solution.kind or entry.digest not in ("", given.instance)):
            continue
        try:
            instance = read_instance(entry.locate(), entry.format)
        except DataError:
            if name is not None:
                raise
            continue  # of a library that is not here
        if given.instance in ("", instance.digest) and (name is not None or given.instance):
            if instance.kind != given.solution.kind:
                raise Refused(f"the solution is of kind {given.solution.kind}, {entry.name} of kind {instance.kind}")
            return entry, instance
        if name is not None:
            raise Refused(
                f"the solution is of the instance {given.instance[:12]}, {entry.name} is {instance.digest[:12]}"
            )
    if not given.instance:
        raise Refused("the solution does not say of which instance it is; name the problem")
    raise Refused(f"no listed problem has the digest {given.instance[:12]} that the solution names")


def _bound(
    instance: Instance, solution: Solution, proof: Path | None, prove: bool
) -> tuple[float | int | None, bool, str]:
    """The bound, whether it proves the solution optimal, and in words by what."""
    if proof is not None:
        claim, bound = verified(instance, proof)
        return bound, claim == "optimal" and abs(instance.value(solution) - bound) <= 1e-6 * abs(bound) + 1e-12, \
            "; bound by a proof file"  # fmt: skip
    if prove:
        found = certify(instance, solution)
        return found.bound, found.optimal, f"; bound by {found.method}"
    return None, False, ""


def verified(instance: Instance, proof: Path) -> tuple[str, float | int]:
    """Claim and bound of a proof file that the stand-alone checker accepts for this instance.

    Raises
    ------
    Refused
        when it rejects the file, or the file proves that there is no solution.
    """
    spec = importlib.util.spec_from_file_location("matchopt_check_proof", tools_folder() / "check_proof.py")
    assert spec is not None and spec.loader is not None
    checker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(checker)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "instance.matchopt"
        write(instance, path)
        try:
            checker.verify(path, proof)
            head = json.loads(proof.read_bytes().splitlines()[0])
            return str(head["claim"]), head["bound"]
        except Exception as cause:  # whatever it meets, nothing is proved
            raise Refused(f"{proof} is rejected: {cause}") from None
