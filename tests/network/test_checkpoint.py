"""Files that keep training between two epochs: when they are written, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from matchopt.errors import FormatError, InvalidOption
from matchopt.instances.network import DataReference
from matchopt.network import Conduct, DeepRewiring, DenseTraining
from matchopt.network.training import checkpoint as module

from .conftest import toy_data

TINY = DenseTraining(epochs=4, batch_size=10)
WIDTHS = (6, 5, 3)


@pytest.fixture
def file(tmp_path):
    """The checkpoint of a finished run."""
    path = tmp_path / "run.checkpoint"
    TINY.train(toy_data(), WIDTHS, 3, checkpoint=path)
    return path


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"trainer": replace(TINY, learning_rate=0.5)}, "its options is .*0.001.*, now it is .*0.5"),
        ({"trainer": DeepRewiring(epochs=4, connectivity=0.5)}, "its method is dense, now it is deep-rewiring"),
        ({"seed": 4}, "its seed is 3, now it is 4"),
        ({"architecture": (6, 4, 3)}, "its architecture is .*5.*, now it is .*4"),
        ({"data": replace(toy_data(), reference=DataReference("other", "1" * 64))}, "its data is .*toy.*other"),
        ({"conduct": Conduct(labels="permuted")}, "its options is .*, now it is .*permuted"),
    ],
    ids=["options", "method", "seed", "architecture", "data", "conduct"],
)
def test_a_checkpoint_of_another_run_is_refused(file, change, what):
    """The sentence says what differs and what to do; the file stays as it is."""
    call = {"data": toy_data(), "architecture": WIDTHS, "seed": 3, "checkpoint": file} | change
    before = file.read_bytes()
    with pytest.raises(InvalidOption, match=rf"^checkpoint .* belongs to another run: {what}.*; name another file"):
        call.pop("trainer", TINY).train(**call)
    assert file.read_bytes() == before


def damaged(content, path):
    """Several ways of being no checkpoint."""
    yield "empty", b""
    yield "cut", content[: len(content) // 2]
    yield "no safetensors", b"x" * 100
    save_file({"a": np.zeros(3)}, path)
    yield "another safetensors file", path.read_bytes()
    save_file({"a": np.zeros(3)}, path, {"matchopt": "{}"})
    yield "no facts", path.read_bytes()
    save_file({"a": np.zeros(3)}, path, {"matchopt": "{not json"})
    yield "no JSON", path.read_bytes()


def test_damaged_files_are_one_sentence(file, tmp_path):
    """Whatever is wrong, the sentence names the file and what to do."""
    for _, content in damaged(file.read_bytes(), tmp_path / "other"):
        file.write_bytes(content)
        with pytest.raises(FormatError, match=r"^checkpoint .*run.checkpoint: .*; name another file"):
            TINY.train(toy_data(), WIDTHS, 3, checkpoint=file)


@pytest.mark.parametrize("name", ["method.net.parameters", "method.net.mask", "method.net.moments"])
def test_missing_or_misshapen_arrays_are_one_sentence(file, name):
    """A file that was written with other contents is refused, not half read."""
    with safe_open(str(file), framework="numpy") as opened:
        metadata = opened.metadata()
        arrays = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
    for wrong in ({k: v for k, v in arrays.items() if k != name}, arrays | {name: np.zeros((7, 7), np.float32)}):
        save_file(wrong, file, metadata)
        with pytest.raises(FormatError, match="is damaged"):
            TINY.train(toy_data(), WIDTHS, 3, checkpoint=file)


def test_it_holds_arrays_and_json_only(file):
    """The facts are JSON under one key; the history in them is that of the run."""
    with safe_open(str(file), framework="numpy") as opened:
        facts = json.loads(opened.metadata()["matchopt"])["facts"]
    assert facts["run"]["method"] == "dense"
    assert len(facts["history"]) == 4


def test_it_is_written_at_most_every_ten_seconds_and_at_the_end(tmp_path, monkeypatch):
    """With the clock standing still, one write; with a clock that jumps, one per epoch."""
    written = []
    monkeypatch.setattr(module, "write_content", lambda path, content: written.append(content))
    clock = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    TINY.train(toy_data(), WIDTHS, 3, checkpoint=tmp_path / "a")
    assert len(written) == 1

    def jump(record):
        clock[0] += 11.0

    TINY.train(toy_data(), WIDTHS, 3, jump, tmp_path / "b")
    assert len(written) == 1 + 4


def test_interrupted_before_the_first_epoch_there_is_no_file(tmp_path):
    """Nothing is written that could not be gone on from."""

    def stop(record):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        TINY.train(toy_data(), WIDTHS, 3, stop, tmp_path / "a")
    assert not list(tmp_path.iterdir())
