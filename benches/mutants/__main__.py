"""Mutation tests of what must be believed: the checker, the proofs and the judge.

Usage: python benches/mutants [run | table] [--sample N | --each N] [--seed N] [--only WORD ...] [--quick]
       [--within SECONDS] [--tests FILE ...]

`run` makes one small fault at a time and runs the tests that reach it, until one fails. Results go to results.csv
beside this file; what stands there already is not run again until its function changes, so a run may be stopped
and goes on where it was. With --sample only so many, drawn by the seed from all, with --each so many of each module in
turn; with --quick the tests marked slow are left out, and what survives is tried again by the next run without. With
--within each mutant meets the quickest of its tests only, as many as take so many processor seconds in all, and what
survives is tried again as well. `table` prints the score.
"""

import argparse
import csv
import hashlib
import os
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RESULTS = HERE / "results.csv"
COLUMNS = ("key", "module", "function", "operator", "change", "outcome", "by", "reason", "commit")
ROOMS = ("matchopt/checker", "matchopt/proofs", "matchopt/run/judge.py")
TESTS = (
    "tests/checker",
    "tests/proofs",
    "tests/reduce/test_ladder_refusals.py",
    "tests/reduce/test_one_chip.py",
    "tests/run/test_judge.py",
    "tests/run/test_run.py",
    "tests/solvers/test_budget.py",
    "tests/test_easy_and_hard.py",
)
UNDETECTED = ("survived", "uncovered")
QUICK = "by the quick tests"

from operators import Mutant, mutants  # noqa: E402


def every_mutant() -> list[Mutant]:
    """Those of all rooms."""
    files = [
        path for room in ROOMS for path in ([ROOT / room] if room.endswith(".py") else (ROOT / room).rglob("*.py"))
    ]
    proving = [path for path in sorted(files) if path.name != "__main__.py"]  # that one only compiles
    return [m for p in proving for m in mutants(p.relative_to(ROOT).as_posix(), p.read_text())]


def recorded() -> dict[str, dict[str, str]]:
    """Rows of the results by key."""
    if not RESULTS.exists():
        return {}
    with RESULTS.open(newline="") as file:
        return {row["key"]: row for row in csv.DictReader(file)}


def write(rows: dict[str, dict[str, str]], every: list[Mutant]) -> None:
    """Results of the mutants that there still are, in their order."""
    half = RESULTS.with_suffix(".part")
    with half.open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows[mutant.key] for mutant in every if mutant.key in rows)
    half.replace(RESULTS)


def run(every: list[Mutant], wanted: list[Mutant], quick: bool, within: float, tests: list[str]) -> int:
    """Run what has no result yet."""
    import pytest
    from session import Session

    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    rows = recorded()
    some = quick or within < float("inf")
    again = set() if some else {key for key, row in rows.items() if row["reason"] == QUICK}
    left = [mutant for mutant in wanted if mutant.key not in rows or mutant.key in again]
    print(f"{len(every)} mutants, {len(wanted)} wanted, {len(left)} without a result")
    if not left:
        return 0

    def campaign(session: Session) -> None:
        for count, mutant in enumerate(left, 1):
            outcome, by = session.run(mutant)
            reason = QUICK if some and outcome in UNDETECTED else ""
            found = (outcome, by, reason, commit.strip())
            values = (mutant.key, mutant.path, mutant.function, mutant.operator, mutant.change, *found)
            rows[mutant.key] = dict(zip(COLUMNS, values, strict=True))
            write(rows, every)
            where = f"{mutant.path}:{mutant.line} {mutant.function}"
            print(f"{count}/{len(left)} {outcome:9} {where}: {mutant.change}", file=sys.__stdout__, flush=True)

    for library in ("OMP", "OPENBLAS", "MKL"):  # a forked process must not wait for threads that it has not got
        os.environ[f"{library}_NUM_THREADS"] = "1"
    os.chdir(ROOT)
    session = Session(ROOT, sorted({mutant.path for mutant in every}), campaign, within)
    layer = ["-m", "not slow"] if quick else []
    return int(pytest.main(["-q", "-p", "no:cacheprovider", *layer, *tests], plugins=[session]))


def table(every: list[Mutant]) -> None:
    """The score of each module as a Markdown table, then what was not noticed."""
    rows, counts, commits = recorded(), defaultdict(Counter), defaultdict(set)
    for mutant in every:
        row = rows.get(mutant.key)
        kind = "left" if row is None else "equivalent" if row["reason"].startswith("equivalent") else row["outcome"]
        counts[mutant.path][kind] += 1
        if row is not None:
            commits[mutant.path].add(row["commit"])
    print("| module | mutants | tried | at | killed | timed out | equivalent | noticed by no test | score |")
    print("|---|---|---|---|---|---|---|---|---|")
    counts["all"] = sum(counts.values(), Counter())
    for path, found in counts.items():
        tried = found.total() - found["left"]
        missed = sum(found[kind] for kind in UNDETECTED)
        meant = tried - found["equivalent"]
        score = f"{100 * (meant - missed) / meant:.0f} %" if meant else "-"
        at = " ".join(sorted(commits[path]))
        cells = (path, found.total(), tried, at, found["killed"], found["timeout"], found["equivalent"], missed, score)
        print("| " + " | ".join(map(str, cells)) + " |")
    print()
    for mutant in every:
        row = rows.get(mutant.key)
        if row is not None and row["outcome"] in UNDETECTED:
            where = f"{mutant.path}:{mutant.line} {mutant.function}"
            print(f"- {where}: `{mutant.change}`: {row['reason'] or 'no reason yet'}")


def drawn(wanted: list[Mutant], seed: int, sample: int, each: int) -> list[Mutant]:
    """Those to try, by their keys, so that the same are drawn as long as they stay; of each module in turn."""
    order = sorted(wanted, key=lambda mutant: hashlib.sha256(f"{seed} {mutant.key}".encode()).digest())
    if sample:
        kept = {mutant.key for mutant in order[:sample]}
        return [mutant for mutant in wanted if mutant.key in kept]
    if each:
        seen: Counter[str] = Counter()
        turns = []
        for mutant in order:
            seen[mutant.path] += 1
            turns.append((seen[mutant.path], mutant))
        turns.sort(key=lambda pair: (pair[1].function == "", pair[0]))  # those outside functions cost a process each
        return [mutant for turn, mutant in turns if turn <= each]
    return wanted


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", nargs="?", choices=["run", "table"], default="run")
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--each", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="*", default=[""], help="modules or functions with one of these in their names")
    parser.add_argument("--within", type=float, default=float("inf"))
    parser.add_argument("--tests", nargs="+", default=list(TESTS), help="files of tests")
    given = parser.parse_args()
    every = every_mutant()
    if given.action == "table":
        table(every)
        return 0
    wanted = [each for each in every if any(word in f"{each.path} {each.function}" for word in given.only)]
    wanted = drawn(wanted, given.seed, given.sample, given.each)
    return run(every, wanted, given.quick, given.within, given.tests)


if __name__ == "__main__":
    sys.exit(main())
