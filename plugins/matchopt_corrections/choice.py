"""Which connections get a fully tunable weight."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from matchopt import LayerMapping, NetworkInstance, NetworkMapping
from matchopt_corrections.beginning import samples_of
from matchopt_corrections.training import small_network

SAMPLES = 4_000  # that a score is measured on
Scores = list[np.ndarray]  # one for each connection of each layer's target; the largest are chosen


def room(instance: NetworkInstance, mapping: NetworkMapping) -> tuple[list[int], int]:
    """How many more tunable connections the rules allow: in each layer, and in the whole network."""
    layers = [
        layer.rules.tunable - len(part.tunable) for layer, part in zip(instance.layers, mapping.layers, strict=True)
    ]
    used = sum(len(part.tunable) for part in mapping.layers)
    return layers, sum(layers) if instance.tunable is None else min(sum(layers), instance.tunable - used)


def choose(
    instance: NetworkInstance, mapping: NetworkMapping, scores: Scores, count: int, layers: Sequence[int]
) -> list[np.ndarray]:
    """Connections of the highest scores, at most `count` in all and as many as each layer has room for.

    Those that are tunable already are not counted and not chosen. Of equal scores the first come first.
    """
    caps = [min(cap, len(score)) for cap, score in zip(layers, scores, strict=True)]
    candidates = []
    for n, (score, part) in enumerate(zip(scores, mapping.layers, strict=True)):
        free = np.setdiff1d(np.arange(len(score)), part.tunable)
        best = free[np.argsort(-score[free], kind="stable")[: caps[n]]]
        candidates += [(-float(score[e]), n, int(e)) for e in best]
    chosen = sorted(candidates)[:count]
    return [np.array(sorted(e for _, m, e in chosen if m == n), np.int64) for n in range(len(scores))]


def with_tunable(
    instance: NetworkInstance, mapping: NetworkMapping, chosen: Sequence[np.ndarray], *, at_target: bool = True
) -> NetworkMapping:
    """The mapping with these connections on tunable weights; the cells that served them are free.

    Their values are the target's (measured to be the better place to train from), or with `at_target` false those that
    were realised so far. Connections that were tunable already keep theirs.
    """
    layers = []
    for layer, part, added in zip(instance.layers, mapping.layers, chosen, strict=True):
        if len(added) == 0:
            layers.append(part)
            continue
        tunable = np.union1d(part.tunable, added)
        place = layer.target.row_of[tunable], layer.target.indices[tunable]
        values = layer.realised(part)[place]
        if at_target:
            values = np.where(np.isin(tunable, part.tunable), values, layer.target.weights[tunable])
        layers.append(replace(_unwired(part, place), tunable=tunable, tuned=values))
    return NetworkMapping(tuple(layers), mapping.biases)


def _unwired(part: LayerMapping, place: tuple[np.ndarray, np.ndarray]) -> LayerMapping:
    """The mapping without the wires that serve these (row, input) pairs."""
    gone = set(zip(*(axis.tolist() for axis in place), strict=True))
    kept = np.array([pair not in gone for pair in zip(part.row_of.tolist(), part.input.tolist(), strict=True)], bool)
    counts = np.bincount(part.row_of[kept], minlength=part.n_rows)
    starts = np.concatenate([[0], np.cumsum(counts)])
    return replace(part, wire_indptr=starts, cell=part.cell[kept], input=part.input[kept])


def _errors(instance: NetworkInstance, mapping: NetworkMapping, rng: np.random.Generator) -> Scores:
    del rng
    pairs = zip(instance.layers, mapping.layers, strict=True)
    return [np.abs(layer.pair_errors(part)[2][: layer.target.n_connections]) for layer, part in pairs]


def _curvature(instance: NetworkInstance, mapping: NetworkMapping, rng: np.random.Generator) -> Scores:
    samples = samples_of(instance)
    network, used = small_network(instance, mapping)
    which = np.sort(rng.permutation(len(samples.inputs))[: _at_once(instance)])
    received = network.received((samples.rows(which)[:, used]).astype(np.float32))[:-1]
    strength = [np.sqrt((x.astype(np.float64) ** 2).mean(axis=0)) for x in received]
    if instance.runs.plain:  # of which the network above has those inputs only that are listened to
        first = np.sqrt((samples.rows(which) ** 2).mean(axis=0))
        strength[0] = first if instance.biases is not None else np.append(first, 1.0)
    errors = _errors(instance, mapping, rng)
    return [e * x[layer.target.indices] for e, x, layer in zip(errors, strength, instance.layers, strict=True)]


def _gradient(instance: NetworkInstance, mapping: NetworkMapping, rng: np.random.Generator) -> Scores:
    assert instance.objective is not None and instance.objective.classes is not None
    labels = instance.objective.classes
    every = [np.arange(layer.target.n_connections) for layer in instance.layers]
    network, used = small_network(instance, with_tunable(instance, mapping, every, at_target=False))
    which = np.sort(rng.permutation(len(labels))[: _at_once(instance)])
    inputs = samples_of(instance).rows(which)[:, used].astype(np.float32)
    return [np.abs(slope) for slope in network.gradients(inputs, labels[which])[0]]


def _at_once(instance: NetworkInstance) -> int:
    """Samples that a score is measured on: fewer where each has many places."""
    return SAMPLES if instance.runs.plain else min(SAMPLES, instance.runs.step)


def _random(instance: NetworkInstance, mapping: NetworkMapping, rng: np.random.Generator) -> Scores:
    del mapping
    return [rng.random(layer.target.n_connections) for layer in instance.layers]


SCORES: Mapping[str, Callable[[NetworkInstance, NetworkMapping, np.random.Generator], Scores]] = {
    "curvature": _curvature,
    "gradient": _gradient,
    "error": _errors,
    "random": _random,
}
