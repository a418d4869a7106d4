"""train-biases and tune: gradients that are right, a budget that is kept, frozen weights that stay frozen."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matchopt_corrections import TrainBiases, Tune
from matchopt_corrections.backpropagation import Adam, SmallNetwork
from matchopt_corrections.beginning import begin
from matchopt_corrections.choice import SCORES, with_tunable
from matchopt_corrections.training import small_network
from solvers.corrected import SAMPLES, WIDTHS, network, realised, solved

from matchopt import Hardware, LayerMapping, Limit, Limits, NetworkMapping, TaskLoss, is_feasible
from matchopt.run import solve
from matchopt.solver import Status

CONNECTIONS = 4 * sum(WIDTHS[1:])
ALL = {"tunable": CONNECTIONS}


def connections(instance, mapping):
    """Realised weight of every connection of the target, layer by layer."""
    pairs = zip(instance.layers, realised(instance, mapping), strict=True)
    return [matrix[layer.target.row_of, layer.target.indices] for layer, matrix in pairs]


def double(net):
    """The same network in float64, for differences."""
    biases = None if net.biases is None else [bias.astype(float) for bias in net.biases]
    return SmallNetwork([matrix.astype(float) for matrix in net.weights], biases, net.entries, net.train_biases)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), hardware_biases=st.booleans())
def test_gradients_are_those_of_finite_differences(seed, hardware_biases):
    """Of every tunable weight and every bias, against central differences of the loss in float64."""
    instance = network(seed, hardware_biases=hardware_biases, **ALL)
    chosen = [np.arange(0, layer.target.n_connections, 3) for layer in instance.layers]
    mapping = with_tunable(instance, begin(instance, Limits()), chosen, at_target=False)
    small, used = small_network(instance, mapping)
    net = double(small)
    inputs, labels = instance.objective.inputs[:50][:, used], instance.objective.labels[:50]
    gradient, values = net.gradient(inputs, labels), net.parameters
    assert len(values) == sum(map(len, chosen)) + (0 if hardware_biases else sum(WIDTHS[1:]))
    for n in range(len(values)):
        slopes = []
        for step in (1e-6, -1e-6):
            moved = values.copy()
            moved[n] += step
            net.set_parameters(moved)
            slopes.append(net.loss(inputs, labels) / (2 * step))
        assert gradient[n] == pytest.approx(sum(slopes), abs=1e-6, rel=1e-4)


def test_the_small_network_is_the_mapped_network():
    """Its loss, without the inputs nobody listens to, is the instance's objective."""
    for hardware_biases in (False, True):
        instance = network(1, hardware_biases=hardware_biases, drop=True, **ALL)
        mapping = begin(instance, Limits())
        net, used = small_network(instance, mapping)
        loss = net.loss(instance.objective.inputs[:, used].astype(np.float32), instance.objective.labels)
        assert loss == pytest.approx(instance.value(mapping), rel=1e-5)


def test_adam_is_adam():
    """The first step has the size of its rate whatever the gradient; then as the published recursion says."""
    adam = Adam(np.array([0.1, 0.2]))
    assert adam.step(np.array([1e-3, -5.0]), 1.0) == pytest.approx([-0.1, 0.2], rel=1e-4)
    first, second = 0.1 * np.array([1e-3, -5.0]), 1e-3 * np.array([1e-3, -5.0]) ** 2
    slope = np.array([2e-3, 1.0])
    first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 1e-3 * slope**2
    wanted = -0.5 * np.array([0.1, 0.2]) * (first / (1 - 0.9**2)) / (np.sqrt(second / (1 - 0.999**2)) + 1e-8)
    assert adam.step(slope, 0.5) == pytest.approx(wanted)


@pytest.mark.parametrize("choose", list(SCORES))
@pytest.mark.parametrize("budget", [1, 5, 40])
def test_frozen_weights_are_bitwise_unchanged_and_the_budget_is_kept(choose, budget):
    """All but the tunable connections realise the very same numbers; there are as many of those as allowed."""
    instance = network(2, budget=budget, **ALL)
    start = begin(instance, Limits())
    result = solved(Tune(choose=choose, epochs=20), instance, start)
    assert is_feasible(instance, result.solution) and result.stats["tuned"] == budget
    before, after = connections(instance, start), connections(instance, result.solution)
    changed = 0
    for n, part in enumerate(result.solution.layers):
        frozen = np.setdiff1d(np.arange(len(before[n])), part.tunable)
        assert before[n][frozen].tobytes() == after[n][frozen].tobytes()
        changed += int((before[n] != after[n]).sum())
    assert 0 < changed <= budget
    assert result.stats["held-out loss"] < result.stats["held-out loss before"]


def test_training_begins_where_nothing_is_disturbed():
    """At the target's values; but at what is realised where rows have other scales, which those disturb."""
    instance, slowly = network(2, budget=6, **ALL), Tune(epochs=1, rate=1e-4, bias_rate=1e-4)
    assert max(distances(instance, solved(slowly, instance, begin(instance, Limits())).solution)) < 0.01
    layers, parts = [], []
    for layer, factor in zip(instance.layers, (8.0, 0.125, 1.0), strict=True):
        own = factor * layer.target.weights.reshape(layer.n_rows, -1)
        layers.append(replace(layer, hardware=Hardware(own)))
        cells = np.tile(np.arange(own.shape[1]), layer.n_rows)
        parts.append(LayerMapping.from_cells(layer.target, np.arange(layer.n_rows), cells))
    scaled = replace(instance, layers=tuple(layers))
    start = NetworkMapping(tuple(parts), (8.0 * instance.biases[0], *instance.biases[1:]))
    found = solved(slowly, scaled, start).solution
    assert sum(len(part.tunable) for part in found.layers) == 6
    assert max(distances(scaled, found)) > 0.5 and max(distances(scaled, found, start)) < 0.01


def distances(instance, found, start=None):
    """How far tunable connections are at most from the target's values, or from those of a start, in each layer."""
    targets = [layer.target.weights for layer in instance.layers]
    wanted = targets if start is None else connections(instance, start)
    pairs = zip(wanted, found.layers, strict=True)
    return [float(np.abs(values[part.tunable] - part.tuned).max(initial=0.0)) for values, part in pairs]


@pytest.mark.parametrize("choose", list(SCORES))
def test_no_budget_equals_biases_only(choose):
    """Bit by bit, whatever the score would have chosen."""
    instance = network(3, budget=0, **ALL)
    one = solved(Tune(choose=choose, epochs=3, bias_rate=2e-3), instance)
    same = solved(Tune(choose=choose, epochs=3, budget=0.0), network(3, **ALL))
    assert one.solution.digest == same.solution.digest
    biases = solved(TrainBiases(epochs=3), instance)
    layers = [part.digest for part in one.solution.layers]
    assert layers == [part.digest for part in biases.solution.layers] and one.stats["tuned"] == 0
    assert all(np.array_equal(a, b) for a, b in zip(one.solution.biases, biases.solution.biases, strict=True))


def test_biases_stay_where_they_cannot_be_set():
    """Only the tunable connections are trained then."""
    instance = network(4, budget=6, adjustable=False, **ALL)
    result = solved(Tune(), instance)
    assert result.solution.biases is None and result.stats["biases"] == 0 and is_feasible(instance, result.solution)
    assert result.stats["held-out loss"] < result.stats["held-out loss before"] and result.stats["tuned"] == 6


def test_the_same_seed_gives_the_same_values():
    """And another seed another order, another choice and other values."""
    instance = network(5, budget=6, **ALL)
    solver = Tune(choose="random")
    one, same, other = (solved(solver, instance, seed=seed).solution for seed in (0, 0, 1))
    assert one.digest == same.digest != other.digest
    assert [p.tunable.tolist() for p in one.layers] != [p.tunable.tolist() for p in other.layers]


def test_a_tenth_of_the_samples_is_never_trained_on():
    """Other labels there change the judgement, and not one value of what is judged."""
    from matchopt_corrections.training import Plan, Training

    instance = network(6, **ALL)
    start = begin(instance, Limits())
    one = Training(instance, start, np.random.default_rng(0))
    assert len(one.held_out) == SAMPLES // 10 and set(one.held_out) | set(one.seen) == set(range(SAMPLES))
    labels = instance.objective.labels.copy()
    labels[one.held_out] = (labels[one.held_out] + 1) % 4
    changed = replace(instance, objective=TaskLoss(instance.objective.inputs, labels))
    other = Training(changed, start, np.random.default_rng(0))
    plan = Plan(2, 5e-3, 2e-3, 50)
    losses = list(zip(one.run(plan, Limits()), other.run(plan, Limits()), strict=True))
    assert one.mapping().digest == other.mapping().digest and all(a != b for a, b in losses)


def test_the_best_epoch_is_kept_and_reported():
    """Every incumbent lowers the held-out loss; what comes back is the last of them."""
    instance = network(7, budget=10, **ALL)
    seen = []
    limits = Limits(on_incumbent=lambda solution, bound: seen.append(solution))
    result = Tune(epochs=6, rate=0.1, bias_rate=0.1).solve(instance, limits, np.random.default_rng(0))
    assert result.solution is seen[-1] and 1 <= len(seen) <= 6
    assert result.stats["held-out loss"] < result.stats["held-out loss before"]


def test_what_training_does_not_improve_stays_as_it_is():
    """A target that fits its hardware exactly and labels of its own: steps that are too large only harm."""
    instance = network(8, budget=4, **ALL)
    start = begin(instance, Limits())
    good = solved(Tune(epochs=30), instance, start).solution
    result = solved(Tune(epochs=1, rate=50.0, bias_rate=50.0), instance, good)
    assert result.solution is good and result.status is Status.FEASIBLE
    assert result.message.startswith("training did not lower the loss on the samples set aside")


@pytest.mark.parametrize("solver", [Tune(epochs=3, rate=1e38, bias_rate=1e38), TrainBiases(epochs=3, rate=1e38)])
def test_a_loss_that_is_no_number_is_an_error_with_the_last_good_mapping(solver):
    """The run keeps it, and the pipeline goes on from there."""
    instance = network(9, budget=8, **ALL)
    start = begin(instance, Limits())
    result = solved(solver, instance, start)
    assert result.status is Status.ERROR and result.solution is start
    assert result.message == "the loss became nan in epoch 1; try smaller step sizes"


@pytest.mark.slow
def test_a_diverged_stage_does_not_spoil_a_pipeline():
    """Its record says error; the mapping before it is the answer, and the stage after it improves on that."""
    instance = network(9, budget=8, **ALL)
    options = {"2.rate": 1e38, "2.bias_rate": 1e38}
    run = solve(instance, "hungarian+tune+tune", options=options, certify=False)
    assert [stage.status for stage in run.stages] == [Status.FEASIBLE, Status.ERROR, Status.FEASIBLE]
    assert run.stages[1].objective == run.stages[0].objective > run.stages[2].objective == run.objective
    assert run.solution.biases is not None and run.stages[2].stats["tuned"] == 8


def test_tuning_again_keeps_within_the_budget():
    """Connections that are tunable already count, keep their values to begin from, and stay tunable."""
    instance = network(10, budget=9, **ALL)
    first = solved(Tune(budget=5 / CONNECTIONS), instance).solution
    second = solved(Tune(choose="random"), instance, first).solution
    counts = [sum(len(part.tunable) for part in mapping.layers) for mapping in (first, second)]
    assert counts == [5, 9] and is_feasible(instance, second)
    for old, new in zip(first.layers, second.layers, strict=True):
        assert set(old.tunable) <= set(new.tunable)
    more = [np.setdiff1d(np.arange(3), part.tunable) for part in first.layers]
    begun = with_tunable(instance, first, more)
    for old, new in zip(first.layers, begun.layers, strict=True):
        if len(old.tunable):
            assert np.array_equal(new.tuned[np.isin(new.tunable, old.tunable)], old.tuned)


@pytest.mark.parametrize(
    ("tunable", "budget", "solver", "counts"),
    [
        (2, None, Tune(), [2, 2, 2]),
        (2, 3, Tune(), None),
        (CONNECTIONS, None, Tune(where="last-layer"), [0, 0, 16]),
        (5, None, Tune(where="last-layer"), [0, 0, 5]),
        (CONNECTIONS, CONNECTIONS, Tune(where="all"), [48, 32, 16]),
        (CONNECTIONS, None, Tune(where="all", budget=0.25), None),
    ],
)
def test_where_the_budget_goes(tunable, budget, solver, counts):
    """At most what a layer, the network and the option allow; of the highest scores."""
    instance = network(11, tunable=tunable, budget=budget)
    found = [len(part.tunable) for part in solved(solver, instance).solution.layers]
    most = min(x for x in (budget, round(solver.budget * CONNECTIONS), 3 * tunable) if x is not None)
    assert found == counts or (counts is None and sum(found) == most and max(found) <= tunable)


def test_the_scores_mean_what_they_say():
    """error and curvature from the realised weights, gradient from finite differences of the loss."""
    instance = network(12, **ALL)
    start = begin(instance, Limits())
    rng = np.random.default_rng(0)
    wanted = [
        np.abs(w - layer.target.weights) for w, layer in zip(connections(instance, start), instance.layers, strict=True)
    ]
    for score, ideal in zip(SCORES["error"](instance, start, rng), wanted, strict=True):
        assert score == pytest.approx(ideal)
    inputs, received = instance.objective.inputs, []
    for matrix, bias in zip(realised(instance, start), instance.biases, strict=True):
        received.append(inputs)
        inputs = np.maximum(inputs @ matrix.T + bias, 0.0)
    curvature = SCORES["curvature"](instance, start, rng)
    for score, error, x, layer in zip(curvature, wanted, received, instance.layers, strict=True):
        assert score == pytest.approx(error * np.sqrt((x**2).mean(axis=0))[layer.target.indices], rel=1e-4)
    gradient = SCORES["gradient"](instance, start, rng)
    every = with_tunable(instance, start, [np.arange(len(score)) for score in gradient], at_target=False)
    for n, e in ((0, 7), (1, 3), (2, 11)):
        values = []
        for step in (1e-6, -1e-6):
            tuned = every.layers[n].tuned.copy()
            tuned[e] += step
            part = replace(every.layers[n], tuned=tuned)
            values.append(instance.value(replace(every, layers=(*every.layers[:n], part, *every.layers[n + 1 :]))))
        assert gradient[n][e] == pytest.approx(abs(values[0] - values[1]) / 2e-6, rel=1e-3, abs=1e-6)
    assert max(part.max() for part in gradient) > 0


@pytest.mark.parametrize(
    ("solver", "instance", "reason"),
    [
        (Tune(), network(objective="functional-error", **ALL), "training needs labels"),
        (TrainBiases(), network(objective="functional-error"), "training needs labels"),
        (TrainBiases(), network(adjustable=False), "its biases cannot be adjusted"),
        (Tune(), network(adjustable=False), "its rules allow no tunable connections, and its biases cannot"),
        (Tune(where="all"), network(tunable=10), "where=all tunes 96 connections; its rules allow 30"),
        (Tune(where="all"), network(tunable=96, budget=95), "where=all tunes 96 connections; its rules allow 95"),
    ],
)
def test_refusals_say_why(solver, instance, reason):
    """Before anything is tried; no labels are ever made up."""
    assert solver.refuses(instance).startswith(reason)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Tune(budget=1.5), "budget must be a number >= 0 and <= 1"),
        (lambda: Tune(epochs=-1), "epochs must be a whole number >= 0"),
        (lambda: Tune(rate=0.0), "rate must be a finite number > 0"),
        (lambda: TrainBiases(batch=0), "batch must be a whole number >= 1"),
        (lambda: Tune(choose="best"), "choose must be one of curvature, gradient, error, random or none, found 'best'"),
    ],
)
def test_options_out_of_range(make, text):
    """One sentence each."""
    with pytest.raises(ValueError, match=text):
        make()


def test_limits_end_the_training():
    """An iteration limit counts epochs; no time at all returns the start."""
    instance = network(13, budget=5, **ALL)
    start = begin(instance, Limits())
    assert solved(Tune(epochs=4), instance, start, iterations=1).stats["epochs"] == 1
    assert solved(Tune(epochs=4), instance, start, iterations=1).limit is Limit.ITERATION
    late = solved(Tune(), instance, start, seconds=0.0)
    assert late.solution is start and late.limit is Limit.TIME
    nothing = solved(TrainBiases(), instance, seconds=0.0)
    assert nothing.solution is None and nothing.message.endswith("hungarian+train-biases")


def test_dropped_connections_can_be_tuned():
    """A connection without a wire gets its weight from nowhere else."""
    instance = network(14, budget=12, drop=True, **ALL)
    start = begin(instance, Limits())
    bare = NetworkMapping(
        tuple(replace(p, wire_indptr=0 * p.wire_indptr, cell=p.cell[:0], input=p.input[:0]) for p in start.layers)
    )
    assert is_feasible(instance, bare)
    result = solved(Tune(), instance, bare)
    assert is_feasible(instance, result.solution) and result.stats["tuned"] == 12
    assert sum(int((w != 0).sum()) for w in connections(instance, result.solution)) <= 12
