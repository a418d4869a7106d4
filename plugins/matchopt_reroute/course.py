"""One run over a network: layer by layer on what the mapped layers before really give, then rounds of sweeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from matchopt import FunctionalError, NetworkInstance, NetworkMapping, kernels
from matchopt_reroute.buses import Buses
from matchopt_reroute.descent import Descent
from matchopt_reroute.goal import Goal
from matchopt_reroute.lines import LinePlacement, exchanged
from matchopt_reroute.run_descent import RunDescent
from matchopt_reroute.run_goal import RunGoal
from matchopt_reroute.run_state import RunState, most_samples, run_tasks
from matchopt_reroute.state import LayerTask, Moments, State, layer_tasks, sample_rows
from matchopt_reroute.wiring import NotFound, Unplaceable, assigned, never

ROUNDS = 3
TOO_FEW = 0.1  # samples per connection: at .03 (CIFAR-10) sweeps raise the error on other images, at .4 they lower it
WORTHWHILE = 0.01  # a round that lowers the error by less is the last one
FREE = (1e-6, 1e6)  # scales that a hidden row may be realised at, where nothing after it minds
OUTPUT_SCALES = (1.0, 1.4, 2.0, 2.8)  # common to the last layer; above 1 the realised outputs are smaller
KICKS = 3_000  # disturbances of a layer, shared by its rows
ENOUGH, QUICK = 100, 1.5e8  # freely routed rows are judged on no more hardware neurons than so many, or than take so
# many nanoseconds: sweeps gain more in the time that others would take, but where cells are few every one counts
MOST_PAIRS, MOST_KICKS = 3e9, 3e9  # see `LayerTask.affordable`: a layer takes seconds, however wide its rows are
FEW_ROUNDS, MOST_ROUNDS = 20, 100  # of the search of weights on shared lines that lines begin from
MOST_BEGINNINGS, FEW = 8, 20_000  # of small layers, whose rows times inputs are few
TURNS, MOST_EXCHANGES = 2, 5e8  # how often lines are exchanged, for about so many nanoseconds


@dataclass(frozen=True, eq=False)
class Choice:
    """Hardware neurons of rows, `which` of the gains, and the scales they were judged at."""

    scales: kernels.Scales
    neuron_of: np.ndarray
    which: np.ndarray

    def factors(self, task: LayerTask) -> np.ndarray:
        """The gain of every row; 1 under an interval."""
        factors: np.ndarray = np.array(list(task.placers))[self.which]
        return factors


@dataclass(frozen=True, eq=False)
class Placed:
    """A layer's neurons, places of cells, gains and scales, its lines where they are shared, and its error."""

    mapped: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
    line_of: np.ndarray | None
    cost: float


Kinds = tuple[type[Any], type[Any], type[Any]]  # of states, goals and descents


def prepared(
    instance: NetworkInstance, most: int, signals: bool, threads: int, rng: np.random.Generator
) -> tuple[list[LayerTask], Any, Kinds]:
    """The layers' tasks on at most so many samples, what states begin with, and what runs are made of.

    `signals` says whether the signals of all layers are aimed at, not the outputs alone.
    """
    if instance.runs.plain:
        inputs = sample_rows(instance, most, rng)
        return layer_tasks(instance, inputs, threads), inputs, (State, Goal, Descent)
    inputs = sample_rows(instance, min(most, most_samples(instance)), rng)
    aimed = instance.objective is not None and instance.objective.name == FunctionalError.name
    every = signals or aimed  # then signals may be aimed at in the end
    return *run_tasks(instance, inputs, threads, rng, every), (RunState, RunGoal, RunDescent)


def usual_rounds(instance: NetworkInstance, inputs: Any) -> int:
    """Rounds of sweeps, none where they would fit the few samples alone; `inputs` is what states begin with."""
    connections = sum(layer.target.n_connections for layer in instance.layers)
    return ROUNDS if instance.runs.plain or len(inputs.inputs) >= TOO_FEW * connections else 0


@dataclass(frozen=True, eq=False)
class Course:
    """What a run needs; options are those of the solver, `free` says whether scales may be chosen at all.

    `inputs` is what states take.
    """

    instance: NetworkInstance
    tasks: list[LayerTask]
    inputs: Any
    outputs_only: bool
    free: bool
    candidates: int
    pull: float
    ridge: float
    rounds: int
    seed: int
    stop: Callable[[], bool]
    kinds: Kinds = (State, Goal, Descent)

    def run(
        self, start: NetworkMapping | None, offer: Callable[[NetworkMapping], object], rng: np.random.Generator
    ) -> State:
        """The state at the end; `offer` gets the mappings on the way, the first of them soon."""
        make_state, make_goal, make_descent = self.kinds
        coarse = make_state(self.instance, self.tasks, self.inputs)
        for _ in self.tasks:
            self.place(coarse, coarsely=True)
        offer(coarse.mapping())
        state = self._first(start, coarse)
        goal = make_goal(state, self.outputs_only)
        offer(state.mapping())
        descent = make_descent(state, goal, self.ridge, self.stop)
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
        state, begun, make_goal = coarse.empty(), coarse.empty(), self.kinds[1]
        states = [state] if all(self.place(state) for _ in self.tasks) else [coarse]
        if start is not None and begun.begin_with(start):
            states.insert(0, begun)
        return min(states, key=lambda found: float(make_goal(found, self.outputs_only).value()))

    def place(self, state: State, coarsely: bool = False) -> bool:
        """Map the next layer; False when the time was up before it was.

        Done coarsely hardware neurons are those of the least weight error, and time plays no part.

        Raises
        ------
        Unplaceable
            when the rows do not fit the hardware.
        """
        n = len(state.layers)
        task = state.tasks[n]
        (moments, errors), last = state.fitted(n, self.ridge), n == len(state.tasks) - 1
        placed: Placed | None
        if task.layer.hardware.hard_wired:
            placed = self._wired(task, errors, last, coarsely)
        elif task.buses is not None:
            placed = self._on_lines(task, task.buses, moments, errors, last, coarsely, state.said_lines(n))
        else:
            chosen = self._chosen(task, None, errors, last, coarsely)
            placed = None if chosen is None else self._improved(task, None, errors, chosen, coarsely)
        if placed is None:
            return False
        state.append(*placed.mapped, placed.line_of)
        return coarsely or not self.stop()

    def _on_lines(
        self,
        task: LayerTask,
        buses: Buses,
        moments: Moments,
        errors: kernels.RowErrors,
        last: bool,
        coarsely: bool,
        said: np.ndarray | None,
    ) -> Placed | None:
        """The best of several beginnings and turns: neurons for these lines, then lines for these neurons.

        Lines that are `said` by the array before stay as they are.
        """
        if said is not None:
            return self._on_said_lines(task, errors, last, coarsely, said)
        worth, best = moments.matrix.diagonal().astype(float), None
        heard, beginnings = task.heard(), max(1, min(MOST_BEGINNINGS, FEW // errors.linear.size))
        for beginning in range(1 if coarsely else beginnings):
            rng = np.random.default_rng((self.seed, beginning))
            if beginning and task.layer.rules.drop:
                line_of = buses.random_lines(beginning > 1, rng)
            else:
                rounds, stop = (FEW_ROUNDS, never) if coarsely else (MOST_ROUNDS, self.stop)
                line_of = buses.first_lines(worth, rounds, rng, stop)
                line_of = buses.with_others(line_of, worth) if task.layer.rules.extra_inputs else line_of
            for turn in range(1 if coarsely else TURNS):
                chosen = self._chosen(task, line_of, errors, last, coarsely)
                if chosen is None:
                    return best
                placed = self._improved(task, line_of, errors, chosen, coarsely)
                if not coarsely:
                    neuron_of, input_of = placed.mapped[:2]
                    before = LinePlacement(buses, buses.driven(neuron_of, input_of, line_of))
                    line_of, start = exchanged(
                        before, errors, neuron_of, chosen.factors(task), chosen.scales, input_of, inputs=heard,
                        work=MOST_EXCHANGES / beginnings, seed=self.seed + turn, stop=self.stop,
                    )  # fmt: skip
                    placed = self._improved(task, line_of, errors, chosen, coarsely, start)
                if best is None or placed.cost < best.cost:
                    best = placed
        return best

    def _wired(self, task: LayerTask, errors: kernels.RowErrors, last: bool, coarsely: bool) -> Placed:
        """Hard-wired cells, from the sums nearest to the weights; of small layers also on neurons judged in pairs."""
        sums = task.sums
        which = np.searchsorted(list(task.placers), sums.gain)
        choices = [Choice(scale, sums.neuron_of, which) for scale in self._scales(task, last)]
        found = [self._improved(task, None, errors, choice, coarsely, sums.input_of.copy()) for choice in choices]
        if not coarsely and task.affordable(None, MOST_PAIRS / (len(choices) * len(task.placers))) > 1:
            chosen = self._chosen(task, None, errors, last, coarsely)
            found += [] if chosen is None else [self._improved(task, None, errors, chosen, coarsely)]
        return min(found, key=lambda placed: placed.cost)

    def _on_said_lines(
        self, task: LayerTask, errors: kernels.RowErrors, last: bool, coarsely: bool, said: np.ndarray
    ) -> Placed | None:
        try:
            chosen = self._chosen(task, said, errors, last, coarsely)
        except Unplaceable:
            raise NotFound("the hardware neurons before drive lines on which some row finds no cell") from None
        return None if chosen is None else self._improved(task, said, errors, chosen, coarsely)

    def _chosen(
        self, task: LayerTask, line_of: np.ndarray | None, errors: kernels.RowErrors, last: bool, coarsely: bool
    ) -> Choice | None:
        """The cheapest assignment of rows to hardware neurons over all scales; None if time was up."""
        scales, placers, stop = self._scales(task, last), task.placers_on(line_of), never if coarsely else self.stop
        inputs = task.likely(errors, self.candidates)
        few = 1 if coarsely else task.affordable(inputs, MOST_PAIRS / (len(scales) * len(placers)))
        few = few if task.buses is not None else min(few, max(ENOUGH, task.affordable(inputs, QUICK)))
        neurons, best, least = task.near_neurons(few, line_of), None, np.inf
        for scale in scales:
            rule: dict[str, Any] = {"inputs": inputs, "neurons": neurons, "stop": stop}
            costs = np.stack([placer.costs(errors, scale, **rule) for placer in placers.values()])
            if stop():
                return None
            cost = costs.min(axis=0)
            neuron_of = assigned(cost)
            rows = np.arange(len(neuron_of))
            total = float(cost[rows, neuron_of].sum())
            if best is None or total < least:
                best, least = Choice(scale, neuron_of, costs.argmin(axis=0)[rows, neuron_of]), total
        return best

    def _improved(
        self,
        task: LayerTask,
        line_of: np.ndarray | None,
        errors: kernels.RowErrors,
        chosen: Choice,
        coarsely: bool,
        start: np.ndarray | None = None,
    ) -> Placed:
        """The rows after a longer search on the neurons they got; beside leaks one by one where there is a start."""
        m, buses, stop = len(chosen.neuron_of), task.buses, never if coarsely else self.stop
        heard, kicks = (task.likely(errors, self.candidates), 0) if coarsely else (task.heard(), KICKS // max(1, m))
        kicks = min(kicks, task.affordable(heard, MOST_KICKS), kicks if buses is None else 8 * len(task.columns))
        input_of = np.full((m, task.layer.hardware.n_cells), -1) if start is None else start
        scale, cost = np.ones(m), np.zeros(m)
        leaky = None if start is None or buses is None or not buses.leaky.any() else buses
        for number, placer in enumerate(task.placers_on(line_of).values()):
            rows = np.flatnonzero(chosen.which == number)
            for some in [rows] if leaky is None else rows[:, None]:
                rule: dict[str, Any] = {"inputs": None if heard is None else heard[some], "kicks": kicks}
                if start is not None:
                    rule["start"] = input_of[some]
                if leaky is not None:
                    rule["kept"] = leaky.only_listens(chosen.neuron_of, input_of, int(some[0]))
                if coarsely and task.layer.hardware.hard_wired:
                    rule["pairs"] = False
                found = placer.improve(
                    errors.rows(some), chosen.neuron_of[some], chosen.scales, seed=self.seed, stop=stop, **rule
                )
                input_of[some], scale[some], cost[some] = found.input_of, found.scale, found.cost
        gains, gain = task.layer.rules.gains, chosen.factors(task)
        if gains.low is not None and gains.high is not None:
            gain, scale = np.clip(scale, gains.low, gains.high), np.ones(m)
        return Placed((chosen.neuron_of, input_of, gain, scale), line_of, float(cost.sum()))

    def _scales(self, task: LayerTask, last: bool) -> list[kernels.Scales]:
        if not self.free or not task.homogeneous or task.layer.rules.gains.is_interval:
            return [task.scales]
        if last:
            return [kernels.Scales(u, u) for u in OUTPUT_SCALES]
        return [kernels.Scales(*FREE, self.pull, 1.0)]
