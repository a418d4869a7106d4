"""What a worker says is a claim: forged messages, false times, bounds and texts cost one right record."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from matchopt import (
    Hardware,
    LayerInstance,
    NetworkInstance,
    ProgramInstance,
    ProgramPoint,
    Rules,
    Status,
    Target,
    check,
    write,
)
from matchopt.cli import main
from matchopt.run import solve

FILE = Path(__file__).with_name("dishonest.py")
WEIGHTS = np.array([[0.5, 0.0, 1.0], [0.0, 2.0, 0.0], [1.0, 0.0, 0.0]])
HARDWARE = Hardware(np.arange(16.0).reshape(4, 4))
# solver: status, part of the message
EXPECTED = {
    "endless-bound": ("error", "^the worker's answer cannot be read: BadMessage: a number was expected, found 1000"),
    "endless-time": ("error", "^the worker sent an incumbent that cannot be read: BadMessage: a number was expected"),
    "endless-figures": ("feasible", "^$"),
    "true-bound": ("error", "cannot be read: BadMessage: a number was expected, found True"),
    "no-form": ("error", "^the worker's answer cannot be read: "),
    "nearly-optimal": ("feasible", "^the solver claims a bound of 26.999, of which 9 is proved$"),
    "announces-much": ("error", "cannot be read: a message .* is larger than any answer to this instance$"),
    "forges-lines": (
        "feasible",
        r"^Result.stats must hold .* left out. fine status optimal, proven \\x1b\[2Kbound \\x9b1A",
    ),
    "raises-lines": ("error", r"^the solver raised ValueError: one \\x1b\[2Kstatus optimal, proven \\udc80"),
    "tells-everything": ("feasible", r"^Result.stats must hold at most 100 .* left out. xxx"),
    "stops-the-clock": ("feasible", "^$"),
}


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.slow)], ids=["warm", "cold"])
def cold(request):
    """Whether the worker is a fresh interpreter."""
    return request.param


@pytest.mark.parametrize("name", EXPECTED)
def test_a_dishonest_solver_costs_one_right_record(instance, name, cold):
    """The host neither fails nor waits, keeps what is sound, and prints nothing that was not said by it."""
    run = solve(instance, name, plugin_files=[FILE], time_limit=20, cold=cold)
    status, message = EXPECTED[name]
    assert run.status == status and re.search(message, run.message), (run.message, run.log)
    assert run.message.isprintable() and len(run.message) < 5000
    assert run.objective == (27 if status == "feasible" else None)
    assert run.bound == (9 if status == "feasible" else None) and run.bound_proved == (status == "feasible")
    assert run.seconds < 15 and 0 <= run.peak_memory < 2**40
    facts = json.loads(json.dumps(run.to_json(), allow_nan=False))
    assert all(isinstance(value, (int, float, str, None.__class__)) for value in facts["stats"].values())


def test_statistics_are_numbers_and_short_texts(instance):
    """What is neither costs itself, not the solution."""
    assert solve(instance, "endless-figures", plugin_files=[FILE]).stats == {"c": 3, "d": "x y"}
    (text, name), three = (run := solve(instance, "forges-lines", plugin_files=[FILE])).stats.items(), run.stats["ok"]
    assert name == ("ok", 3) and three == 3 and len(text[0]) <= 160 and text[0].isprintable() and text[1].isprintable()
    assert len(solve(instance, "tells-everything", plugin_files=[FILE]).stats) == 100


def test_a_gap_is_that_of_the_proved_bound(instance):
    """A bound by the solver is a claim too."""
    run = solve(instance, "nearly-optimal", plugin_files=[FILE])
    assert run.gap == pytest.approx((27 - 9) / 27)


@pytest.mark.slow
def test_the_clock_is_the_hosts(instance, cold, quick_kills):
    """Neither another "started" nor a patched clock gives a solver more time or takes some off the record."""
    run = solve(instance, "starts-again", plugin_files=[FILE], time_limit=0.4, cold=cold)
    assert (run.status, run.limit, run.objective) == (Status.FEASIBLE, "time", 27) and run.solver_seconds < 4
    run = solve(instance, "stops-the-clock+stops-the-clock", plugin_files=[FILE], time_limit=20, cold=cold)
    assert run.solver_seconds >= 0.5 and all(stage.solver_seconds >= 0.25 for stage in run.stages)


@pytest.mark.parametrize(
    ("name", "said"), [("wires-without-end", "larger than any answer"), ("wires-wrongly", "at least")]
)
def test_a_solution_has_a_size(name, said, cold):
    """Far more wires than cells are refused unread; a flood of broken rules ends after some."""
    run = solve(LayerInstance(Target.from_dense(WEIGHTS), HARDWARE), name, plugin_files=[FILE], cold=cold)
    assert run.status is Status.ERROR and said in run.message and run.seconds < 15
    assert len(run.violations) <= 20


LAYERS = {
    "plain": LayerInstance(Target.from_dense(WEIGHTS), HARDWARE),
    "drop": LayerInstance(Target.from_dense(np.ones((3, 4))), Hardware(np.ones((3, 2))), Rules(drop=True)),
    "tunable": LayerInstance(
        Target.from_dense(WEIGHTS), Hardware(HARDWARE.weights, usable=np.tile([False, True], (4, 2))), Rules(tunable=1)
    ),
    "crossbar": LayerInstance(Target.from_dense(WEIGHTS), Hardware(HARDWARE.weights, bus=np.zeros(4, int))),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_false_infeasibility_is_refuted(name, cold):
    """By a plain wiring, of layers and of networks."""
    layer = LAYERS[name]
    for instance in (layer, NetworkInstance((layer,), (np.zeros(3),))):
        run = solve(instance, f"impossible-{instance.kind}", plugin_files=[FILE], cold=cold)
        assert (run.status, run.proof) == (Status.ERROR, None)
        assert "the claim of infeasibility is false: a feasible solution exists" in run.message


def program(row_high):
    """Two whole variables of which one must be 1."""
    ends = {"row_low": np.ones(1), "row_high": np.full(1, row_high), "high": np.ones(2), "integral": np.ones(2, bool)}
    return ProgramInstance(np.ones(2), np.array([0, 2]), np.array([0, 1]), np.ones(2), **ends)


def test_what_nobody_refutes_is_claimed_and_fails(tmp_path):
    """The command ends with exit status 1: there is neither a solution nor a proof that there is none."""
    instance = program(1.0)
    assert check(instance, ProgramPoint(np.array([1.0, 0.0]))).feasible
    write(instance, tmp_path / "p.matchopt")
    told = CliRunner().invoke(
        main, ["solve", str(tmp_path / "p.matchopt"), "--solver", "impossible-program", "--plugin", str(FILE)]
    )
    assert told.exit_code == 1 and "infeasible, claimed" in told.stdout, told.output


def test_a_proof_is_within_a_share_of_the_objective():
    """Rounding errors of large costs beside a small objective leave no proof, and what is known is said."""
    target = Target.from_dense(np.array([[1e9, 0.0], [0.0, 1.0]]), np.ones((2, 2), bool))
    layer = LayerInstance(target, Hardware(np.array([[1e9, 1.0], [1e9, 3.0]])))
    run = solve(layer, "hungarian")
    assert run.proof != "proven" or run.objective - run.bound <= 1e-6 * run.objective


def test_forged_lines_are_printed_as_text(instance, tmp_path):
    """The command's output has one status."""
    write(instance, tmp_path / "a.matchopt")
    arguments = ["solve", str(tmp_path / "a.matchopt"), "--solver", "forges-lines+forges-lines", "--plugin", str(FILE)]
    told = CliRunner().invoke(main, arguments)
    assert told.exit_code == 0, told.output
    assert sum(line.startswith("status") for line in told.stdout.splitlines()) == 1 and "\x1b" not in told.stdout
