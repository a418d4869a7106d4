"""What the records of a pipeline's stages come to: the best solution, what is proved about it, and what to say."""

import math
from collections.abc import Sequence
from dataclasses import replace

from matchopt.instances import Solution
from matchopt.run.judge import Verdict, allowance, certified
from matchopt.run.record import Incumbent, Number, Run
from matchopt.run.task import Task
from matchopt.solver import Limit, Status


def conclude(
    task: Task,
    runs: Sequence[Run],
    best: Solution | None,
    objective: Number | None,
    interrupted: bool = False,
    prove: bool = True,
) -> Verdict:
    """The verdict on a pipeline.

    The best solution by the checker's objective is the answer, whichever stage found it. Bounds, claims of optimality
    and of infeasibility count if they come from a stage that solved the instance itself, not its surrogate.

    Parameters
    ----------
    task : of the whole.
    runs : the records of the stages that were started, in order.
    best, objective : best solution of all stages and the start, and its objective; None without one.
    interrupted : whether the pipeline was stopped between two stages.
    prove : whether to look for a proof, where the task wants one.
    """
    own = [run for run in runs if not run.surrogate]
    limits = [run.limit for run in runs if run.limit is not None]
    limit = Limit.INTERRUPTED if interrupted else limits[-1] if limits else None
    if best is None or objective is None:
        verdict = _empty_handed(runs, own, limit)
    else:
        verdict = _judged(own, limit, best, objective)
    stopped = ["the proof was interrupted"] if task.certify and not prove else []
    notes = [*stopped, *_notes(task, runs, objective), *filter(None, [verdict.message])]
    verdict = replace(verdict, message="; ".join(notes))
    if limit is Limit.INTERRUPTED:
        return verdict
    if task.certify and prove:
        verdict = certified(task.instance, verdict, task.prove_seconds)
    return replace(verdict, limit=None) if verdict.status is Status.OPTIMAL or verdict.proof == "proven" else verdict


def _judged(own: Sequence[Run], limit: Limit | None, best: Solution, objective: Number) -> Verdict:
    """What the stages that solved the instance itself say about the best solution."""
    most = objective + allowance(objective)
    notes = [f"{run.solver} claims infeasible beside a feasible solution" for run in own if run.status == "infeasible"]
    bounds = [run.bound for run in own if run.bound is not None]
    false = [bound for bound in bounds if bound > most]
    if false:
        notes.append(f"the bound {max(false):.10g} of a stage is above the objective {objective:.10g}; ignored")
    bound = max((min(bound, objective) for bound in bounds if bound <= most), default=None)
    claims = [run for run in own if run.status is Status.OPTIMAL and run.objective is not None]
    claimed = bound == objective or any(_number(run.objective) <= most and not false for run in claims)
    optimal = claimed and limit is not Limit.INTERRUPTED
    incumbent = Incumbent(0.0, objective, -math.inf if bound is None else float(bound), best)
    status = Status.OPTIMAL if optimal else Status.FEASIBLE
    return Verdict(status, limit, incumbent, bound, "claimed" if optimal else None, "; ".join(notes))


def _number(objective: Number | None) -> float:
    return math.inf if objective is None else objective


def _empty_handed(runs: Sequence[Run], own: Sequence[Run], limit: Limit | None) -> Verdict:
    """Without any solution: infeasible if a stage says so, an error if a stage failed, else unknown."""
    if any(run.status is Status.INFEASIBLE for run in own):
        return Verdict(Status.INFEASIBLE, None, None, None, "claimed", "")
    if any(run.status is Status.ERROR for run in runs):
        return Verdict(Status.ERROR, limit, None, None, None, "")
    bound = max((run.bound for run in own if run.bound is not None), default=None)
    return Verdict(Status.UNKNOWN, limit, None, bound, None, "")


def _notes(task: Task, runs: Sequence[Run], objective: Number | None) -> list[str]:
    """One clause for each stage that failed, found nothing or ended above what was there before it."""
    notes, least, by = [], None, "the start"
    if task.start is not None and not any(run.objective == objective for run in runs):
        notes.append("no stage improved on the start")
    for number, run in enumerate(runs, start=1):
        name = f"stage {number}, {run.solver}"
        if run.objective is None or run.status is Status.ERROR:
            notes.append(f"{name}: {run.message or run.status.value}")
        if run.objective is None:
            continue
        if least is not None and run.objective > least + allowance(least):
            notes.append(f"{name} ended at {run.objective:.6g}, worse than {least:.6g} of {by}, which stands")
        if least is None or run.objective < least:
            least, by = run.objective, name
    if len(runs) < len(task.stages):
        notes.append(f"stopped before stage {len(runs) + 1}, {task.stages[len(runs)]}")
    return notes
