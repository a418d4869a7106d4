"""Training which fixed weights to use."""

from dataclasses import dataclass, replace

import numpy as np

from matchopt import (
    FunctionalError,
    Hardware,
    LayerInstance,
    Limit,
    Limits,
    NetworkInstance,
    Result,
    Rules,
    Solver,
    Status,
    Target,
)
from matchopt_slots.options import Options


@dataclass(frozen=True)
class Slots(Options, Solver):
    """Trains which fixed weight of its hardware neuron listens to which input, straight through.

    Every row has a wished weight for every input. At each step the wishes are projected on what the row's hardware
    neuron can realise with each cell used at most once; the network runs forward and backward with those weights, and
    the derivative by every weight, used or not, moves its wish. With `extra_inputs` and `drop` any cell may listen to
    any input; otherwise rows keep their target's inputs (all of them unless `drop`), matched exactly and in order. A
    few times early on rows are assigned to hardware neurons anew, by what their wishes are worth on each. Digital
    biases are trained where they are adjustable; hardware biases are weights like all others. A row keeps the gain it
    begins with. Neurons that share lines keep these, and rows their neurons: which cells are on is trained. Without a
    start neurons and lines are those of a small weight error.

    The task loss uses labels. The functional error does not: then every layer learns to give the target network's
    signals; nor does the score error: then the outputs learn to point where the target's do. Read noise counts in what
    is reported, not in the derivative. Budgets of tunable connections are left unspent, for `tune` to spend
    afterwards; a start that has spent some is an answer to beat, not where training begins.

    An answer depends on the seed, the number of threads and the number of epochs alone; with a time limit that is too
    short for all epochs their number, and so the answer, depends on the machine.

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
        "tunable", "output-error", "correlated-inputs", "task-loss", "functional-error", "score-error",
        "hardware-bias", "adjustable-bias", "network-tunable", "convolutional", "recurrent", "shared-bus",
    })  # fmt: skip

    def refuses(self, instance: NetworkInstance) -> str | None:
        """Networks without samples to train on; see `Solver.refuses`."""
        if instance.objective is None:
            return "slots trains on samples: the network must minimise task-loss, functional-error or score-error"
        if self.start == "scratch" and any(not layer.hardware.free_routing for layer in instance.layers):
            return "slots has no lines to begin with from scratch where neurons share them; leave start at assignment"
        return None

    def prepare(self) -> None:
        """See `Solver.prepare`: training tiny networks, one for each way to route, calls all that there is."""
        self.prepare_for(None)

    def prepare_for(self, instance: NetworkInstance | None) -> None:
        """See `Solver.prepare_for`: shared lines have loops of their own."""
        shared = instance is None or "shared-bus" in instance.demands
        for free, bus in ((True, [0, 1]), (False, [0, 1]), (True, [0, 0]))[: 2 + shared]:
            rules, chip = Rules(drop=free, extra_inputs=free), Hardware(np.ones((2, 1)), bus=np.array(bus))
            layer = LayerInstance(Target.from_dense(np.ones((1, 1))), chip, rules)
            objective = FunctionalError(np.array([[1.0], [2.0]]))
            network = NetworkInstance((layer, layer), (np.zeros(1), np.zeros(1)), objective=objective, adjustable=True)
            replace(self, epochs=1, batch=1, rebind=1).solve(network, Limits(), np.random.default_rng(0))

    def solve(self, instance: NetworkInstance, limits: Limits, rng: np.random.Generator) -> Result:
        """See `Solver.solve`; a loss that is no number ends training with Status.ERROR and the best mapping so far."""
        from matchopt_slots.course import run  # only here: it loads torch

        course = run(self, instance, limits, rng)
        if course is None:
            message = "some layer has no assignment of rows to hardware neurons with cells enough"
            if all(layer.hardware.free_routing and not layer.rules.tunable for layer in instance.layers):
                return Result(None, Status.INFEASIBLE, message=message)
            return Result(limits.best, message="no mapping was found to begin with; put a solver before it")
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
