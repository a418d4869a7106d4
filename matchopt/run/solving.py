"""Solving one instance, or many: arguments checked, processes shared out."""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

from matchopt.instances import Instance, Solution
from matchopt.plugin_files import refuse_while_importing
from matchopt.run.perform import OnIncumbent
from matchopt.run.pipeline import perform_guarded, perform_stages
from matchopt.run.record import Number, Run
from matchopt.run.task import Task, allow
from matchopt.settings import OptionValue
from matchopt.solver import Solver


def solve(
    instance: Instance,
    solver: str | Solver,
    *,
    options: Mapping[str, OptionValue] | None = None,
    time_limit: Number | None = 60.0,
    memory_limit: Number | None = None,
    seed: int = 0,
    threads: int = 1,
    iterations: int | None = None,
    start: Solution | None = None,
    plugin_files: Path | str | Sequence[Path | str] = (),
    on_incumbent: OnIncumbent | None = None,
    certify: bool = True,
    keep_on_interrupt: bool = False,
    stage_limits: Mapping[str, Number] | None = None,
    surrogate: bool = False,
    cold: bool = False,
    prove_seconds: Number | None = None,
) -> Run:
    """Solve an instance by one solver in a worker process, and check and record what came of it.

    A pipeline such as "hungarian+reroute+slots" runs several, each in a process of its own and each beginning from the
    best solution so far; the best by the checker's objective is the answer, and `Run.stages` has a record of each. A
    stage that fails or finds nothing better costs its time only. A stage whose solver does not take the instance gets
    `matchopt.reduce.surrogate` of it: its solutions count, its bounds do not.

    Whatever the solver does, the outcome is a `Run`: a crash, a hang or a lie is a status with a message.

    Parameters
    ----------
    instance : of any kind that reduces to the kind the solver takes.
    solver : its name, or names with + between them, or a `Solver` whose class is registered or can be imported; "auto"
        for the one that suits the instance, which `Run.message` names with the reason.
    options : of a solver given by name; text is read by the option's type. Those of a pipeline name their stage, as
        in "slots.epochs", or its place, as in "3.epochs".
    time_limit : seconds of the solver's clock, which starts once its process has; None for no limit. A solver that
        has not stopped 10 % (at least a second) later is killed, and its best incumbent is kept. The stages of a
        pipeline share the limit: each gets an equal part of what those before it left, the last all of it.
    memory_limit : GB (1e9 bytes) the worker and its descendants may use; default 80 % of what is free.
    seed : of the generator the solver gets, >= 0.
    threads : most threads.
    iterations : most passes of the solver's main loop; None for no limit.
    start : a feasible solution to begin from; not every solver uses it.
    plugin_files : plugin file, or files, to load besides the installed plugins.
    on_incumbent : called with every checked solution that is better than all before it.
    certify : whether to look for a proof.
    keep_on_interrupt : whether Ctrl-C gives a Run with the best incumbent; otherwise KeyboardInterrupt is raised once
        the worker is gone.
    stage_limits : seconds of single stages of a pipeline, by name or place, instead of their share.
    surrogate : whether a single solver, too, is given the surrogate of an instance that it refuses.
    cold : whether the solver's process is a fresh interpreter; otherwise it is forked from one that holds imports,
        where the system can (see docs/solvers.md).
    prove_seconds : most seconds for the proof. None allows it a fixed amount of work, half a minute on one core or
        less, so that what is proved does not depend on how busy the machine is; 0 is no proof.

    Raises
    ------
    UnknownName, PluginError, InvalidOption
        when there is no such solver, stage or option, or a value is out of range.
    InvalidSolution
        when `start` is no feasible solution of the instance.
    """
    task = Task(
        instance=instance,
        solver=solver,
        options=options or {},
        allowance=allow(time_limit, memory_limit, threads, iterations),
        seed=seed,
        start=start,
        plugin_files=tuple(map(Path, [plugin_files] if isinstance(plugin_files, str | Path) else plugin_files)),
        certify=certify,
        stage_limits=stage_limits or {},
        surrogate=surrogate,
        cold=cold,
        prove_seconds=prove_seconds,
    )
    run = perform_stages(task, on_incumbent=on_incumbent, keep_on_interrupt=keep_on_interrupt)
    return replace(run, given=instance)


def solve_all(
    tasks: Sequence[Task],
    jobs: int | None = None,
    executor: Executor | None = None,
    on_run: Callable[[int, Run], None] | None = None,
) -> list[Run]:
    """Solve many tasks, several at a time.

    A task that cannot even start (an unknown solver, a wrong option) gives a Run of status ERROR with the reason.

    Parameters
    ----------
    tasks : what to solve.
    jobs : worker processes at a time; default one per core.
    executor : runs the tasks instead, as any `concurrent.futures` executor does; a Dask client's `get_executor()` fits.
    on_run : called with the task's number and its Run as soon as it is finished, in this thread.

    Returns
    -------
    list of Run
        in the order of the tasks.
    """
    refuse_while_importing()
    cancel = None if executor is not None else threading.Event()
    slots = max(1, min(jobs or os.cpu_count() or 1, len(tasks) or 1))
    pool = executor or ThreadPoolExecutor(slots, thread_name_prefix="matchopt")
    futures: dict[Future[Run], int] = {}
    runs: dict[int, Run] = {}
    try:
        for number, task in enumerate(tasks):
            futures[pool.submit(perform_guarded, task, slots if executor is None else 1, cancel)] = number
        for future in as_completed(futures):
            number = futures[future]
            runs[number] = replace(future.result(), given=tasks[number].instance)
            if on_run is not None:
                on_run(number, runs[number])
    finally:  # whatever interrupts this, no worker outlives it
        for future in futures:
            future.cancel()
        if cancel is not None:
            cancel.set()
            pool.shutdown(wait=True)
    return [runs[number] for number in range(len(tasks))]
