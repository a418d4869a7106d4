import io
import tarfile

import numpy as np
import pytest

from matchopt.errors import DataError, InvalidOption
from matchopt.network.data import fsdd
from matchopt.network.data.archives import read_files
from matchopt.network.data.fsdd import FSDD, load_fsdd, split
from matchopt.network.data.registry import data_set

missing = data_set("fsdd").place() is None
needs_recordings = pytest.mark.skipif(missing, reason="fsdd is neither in the library (MATCHOPT_LIBRARY) nor fetched")


@pytest.fixture(scope="module")
def digits():
    return load_fsdd()


@pytest.mark.slow
@needs_recordings
def test_the_test_set_is_the_official_one(digits):
    """300 recordings, 30 of each digit; 2,430 for training and 270 for validation."""
    assert digits.reference.name == "fsdd"
    assert digits.shape == (64, 13)
    assert np.bincount(digits.test_labels).tolist() == [30] * 10
    assert (len(digits.train_labels), len(digits.validation_labels)) == (2_430, 270)
    everything = np.concatenate([digits.train_labels, digits.validation_labels, digits.test_labels])
    assert np.bincount(everything).tolist() == [300] * 10


@pytest.mark.slow
def test_no_recording_is_in_two_parts():
    """The parts are disjoint and complete; the test part is recordings 0 to 4 of every digit and speaker."""
    names = [f"{d}_{s}_{n}.wav" for d in range(10) for s in fsdd.SPEAKERS for n in range(50)]
    parts = split(names)
    assert sorted(np.concatenate(parts).tolist()) == list(range(3_000))
    held = {names[n] for n in parts[2]}
    assert held == {f"{d}_{s}_{n}.wav" for d in range(10) for s in fsdd.SPEAKERS for n in range(5)}
    again = split(names)
    assert all(np.array_equal(one, two) for one, two in zip(parts, again, strict=True))


@pytest.mark.slow
def test_the_first_recordings_of_a_part_are_a_fair_sample():
    """File names are sorted by digit and speaker, parts are not: a fifth of each holds them all."""
    names = sorted(f"{d}_{s}_{n}.wav" for d in range(10) for s in fsdd.SPEAKERS for n in range(50))
    for part in split(names):
        first = [names[n].split("_") for n in part[: len(part) // 5]]
        assert len({digit for digit, _, _ in first}) == 10
        assert {speaker for _, speaker, _ in first} == set(fsdd.SPEAKERS)


@pytest.mark.slow
@needs_recordings
def test_every_speaker_is_in_every_part():
    """As documented: accuracies say nothing about unknown speakers."""
    (archive,) = FSDD.locate()
    names = sorted(read_files(archive, fsdd._FILES))
    for part in split(names):
        assert {names[n].split("_")[1] for n in part} == set(fsdd.SPEAKERS)


@pytest.mark.slow
@needs_recordings
def test_features_are_standardised_by_the_training_part(digits):
    """Frames of the training part, padding left out, have mean 0 and s.d. 1; others nearly, for they did not count."""
    frames = digits.train_images.reshape(-1, 13)
    frames = frames[(frames != 0).any(axis=1)]
    assert np.allclose(frames.mean(axis=0), 0, atol=0.1)  # recordings cut at 64 frames counted whole
    assert np.allclose(frames.std(axis=0), 1, atol=0.1)
    assert digits.train_images.reshape(-1, 64, 13)[:, -1].any(axis=1).all()  # padding is in front


@pytest.mark.slow
@needs_recordings
def test_recordings_and_labels_stay_together(digits):
    """The nearest training recording names the digit of nearly all test recordings."""
    train, test = digits.train_images, digits.test_images
    distance = (train**2).sum(axis=1) - 2 * test @ train.T
    assert (digits.train_labels[distance.argmin(axis=1)] == digits.test_labels).mean() > 0.95


@pytest.mark.slow
@needs_recordings
def test_options_are_part_of_the_reference():
    """Other features are other data, and the reference says which."""
    other = load_fsdd(features="filterbank", frames=20, deltas=True)
    assert other.reference.name == "fsdd[features=filterbank,frames=20,deltas=True]"
    assert other.shape == (20, 78)
    assert other.train_images.shape == (2_430, 20 * 78)


def archive_of(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        for name, content in files.items():
            member = tarfile.TarInfo(f"recordings/{name}")
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return out.getvalue()


@pytest.mark.slow
@needs_recordings
def test_altered_recordings_are_refused(tmp_path):
    """One byte of one recording is enough."""
    (archive,) = FSDD.locate()
    files = read_files(archive, fsdd._FILES)
    name = "3_theo_17.wav"
    files[name] = files[name][:-1] + bytes([files[name][-1] ^ 1])
    path = tmp_path / "fsdd-recordings.tar.xz"
    path.write_bytes(archive_of(files))
    with pytest.raises(DataError, match="does not hold the published recordings"):
        load_fsdd(tmp_path)
    with pytest.raises(DataError, match="does not hold the published recordings"):
        load_fsdd(path)
    del files[name]
    path.write_bytes(archive_of(files))
    with pytest.raises(DataError, match="holds 2999 of the 3000 files"):
        load_fsdd(tmp_path)


def test_missing_recordings_are_one_sentence(tmp_path):
    """The sentence says what is missing, how to fetch it and where to put it."""
    with pytest.raises(DataError, match=r"fsdd is not here.*matchopt data fetch fsdd.*put the folder") as caught:
        load_fsdd(tmp_path)
    assert str(tmp_path) in str(caught.value)
    with pytest.raises(InvalidOption, match="data set fsdd: frames must be a whole number >= 1, found 0"):
        load_fsdd(frames=0)
