"""Pipelines: what each stage begins from, which solution is the answer, what a failure costs, who gets which time."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matchopt import Assignment, AssignmentInstance
from matchopt.errors import InvalidOption, InvalidSolution, PluginError, UnknownName
from matchopt.run import Task, solve, solve_all
from matchopt.run.pipeline import perform_stages, stage_seconds
from matchopt.solver import Limit, Status

HOSTILE = Path(__file__).with_name("hostile.py")
STAGES = Path(__file__).with_name("stages.py")
FILES = (HOSTILE, STAGES)
SLOW = pytest.mark.slow  # a process for each stage


def test_every_stage_begins_from_the_best_so_far(instance):
    """echo-start returns what it was given: 27 of the diagonal, then the optimum 9."""
    run = solve(instance, "modest+echo-start+good+echo-start", plugin_files=FILES)
    assert [stage.objective for stage in run.stages] == [27, 27, 9, 9]
    assert [stage.solver for stage in run.stages] == ["modest", "echo-start", "good", "echo-start"]
    assert (run.solver, run.status, run.proof, run.objective) == (
        "modest+echo-start+good+echo-start", Status.OPTIMAL, "proven", 9,
    )  # fmt: skip
    assert run.stats == {"best_stage": 4}  # of equally good ones the later


def test_a_worse_stage_does_not_win_and_the_record_says_so(instance):
    """modest after good: the optimum stands, and the next stage begins from it."""
    run = solve(instance, "good+modest+echo-start", plugin_files=FILES)
    assert [stage.objective for stage in run.stages] == [9, 27, 9]
    assert (run.objective, run.proof) == (9, "proven")
    assert run.message == "stage 2, modest ended at 27, worse than 9 of stage 1, good, which stands"


@SLOW
@pytest.mark.parametrize(
    ("middle", "status", "text"),
    [
        ("raises", Status.ERROR, "ValueError: boom"),
        ("dereferences-null", Status.ERROR, "SIGSEGV"),
        ("returns-none", Status.ERROR, "instead of a Result"),
        ("refuses-all", Status.UNKNOWN, "not today"),
    ],
)
def test_a_failing_stage_costs_itself_only(instance, middle, status, text):
    """What was found before it stands, and the stage after it begins from there."""
    run = solve(instance, f"modest+{middle}+improve", plugin_files=FILES)
    assert [stage.objective for stage in run.stages] == [27, None, 22]
    assert run.stages[1].status is status and text in run.stages[1].message
    assert (run.status, run.objective) == (Status.FEASIBLE, 22)
    assert run.message.startswith(f"stage 2, {middle}: ") and text in run.message


def test_a_stage_that_dies_with_an_incumbent_leaves_it(instance):
    """A crash after a better solution: that solution goes on."""
    run = solve(instance, "crashes-with-an-incumbent+echo-start", plugin_files=FILES)
    assert [stage.objective for stage in run.stages] == [27, 27] and run.stages[0].message.endswith("incumbent is kept")


@SLOW
@pytest.mark.parametrize(
    ("names", "status", "refused"),
    [
        ("returns-unknown+raises", Status.ERROR, False),
        ("returns-unknown+echo-start", Status.UNKNOWN, False),
        ("refuses-all+refuses-all", Status.UNKNOWN, True),
    ],
)
def test_without_any_solution_the_status_tells(instance, names, status, refused):
    """An error if a stage failed, else unknown; refused only if all refused."""
    run = solve(instance, names, plugin_files=FILES)
    assert (run.status, run.objective, run.solution, run.refused) == (status, None, None, refused)
    assert run.message.startswith("stage 1, ") and "; stage 2, " in run.message


@SLOW
def test_infeasible_is_proved_where_the_instance_is():
    """Two rows with one allowed column; a false claim beside a solution is only mentioned."""
    nobody = AssignmentInstance(np.array([[1.0, np.inf], [2.0, np.inf]]))
    run = solve(nobody, "returns-unknown+says-infeasible", plugin_files=FILES)
    assert (run.status, run.proof) == (Status.INFEASIBLE, "proven")


@SLOW
def test_a_false_claim_of_infeasibility_is_mentioned(instance):
    """The solution stands."""
    run = solve(instance, "modest+says-infeasible", plugin_files=FILES)
    assert (run.status, run.objective) == (Status.FEASIBLE, 27)
    assert "says-infeasible claims infeasible beside a feasible solution" in run.message


@SLOW
def test_a_false_optimum_and_its_bound_do_not_count(instance):
    """lies-optimal claims 27; the next stage finds 22, which nothing proves."""
    run = solve(instance, "lies-optimal+improve", plugin_files=FILES, certify=False)
    assert [stage.status for stage in run.stages] == [Status.OPTIMAL, Status.FEASIBLE]
    assert (run.status, run.proof, run.objective, run.bound) == (Status.FEASIBLE, None, 22, None)
    assert "the bound 27 of a stage is above the objective 22; ignored" in run.message
    certified = solve(instance, "lies-optimal+improve", plugin_files=FILES)
    assert certified.status is Status.FEASIBLE and certified.bound is not None and certified.bound <= 9


@SLOW
def test_a_claimed_optimum_outlives_later_stages(instance):
    """Without a certificate the claim of the first stage is what there is; a limit in another does not touch it."""
    run = solve(instance, "good+hangs", plugin_files=FILES, certify=False, stage_limits={"hangs": 0.3})
    assert (run.status, run.proof, run.objective, run.limit) == (Status.OPTIMAL, "claimed", 9, None)
    assert run.stages[1].limit is Limit.TIME


@SLOW
def test_a_start_is_the_first_best(instance):
    """The first stage gets it, and where no stage improves it is the answer."""
    start = Assignment(np.array([1, 2, 4, 3]))  # 3 + 2 + 5 + 8 = 18
    run = solve(instance, "modest+echo-start", start=start, plugin_files=FILES)
    assert [stage.objective for stage in run.stages] == [27, 18] and run.objective == 18
    kept = solve(instance, "modest+raises", start=start, plugin_files=FILES)
    assert (kept.objective, kept.status, kept.stats) == (18, Status.FEASIBLE, {"best_stage": 0})
    assert kept.message.startswith("no stage improved on the start")
    with pytest.raises(InvalidSolution, match="start is infeasible"):
        solve(instance, "modest+raises", start=Assignment(np.zeros(4)), plugin_files=FILES)


@SLOW
def test_options_go_to_their_stage(instance):
    """By name to every stage of that name, by place to one; a single solver may be named too."""
    options = {"shifted.shift": "1", "2.shift": 2}
    run = solve(instance, "shifted+shifted", options=options, plugin_files=FILES, certify=False)
    assert [stage.options for stage in run.stages] == [{"shift": 1}, {"shift": 2}]
    assert run.options == {"1.shift": 1, "2.shift": 2}
    run = solve(instance, "shifted + modest", options={"shifted.shift": 1}, plugin_files=FILES, certify=False)
    assert run.options == {"shifted.shift": 1} and run.solver == "shifted+modest"
    alone = solve(instance, "shifted", options={"shifted.shift": 3}, plugin_files=FILES, certify=False)
    assert alone.options == {"shift": 3} and alone.stages == ()


@pytest.mark.parametrize(
    ("solver", "changes", "error", "text"),
    [
        ("modest+godo", {}, UnknownName, "unknown solver 'godo'; did you mean 'good'"),
        ("modest+", {}, InvalidOption, r"solver 'modest\+' has an empty stage; give names with one \+ between them"),
        (
            "modest+good",
            {"options": {"shift": 1}},
            InvalidOption,
            "must name its stage in a pipeline, such as modest.shi",
        ),
        (
            "modest+good",
            {"options": {"god.shift": 1}},
            UnknownName,
            "unknown stage of the pipeline 'god'; did you mean",
        ),
        ("modest+shifted", {"options": {"shifted.shft": 1}}, UnknownName, "did you mean 'shift'"),
        ("modest+shifted", {"options": {"shifted.shift": "a"}}, InvalidOption, "must be a whole number, found 'a'"),
        ("modest+good", {"stage_limits": {"goood": 1}}, UnknownName, "did you mean 'good'"),
        (
            "modest+good",
            {"stage_limits": {"good": 0}},
            InvalidOption,
            "stage good must be a finite number > 0, found 0",
        ),
        ("modest+good", {"stage_limits": {"good": 60}}, InvalidOption, "add up to 60 s of 60 s, which is not enough"),
        ("modest+good", {"stage_limits": {"1": 50, "2": 11}}, InvalidOption, "add up to 61 s of 60 s"),
        ("good", {"stage_limits": {"modest": 1}}, UnknownName, "unknown stage of the pipeline 'modest'"),
    ],
)
def test_misuse_is_one_sentence_before_anything_starts(instance, solver, changes, error, text):
    """No stage runs for a mistake in a later one."""
    began = time.monotonic()
    with pytest.raises(error, match=text):
        solve(instance, solver, plugin_files=FILES, **changes)
    assert time.monotonic() - began < 1


def test_a_solver_object_is_no_pipeline(instance):
    """A failed plugin that a stage needs is named."""
    with pytest.warns(UserWarning, match="left out"), pytest.raises((UnknownName, PluginError)):
        solve(instance, "modest+none-such", plugin_files=(*FILES, "no-such-file.py"))


@settings(max_examples=200)
@given(
    left=st.floats(0.1, 1e4),
    limits=st.lists(st.none() | st.floats(0.01, 1e3), min_size=1, max_size=6),
    used=st.lists(st.floats(0, 1), min_size=6, max_size=6),
)
def test_the_stages_never_get_more_than_there_is(left, limits, used):
    """However much of its share each stage takes; the last gets all that is left, up to its own limit."""
    total = left
    for number, limit in enumerate(limits):
        seconds = stage_seconds(left, number, limits)
        assert 0 <= seconds <= left
        assert limit is None or seconds == min(limit, left)
        if number == len(limits) - 1:
            assert seconds == (left if limit is None else min(limit, left))
        left -= used[number] * seconds
    assert left <= total


def test_shares_of_time():
    """Equal parts of what is left; what an early stage leaves goes on; limits of one's own are set aside."""
    assert [stage_seconds(60, 0, [None] * 3), stage_seconds(58, 1, [None] * 3)] == [20, 29]
    assert stage_seconds(60, 0, [None, None, 40]) == 10 and stage_seconds(59, 1, [None, None, 40]) == 19
    assert stage_seconds(50, 2, [None, None, 40]) == 40 and stage_seconds(30, 2, [None, None, 40]) == 30
    assert stage_seconds(30, 1, [None, None, 40]) == 15  # the first overran: both are cut
    assert stage_seconds(np.inf, 0, [None, 5]) == np.inf


@SLOW
def test_a_stage_passes_its_time_on(instance):
    """The first needs next to nothing of its half; the second is given the rest."""
    run = solve(instance, "modest+tell-seconds", time_limit=8, plugin_files=FILES, certify=False)
    first, second = run.stages
    assert first.allowance.seconds == 4 and second.allowance.seconds == pytest.approx(8 - first.solver_seconds)
    assert second.stats["seconds"] == pytest.approx(second.allowance.seconds, abs=0.2) and run.allowance.seconds == 8
    limited = solve(
        instance, "modest+tell-seconds", time_limit=8, stage_limits={"2": 3}, plugin_files=FILES, certify=False
    )
    assert [stage.allowance.seconds for stage in limited.stages] == [5, 3]


@SLOW
@pytest.mark.usefixtures("quick_kills")
def test_a_stage_without_time_is_not_started(instance):
    """The first takes more than everything before it is killed."""
    run = solve(instance, "hangs+good", time_limit=0.3, stage_limits={"hangs": 0.29}, plugin_files=FILES)
    assert run.stages[1].message == "not started: the stages before it took all the time"
    assert (run.stages[1].seconds, run.stages[1].limit, run.stages[1].solver_seconds) == (0.0, Limit.TIME, None)
    assert (run.status, run.limit) == (Status.UNKNOWN, Limit.TIME)


@SLOW
def test_the_seconds_of_the_stages_add_up(instance):
    """The whole takes as long as its stages, and its clock is the sum of theirs; the trace runs on that clock."""
    run = solve(instance, "modest+sleeps+good", plugin_files=FILES)
    spent = sum(stage.seconds for stage in run.stages)
    assert spent <= run.seconds <= spent + 0.5
    assert run.solver_seconds == pytest.approx(sum(stage.solver_seconds for stage in run.stages))
    assert [row[1] for row in run.trace] == [27, 9]
    assert run.trace[0][0] <= run.stages[0].solver_seconds <= run.trace[1][0] <= run.solver_seconds


@SLOW
def test_incumbents_of_all_stages_are_better_each_time(instance):
    """A stage's incumbents that are worse than what there is are not handed on."""
    seen = []
    solve(instance, "improve+ten-thousand-incumbents", plugin_files=FILES, on_incumbent=seen.append,
          start=Assignment(np.array([1, 2, 4, 3])))  # fmt: skip
    objectives = [found.objective for found in seen]
    assert objectives == sorted(objectives, reverse=True) and objectives[0] < 18 and len(set(objectives)) == len(seen)


def test_the_record_as_json(instance):
    """Each stage in full, nothing that JSON cannot say."""
    run = solve(instance, "modest+raises+good", plugin_files=FILES)
    found = json.loads(json.dumps(run.to_json(), allow_nan=False))
    assert [stage["solver"] for stage in found["stages"]] == ["modest", "raises", "good"]
    assert [stage["status"] for stage in found["stages"]] == ["feasible", "error", "optimal"]
    assert all("solution" not in stage and stage["digest"] == found["digest"] for stage in found["stages"])
    assert found["stages"][0]["proof"] is None and found["proof"] == "proven"
    assert "[stage 2, raises]" in run.log and "boom" in run.log


@SLOW
def test_many_tasks_may_be_pipelines(instance):
    """A pipeline that cannot start is a row of its own, as any task is."""
    names = ["modest+good", "modest+none-such", "good"]
    runs = solve_all([Task(instance, name, plugin_files=FILES) for name in names], jobs=2)
    assert [run.status for run in runs] == [Status.OPTIMAL, Status.ERROR, Status.OPTIMAL]
    assert [run.solver for run in runs] == names and len(runs[0].stages) == 2


@SLOW
def test_a_stopped_pipeline_keeps_its_best(instance):
    """Stopped from outside in its second stage: the best of that, and no third stage."""
    stop = threading.Event()
    task = Task(instance, "modest+improves-and-hangs+good", plugin_files=FILES)
    run = perform_stages(task, cancel=stop, on_incumbent=lambda found: stop.set())
    assert (run.status, run.limit, run.objective, run.proof) == (Status.FEASIBLE, Limit.INTERRUPTED, 22, None)
    assert [stage.objective for stage in run.stages] == [27, 22]
    assert run.message.endswith("stopped before stage 3, good")


@SLOW
def test_an_interrupted_proof_keeps_the_solution_of_a_pipeline(instance, monkeypatch):
    """Ctrl-C during the certificate costs the certificate only, where the caller wants to keep what there is."""

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("matchopt.proofs.certify", interrupt)
    with pytest.raises(KeyboardInterrupt):
        solve(instance, "modest+good", plugin_files=FILES)
    run = solve(instance, "modest+good", plugin_files=FILES, keep_on_interrupt=True)
    assert (run.status, run.objective, run.proof, run.limit) == (Status.OPTIMAL, 9, "claimed", None)
    assert run.message == "the proof was interrupted"


HOST = """
import sys
import numpy as np
from matchopt import AssignmentInstance
from matchopt.run import solve
instance = AssignmentInstance(np.arange(20).reshape(4, 5)[:, ::-1].copy())
said = lambda *_: print("incumbent", flush=True)
run = solve(instance, "modest+improves-and-hangs+good", plugin_files=sys.argv[2:], on_incumbent=said,
            keep_on_interrupt=sys.argv[1] == "keep")
print(run.status, run.limit, run.objective, len(run.stages))
"""


@SLOW
@pytest.mark.parametrize(
    ("mode", "code", "output"), [("keep", 0, "feasible interrupted 36 2"), ("raise", -signal.SIGINT, "")]
)
def test_ctrl_c_in_a_pipeline(mode, code, output):
    """The best so far where that is wanted, KeyboardInterrupt otherwise; no process is left."""
    command = [sys.executable, "-c", HOST, mode, *map(str, FILES)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as host:
        assert host.stdout.readline() == "incumbent\n"
        host.send_signal(signal.SIGINT)
        out, _ = host.communicate(timeout=20)
    assert host.returncode == code and out.strip() == output
