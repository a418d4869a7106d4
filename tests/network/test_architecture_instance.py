"""Instances of networks that are not fully connected: fields, parts, and what they refuse."""

from dataclasses import replace

import numpy as np
import pytest

from matchopt.checker import check
from matchopt.errors import FormatError, InvalidInstance
from matchopt.formats import read_instance, write
from matchopt.instances import NetworkInstance, TaskLoss
from matchopt.instances.architecture import Convolution, Convolutional, FullyConnected, Recurrent
from matchopt.network.export import draw_hardware, export_network
from matchopt.parts import Parts

from .networks import random_network, random_of
from .test_export import in_order

CNN = Convolutional((1, 6, 6), (Convolution(2, 3, pool=2, normalise="batch"),), (5,), 3)
LSTM = Recurrent(3, 4, 5, 2)


def instance_of(architecture, biases="free"):
    network = random_of(architecture)
    return export_network(network, draw_hardware(network, "gaussian", 2.0, 1.0, 0, biases=biases), biases=biases)


@pytest.mark.parametrize("architecture", [CNN, LSTM])
@pytest.mark.parametrize("biases", ["free", "hardware"])
def test_architecture_survives_parts_and_files(tmp_path, architecture, biases):
    """Architecture and running statistics come back from a file; they are part of the digest."""
    instance = instance_of(architecture, biases)
    write(instance, tmp_path / "a.matchopt")
    again = read_instance(tmp_path / "a.matchopt")
    assert isinstance(again, NetworkInstance)
    assert again.architecture == architecture
    assert again.n_inputs == architecture.n_inputs
    assert set(again.buffers) == set(architecture.buffers)
    assert all(np.array_equal(again.buffers[name], instance.buffers[name]) for name in again.buffers)
    assert again.digest == instance.digest
    if architecture is LSTM:
        assert replace(instance, architecture=replace(LSTM, readout="mean")).digest != instance.digest


@pytest.mark.parametrize("architecture", [CNN, LSTM])
def test_objective_is_the_sum_of_the_layers(architecture):
    """Rows of any architecture are judged alike: the fast value is the checker's."""
    instance = instance_of(architecture)
    mapping = in_order(instance)
    report = check(instance, mapping)
    assert report.feasible
    assert report.objective == pytest.approx(instance.value(mapping))


def test_fully_connected_networks_keep_their_digest():
    """An architecture that says no more than the layers leaves no trace."""
    network = random_network((6, 5, 4))
    instance = export_network(network, draw_hardware(network, "gaussian", 1.0, 1.0, 0))
    said = replace(instance, architecture=FullyConnected((6, 5, 4)))
    assert said.architecture == instance.architecture == FullyConnected((6, 5, 4))
    assert said.digest == instance.digest
    assert "architecture" not in instance.parts().facts


def changed(instance, facts=None, arrays=None):
    parts = instance.parts()
    return lambda: NetworkInstance.from_parts(
        Parts({**parts.facts, **(facts or {})}, {**parts.arrays, **(arrays or {})})
    )


INSTANCE, CHAIN = instance_of(CNN), instance_of(FullyConnected((6, 5, 4)))
EVERY = instance_of(replace(LSTM, readout="every"))
IMAGES, FRAMES = np.zeros((2, 36)), np.zeros((2, 12))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: replace(INSTANCE, architecture=LSTM, buffers={}),
            r"matrices of shapes \(\(20, 8\), .* found \(\(2, 9\)",
        ),
        (lambda: replace(INSTANCE, buffers={}), "buffers: 'mean.0' is missing"),
        (lambda: replace(INSTANCE, architecture=None, buffers={}), "layers.1: must take 2 inputs"),
        (lambda: replace(INSTANCE, objective=TaskLoss(IMAGES, np.full(2, 3))), r"labels must be in 0 \.\. 2, found 3"),
        (lambda: replace(INSTANCE, objective=TaskLoss(IMAGES, np.zeros((2, 4), int))), "labels per frame need"),
        (lambda: replace(EVERY, objective=TaskLoss(FRAMES, np.zeros(2, int))), r"labels of shape \(2, 4\)"),
        (lambda: replace(EVERY, objective=TaskLoss(FRAMES, np.full((2, 4), -1))), "at least one frame must count"),
        (lambda: replace(EVERY, objective=TaskLoss(FRAMES, np.full((2, 4), -2))), r"must be in -1 \.\. 1, found -2"),
        (lambda: replace(INSTANCE, samples=np.zeros((2, 35))), r"samples must have shape \('any', 36\)"),
        (changed(INSTANCE, {"architecture": {"kind": "other"}}), "architecture.kind must be one of"),
        (changed(INSTANCE, {"architecture": None}), "architecture must be an object"),
        (changed(CHAIN, {"architecture": FullyConnected((6, 5, 3)).facts()}), r"the layers make .*\(6, 5, 4\)"),
        (changed(INSTANCE, arrays={"buffers.other": np.zeros(2)}), "buffers: 'other' is unknown"),
        (changed(INSTANCE, arrays={"buffers": np.zeros(2)}), "array 'buffers' is unknown"),
        (changed(INSTANCE, arrays={"buffers.mean.0": np.full(2, np.nan)}), "buffers.mean.0 must be finite"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    """One sentence names the field."""
    with pytest.raises(InvalidInstance, match=message):
        make()


def test_damaged_architecture_in_a_file(tmp_path):
    """It is noticed, and the file is named."""
    write(INSTANCE, tmp_path / "a.matchopt")
    raw = (tmp_path / "a.matchopt").read_bytes()
    (tmp_path / "a.matchopt").write_bytes(raw.replace(b"convolutional", b"convolutionel"))
    with pytest.raises(FormatError, match=r"a\.matchopt: sha256 differs"):
        read_instance(tmp_path / "a.matchopt")
