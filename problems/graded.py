"""Make the table of graded problems, `graded.csv`: recipes, digests, and the best that the installed solvers find.

    python problems/graded.py [--seconds 4] [--only TEXT]

Planted targets have a known optimum, which is not searched for. QAPLIB's values are the published ones, as crossbars.
"""

import argparse
import csv
import hashlib
import io
from pathlib import Path

from matchopt import certify, check
from matchopt.errors import Refused
from matchopt.formats.catalogue import GRADED
from matchopt.formats.container import to_bytes
from matchopt.formats.own import content_of
from matchopt.formats.recipes import made
from matchopt.instances.planted import Planted
from matchopt.library import library_folder
from matchopt.proofs.infeasible import certify_infeasible
from matchopt.run import solve

HERE = Path(__file__).resolve().parent
SEED = 0  # of solvers
SEVERAL = {"crossbar": ("crossbar-perturb", "crossbar-exact"), "buses": ("crossbar-buses", "crossbar-perturb"),
           "sums": ("sum-search",), "split": ("split-alternate",),
           "copies": ("copies-alternate",), "chain": ("chain-perturb",)}  # fmt: skip


def square(n: int, fan_in: int, more: str = "") -> str:
    """A layer of n rows and inputs on as many neurons and cells; what is said in `more` counts instead."""
    given = {"rows": n, "inputs": n, "fan_in": fan_in, "neurons": n, "cells": n}
    said = dict(word.split("=") for word in more.split())
    return " ".join(f"{name}={value}" for name, value in (given | said).items())


def recipes() -> dict[str, str]:
    """Name and recipe of every graded problem."""
    found = {}

    def add(name: str, sizes: str, *laws: str) -> None:
        found.update({f"{name}-{law}": f"planted law={law} {sizes}" for law in laws})

    for n, fan_in, cells, neurons in ((12, 4, 6, 12), (100, 10, 13, 150), (1000, 20, 25, 1000)):
        add(f"free-{n}", square(n, fan_in, f"neurons={neurons} cells={cells}"), "exact", "noisy", "random")
    tiny = "neurons=16 cells=6"
    for name, more in {"drop": "drop=true faults=0.2", "noise": "noise=0.05", "gains": "widest_gain=2",
                       "tunable": "tunable=3", "redundant": "neurons=48"}.items():  # fmt: skip
        laws = ("random",) if "gain" in more else ("noisy", "random")
        add(f"free-12-{name}", square(12, 4, " ".join((tiny, more))), *laws)
    add("free-12-infeasible", square(12, 4, "cells=5 faults=0.35"), "random")
    add("free-100-infeasible", square(100, 8, "neurons=104 cells=10 faults=0.2"), "random")
    for bus in (2, 4):
        add(f"buses-8-{bus}", square(8, 4, f"bus={bus}"), "noisy", "random")
        add(f"buses-64-{8 * bus}", square(64, 8, f"bus={8 * bus}"), "noisy", "random")
    for n, fan_in in ((6, 3), (8, 4), (10, 4), (32, 8), (64, 8), (128, 16)):
        add(f"crossbar-{n}", square(n, fan_in, "bus=0"), "exact", "noisy", "random")
    for name, more in {"faults": "faults=0.1 drop=true", "noise": "noise=0.05", "redundant": "neurons=12 cells=12",
                       "tunable": "tunable=2"}.items():  # fmt: skip
        add(f"crossbar-6-{name}", square(6, 3, f"bus=0 {more}"), "noisy", "random")
    add("sums-8", square(8, 4, "neurons=10 cells=9 cells_per_weight=2"), "noisy", "random")
    add("sums-50", square(50, 8, "neurons=60 cells=16 cells_per_weight=2"), "noisy", "random")
    add("sums-crossbar-6", square(6, 3, "bus=0 cells=10 cells_per_weight=2"), "noisy")
    wired = "wired=4 cells_per_weight=4 cells=0 faults=0.1"
    add("hard-wired-8", square(8, 4, f"inputs=6 neurons=10 {wired}"), "noisy", "random")
    add("hard-wired-100", square(100, 20, f"inputs=50 neurons=120 {wired}"), "noisy", "random")
    add("split-4", square(4, 6, "inputs=6 neurons=10 cells=4 neurons_per_row=2"), "noisy", "random")
    add("split-50", square(50, 12, "neurons=120 cells=8 neurons_per_row=2"), "noisy", "random")
    add("copies-4", square(4, 3, "neurons=8 copies=2"), "noisy", "random")
    add("copies-30", square(30, 8, "neurons=70 cells=12 copies=2"), "exact", "random")
    for n, fan_in, chain in ((6, 3, 2), (32, 6, 3)):
        add(f"chain-{n}-{chain}", square(n, fan_in, f"bus=0 chain={chain}"), "exact", "noisy", "random")
    return found


def solved(name: str, thing: Planted, seconds: float) -> tuple[float | None, float | None, str, str]:
    """Best value, best bound, status, and who found them."""
    if thing.optimum is not None and thing.solution is not None:
        report = check(thing.instance, thing.solution)
        assert report.feasible and abs(report.objective - thing.optimum) <= 1e-12 * (1.0 + thing.optimum), name
        return report.objective, report.objective, "optimal", "planted"
    if certify_infeasible(thing.instance):
        return None, None, "infeasible", "counted: too few hardware neurons with cells enough"
    best, by, found = None, "", None
    for solver in ("auto", *SEVERAL.get(name.partition("-")[0], ())):
        run = solve(thing.instance, solver, time_limit=seconds, certify=False, seed=SEED)
        print(f"  {solver}: {run.status} {run.objective} {run.message}")
        if run.objective is not None and (best is None or run.objective < best):
            best, found, by = run.objective, run.solution, f"{run.solver} {run.version}, {seconds:g} s, seed {SEED}"
    if found is None:
        return None, None, "unknown", ""
    try:
        proof = certify(thing.instance, found, seconds=10.0)
    except Refused as cause:
        return best, None, "feasible", f"{by}; {cause}"
    bound = None if proof.bound == float("-inf") else proof.bound
    return best, bound, "optimal" if proof.optimal else "feasible", f"{by}; bound by {proof.method}"


def quadratic() -> dict[str, dict[str, str]]:
    """Rows of QAPLIB's problems, from the facts that the library's own catalogue has."""
    folder = library_folder()
    assert folder is not None, "MATCHOPT_LIBRARY names the folder with QAPLIB"
    found = {}
    with (folder / "instances" / "catalogue.csv").open(newline="") as file:
        for known in csv.DictReader(file):
            if known["path"].startswith("qaplib/"):
                path = folder / "instances" / known["path"]
                text = f"qaplib {path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}"
                thing = made(text, path.stem)
                constant = float(thing.instance.provenance.source.rpartition("less ")[2])
                bests = [
                    None if not known[key] else float(known[key]) + constant for key in ("best_value", "best_bound")
                ]
                source = f"QAPLIB, published value {known['best_value']}, less {-constant!r}"
                found[path.stem] = row(path.stem, text, thing, (*bests, known["status"], source))
    return found


def row(name: str, recipe: str, thing: Planted, known: tuple[float | None, float | None, str, str]) -> dict[str, str]:
    """A row of the table."""
    value, bound, status, source = known
    sha256 = hashlib.sha256(to_bytes(content_of(thing.instance))).hexdigest()
    bests = ["" if x is None else repr(x) for x in (bound, value)]
    cells = (name, recipe, thing.instance.digest, sha256, thing.instance.kind, *bests, status, source)
    return dict(zip(GRADED, cells, strict=True))


def main() -> None:
    """Make the rows that are asked for, keep the others."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="time limit of each solve")
    parser.add_argument("--only", default="", help="only problems whose name contains this text")
    options = parser.parse_args()
    path = HERE / "graded.csv"
    rows = {}
    if path.is_file():
        with path.open(newline="") as file:
            rows = {row["name"]: row for row in csv.DictReader(file)}
    for name, recipe in recipes().items():
        if options.only in name:
            print(name, flush=True)
            thing = made(recipe, name)
            rows[name] = row(name, recipe, thing, solved(name, thing, options.seconds))
            write_rows(rows, path)
    if options.only in "qaplib":
        rows |= quadratic()
    write_rows(rows, path)


def write_rows(rows: dict[str, dict[str, str]], path: Path) -> None:
    """Write the table, sorted by name."""
    text = io.StringIO()
    writer = csv.DictWriter(text, GRADED, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows[name] for name in sorted(rows))
    path.write_text(text.getvalue())


if __name__ == "__main__":
    main()
