"""A network in training of which some connections are in use: what most methods work on.

Methods see all sites of all matrices as one flat vector, whatever runs below: full matrices, a compiled list of
connections where few are in use, or torch on any device.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32

from matchopt.instances.architecture import Architecture, FullyConnected
from matchopt.network.accuracy import Classifier
from matchopt.network.sparse_network import SparseNetwork
from matchopt.network.training.engines import by_hand, choose
from matchopt.network.training.model import Batch, Images, Labels, Model, segments, sparse_network
from matchopt.network.training.optimisers import Optimiser, Rule
from matchopt.network.training.tensors import Tensor, as_tensor, like, on_cpu, put
from matchopt.parts import Parts

LIST_BELOW = 0.15  # connectivity from which on a list of connections is faster than full matrices, measured


class MaskedModel(Model):
    """All sites of all matrices, a mask of those in use, and an optimiser.

    After every step weights outside the mask are zero, whatever the optimiser remembers.

    Parameters
    ----------
    architecture, values, device, rng : as of `TorchModel`; to begin with all weights are in use.
    rule : the optimiser.
    zeros_unused : whether a weight of exactly zero counts as not in use, though training may bring it back; for
        methods without a mask of their own.
    segments : where each matrix is in the flat vector of all weights.
    n_weights : length of that vector.
    mask : which weights are in use; read it, change it by `use`.
    """

    def __init__(
        self,
        architecture: Architecture,
        values: Float32[np.ndarray, " p"],
        rule: Rule,
        device: str,
        rng: np.random.Generator,
        zeros_unused: bool = False,
    ) -> None:
        self.architecture, self.shapes, self.zeros_unused = architecture, architecture.matrices, zeros_unused
        self.segments, self.n_weights = segments(self.shapes), sum(m * n for m, n in self.shapes)
        self.mask: Bool[np.ndarray, " weights"] = np.ones(self.n_weights, bool)
        self._by_hand = by_hand(architecture, device)
        self._full = choose(architecture, values, device, rng)
        self._engine: Model = self._full
        self._measure_mask()
        self.optimise(rule)

    # -- what methods read --

    @property
    def weights(self) -> Float32[np.ndarray, " weights"]:
        """A copy of all weights, on the CPU, zero outside the mask."""
        return self.parameters[: self.n_weights]

    @property
    def parameters(self) -> Float32[np.ndarray, " p"]:
        """A copy of all weights and then all biases, on the CPU."""
        return self._spread(on_cpu(self._engine.values))

    @property
    def held(self) -> Tensor:
        """The weights that the optimiser moves, to be read or changed in place, on the device; a flat tensor.

        All sites, or only those in use: for what treats every weight alike, such as shrinking them.
        """
        return as_tensor(self._engine.values)[: -self._n_biases]

    # -- what methods do --

    def step(self, rate: float) -> None:
        """Take one step of the optimiser on the last gradient, and put back to zero what is outside the mask."""
        engine = self._engine
        self._optimiser.step(engine.values, engine.gradient, rate)
        if engine is self._full and not self._is_full:
            engine.values[: self.n_weights] *= self._factor

    def use(self, mask: Bool[np.ndarray, " weights"], compact: bool | None = None) -> None:
        """Use exactly these weights from now on.

        Those that were in use and stay keep their value and the optimiser's memory; new ones begin at zero, without
        any memory.

        Parameters
        ----------
        mask : over all sites, in the order of the flat vector.
        compact : whether to go on with a list of connections, where that is possible; None: where it is faster.
        """
        stays = np.concatenate([self.mask & mask, np.ones(self._n_biases, bool)])
        values, moments = self.parameters, self._spread(on_cpu(self._optimiser.moments))
        values[~stays] = 0.0
        moments[:, ~stays] = 0.0
        self.mask = mask.copy()
        self._measure_mask()
        wanted = np.count_nonzero(mask) < LIST_BELOW * self.n_weights if compact is None else compact
        self._go_on(values, moments, bool(self._by_hand and wanted))

    def load(self, parameters: Float32[np.ndarray, " p"]) -> None:
        """Replace all weights in use, and all biases, by those of a vector such as `parameters` gave."""
        self._put(np.concatenate([parameters[: self.n_weights] * self.mask, parameters[self.n_weights :]]))

    def optimise(self, rule: Rule) -> None:
        """Begin anew with this optimiser, without memory."""
        self._optimiser = Optimiser(rule, self._engine.values)

    def gradient_everywhere(self, images: Images, labels: Labels, batch: Batch) -> Float32[np.ndarray, " weights"]:
        """Derivative of a batch's loss with respect to all weights, those outside the mask (at zero) included.

        Training goes on as if nobody had asked.
        """
        put(self._full.values, self.parameters)
        return self._full.probe(images, labels, batch)[: self.n_weights]

    # -- see Model --

    @property
    def values(self) -> Any:
        """See `Model.values`; only the weights in use where they are kept as a list."""
        return self._engine.values

    @property
    def gradient(self) -> Any:
        """See `Model.gradient`; in the order of `values`."""
        return self._engine.gradient

    def loss(self, images: Images, labels: Labels, batch: Batch) -> Any:
        return self._engine.loss(images, labels, batch)

    def network(self) -> SparseNetwork:
        parameters = self.parameters
        mask = self.mask & (parameters[: self.n_weights] != 0) if self.zeros_unused else self.mask
        return sparse_network(self.architecture, parameters, mask, self._full.buffers)

    def classifier(self) -> Classifier:
        return self.network() if isinstance(self.architecture, FullyConnected) else self._engine.classifier()

    @property
    def counts(self) -> tuple[int, ...]:
        if not self.zeros_unused or self._engine is not self._full:
            return self._counts
        held = self.held
        return tuple(int(held[s].count_nonzero()) for s in self.segments)

    def state(self) -> Parts:
        inner = self._full.state().prefixed("full")
        inner.pop("full.values")  # those of the engine count
        moments = self._spread(on_cpu(self._optimiser.moments))
        arrays = {"mask": self.mask, "parameters": self.parameters, "moments": moments, **inner}
        facts = {"optimiser": self._optimiser.facts(), "zeros_unused": self.zeros_unused}
        return Parts({**facts, "listed": self._engine is not self._full}, arrays)

    def restore(self, state: Parts) -> None:
        arrays, facts = state.arrays, state.facts
        self.mask, self.zeros_unused = np.array(arrays["mask"]), bool(facts["zeros_unused"])
        self._measure_mask()
        self._full.restore(Parts({}, {**state.under("full"), "values": arrays["parameters"]}))
        self._optimiser = Optimiser.from_facts(facts["optimiser"], self._full.values)
        self._go_on(np.array(arrays["parameters"]), np.array(arrays["moments"]), bool(facts["listed"]))

    # -- below --

    @property
    def _n_biases(self) -> int:
        return sum(rows for rows, _ in self.shapes)

    def _measure_mask(self) -> None:
        self._counts = tuple(int(np.count_nonzero(self.mask[s])) for s in self.segments)
        self._is_full = bool(self.mask.all())
        # float, as masking is then one vector operation
        self._factor = like(self.mask.astype(np.float32), self._full.values)

    def _spread(self, held: np.ndarray) -> np.ndarray:
        """Values of the parameters that the engine holds as those of all parameters, zero elsewhere; a copy."""
        if self._engine is self._full:
            return held.copy()
        full = np.zeros((*held.shape[:-1], self.n_weights + self._n_biases), np.float32)
        full[..., self._held_at] = held
        return full

    def _go_on(self, values: np.ndarray, moments: np.ndarray, listed: bool) -> None:
        """Continue with these parameters and moments of all sites."""
        self._engine = self._full
        if listed:
            from matchopt.network.training.fully_connected import ConnectionModel

            assert isinstance(self.architecture, FullyConnected)
            sites: Sequence[np.ndarray] = [np.flatnonzero(self.mask[s]) for s in self.segments]
            kept = np.flatnonzero(np.concatenate([self.mask, np.ones(self._n_biases, bool)]))
            self._engine = ConnectionModel(self.architecture.widths, sites, values[kept])
            self._held_at, moments = kept, moments[:, kept]
        else:
            self._put(values)
        self._optimiser.moments = like(np.ascontiguousarray(moments), self._full.values)

    def _put(self, parameters: Float32[np.ndarray, " p"]) -> None:
        chosen = parameters if self._engine is self._full else parameters[self._held_at]
        put(self._engine.values, chosen)
