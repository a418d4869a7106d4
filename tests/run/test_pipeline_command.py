"""Pipelines on the command line: stages in a table and in JSON, options and limits by stage, mistakes in a sentence."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from matchopt import AssignmentInstance, Hardware, LayerInstance, Target, write
from matchopt.cli import main

pytestmark = pytest.mark.slow  # every command is a process with a process for each stage

HERE = Path(__file__).parent
PLUGINS = ["--plugin", HERE / "hostile.py", "--plugin", HERE / "stages.py"]


def run(*arguments):
    """A command in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def path(tmp_path, instance):
    """The file of a small assignment."""
    write(instance, tmp_path / "small.matchopt")
    return tmp_path / "small.matchopt"


def test_the_stages_are_a_table(path, tmp_path):
    """One line for each: what it reached, how long it took, what it says; the best solution is written."""
    best = tmp_path / "best.matchopt"
    done = run("solve", path, "--solver", "modest+raises+good+modest", *PLUGINS, "--output", best)
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "solver    modest+raises+good+modest" in done.stdout and "status    optimal, proven" in lines
    head = next(n for n, line in enumerate(lines) if line.split()[:2] == ["stage", "solver"])
    rows = [line.split() for line in lines[head + 2 :] if line.strip()]
    assert [row[:4] for row in rows] == [
        ["1", "modest", "feasible", "27"],
        ["2", "raises", "error", "-"],
        ["3", "good", "optimal", "9"],
        ["4", "modest", "feasible", "27"],
    ]
    assert "boom" in lines[head + 3] and "nodes 7" in lines[head + 4]
    assert json.loads(run("check", path, best, "--json").stdout)["objective"] == 9


def test_options_and_limits_of_stages(path):
    """Names with dashes keep them; options of one's own limit do too."""
    options = ["--option", "shifted.shift=2", "--stage-limit", "tell-seconds=3", "--time-limit", "9"]
    done = run("solve", path, "--solver", "shifted+tell-seconds", *options, *PLUGINS, "--json")
    assert done.exit_code == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["options"] == {"shifted.shift": 2} and record["solver"] == "shifted+tell-seconds"
    assert [stage["time_limit"] for stage in record["stages"]] == [6.0, 3.0]
    assert record["stages"][1]["stats"]["seconds"] == pytest.approx(3.0, abs=0.1)


def test_dashes_in_the_name_of_a_stage(tmp_path):
    """Only the option's own name may be written with dashes for underscores."""
    rng = np.random.default_rng(0)
    path = tmp_path / "layer.matchopt"
    write(LayerInstance(Target.from_dense(rng.normal(size=(3, 2))), Hardware(rng.normal(size=(4, 3)))), path)
    done = run("solve", path, "--solver", "random-wiring+hungarian", "-o", "random-wiring.draws=3", "--json")
    assert done.exit_code == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["options"]["random-wiring.draws"] == 3 and record["proof"] == "proven"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--solver", "modest+godo"], "unknown solver 'godo'; did you mean 'good'"),
        (["--solver", "modest+good+"], "has an empty stage"),
        (["--solver", "modest+shifted", "-o", "shift=1"], "must name its stage in a pipeline, such as modest.shift"),
        (["--solver", "modest+shifted", "-o", "shifted.shft=1"], "did you mean 'shift'"),
        (["--solver", "modest+good", "--stage-limit", "good"], "must read stage=seconds, such as slots=40"),
        (["--solver", "modest+good", "--stage-limit", "good=x"], "must read stage=seconds"),
        (["--solver", "modest+good", "--stage-limit", "god=3"], "did you mean 'good'"),
        (["--solver", "modest+good", "--stage-limit", "good=70"], "add up to 70 s of 60 s"),
    ],
)
def test_mistakes_are_one_sentence(path, arguments, text):
    """Exit status 2, nothing on standard output."""
    done = run("solve", path, *arguments, *PLUGINS, "--json")
    assert (done.exit_code, done.stdout) == (2, "") and text in done.stderr and "Traceback" not in done.stderr


def test_a_surrogate_for_one_solver(tmp_path):
    """Without the flag the refusal stands; with it the reason is told beside the solution."""
    rng = np.random.default_rng(1)
    from matchopt import OutputError

    moments = np.array([[1.0, 0.5], [0.5, 1.0]])
    target, chip = Target.from_dense(rng.normal(size=(2, 2))), Hardware(rng.normal(size=(3, 3)))
    path = tmp_path / "layer.matchopt"
    write(LayerInstance(target, chip, objective=OutputError(moments)), path)
    assert run("solve", path, "--solver", "hungarian").exit_code == 1
    done = run("solve", path, "--solver", "hungarian", "--surrogate")
    assert done.exit_code == 0, done.stderr
    assert "does not understand correlated-inputs" in done.stdout
    assert "status    feasible" in done.stdout


def test_an_infeasible_instance_by_a_pipeline(tmp_path):
    """A proof is an answer here too."""
    path = tmp_path / "none.matchopt"
    write(AssignmentInstance(np.array([[1.0, np.inf], [2.0, np.inf]])), path)
    done = run("solve", path, "--solver", "greedy-pairs+hungarian", "--json")
    assert done.exit_code == 0
    assert (json.loads(done.stdout)["status"], json.loads(done.stdout)["proof"]) == ("infeasible", "proven")
