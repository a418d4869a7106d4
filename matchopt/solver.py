"""The contract between matchopt and every solver, on one screen."""

import math
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Literal

import numpy as np

from matchopt.instances import Instance, Solution
from matchopt.settings import WithOptions


class Status(StrEnum):
    """How good the answer is; why the solver stopped is a `Limit`."""

    OPTIMAL = "optimal"  # the solver claims a proof
    FEASIBLE = "feasible"  # a solution, no claim
    INFEASIBLE = "infeasible"  # the solver claims a proof that there is no solution
    UNKNOWN = "unknown"  # neither a solution nor a proof
    ERROR = "error"  # the solver failed; the message says how


class Limit(StrEnum):
    """Why a solver stopped before it was done."""

    TIME = "time"
    ITERATION = "iteration"
    NODE = "node"
    MEMORY = "memory"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Result:
    """What a solver returns. There is no objective in it: the checker computes that.

    `Result(solution)` means FEASIBLE, `Result(None)` UNKNOWN.

    Parameters
    ----------
    solution : the best solution found, None without one.
    status : see `Status`.
    limit : why the solver stopped early, None if it did not.
    bound : proved lower bound on the objective, -inf for none.
    stats : counters for tables, such as {"nodes": 12}; numbers and short texts.
    message : one sentence for people.
    """

    solution: Solution | None
    status: Status = None  # type: ignore[assignment]  # a Status once made
    limit: Limit | None = None
    bound: float = -math.inf
    stats: Mapping[str, int | float | str] = field(default_factory=dict)
    message: str = ""

    def __post_init__(self) -> None:
        if self.status is None:
            object.__setattr__(self, "status", Status.UNKNOWN if self.solution is None else Status.FEASIBLE)


@dataclass(frozen=True)
class Allowance:
    """What the caller of a solver allows it.

    Parameters
    ----------
    seconds : wall-clock time, None for no limit.
    iterations : most passes of the solver's main loop, None for no limit.
    memory : bytes the solver's process may use, None for no limit of the caller's; the framework enforces it.
    threads : most threads.
    """

    seconds: float | None = None
    iterations: int | None = None
    memory: int | None = None
    threads: int = 1


@dataclass(frozen=True)
class Limits(Allowance):
    """An allowance whose clock runs, and the line back to the caller while the solver runs.

    Parameters
    ----------
    start : a feasible solution to begin from, None for none; a solver may ignore it.
    on_incumbent : receives every solution that is passed to `report`.
    began : when the clock started, on `time.monotonic`'s scale.
    """

    start: Solution | None = None
    on_incumbent: Callable[[Solution, float], None] | None = None
    began: float = field(default_factory=time.monotonic)
    _best: "list[tuple[float, Solution]]" = field(default_factory=list, init=False, repr=False, compare=False)

    def remaining(self) -> float:
        """Seconds left, >= 0; inf without a limit."""
        return math.inf if self.seconds is None else max(0.0, self.seconds - (time.monotonic() - self.began))

    def reached(self) -> Limit | None:
        """Limit.TIME once the time is up, else None."""
        return Limit.TIME if self.remaining() <= 0.0 else None

    def steps(self, most: int | None = None) -> Iterator[int]:
        """Count 0, 1, 2 .. up to `most` and the iteration limit, ending early when the time is up."""
        ends = [end for end in (most, self.iterations) if end is not None]
        step = 0
        while (not ends or step < min(ends)) and not self.reached():
            yield step
            step += 1

    def report(self, solution: Solution, bound: float = -math.inf) -> None:
        """Hand a better solution to the caller, who keeps it even if the solver is killed later."""
        if self.on_incumbent is not None:
            self.on_incumbent(solution, bound)

    def offer(self, solution: Solution, value: float, bound: float = -math.inf) -> bool:
        """Keep and report `solution` if its value is less than that of all offered before; returns whether it was."""
        if not value < self.best_value:
            return False
        self._best[:] = [(value, solution)]
        self.report(solution, min(bound, value))
        return True

    @property
    def best(self) -> Any:
        """The best solution offered, None before the first."""
        return self._best[0][1] if self._best else None

    @property
    def best_value(self) -> float:
        """The value it was offered with, inf before the first."""
        return self._best[0][0] if self._best else math.inf


class Solver(WithOptions):
    """A method for one kind of instance. Subclasses are frozen dataclasses; their fields are their options."""

    noun = "solver"
    name: ClassVar[str]  # lower-case words and dashes; how users call it
    solves: ClassVar[type[Instance]]  # the one kind it takes; the framework reduces other kinds to it
    needs: ClassVar[tuple[str, ...]] = ()  # modules it imports while solving, for `matchopt solvers`
    may_use: ClassVar[tuple[str, ...]] = ()  # distributions used where installed; runs record their versions
    extra: ClassVar[str] = ""  # the extra of the distribution that brings them
    role: ClassVar[Literal["exact", "heuristic", "baseline"]] = "heuristic"
    begins: ClassVar[bool] = False  # never ends worse than `limits.start`; one is made for it where there is none
    understands: ClassVar[frozenset[str] | None] = None  # demands it takes; None: all that its kind had at version 0.1

    def refuses(self, instance: Any) -> str | None:
        """Why this solver does not take `instance`, of the kind it solves and with no demand beyond those it
        understands (the framework asks that first), or None. Must be quick."""
        del instance
        return None

    def prepare(self) -> None:  # most solvers have nothing to prepare
        """Load or compile what solving needs, whatever the instance; called before the clock starts."""

    def prepare_for(self, instance: Any) -> None:
        """`prepare`, or the part of it that this instance needs; what a solve calls."""
        self.prepare()

    @abstractmethod
    def solve(self, instance: Any, limits: Limits, rng: np.random.Generator) -> Result:
        """Solve; pure but for `limits.report` and `limits.offer`. Same instance, options and `rng`: same answer."""
