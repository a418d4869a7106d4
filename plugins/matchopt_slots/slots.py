"""Training which fixed weights to use."""

from dataclasses import asdict, dataclass, replace
from typing import Annotated, Literal

import numpy as np
from annotated_types import Interval

from matchopt import (
    FunctionalError,
    Hardware,
    LayerInstance,
    Limit,
    Limits,
    NetworkInstance,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    Result,
    Rules,
    Solver,
    Status,
    Target,
)


@dataclass(frozen=True)
class Slots(Solver):
    """Trains which fixed weight of its hardware neuron listens to which input, straight through.

    Every row has a wished weight for every input. At each step the wishes are projected on what the row's hardware
    neuron can realise with each cell used at most once; the network runs forward and backward with those weights, and
    the derivative by every weight, used or not, moves its wish. With `extra_inputs` and `drop` any cell may listen to
    any input; otherwise rows keep their target's inputs (all of them unless `drop`), matched exactly and in order. A
    few times early on rows are assigned to hardware neurons anew, by what their wishes are worth on each. Digital
    biases are trained where they are adjustable; hardware biases are weights like all others. A row keeps the gain it
    begins with.

    The task loss uses labels. The functional error does not: then every layer learns to give the target network's
    signals; nor does the score error: then the outputs learn to point where the target's do. Read noise counts in what
    is reported, not in the derivative.

    An answer depends on the seed, the number of threads and the number of epochs alone; with a time limit that is too
    short for all epochs their number, and so the answer, depends on the machine.

    Parameters
    ----------
    epochs : most passes over the samples, >= 0; fewer, with the rate falling faster, where the time limit is short.
    rate : learning rate of the wishes, in units of the layer's root mean square hardware weight; it falls to 0. >= 0;
        0 leaves the wires as they begin.
    bias_rate : the same for digital biases.
    batch : samples per step, >= 1.
    start : "assignment" begins from the start that is given, or the assignment of least weight error; "scratch" from
        random wishes, without the target's weights (its inputs still count where the rules bind to them).
    threshold : a cell h is worth |h| * (|wish| - threshold * |h|): 0.5 is the nearest projection; 0 uses every cell
        where there are inputs enough. >= 0.
    projection : "exact" maximises the total worth of the cells used; "greedy" takes them in turn, largest first.
    schedule : how rates fall to 0.
    rebind : times that rows are assigned to hardware neurons anew, evenly over the first 40 % of training; >= 0. It
        costs accuracy at first and pays where cells are few or their weights odd. Only where gains are fixed.
    ignore : samples whose derivative is below this share of the batch's mean are left out of the gradient, which saves
        time where most samples are learned already. >= 0.
    held_out : share of the samples, in 0 .. 0.5, that is not trained on and judges the epochs.

    References
    ----------
    M. Aladago, L. Torresani, "Slot Machines: discovering winning combinations of random weights in neural networks",
    ICML 2021, arXiv 2101.06475. Y. Qiu, R. Suda, "Train-by-Reconnect: decoupling locations of weights from their
    values", NeurIPS 2020, arXiv 2003.02570 (one neuron's values as a set, permuted).
    """

    name = "slots"
    solves = NetworkInstance
    needs = ("torch", "numba", "scipy")
    extra = "torch"
    understands = frozenset({
        "importance", "read-noise", "unusable-cells", "leak", "drop", "extra-inputs", "gains", "gain-interval",
        "output-error", "correlated-inputs", "task-loss", "functional-error", "score-error",
        "hardware-bias", "adjustable-bias", "network-tunable",
    })  # fmt: skip

    epochs: NonNegativeInt = 60
    rate: NonNegativeFloat = 0.01
    bias_rate: NonNegativeFloat = 0.03
    batch: PositiveInt = 100
    start: Literal["assignment", "scratch"] = "assignment"
    threshold: NonNegativeFloat = 0.5
    projection: Literal["exact", "greedy"] = "exact"
    schedule: Literal["linear", "cosine"] = "cosine"
    rebind: NonNegativeInt = 12
    ignore: NonNegativeFloat = 0.2
    held_out: Annotated[float, Interval(ge=0, le=0.5)] = 0.1

    def refuses(self, instance: NetworkInstance) -> str | None:
        """Networks without samples to train on; see `Solver.refuses`."""
        if instance.objective is None:
            return "slots trains on samples: the network must minimise task-loss, functional-error or score-error"
        return None

    def prepare(self) -> None:
        """See `Solver.prepare`: training two tiny networks, one for each way to route, calls all that there is."""
        for free in (True, False):
            rules = Rules(drop=free, extra_inputs=free)
            layer = LayerInstance(Target.from_dense(np.ones((1, 1))), Hardware(np.ones((1, 1))), rules)
            objective = FunctionalError(np.array([[1.0], [2.0]]))
            network = NetworkInstance((layer, layer), (np.zeros(1), np.zeros(1)), objective=objective, adjustable=True)
            replace(self, epochs=1, batch=1, rebind=1).solve(network, Limits(), np.random.default_rng(0))

    def solve(self, instance: NetworkInstance, limits: Limits, rng: np.random.Generator) -> Result:
        """See `Solver.solve`; a loss that is no number ends training with Status.ERROR and the best mapping so far."""
        from matchopt_slots.course import Plan, run  # only here: it loads torch

        course = run(Plan(**asdict(self)), instance, limits, rng)
        if course is None:
            message = "some layer has no assignment of rows to hardware neurons with cells enough"
            return Result(None, Status.INFEASIBLE, message=message)
        limit = None
        if limits.iterations is not None and limits.iterations < self.epochs:
            limit = Limit.ITERATION
        if course.well and not course.pace.complete:
            limit = Limit.TIME
        stats = {"epochs": course.begun, "steps": course.pace.steps, "held-out": course.held_out}
        if not course.well:
            message = f"the loss is no number after {course.pace.steps} steps; lower the rate"
            return Result(limits.best, Status.ERROR, limit, stats=stats, message=message)
        return Result(limits.best, limit=limit, stats=stats)
