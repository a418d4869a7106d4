"""A function in the manner of `scipy.optimize.linear_sum_assignment` as a solver, and the hook that registers it."""

from collections.abc import Callable, Sequence
from dataclasses import make_dataclass
from typing import Any, ClassVar

import numpy as np

from matchopt.bridges.costs import EXACT, UNDERSTOOD, WHOLE, plain_costs, result_of, too_much
from matchopt.errors import PluginError
from matchopt.hookspecs import hookimpl
from matchopt.instances import AssignmentInstance
from matchopt.solver import Limit, Limits, Result, Solver

Register = Callable[[type[Solver]], None]


class FunctionSolver(Solver):
    """What `function_solver` makes classes from."""

    solves = AssignmentInstance
    understands = UNDERSTOOD
    function: ClassVar[Callable[[np.ndarray], Any]]
    square: ClassVar[bool]

    def refuses(self, instance: AssignmentInstance) -> str | None:
        """Costs that floats do not tell apart, or that are too large; see `Solver.refuses`."""
        return too_much(instance, EXACT if self.role == "exact" else WHOLE)

    def solve(self, instance: AssignmentInstance, limits: Limits, rng: np.random.Generator) -> Result:
        del rng  # the function takes none
        if limits.reached():
            return Result(None, limit=Limit.TIME)
        if instance.n_rows == 0:
            return result_of(instance, np.zeros(0), self.role == "exact")
        costs = plain_costs(instance, self.square).astype(np.float64)
        return result_of(instance, _columns(type(self).function(costs), instance), self.role == "exact")


def function_solver(
    name: str,
    function: Callable[[np.ndarray], Any],
    *,
    exact: bool = False,
    square: bool = False,
    needs: Sequence[str] = (),
    about: str = "",
) -> type[Solver]:
    """Make a solver of a function that solves linear assignments, such as `scipy.optimize.linear_sum_assignment`.

    Give the class to `registering` at the top of a plugin file. Forbidden pairs reach the function as costs that no
    assignment without them can reach, so it needs to know nothing of them.

    Parameters
    ----------
    name : of the solver: lower-case words with dashes between them.
    function : takes costs, a matrix of floats with at least as many columns as rows, and returns rows and their
        columns (two arrays), or the column of every row (one).
    exact : whether what it returns is optimal. Each answer is then claimed to be, and whole costs whose sums floats
        do not tell apart are refused.
    square : whether it takes square matrices only; rows of zeros are added then.
    needs : modules that it imports, for `matchopt solvers`.
    about : one sentence on what it does.

    Returns
    -------
    type
        a solver class without options.

    Examples
    --------
    A whole plugin file:

    >>> from scipy.optimize import linear_sum_assignment
    >>> register_solvers = registering(function_solver("scipy-lsa", linear_sum_assignment, exact=True))
    """
    facts = {"name": name, "function": staticmethod(function), "square": square, "needs": tuple(needs)}
    facts |= {
        "role": "exact" if exact else "heuristic",
        "__doc__": about or f"Assignments by the function {_of(function)}.",
    }
    return made_class(name, (), FunctionSolver, facts)


def made_class(name: str, options: Sequence[Any], base: type[Solver], facts: dict[str, Any]) -> type[Solver]:
    """A solver class made from facts; found again, in another process, through the plugin that registers it."""
    title = str(name).title().replace("-", "")
    cls = make_dataclass(
        title if title.isidentifier() else "Bridge", options, bases=(base,), namespace=facts, frozen=True
    )
    cls.__module__, cls.__qualname__ = base.__module__, f"<locals>.{cls.__name__}"
    return cls


def registering(*classes: type[Solver]) -> Callable[[Register], None]:
    """The hook that registers these solvers: `register_solvers = registering(MySolver)` at the top of a plugin.

    Parameters
    ----------
    classes : of solvers.
    """

    @hookimpl
    def register_solvers(register: Register) -> None:
        for cls in classes:
            register(cls)

    return register_solvers


def _columns(found: Any, instance: AssignmentInstance) -> Any:
    """The column of every row, where rows and columns were returned."""
    if not isinstance(found, tuple) or len(found) != 2:
        return found
    rows, columns = (np.asarray(part) for part in found)
    if rows.ndim != 1 or rows.shape != columns.shape or not set(range(instance.n_rows)) <= set(rows.tolist()):
        raise PluginError(f"rows and columns of one length are needed, and every row; found shapes {rows.shape}, "
                          f"{columns.shape}")  # fmt: skip
    return columns[np.argsort(rows, kind="stable")]


def _of(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__qualname__", type(function).__qualname__))
