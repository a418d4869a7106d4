"""One row of a results table: everything about one solve."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from matchopt.errors import InvalidSolution
from matchopt.instances import Instance, Solution
from matchopt.notebook import facts_table
from matchopt.parts import field_values
from matchopt.run.mapped import Mapped
from matchopt.solver import Allowance, Limit, Status

Number = float | int  # an int where costs are integers: exact


@dataclass(frozen=True, eq=False)
class Incumbent:
    """A checked solution that was better than all before it.

    Parameters
    ----------
    seconds : since the solver's clock started.
    objective : as the checker computes it.
    bound : best lower bound claimed by then, -inf for none.
    solution : of the instance that was given, whatever kind the solver takes.
    """

    seconds: float
    objective: Number
    bound: float
    solution: Solution


@dataclass(frozen=True, eq=False)
class Run:
    """The record of one solve, or of a pipeline of several.

    Parameters
    ----------
    instance, digest, kind : name, content hash and kind of the instance.
    solver, options : name of the solver and the values of all its options; of a pipeline "a+b" and "a.option".
    distribution, version : of the solver's plugin; a plugin file has no distribution, and its hash as version.
    versions : versions of the distributions behind the modules the solver needs.
    seed, allowance : as asked for; None for no limit of the caller's.
    status : see `Status`.
    limit : why it stopped early, None if it did not.
    objective : of the solution, as the checker computes it; None without one.
    bound : lower bound, the certificate's, or the solver's where there is no certificate; None for none.
    bound_proved : whether it is the certificate's; else it is a claim of the solver's that nothing speaks against.
    gap : (objective - bound) / abs(objective), 0 if they are equal; None without a finite one.
    proof : "proven" when matchopt itself proved the status, "claimed" when the solver's word has to do, else None.
    seconds : wall time of everything, start of the process and certificate included.
    solver_seconds : wall time from the start of the solver's clock, reductions included; None if it never started.
    peak_memory : most bytes the worker and its descendants had in memory.
    message : one or more sentences for people.
    refused : whether the solver, or the way down the ladder to it, refused the instance.
    surrogate : why the solver was given the surrogate of the instance (see `matchopt.reduce.surrogate`); empty if it
        took the instance itself.
    stages : the records of a pipeline's stages, in order; empty for a single solver.
    stats : the solver's counters.
    trace : (seconds, objective, bound or None) of every checked incumbent that was better than all before it.
    violations : the rules an infeasible solution broke.
    solution : the best feasible solution, None without one.
    log : the end of what the solver's process printed, tracebacks included.
    given : the instance itself, where `solve` or `solve_all` returned the record.
    """

    instance: str
    digest: str
    kind: str
    solver: str
    options: Mapping[str, int | float | str | bool | None]
    distribution: str | None
    version: str
    seed: int
    status: Status
    limit: Limit | None = None
    objective: Number | None = None
    bound: Number | None = None
    bound_proved: bool = False
    gap: float | None = None
    proof: str | None = None
    seconds: float = 0.0
    solver_seconds: float | None = None
    peak_memory: int = 0
    message: str = ""
    refused: bool = False
    surrogate: str = ""
    stages: tuple["Run", ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    allowance: Allowance = field(default_factory=Allowance)
    stats: Mapping[str, int | float | str] = field(default_factory=dict)
    trace: tuple[tuple[float, Number, float | None], ...] = ()
    violations: tuple[str, ...] = ()
    solution: Solution | None = None
    log: str = ""
    given: Instance | None = None

    @property
    def mapping(self) -> Mapped:
        """The solution together with the instance: `run.mapping.realised()`, `run.mapping.wiring()`.

        Raises InvalidSolution when there is no solution, or the instance is neither a layer nor a network.
        """
        if self.solution is None or self.given is None:
            raise InvalidSolution(f"{self.solver} left no mapping of {self.instance}: {self.message or self.status}")
        return Mapped(self.given, self.solution)

    def _repr_html_(self) -> str:
        names = ("status", "proof", "limit", "objective", "bound", "gap", "seconds", "message")
        facts = {name: getattr(self, name) for name in names}
        return facts_table(f"{self.solver} on {self.instance} ({self.kind})", facts)

    def to_json(self) -> dict[str, Any]:
        """All fields but instance, solution and log, as JSON; absent numbers are None, nothing is NaN or infinite."""
        facts = field_values(self) | spelt(self.allowance)
        for left_out in ("given", "solution", "log", "allowance"):
            del facts[left_out]
        return {name: _plain(value) for name, value in facts.items()}


def spelt(allowance: Allowance) -> dict[str, Any]:
    """An allowance in the words of a caller and of records: seconds, and GB (1e9 bytes)."""
    memory = None if allowance.memory is None else allowance.memory / 1e9
    limits = {"time_limit": allowance.seconds, "memory_limit": memory}
    return {"threads": allowance.threads, **limits, "iterations": allowance.iterations}


def gap_of(objective: Number | None, bound: Number | None) -> float | None:
    """The relative gap, 0 if both are equal, None where there is no finite one."""
    if objective is None or bound is None:
        return None
    if objective == bound:
        return 0.0
    if objective == 0:
        return None
    return float(objective - bound) / abs(objective)


def _plain(value: Any) -> Any:
    if isinstance(value, Run):
        return value.to_json()
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(inner) for inner in value]
    if isinstance(value, (Status, Limit)):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
