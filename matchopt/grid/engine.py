"""The engine: every task once, several at a time, each result on the disk as soon as it is there.

Whatever a task raises costs its own line. A process that dies takes no other task with it: those that were under way
are tried again, one by one, and the one that kills its process again is given up.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from contextlib import nullcontext
from signal import SIG_IGN, SIGINT, getsignal
from threading import current_thread, main_thread
from typing import Any

from matchopt.errors import MatchoptError
from matchopt.grid.lines import ClusterLines, Left, LocalProcesses
from matchopt.grid.records import ResultLog, as_json
from matchopt.grid.task import ERROR, GridTask

LOOK = 5.0  # seconds without a result after which a cluster is asked whether it is still there
Record = dict[str, Any]
Notify = Callable[[int, int, GridTask, Record], None]  # tasks done, tasks in all, the last one and its record
Begun = Callable[[GridTask], None]


def run_grid(
    tasks: Sequence[GridTask],
    log: ResultLog,
    *,
    jobs: int = 1,
    executor: Executor | None = None,
    notify: Notify | None = None,
    begun: Begun | None = None,
) -> list[Record]:
    """Perform what `log` does not hold yet, and what that needs.

    Parameters
    ----------
    tasks : those of one key are performed once.
    log : entered, so that nobody else writes into it; keeps every record as soon as it is there.
    jobs : tasks at a time, each in a process of its own on this machine.
    executor : performs the tasks instead.
    notify : called after every task.
    begun : called with every task that is handed to a process; with some executors it waits there.

    Returns
    -------
    list of dict
        the records in the order of the tasks. A task that failed has "error", a sentence, instead of figures.
    """
    course = _Course(tasks, log, notify, begun)
    if course.waiting:
        with LocalProcesses(jobs) if executor is None else nullcontext(executor) as lines:
            course.run(lines)
    return [course.record(task) for task in tasks]


def is_done(task: GridTask, log: ResultLog) -> bool:
    """Whether the log holds the task's figures, and what they speak of is still there."""
    found = log.get(task.key)
    return found is not None and ERROR not in found and task.is_whole(found)


class _Course:
    """One run of a grid."""

    def __init__(self, tasks: Sequence[GridTask], log: ResultLog, notify: Notify | None, begun: Begun | None) -> None:
        self._log, self._notify, self._begun = log, notify, begun
        longest_first = sorted(_with_needs(tasks, log), key=lambda task: -task.seconds)
        self.waiting = {task.key: task for task in longest_first}
        self._total, self._done = len(self.waiting), 0
        self._running: dict[Future[Record], GridTask] = {}
        self._suspects: list[GridTask] = []  # one of them may have killed its process

    def run(self, lines: Executor) -> None:
        """Perform all that waits."""
        try:
            while self.waiting or self._suspects or self._running:
                self._submit(lines)
                finished, _ = wait(self._running, LOOK, FIRST_COMPLETED)
                if self._running and not finished and isinstance(lines, ClusterLines):
                    lines.check()
                for future in sorted(finished, key=_has_failed):
                    self._take(future, lines)
        finally:
            for future in self._running:
                future.cancel()

    def record(self, task: GridTask) -> Record:
        """The record of a task that was run."""
        return self._log.get(task.key) or {ERROR: "it was not run"}

    def _submit(self, lines: Executor) -> None:
        """Start what can be started; a suspect runs alone."""
        if self._suspects:
            if not self._running:
                self._start(self._suspects[0], lines)
            return
        for task in list(self.waiting.values()):
            if isinstance(lines, LocalProcesses) and len(self._running) >= lines.width:
                return
            needs = [need.key for need in task.needs]
            if any(key in self.waiting for key in needs) or any(o.key in needs for o in self._running.values()):
                continue
            del self.waiting[task.key]
            lost = [found[ERROR] for key in needs if ERROR in (found := self._log.get(key) or {})]
            if lost:
                self._keep(task, {ERROR: f"what it needs failed: {lost[0]}"})
            else:
                self._start(task, lines)

    def _start(self, task: GridTask, lines: Executor) -> None:
        if self._begun is not None:
            self._begun(task)
        try:
            future = lines.submit(perform_guarded, task)
        except BrokenExecutor as cause:  # a process has just died; what was under way is yet to say so
            future = Future()
            future.set_exception(cause)
        self._running[future] = task

    def _take(self, future: "Future[Record]", lines: Executor) -> None:
        """Keep what a task led to."""
        task = self._running.pop(future, None)
        if task is None:  # it was under way when another one's process died
            return
        try:
            self._keep(task, future.result())
        except BrokenExecutor:
            again = isinstance(lines, LocalProcesses) and not self._suspects
            if isinstance(lines, LocalProcesses):
                lines.renew()
            if again:
                self._suspects = [task, *self._running.values()]
                self._running.clear()
            else:
                self._keep(task, {ERROR: "the process that performed it ended without an answer"})
        except CancelledError:  # by nobody here
            if isinstance(lines, ClusterLines):
                raise lines.lost() from None
            self._keep(task, {ERROR: "the executor gave it up"})
        except Exception as cause:  # on its way to or from a worker
            self._keep(task, {ERROR: reason_of(cause)})

    def _keep(self, task: GridTask, record: Record) -> None:
        self._suspects = [other for other in self._suspects if other.key != task.key]
        self._log.append(task.key, record | {"made_from": task.made_from})
        self._done += 1
        if self._notify is not None:
            self._notify(self._done, self._total, task, self.record(task))


def perform_guarded(task: GridTask) -> Record:
    """The record of a task: its figures, or the sentence that says why there are none."""
    try:
        figures: Record = as_json(task.perform())
        return figures
    except Left:
        raise
    except BaseException as cause:
        if isinstance(cause, KeyboardInterrupt) and _hears_interrupts():
            raise
        return {ERROR: reason_of(cause)}


def _hears_interrupts() -> bool:
    """Whether Ctrl-C would reach this thread; elsewhere KeyboardInterrupt is one more thing that a task can raise."""
    return current_thread() is main_thread() and getsignal(SIGINT) is not SIG_IGN


def reason_of(cause: BaseException) -> str:
    """What went wrong, in a sentence; what no part of matchopt expected names its kind."""
    try:
        text = " ".join(str(cause).split())
    except Exception as worse:  # an exception that cannot even say what it is
        text = f"(its text cannot be had: {type(worse).__name__})"
    return text if text and isinstance(cause, (MatchoptError, ValueError)) else f"{type(cause).__name__}: {text}"


def _with_needs(tasks: Iterable[GridTask], log: ResultLog) -> Iterable[GridTask]:
    """The tasks that are not done yet, each after what it needs."""
    for task in tasks:
        if not is_done(task, log):
            yield from _with_needs(task.needs, log)
            yield task


def _has_failed(future: "Future[Record]") -> bool:
    return future.cancelled() or future.exception() is not None
