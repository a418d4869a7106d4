import numpy as np
import pytest
import torch

from matchopt.network import accuracy
from matchopt.network.accuracy import measure

from .networks import random_network


def test_measures_are_those_of_torch(monkeypatch):
    """Accuracy and mean cross-entropy equal torch's, whatever the size of the batches."""
    network = random_network((6, 8, 4), share=0.9)
    rng = np.random.default_rng(0)
    inputs, labels = rng.random((101, 6)), rng.integers(0, 4, 101)
    logits = torch.tensor(network.logits(inputs), dtype=torch.float64)
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(labels)).item()
    share = (logits.argmax(dim=1).numpy() == labels).mean()
    for batch in (1, 7, 101, 5_000):
        monkeypatch.setattr(accuracy, "BATCH", batch)
        found = measure(network, inputs, labels)
        assert found.accuracy == pytest.approx(share)
        assert found.cross_entropy == pytest.approx(loss, rel=1e-6)
        assert found.samples == 101


def test_no_samples_are_refused():
    """The accuracy on nothing is no number."""
    with pytest.raises(ValueError, match="at least one, found 0 and 0"):
        measure(random_network(), np.zeros((0, 6)), np.zeros(0, np.int64))


class Fixed:
    """Answers per frame that are given."""

    def __init__(self, answers):
        self.answers = answers

    def logits(self, inputs):
        return self.answers[: len(inputs)]


def test_frames_count_one_by_one_and_padding_not_at_all():
    """With a label per frame the accuracy is that of frames; -1 does not count."""
    answers = np.array([[[2.0, 0.0], [0.0, 1.0]], [[0.0, 3.0], [5.0, 0.0]]])
    found = measure(Fixed(answers), np.zeros((2, 4)), np.array([[0, 0], [1, -1]]))
    assert (found.accuracy, found.samples) == (pytest.approx(2 / 3), 3)
    expected = [np.log1p(np.exp(-2)), np.log1p(np.exp(1)), np.log1p(np.exp(-3))]
    assert found.cross_entropy == pytest.approx(np.mean(expected))
    with pytest.raises(ValueError, match="all labels are -1"):
        measure(Fixed(answers), np.zeros((2, 4)), np.full((2, 2), -1))
    with pytest.raises(ValueError, match=r"shape \(2,\) per sample, the labels \(\)"):
        measure(Fixed(answers), np.zeros((2, 4)), np.array([0, 1]))
