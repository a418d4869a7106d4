"""The neurons and lines of one chip shared out among its layers, for solvers that do not know what layers share."""

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
from jaxtyping import Int

from matchopt.errors import Refused
from matchopt.instances import Hardware, LayerMapping, NetworkInstance, NetworkMapping, Solution
from matchopt.proofs.infeasible import constructed
from matchopt.reduce.beginning import beginning
from matchopt.reduce.one_chip import coupled_buses
from matchopt.reduce.reduction import Reduction

Shares = list[Int[np.ndarray, " neurons"]]


def shared_out(network: NetworkInstance, start: Solution | None) -> Reduction:
    """Give each layer neurons and lines of the chip of its own: those that a mapping uses, and a share of the others.

    The network with such layers has the same objective, and every feasible mapping of it is one of `network`; but the
    best of `network` may be shared out in another way, so bounds and claims do not carry over.

    Parameters
    ----------
    network : whose layers draw on one chip; otherwise it is refused.
    start : a feasible mapping of it; None for one made without a solver.

    Raises
    ------
    Refused
        when no mapping is known.
    """
    known = start or (beginning(network) or constructed(network) if network.one_chip else None)
    if not isinstance(known, NetworkMapping):
        raise Refused("the chip cannot be shared out among its layers: no mapping to begin with is known")
    shares = _neurons(network, known)
    lines = _lines(network, known, shares)
    layers = tuple(
        replace(layer, hardware=_part(layer.hardware, own, lines, n))
        for n, (layer, own) in enumerate(zip(network.layers, shares, strict=True))
    )
    apart = replace(network, layers=layers, one_chip=False)

    def lift(solutions: Sequence[Solution]) -> NetworkMapping:
        (whole,) = solutions
        if not isinstance(whole, NetworkMapping):
            raise Refused(f"expected a network mapping, found a {whole.kind} solution")
        pairs = zip(whole.layers, shares, strict=True)
        return replace(whole, layers=tuple(replace(part, neuron_of=own[part.neuron_of]) for part, own in pairs))

    def lower(solution: Solution) -> tuple[NetworkMapping]:
        if not isinstance(solution, NetworkMapping):
            raise Refused(f"expected a network mapping, found a {solution.kind} solution")
        found: list[LayerMapping] = []
        for part, own, layer in zip(solution.layers, shares, network.layers, strict=True):
            at = np.full(layer.hardware.n_neurons, -1)
            at[own] = np.arange(len(own))
            if at[part.neuron_of].min(initial=0) < 0:
                raise Refused("the mapping uses neurons of another layer's share")
            found.append(replace(part, neuron_of=at[part.neuron_of]))
        return (replace(solution, layers=tuple(found)),)

    return Reduction("shares of the chip", (apart,), lift, lower)


def _neurons(network: NetworkInstance, known: NetworkMapping) -> Shares:
    """Places in each layer's hardware of the neurons that are its own: each spare one goes where fewest went by row."""
    owner: dict[int, int] = {}
    for n, (layer, part) in enumerate(zip(network.layers, known.layers, strict=True)):
        owner |= dict.fromkeys(layer.hardware.neuron[part.neuron_of].tolist(), n)
    offered = [set(layer.hardware.neuron.tolist()) for layer in network.layers]
    given = [0] * len(network.layers)
    for number in sorted(set().union(*offered) - set(owner)):
        takers = [n for n, own in enumerate(offered) if number in own]
        taker = min(takers, key=lambda n: given[n] / max(1, network.layers[n].n_rows))
        owner[number], given[taker] = taker, given[taker] + 1
    return [
        np.array([j for j, number in enumerate(layer.hardware.neuron.tolist()) if owner[number] == n], np.int64)
        for n, layer in enumerate(network.layers)
    ]


def _lines(network: NetworkInstance, known: NetworkMapping, shares: Shares) -> dict[tuple[int, int], int]:
    """The layer that each line belongs to, of buses on which several layers have neurons."""
    users: dict[int, list[int]] = {}
    coupled = coupled_buses(network)
    for n, (layer, own) in enumerate(zip(network.layers, shares, strict=True)):
        for bus in sorted(set(layer.hardware.bus[own].tolist()) & coupled):
            users.setdefault(bus, []).append(n)
    users = {bus: layers for bus, layers in users.items() if len(layers) > 1}
    owner: dict[tuple[int, int], int] = {}
    for n, (layer, part) in enumerate(zip(network.layers, known.layers, strict=True)):
        for a, j in enumerate(part.neuron_of.tolist()):
            bus = int(layer.hardware.bus[j])
            owner |= {(bus, k): n for k, _ in part.wires(a) if bus in users}
    most = max(layer.hardware.n_cells for layer in network.layers)
    for bus, layers in users.items():
        for at, k in enumerate(k for k in range(most) if (bus, k) not in owner):
            owner[bus, k] = layers[at % len(layers)]
    return owner


def _part(chip: Hardware, own: Int[np.ndarray, " some"], lines: dict[tuple[int, int], int], layer: int) -> Hardware:
    """These neurons alone, without the cells on lines of other layers."""
    usable = np.array(chip.usable[own])
    for at, bus in enumerate(chip.bus[own].tolist()):
        usable[at] &= [lines.get((bus, k), layer) == layer for k in range(chip.n_cells)]
    taken = {each.name: getattr(chip, each.name) for each in fields(chip)}
    arrays = {name: value[own] for name, value in taken.items() if isinstance(value, np.ndarray)}
    return replace(chip, **{**arrays, "usable": usable})
