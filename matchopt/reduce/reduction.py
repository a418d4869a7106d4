"""One step, or several, down the ladder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matchopt.instances import Instance, Solution


@dataclass(frozen=True, eq=False)
class Reduction:
    """Simpler instances whose solutions together are a solution of the original, with the same total objective.

    Parameters
    ----------
    name : the steps, such as "split > assignment".
    parts : the simpler instances; one, except where a network splits into layers. The objective of the original is
        the sum of the parts' objectives, so the sum of lower bounds of the parts is a lower bound of the original.
    lift : solutions of the parts, in order, to a solution of the original.
    lower : a feasible solution of the original to solutions of the parts (for warm starts); may raise Refused.
    """

    name: str
    parts: tuple[Instance, ...]
    lift: Callable[[Sequence[Solution]], Solution]
    lower: Callable[[Solution], tuple[Solution, ...]]

    def lift_bound(self, bounds: Sequence[float]) -> float:
        """The bound on the original that follows from bounds on the parts; -inf if any is."""
        return float(sum(bounds))

    def then(self, steps: Sequence["Reduction"]) -> "Reduction":
        """Continue with one further reduction for each part."""
        first = self
        sizes = [len(step.parts) for step in steps]

        def lift(solutions: Sequence[Solution]) -> Solution:
            lifted, start = [], 0
            for step, size in zip(steps, sizes, strict=True):
                lifted.append(step.lift(solutions[start : start + size]))
                start += size
            return first.lift(lifted)

        def lower(solution: Solution) -> tuple[Solution, ...]:
            parts = zip(steps, first.lower(solution), strict=True)
            return tuple(small for step, part in parts for small in step.lower(part))

        names = dict.fromkeys(step.name for step in steps)
        name = " > ".join([first.name, *(n for n in names if n)]) if first.name else ", ".join(names)
        return Reduction(name, tuple(part for step in steps for part in step.parts), lift, lower)


def unchanged(instance: Instance) -> Reduction:
    """The empty reduction."""
    return Reduction("", (instance,), lambda solutions: solutions[0], lambda solution: (solution,))
