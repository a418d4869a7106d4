"""What a law of the conformance kit is."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from matchopt.solver import Solver
from matchopt.testing.case import Case

KIT_VERSION = 2  # rises with every law added or sharpened; `Law.since` says from which version a law is asked


@dataclass(frozen=True)
class Law:
    """One claim about solvers, and the check that it holds.

    Parameters
    ----------
    check : raises `Broken` where the law is broken and `Skipped` where it says nothing; its docstring is the claim.
    where : asked of every tiny instance, of the middling one, or once of the class.
    ladder : whether it is also asked of answers carried up the ladder from tiny instances of the kinds above.
    exact : whether it is asked only of solvers whose role is "exact".
    kinds : the kinds of instance it is about; empty for all.
    refused : whether it is asked of refused instances too.
    since : first kit version that asks it.
    """

    check: Callable[[Case], None]
    where: Literal["tiny", "middling", "class"] = "tiny"
    ladder: bool = False
    exact: bool = False
    kinds: tuple[str, ...] = ()
    refused: bool = False
    since: int = 1

    @property
    def name(self) -> str:
        """Words and dashes, such as "optimal-is-optimal"."""
        return self.check.__name__.replace("_", "-")

    @property
    def claim(self) -> str:
        """The law in a sentence."""
        return inspect.cleandoc(self.check.__doc__ or "")

    def asks(self, solver: Solver) -> str | None:
        """Why this law is not asked of `solver` at all, or None."""
        if self.exact and solver.role != "exact":
            return f"asked of exact solvers; the role of {solver.name} is {solver.role}"
        if self.kinds and solver.solves.kind not in self.kinds:
            return f"about {', '.join(self.kinds)} instances; {solver.name} takes {solver.solves.kind} instances"
        return None
