"""slots keeps every law of the conformance kit, and on MNIST it repairs what the mapping has lost."""

import numpy as np
import pytest
from matchopt_slots import Slots

from matchopt import Limits, Rules
from matchopt.library import problems_folder
from matchopt.network import draw_hardware, export_network, load_mnist, measure, read_network, realise
from matchopt.testing import run_checks

SOLVERS = [Slots(epochs=3), Slots(epochs=3, start="scratch", threshold=0.0, held_out=0.0)]


@pytest.mark.slow
@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
def test_keeps_every_law(solver: Slots) -> None:
    """No law fails on any instance of the kit, and most of those asked are answered."""
    report = run_checks(solver)
    assert report.passed, report.summary()
    assert report.counts["passed"] > 100


@pytest.mark.slow
def test_mnist_is_repaired_in_three_epochs() -> None:
    """With as many cells as the fan-in the best mapping by weight error is below 75 %; slots passes 95 %."""
    net, data = read_network(problems_folder() / "networks" / "row8-seed0.safetensors"), load_mnist()
    images = np.round(data.train_images * 255).astype(np.uint8)
    chip, rules = draw_hardware(net, "gaussian", 1.0, 1.0, 10), Rules(drop=True, extra_inputs=True)
    instance = export_network(
        net, chip, rules=rules, biases="adjustable", objective="task-loss",
        sample_inputs=images, sample_labels=data.train_labels, sample_scale=1 / 255,
    )  # fmt: skip
    accuracy = []
    for epochs in (0, 3):
        found = Slots(epochs=epochs).solve(instance, Limits(), np.random.default_rng(0)).solution
        network = realise(instance, found)
        accuracy.append(measure(network, data.validation_images, data.validation_labels).accuracy)
    assert accuracy[0] < 0.75
    assert accuracy[1] > 0.95
