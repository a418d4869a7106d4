"""One run over a network: layer by layer on what the mapped layers before really give, then rounds of sweeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from matchopt import NetworkInstance, NetworkMapping, kernels
from matchopt_reroute.descent import Descent
from matchopt_reroute.goal import Goal
from matchopt_reroute.state import LayerTask, State
from matchopt_reroute.wiring import assigned

WORTHWHILE = 0.01  # a round that lowers the error by less is the last one
FREE = (1e-6, 1e6)  # scales that a hidden row may be realised at, where nothing after it minds
OUTPUT_SCALES = (1.0, 1.4, 2.0, 2.8)  # common to the last layer; above 1 the realised outputs are smaller
KICKS = 5_000  # disturbances of a layer, shared by its rows


@dataclass(frozen=True, eq=False)
class Course:
    """What a run needs; options are those of the solver, `free` says whether scales may be chosen at all."""

    instance: NetworkInstance
    tasks: list[LayerTask]
    inputs: np.ndarray
    outputs_only: bool
    free: bool
    candidates: int
    pull: float
    ridge: float
    rounds: int
    seed: int
    stop: Callable[[], bool]

    def run(
        self, start: NetworkMapping | None, offer: Callable[[NetworkMapping], object], rng: np.random.Generator
    ) -> State | None:
        """The state at the end, None if the time was up before there was one; `offer` gets the mappings on the way."""
        state = self._first(start)
        if state is None:
            return None
        goal = Goal(state, self.outputs_only)
        offer(state.mapping())
        descent = Descent(state, goal, self.ridge, self.stop)
        for _ in range(self.rounds):
            before = goal.value()
            for n in reversed(range(len(self.tasks))):
                descent.sweep(n, rng)
                if n < len(self.tasks) - 1:
                    descent.sweep(len(self.tasks) - 1, rng)
            offer(state.mapping())
            if self.stop() or goal.value() > before * (1.0 - WORTHWHILE):
                break
        return state

    def _first(self, start: NetworkMapping | None) -> State | None:
        """The state of the first pass, or that of the start where it is the better one."""
        state = State(self.instance, self.tasks, self.inputs)
        placed = all(self.place(state) for _ in self.tasks)
        if start is None:
            return state if placed else None
        begun = State(self.instance, self.tasks, self.inputs)
        if not begun.begin_with(start):
            return state if placed else None
        if placed and Goal(state, self.outputs_only).value() < Goal(begun, self.outputs_only).value():
            return state
        return begun

    def place(self, state: State) -> bool:
        """Map the next layer; False when the time was up before every pair was tried.

        Raises
        ------
        Unplaceable
            when the rows do not fit the hardware.
        """
        n = len(state.layers)
        task, activity = state.tasks[n], state.activity[n]
        moments = task.moments(activity, self.ridge)
        errors = task.errors(moments, activity, task.realisable, slice(None))
        inputs = task.likely(errors, self.candidates)
        best: tuple[float, kernels.Scales, np.ndarray, np.ndarray] | None = None
        for scales in self._scales(task, last=n == len(state.tasks) - 1):
            costs = np.stack([p.costs(errors, scales, inputs=inputs, stop=self.stop) for p in task.placers.values()])
            if self.stop():
                return False
            cost = costs.min(axis=0)
            neuron_of = assigned(cost)
            rows = np.arange(len(neuron_of))
            total = float(cost[rows, neuron_of].sum())
            if best is None or total < best[0]:
                best = total, scales, neuron_of, costs.argmin(axis=0)[rows, neuron_of]
        assert best is not None
        state.append(*self._improved(task, errors, best[1], best[2], best[3]))
        return True

    def _improved(
        self,
        task: LayerTask,
        errors: kernels.RowErrors,
        scales: kernels.Scales,
        neuron_of: np.ndarray,
        which: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Neurons, places, gains and scales of all rows after a longer search on the neurons they got."""
        m = len(neuron_of)
        input_of, scale = np.full((m, task.layer.hardware.n_cells), -1), np.ones(m)
        gain = np.array(list(task.placers))[which]
        kicks = KICKS // max(1, m)
        for number, placer in enumerate(task.placers.values()):
            rows = np.flatnonzero(which == number)
            found = placer.improve(
                errors.rows(rows), neuron_of[rows], scales, inputs=task.heard(rows), kicks=kicks, seed=self.seed
            )
            input_of[rows], scale[rows] = found.input_of, found.scale
        gains = task.layer.rules.gains
        if gains.low is not None and gains.high is not None:
            return neuron_of, input_of, np.clip(scale, gains.low, gains.high), np.ones(m)
        return neuron_of, input_of, gain, scale

    def _scales(self, task: LayerTask, last: bool) -> Iterator[kernels.Scales]:
        if not self.free or task.layer.rules.gains.is_interval:
            yield task.scales
        elif last:
            yield from (kernels.Scales(u, u) for u in OUTPUT_SCALES)
        else:
            yield kernels.Scales(*FREE, self.pull, 1.0)
