"""A mapping as a report draws it: residuals, what became of every cell of the chip, and the wiring of its neurons."""

from collections import defaultdict
from typing import Any

import numpy as np

from matchopt.errors import InvalidSolution
from matchopt.formats.wiring import layers_of
from matchopt.instances import Instance, LayerInstance, LayerMapping, NetworkMapping, Solution

Facts = dict[str, Any]
STATES = ("unused", "used", "faulty", "stuck")  # of a cell, in the order of their digits
BINS = 41  # of a histogram of residuals, an odd number so that one is around 0
CELLS = 10_000  # of one layer that are drawn one by one; blocks of more than that
WIRES = 2_500  # connections of one mapping whose wiring is kept, those of the worst neurons first


def picture(instance: Instance, solution: Solution) -> Facts:
    """What is drawn of a feasible mapping.

    Returns
    -------
    dict
        layers : for each its size, a histogram of target less realised weights (edges, and counts on a row and input
            that are connected or not), the cells as lines of digits into `STATES`, one a hardware neuron, and how many
            cells of each side one digit stands for.
        neurons : for the target neurons with the largest errors: layer, row, squared error, and their connections as
            lists of input, target weight, realised weight and the cells that realise it.

    Raises
    ------
    InvalidSolution
        for what is no mapping of a layer or network.
    Refused
        for rules that wiring tables do not know.
    """
    layers = layers_of(instance)
    mappings = solution.layers if isinstance(solution, NetworkMapping) else (solution,)
    found, neurons = [], []
    for number, (layer, mapping) in enumerate(zip(layers, mappings, strict=True)):
        if not isinstance(mapping, LayerMapping):
            raise InvalidSolution(f"a {mapping.kind} solution has no cells to draw")
        rows, _, errors = layer.pair_errors(mapping)
        found.append(_residuals(errors, layer.target.n_connections) | _cells(layer, mapping))
        neurons += _neurons(number, layer, mapping, np.bincount(rows, errors**2, layer.n_rows), errors)
    neurons.sort(key=lambda neuron: -neuron["error"])
    sizes = np.cumsum([len(neuron["wires"]) for neuron in neurons])
    return {"layers": found, "neurons": neurons[: max(1, int(np.searchsorted(sizes, WIRES, "right")))]}


def _residuals(errors: np.ndarray, connected: int) -> Facts:
    """The histogram."""
    end = float(np.abs(errors).max(initial=0.0)) or 1.0
    edges = np.linspace(-end, end, BINS + 1)
    others = errors[connected:]
    counts = [np.histogram(part, edges)[0].tolist() for part in (errors[:connected], others[others != 0.0])]
    return {"edges": [float(f"{edge:.4g}") for edge in edges], "connected": counts[0], "unconnected": counts[1]}


def _cells(layer: LayerInstance, mapping: LayerMapping) -> Facts:
    """The states of the cells."""
    chip = layer.hardware
    states = np.where(chip.usable, 0, np.where(chip.off != 0.0, 3, 2))
    states[mapping.neuron_of[mapping.place_of], mapping.cell] = 1
    side = 1
    while -(-states.shape[0] // side) * -(-states.shape[1] // side) > CELLS:
        side += 1
    if side > 1:  # the commonest state of each block
        counts = [_blocks(states == state, side) for state in range(len(STATES))]
        states = np.argmax(counts, axis=0)
    lines = ["".join(map(str, line)) for line in states.tolist()]
    return {"size": list(chip.weights.shape), "side": side, "cells": lines}


def _blocks(where: np.ndarray, side: int) -> np.ndarray:
    """How many are true in each block of `side` x `side`."""
    rows, columns = (np.arange(0, size, side) for size in where.shape)
    counts: np.ndarray = np.add.reduceat(np.add.reduceat(where.astype(np.int64), rows, axis=0), columns, axis=1)
    return counts


def _neurons(
    number: int, layer: LayerInstance, mapping: LayerMapping, squared: np.ndarray, errors: np.ndarray
) -> list[Facts]:
    """The target neurons of a layer with the largest errors, and their connections."""
    target, places = layer.target, defaultdict[tuple[int, int], list[str]](list)
    on = layer.hardware.neuron[mapping.neuron_of[mapping.place_of]]
    for i, x, j, k in zip(*(part.tolist() for part in (mapping.row_of, mapping.input, on, mapping.cell)), strict=True):
        places[i, x].append(f"{j}:{k}")
    found = []
    for i in np.argsort(-squared, kind="stable")[:WIRES].tolist():
        own = np.flatnonzero(target.row_of == i)
        wires = [
            [int(target.indices[e]), _short(target.weights[e]), _short(target.weights[e] - errors[e]),
             " ".join(places[i, int(target.indices[e])])]
            for e in own.tolist()
        ]  # fmt: skip
        found.append({"layer": number, "row": i, "error": _short(squared[i]), "wires": wires})
        if sum(len(neuron["wires"]) for neuron in found) > WIRES:
            break
    return found


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def specs() -> dict[str, tuple[str, str, Facts]]:
    """Heading, explanation and chart of each figure of one mapping, without data; `page.js` makes rows of `picture`."""
    return {
        "residuals": ("Residuals of the best solution",
                      "Target less realised weight, of connections, and of what is realised where there is none.",
                      _bars()),
        "cells": ("Its chip",
                  "Every cell of the layer's hardware neurons: used by the best solution, unused, faulty (cannot be "
                  "switched on), or stuck (adds its value wherever its line is driven). Of large layers each field "
                  "stands for the commonest state of a block.",
                  _map()),
        "wiring": ("The wiring of a neuron",
                   "Each connection of the chosen neuron: target weight, realised weight, and the cells (hardware "
                   "neuron:cell) that realise it; the neurons with the largest errors are kept, the worst first.",
                   _wires()),
    }  # fmt: skip


def _number(field: str, title: str, **more: Any) -> Facts:
    return {"field": field, "type": "quantitative", "title": title, **more}


def _named(field: str, names: tuple[str, ...] = (), colours: tuple[str, ...] = ()) -> Facts:
    scale = {"domain": names, "range": colours} if names else {"scheme": "tableau10"}
    return {
        "field": field,
        "type": "nominal",
        "sort": None,
        "scale": scale,
        "legend": {"title": None, "labelLimit": 260},
    }


def _bars() -> Facts:
    shown = {"x": _number("from", "target less realised weight"), "x2": {"field": "to"},
             "y": _number("count", "weights"), "y2": {"datum": 0}, "color": _named("series"),
             "tooltip": [{"field": name} for name in ("series", "from", "to", "count")]}  # fmt: skip
    return {"width": "container", "height": 260, "mark": {"type": "bar", "opacity": 0.55}, "encoding": shown}


def _map() -> Facts:
    whole = {"scale": {"nice": False}, "axis": {"grid": False, "format": "d"}}
    shown = {"x": _number("cell", "cell", **whole), "x2": {"field": "cell_end"},
             "y": _number("neuron", "hardware neuron", scale={"nice": False, "reverse": True}, axis=whole["axis"]),
             "y2": {"field": "neuron_end"},
             "color": _named("state", STATES, ("#8a949e33", "#4c78a8", "#f2a104", "#d62728")),
             "tooltip": [{"field": name} for name in ("neuron", "cell", "state")]}  # fmt: skip
    return {"width": "container", "height": 320, "mark": {"type": "rect"}, "encoding": shown}


def _wires() -> Facts:
    x = _number("input", "input", scale={"zero": False})
    tip = [{"field": name} for name in ("input", "target", "realised", "cells")]
    layers = [
        {"mark": {"type": "rule", "color": "#888"},
         "encoding": {"y": _number("target", "weight"), "y2": {"field": "realised"}}},
        *({"mark": {"type": "point", "filled": True, "size": 50},
           "encoding": {"y": _number(name, "weight"), "color": {"datum": name, **_named_scale()}}}
          for name in ("target", "realised")),
    ]  # fmt: skip
    return {"width": "container", "height": 260, "encoding": {"x": x, "tooltip": tip}, "layer": layers}


def _named_scale() -> Facts:
    found = _named("", ("target", "realised"), ("#f2a104", "#4c78a8"))
    return {name: found[name] for name in ("type", "sort", "scale", "legend")}
