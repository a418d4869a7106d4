"""Bridges: functions and outside programs as solvers, honest ones, and programs that hang, crash, lie or flood."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from click.testing import CliRunner

import matchopt
from matchopt import AssignmentInstance, FormatError, Limits, PluginError, ProgramInstance, Status, solve
from matchopt.bridges import executable_solver, function_solver, running
from matchopt.cli import main
from matchopt.plugins import load_plugins
from matchopt.testing import kit as kit_module
from matchopt.testing import run_checks, tiny_instances

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
SQUARE = AssignmentInstance(np.array([[4, 1, 3], [2, 0, 5], [3, 2, 2]]))
FORBIDDEN = AssignmentInstance(np.array([[np.inf, 1.5, np.inf, 2.0], [0.5, np.inf, np.inf, 1.0]]))
SOME = ("square", "negative-wide", "forbidden-negative", "hall", "near-int64", "sparse-inf", "empty", "tiny-numbers")


def program(folder: Path, script: str, **facts: str) -> matchopt.Solver:
    """A solver whose program is this shell script; `facts` are lines of its description, as TOML has them."""
    (folder / "engine.sh").write_text("#!/bin/sh\n" + script)
    (folder / "engine.sh").chmod(0o755)
    command = facts.pop("command", '["./engine.sh", "{instance}", "{solution}", "{seconds}"]')
    lines = {"name": '"outside"', "solves": '"assignment"', "command": command, **facts}
    (folder / "engine.toml").write_text("".join(f"{name} = {value}\n" for name, value in lines.items()))
    return executable_solver(folder / "engine.toml")()


def ask(solver: matchopt.Solver, seconds: float = 20.0, instance: matchopt.Instance = SQUARE) -> matchopt.Result:
    """Solve in this process."""
    return solver.solve(instance, Limits(seconds), np.random.default_rng(0))


def alive(pid: int) -> bool:
    """Whether there is such a process, and more of it than its exit status."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("scipy_lsa.py", SOME),
        pytest.param("cheapest.toml", ("forbidden-negative", "square"), marks=pytest.mark.slow),  # starts 50 programs
    ],
)
def test_the_bridged_examples_keep_the_laws(file: str, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """A function and a program that know nothing of matchopt pass the kit, forbidden pairs included."""
    some = tuple(tiny for tiny in tiny_instances() if tiny.name.removeprefix("assignment-") in names)
    assert len(some) == len(names)
    monkeypatch.setattr(kit_module, "tiny_instances", lambda: some)
    registry = load_plugins([EXAMPLES / file], only=())
    (name,) = registry.solvers
    report = run_checks(registry.make(name))
    assert report.passed, report.summary()
    assert report.counts["passed"] > 10 * len(names)


def test_functions_of_every_form() -> None:
    """Rows and columns in any order, or columns alone; square matrices only, if so asked."""

    def backwards(costs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        columns = matchopt.assign(costs)
        return np.arange(len(columns))[::-1], columns[::-1]

    def alone(costs: np.ndarray) -> list[int]:
        assert costs.shape == (4, 4) and np.isfinite(costs).all()
        return [int(column) for column in matchopt.assign(costs)]

    for made in (function_solver("a", backwards, exact=True), function_solver("a", alone, square=True)):
        result = ask(made(), instance=FORBIDDEN)
        assert result.solution is not None and FORBIDDEN.value(result.solution) == 2.0
    assert ask(function_solver("a", backwards, exact=True)(), instance=FORBIDDEN).status is Status.OPTIMAL


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ([0, 0, 1], "two rows"),
        ([0, 1, 7], "in 0 .. 2"),
        ([0, 1], "3 rows"),
        (None, "columns"),
        (([0], [1, 2]), "one length"),
    ],
)
def test_functions_that_return_something_else(returned: object, said: str) -> None:
    """One sentence, whatever comes back."""
    with pytest.raises(PluginError, match=said):
        ask(function_solver("a", lambda costs: returned)())


@pytest.mark.parametrize("exact", [True, False])
def test_whole_costs_that_no_price_is_above_are_refused(exact: bool) -> None:
    """The price of a forbidden pair would be no number of 64 bits."""
    costs = AssignmentInstance(np.array([2**60, 5, 1, 2 - 2**60]), np.array([0, 1, 4]), np.array([0, 0, 1, 2]), 3)
    said = function_solver("a", matchopt.assign, exact=exact)().refuses(costs)
    assert said is not None and "sums of its costs may pass" in said


def test_a_bridged_function_is_solved_with_in_a_process_of_its_own() -> None:
    """By its name, from its file; the optimum is proved by matchopt."""
    run = solve(SQUARE, "scipy-lsa", plugin_files=EXAMPLES / "scipy_lsa.py")
    assert (run.objective, run.proof, run.status) == (5, "proven", "optimal")


def test_a_program_is_told_what_its_command_asks_for(tmp_path: Path) -> None:
    """The instance in its format, limits, seed, options; its answer may count from 1, or be printed."""
    script = 'cat "$1" > "$3.seen"; echo "$@" > "$3.told"; echo 2 1 3'
    words = f'["./engine.sh", "{{instance}}", "{{seed}}", "{tmp_path}/log", "{{seconds}}", "{{threads}}", "{{sweeps}}"]'
    options = '1\n[options.sweeps]\ndefault = 3\nabout = "rounds"'
    solver = program(tmp_path, script, command=words, first_column=options)
    result = ask(type(solver)(sweeps=7))
    assert result.solution.col_of.tolist() == [1, 0, 2] and result.status is Status.FEASIBLE
    assert (tmp_path / "log.seen").read_text().split() == ["3", "4", "1", "3", "2", "0", "5", "3", "2", "2"]
    told = (tmp_path / "log.told").read_text().split()
    assert told[-2:] == ["1", "7"] and 19 < float(told[-3]) <= 20 and told[1].isdecimal()


@pytest.mark.parametrize(
    ("answer", "status", "value"),
    [
        ("# Objective value = -2\nx0 1\nx1 0\nx2 0.99999999\n", Status.OPTIMAL, -4.0),
        ("Optimal - objective value -3\n 0 x1  1  3\n 2 x2 1 0\n# Dual\nx1 0.25\n", Status.OPTIMAL, -5.0),
        ("solution status: infeasible\nno solution available\n", Status.INFEASIBLE, None),
    ],
)
def test_answers_of_engines_for_programs(tmp_path: Path, answer: str, status: Status, value: float | None) -> None:
    """The programs get MPS; solution files of the usual engines are read, reduced costs further down left out."""
    packed = ProgramInstance([-1.0, -2.0, -3.0], [0, 3], [0, 1, 2], [1.0, 1.0, 1.0], [-np.inf], [2.0],
                             high=np.ones(3), integral=np.ones(3, bool))  # fmt: skip
    (tmp_path / "answer").write_text(answer)
    script = f'grep -q "^ROWS" "$1" && cat {tmp_path}/answer > "$2"'
    result = ask(program(tmp_path, script, solves='"program"', exact="true"), instance=packed)
    assert result.status is status
    assert (None if result.solution is None else packed.value(result.solution)) == value


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 0", "left no file"),
        ("echo broken by design >&2; exit 3", "exit status 3: broken by design"),
        ("kill -SEGV $$", "signal 11"),
        ('head -c 3000 /dev/urandom > "$2"', "no list of columns|is given to two|columns"),
        ('echo 0 1 > "$2"', "for 3 rows"),
        ('echo 0 1 nan > "$2"', "0 .. 2"),
        ('echo 0 0 1 > "$2"', "two rows"),
        ('ln -s /etc/passwd "$2"', "left no file"),
        ('mkfifo "$2"', "left no file"),
        ('mkdir "$2"', "left no file"),
    ],
)
def test_programs_that_write_rubbish(tmp_path: Path, script: str, said: str) -> None:
    """One sentence that names the program, and what it said itself."""
    with pytest.raises(PluginError, match=rf"program engine\.sh: .*({said})"):
        ask(program(tmp_path, script))


@pytest.mark.parametrize(
    "script", ["sleep 60", "trap '' TERM; while :; do sleep 1; done", "sleep 60 & sleep 60 & wait"]
)
def test_programs_that_hang_are_ended_with_all_they_started(tmp_path: Path, script: str) -> None:
    """At the limit, by force where they do not listen."""
    before, began = set(psutil.Process().children(recursive=True)), time.monotonic()
    result = ask(program(tmp_path, script), seconds=0.3)
    assert result.solution is None and result.limit == "time" and result.status is Status.UNKNOWN
    assert time.monotonic() - began < 10
    assert set(psutil.Process().children(recursive=True)) <= before


def test_what_a_program_had_written_at_its_limit_counts(tmp_path: Path) -> None:
    """Even of an exact one; not as a proof."""
    result = ask(program(tmp_path, 'echo 1 0 2 > "$2"; sleep 60', exact="true"), seconds=0.5)
    assert (result.status, result.limit) == (Status.FEASIBLE, "time")


def test_a_child_that_outlives_its_program_holds_nobody_up(tmp_path: Path) -> None:
    """Its program's answer counts at once, and it is ended."""
    began = time.monotonic()
    result = ask(program(tmp_path, f'sleep 60 & echo $! > {tmp_path}/child; echo 1 0 2 > "$2"'), seconds=50)
    assert result.solution is not None and time.monotonic() - began < 20
    child, until = int((tmp_path / "child").read_text()), time.monotonic() + 20
    while alive(child) and time.monotonic() < until:
        time.sleep(0.01)  # a signal takes a moment
    assert not alive(child)


@pytest.mark.slow
def test_a_program_that_does_all_that_at_once_costs_its_own_process(tmp_path: Path) -> None:
    """Through `solve`: it floods, does not listen, and has a child in another session; none of them is left."""
    script = f"trap '' TERM; setsid sleep 77 & echo $! > {tmp_path}/child; while :; do echo noise; done"
    program(tmp_path, script)
    run = solve(SQUARE, "outside", plugin_files=tmp_path / "engine.toml", time_limit=1.0)
    assert (run.status, run.limit, run.solution) == ("unknown", "time", None), run.message
    assert not alive(int((tmp_path / "child").read_text()))


@pytest.mark.parametrize(
    ("script", "command", "said"),
    [
        ("exec yes", None, "printed more than"),
        ("exec yes 1", '["./engine.sh", "{instance}"]', "printed more than"),
        ('exec yes > "$2"', None, "signal 25"),
        (
            'yes | head -c 700k > "$2.a"; yes | head -c 700k > "$2.b"; yes | head -c 900k > "$2.c"; sleep 60',
            None,
            "wrote",
        ),
    ],
)
def test_programs_that_flood_are_ended_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, command: str | None, said: str
) -> None:
    """Whether they print, write one file or many; with the bounds lowered, which keeps this test quick."""
    monkeypatch.setattr(running, "MOST_ANSWER", 2**20)
    monkeypatch.setattr(running, "MOST_PRINTED", 2**22)
    monkeypatch.setattr(running, "_LIMITED", 'ulimit -f 2048; exec "$@"')
    before = psutil.Process().memory_info().rss
    with pytest.raises(PluginError, match=said):
        ask(program(tmp_path, script, **({} if command is None else {"command": command})), seconds=50)
    assert psutil.Process().memory_info().rss - before < 2**26


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ({"solves": '"tour"'}, "solves"),
        ({"command": '["no-such-program", "{instance}"]'}, "no program no-such-program"),
        ({"command": '["./engine.sh", "{solution}"]'}, "{instance} is missing"),
        ({"command": '["./engine.sh", "{instance}", "{speed}"]'}, "{speed} stands for nothing"),
        ({"command": '["./engine.sh", "{instance}", "{"]'}, "command"),
        ({"command": '["./engine.sh", "{instance}", "{seconds:.0f}"]'}, "write names alone, as {seconds}"),
        ({"command": '["./engine.sh", "{instance:>40}"]'}, "write names alone"),
        ({"command": '["./engine.sh", "{instance}", "{seed:{}}"]'}, "write names alone"),
        ({"options.class": '{default = 1, about = "a word of Python"}'}, "options: 'class' is taken"),
        ({"options.solve": '{default = 1, about = "a method of solvers"}'}, "options: 'solve' is taken"),
        ({"options.program": '{default = 1, about = "what is run"}'}, "options: 'program' is taken"),
        ({"input": '"gap"'}, "no format that is written"),
        ({"output": '"prose"'}, "has no solutions as 'prose'"),
        ({"output": '"matchopt"', "command": '["./engine.sh", "{instance}"]'}, "{solution} is missing"),
        ({"speed": "9"}, "speed"),
        ({"exact": '"perhaps"'}, "exact"),
        ({"name": '"'}, "no TOML"),
        ({"command": "[]"}, "command"),
        ({"name": '"Two Words"'}, "lower-case"),
    ],
)
def test_descriptions_that_are_wrong(tmp_path: Path, lines: dict[str, str], said: str) -> None:
    """One sentence naming the file and the key, as the cause in `matchopt plugins`."""
    with pytest.raises((FormatError, PluginError)) as found:
        program(tmp_path, "exit 0", **lines)
        load_plugins([tmp_path / "engine.toml"]).entry("outside")
    assert said in str(found.value)
    assert "engine.toml" in str(found.value) or "Two Words" in str(found.value)


def test_a_described_program_on_the_command_line(tmp_path: Path) -> None:
    """`matchopt solve` and `matchopt solvers` take it as they take a Python file."""
    (tmp_path / "c.txt").write_text("3\n4 1 3\n2 0 5\n3 2 2\n")
    plugin = ["--plugin", str(EXAMPLES / "cheapest.toml")]
    solved = CliRunner().invoke(main, ["solve", str(tmp_path / "c.txt"), "--format", "orlib-assignment", "--solver",
                                       "cheapest-first", "-o", "skip=1", *plugin])  # fmt: skip
    assert solved.exit_code == 0 and "feasible" in solved.output, solved.output
    listed = CliRunner().invoke(main, ["solvers", "cheapest-first", *plugin])
    assert "cheapest pairs that are passed over" in listed.output


@pytest.mark.slow
def test_the_kit_as_options_of_pytest(tmp_path: Path) -> None:
    """`pytest --matchopt-solver FILE` has a test for every law and instance, and fails where one is broken."""
    env = {**os.environ, "PYTEST_ADDOPTS": ""}

    def pytest_says(*words: str) -> str:
        words = ("-q", "-p", "no:cacheprovider", "-k", "forced-edge or takes or class", *words)
        done = subprocess.run([sys.executable, "-m", "pytest", *words], cwd=tmp_path, env=env, text=True,
                              capture_output=True, timeout=200)  # fmt: skip
        return f"{done.returncode}\n{done.stdout}{done.stderr}"

    good = pytest_says("--matchopt-solver", str(EXAMPLES / "scipy_lsa.py"), "--matchopt-solve-limit", "5")
    assert good.startswith("0\n") and " passed" in good and "deselected" in good, good
    (tmp_path / "liar.py").write_text(
        "import matchopt\nregister_solvers = matchopt.registering(matchopt.function_solver('liar', "
        "lambda cost: range(len(cost) - 1, -1, -1), exact=True))\n"
    )
    bad = pytest_says("--matchopt-solver", "liar.py")
    assert bad.startswith("1\n") and "infeasible-is-infeasible-assignment-forced-edge" in bad, bad
    for wanted, said in (("none.py", "there is no file"), ("hungry", "unknown solver 'hungry'")):
        assert said in pytest_says("--matchopt-solver", wanted)
