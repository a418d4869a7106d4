"""Layers whose hardware neurons share lines: one mapping with its tables of costs, and the moves that improve it."""

import sys
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from matchopt.errors import InvalidInstance
from matchopt.instances import Gains, Hardware, Target
from matchopt.instances.demands import refuse_unknown
from matchopt.kernels.assignment import assign
from matchopt.kernels.crossbar_assigning import TABLE as NOISE
from matchopt.kernels.crossbar_assigning import descend, perturb
from matchopt.kernels.crossbar_board import Packed, pack, unpacked_costs
from matchopt.kernels.crossbar_costs import DROPPED, LEAKING, NEVER
from matchopt.kernels.crossbar_joint import Joint, movable, move_jointly
from matchopt.kernels.crossbar_scan import anneal
from matchopt.kernels.crossbar_tables import TABLE, State, refresh_cols, refresh_rows
from matchopt.kernels.dense_assignment import Paths

UNDERSTOOD = {"importance", "read-noise", "unusable-cells", "leak", "shared-bus", "programmable-cells"}
LEAST = 1e-7  # of what all connections count for: smaller gains may be rounding of single precision
ONE = Gains()
OUTLYING = 3.0  # times the median change: no typical change is larger
MOST_PATCHED = 100  # times in a row that sums are changed by what moved, so that rounding stays small
MOST_POLISHED = 2**23  # costs of connections on neurons, up to which a mapping is polished in double precision


class Crossbar:
    """A search for the neurons of rows and the lines of inputs, where neurons on one bus share lines.

    Every connection costs importance * ((weight - h)^2 + v) on its cell (h, v), or importance * weight^2 where it is
    dropped; cells that can be written have their best value. Extra lines, on which connections are dropped, are there
    where a bus has fewer lines than the layer inputs. A new object holds a random mapping.

    Parameters
    ----------
    target : the rows, at least one connection in all.
    hardware : at least as many neurons. Where cells leak, an input drives its line on every bus where a row listens to
        it; the table of rows knows of lines that other rows drive already.
    rng : source of randomness.
    importance : of each connection, >= 0; None for the target's.
    drop : whether connections may be dropped.
    driven : what the squared leak of a cell outside a row's support counts for, by input; None for 1.
    gains : of rows; every row is at the best one for its neuron and lines.
    extra_inputs : whether a cell that leaks outside a row's support may be switched on.
    tunable : whether connections may be tuned, at the price of `charge`.

    Attributes
    ----------
    n_inputs, n_lines : inputs with connections; lines of each bus, extra ones included.
    per_scan : swaps that one scan of `anneal` evaluates on one bus, the most it can be on several.
    """

    def __init__(
        self,
        target: Target,
        hardware: Hardware,
        rng: np.random.Generator,
        *,
        importance: Float[np.ndarray, " connections"] | None = None,
        drop: bool = False,
        driven: Float[np.ndarray, " inputs"] | None = None,
        gains: Gains = ONE,
        extra_inputs: bool = False,
        tunable: bool = False,
    ) -> None:
        for part in (target, hardware):
            refuse_unknown(part, UNDERSTOOD, "a kernel of crossbars")
        if target.n_connections == 0 or target.n_rows > hardware.n_neurons:
            raise InvalidInstance(
                f"a crossbar needs a connection, and a neuron for each row; found {target.n_connections} connections, "
                f"{target.n_rows} rows and {hardware.n_neurons} neurons"
            )
        weights = target.importance if importance is None else np.asarray(importance)
        self._problem = pack(target, hardware, weights, drop, driven, gains, extra_inputs, tunable)
        self._rng = rng
        board = self._problem.board
        m, n, buses = target.n_rows, len(self._problem.inputs), len(board.bus_start) - 1
        neurons, lines = board.chip.weights.shape
        self.n_inputs, self.n_lines = n, lines
        self.per_scan = m * (neurons - 1) + buses * n * (lines - 1)
        self._least = LEAST * self._problem.unrealised
        self._state = _fresh(self._problem, rng)
        single, most = np.float32, max(neurons, lines)
        exponential = rng.exponential(size=TABLE + most).astype(single)
        drawn = -rng.gumbel(size=NOISE + most)
        self._noise = (drawn - drawn.min()).astype(single)
        self._spare, self._paths = np.zeros((max(m, n), most), single), Paths.of(most)
        self._everything = np.ones(m, np.int64)
        self._joint = Joint.of(board, self._state, exponential)
        self.start()

    def start(
        self, neuron_of: Int[np.ndarray, " rows"] | None = None, cell_of: Int[np.ndarray, " connections"] | None = None
    ) -> None:
        """Begin anew, keeping the best so far.

        Parameters
        ----------
        neuron_of : neuron of each row, all different; None for a random mapping.
        cell_of : cell of each connection, -1 for dropped ones, of a mapping that keeps the rules of shared lines.
        """
        state, found = self._state, self._problem
        for part in (state.neuron, *state.line):
            part[:] = self._rng.permutation(len(part))
        if neuron_of is not None and cell_of is not None:
            rows = found.place_of[neuron_of]
            state.neuron[:] = _completed(rows, len(state.neuron))
            bus, wired = found.board.bus_of[rows[found.row_of]], cell_of >= 0
            for b in range(len(state.line)):
                line_of = np.full(len(found.inputs), -1)
                chosen = wired & (bus == b)
                line_of[found.input_of[chosen]] = cell_of[chosen]
                state.line[b] = _filled(line_of, state.line.shape[1])
        self._refresh()

    def resume(self) -> None:
        """Go back to the best mapping so far."""
        self._state.neuron[:], self._state.line[:] = self._state.best_neuron, self._state.best_line
        self._refresh()

    def charge(self, write: float = 0.0, tuned: float = np.inf) -> None:
        """Set prices, forget the best mapping for costs at others, and go on from it.

        Parameters
        ----------
        write : what a written value costs besides its error, >= 0, in the target's units.
        tuned : what a connection costs at most, as it may have a tunable weight, >= 0; inf where none may.
        """
        worth = self._problem.worth
        self._state.prices[:] = write / worth, min(tuned / worth, NEVER)
        self._state.best[0] = np.inf
        self.resume()

    def patch(self) -> None:
        """From now on change tables by what has moved, where that is less work than to add up costs anew.

        Faster in long searches; by rounding, what is found may differ. Only on one bus, where connections cost no more
        than their squared error, of equal importance; elsewhere nothing changes.
        """
        if self._problem.board.kind <= DROPPED and len(self._state.line) == 1:
            self._state.patience[0] = MOST_PATCHED

    def join(self) -> None:
        """From now on `anneal`, `perturb` and `descend` also move rows and inputs that share a large weight together.

        Finds far better mappings in the same time. Where cells leak, or rows have a choice of gains, nothing changes.
        """
        if movable(self._problem.board):
            self._joint.count[0] = 0

    @property
    def _prices(self) -> tuple[float, float]:
        write, tuned = self._state.prices.astype(np.float64) * self._problem.worth
        return float(write), float(tuned) if self._state.prices[1] < NEVER else np.inf

    @cached_property
    def unit(self) -> float:
        """A typical change of the cost when one row or one input moves, in the unit of `cost`; for temperatures."""
        spread = []
        for table in (self._state.rows, *self._state.cols[:1]):
            allowed = table < self._problem.bar if self._problem.bar else np.ones(table.shape, bool)
            kept = np.where(allowed, table, np.nan)[allowed.any(axis=1)][:, allowed.any(axis=0)].astype(np.float64)
            if kept.size > 1:
                kept = kept - np.nanmean(kept, axis=0)
                apart = np.abs(kept - np.nanmean(kept, axis=1)[:, None])
                usual = float(np.nanmedian(apart))  # cells that are stuck far off are moved away from at once
                spread.append(min(float(np.sqrt(np.nanmean(apart**2))), OUTLYING * usual or np.inf))
        return max([*spread, 1e-6])

    @property
    def cost(self) -> float:
        """Cost of the present mapping, in units of the search, penalties for cells out of use included."""
        state = self._state
        if self._problem.board.kind <= LEAKING:
            return float(state.row_cost.sum(dtype=np.float64))
        line = state.line[:, : self.n_inputs, None].astype(np.int64)  # rows take for granted that lines are driven
        return float(np.take_along_axis(state.cols, line, axis=2).sum(dtype=np.float64))

    @property
    def best_cost(self) -> float:
        """The least `cost` met so far."""
        return float(self._state.best[0])

    def anneal(self, scans: int, heat: float, ratio: float = 1.0) -> float:
        """Metropolis passes over all swaps of rows and of inputs, used and spare; returns the last temperature.

        Parameters
        ----------
        scans : passes over both sides.
        heat : temperature, in the unit of `cost`.
        ratio : what it is multiplied by after each pass.
        """
        args = (self._problem.board, self._state, scans, heat, ratio, self._least)
        return float(anneal(*args, self._everything, self._joint))

    def perturb(self, rounds: int, heat: float, ratio: float = 1.0) -> float:
        """Assign rows, then inputs, under Gumbel noise; returns the last temperature.

        Parameters
        ----------
        rounds : assignments of both sides.
        heat : factor of the noise, in the unit of `cost`.
        ratio : what it is multiplied by after each round.
        """
        args = (self._problem.board, self._state, rounds, heat, ratio, self._least)
        return float(perturb(*args, self._noise, self._spare, self._paths, self._joint))

    def descend(self, most: int = 1000) -> float:
        """Assign inputs and rows by turns until neither improves; returns the cost.

        Parameters
        ----------
        most : most assignments of both sides.
        """
        board, state = self._problem.board, self._state
        args = (board, state, most, self._least, self._noise, self._spare, self._paths)
        cost, before = float(descend(*args)), np.inf
        while self._joint.count[0] >= 0 and cost < before - self._least:
            move_jointly(board, state, np.float32(0), self._least, self._joint, sys.maxsize)
            cost, before = float(descend(*args)), cost
        return cost

    def polish(self, most: int = 50) -> None:
        """Assign rows and inputs of the best mapping by turns in double precision, at one gain and without leaks.

        After `join`, the best mapping is first brought down by joint moves.

        Parameters
        ----------
        most : most assignments of both sides.
        """
        found, state = self._problem, self._state
        if (
            found.board.kind >= LEAKING
            or state.gains.size > 0
            or len(found.row_of) * state.rows.shape[1] > MOST_POLISHED
        ):
            return
        if self._joint.count[0] >= 0:
            self.resume()
            self.descend()
        value = self.value()
        for _ in range(most):
            before = state.best_neuron.copy(), state.best_line.copy()
            self._polish_once()
            if not self.value() < value:
                state.best_neuron[:], state.best_line[:] = before
                return
            value = self.value()

    def _polish_once(self) -> None:
        found, state = self._problem, self._state
        m, every = len(state.rows), np.arange(state.rows.shape[1])
        lines = state.best_line[found.board.bus_of[every][None, :], found.input_of[:, None]]
        costs = unpacked_costs(found, np.arange(len(found.row_of))[:, None], every[None, :], lines, self._prices)
        neurons = assign(_summed(costs, found.row_of, m))
        if neurons is not None:
            state.best_neuron[:] = _completed(neurons, len(every))
        on = state.best_neuron[:m][found.row_of]
        for b in range(len(state.line)):
            e = np.flatnonzero(found.board.bus_of[on] == b)
            here, place = np.unique(found.input_of[e], return_inverse=True)
            costs = unpacked_costs(
                found, e[:, None], on[e][:, None], np.arange(state.line.shape[1])[None, :], self._prices
            )
            chosen = assign(_summed(costs, place, len(here)))
            if chosen is not None and len(here):
                line_of = np.full(len(found.inputs), -1)
                line_of[here] = chosen
                state.best_line[b] = _filled(line_of, state.line.shape[1])

    def value(self) -> float:
        """Cost of the best mapping in double precision and in the target's units, inf if it breaks a rule.

        With prices, without leaks; where cells leak the instance must be asked.
        """
        found = self._problem
        neurons, lines = self._chosen()
        return float(unpacked_costs(found, np.arange(len(found.row_of)), neurons, lines, self._prices).sum())

    def best(self) -> tuple[Int[np.ndarray, " rows"], Int[np.ndarray, " connections"]]:
        """The best mapping so far: neuron of each row, and cell of each connection, -1 for dropped ones."""
        found = self._problem
        neurons, lines = self._chosen()
        wired = found.keeps(np.arange(len(found.row_of)), neurons, lines)
        return found.neurons[self._state.best_neuron[: len(self._state.rows)]], np.where(wired, lines, -1)

    def best_lines(self) -> tuple[Int[np.ndarray, " rows"], Int[np.ndarray, "buses inputs"]]:
        """The best mapping so far: neuron of each row, and line of each input on each bus.

        Buses come in the order of their numbers, and inputs are those with connections, in order; -1 is no line.
        """
        found, state = self._problem, self._state
        lines = state.best_line[:, : len(found.inputs)].astype(np.int64)
        return found.neurons[state.best_neuron[: len(state.rows)]], np.where(lines < found.n_cells, lines, -1)

    def _chosen(self) -> tuple[Any, Any]:
        found = self._problem
        neurons = self._state.best_neuron[found.row_of].astype(np.int64)
        return neurons, self._state.best_line[found.board.bus_of[neurons], found.input_of].astype(np.int64)

    def _refresh(self) -> None:
        state = self._state
        state.stale_rows[:] = state.stale_cols[:] = True
        state.patched_rows[:] = state.patched_cols[:] = MOST_PATCHED
        refresh_cols(self._problem.board, state)
        refresh_rows(self._problem.board, state)
        if self.cost < state.best[0]:
            state.best[0] = self.cost
            state.best_neuron[:], state.best_line[:] = state.neuron, state.line


def _fresh(problem: Packed, rng: np.random.Generator) -> State:
    single, index, board = np.float32, np.uint32, problem.board
    m, n, buses = len(board.row_start) - 1, len(problem.inputs), len(board.bus_start) - 1
    neurons, lines = board.chip.weights.shape
    most, gained = max(neurons, lines), board.interval or len(board.gains) > 1
    items = [np.zeros(max(m, n), single) for _ in range(3)]  # of connections of one item
    places = [np.zeros(most, single) for _ in range(2)]
    return State._make([
        np.zeros(neurons, index), np.zeros((buses, lines), index), np.zeros((m, neurons), single),
        np.zeros((buses, n, lines), single), np.zeros(m, single), np.zeros((buses, n), single),
        np.ones((buses, m), bool), np.ones((buses, n), bool), np.zeros((buses, n), np.int64),
        np.full(m, board.gains[0]), np.zeros((m, neurons) if gained else (0, 0), single),
        np.zeros(neurons, index), np.zeros((buses, lines), index), np.array([np.inf]), np.zeros(neurons, index),
        np.zeros((buses, lines), index), np.array([0.0, NEVER], single), np.zeros(1, np.int64),
        np.zeros(m, np.int64), np.zeros(n, np.int64), *(np.zeros(max(m, n), index) for _ in range(2)), *items, *places,
        np.zeros(max(most, m, n), single), np.zeros(most, single),
        np.array([rng.integers(1, 2**63)], np.uint64),
    ])  # fmt: skip


def _completed(chosen: Int[np.ndarray, " some"], size: int) -> Int[np.ndarray, " size"]:
    """The chosen places, then the others in order."""
    return np.concatenate([chosen, np.setdiff1d(np.arange(size), chosen)])


def _filled(chosen: Int[np.ndarray, " some"], size: int) -> Int[np.ndarray, " size"]:
    """The chosen places with each -1, and all entries up to `size`, on the places left, in order."""
    every = np.concatenate([chosen, np.full(size - len(chosen), -1)])
    every[every < 0] = np.setdiff1d(np.arange(size), chosen)
    return every


def _summed(costs: Any, group: Any, groups: int) -> Any:
    out = np.zeros((groups, costs.shape[1]))
    np.add.at(out, group, costs)
    return out
