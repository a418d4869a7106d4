"""Random layers under random rules, and random feasible mappings of them, for property tests."""

from dataclasses import replace

import numpy as np

from matchopt.instances import Gains, Hardware, LayerInstance, LayerMapping, OutputError, Rules, Target, WeightError


def random_layer(
    rng: np.random.Generator,
    *,
    shared: bool | None = None,
    cells: int | None = None,
    tunable: int | None = None,
    gains: Gains | None = None,
    correlated: bool | None = None,
    wired: bool = False,
) -> LayerInstance:
    """A tiny layer; options left at None are drawn; `wired` for some or all cells hard-wired."""
    m, n_inputs = int(rng.integers(1, 3)), int(rng.integers(1, 4))
    neurons, n_cells = m + int(rng.integers(0, 2)), n_inputs + int(rng.integers(0, 2))
    support = rng.random((m, n_inputs)) < 0.7
    importance = rng.uniform(0.1, 3.0, (m, n_inputs)) if rng.random() < 0.5 else None
    target = Target.from_dense(np.where(support, rng.standard_normal((m, n_inputs)), 0.0), support, importance)
    shared = bool(rng.random() < 0.5) if shared is None else shared
    hardware = Hardware(
        rng.standard_normal((neurons, n_cells)),
        rng.uniform(0.0, 0.3, (neurons, n_cells)) if rng.random() < 0.5 else None,
        rng.random((neurons, n_cells)) < 0.85 if rng.random() < 0.3 else None,
        0.3 * rng.standard_normal((neurons, n_cells)) if rng.random() < 0.5 else None,
        rng.integers(0, 2, neurons) if shared else None,
    )
    if wired:
        own = rng.integers(-1 if rng.random() < 0.5 else 0, n_inputs, (max(2, neurons), n_cells))
        hardware = replace(hardware, input=own[hardware.bus] if shared else own[:neurons])
    some_gains = (Gains(), Gains.finite(0.5, 1.0), Gains.finite(-1.0, 1.0))
    rules = Rules(
        cells_per_weight=int(rng.integers(1, 3)) if cells is None else cells,
        drop=bool(rng.random() < 0.5),
        extra_inputs=bool(rng.random() < 0.3),
        gains=some_gains[int(rng.integers(3))] if gains is None else gains,
        tunable=int(rng.integers(0, 2)) if tunable is None else tunable,
    )
    factor = rng.standard_normal((n_inputs, n_inputs))
    correlated = bool(rng.random() < 0.4) if correlated is None else correlated
    objective = OutputError(factor @ factor.T) if correlated else WeightError()
    return LayerInstance(target, hardware, rules, objective)


def random_menus(rng: np.random.Generator, shape: tuple[int, ...], kinds: str) -> dict[str, np.ndarray]:
    """Fields of `Hardware` for cells that can be written: of each kind named ("range", "levels", "fixed") some."""
    kind = rng.choice(kinds.split(), shape)
    low = np.where(kind == "range", rng.normal(size=shape), np.nan)
    levels = np.where(
        (kind == "levels")[..., None] & (rng.random((*shape, 3)) < 0.8), rng.normal(size=(*shape, 3)), np.nan
    )
    noise = {"write_variance": rng.random(shape) / 10, "level_variance": rng.random((*shape, 3)) / 10}
    return {"low": low, "high": low + rng.exponential(size=shape), "levels": levels, **noise}


def random_mapping(layer: LayerInstance, rng: np.random.Generator, tries: int = 200) -> LayerMapping | None:
    """A random feasible mapping, None when `tries` random draws found none."""
    for _ in range(tries):
        mapping = _draw(layer, rng)
        if mapping is not None:
            return mapping
    return None


def _draw(layer: LayerInstance, rng: np.random.Generator) -> LayerMapping | None:
    target, hardware, rules = layer.target, layer.hardware, layer.rules
    neuron_of = rng.permutation(hardware.n_neurons)[: layer.n_rows]
    tuned = np.sort(rng.permutation(target.n_connections)[: int(rng.integers(0, rules.tunable + 1))])
    inputs_of_line = {}
    for bus in np.unique(hardware.bus).tolist():
        slots = np.repeat(np.arange(target.n_inputs), rules.cells_per_weight)
        lines = rng.permutation(np.concatenate([slots, np.full(hardware.n_cells, -1)]))[: hardware.n_cells]
        inputs_of_line[bus] = rng.permutation(lines)
    counts, cells, inputs = [], [], []
    for i, j in enumerate(neuron_of.tolist()):
        row = target.row(i)
        support = set(target.indices[row].tolist())
        exact = {int(target.indices[e]) for e in tuned if row.start <= e < row.stop}
        chosen = []
        for k, x in enumerate(inputs_of_line[int(hardware.bus[j])].tolist()):
            x = int(hardware.input[j, k]) if hardware.input[j, k] >= 0 else x
            legal = x >= 0 and x not in exact and bool(hardware.usable[j, k])
            legal = legal and sum(other == x for _, other in chosen) < rules.cells_per_weight
            if legal and (x in support or rules.extra_inputs) and rng.random() < 0.8:
                chosen.append((k, x))
        if not rules.drop and support - exact - {x for _, x in chosen}:
            return None
        counts.append(len(chosen))
        cells += [k for k, _ in chosen]
        inputs += [x for _, x in chosen]
    gains = rules.gains.values or (rules.gains.low, rules.gains.high)
    gain = rng.choice(gains, layer.n_rows)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(int)
    return LayerMapping(neuron_of, starts, np.array(cells, int), np.array(inputs, int), gain, tuned)
