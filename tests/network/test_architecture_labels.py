"""Labels per sample and per frame need architectures that answer alike."""

import numpy as np
import pytest

from matchopt.errors import InvalidOption
from matchopt.instances.architecture import Recurrent
from matchopt.instances.network import DataReference
from matchopt.network import DenseTraining
from matchopt.network.data import ImageData


def speech(per_frame):
    """Sequences of four frames whose label is the sign of the first feature, of every frame or of the first."""
    rng = np.random.default_rng(0)

    def part(count):
        rows = rng.standard_normal((count, 8)).astype(np.float32)
        labels = (rows.reshape(count, 4, 2)[:, :, 0] > 0).astype(np.int64)
        labels[::5, 3] = -1  # padding
        return rows, labels if per_frame else labels[:, 0]

    return ImageData(*part(600), *part(100), *part(100), 2, DataReference("toy", "0" * 64), (4, 2), bounded=False)


def test_a_label_per_frame_is_learnt():
    """Every frame's class is learnt; frames of padding count neither in the loss nor in the accuracy."""
    result = DenseTraining(epochs=8, batch_size=20, learning_rate=0.02).train(
        speech(True), Recurrent(2, 4, 6, 2, "every"), 0
    )
    assert result.network.record.test_accuracy > 0.95


@pytest.mark.parametrize(
    ("per_frame", "readout", "message"),
    [(True, "last", "toy has a label per frame.*lstm:128-every"), (False, "every", "toy has one label per sample")],
)
def test_other_answers_are_refused(per_frame, readout, message):
    """One sentence instead of shapes that do not fit somewhere in training."""
    with pytest.raises(InvalidOption, match=message):
        DenseTraining(epochs=1).train(speech(per_frame), Recurrent(2, 4, 6, 2, readout), 0)
