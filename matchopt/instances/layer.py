"""One layer to be mapped onto a chip, and the one solution type of every variant of that problem."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from matchopt.errors import InvalidInstance, InvalidSolution
from matchopt.instances.arrays import frozen, set_fields
from matchopt.instances.base import Instance, Provenance, Solution
from matchopt.instances.cell_states import states_of
from matchopt.instances.demands import demands_of
from matchopt.instances.hardware import Hardware
from matchopt.instances.objective import LayerObjective, Pairs, WeightError
from matchopt.instances.places import Origin
from matchopt.instances.rules import Rules
from matchopt.instances.sample_objective import LAYER_OBJECTIVES, asked_by, layer_objective
from matchopt.instances.target import Target
from matchopt.parts import Json, Parts, exact_keys
from matchopt.settings import checked


@dataclass(frozen=True, eq=False)
class LayerMapping(Solution):
    """Which hardware neurons serve each target neuron, and which of their cells listen to which input.

    Parameters
    ----------
    neuron_of : hardware neurons in use, shape (used,); one for each row where `row` does not say otherwise.
    wire_indptr : start of each hardware neuron's wires in `cell` and `input`, shape (used + 1,).
    cell : cell of each wire, on its hardware neuron.
    input : input that the cell of each wire listens to.
    gain : factor at each hardware neuron's output side; default 1.
    tunable : connections (numbers into the target's arrays, ascending) that fully tunable weights serve; default none.
    tuned : value of each tunable connection, in the order of `tunable`; None for the target weights.
    row : row that each hardware neuron in use serves, ascending, shape (used,); default 0 .. m - 1, one each. Several
        of one row add, or are averaged, as the rules of the instance say.
    written : value to write into the cell of each wire, NaN where it is left as it is; None where none is written.

    Raises
    ------
    InvalidSolution
        when the arrays do not fit together. Whether they fit an *instance* is what `matchopt.check` answers.
    """

    kind = "layer"

    neuron_of: Int[np.ndarray, " used"]
    wire_indptr: Int[np.ndarray, " used_and_one"]
    cell: Int[np.ndarray, " wires"]
    input: Int[np.ndarray, " wires"]
    gain: Float[np.ndarray, " used"] = None  # type: ignore[assignment]  # an array once made
    tunable: Int[np.ndarray, " tuned"] = None  # type: ignore[assignment]  # an array once made
    tuned: Float[np.ndarray, " tuned"] | None = None
    row: Int[np.ndarray, " used"] = None  # type: ignore[assignment]  # an array once made
    written: Float[np.ndarray, " wires"] | None = None

    def __post_init__(self) -> None:
        neuron_of = frozen(self.neuron_of, "neuron_of", int, 1, error=InvalidSolution)
        used = len(neuron_of)
        starts = frozen(self.wire_indptr, "wire_indptr", int, 1, shape=(used + 1,), error=InvalidSolution)
        cell = frozen(self.cell, "cell", int, 1, error=InvalidSolution)
        inputs = frozen(self.input, "input", int, 1, shape=cell.shape, error=InvalidSolution)
        if starts[0] != 0 or starts[-1] != len(cell) or bool((np.diff(starts) < 0).any()):
            raise InvalidSolution(f"wire_indptr must rise from 0 to the number of wires, {len(cell)}")
        gain = np.ones(used) if self.gain is None else self.gain
        gain = frozen(gain, "gain", float, 1, shape=(used,), error=InvalidSolution)
        row = frozen(np.arange(used) if self.row is None else self.row, "row", int, 1, shape=(used,),
                     error=InvalidSolution)  # fmt: skip
        if (np.diff(row, prepend=0) < 0).any():
            raise InvalidSolution(f"row must not fall, and be >= 0, found {row.tolist()[:40]}")
        chosen = np.zeros(0, np.int64) if self.tunable is None else self.tunable
        tunable = frozen(chosen, "tunable", int, 1, error=InvalidSolution)
        if self.tuned is not None:
            tuned = frozen(self.tuned, "tuned", float, 1, shape=tunable.shape, error=InvalidSolution)
            set_fields(self, tuned=tuned)
        if self.written is not None:
            values = frozen(self.written, "written", float, 1, shape=cell.shape, finite=False, error=InvalidSolution)
            set_fields(self, written=None if np.isnan(values).all() else values)
        set_fields(self, neuron_of=neuron_of, wire_indptr=starts, cell=cell, input=inputs, gain=gain, tunable=tunable)
        set_fields(self, row=row)

    @classmethod
    def from_cells(
        cls,
        target: Target,
        neuron_of: Int[np.ndarray, " used"],
        cell_of: Int[np.ndarray, " connections"],
        gain: Float[np.ndarray, " used"] | None = None,
        tunable: Int[np.ndarray, " tuned"] | None = None,
        tuned: Float[np.ndarray, " tuned"] | None = None,
        row: Int[np.ndarray, " used"] | None = None,
        place_of: Int[np.ndarray, " connections"] | None = None,
        written: Float[np.ndarray, " connections"] | None = None,
    ) -> "LayerMapping":
        """Build a mapping with one cell per connection; a cell of -1 means no wire (dropped or tunable).

        With `row`, `place_of` is the place in `neuron_of` of the hardware neuron that serves each connection.
        """
        used = target.n_rows if row is None else len(row)
        neuron_of = frozen(neuron_of, "neuron_of", int, 1, shape=(used,), error=InvalidSolution)
        cell_of = frozen(cell_of, "cell_of", int, 1, shape=(target.n_connections,), error=InvalidSolution)
        places = target.row_of if place_of is None else np.asarray(place_of)
        wired = np.flatnonzero(cell_of >= 0)
        wired = wired[np.argsort(places[wired], kind="stable")]
        starts = np.concatenate([[0], np.cumsum(np.bincount(places[wired], minlength=used))])
        return cls(
            neuron_of,
            starts,
            cell_of[wired],
            target.indices[wired],
            gain,  # type: ignore[arg-type]  # None means default
            tunable,  # type: ignore[arg-type]
            tuned,
            row,  # type: ignore[arg-type]
            None if written is None else np.asarray(written)[wired],
        )

    @property
    def n_rows(self) -> int:
        """Number of target neurons, up to the last that has a hardware neuron."""
        return int(self.row[-1]) + 1 if len(self.row) else 0

    @cached_property
    def one_each(self) -> bool:
        """Whether the rows have one hardware neuron each."""
        return np.array_equal(self.row, np.arange(len(self.row)))

    def wires(self, a: int) -> list[tuple[int, int]]:
        """The (cell, input) pairs of the hardware neuron at place `a`; of row `a` where rows have one each."""
        part = slice(int(self.wire_indptr[a]), int(self.wire_indptr[a + 1]))
        return list(zip(self.cell[part].tolist(), self.input[part].tolist(), strict=True))

    @cached_property
    def place_of(self) -> Int[np.ndarray, " wires"]:
        """Place in `neuron_of` of each wire's hardware neuron."""
        return np.repeat(np.arange(len(self.neuron_of)), np.diff(self.wire_indptr))

    @cached_property
    def row_of(self) -> Int[np.ndarray, " wires"]:
        """Row of each wire."""
        return np.asarray(self.row[self.place_of])

    def parts(self) -> Parts:
        """See `Solution.parts`; `row` is left out where rows have one hardware neuron each."""
        found = super().parts()
        return Parts(found.facts, {k: v for k, v in found.arrays.items() if k != "row" or not self.one_each})


@dataclass(frozen=True, eq=False)
class LayerInstance(Instance):
    """Map the rows of `target` onto neurons of `hardware` under `rules`, minimising `objective`.

    Parameters
    ----------
    target : the trained sparse weights, m rows.
    hardware : the fixed weights, M >= m neurons.
    rules : what a mapping may do.
    objective : what is minimised; a `LayerObjective`.
    provenance : where the instance comes from; no part of its content.

    Raises
    ------
    InvalidInstance
        when there are fewer hardware neurons than target neurons, or sizes do not fit together.
    """

    kind = "layer"

    target: Target
    hardware: Hardware
    rules: Rules = Rules()
    objective: LayerObjective = WeightError()
    provenance: Provenance = Provenance()

    def __post_init__(self) -> None:
        if self.hardware.n_neurons < self.target.n_rows:
            raise InvalidInstance(
                f"hardware.weights: {self.target.n_rows} target neurons need as many hardware neurons, "
                f"found {self.hardware.n_neurons}"
            )
        if self.objective.level != "layer":
            raise InvalidInstance(f"a layer minimises {' or '.join(LAYER_OBJECTIVES)}, found {self.objective.name}")
        if self.hardware.hard_wired and self.hardware.input.max() >= self.target.n_inputs:
            raise InvalidInstance(
                f"hardware.input: the target has {self.target.n_inputs} inputs, found input {self.hardware.input.max()}"
            )
        self.objective.check_fit(self.target)

    @property
    def n_rows(self) -> int:
        """Number of target neurons m."""
        return self.target.n_rows

    @cached_property
    def demands(self) -> frozenset[str]:
        return demands_of(
            self,
            "provenance",
            target=self.target.demands,
            hardware=self.hardware.demands,
            rules=self.rules.demands,
            objective=asked_by(self.objective),
        )

    def realised(self, mapping: LayerMapping) -> Float[np.ndarray, "rows inputs"]:
        """The weights that the chip realises under a feasible `mapping`, shape (m, n_inputs).

        realised[i, x] = sum over the hardware neurons a of row i of factor_a * (sum of h over the wires of a on x + sum
        of `off` over lines that the bus drives with x and a does not use), factor_a the gain, divided by how many the
        row has where they are copies, h what is written into a cell where anything is; a tunable connection has its
        tuned value, without one exactly its target weight. Lines of hard-wired cells
        are driven always.
        """
        full = np.zeros((self.n_rows, self.target.n_inputs))
        rows, inputs, weights = self.realised_pairs(mapping)
        full[rows, inputs] = weights
        return full

    def noise(self, mapping: LayerMapping) -> Float[np.ndarray, "rows inputs"]:
        """Read-noise variance of the realised weights: factor^2 times the variances of the cells behind each input."""
        noise = np.zeros((self.n_rows, self.target.n_inputs))
        np.add.at(noise, (mapping.row_of, mapping.input), self.wire_noise(mapping))
        return noise

    def realised_pairs(self, mapping: LayerMapping) -> tuple[Pairs, Pairs, Float[np.ndarray, " pairs"]]:
        """Rows, inputs and realised weights, of the connections and then of what else is realised.

        All other pairs of a row and an input are 0. See `realised`, which makes the full matrix.
        """
        target, (rows, inputs, weights) = self.target, self._switched(mapping)
        own, keys = target.keys(target.row_of, target.indices), target.keys(rows, inputs)
        at = np.searchsorted(own, keys)
        inside = np.append(own, -1)[at] == keys
        realised = np.bincount(at[inside], weights[inside], len(own)).astype(np.float64)  # of none they are whole
        realised[mapping.tunable] = self._tuned(mapping)
        others, place = np.unique(keys[~inside], return_inverse=True)
        i, x = np.divmod(others, max(1, target.n_inputs))
        stray = np.bincount(place, weights[~inside], len(others))
        both = np.concatenate([realised, stray])
        return np.concatenate([target.row_of, i]), np.concatenate([target.indices, x]), both

    def pair_errors(self, mapping: LayerMapping) -> tuple[Pairs, Pairs, Float[np.ndarray, " pairs"]]:
        """The same pairs with target less realised weight; all others have no error."""
        rows, inputs, weights = self.realised_pairs(mapping)
        errors = -weights
        errors[: self.target.n_connections] += self.target.weights
        return rows, inputs, errors

    def _switched(self, mapping: LayerMapping) -> tuple[Pairs, Pairs, Float[np.ndarray, " pairs"]]:
        """Row, input and weight of every cell in use, and of every leak, after gains."""
        places, chip, factor = mapping.place_of, self.hardware, self.factors(mapping)
        values, _ = states_of(chip, mapping.neuron_of[places], mapping.cell, mapping.written)
        weights = factor[places] * values
        if not np.any(chip.off):
            return mapping.row_of, mapping.input, weights
        lines = np.unique(np.stack([chip.bus[mapping.neuron_of[places]], mapping.cell, mapping.input]), axis=1)
        used = set(zip(places.tolist(), mapping.cell.tolist(), strict=True))
        leaks = [
            (i, x, f * chip.off[j, k])
            for a, (j, i, f) in enumerate(zip(mapping.neuron_of.tolist(), mapping.row.tolist(), factor, strict=True))
            for k, x in lines[1:, lines[0] == chip.bus[j]].T.tolist()
            if (a, k) not in used and chip.input[j, k] < 0
        ]
        found = np.array(leaks, float).reshape(-1, 3).T
        fixed, cells = self._left_off(mapping)
        on = mapping.neuron_of[fixed]
        more, driven = found[:2].astype(np.int64)
        inputs = np.concatenate([mapping.input, driven, chip.input[on, cells]])
        rows = np.concatenate([mapping.row_of, more, mapping.row[fixed]])
        return rows, inputs, np.concatenate([weights, found[2], factor[fixed] * chip.off[on, cells]])

    def factors(self, mapping: LayerMapping) -> Float[np.ndarray, " used"]:
        """What each hardware neuron's output is multiplied by: its gain, over the number of the row's copies."""
        if self.rules.copies == 1:
            return mapping.gain
        return np.asarray(mapping.gain / np.bincount(mapping.row)[mapping.row])

    def _left_off(self, mapping: LayerMapping) -> tuple[Pairs, Pairs]:
        """Place and number of every hard-wired cell that is switched off and adds something."""
        chip = self.hardware
        if not chip.hard_wired:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        left = ((chip.input >= 0) & (chip.off != 0.0))[mapping.neuron_of]
        left[mapping.place_of, mapping.cell] = False
        places, cells = np.nonzero(left)
        return places, cells

    def _tuned(self, mapping: LayerMapping) -> Float[np.ndarray, " tuned"]:
        return self.target.weights[mapping.tunable] if mapping.tuned is None else mapping.tuned

    def wire_noise(self, mapping: LayerMapping) -> Float[np.ndarray, " wires"]:
        """Read-noise variance that each wire adds behind its input, gains included."""
        places = mapping.place_of
        _, variance = states_of(self.hardware, mapping.neuron_of[places], mapping.cell, mapping.written)
        return np.asarray(self.factors(mapping)[places] ** 2 * variance)

    def value(self, mapping: LayerMapping) -> float:
        """The objective of a feasible `mapping` (the fast form; `matchopt.check` has the plain one)."""
        rows, inputs, error = self.pair_errors(mapping)
        if not self.objective.is_diagonal:
            full = np.zeros((self.n_rows, self.target.n_inputs))
            full[rows, inputs] = error
            return self.objective.value(self.target, full, self.noise(mapping))
        noisy = self.objective.diagonal(self.target, mapping.row_of, mapping.input) @ self.wire_noise(mapping)
        return float(self.objective.diagonal(self.target, rows, inputs) @ error**2 + noisy)

    def parts(self) -> Parts:
        facts: dict[str, Json] = {"n_inputs": self.target.n_inputs, "rules": self.rules.facts()}
        objective = self.objective.parts()
        facts["objective"] = self.objective.name
        if objective.facts:
            facts["objective"] = {"name": self.objective.name, **objective.facts}
        if self.hardware.origin is not None:
            facts["origin"] = self.hardware.origin.facts()
        arrays = Parts(arrays=self.target.arrays()).prefixed("target")
        arrays |= Parts(arrays=self.hardware.arrays()).prefixed("hardware")
        return Parts(facts, arrays | objective.prefixed("objective"))

    @classmethod
    def from_parts(cls, parts: Parts, provenance: Provenance | None = None) -> "LayerInstance":
        exact_keys(parts.facts, {"n_inputs", "rules", "objective"}, {"origin"}, "layer", InvalidInstance)
        n_inputs = checked(parts.facts["n_inputs"], int, "n_inputs", InvalidInstance)
        origin = Origin.from_facts(parts.facts["origin"]) if "origin" in parts.facts else None
        known = {"target", "hardware", "objective"}
        stray = sorted(name for name in parts.arrays if name.split(".")[0] not in known)
        if stray:
            raise InvalidInstance(f"layer: array {stray[0]!r} is unknown")
        return cls(
            Target.from_arrays(parts.under("target"), n_inputs),
            Hardware.from_arrays(parts.under("hardware"), origin),
            Rules.from_facts(parts.facts["rules"]),
            layer_objective(parts.facts["objective"], parts.under("objective")),
            provenance or Provenance(),
        )
