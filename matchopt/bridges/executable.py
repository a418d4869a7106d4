"""An outside program as a solver: asked by a file, heard by another."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from matchopt.bridges.answers import COLUMNS, VALUES, bytes_of, read_answer, read_file
from matchopt.bridges.costs import WHOLE, plain_costs, too_much
from matchopt.bridges.running import Outcome, run_program
from matchopt.errors import MatchoptError, PluginError
from matchopt.formats import FORMATS, write
from matchopt.instances import AssignmentInstance, Instance
from matchopt.settings import option_values
from matchopt.solver import Limit, Limits, Result, Solver, Status

GIVEN = ("instance", "solution", "folder", "seconds", "seed", "threads")  # what a command may name besides options
UNLIMITED = 10**9  # seconds that a program is told where there is no limit


@dataclass(frozen=True)
class Program:
    """A program as its description has it, with all defaults filled in; see `description.Description`."""

    command: tuple[str, ...]
    input: str
    output: str
    first: int
    folder: Path


class ExecutableSolver(Solver):
    """What `executable_solver` makes classes from."""

    program: ClassVar[Program]

    def refuses(self, instance: Instance) -> str | None:
        """Costs that the program cannot be told; see `Solver.refuses`."""
        if not isinstance(instance, AssignmentInstance) or self.program.input == "matchopt":
            return None
        return too_much(instance, WHOLE)

    def solve(self, instance: Instance, limits: Limits, rng: np.random.Generator) -> Result:
        if limits.reached():
            return Result(None, limit=Limit.TIME)
        with tempfile.TemporaryDirectory(prefix="matchopt-", ignore_cleanup_errors=True) as name:
            asked, answer = (Path(name) / f"{what}{self._ending(what)}" for what in ("instance", "solution"))
            write(self._told(instance), asked, self.program.input)
            words = {"instance": asked, "solution": answer, "folder": self.program.folder, "threads": limits.threads}
            words |= {"seed": int(rng.integers(2**31)), **option_values(self)}
            left = limits.remaining()
            words["seconds"] = UNLIMITED if np.isinf(left) else f"{left:.3f}"
            command = [self.program.command[0], *(word.format(**words) for word in self.program.command[1:])]
            printed = not any("{solution}" in word for word in self.program.command)
            try:
                outcome = run_program(command, Path(name), limits.remaining, printed)
            except PluginError as cause:
                raise self._wrong(str(cause)) from None
            return self._heard(outcome, None if printed else answer, instance)

    def _ending(self, what: str) -> str:
        form = self.program.input if what == "instance" else self.program.output
        return FORMATS[form].endings[0] if form in FORMATS and FORMATS[form].endings else ".txt"

    def _told(self, instance: Instance) -> Instance:
        """The instance in a form that the format can hold: all pairs of an assignment, as many rows as columns."""
        if not isinstance(instance, AssignmentInstance) or self.program.input == "matchopt":
            return instance
        return AssignmentInstance(plain_costs(instance, square=True))

    def _heard(self, outcome: Outcome, answer: Path | None, instance: Instance) -> Result:
        late = outcome.status is None
        if not late and outcome.status != 0:
            said = f": {outcome.tail}" if outcome.tail else ""
            how = f"exit status {outcome.status}" if (outcome.status or 0) > 0 else f"signal {-(outcome.status or 0)}"
            raise self._wrong(f"it ended with {how}{said}")
        try:
            result = self._read(outcome.printed, answer, instance, self.role == "exact" and not late)
        except MatchoptError as cause:
            if late:  # what it had until then was no answer yet
                return Result(None, limit=Limit.TIME, message="it was ended at its time limit, without an answer")
            raise self._wrong(str(cause)) from None
        if not late:
            return result
        return Result(result.solution, Status.UNKNOWN if result.solution is None else Status.FEASIBLE, Limit.TIME)

    def _read(self, printed: bytes, answer: Path | None, instance: Instance, exact: bool) -> Result:
        data = printed if answer is None else bytes_of(answer)
        if self.program.output in (COLUMNS, VALUES):
            return read_answer(data, self.program.output, self.program.first, instance, exact)
        assert answer is not None, "a format of matchopt's is in a file"
        return read_file(answer, self.program.output, instance, exact)

    def _wrong(self, what: str) -> PluginError:
        return PluginError(f"program {Path(self.program.command[0]).name}: {what}")
