"""The commands convert, solvers, plugins, new-plugin, check-solver and problems."""

import contextlib
import json
import re
from pathlib import Path

import numpy as np
import psutil
import pytest
from click.testing import CliRunner, Result

import matchopt
from matchopt import AssignmentInstance, Hardware, LayerInstance, ProgramInstance, Target, read
from matchopt.cli import main
from matchopt.formats import read_instance, read_problems
from matchopt.plugins import load_plugins


def run(*arguments: str | Path) -> Result:
    """A command in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_down_the_ladder_and_into_other_formats(layer: Path, tmp_path: Path) -> None:
    """A layer becomes an assignment, a program, MPS and LP; the optimum stays the same all the way."""
    steps = [
        ("cost.matchopt", ["--to", "assignment"], AssignmentInstance),
        ("program.mps.gz", ["--to", "program"], ProgramInstance),
        ("program.lp", ["--to", "program"], None),
    ]
    objective = json.loads(run("solve", layer, "--solver", "hungarian", "--json").stdout)["objective"]
    for name, arguments, kind in steps:
        path = tmp_path / name
        assert run("convert", layer, path, *arguments).exit_code == 0
        assert path.stat().st_size > 0
        if kind is not None:
            assert isinstance(read(path), kind)
    solved = json.loads(run("solve", tmp_path / "cost.matchopt", "--solver", "hungarian", "--json").stdout)
    assert solved["objective"] == pytest.approx(objective)


def test_a_network_becomes_a_file_per_layer(tmp_path: Path) -> None:
    """The layers of a network are numbered before the ending."""
    from matchopt import NetworkInstance, write
    from matchopt.reduce.split import not_splittable
    from matchopt.testing import tiny_instances

    networks = [tiny.instance for tiny in tiny_instances() if isinstance(tiny.instance, NetworkInstance)]
    network = next(found for found in networks if not_splittable(found) is None)
    write(network, tmp_path / "net.matchopt")
    assert run("convert", tmp_path / "net.matchopt", tmp_path / "part.matchopt", "--to", "layer").exit_code == 0
    for number, layer in enumerate(network.layers):
        found = read_instance(tmp_path / f"part.{number}.matchopt")
        assert isinstance(found, LayerInstance) and found.digest == layer.digest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["three.matchopt", "--to", "layer"], "does not reduce to a layer"),
        (["three.mps"], "cannot hold"),
        (["three.xyz"], "three.xyz"),
        (["none/three.matchopt"], "does not exist"),
        (["three.matchopt", "--format", "matchop"], "did you mean 'matchopt'"),
    ],
)
def test_bad_conversions(assignment: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    """What cannot be written is named; exit status 2, and no file appears."""
    before = sorted(tmp_path.iterdir())
    done = run("convert", assignment, tmp_path / arguments[0], *arguments[1:])
    assert done.exit_code == 2
    assert message in done.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_solvers_are_listed_with_their_options() -> None:
    """Every registered solver is in the list, with the type, default and meaning of every option."""
    listed = json.loads(run("solvers", "--json").stdout)["solvers"]
    assert [solver["name"] for solver in listed] == sorted(load_plugins().solvers)
    table = run("solvers").stdout
    for solver in listed:
        assert solver["name"] in table and solver["doc"]
        for option in solver["options"]:
            assert option["doc"], f"option {option['name']} of {solver['name']} is not explained"
            assert option["name"] in table
    (one,) = json.loads(run("solvers", "hungarian", "--json").stdout)["solvers"]
    assert (one["solves"], one["role"], one["available"]) == ("assignment", "exact", True)


def test_an_unavailable_solver_names_the_pip_command(tmp_path: Path) -> None:
    """A solver whose package is missing is listed as unavailable, with what to install."""
    plugin = tmp_path / "needy.py"
    plugin.write_text(
        "from dataclasses import dataclass\nimport matchopt\n@dataclass(frozen=True)\nclass Needy(matchopt.Solver):\n"
        "    '''Needs what nobody has.'''\n    name = 'needy'\n    solves = matchopt.AssignmentInstance\n"
        "    needs = ('surely_not_installed.part',)\n    extra = 'ortools'\n"
        "    def solve(self, instance, limits, rng):\n        return matchopt.Result(None)\n"
        "@matchopt.hookimpl\ndef register_solvers(register):\n    register(Needy)\n"
    )
    (one,) = json.loads(run("solvers", "needy", "--plugin", plugin, "--json").stdout)["solvers"]
    assert one["available"] is False and "pip install 'matchopt[ortools]'" in one["state"]


def test_failed_plugins_are_listed_with_the_cause(tmp_path: Path) -> None:
    """A plugin that cannot be imported is a row with its cause; the others are listed as ever."""
    broken = tmp_path / "broken.py"
    broken.write_text("raise RuntimeError('no luck today')\n")
    done = run("plugins", "--plugin", broken)
    assert done.exit_code == 0
    assert "no luck today" in done.stdout and "hungarian" in done.stdout
    found = json.loads(run("plugins", "--plugin", broken, "--json").stdout)
    assert [failed["name"] for failed in found["failed"]] == ["broken"]
    assert {"name", "distribution", "version", "hooks", "solvers", "trainers"} == set(found["plugins"][0])


def test_problems_are_listed_and_shown() -> None:
    """Every entry of the catalogue is listed; one of them alone shows all that is known about it."""
    entries = read_problems()
    listed = json.loads(run("problems", "--json").stdout)["problems"]
    assert [problem["path"] for problem in listed] == [entry.path for entry in entries]
    shown = run("problems", entries[0].name).stdout
    assert entries[0].sha256 in shown and entries[0].status in shown
    kinds = {
        problem["kind"] for problem in json.loads(run("problems", "--kind", "assignment", "--json").stdout)["problems"]
    }
    assert kinds == {"assignment"}


def test_an_unknown_problem_names_the_closest() -> None:
    """A misspelt problem is answered with the right one; exit status 2."""
    done = run("problems", "asign100")
    assert done.exit_code == 2 and "did you mean 'assign100'" in done.stderr


SOLVER = """
import os, subprocess, sys, time
from dataclasses import dataclass
import numpy as np
import matchopt

@dataclass(frozen=True)
class Bad(matchopt.Solver):
    '''Says anything is optimal, or ends its process.'''
    name = "bad"
    solves = matchopt.AssignmentInstance
    how: str = ""

    def solve(self, instance, limits, rng):
        if self.how == "abort":
            os.abort()
        if self.how == "leave":
            os._exit(0)
        if self.how == "exit":
            sys.exit(0)
        if self.how == "forge":
            frame = sys._getframe()
            while "channel" not in frame.f_locals:
                frame = frame.f_back
            frame.f_locals["channel"].send({"type": "report", "passed": "yes", "summary": ["all"], "total": 10**400})
            os._exit(0)
        if self.how == "hang":
            subprocess.Popen(["sleep", "1234.5"], start_new_session=True)
            time.sleep(100)
        if self.how == "hoard":
            np.ones((3, 10**9), np.uint8)
        if self.how == "anytime":
            while not limits.reached():
                time.sleep(0.005)
        return matchopt.Result(matchopt.Assignment(np.arange(instance.n_rows)), matchopt.Status.OPTIMAL)

@matchopt.hookimpl
def register_solvers(register):
    register(Bad)
"""


@pytest.mark.slow
def test_check_solver_says_how_many_checks_failed(tmp_path: Path) -> None:
    """A solver that lies fails the kit with exit status 1 and the counts."""
    plugin = tmp_path / "bad.py"
    plugin.write_text(SOLVER)
    done = run("check-solver", "bad", "--plugin", plugin)
    assert done.exit_code == 1 and "checks:" in done.stdout and "failed" in done.stdout


@pytest.mark.parametrize(
    ("how", "seconds", "said"),
    [
        ("abort", 20, "failed after 0 checks, while returns-a-result on network-free-biases was asked: .* SIGABRT"),
        ("leave", 20, "failed after 0 checks, while returns-a-result .* ended with exit status 0 before"),
        ("forge", 20, r"^\['all'\]$"),
        pytest.param(
            "hang",
            0.5,
            "failed after 0 checks, while returns-a-result on network-free-biases was asked: stopped after 0.5 s",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "hoard",
            20,
            "failed after 0 checks, while returns-a-result .* asked: .*memory limit",
            marks=pytest.mark.slow,
        ),
        pytest.param("exit", 60, r"returns-a-result on assignment-1x1: .*SystemExit\(0\)", marks=pytest.mark.slow),
        pytest.param("anytime", 100, "stops-in-time|optimal-is-optimal", marks=pytest.mark.slow),
    ],
)
def test_check_solver_passes_nothing_that_ends_or_fools_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, seconds: float, said: str
) -> None:
    """The check that was running is named; what the solver started is ended; exit status 1."""
    monkeypatch.setattr("matchopt.run.watchdog.free_memory", lambda: 10**9)
    plugin = tmp_path / "bad.py"
    plugin.write_text(SOLVER)
    limits = ["--time-limit", str(seconds), "--solve-limit", "0.01"]
    done = run("check-solver", "bad", "-o", f"how={how}", "--plugin", plugin, *limits)
    assert done.exit_code == 1 and re.search(said, done.stdout, re.M), done.output
    assert not [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "1234.5"]]


def test_check_solver_of_an_unknown_solver() -> None:
    """A misspelt solver is named before any check runs; exit status 2."""
    done = run("check-solver", "gredy")
    assert done.exit_code == 2 and "did you mean 'greedy'" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("fuzz --solve-limit nan", "nan is no number"),
        ("fuzz --seed 3 --replay no.matchopt", "--seed is of random instances; leave it out, or --replay"),
        ("check-solver hungarian --time-limit nan", "nan is no number"),
    ],
)
def test_numbers_that_say_nothing_are_refused(words: str, message: str) -> None:
    """Before anything runs; exit status 2."""
    done = run(*words.split())
    assert done.exit_code == 2 and message in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("evaluate no.matchopt no.matchopt --realised net.foo", "net.foo: the ending names no format for networks"),
        ("evaluate {layer} no.matchopt --wiring table.foo", "table.foo: the ending names no format for a layer"),
        ("solve {layer} --output best.foo", "best.foo: the ending names no format for a layer solution"),
        ("solve {pairs} --output best.csv", "end it in .matchopt"),
        ("chip no.npz --picture chip.png", "'chip.png' must end in .svg"),
        ("reproduce label-free --publish {file}/out", "is a file; name a folder"),
        ("bench shipped --output {file}", "is a file; name a folder"),
        ("new-plugin mine --folder {file}/here", "is a file; name a folder"),
        ("fuzz --output {file}/found", "is a file; name a folder"),
        ("demo --output {file}", "is a file; name a folder"),
        ("train --output /proc/net.safetensors", "nothing can be written to the folder"),
    ],
)
def test_where_nothing_can_be_written_is_said_before_the_work(
    words: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Endings and folders, whatever else is wrong; no solver runs."""

    def solved(*args: object, **given: object) -> None:
        raise AssertionError("it was solved")

    monkeypatch.setattr("matchopt.run.solve", solved)
    places = {"layer": tmp_path / "layer.matchopt", "pairs": tmp_path / "pairs.matchopt", "file": tmp_path / "file"}
    places["file"].write_text("")
    matchopt.write(LayerInstance(Target.from_dense(np.ones((2, 2))), Hardware(np.ones((2, 2)))), places["layer"])
    matchopt.write(AssignmentInstance(np.ones((2, 2))), places["pairs"])
    with contextlib.chdir(tmp_path):
        done = run(*words.format(**places).split())
    assert done.exit_code == 2 and message in " ".join(done.stderr.split()), done.stderr


def test_what_a_newcomer_is_told(tmp_path: Path) -> None:
    """A network is no instance; cells of one sign fit no weights of both; outputs may be matched instead of weights."""
    own = Path(__file__).resolve().parents[2] / "examples" / "own-study"
    done = run("solve", own / "network.onnx")
    assert done.exit_code == 2 and "`matchopt export` makes one of a trained network and a chip" in done.stderr
    instance, best, data = tmp_path / "a.matchopt", tmp_path / "b.matchopt", ["--data", own / "data.npz"]
    given = ["--hardware", own / "g_plus.csv", *data, "--mean", "0.25", "--std", "0.15"]
    done = run("export", own / "network.onnx", *given, "--output", instance)
    assert done.exit_code == 0 and "layer 0: no cell is negative, and 55 % of weights are" in done.stderr
    done = run("solve", instance, "--solver", "greedy", "--output", best)
    assert done.exit_code == 0, done.output
    assert "--objective score-error" in run("evaluate", instance, best, *data).stdout


def test_solvers_show_the_demands_that_they_take() -> None:
    """A table for each kind, from the declarations; with a name, what the demands mean; JSON lists them."""
    table = run("solvers").stdout
    words = " ".join(table.split())
    assert "layer demand" in words and "network demand" in words and "as assignment" in words
    listed = json.loads(run("solvers", "--json").stdout)["solvers"]
    taking = {each["name"] for each in listed if each["solves"] == "layer" and "shared-bus" in each["understands"]}
    assert {"crossbar-perturb", "random-wiring"} <= taking and "output-search" not in taking
    rows = [line.split() for line in table.splitlines() if line.startswith(" shared-bus")]
    assert any(row.count("x") == len(taking) + 1 and row[-1] == "x" for row in rows)  # and layers as programs
    assert re.search(r"\d: crossbar-perturb,", words)  # columns are numbers where they are many
    one = run("solvers", "output-exact").stdout
    assert "a weight may be the sum of several cells" in one and "random-wiring" not in one
    (listed,) = json.loads(run("solvers", "cpsat", "--json").stdout)["solvers"]
    assert listed["understands"] == ["whole-variables", "unbounded-variables"]


@pytest.mark.parametrize(
    ("command", "name", "option", "expected"),
    [
        ("solvers", "slots", "held_out", ("float", ">= 0 and <= 0.5", 0.1)),
        ("trainers", "gradual-pruning", "fan_in", ("int,int,...", ">= 1", [8, 8, 30])),
        ("trainers", "magnitude-pruning", "connectivity", ("float or none", "> 0 and <= 1", 0.01)),
    ],
)
def test_options_are_listed_with_type_range_default_and_meaning(
    command: str, name: str, option: str, expected: tuple[str, str, object]
) -> None:
    """In the table and in the JSON."""
    listed = json.loads(run(command, name, "--json").stdout)[command][0]["options"]
    found = next(each for each in listed if each["name"] == option)
    assert (found["type"], found["range"], found["default"]) == expected and len(found["doc"]) > 20
    table = run(command, name).stdout
    assert all(word in table for word in ("type", "range", "default", "meaning", option, expected[1]))
