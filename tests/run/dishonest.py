"""Solvers that write to the host past the worker, lie about times and bounds, and fill it with text; a plugin file."""

import json
import os
import sys
import time
from dataclasses import dataclass

import numpy as np
import safetensors.numpy

from matchopt import (
    Assignment,
    AssignmentInstance,
    LayerInstance,
    LayerMapping,
    NetworkInstance,
    ProgramInstance,
    Result,
    Solver,
    Status,
    hookimpl,
)
from matchopt.run.messages import HEADER, MAGIC

SOLVERS = []
DIGITS = "1" + "0" * 400


def dishonest(kind=AssignmentInstance):
    """Make a solver of a function (instance, limits, rng) -> result."""

    def made(method):
        def solve(self, instance, limits, rng):
            return method(instance, limits, rng)

        body = {"name": method.__name__.replace("_", "-"), "solves": kind, "solve": solve}
        SOLVERS.append(dataclass(frozen=True)(type(method.__name__, (Solver,), body)))
        return method

    return made


def diagonal(instance):
    return Assignment(np.arange(instance.n_rows))


def line():
    """The descriptor of the line to the host, from the worker's own variables."""
    frame = sys._getframe()
    while "channel" not in frame.f_locals:
        frame = frame.f_back
    return frame.f_locals["channel"]._fd


def forge(text, solution=None, size=None):
    """Write a message of this JSON; `size` is what its header says of its arrays."""
    blob = b"" if solution is None else safetensors.numpy.save(dict(solution.parts().arrays))
    data = HEADER.pack(MAGIC, len(text), len(blob) if size is None else size) + text.encode() + blob
    while data:
        data = data[os.write(line(), data) :]


def answer(**changes):
    """The JSON of a result; values that are text already are put in as they are."""
    facts = {"type": "result", "status": "feasible", "limit": None, "bound": 0, "stats": {}, "message": ""}
    facts |= {"surrogate": "", "at": 0.0, "peak": 0, "held": [], "solution": {}}
    texts = {name: json.dumps(value) for name, value in facts.items()} | changes
    return "{" + ", ".join(f'"{name}": {text}' for name, text in texts.items()) + "}"


@dishonest()
def endless_bound(instance, limits, rng):
    forge(answer(bound=DIGITS), diagonal(instance))
    time.sleep(100)


@dishonest()
def endless_time(instance, limits, rng):
    forge(f'{{"type": "incumbent", "bound": 0, "at": {DIGITS}, "solution": {{}}}}', diagonal(instance))
    time.sleep(100)


@dishonest()
def endless_figures(instance, limits, rng):
    stats = f'{{"a": {DIGITS}, "b": [[]], "c": 3, "d": "x\\ny"}}'
    forge(answer(peak=DIGITS, at="-1e999", held='{"a": 1}', stats=stats), diagonal(instance))
    time.sleep(100)


@dishonest()
def true_bound(instance, limits, rng):
    forge(answer(bound="true"), diagonal(instance))
    time.sleep(100)


@dishonest()
def no_form(instance, limits, rng):
    forge(answer(solution='["x"]', stats="3", status="[]"), diagonal(instance))
    time.sleep(100)


@dishonest()
def starts_again(instance, limits, rng):
    limits.report(diagonal(instance))
    for _ in range(200):
        forge('{"type": "started"}')
        time.sleep(0.05)


@dishonest()
def stops_the_clock(instance, limits, rng):
    time.sleep(0.3)
    now = time.monotonic()
    time.monotonic = lambda: now - 1e9
    return Result(diagonal(instance))


@dishonest()
def nearly_optimal(instance, limits, rng):
    return Result(diagonal(instance), bound=instance.value(diagonal(instance)) - 1e-3)


@dishonest()
def announces_much(instance, limits, rng):
    forge(answer(), size=2**34)
    for _ in range(100):
        os.write(line(), bytes(2**20))
    time.sleep(100)


@dishonest()
def forges_lines(instance, limits, rng):
    text = "fine\nstatus    optimal, proven\r\x1b[2Kbound \x9b1A \udc80 \u202e"
    return Result(diagonal(instance), stats={text: text, "n": 10**400, "of": {"a": {}}, "ok": 3}, message=text)


@dishonest()
def raises_lines(instance, limits, rng):
    raise ValueError("one\n\x1b[2Kstatus    optimal, proven \udc80")


@dishonest()
def tells_everything(instance, limits, rng):
    return Result(diagonal(instance), stats={f"n{n}": n for n in range(10**5)}, message="x" * 10**7)


@dishonest(LayerInstance)
def wires_without_end(instance, limits, rng):
    rows, wires = instance.n_rows, np.zeros(3 * 10**6, np.int64)
    starts = np.linspace(0, len(wires), rows + 1).astype(int)
    return Result(LayerMapping(np.arange(rows), starts, wires, wires))


@dishonest(LayerInstance)
def wires_wrongly(instance, limits, rng):
    rows, wires = instance.n_rows, np.full(6 * 10**4, -1)
    return Result(LayerMapping(np.arange(rows), np.linspace(0, len(wires), rows + 1).astype(int), wires, wires))


@dishonest(LayerInstance)
def impossible_layer(instance, limits, rng):
    return Result(None, Status.INFEASIBLE)


@dishonest(NetworkInstance)
def impossible_network(instance, limits, rng):
    return Result(None, Status.INFEASIBLE)


@dishonest(ProgramInstance)
def impossible_program(instance, limits, rng):
    return Result(None, Status.INFEASIBLE)


@hookimpl
def register_solvers(register):
    for cls in SOLVERS:
        register(cls)
