"""One run over a network: layer by layer on what the mapped layers before really give, then rounds of sweeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from matchopt import NetworkInstance, NetworkMapping, kernels
from matchopt_reroute.descent import Descent
from matchopt_reroute.goal import Goal
from matchopt_reroute.state import LayerTask, State
from matchopt_reroute.wiring import assigned, never

WORTHWHILE = 0.01  # a round that lowers the error by less is the last one
FREE = (1e-6, 1e6)  # scales that a hidden row may be realised at, where nothing after it minds
OUTPUT_SCALES = (1.0, 1.4, 2.0, 2.8)  # common to the last layer; above 1 the realised outputs are smaller
KICKS = 5_000  # disturbances of a layer, shared by its rows
MOST_PAIRS, MOST_KICKS = 3e9, 3e9  # see `LayerTask.affordable`: a layer takes seconds, however wide its rows are


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
    ) -> State:
        """The state at the end; `offer` gets the mappings on the way, the first of them soon."""
        coarse = State(self.instance, self.tasks, self.inputs)
        for _ in self.tasks:
            self.place(coarse, coarsely=True)
        offer(coarse.mapping())
        state = self._first(start, coarse)
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

    def _first(self, start: NetworkMapping | None, coarse: State) -> State:
        """The state of the first pass, or that of the start or the coarse one where that is the better one."""
        state, begun = State(self.instance, self.tasks, self.inputs), State(self.instance, self.tasks, self.inputs)
        states = [state] if all(self.place(state) for _ in self.tasks) else [coarse]
        if start is not None and begun.begin_with(start):
            states.insert(0, begun)
        return min(states, key=lambda found: Goal(found, self.outputs_only).value())

    def place(self, state: State, coarsely: bool = False) -> bool:
        """Map the next layer; False when the time was up before it was.

        Done coarsely hardware neurons are those of the least weight error, and time plays no part.

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
        scales = self._scales(task, last=n == len(state.tasks) - 1)
        tries = len(scales) * len(task.placers)
        neurons = task.near_neurons(1 if coarsely else task.affordable(inputs, MOST_PAIRS / tries))
        stop = never if coarsely else self.stop
        best: tuple[float, kernels.Scales, np.ndarray, np.ndarray] | None = None
        for scale in scales:
            costs = np.stack(
                [p.costs(errors, scale, inputs=inputs, neurons=neurons, stop=stop) for p in task.placers.values()]
            )
            if stop():
                return False
            cost = costs.min(axis=0)
            neuron_of = assigned(cost)
            rows = np.arange(len(neuron_of))
            total = float(cost[rows, neuron_of].sum())
            if best is None or total < best[0]:
                best = total, scale, neuron_of, costs.argmin(axis=0)[rows, neuron_of]
        assert best is not None
        heard, kicks = inputs, 0
        if not coarsely:
            heard = task.heard()
            kicks = min(KICKS // max(1, len(neuron_of)), task.affordable(heard, MOST_KICKS))
        state.append(*self._improved(task, errors, best, heard, kicks, stop))
        return not stop()

    def _improved(
        self,
        task: LayerTask,
        errors: kernels.RowErrors,
        best: tuple[float, kernels.Scales, np.ndarray, np.ndarray],
        heard: np.ndarray | None,
        kicks: int,
        stop: Callable[[], bool],
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Neurons, places, gains and scales of all rows after a longer search on the neurons they got."""
        _, scales, neuron_of, which = best
        m = len(neuron_of)
        input_of, scale = np.full((m, task.layer.hardware.n_cells), -1), np.ones(m)
        gain = np.array(list(task.placers))[which]
        for number, placer in enumerate(task.placers.values()):
            rows = np.flatnonzero(which == number)
            own = None if heard is None else heard[rows]
            found = placer.improve(
                errors.rows(rows), neuron_of[rows], scales, inputs=own, kicks=kicks, seed=self.seed, stop=stop
            )
            input_of[rows], scale[rows] = found.input_of, found.scale
        gains = task.layer.rules.gains
        if gains.low is not None and gains.high is not None:
            return neuron_of, input_of, np.clip(scale, gains.low, gains.high), np.ones(m)
        return neuron_of, input_of, gain, scale

    def _scales(self, task: LayerTask, last: bool) -> list[kernels.Scales]:
        if not self.free or task.layer.rules.gains.is_interval:
            return [task.scales]
        if last:
            return [kernels.Scales(u, u) for u in OUTPUT_SCALES]
        return [kernels.Scales(*FREE, self.pull, 1.0)]
