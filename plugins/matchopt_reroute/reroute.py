"""The label-free solver of whole networks."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge

from matchopt import (
    FunctionalError,
    Limits,
    NetworkInstance,
    NetworkMapping,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Result,
    ScoreError,
    Solver,
    Status,
    is_feasible,
)
from matchopt_reroute.bounds import functional_bound
from matchopt_reroute.course import Course, prepared, usual_rounds
from matchopt_reroute.wired import SWITCHED, not_switched
from matchopt_reroute.wiring import UNDERSTOOD, NotFound, Unplaceable, smallest_networks


@dataclass(frozen=True)
class Reroute(Solver):
    """Maps a network so that its signals on sample inputs come out right; reads no labels.

    First comes a coarse mapping, on the hardware neurons of least weight error. Then layer by layer, on the activity
    that the mapped layers before give: for every pair of neurons (of wide rows, the likely ones) a local search near
    the target weights places the cells on whatever inputs the rules allow, for the least error of the pre-activations;
    an assignment chooses the hardware neurons. Then rows are wired anew, one by one and last layers first, for the
    signal that serves the layers after them best; a new wiring is kept only if the error falls when it is recomputed.
    Adjustable biases are set along. On shared lines, rows choose cells to switch on; free inputs exchange lines.

    ReLU does not mind if a hidden row is realised at another positive scale as long as the next layer reckons with it,
    and no decision changes when all outputs shrink by one factor. Where weights are scarce this freedom decides. The
    score error leaves it, the functional error does not: with aim=outputs the solver minimises the error of the outputs
    up to their scale, whatever the instance's objective is; with aim=signals it minimises the functional error as it
    stands. Either way the answer is no worse than the start by the instance's own objective, unless that is a sum over
    layers, which plays no part. Labels of a task loss are read for that comparison only. Under a functional error,
    without extra inputs, there is a lower bound: what the first layer costs at least.

    Filters and gates are fitted on 20,000 of samples x places (second moments of normal signals are then known to 1 %),
    and wired anew for the error's quadratic form in their weights at all places.

    Parameters
    ----------
    aim : "outputs" up to a common factor, hidden rows at any scale; "signals" of every layer as they are.
    samples : most samples used, >= 2; drawn by the seed where there are more, or too many for their places to be kept.
    candidates : inputs per row that pairs of neurons are judged on, >= 1; the wiring itself uses all.
    rounds : most rounds of sweeps over the layers after the first pass, >= 0; by itself 3, or none where filters or
        gates have a sample for fewer than one in ten of the network's connections, for which sweeps fit just those.
    ridge : added to the covariances' diagonal, relative to its mean, >= 0.
    pull : penalty on scales away from 1 in the first pass, > 0; small values leave hidden rows free.

    References
    ----------
    E. Frantar, S. P. Singh, D. Alistarh, "Optimal brain compression", NeurIPS 2022, arXiv 2208.11580 (moments of a
    layer's inputs as the measure of its weights). M. Carreira-Perpinan, W. Wang, "Distributed optimization of deeply
    nested systems", AISTATS 2014, arXiv 1212.5921 (wanted activities of hidden layers, one layer fitted at a time).
    """

    name = "reroute"
    solves = NetworkInstance
    needs = ("numba", "scipy")
    understands = UNDERSTOOD | SWITCHED | {
        "extra-inputs", "gain-interval", "tunable", "network-tunable", "hardware-bias", "adjustable-bias",
        "task-loss", "functional-error", "score-error", "shared-bus", "chained", "convolutional", "recurrent",
    }  # fmt: skip

    aim: Literal["outputs", "signals"] = "outputs"
    samples: Annotated[int, Ge(2)] = 4000
    candidates: PositiveInt = 64
    rounds: NonNegativeInt | None = None
    ridge: NonNegativeFloat = 1e-3
    pull: PositiveFloat = 0.003

    def refuses(self, instance: NetworkInstance) -> str | None:
        """Networks without samples; see `Solver.refuses`."""
        if instance.objective is None and (instance.samples is None or len(instance.samples) == 0):
            return "reroute needs sample inputs: export with a functional error, or embed samples"
        return not_switched(instance)

    def prepare(self) -> None:
        self.prepare_for(None)

    def prepare_for(self, instance: NetworkInstance | None) -> None:
        """See `Solver.prepare_for`: to load the loops for shared lines takes three times as long as all others."""
        for network in smallest_networks(instance):
            self.solve(network, Limits(), np.random.default_rng(0))

    def solve(self, instance: NetworkInstance, limits: Limits, rng: np.random.Generator) -> Result:
        """See `Solver.solve`; budgets of tunable connections are left unspent."""
        start = limits.start
        start = start if isinstance(start, NetworkMapping) and is_feasible(instance, start) else None
        aimed = ScoreError if self.aim == "outputs" else FunctionalError
        judged = instance.objective is not None and instance.objective.name == aimed.name
        try:
            found = self._found(instance, limits, rng, start, judged)
        except NotFound as cause:
            return Result(start, limit=limits.reached(), message=f"in some layer {cause}")
        except Unplaceable as cause:
            return Result(None, Status.INFEASIBLE, message=f"in some layer {cause}")
        late = limits.reached()
        bound = -math.inf if late else functional_bound(instance, limits.threads)
        return Result(found, limit=late, bound=bound if bound == -math.inf else min(bound, instance.value(found)))

    def _found(
        self, instance: NetworkInstance, limits: Limits, rng: np.random.Generator, start: NetworkMapping | None,
        judged: bool,
    ) -> NetworkMapping:  # fmt: skip
        """The best mapping found; if `judged`, states on the way are compared by the instance's objective."""
        if start is not None and instance.objective is not None:
            limits.offer(start, instance.value(start))
        tasks, inputs, kinds = prepared(instance, self.samples, self.aim == "signals", limits.threads, rng)
        seed = int(rng.integers(2**31 - 1))
        rounds = usual_rounds(instance, inputs) if self.rounds is None else self.rounds

        def offer(mapping: NetworkMapping) -> bool:
            return limits.offer(mapping, instance.value(mapping))

        def withhold(mapping: NetworkMapping) -> None:
            """Hand out nothing: objectives that are not aimed at, such as a loss, could prefer a worse mapping."""

        def run(outputs_only: bool, offers: bool) -> NetworkMapping:
            free = outputs_only and (instance.adjustable or instance.biases is None)
            course = Course(
                instance, tasks, inputs, outputs_only, free, self.candidates, self.pull, self.ridge, rounds, seed,
                lambda: limits.reached() is not None, kinds,
            )  # fmt: skip
            return course.run(start, offer if offers else withhold, rng).mapping()

        found = run(self.aim == "outputs", judged)
        if not judged:
            if instance.objective is None or limits.best is None:
                return found
            offer(found)
            if limits.best is start and instance.objective.name == FunctionalError.name and not limits.reached():
                run(False, True)  # the outputs are right at scales that this objective does not forgive
        best: NetworkMapping = limits.best
        return best
