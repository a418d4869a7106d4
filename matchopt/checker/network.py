"""Rules and objectives of whole networks, by the definition and in memory that the number of samples does not raise."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from matchopt.checker.forward import PlainLayer, Spread, answers, batches, reads, run
from matchopt.checker.layer import layer_violations
from matchopt.checker.objective import layer_objective, realised_rows
from matchopt.checker.report import Violation, total
from matchopt.errors import Refused
from matchopt.instances import FunctionalError, LayerMapping, NetworkInstance, NetworkMapping, ScoreError, TaskLoss

UNCOUNTED = -1  # label of a frame that does not count


def network_violations(instance: NetworkInstance, mapping: NetworkMapping) -> Iterator[Violation]:
    """Every broken rule of a network's mapping."""
    if len(mapping.layers) != len(instance.layers):
        message = f"the mapping must have one part per layer, {len(instance.layers)}, found {len(mapping.layers)}"
        yield Violation("layer-count", message)
        return
    for n, part in enumerate(mapping.layers):
        if not isinstance(part, LayerMapping):
            message = f"layer {n}: its part of the mapping must be of kind layer, found {type(part).__name__}"
            yield Violation("wrong-kind", message, layer=n)
            return
    for n, (layer, part) in enumerate(zip(instance.layers, mapping.layers, strict=True)):
        for violation in layer_violations(layer, part):
            yield replace(violation, message=f"layer {n}, {violation.message}", layer=n)
    spent = sum(len(part.tunable) for part in mapping.layers)
    if instance.tunable is not None and spent > instance.tunable:
        allowed = f"at most {instance.tunable} tunable connections are allowed in all layers, found {spent}"
        yield Violation("network-tunable-budget", f"the network: {allowed}")
    if instance.one_chip:
        yield from _shared_twice(instance, mapping)
    if instance.chained:
        yield from _off_their_lines(instance, mapping)
    yield from _biases(instance, mapping)


def _shared_twice(instance: NetworkInstance, mapping: NetworkMapping) -> Iterator[Violation]:
    """Neurons and lines of the one chip that serve two layers; within a layer the layer's own rules say the same."""
    neuron_of: dict[int, tuple[int, int]] = {}  # number on the chip: layer and row
    line_of: dict[tuple[int, int], tuple[int, int]] = {}  # (bus, line): layer and row
    for n, (layer, part) in enumerate(zip(instance.layers, mapping.layers, strict=True)):
        for a, (i, j) in enumerate(zip(part.row.tolist(), part.neuron_of.tolist(), strict=True)):
            if not 0 <= j < layer.hardware.n_neurons:
                continue
            number, bus = int(layer.hardware.neuron[j]), int(layer.hardware.bus[j])
            other, row = neuron_of.setdefault(number, (n, i))
            if other != n:
                taken = f"neuron {number} of the chip is taken by layer {other}, row {row} already"
                yield Violation("neuron-two-layers", f"layer {n}, row {i}: {taken}", row=i, layer=n)
            for k, _ in part.wires(a):
                other, row = line_of.setdefault((bus, k), (n, i))
                if other != n:
                    taken = f"line {k} of bus {bus} carries an input of layer {other} (row {row}) already"
                    yield Violation("line-two-layers", f"layer {n}, row {i}: {taken}", row=i, layer=n)


def _off_their_lines(instance: NetworkInstance, mapping: NetworkMapping) -> Iterator[Violation]:
    """Cells of chained arrays that listen to a row on another line than that of its hardware neuron."""
    for n in range(1, len(instance.layers)):
        before, part = mapping.layers[n - 1], mapping.layers[n]
        line_of = dict(zip(before.row.tolist(), before.neuron_of.tolist(), strict=True))
        driven = instance.layers[n - 1].hardware.n_neurons  # lines from here on are left to a constant input
        for a, i in enumerate(part.row.tolist()):
            for k, x in part.wires(a):
                if x in line_of and line_of[x] != k:
                    on = f"input {x} is on line {line_of[x]}, which row {x} of layer {n - 1} drives, not on line {k}"
                    yield Violation("line-of-another", f"layer {n}, row {i}: {on}", row=i, layer=n)
                elif x not in line_of and k < driven:
                    on = f"input {x} is on line {k}, which hardware neuron {k} of layer {n - 1} drives"
                    yield Violation("line-of-another", f"layer {n}, row {i}: {on}", row=i, layer=n)


def _biases(instance: NetworkInstance, mapping: NetworkMapping) -> Iterator[Violation]:
    if mapping.biases is None:
        return
    if not instance.adjustable:
        message = "the network: its biases are not adjustable, but the mapping brings biases of its own"
        yield Violation("biases-not-adjustable", message)
        return
    if len(mapping.biases) != len(instance.layers):
        message = f"the network: biases for {len(instance.layers)} layers are needed, found {len(mapping.biases)}"
        yield Violation("biases-count", message)
        return
    for n, (layer, bias) in enumerate(zip(instance.layers, mapping.biases, strict=True)):
        if bias.shape != (layer.n_rows,):
            message = f"layer {n}: biases must have shape {(layer.n_rows,)}, found {bias.shape}"
            yield Violation("biases-shape", message, layer=n)
        elif not np.isfinite(bias).all():
            message = f"layer {n}: biases must be finite numbers, found {bias[~np.isfinite(bias)][0]}"
            yield Violation("biases-not-finite", message, layer=n)


def network_objective(instance: NetworkInstance, mapping: NetworkMapping) -> float:
    """The network's objective at a feasible mapping."""
    if isinstance(instance.objective, TaskLoss):
        return task_loss(instance, mapping, instance.objective)
    if isinstance(instance.objective, FunctionalError):
        return functional_error(instance, mapping, instance.objective)
    if isinstance(instance.objective, ScoreError):
        return score_error(instance, mapping, instance.objective)
    if instance.objective is not None:
        raise Refused(f"the checker does not know the objective {instance.objective.name}")
    pairs = zip(instance.layers, mapping.layers, strict=True)
    return total(layer_objective(layer, part) for layer, part in pairs)


def realised_network(instance: NetworkInstance, mapping: NetworkMapping) -> list[PlainLayer]:
    """What the chip makes of a feasible mapping."""
    chosen = instance.biases if mapping.biases is None else mapping.biases
    found = []
    for n, (layer, part) in enumerate(zip(instance.layers, mapping.layers, strict=True)):
        rows = list(realised_rows(layer, part))
        noise = np.zeros(layer.target.n_inputs)
        for row in rows:
            for x, variance in row.noise.items():
                noise[x] += variance
        found.append(_plain([row.weight for row in rows], noise, None if chosen is None else chosen[n]))
    return found


def target_network(instance: NetworkInstance) -> list[PlainLayer]:
    """The network as it was trained."""
    found = []
    for n, layer in enumerate(instance.layers):
        inputs, weights = layer.target.indices.tolist(), layer.target.weights.tolist()
        parts = [layer.target.row(i) for i in range(layer.n_rows)]
        rows = [dict(zip(inputs[part], weights[part], strict=True)) for part in parts]
        biases = None if instance.biases is None else instance.biases[n]
        found.append(_plain(rows, np.zeros(layer.target.n_inputs), biases))
    return found


def _plain(rows: list[dict[int, float]], noise: np.ndarray, biases: np.ndarray | None) -> PlainLayer:
    if biases is not None:
        return PlainLayer(rows, len(noise), biases, noise)
    last = len(noise) - 1  # hardware biases are the weights of a last input that is always 1
    constants = np.array([row.get(last, 0.0) for row in rows])
    others = [{x: weight for x, weight in row.items() if x != last} for row in rows]
    return PlainLayer(others, last, constants, noise[:last], float(noise[last]))


def task_loss(instance: NetworkInstance, mapping: NetworkMapping, task: TaskLoss) -> float:
    """Mean cross-entropy of the realised network's answers, those of frames that do not count left out."""
    network, losses, count = realised_network(instance, mapping), [], 0
    for inputs, part in batches(instance, task):
        *_, (_, sums) = run(instance, network, inputs)
        labels = task.labels[part].T.ravel()  # columns are in the order frame, sample
        counted = np.flatnonzero(labels != UNCOUNTED)
        logits, labels = answers(instance, sums)[:, counted], labels[counted]
        largest = logits.max(axis=0, initial=-np.inf)
        right = logits[labels, np.arange(len(labels))]
        losses.append(float((largest + np.log(np.exp(logits - largest).sum(axis=0)) - right).sum()))
        count += len(labels)
    return total(losses) / count


def functional_error(instance: NetworkInstance, mapping: NetworkMapping, samples: FunctionalError) -> float:
    """Squared error and read noise of every layer's sums, as shares of the variance of the target's sums."""
    target, realised = target_network(instance), realised_network(instance, mapping)
    errors: list[list[float]] = [[] for _ in instance.layers]
    spreads = [Spread(layer.n_rows) for layer in instance.layers]
    for inputs, _ in batches(instance, samples):
        both = zip(run(instance, target, inputs), run(instance, realised, inputs), strict=True)
        for n, ((_, wanted), (activity, found)) in enumerate(both):
            spreads[n].add(wanted)
            errors[n] += [float(np.square(found - wanted).sum()), realised[n].added(activity)]
    pairs = zip(errors, spreads, strict=True)
    return total(total(error) / spread.count / spread.variance() for error, spread in pairs)


def score_error(instance: NetworkInstance, mapping: NetworkMapping, samples: ScoreError) -> float:
    """What the best multiple of the realised scores leaves of the target's, read noise of the last layer included.

    In two passes: the multiple, then what it leaves.
    """
    target, realised = target_network(instance), realised_network(instance, mapping)

    def scores() -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
        for inputs, _ in batches(instance, samples):
            *_, (_, wanted) = run(instance, target, inputs)
            *_, (activity, found) = run(instance, realised, inputs)
            count, noise = len(found), realised[-1].added(activity) / reads(instance) ** 2
            wanted, found = answers(instance, wanted), answers(instance, found)
            if count > 1:
                wanted, found = wanted - wanted.mean(axis=0), found - found.mean(axis=0)
                noise -= noise / count
            yield wanted, found, noise

    sums = [(float((w * w).sum()), float((w * f).sum()), float((f * f).sum()) + n) for w, f, n in scores()]
    wished, common, size = (total(column) for column in zip(*sums, strict=True))
    if common <= 0.0 or wished <= 0.0 or size <= 0.0:
        return 1.0
    factor = common / size
    left = total(float(np.square(w - factor * f).sum()) + factor**2 * n for w, f, n in scores())
    return min(1.0, left / wished)
