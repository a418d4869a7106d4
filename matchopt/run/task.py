"""One solve, described: what to solve, by which solver, within which limits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Gt, Le

from matchopt.checker.check import UNDERSTOOD
from matchopt.errors import InvalidOption, InvalidSolution
from matchopt.instances import SOLUTIONS, Instance, Solution
from matchopt.instances.arrays import set_fields
from matchopt.instances.demands import refuse_unknown
from matchopt.run.record import Number, spelt
from matchopt.settings import NonNegativeFloat, NonNegativeInt, OptionValue, PositiveFloat, checked
from matchopt.solver import Allowance, Solver

MOST_THREADS = 1024  # libraries take no number of threads at all, and fail on most of those beyond
MOST_GIGABYTES = 1e9
DEFAULT = Allowance(seconds=60.0)


@dataclass(frozen=True, eq=False)
class Task:
    """The arguments of `matchopt.run.solve`, checked; see there.

    Parameters
    ----------
    allowance : the limits on time, iterations, memory and threads; see `allow`.
    surrogate : whether a solver that refuses the instance is given `matchopt.reduce.surrogate` of it instead, as the
        stages of a pipeline are.
    cold : whether the solver's process must be a fresh interpreter.
    prove_seconds : most seconds for the proof; None for a fixed amount of work, 0 for no proof.

    Raises
    ------
    InvalidOption
        for a limit or seed out of range, or a pipeline with an empty stage.
    Refused
        for an instance with a demand that the checker does not know.
    """

    instance: Instance
    solver: str | Solver
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    allowance: Allowance = DEFAULT
    seed: int = 0
    start: Solution | None = None
    plugin_files: tuple[Path, ...] = ()
    certify: bool = True
    stage_limits: Mapping[str, Number] = field(default_factory=dict)
    surrogate: bool = False
    cold: bool = False
    prove_seconds: Number | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.instance, Instance):
            raise InvalidOption(f"the instance must be a matchopt Instance, found {type(self.instance).__name__}")
        refuse_unknown(self.instance, UNDERSTOOD, "the checker")  # which must be able to judge what comes back
        if not isinstance(self.solver, (str, Solver)):
            made = isinstance(self.solver, type) and issubclass(self.solver, Solver)
            hint = f"{self.solver.__name__}(), or its name" if made else "one, or its name"
            raise InvalidOption(f"the solver must be an object, such as {hint}; found {self.solver!r}")
        allow(**spelt(self.allowance))
        seed = checked(self.seed, NonNegativeInt, "seed")
        prove_seconds = checked(self.prove_seconds, NonNegativeFloat | None, "prove_seconds")
        if self.start is not None and not isinstance(self.start, SOLUTIONS[self.instance.kind]):
            wanted = SOLUTIONS[self.instance.kind].__name__
            raise InvalidSolution(f"start must be a {wanted}, found {type(self.start).__name__}")
        given = self.stage_limits.items()
        limits = {stage: checked(value, PositiveFloat, f"the limit of stage {stage}") for stage, value in given}
        if not all(self.stages):
            raise InvalidOption(f"solver {self.solver!r} has an empty stage; give names with one + between them")
        set_fields(self, seed=seed, prove_seconds=prove_seconds, certify=self.certify and prove_seconds != 0)
        set_fields(
            self, options=dict(self.options), stage_limits=limits, plugin_files=tuple(map(Path, self.plugin_files))
        )

    @cached_property
    def stages(self) -> tuple[str, ...]:
        """Names of the solvers, one after the other; more than one in a pipeline such as "hungarian+reroute"."""
        if isinstance(self.solver, str):
            return tuple(name.strip() for name in self.solver.split("+"))
        return (self.solver.name,)


def allow(
    time_limit: Number | None = 60.0,
    memory_limit: Number | None = None,
    threads: int = 1,
    iterations: int | None = None,
) -> Allowance:
    """The allowance of a solve in the words of its caller: seconds and GB, as in `matchopt.run.solve`.

    Raises
    ------
    InvalidOption
        for a value out of range.
    """
    seconds = checked(time_limit, PositiveFloat | None, "time_limit")
    gigabytes = checked(memory_limit, Annotated[float, Gt(0), Le(MOST_GIGABYTES)] | None, "memory_limit")
    threads = checked(threads, Annotated[int, Ge(1), Le(MOST_THREADS)], "threads")
    iterations = checked(iterations, NonNegativeInt | None, "iterations")
    return Allowance(seconds, iterations, None if gigabytes is None else int(gigabytes * 1e9), threads)
