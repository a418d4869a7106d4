"""The process that runs one solver: reads a task, solves, sends incumbents and the result.

Whatever happens in here, the host loses nothing but this process: it kills it when a limit is passed, and judges
everything that was sent.
"""

import contextlib
import faulthandler
import importlib
import importlib.util
import json
import os
import resource
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from matchopt.contract import raised
from matchopt.errors import MissingExtra, PluginError, Refused
from matchopt.instances import INSTANCES, SOLUTIONS, AssignmentInstance, ProgramInstance, Provenance, Solution
from matchopt.parts import Parts
from matchopt.plugin_files import import_file, importing
from matchopt.plugins import load_plugins
from matchopt.run.descent import prepare_beginning, separable_rules, solve_parts, warm_up
from matchopt.run.messages import LOST_LINE, encode, read_message, write_all
from matchopt.run.reaper import adopt_orphans, die_with
from matchopt.settings import make
from matchopt.solver import Allowance, Limits, Solver

MEMORY_SLACK = 2**29  # memory a process reserves and never touches: code, stacks of threads, arenas


class Channel:
    """The line to the host; several threads of a solver may report at once."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()
        self._before = frozenset(sys.modules)

    def imported(self) -> list[str]:
        """What was imported since the line was made, for a fork server to hold for the next worker."""
        return [name for name in sys.modules if name not in self._before]

    def send(self, facts: dict[str, Any], solution: Solution | None = None) -> None:
        """Send one message, with a solution if there is one."""
        parts = solution.parts() if solution is not None else Parts()
        body = facts | {"solution": dict(parts.facts) if solution is not None else None}
        data = encode(Parts(body, parts.arrays))
        with self._lock:
            write_all(self._fd, data)


def main(fd: int, host: int) -> None:
    """Run one task; `fd` takes the messages, `host` is the parent, which must outlive this process."""
    die_with(host)
    adopt_orphans()
    faulthandler.enable()
    os.set_inheritable(fd, False)
    # Standard input carried the task and stays open as long as the host wants this process; the solver gets an empty
    # one. Standard output already is the log, so that nothing a solver prints mixes with what a command prints.
    line = os.dup(0)
    channel = Channel(fd)
    try:
        task = read_message(line)
        empty = os.open(os.devnull, os.O_RDONLY)
        os.dup2(empty, 0)
        os.close(empty)
        if "main" in task.facts:  # other work that needs a process and limits like these
            importlib.import_module(task.facts["main"]).main(task.facts, channel.send)
        else:
            _run(task, channel)
    except BaseException as cause:
        with contextlib.suppress(OSError, ValueError):  # a solver may have closed standard error
            traceback.print_exc()
        _send_failure(channel, cause)
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
        os.read(line, 1)  # the host looks for stray children of this process before it ends it
    os._exit(0)


def _run(message: Parts, channel: Channel) -> None:
    task = message.facts
    allowance = Allowance(**task["allowance"])
    if allowance.memory is not None:
        _limit_data(bytes_of("VmData") + allowance.memory + MEMORY_SLACK)
    provenance = Provenance.from_facts(task["provenance"])
    instance = INSTANCES[task["kind"]].from_parts(message.part("instance"), provenance)
    start = SOLUTIONS[task["kind"]].from_parts(message.part("start")) if "start" in task else None
    with importing(task["solver"]["file"] or f"plugin {task['solver']['plugin']}"):
        cls = _solver_class(task["solver"])
    solver = make(cls, task["solver"]["options"])
    _import_needs(cls)
    reduced = separable_rules(instance) if cls.solves in (AssignmentInstance, ProgramInstance) else ()
    for rules in reduced:
        warm_up(rules)
    if cls.solves is ProgramInstance:
        prepare_beginning(instance)
    if isinstance(instance, cls.solves):
        solver.prepare_for(instance)
    else:  # it gets a part of this instance, or what this one is reduced to
        solver.prepare()
    began = time.monotonic()
    channel.send({"type": "started"})

    def report(solution: Solution, bound: float) -> None:
        channel.send({"type": "incumbent", "bound": bound, "at": time.monotonic() - began}, solution)

    limits = Limits(**task["allowance"], start=start, on_incumbent=report, began=began)
    result, replaced = solve_parts(instance, solver, np.random.default_rng(task["seed"]), limits, task["surrogate"])
    facts = {
        "type": "result",
        "status": result.status.value,
        "limit": None if result.limit is None else result.limit.value,
        "bound": result.bound,
        "stats": dict(result.stats),
        "message": result.message,
        "surrogate": replaced,
        "peak": bytes_of("VmHWM"),
        "held": [*channel.imported(), *(json.dumps(rules.facts()) for rules in reduced)],
    }
    channel.send(facts, result.solution)


def _limit_data(most: int) -> None:
    """Make an allocation beyond `most` bytes fail in this process: faster than any watching from outside."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    ends = [end for end in (most, soft, hard) if end != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(ends), hard))


def _solver_class(reference: dict[str, Any]) -> type[Solver]:
    if reference["plugin"] is not None:  # the host has looked it up among all entry points, which takes long
        with contextlib.suppress(ImportError, AttributeError):
            return _found_in(importlib.import_module(reference["module"]), reference["qualname"])
    if reference["registered"]:
        files = [] if reference["file"] is None else [Path(reference["file"])]
        only = [] if reference["plugin"] is None else [reference["plugin"]]
        return load_plugins(files, only).entry(reference["name"]).cls
    file = Path(reference["file"])
    try:
        module = None if reference["module"] == "__main__" else importlib.import_module(reference["module"])
    except ImportError:
        module = None
    if module is None or Path(module.__file__ or "").resolve() != file:
        module = import_file(file)
    return _found_in(module, reference["qualname"])


def _found_in(module: Any, qualname: str) -> type[Solver]:
    found = module
    for name in qualname.split("."):
        found = getattr(found, name)
    cls: type[Solver] = found
    return cls


def _import_needs(cls: type[Solver]) -> None:
    """Import what the solver imports while solving, so that its clock does not pay for it."""
    for module in cls.needs:
        try:
            importlib.import_module(module)
        except ImportError as cause:
            package = module.partition(".")[0]
            if isinstance(cause, ModuleNotFoundError) and cause.name == package:
                raise MissingExtra(f"solver {cls.name}", package, cls.extra) from cause
            raise PluginError(f"solver {cls.name} cannot import {module}: {cause}") from cause


def _send_failure(channel: Channel, cause: BaseException) -> None:
    kind = "raised"
    if isinstance(cause, (Refused, MissingExtra)):
        kind, text = "refused", str(cause)
    elif isinstance(cause, PluginError):
        kind, text = "broken", str(cause)
    elif isinstance(cause, MemoryError):
        kind, text = "memory", str(cause)
    elif isinstance(cause, SystemExit):
        text = f"the solver left by sys.exit({cause.code!r})"
    else:
        text = f"the solver raised {raised(cause)}"
    try:
        facts = {"cause": " ".join(text.split())[:2000], "peak": bytes_of("VmHWM"), "held": channel.imported()}
        channel.send({"type": kind, **facts})
    except OSError:
        os._exit(LOST_LINE)


def bytes_of(field: str) -> int:
    """A figure of this process's memory, such as the most it ever had (VmHWM); 0 where the system tells none."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    line = next((line for line in status.splitlines() if line.startswith(f"{field}:")), ": 0")
    return int(line.split()[1]) * 1024
