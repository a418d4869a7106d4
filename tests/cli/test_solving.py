"""The commands solve and check."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from click.testing import CliRunner, Result

from matchopt import Assignment, Hardware, LayerInstance, LayerMapping, Target, read, write
from matchopt.cli import main
from matchopt.formats import SolutionFile, read_instance, read_solution
from matchopt.run import warm

from .conftest import COSTS

KEYS = {
    "instance", "kind", "solver", "status", "limit", "objective", "bound", "gap", "proof", "seconds", "seed", "message",
}  # fmt: skip


def run(*arguments: str | Path) -> Result:
    """A command in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_an_orlib_file_end_to_end(assignment: Path, tmp_path: Path) -> None:
    """solve reads an OR-Library file, prints one JSON object with the proven optimum, and writes a sound solution."""
    output = tmp_path / "best.matchopt"
    done = run("solve", assignment, "--solver", "hungarian", "--output", output, "--json", "--seed", "3")
    assert done.exit_code == 0, done.stderr
    record = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1 and set(record) >= KEYS
    best = min(sum(COSTS[i][j] for i, j in enumerate(order)) for order in itertools.permutations(range(3)))
    assert (record["objective"], record["bound"], record["gap"], record["proof"]) == (best, best, 0.0, "proven")
    assert (record["status"], record["seed"], record["limit"], record["kind"]) == ("optimal", 3, None, "assignment")
    file = read(output)
    assert isinstance(file, SolutionFile)
    assert (file.instance, file.solver, file.seed) == (read_instance(assignment).digest, "hungarian", 3)
    checked = run("check", assignment, output, "--json", "--prove")
    assert checked.exit_code == 0
    verdict = json.loads(checked.stdout)
    assert (verdict["feasible"], verdict["objective"], verdict["optimal"]) == (True, best, True)


def test_cold_gives_a_fresh_interpreter(assignment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is asked for one."""
    asked = []
    fork = warm.ForkServer.fork
    monkeypatch.setattr(warm.ForkServer, "fork", lambda *given: asked.append(given[-1]) or fork(*given))
    for arguments in ((), ("--cold",)):
        done = run("solve", assignment, "--solver", "hungarian", "--json", *arguments)
        assert done.exit_code == 0, done.stderr
    assert asked == [False, True]


def test_no_seconds_for_a_proof_leave_a_claim(assignment: Path) -> None:
    """And its bound is called one, for people and for programs."""
    arguments = ("solve", assignment, "--solver", "hungarian", "--prove-seconds", "0")
    record = json.loads(run(*arguments, "--json").stdout)
    assert (record["status"], record["proof"], record["bound_proved"]) == ("optimal", "claimed", False)
    bound = next(line for line in run(*arguments).stdout.splitlines() if line.startswith("bound"))
    assert bound.endswith(", claimed")
    assert run("solve", assignment, "--solver", "hungarian", "--prove-seconds", "nan").exit_code == 2


def test_a_table_for_people(assignment: Path) -> None:
    """Without --json the record is a few named lines on standard output."""
    done = run("solve", assignment, "--solver", "hungarian")
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert lines["status"] == "optimal, proven"
    assert lines["objective"] == "5"
    assert lines["gap"] == "0.0000 %"


def test_an_infeasible_instance_is_an_answer(infeasible: Path, tmp_path: Path) -> None:
    """A proof that there is no solution gives exit status 0, and no file is written."""
    output = tmp_path / "none.matchopt"
    done = run("solve", infeasible, "--solver", "hungarian", "--json", "--output", output)
    assert done.exit_code == 0
    record = json.loads(done.stdout)
    assert (record["status"], record["objective"], record["gap"]) == ("infeasible", None, None)
    assert not output.exists()


def test_a_claim_of_infeasibility_is_no_answer(tmp_path: Path) -> None:
    """Programs have no proof of their own: the engine's word is printed as claimed, and the exit status is 1."""
    path = tmp_path / "none.mps"
    path.write_text(
        "NAME t\nROWS\n N c\n E r\nCOLUMNS\n x c 1 r 2\n y r 2\nRHS\n R r 3\nBOUNDS\n BV B x\n BV B y\nENDATA\n"
    )
    done = run("solve", path, "--solver", "milp", "--json")
    record = json.loads(done.stdout)
    assert (done.exit_code, record["status"], record["proof"]) == (1, "infeasible", "claimed")


def test_a_refusal_gives_status_1_and_its_reason(tmp_path: Path) -> None:
    """A solver that does not take the instance leaves no solution: exit status 1, the reason in the message."""
    from matchopt import ProgramInstance

    path = tmp_path / "program.matchopt"
    program = ProgramInstance(
        np.array([1.0]), np.array([0]), np.zeros(0, int), np.zeros(0), np.zeros(0), np.zeros(0),
        np.array([0.0]), np.array([1.0]), np.array([True]),
    )  # fmt: skip
    write(program, path)
    done = run("solve", path, "--solver", "hungarian", "--json")
    assert done.exit_code == 1
    record = json.loads(done.stdout)
    assert record["status"] == "unknown" and record["message"].startswith("refused: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--solver", "hungarain"], "did you mean 'hungarian'"),
        (["--solver", "hungarian", "-o", "engin=scipy"], "did you mean 'engine'"),
        (["--solver", "hungarian", "-o", "engine"], "must read option=value"),
        (["--solver", "hungarian", "-o", "engine=fast"], "engine"),
        (["--solver", "hungarian", "--time-limit", "0"], "--time-limit"),
        (["--solver", "hungarian", "--time-limit", "nan"], "nan is no number"),
        (["--solver", "hungarian", "--output", "INSTANCE"], "three.txt' is read, and would be written over"),
        (["--solver", "hungarian", "--format", "mps"], "three.txt"),
        (["--solver", "hungarian", "--format", "mpz"], "did you mean 'mps'"),
        (["--solver", "hungarian", "--output", "nowhere/best.matchopt"], "nowhere"),
        (["--solver", "hungarian", "--start", "none.matchopt"], "none.matchopt"),
        (["--solver", "hungarian", "--plugin", "none.py"], "none.py"),
    ],
)
def test_bad_input_gives_status_2_and_says_what(assignment: Path, arguments: list[str], message: str) -> None:
    """Wrong names, values and files are named on standard error; standard output stays empty."""
    words = [str(assignment) if word == "INSTANCE" else word for word in arguments]
    done = run("solve", assignment, *words, "--json")
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_solver_auto_chooses(assignment: Path) -> None:
    """And says which, and why."""
    done = run("solve", assignment, "--json")
    record = json.loads(done.stdout)
    assert done.exit_code == 0 and record["status"] == "optimal" and record["message"].startswith("auto")
    assert run("solve", "--json").exit_code == 2


def test_a_plugin_file_may_stand_before_or_after_the_command(assignment: Path, tmp_path: Path) -> None:
    """--plugin loads a solver for this call, wherever it stands; what the file prints stays out of the JSON."""
    plugin = tmp_path / "first_columns.py"
    plugin.write_text(
        "from dataclasses import dataclass\nimport numpy as np\nimport matchopt\nprint('noise')\n"
        "@dataclass(frozen=True)\nclass First(matchopt.Solver):\n    name = 'first-columns'\n"
        "    solves = matchopt.AssignmentInstance\n    def solve(self, instance, limits, rng):\n"
        "        print('more noise')\n"
        "        return matchopt.Result(matchopt.Assignment(np.arange(instance.n_rows)))\n"
        "@matchopt.hookimpl\ndef register_solvers(register):\n    register(First)\n"
    )
    command = ["solve", assignment, "--solver", "first-columns", "--json"]
    for arguments in ([*command, "--plugin", plugin], ["--plugin", plugin, *command]):
        done = run(*arguments)
        assert done.exit_code == 0, done.stderr
        assert json.loads(done.stdout)["objective"] == COSTS[0][0] + COSTS[1][1] + COSTS[2][2]
        assert "more noise" not in done.stderr
    assert "more noise" in run(*command, "--plugin", plugin, "--debug").stderr


def test_a_wiring_table_by_its_ending(layer: Path, tmp_path: Path) -> None:
    """--output with the ending .csv writes the wiring of a layer, which check reads back."""
    table = tmp_path / "wiring.csv"
    assert run("solve", layer, "--solver", "hungarian", "--output", table).exit_code == 0
    assert len(table.read_text().splitlines()) == 1 + read_instance(layer).target.n_connections  # type: ignore[attr-defined]
    assert run("check", layer, table).exit_code == 0


def test_every_violation_is_named(layer: Path, tmp_path: Path) -> None:
    """check names each broken rule of a corrupted solution, and its row; exit status 1."""
    best = tmp_path / "best.matchopt"
    run("solve", layer, "--solver", "hungarian", "--output", best)
    good = read_solution(best)
    assert isinstance(good, LayerMapping)
    cell = good.cell.copy()
    cell[0] = cell[1]  # row 0 uses one cell twice
    neuron_of = good.neuron_of.copy()
    neuron_of[5] = neuron_of[4]  # two rows on one neuron
    bad = tmp_path / "bad.matchopt"
    write(LayerMapping(neuron_of, good.wire_indptr, cell, good.input), bad)
    done = run("check", layer, bad, "--json")
    assert done.exit_code == 1
    verdict = json.loads(done.stdout)
    assert verdict["feasible"] is False and verdict["objective"] is None
    assert {violation["row"] for violation in verdict["violations"]} >= {0}
    assert len({violation["rule"] for violation in verdict["violations"]}) >= 2
    told = run("check", layer, bad)
    assert told.exit_code == 1
    for violation in verdict["violations"]:
        assert violation["message"] in told.stdout


def test_seconds_of_no_proof_are_refused(assignment: Path) -> None:
    """They would say nothing."""
    done = run("check", assignment, assignment, "--seconds", 1)
    assert done.exit_code == 2 and "--seconds is for --prove; give that too" in done.stderr


@pytest.mark.parametrize("corrupt", ["truncated", "flipped", "empty", "instance"])
def test_an_unreadable_solution_gives_status_2(assignment: Path, tmp_path: Path, corrupt: str) -> None:
    """A damaged solution file, or an instance in its place, is unreadable: one sentence, exit status 2."""
    path = tmp_path / "best.matchopt"
    write(SolutionFile(Assignment(np.array([1, 0, 2]))), path)
    content = path.read_bytes()
    flipped = content[:-1] + bytes([content[-1] ^ 1])
    path.write_bytes({"truncated": content[:-4], "flipped": flipped, "empty": b"", "instance": content}[corrupt])
    if corrupt == "instance":
        write(read_instance(assignment), path)
    done = run("check", assignment, path)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: ") and "best.matchopt" in done.stderr and done.stderr.count("\n") == 1


SLOW = """
import time
from dataclasses import dataclass
import numpy as np
import matchopt

@dataclass(frozen=True)
class Slow(matchopt.Solver):
    name = "slow"
    solves = matchopt.AssignmentInstance

    def solve(self, instance, limits, rng):
        limits.report(matchopt.Assignment(np.arange(instance.n_rows)))
        open({mark!r}, "w").close()
        time.sleep(60)
        return matchopt.Result(None)

@matchopt.hookimpl
def register_solvers(register):
    register(Slow)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX systems")
def test_ctrl_c_keeps_the_best_solution_and_leaves_nothing_else(assignment: Path, tmp_path: Path) -> None:
    """SIGINT during a long solve: exit status 130, the incumbent written whole, no process and no partial file left."""
    mark, output, plugin = tmp_path / "mark", tmp_path / "best.matchopt", tmp_path / "slow.py"
    plugin.write_text(SLOW.format(mark=str(mark)))
    command = [sys.executable, "-m", "matchopt.cli", "solve", str(assignment), "--solver", "slow", "--json"]
    child = subprocess.Popen(
        [*command, "--plugin", str(plugin), "--output", str(output)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 30
        while not mark.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert mark.exists()
        host, before = psutil.Process(child.pid), None
        while before != (before := host.cpu_times()):  # it takes in the incumbent, however busy the machine is
            time.sleep(0.5)
        family = host.children(recursive=True)
        assert family
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=20)
    finally:
        child.kill()
        child.wait()
    assert child.returncode == 130, err
    record = json.loads(out)
    assert (record["status"], record["limit"], record["objective"]) == ("feasible", "interrupted", 6)
    assert np.array_equal(read_solution(output).col_of, [0, 1, 2])  # type: ignore[attr-defined]
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".part") == []
    assert not [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def test_proofs_are_written(assignment: Path, tmp_path: Path) -> None:
    """By solve and by check --prove, alike; where there is no proof a sentence says so, and no file is left."""
    best, proof, again = tmp_path / "best.matchopt", tmp_path / "proof", tmp_path / "again"
    done = run("solve", assignment, "--solver", "hungarian", "--output", best, "--proof", proof)
    assert done.exit_code == 0 and f"proof     {proof} (optimal)" in done.stdout
    checked = run("check", assignment, best, "--prove", "--proof", again, "--json")
    assert json.loads(checked.stdout)["proof_file"] == f"{again} (optimal)"
    assert proof.read_bytes() == again.read_bytes()
    assert "give that too" in run("check", assignment, best, "--proof", again).output
    chip = Hardware(np.ones((2, 2)), bus=np.zeros(2, int), off=np.full((2, 2), 0.1))
    write(LayerInstance(Target.from_dense(np.eye(2)), chip), tmp_path / "shared.matchopt")
    done = run("solve", tmp_path / "shared.matchopt", "--solver", "random-wiring", "--proof", tmp_path / "none")
    assert done.exit_code == 0 and "no proof file: layer 0 leaks into lines that are shared" in done.stdout
    assert not (tmp_path / "none").exists()
