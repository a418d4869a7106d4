"""The command problems: lists, regenerates, and takes what is better."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from matchopt import check, read_instance, write
from matchopt.cli import main
from matchopt.formats import SolutionFile, find_entry, read_catalogue, read_graded, read_problems, write_catalogue
from matchopt.formats.recipes import made
from matchopt.instances import LayerMapping
from matchopt.library import best_known_file, library_folder
from matchopt.run import solve, write_proof


def run(*arguments: str | Path) -> Result:
    """A command in this process."""
    return CliRunner().invoke(main, ["problems", *map(str, arguments)])


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cache and table of a user who has none yet."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("MATCHOPT_CACHE", str(tmp_path / "cache"))


def test_every_recipe_makes_what_is_listed() -> None:
    """Byte for byte: digest and SHA-256; what is planted costs what the table says, and the table has every variant."""
    for entry in read_graded():
        if entry.recipe.startswith("planted"):
            entry.regenerate()
            thing = made(entry.recipe, entry.name)
            assert entry.status == "optimal" or thing.optimum is None
            assert thing.optimum is None or entry.best_value == entry.best_bound == pytest.approx(thing.optimum)
    said = " ".join(entry.recipe for entry in read_graded())
    wanted = ("bus=4", "bus=0", "cells_per_weight=2", "wired", "neurons_per_row", "copies", "chain", "tunable",
              "noise=", "faults", "widest_gain", "drop")  # fmt: skip
    assert not [word for word in wanted if word not in said]


@pytest.mark.skipif(library_folder() is None, reason="MATCHOPT_LIBRARY is not set")
def test_quadratic_problems_are_made_from_their_files() -> None:
    """As crossbars, of the digest that is listed."""
    names = [entry.name for entry in read_graded() if entry.recipe.startswith("qaplib")]
    assert len(names) == 100
    for name in ("chr12a", "esc8f" if "esc8f" in names else names[0]):
        find_entry(name, read_problems()).regenerate()


def test_they_are_filtered_described_and_regenerated(tmp_path: Path) -> None:
    """By variant, size, status and text; a file is written with the bytes of its digest."""
    listed = json.loads(run("--variant", "bus=0", "--most-rows", "8", "--status", "optimal", "--json").stdout)[
        "problems"
    ]
    assert listed and all("bus=0" in each["recipe"] and each["status"] == "optimal" for each in listed)
    assert all(int(each["recipe"].partition("rows=")[2].split()[0]) <= 8 for each in listed)
    assert {"crossbar-8-noisy", "crossbar-6-faults-noisy"} <= {each["name"] for each in listed}
    assert json.loads(run("--variant", "nothing", "--json").stdout)["problems"] == []
    shown = run("crossbar-8-noisy").stdout
    assert all(word in shown for word in ("planted law=noisy", "gap", "proved", "8 rows of 8 inputs", "digest"))
    done = run("regenerate", "crossbar-8-noisy", "--output", tmp_path / "x.matchopt")
    assert done.exit_code == 0 and "as listed" in done.stdout
    sha256 = find_entry("crossbar-8-noisy", read_graded()).sha256
    assert hashlib.sha256((tmp_path / "x.matchopt").read_bytes()).hexdigest() == sha256
    refused = run("regenerate", "crossbar-8x8")
    assert refused.exit_code == 2 and "only recipes are made again" in refused.stderr


def rough(name: str) -> LayerMapping:
    """A plain solution of a problem."""
    found = solve(read_instance(find_entry(name, read_problems()).locate()), "random-wiring", certify=False).solution
    assert isinstance(found, LayerMapping)
    return found


def test_a_better_solution_becomes_the_best_known(tmp_path: Path) -> None:
    """In the user's table, beside which it lies; the same again, a worse or infeasible one, and a stranger's do not."""
    name = "crossbar-32-random"
    entry = find_entry(name, read_problems())
    write_catalogue([replace(entry, best_value=1e9, best_bound=None, status="feasible")], path := tmp_path / "t.csv")
    solution = rough(name)
    write(SolutionFile(solution, entry.digest, "me"), tmp_path / "s.matchopt")
    refused = run("submit", tmp_path / "s.matchopt")
    assert refused.exit_code == 2 and "no better" in refused.stderr and not best_known_file().exists()
    done = run("submit", tmp_path / "s.matchopt", "--table", path, "--json")
    assert done.exit_code == 0, done.stderr
    (known,) = read_catalogue(path)
    assert known.best_value == check(read_instance(entry.locate()), solution).objective
    assert "submitted: me" in known.source and json.loads(done.stdout)["table"] == str(path)
    assert (tmp_path / "solutions" / f"{name}.matchopt").is_file()
    assert json.loads(run(name, "--table", path, "--json").stdout)["problems"][0]["best_value"] == known.best_value
    assert run("submit", tmp_path / "s.matchopt", "--table", path).exit_code == 2  # the same is no better
    twice = replace(solution, neuron_of=solution.neuron_of * 0)
    write(SolutionFile(twice, entry.digest), tmp_path / "bad.matchopt")
    assert "is infeasible" in run("submit", tmp_path / "bad.matchopt", "--table", path).stderr
    write(SolutionFile(solution, "0" * 64), tmp_path / "foreign.matchopt")
    assert "no listed problem has the digest" in run("submit", tmp_path / "foreign.matchopt").stderr
    assert "the solution is of the instance" in run("submit", tmp_path / "foreign.matchopt", "--problem", name).stderr


@pytest.mark.parametrize("by", ["proof", "bound"])
def test_a_better_bound_becomes_the_best_known(by: str, tmp_path: Path) -> None:
    """Once a proof file is accepted, or a certificate made; then the problem is solved."""
    entry = find_entry("free-12-random", read_problems())
    write_catalogue([replace(entry, best_bound=0.0, status="feasible")], path := tmp_path / "t.csv")
    instance = read_instance(entry.locate())
    solution = solve(instance, "hungarian", certify=False).solution
    assert solution is not None
    write(SolutionFile(solution, entry.digest, "hungarian"), tmp_path / "s.matchopt")
    write_proof(instance, solution, tmp_path / "p")
    arguments = ["--proof", tmp_path / "p"] if by == "proof" else ["--bound"]
    done = run("submit", tmp_path / "s.matchopt", "--table", path, *arguments)
    assert done.exit_code == 0 and "better bound" in done.stdout
    (known,) = read_catalogue(path)
    assert known.status == "optimal" and known.best_bound == pytest.approx(known.best_value, rel=1e-6)
    (tmp_path / "p").write_bytes((tmp_path / "p").read_bytes().replace(b"optimal", b"optimum", 1))
    refused = run("submit", tmp_path / "s.matchopt", "--table", path, "--proof", tmp_path / "p")
    assert refused.exit_code == 2 and "is rejected" in refused.stderr
    (tmp_path / "p").write_bytes(b"[" * 100_000)
    nested = run("submit", tmp_path / "s.matchopt", "--table", path, "--proof", tmp_path / "p")
    assert nested.exit_code == 2 and "is rejected" in nested.stderr
