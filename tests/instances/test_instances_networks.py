"""What networks have beside their layers: objectives of their own, compact samples, adjusted biases, signals."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from matchopt.errors import InvalidInstance, InvalidSolution
from matchopt.instances import (
    DataReference,
    FunctionalError,
    Hardware,
    LayerInstance,
    LayerMapping,
    NetworkInstance,
    NetworkMapping,
    Parts,
    Target,
    TaskLoss,
)

TARGET = Target.from_dense(np.array([[1.0, 0.0, 2.0], [0.0, 0.0, 3.0]]))
LAYER = LayerInstance(TARGET, Hardware(np.ones((3, 4))))
MAPPING = LayerMapping(np.array([0, 2]), np.array([0, 2, 3]), np.array([0, 1, 3]), np.array([0, 2, 2]))
NETWORK = NetworkInstance((LAYER,), (np.zeros(2),))
FULL = replace(
    NETWORK,
    tunable=1,
    objective=TaskLoss(np.ones((2, 3)), np.array([0, 1])),
    data=DataReference("mnist", "0" * 64),
    samples=np.ones((1, 3)),
)


def test_samples_stay_compact() -> None:
    """Bytes stay bytes and single floats single, read-only copies of what was given; all else becomes float64."""
    images = np.arange(6, dtype=np.uint8).reshape(2, 3)
    for given, kept in ((images, "uint8"), (images.astype("f4"), "float32"), (images.astype(int), "float64")):
        samples = FunctionalError(given, 0.5)
        assert samples.inputs.dtype == kept and not np.shares_memory(samples.inputs, given)
        assert not samples.inputs.flags.writeable
        assert samples.rows(slice(1, 2)).dtype == np.float64
        assert np.array_equal(samples.rows([1, 0]), [[1.5, 2.0, 2.5], [0.0, 0.5, 1.0]])
        assert np.array_equal(TaskLoss(given, np.zeros(2, int)).rows(1), [3.0, 4.0, 5.0])


BROKEN_PARTS: dict[str, tuple[dict[str, Any], dict[str, np.ndarray], str]] = {
    "two objectives": (
        {"task_loss": True, "functional_error": True},
        {"functional_error.inputs": np.ones((1, 3))},
        "both true",
    ),
    "two objectives without labels": (
        {"task_loss": False, "functional_error": True, "score_error": True},
        {"functional_error.inputs": np.ones((1, 3)), "score_error.inputs": np.ones((1, 3))},
        "functional_error and score_error are both true|is unknown",
    ),
    "flag not a truth": ({"functional_error": 1}, {}, "functional_error must be true or false, found 1"),
    "adjustable not a truth": ({"adjustable": "yes"}, {}, "adjustable must be true or false"),
    "samples of no objective": ({"task_loss": False}, {}, "task_loss: 'inputs' is unknown"),
    "samples missing": ({"task_loss": False, "functional_error": True}, {}, "is unknown|is missing"),
    "scale not a number": ({"sample_scale": "1"}, {}, "objective.scale must be a finite number > 0, found '1'"),
    "tensor of no field": ({}, {"biases": np.zeros(2)}, "array 'biases' is unknown"),
    "bias of no layer": ({}, {"biases.1": np.zeros(2)}, "biases: '1' is unknown"),
}


@pytest.mark.parametrize("case", BROKEN_PARTS)
def test_broken_parts_of_networks_are_refused(case: str) -> None:
    """Facts and arrays that do not belong together are named."""
    facts, arrays, message = BROKEN_PARTS[case]
    parts = FULL.parts()
    with pytest.raises(InvalidInstance, match=message):
        NetworkInstance.from_parts(Parts({**parts.facts, **facts}, {**parts.arrays, **arrays}))


def test_a_scale_without_samples_is_refused() -> None:
    """`sample_scale` says something about samples only."""
    parts = NETWORK.parts()
    with pytest.raises(InvalidInstance, match="sample_scale is given"):
        NetworkInstance.from_parts(Parts({**parts.facts, "sample_scale": 2.0}, parts.arrays))


def test_what_is_new_leaves_old_contents_alone() -> None:
    """A network without the newer fields has the facts it had before they were there; each of them changes it."""
    old = {"tunable", "biases", "data", "task_loss", "layers"}
    assert set(FULL.parts().facts) == set(NETWORK.parts().facts) == old
    images = np.ones((1, 3), np.uint8)
    changed = [
        replace(NETWORK, adjustable=True),
        replace(NETWORK, objective=FunctionalError(images)),
        replace(NETWORK, objective=FunctionalError(images, 0.5)),
        replace(NETWORK, objective=FunctionalError(images.astype(float))),
    ]
    assert len({network.digest for network in (NETWORK, *changed)}) == 5
    assert set(NetworkMapping((MAPPING,)).parts().arrays) == set(MAPPING.parts().prefixed("layers.0"))
    assert "tuned" not in MAPPING.parts().arrays


def test_wrong_biases_and_values_of_mappings() -> None:
    """What can be no mapping, of whatever instance, raises InvalidSolution."""
    for message, make in {
        "one array per layer, 1, found 2": lambda: NetworkMapping((MAPPING,), (np.zeros(2), np.zeros(1))),
        "biases.0 must be finite": lambda: NetworkMapping((MAPPING,), (np.array([np.nan, 0.0]),)),
        "tuned must have shape": lambda: replace(MAPPING, tunable=np.array([0]), tuned=np.zeros(2)),
        "tuned must be finite": lambda: replace(MAPPING, tunable=np.array([0]), tuned=np.array([np.inf])),
    }.items():
        with pytest.raises(InvalidSolution, match=message):
            make()
    parts = NetworkMapping((MAPPING,)).parts()
    with pytest.raises(InvalidSolution, match="biases: '0' is missing"):
        NetworkMapping.from_parts(Parts(parts.facts, {**parts.arrays, "biases.1": np.zeros(2)}))


def test_signals_and_logits() -> None:
    """Target signals are those of the trained network; logits may be asked of other weights and biases."""
    network = NetworkInstance((LAYER,), (np.array([1.0, -1.0]),))
    inputs = np.array([[1.0, 5.0, 2.0]])
    (signal,) = network.target_signals(inputs)
    assert np.array_equal(signal, [[1.0 + 4.0 + 1.0, 6.0 - 1.0]])
    weights = [np.ones((2, 3))]
    assert np.array_equal(network.logits(weights, inputs), [[9.0, 7.0]])
    assert np.array_equal(network.logits(weights, inputs, [np.zeros(2)]), [[8.0, 8.0]])
    with pytest.raises(InvalidInstance, match="only a network with an objective on samples"):
        _ = network.signal_variances
    with pytest.raises(InvalidInstance, match="only a network with an objective on samples"):
        _ = network.target_answers
