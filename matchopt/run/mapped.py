"""A mapping together with the instance that it is of."""

from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from jaxtyping import Float

from matchopt.errors import InvalidSolution
from matchopt.formats import write
from matchopt.formats.wiring import Wire, layers_of, wires_of
from matchopt.instances import Instance, LayerInstance, LayerMapping, NetworkInstance, NetworkMapping, Solution
from matchopt.notebook import facts_table

Matrix = Float[np.ndarray, "rows inputs"]


@dataclass(frozen=True, eq=False)
class Mapped:
    """A layer or a network as a mapping makes it of the hardware.

    Parameters
    ----------
    instance : what was mapped.
    solution : the mapping.

    Raises
    ------
    InvalidSolution
        when they are no layer and its mapping, or no network and its mapping.
    """

    instance: Instance
    solution: Solution

    def __post_init__(self) -> None:
        layer = isinstance(self.instance, LayerInstance) and isinstance(self.solution, LayerMapping)
        network = isinstance(self.instance, NetworkInstance) and isinstance(self.solution, NetworkMapping)
        if not layer and not network:
            kinds = f"an instance of kind {self.instance.kind} and a solution of kind {self.solution.kind}"
            raise InvalidSolution(f"only layers and networks are mapped, found {kinds}")

    @property
    def weights(self) -> tuple[Matrix, ...]:
        """The weights that the hardware realises, one matrix (rows x inputs) for each layer."""
        return tuple(layer.realised(part) for layer, part in self._pairs())

    @property
    def targets(self) -> tuple[Matrix, ...]:
        """The weights that were wanted, in the same form."""
        return tuple(layer.target.dense() for layer in layers_of(self.instance))

    def realised(self) -> Matrix | tuple[Matrix, ...]:
        """The weights that the hardware realises: a layer's matrix (rows x inputs), or those of a network's layers.

        `matchopt.network.realise` makes a network that runs of them, with its biases.
        """
        return self.weights[0] if isinstance(self.instance, LayerInstance) else self.weights

    def wiring(self) -> tuple[Wire, ...]:
        """Every wire: which cell of which hardware neuron listens to which input; `pandas.DataFrame` takes them."""
        return tuple(wires_of(self.solution, self.instance))

    def save(self, path: str | PathLike[str]) -> None:
        """Write the mapping; the ending says how: .csv or .json for a wiring table, .matchopt for our own format."""
        write(self.solution, path, instance=self.instance)

    def _repr_html_(self) -> str:
        pairs = self._pairs()
        error = sum(float((layer.pair_errors(part)[2] ** 2).sum()) for layer, part in pairs)
        facts: dict[str, object] = {"squared weight error": error, "wires": len(self.wiring())}
        sizes = [(layer.n_rows, layer.target.n_inputs) for layer, _ in pairs]
        facts |= {f"layer {n}, realised": f"{rows} x {inputs}" for n, (rows, inputs) in enumerate(sizes)}
        return facts_table(f"mapping of {self.instance.name}", facts)

    def _pairs(self) -> list[tuple[LayerInstance, LayerMapping]]:
        """Every layer with its mapping."""
        parts: tuple[Any, ...] = getattr(self.solution, "layers", (self.solution,))
        layers = layers_of(self.instance)
        if len(parts) != len(layers):
            raise InvalidSolution(f"layers: the instance has {len(layers)}, the mapping {len(parts)}")
        return list(zip(layers, parts, strict=True))
