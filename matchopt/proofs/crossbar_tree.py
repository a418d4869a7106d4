"""Whether any mapping of a layer on one bus costs less than a goal: branch and bound over rows and inputs.

The split of costs between rows and inputs that `crossbar` describes is kept to shares of one place each: A[e, j] for
the row of connection e on neuron j, B[e, k] for its input on line k. For any B, the most that A may be is the least of
c[e, j, k] - B[e, k] over open lines, and the other way round; so two passes bound a node whatever B there was before,
and what their assignments leave over closes places and goes to the other side (P. Hahn, T. Grant, N. Hall, "A
branch-and-bound algorithm for the quadratic assignment problem based on the Hungarian method", EJOR 108, 1998).
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from matchopt.proofs.assignment import HALF_ULP
from matchopt.proofs.effort import Effort

CHUNK = 64  # nodes between two looks at what is left to spend
PARTS = 64  # subtrees that threads share out, about
EACH = 4.0  # steps of work of a node for each cost


@dataclass(frozen=True)
class Searched:
    """What a search came to.

    Parameters
    ----------
    done : whether no mapping costs less than the goal.
    better : whether one was met that does.
    bound : no mapping costs less; 0 where a better one was met.
    rounding : by how much all of that may be off.
    """

    done: bool
    better: bool
    bound: float
    rounding: float


def search(
    cost: Float[np.ndarray, "connections neurons lines"],
    row_of: Int[np.ndarray, " connections"],
    input_of: Int[np.ndarray, " connections"],
    goal: float,
    effort: Effort,
) -> Searched:
    """Look for a mapping that costs less than the goal until there is none, or nothing is left to spend.

    Parameters
    ----------
    cost : the least each connection can cost on each cell; inf where it cannot be there.
    row_of, input_of : row and input of each connection, from 0 without gaps; no more of them than neurons and lines.
    goal : finite.
    effort : shared by all threads.
    """
    from matchopt.proofs import crossbar_loops as loops

    sizes = (*cost.shape, int(row_of.max(initial=-1)) + 1, int(input_of.max(initial=-1)) + 1)
    costs, made = loops.Costs(np.ascontiguousarray(cost), row_of, input_of, goal), []

    def path(parent: Any = None) -> Any:
        made.append(loops.path(*sizes))
        if parent is not None:
            for own, other in zip(made[-1][:4], parent[:4], strict=True):
                own[0] = other[1]
        return made[-1]

    waiting, opened, better = [(0.0, path())], 0, False
    while waiting and len(waiting) < PARTS and opened < PARTS and not better and not effort.late:
        bound, root = waiting.pop(0)
        better = bool(loops.open_node(costs, root, 0))
        opened += 1
        while root.left[0] > 0:
            root.left[0] -= 1
            below = float(root.bounds[0, root.left[0]])
            if below < goal:
                loops.descend(root, 0)
                waiting.append((max(bound, below), path(root)))
    stop = [better]

    def finished(root: Any) -> bool:
        depth = 0
        while depth >= 0:
            if effort.late or stop[0]:
                return False
            depth = loops.search(costs, root, depth, CHUNK)
            effort.spend(CHUNK * EACH * cost.size)
        stop[0] = stop[0] or depth == loops.BETTER
        return bool(depth == loops.DONE)

    with ThreadPoolExecutor() as pool:
        ended = list(pool.map(finished, (root for _, root in waiting)))
    left = [bound for (bound, _), over in zip(waiting, ended, strict=True) if not over]
    rounding = _rounding(sizes, [float(each.size[0]) for each in made])
    return Searched(not left and not stop[0], stop[0], 0.0 if stop[0] else min([goal, *left]), rounding)


def _rounding(sizes: tuple[int, ...], largest: Sequence[float]) -> float:
    """For each number in the sums of a bound, some roundings of the largest number met."""
    connections, neurons, lines, rows, inputs = sizes
    terms = 64.0 + 4.0 * (connections + neurons + lines)
    return HALF_ULP * terms * (connections + rows + inputs) * max(largest, default=0.0)
