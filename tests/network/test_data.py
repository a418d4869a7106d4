import gzip
import hashlib
import shutil

import numpy as np
import pytest

from matchopt.errors import DataError
from matchopt.instances.network import DataReference
from matchopt.library import problems_folder
from matchopt.network.data import ImageData, load_mnist

LABELS = "t10k-labels-idx1-ubyte.gz"


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(problems_folder() / "mnist", tmp_path / "mnist")
    for file in (tmp_path / "mnist").iterdir():
        file.chmod(0o644)
    return tmp_path / "mnist"


def test_split_holds_every_image_once(mnist):
    """55,000 + 5,000 + 10,000 images; train and validation together are the published training images."""
    assert [len(x) for x in (mnist.train_images, mnist.validation_images, mnist.test_images)] == [55_000, 5_000, 10_000]
    raw = gzip.decompress((problems_folder() / "mnist" / "train-images-idx3-ubyte.gz").read_bytes())[16:]
    prints = np.random.default_rng(0).integers(1, 80, (150, 4)).astype(np.float32)  # sums below 2^24 are exact

    def fingerprints(pixels):
        marks = pixels @ prints
        return marks[np.lexsort(marks.T)]

    part = (slice(None), slice(100, 700, 4))  # pixels enough to tell images apart
    published = np.frombuffer(raw, np.uint8).reshape(60_000, 784)[part].astype(np.float32)
    together = np.concatenate([mnist.train_images[part], mnist.validation_images[part]])
    assert np.array_equal(fingerprints(np.rint(together * 255)), fingerprints(published))
    labels = np.concatenate([mnist.train_labels, mnist.validation_labels])
    assert np.bincount(labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(mnist.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_images_and_labels_stay_together(mnist):
    """The nearest class mean of the training part classifies the test part as published work says, about 82 %."""
    means = np.stack([mnist.train_images[mnist.train_labels == c].mean(axis=0) for c in range(10)])
    distance = (means**2).sum(axis=1) - 2 * mnist.test_images @ means.T
    assert (distance.argmin(axis=1) == mnist.test_labels).mean() == pytest.approx(0.82, abs=0.01)


def test_arrays_are_read_only_and_in_range(mnist):
    """Pixels are float32 in 0 .. 1 and cannot be changed."""
    assert mnist.train_images.dtype == np.float32
    assert (mnist.train_images.min(), mnist.train_images.max()) == (0.0, 1.0)
    with pytest.raises(ValueError, match="read-only"):
        mnist.train_images[0, 0] = 1.0


def test_loading_again_gives_the_same(mnist):
    """The split and the digest are fixed."""
    again = load_mnist(problems_folder() / "mnist" / ".." / "mnist")  # tests read those of the usual path once
    assert np.array_equal(again.validation_labels, mnist.validation_labels)
    assert again.reference == mnist.reference


def test_missing_file_is_named(folder):
    """A missing file gives one sentence with its name."""
    (folder / LABELS).unlink()
    with pytest.raises(DataError, match=f"{LABELS} is missing; put the four"):
        load_mnist(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda raw: raw[: len(raw) // 2], r"unpacks to only \d+ of 10008 bytes"),
        (lambda raw: b"no gzip at all", "not a sound gzip file"),
        (lambda raw: gzip.compress(gzip.decompress(raw) + b"x"), "more than 10008 bytes"),
        (lambda raw: gzip.compress(gzip.decompress(raw)[:-1] + b"\x0b"), "SHA-256 differs"),
        (lambda raw: raw + bytes(2**21), "more than the published one"),
        (lambda raw: gzip.compress(bytes(2**22)), "more than 10008 bytes"),
    ],
)
def test_damaged_file_is_refused(folder, damage, message):
    """A cut, altered, oversized or exploding file gives one sentence that names it."""
    path = folder / LABELS
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=message) as caught:
        load_mnist(folder)
    assert LABELS in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test_images": np.zeros((0, 4), np.float32), "test_labels": np.zeros(0, np.int64)}, "at least one image"),
        ({"test_images": np.full((2, 4), 2, np.float32)}, "pixels must be in 0 .. 1"),
        ({"test_images": np.full((2, 4), np.nan, np.float32)}, "pixels must be in 0 .. 1"),
        ({"validation_labels": np.array([0, 3])}, "labels must be in 0 .. 2"),
    ],
)
def test_data_that_do_not_fit_are_refused(change, message):
    """Data sets check shapes and ranges when they are made."""
    images, labels = np.zeros((2, 4), np.float32), np.zeros(2, np.int64)
    good = {f"{part}_{what}": x for part in ("train", "validation", "test") for what, x in
            (("images", images), ("labels", labels))}  # fmt: skip
    with pytest.raises(DataError, match=message):
        ImageData(**(good | change), n_classes=3, reference=DataReference("toy", "0" * 64))


def test_first_images_have_their_own_reference(mnist):
    """A smaller data set is not mistaken for the whole one."""
    small = mnist.first(10, 5, 5)
    assert len(small.train_images) == 10
    assert (
        small.reference.sha256
        != mnist.reference.sha256
        == hashlib.sha256(
            b"ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
            b"0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
            b"65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
            b"ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
        ).hexdigest()
    )


def sequences(labels, features=6, shape=(2, 3), **change):
    """Two samples a part, each a sequence of two frames with three features."""
    samples = np.full((2, features), -7.5, np.float32)
    parts = [x for _ in range(3) for x in (samples.copy(), np.array(labels))]
    return ImageData(*parts, 4, DataReference("toy", "0" * 64), **({"shape": shape, "bounded": False} | change))


def test_rows_may_be_sequences_with_one_label_per_frame():
    """Features may be any finite number, and -1 marks a frame that nothing counts."""
    data = sequences([[0, -1], [3, 2]])
    assert data.shape == (2, 3)
    small = data.first(1, 1, 1)
    assert (small.shape, small.bounded) == ((2, 3), False)
    assert small.test_labels.tolist() == [[0, -1]]


def test_the_shape_of_a_sample_is_known(mnist):
    """MNIST's rows are images of one channel; a data set that says nothing has rows without shape."""
    assert mnist.shape == (1, 28, 28)
    part = np.zeros((1, 4), np.float32), np.zeros(1, np.int64)
    assert ImageData(*part, *part, *part, 1, DataReference("toy", "0" * 64)).shape == (4,)


@pytest.mark.parametrize(
    ("labels", "change", "message"),
    [
        ([[0, 1], [2, 3]], {"shape": (3, 3)}, "do not fit rows of 6 values"),
        ([[0, 1], [2, 3]], {"shape": (6, 0)}, "do not fit rows of 6 values"),
        ([[0, 1], [2, 3]], {"shape": (3, 2)}, "one label per frame"),
        ([[0, 1], [2, 3]], {"shape": (1, 2, 3)}, "one label per frame"),
        ([[0, 1], [2, -2]], {}, "labels must be in -1 .. 3"),
        ([0, -1], {}, "labels must be in 0 .. 3"),
        ([0, 1], {"bounded": True}, "pixels must be in 0 .. 1"),
        ([0, 1], {"train_images": np.full((2, 6), np.inf, np.float32)}, "features must be finite"),
    ],
)
def test_sequences_that_do_not_fit_are_refused(labels, change, message):
    """Shapes, labels per frame and values are checked."""
    good = sequences([0, 1])
    fields = {f: getattr(good, f) for f in good.__dataclass_fields__}
    fields |= {f"{part}_labels": np.array(labels) for part in ("train", "validation", "test")}
    with pytest.raises(DataError, match=message):
        ImageData(**(fields | change))
