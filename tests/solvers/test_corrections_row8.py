"""The ladder on the network that ships: each rung is worth what was measured in an independent trial.

Figures of the trial: the optimal weight mapping at K/n 1 keeps about 54 % of 96.8 %; biases alone bring 89 %, 5 % of
the connections besides 91.6 %, the last layer 92 %, all of them 96.3 %. Validation images, one hardware draw, margins
for the draw and for the shorter training here.
"""

from pathlib import Path

import numpy as np
import pytest
from matchopt_corrections import FitGains, Recalibrate, TrainBiases, Tune
from matchopt_corrections.beginning import begin
from solvers.corrected import solved

from matchopt import Gains, Limits, Rules
from matchopt.network import draw_hardware, export_network, load_mnist, measure, read_network, realise
from matchopt.run import solve

TARGET = Path(__file__).parents[2] / "problems" / "networks" / "row8-seed0.safetensors"
IMAGES = 20_000
CONNECTIONS = 3_500


@pytest.fixture(scope="module")
def data():
    """MNIST."""
    return load_mnist()


def chip(data, *, objective="task-loss", gains=None, images=IMAGES):
    """The fan-in 8/8/30 network on gaussian hardware, K/n 1, M/m 1, seed 0, everything adjustable."""
    network = read_network(TARGET)
    return export_network(
        network,
        draw_hardware(network, "gaussian", 1.0, 1.0, 0),
        rules=Rules(tunable=CONNECTIONS, gains=gains or Gains()),
        objective=objective,
        biases="adjustable",
        sample_inputs=np.rint(data.train_images[:images] * 255).astype(np.uint8),
        sample_labels=data.train_labels[:images] if objective == "task-loss" else None,
        sample_scale=1 / 255,
        tunable=CONNECTIONS,
    )


def validation(data, instance, mapping):
    """Percent of the validation images classified correctly."""
    return 100 * measure(realise(instance, mapping), data.validation_images, data.validation_labels).accuracy


@pytest.mark.slow
def test_each_rung_is_worth_what_it_should(data):
    """Start, biases, 5 %, last layer, all: within the margins, and each better than the one before."""
    instance = chip(data)
    start = begin(instance, Limits())
    rungs = [
        (TrainBiases(epochs=8), (86, 93), 0),
        (Tune(budget=0.05, epochs=4), (89, 95), 175),
        (Tune(where="all", epochs=4), (95, 97.2), CONNECTIONS),
    ]
    reached = [validation(data, instance, start)]
    assert 40 < reached[0] < 66
    for solver, (low, high), tuned in rungs:
        run = solve(instance, solver, start=start, certify=False)  # in a process of its own, with one thread
        assert run.stats["tuned"] == tuned
        reached.append(validation(data, instance, run.solution))
        assert low < reached[-1] < high, (solver, reached)
    assert reached == sorted(reached)


@pytest.mark.slow
def test_label_free_corrections_lower_the_functional_error(data):
    """Biases by a factor of two or more, gains besides once more; gains also win accuracy back."""
    instance = chip(data, objective="functional-error", gains=Gains.interval(0.37, 2.72), images=4_000)
    start = begin(instance, Limits())
    recalibrated = solved(Recalibrate(), instance, start).solution
    both = solved(FitGains(), instance, start).solution
    errors = [instance.value(mapping) for mapping in (start, recalibrated, both)]
    assert errors[1] < 0.6 * errors[0] and errors[2] < 0.85 * errors[1]
    assert validation(data, instance, both) > validation(data, instance, start)
