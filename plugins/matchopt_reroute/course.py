"""One run of the solver: a first pass over the layers, then rounds of sweeps."""

import math
from dataclasses import dataclass

import numpy as np

from matchopt import Limits, NetworkInstance, NetworkMapping
from matchopt_reroute.descent import Descent
from matchopt_reroute.forward import Pass
from matchopt_reroute.goal import Goal
from matchopt_reroute.state import State
from matchopt_reroute.tasks import LayerTask

WORTHWHILE = 0.01  # a round that lowers the error by less is the last one


@dataclass
class Keeper:
    """The best mapping so far by the instance's objective; better ones are reported."""

    instance: NetworkInstance
    limits: Limits
    best: NetworkMapping | None = None
    value: float = math.inf

    def offer(self, mapping: NetworkMapping) -> None:
        """Keep and report `mapping` if it is better."""
        value = self.instance.value(mapping)
        if value < self.value:
            self.best, self.value = mapping, value
            self.limits.report(mapping)


@dataclass(frozen=True, eq=False)
class Course:
    """What a run needs; `step` says how layers are placed, `rounds` bounds the rounds of sweeps."""

    instance: NetworkInstance
    tasks: list[LayerTask]
    inputs: np.ndarray
    step: Pass
    rounds: int
    outputs_only: bool

    def run(self, start: NetworkMapping | None, keeper: Keeper | None, rng: np.random.Generator) -> State | None:
        """The state at the end, None if the time was up before there was one.

        With a keeper every state on the way is offered to it.
        """
        state = self._first(start)
        if state is None:
            return None
        goal = Goal(state, self.outputs_only)
        if keeper is not None:
            keeper.offer(state.mapping())
        descent = Descent(state, goal, self.step.ridge, self.step.stop)
        for _ in range(self.rounds):
            before = goal.value()
            for n in reversed(range(len(self.tasks))):
                descent.sweep(n, rng)
                if n < len(self.tasks) - 1:
                    descent.sweep(len(self.tasks) - 1, rng)
            if keeper is not None:
                keeper.offer(state.mapping())
            if self.step.stop() or goal.value() > before * (1.0 - WORTHWHILE):
                break
        return state

    def _first(self, start: NetworkMapping | None) -> State | None:
        """The state of the first pass, or that of the start where it is the better one."""
        state = State(self.instance, self.tasks, self.inputs)
        placed = all(self.step.place(state) for _ in self.tasks)
        if start is None:
            return state if placed else None
        begun = State(self.instance, self.tasks, self.inputs)
        if not begun.begin_with(start):
            return state if placed else None
        if placed and Goal(state, self.outputs_only).value() < Goal(begun, self.outputs_only).value():
            return state
        return begun
