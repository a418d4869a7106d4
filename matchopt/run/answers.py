"""What became of a solver, read from what its worker sent or from how it ended; nothing of it is believed yet."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from matchopt.errors import InvalidSolution
from matchopt.instances import SOLUTIONS, Instance, Solution
from matchopt.parts import Parts
from matchopt.run.messages import LOST_LINE, BadMessage
from matchopt.run.process import WorkerProcess, signal_name
from matchopt.solver import Limit, Status


@dataclass(frozen=True, eq=False)
class Answer:
    """The end of one solve.

    Parameters
    ----------
    status, limit, solution, bound, stats, message : as in `Result`.
    seconds : of the solver's clock, None if it sent none.
    peak : bytes, 0 if it sent none.
    died : it was killed or it failed; with a checked incumbent that is a FEASIBLE answer, without one `status` stands.
    refused : the instance was refused.
    surrogate : why the surrogate of the instance was solved; empty if the instance itself was.
    """

    status: Status
    limit: Limit | None = None
    solution: Solution | None = None
    bound: float = -math.inf
    stats: Mapping[str, int | float | str] = field(default_factory=dict)
    message: str = ""
    seconds: float | None = None
    peak: int = 0
    died: bool = False
    refused: bool = False
    surrogate: str = ""


def read_answer(message: Parts, instance: Instance, memory: int) -> Answer:
    """The answer in a worker's last message; one that does not fit its form is an ERROR."""
    facts = message.facts
    kind, cause, peak = facts.get("type"), str(facts.get("cause", "")), facts.get("peak")
    peak = peak if isinstance(peak, int) else 0
    if kind == "refused":
        return Answer(Status.UNKNOWN, message=f"refused: {cause}", peak=peak, refused=True)
    if kind == "memory":
        text = f"out of memory (limit {_gigabytes(memory)}){': ' if cause else ''}{cause}"
        return Answer(Status.UNKNOWN, Limit.MEMORY, message=text, peak=peak, died=True)
    if kind == "raised":
        return Answer(Status.ERROR, message=cause, peak=peak, died=True)
    if kind == "broken":
        return Answer(Status.ERROR, message=cause, peak=peak)
    try:
        if kind != "result":
            raise BadMessage(f"the worker sent a message of unknown type {kind!r}")
        return _read_result(message, instance, peak)
    except (BadMessage, InvalidSolution, KeyError, TypeError, ValueError, AttributeError) as wrong:
        return Answer(Status.ERROR, message=f"the worker's answer cannot be read: {wrong}", peak=peak)


def read_solution(message: Parts, instance: Instance) -> Solution | None:
    """The solution in a message, None without one.

    Raises
    ------
    InvalidSolution
        when it is not of the kind that the instance needs.
    """
    facts: Any = message.facts["solution"]
    if facts is None:
        return None
    return SOLUTIONS[instance.kind].from_parts(Parts(facts, message.arrays))


def read_ending(worker: WorkerProcess, seconds: float | None, memory: int) -> Answer:
    """The answer of a worker that ended without one."""
    killed = worker.watchdog.killed_for
    if killed is Limit.TIME:
        if seconds is None:
            return Answer(Status.ERROR, message="the worker did not start in time; killed", died=True)
        text = "the solver did not stop at its time limit; killed"
        return Answer(Status.UNKNOWN, Limit.TIME, message=text, died=True)
    if killed is Limit.MEMORY:
        text = f"the solver passed its memory limit of {_gigabytes(memory)}; killed"
        return Answer(Status.UNKNOWN, Limit.MEMORY, message=text, died=True)
    if worker.fault:
        return Answer(Status.ERROR, message=f"the worker's answer cannot be read: {worker.fault}")
    code = worker.exit_code or 0
    text = f"the worker ended with exit status {code} before it sent an answer"
    if code == LOST_LINE:
        text = "the worker lost its line to this process (did the solver close files it had not opened?)"
    if code < 0:
        name = signal_name(-code)
        hint = " (sent from outside; was the machine out of memory?)" if name == "SIGKILL" else ""
        text = f"the worker died of {name}{hint}"
    return Answer(Status.ERROR, message=text, died=True)


def _read_result(message: Parts, instance: Instance, peak: int) -> Answer:
    facts = message.facts
    limit = None if facts["limit"] is None else Limit(facts["limit"])
    bound, stats, text = float(facts["bound"]), dict(facts["stats"]), str(facts["message"])
    solution = read_solution(message, instance)
    instead = str(facts["surrogate"])
    return Answer(
        Status(facts["status"]), limit, solution, bound, stats, text, float(facts["at"]), peak, surrogate=instead
    )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.3g} GB"
