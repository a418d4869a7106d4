"""What became of a solver, read from what its worker sent or from how it ended; nothing of it is believed yet."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from matchopt.contract import printable, proper_stats
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
    peak: int = 0
    died: bool = False
    refused: bool = False
    surrogate: str = ""


def read_answer(message: Parts, instance: Instance, memory: int) -> Answer:
    """The answer in a worker's last message; one that does not fit its form is an ERROR."""
    facts = message.facts
    kind, cause, peak = facts.get("type"), printable(facts.get("cause", "")), facts.get("peak")
    peak = peak if isinstance(peak, int) and 0 <= peak < 2**60 else 0
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
            raise BadMessage("the worker sent a message of unknown type")
        return _read_result(message, instance, peak)
    except Exception as wrong:  # whoever wrote it may have written anything
        text = f"the worker's answer cannot be read: {type(wrong).__name__}: {wrong}"
        return Answer(Status.ERROR, message=printable(text), peak=peak)


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


def read_number(value: Any) -> float:
    """A number in a message, which may be infinite or none.

    Raises
    ------
    BadMessage
        when it is anything else, or has more digits than a float can tell.
    """
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or (isinstance(value, int) and abs(value) > 2**1000)
    ):
        raise BadMessage(f"a number was expected, found {printable(value, 40)}")
    return float(value)


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
    if worker.lost:
        text = "the process that workers are children of was killed, twice (by the solver, or for want of memory?)"
    elif code < 0:
        name = signal_name(-code)
        hint = " (sent from outside; was the machine out of memory?)" if name == "SIGKILL" else ""
        text = f"the worker died of {name}{hint}"
    return Answer(Status.ERROR, message=text, died=True)


def _read_result(message: Parts, instance: Instance, peak: int) -> Answer:
    facts = message.facts
    limit = None if facts["limit"] is None else Limit(facts["limit"])
    bound, (stats, _), text = read_number(facts["bound"]), proper_stats(facts["stats"]), printable(facts["message"])
    solution = read_solution(message, instance)
    return Answer(
        Status(facts["status"]), limit, solution, bound, stats, text, peak, surrogate=printable(facts["surrogate"])
    )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.3g} GB"
