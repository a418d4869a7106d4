"""The loop around all methods: labels, transformations, early stopping, observers, diverging runs."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from matchopt.errors import InvalidOption
from matchopt.network import Adam, Conduct, DenseTraining, Method, Phase, Trainer
from matchopt.network.accuracy import measure
from matchopt.network.training.streams import Streams

from .conftest import WIDTHS, toy_data

TINY = DenseTraining(epochs=3, batch_size=10, learning_rate=0.01)


@dataclass(frozen=True)
class Noise:
    """Adds noise, and counts the images it was given."""

    strength: float = 0.0
    clean_epochs: int = 0

    def __call__(self, images, rng):
        SEEN.append(len(images))
        assert images.flags.writeable
        return images + np.float32(self.strength) * rng.standard_normal(images.shape, np.float32)

    def facts(self):
        return {"name": "noise", "strength": self.strength}


SEEN: list[int] = []


def weights(result):
    return b"".join(layer.weights.tobytes() for layer in result.network.layers)


def test_a_transformation_sees_every_batch_but_the_clean_epochs():
    """It is called per batch with copies, is recorded, and what it draws shuffles nothing else."""
    data = toy_data()
    SEEN.clear()
    plain, none, noisy = (
        TINY.train(data, (6, 5, 3), 0, conduct=conduct)
        for conduct in (Conduct(), Conduct(Noise(0.0)), Conduct(Noise(0.5, clean_epochs=1)))
    )
    assert SEEN == [10] * 4 * (3 + 2)
    assert weights(none) == weights(plain)
    assert weights(noisy) != weights(plain)
    assert noisy.network.record.config["conduct"] == {"transform": {"name": "noise", "strength": 0.5}}
    assert "conduct" not in plain.network.record.config


def test_permuted_labels_are_a_new_task_every_epoch(few_images):
    """Training, validation and test follow the permutation of the epoch; it is recorded, and repeats by seed."""
    networks = []
    conduct = Conduct(labels="permuted", validate_every=1, observer=lambda record, network: networks.append(network))
    result = DenseTraining(epochs=3, batch_size=10, learning_rate=5e-3).train(few_images, WIDTHS, 4, conduct=conduct)
    streams = Streams.of(4)
    permutations = [streams.classes(epoch, 10) for epoch in range(3)]
    assert len({tuple(p) for p in permutations}) == 3
    for record, network, classes in zip(result.history, networks, permutations, strict=True):
        assert sorted(classes) == list(range(10))
        found = measure(network, few_images.validation_images, classes[few_images.validation_labels]).accuracy
        assert record.validation_accuracy == found > 0.3
    last = measure(result.network, few_images.test_images, permutations[-1][few_images.test_labels])
    assert result.network.record.test_accuracy == last.accuracy > 0.3
    assert result.network.record.config["conduct"] == {"labels": "permuted"}


def test_the_observer_sees_every_epoch():
    """It gets the record of each epoch with the network of that moment; the last is the result."""
    seen = []
    result = TINY.train(toy_data(), (6, 5, 3), 0, conduct=Conduct(observer=lambda *both: seen.append(both)))
    assert tuple(record for record, _ in seen) == result.history
    first, last = seen[0][1], seen[-1][1]
    assert np.array_equal(last.layers[0].weights, result.network.layers[0].weights)
    assert not np.array_equal(first.layers[0].weights, last.layers[0].weights)
    assert result.history[0].densities == (1.0, 1.0)


@dataclass(frozen=True)
class Script(Trainer):
    """Loads given networks, one per epoch: the loop's bookkeeping without any learning."""

    name = "script"
    promise = "exact"

    def new_run(self, setting):
        return ScriptRun(setting)


class ScriptRun(Method):
    kept = ("epoch",)

    def __init__(self, setting):
        self.net = setting.model(Adam())
        self.phases = (Phase("first", 2, 40), Phase("none", 0, 40), Phase("last", 8, 40))
        self.epoch, self.shape = -1, setting.shapes

    def step(self, at):
        """One step is one epoch here; bias k makes class k the answer."""
        self.epoch += 1
        answer = np.zeros(9, np.float32)
        answer[6 + ANSWERS[self.epoch]] = 1.0
        self.net.load(answer)


# Of twelve validation labels, 6 are 2, 4 are 1 and 2 are 0: the class answered decides the accuracy.
ANSWERS = [2, 2, 0, 1, 1, 0, 2, 0, 0, 0]


def scripted():
    labels = np.array([2] * 6 + [1] * 4 + [0] * 2)
    data = toy_data(2, 3)
    return replace(
        data, validation_images=np.zeros((12, 2), np.float32), validation_labels=labels, test_labels=np.zeros(10, int)
    )


@pytest.mark.parametrize(
    ("patience", "epochs", "best"), [(1, 5, 4 / 12), (2, 6, 4 / 12), (3, 10, 6 / 12), (None, 10, 2 / 12)]
)
def test_early_stopping_keeps_the_best_network_of_the_last_phase(patience, epochs, best, tmp_path):
    """It stops after `patience` measurements without a better one; epochs of earlier phases never count."""
    conduct = Conduct(validate_every=1, patience=patience)
    result = Script().train(scripted(), (2, 3), 0, conduct=conduct)
    assert len(result.history) == epochs
    assert result.network.record.validation_accuracy == pytest.approx(best)
    for at in (3, 5):  # interrupted and resumed: the best network so far is in the checkpoint

        def stop(record, at=at):
            if record.epoch == at:
                raise KeyboardInterrupt

        file = tmp_path / f"{at}"
        with pytest.raises(KeyboardInterrupt):
            Script().train(scripted(), (2, 3), 0, stop, file, conduct=conduct)
        resumed = Script().train(scripted(), (2, 3), 0, None, file, conduct=conduct)
        assert weights(resumed) == weights(result)
        assert [record.validation_accuracy for record in resumed.history] == [
            record.validation_accuracy for record in result.history
        ]
        assert resumed.network.record == result.network.record


def test_a_diverging_run_is_one_sentence():
    """A loss or a weight that is no number ends training with the advice."""
    with pytest.raises(
        InvalidOption, match=r"^(the loss is \w+ after step \d+|training diverged in epoch 1).*lower the learn"
    ):
        replace(TINY, learning_rate=1e30).train(toy_data(), (6, 5, 3), 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"device": "cuda:77"}, "device 'cuda:77' is not there .*; use device cpu"),
        ({"device": "meta"}, "device 'meta' is not there .*; use device cpu"),
        ({"device": "gpu"}, "device 'gpu' is not there .*; use device cpu"),
        ({"seed": -1}, "seed must be a whole number >= 0"),
        ({"architecture": (6, 5, 4)}, "must begin with 6 and end with 3"),
        ({"architecture": (6, 0, 3)}, "widths must all be at least 1"),
        ({"architecture": (6,)}, "a list of 2 or more"),
    ],
)
def test_what_cannot_be_is_one_sentence(arguments, message):
    """Before any training."""
    call = {"data": toy_data(), "architecture": (6, 5, 3), "seed": 0} | arguments
    with pytest.raises(ValueError, match=message):
        TINY.train(**call)


@pytest.mark.parametrize("options", [{"patience": 0}, {"validate_every": 0}])
def test_impossible_conduct_is_refused(options):
    """Conduct checks itself."""
    with pytest.raises(ValueError, match=r"must be"):
        Conduct(**options)
