"""OR-Library generalised assignment, minimised, read as an integer program.

A token stream: `agents items`, the costs (agents x items), the weights (agents x items), the capacities (agents).
Every item goes to one agent; an agent's weights stay within its capacity.

References
----------
Cattrysse, D., Salomon, M., Van Wassenhove, L. N. (1994). A set partitioning heuristic for the generalized assignment
problem. EJOR 72(1), 167-174, doi:10.1016/0377-2217(94)90338-7.
Chu, P. C., Beasley, J. E. (1997). A genetic algorithm for the generalised assignment problem. Computers & OR 24(1),
17-23, doi:10.1016/S0305-0548(96)00032-9.
"""

import numpy as np
from jaxtyping import Num

from matchopt.formats.numbers import line_of
from matchopt.formats.sources import Source
from matchopt.instances import ProgramInstance, Provenance


def is_gap(source: Source) -> bool:
    """Whether the number of tokens is that of one problem, or of several with their count in front."""
    if not source.is_numeric:
        return False
    tokens = source.numbers
    return _end(tokens, 0) == len(tokens) or _problems(tokens) is not None


def read_gap(source: Source) -> ProgramInstance:
    """Read one problem; variables `x_agent_item` counted from 1, agent by agent.

    A file of one problem with a count of 1 in front is read; one with several problems is refused, as dropping all
    but one would be silent loss. The original OR-Library files gap1 .. gap12 are of that form, and their published
    optima are maxima: here the sense is always to minimise.

    Raises
    ------
    FormatError
        naming the line of what is wrong.
    """
    tokens = source.numbers
    count = None if _end(tokens, 0) == len(tokens) else _problems(tokens)
    if count is not None and count > 1:
        raise source.error(f"holds {count} problems with their count in front; split it into one problem per file", 1)
    return _one_problem(source, tokens, 0 if count is None else 1)


def _one_problem(source: Source, tokens: Num[np.ndarray, " tokens"], at: int) -> ProgramInstance:
    if len(tokens) < at + 2:
        raise source.error(f"must begin with the numbers of agents and items, found {len(tokens)} token(s)", 1)
    for k, what in ((at, "agents"), (at + 1, "items")):
        if not 1 <= tokens[k] < 2**31 or tokens[k] != np.floor(tokens[k]):
            line = line_of(source.text, k)
            raise source.error(f"the number of {what} must be a whole number >= 1, found {tokens[k]}", line)
    agents, items = int(tokens[at]), int(tokens[at + 1])
    size, found = agents * items, len(tokens) - at - 2
    if found != 2 * size + agents:
        line = line_of(source.text, min(len(tokens), at + 2 + 2 * size + agents))
        raise source.error(
            f"{agents} agents and {items} items need {2 * size + agents} numbers (costs, weights, capacities), "
            f"found {found}",
            line,
        )
    values = tokens[at + 2 :].astype(np.float64)
    with source.named():
        return _program(source, agents, items, values[:size], values[size : 2 * size], values[2 * size :])


def _program(
    source: Source,
    agents: int,
    items: int,
    cost: Num[np.ndarray, " pairs"],
    weight: Num[np.ndarray, " pairs"],
    capacity: Num[np.ndarray, " agents"],
) -> ProgramInstance:
    variables = np.arange(agents * items)
    by_item = variables.reshape(agents, items).T.reshape(-1)
    sizes = np.concatenate([np.full(items, agents), np.full(agents, items)])
    return ProgramInstance(
        cost=cost,
        indptr=np.concatenate([[0], np.cumsum(sizes)]),
        indices=np.concatenate([by_item, variables]),
        coefficients=np.concatenate([np.ones(agents * items), weight]),
        row_low=np.concatenate([np.ones(items), np.full(agents, -np.inf)]),
        row_high=np.concatenate([np.ones(items), capacity]),
        high=np.ones(agents * items),
        integral=np.ones(agents * items, bool),
        row_names=(*(f"item_{k + 1}" for k in range(items)), *(f"agent_{k + 1}" for k in range(agents))),
        variable_names=tuple(f"x_{i + 1}_{k + 1}" for i in range(agents) for k in range(items)),
        provenance=Provenance(
            name=source.stem, source=f"OR-Library generalised assignment, {agents} agents, {items} items, minimised"
        ),
    )


def _end(tokens: Num[np.ndarray, " tokens"], at: int) -> int | None:
    """Where a problem that begins at `at` would end; None when no problem can begin there."""
    if at + 2 > len(tokens) or min(tokens[at], tokens[at + 1]) < 1:
        return None
    agents, items = float(tokens[at]), float(tokens[at + 1])
    end = at + 2 + 2 * agents * items + agents
    return int(end) if agents.is_integer() and items.is_integer() and end <= len(tokens) else None


def _problems(tokens: Num[np.ndarray, " tokens"]) -> int | None:
    """The count in front, when exactly as many problems follow."""
    if len(tokens) == 0 or not 1 <= tokens[0] < 2**31 or tokens[0] != np.floor(tokens[0]):
        return None
    at = 1
    for _ in range(min(int(tokens[0]), len(tokens))):
        end = _end(tokens, at)
        if end is None:
            return None
        at = end
    return int(tokens[0]) if at == len(tokens) else None
