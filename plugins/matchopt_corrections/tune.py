"""A few fully tunable weights, and the biases, by gradient on the task loss."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Interval

from matchopt import Limits, NetworkInstance, NetworkMapping, NonNegativeInt, PositiveFloat, PositiveInt, Result, Solver
from matchopt_corrections.beginning import UNDERSTOOD, lacks_samples, started
from matchopt_corrections.choice import SCORES, choose, room, with_tunable
from matchopt_corrections.training import Plan, trained

DISTURBED = 1.5  # times the loss: the target's values make it 0.6 to 1.3 of that after a mapping of least weight error,
# from where training ends lower, and 5 to 11 of that after one that was trained with labels


@dataclass(frozen=True)
class Tune(Solver):
    """Gives the connections that matter most a fully tunable weight and trains these values, and adjustable biases.

    The rules of the instance say how many there may be; all other weights stay as they are, bit by bit. Adam, its step
    sizes falling linearly to 0; after every epoch the loss on a tenth of the samples, which is never trained on,
    decides whether the values are kept. It begins from the mapping that it is given, else from that of least weight
    error, and from the target's values of the connections it tunes; but where these disturb the others, as in rows that
    have other scales or were trained, from what is realised there.

    Parameters
    ----------
    where : "budget" spends the allowed number on the connections of the highest score, "last-layer" on those of the
        last layer, all of them if the rules allow it, "all" tunes every connection.
    budget : share of all connections to tune at most, 0 .. 1, besides what the rules say.
    choose : the score: "curvature" |w' - w| times the root mean square of the input (no labels), "gradient" of the loss
        with respect to the weight, "error" |w' - w|, or "random"; by itself the curvature where training begins from
        the target's values, else the gradient.
    epochs : passes over the samples, >= 0.
    rate, bias_rate : first step sizes of weights and biases, > 0.
    batch : samples per step, >= 1.
    """

    name = "tune"
    solves = NetworkInstance
    needs = ("scipy",)
    understands = UNDERSTOOD - {"functional-error", "score-error"}  # without labels

    where: Literal["budget", "last-layer", "all"] = "budget"
    budget: Annotated[float, Interval(ge=0, le=1)] = 1.0
    choose: Literal["curvature", "gradient", "error", "random"] | None = None
    epochs: NonNegativeInt = 2
    rate: PositiveFloat = 5e-3
    bias_rate: PositiveFloat = 2e-3
    batch: PositiveInt = 100

    def refuses(self, instance: NetworkInstance) -> str | None:
        """Networks without labels, or with nothing to tune; see `Solver.refuses`."""
        if instance.objective is None or not instance.objective.labelled:
            return "training needs labels: the instance must minimise a task loss"
        allowed = sum(layer.rules.tunable for layer in instance.layers)
        allowed = allowed if instance.tunable is None else min(allowed, instance.tunable)
        if allowed == 0 and not instance.adjustable:
            return "its rules allow no tunable connections, and its biases cannot be adjusted"
        sizes = [layer.target.n_connections for layer in instance.layers]
        if self.where == "all" and (
            allowed < sum(sizes)
            or any(layer.rules.tunable < size for layer, size in zip(instance.layers, sizes, strict=True))
        ):
            return f"where=all tunes {sum(sizes)} connections; its rules allow {allowed}"
        return lacks_samples(instance)

    def solve(self, instance: NetworkInstance, limits: Limits, rng: np.random.Generator) -> Result:
        start = started(instance, limits, self.name)
        if isinstance(start, Result):
            return start
        choosing, training = rng.spawn(2)
        chosen = self._chosen(instance, start, self.choose or "curvature", choosing)
        begin = with_tunable(instance, start, chosen)
        if not instance.value(begin) < DISTURBED * instance.value(start):
            chosen = self._chosen(instance, start, self.choose or "gradient", choosing)
            begin = with_tunable(instance, start, chosen, at_target=False)
        plan = Plan(self.epochs, self.rate, self.bias_rate, self.batch)
        return trained(instance, start, begin, plan, limits, training)

    def _chosen(
        self, instance: NetworkInstance, start: NetworkMapping, score: str, rng: np.random.Generator
    ) -> list[np.ndarray]:
        layers, count = room(instance, start)
        total = sum(layer.target.n_connections for layer in instance.layers)
        if self.where == "last-layer":
            layers = [0] * (len(layers) - 1) + layers[-1:]
        share = round(self.budget * total) - sum(len(part.tunable) for part in start.layers)
        count = max(0, min(count, share))
        scores = SCORES[score](instance, start, rng) if count else [np.zeros(0)] * len(layers)
        return choose(instance, start, scores, count, layers)
