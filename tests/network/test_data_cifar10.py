import dataclasses
import hashlib
import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from matchopt.errors import DataError, InvalidOption
from matchopt.network.data import cifar10
from matchopt.network.data.archives import content_digest
from matchopt.network.data.augmentation import augmentation_for, centre_crop
from matchopt.network.data.cifar10 import CLASSES, load_cifar10, load_cifar10_jpeg
from matchopt.network.data.registry import data_set, find_data

missing = data_set("cifar10-jpeg75").place() is None
RECORDS, TRAIN, TEST = 20, 100, 20


def archive(files, prefix=""):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as made:
        for name, content in files.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture
def small(monkeypatch, tmp_path):
    """The data set with 100 training and 20 test images instead of 50,000 and 10,000."""
    monkeypatch.setenv("MATCHOPT_CACHE", str(tmp_path / "cache"))
    sizes = {"RECORDS": RECORDS, "N_TRAIN": TRAIN, "N_TEST": TEST, "N_VALIDATION": 10}
    for name, value in sizes.items():
        monkeypatch.setattr(cifar10, name, value)
    shapes = {
        f"{part}_{what}": ((count, cifar10.PIXELS) if what == "images" else (count,), np.uint8)
        for part, count in (("train", TRAIN), ("test", TEST))
        for what in ("images", "labels")
    }
    monkeypatch.setattr(cifar10, "_SHAPES", shapes)
    return tmp_path


def records(seed=0):
    rng = np.random.default_rng(seed)
    names = [f"data_batch_{n}.bin" for n in range(1, 6)] + ["test_batch.bin"]
    made = {}
    for name in names:
        rows = rng.integers(0, 256, (RECORDS, cifar10.PIXELS + 1), dtype=np.uint8)
        rows[:, 0] = np.arange(RECORDS) % 10
        made[name] = rows.tobytes()
    return made


@pytest.fixture
def binary(small, monkeypatch):
    """A made-up archive in the published form, whose checksum counts as the published one."""
    path = small / "cifar-10-binary.tar.gz"
    path.write_bytes(archive(records(), "cifar-10-batches-bin/"))
    publish(monkeypatch, path)
    return path


def publish(monkeypatch, path):
    sha = hashlib.sha256(path.read_bytes()).hexdigest()
    download = dataclasses.replace(cifar10.BINARY.downloads[0], sha256=sha)
    monkeypatch.setattr(cifar10, "BINARY", dataclasses.replace(cifar10.BINARY, downloads=(download,)))


def test_records_become_images(binary):
    """One byte of class, then three planes; every image is in exactly one part, with its own label."""
    data = load_cifar10(binary.parent)
    raw = np.frombuffer(b"".join(records()[f"data_batch_{n}.bin"] for n in range(1, 6)), np.uint8)
    published = {row[1:].tobytes(): row[0] for row in raw.reshape(-1, cifar10.PIXELS + 1)}
    images = np.rint(np.concatenate([data.train_images, data.validation_images]) * 255).astype(np.uint8)
    labels = np.concatenate([data.train_labels, data.validation_labels])
    assert {image.tobytes(): label for image, label in zip(images, labels, strict=True)} == published
    assert (len(data.train_labels), len(data.validation_labels), len(data.test_labels)) == (90, 10, 20)
    assert data.shape == (3, 32, 32)
    assert data.originals is None
    test = np.frombuffer(records()["test_batch.bin"], np.uint8).reshape(-1, cifar10.PIXELS + 1)
    assert np.array_equal(data.test_images, test[:, 1:] / np.float32(255))


def test_small_images_keep_their_originals(binary):
    """All parts hold the standardised centre, and the originals are what random crops are cut from."""
    whole, data = load_cifar10(binary), load_cifar10(binary, size=24, standardise="image")
    assert data.shape == (3, 24, 24)
    assert data.reference.name == "cifar10[size=24,standardise=image]"
    assert data.originals is not None
    assert np.array_equal(data.originals / np.float32(255), whole.train_images)
    assert np.array_equal(data.train_images, centre_crop(data.originals, (3, 32, 32), 24, "image"))
    assert np.allclose(data.test_images.mean(axis=1), 0, atol=1e-5)
    crops = augmentation_for("crop", data)(data.originals, np.random.default_rng(0))
    assert crops.shape == data.train_images.shape
    few = data.first(5, 3, 2)
    assert few.originals is not None
    assert np.array_equal(few.originals, data.originals[:5])


def test_decoded_images_are_kept(binary, monkeypatch):
    """The second time the archive is not unpacked; the arrays come from the cache."""
    first = load_cifar10(binary)
    monkeypatch.setattr(cifar10, "read_files", lambda *_: pytest.fail("unpacked again"))
    assert np.array_equal(load_cifar10(binary).train_images, first.train_images)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda made: made | {"data_batch_3.bin": made["data_batch_3.bin"][:-1]}, "bytes of train images, .* too few"),
        (lambda made: made | {"test_batch.bin": b""}, "holds 0 bytes of test images"),
        (lambda made: {k: v for k, v in made.items() if k != "test_batch.bin"}, "holds 5 of the 6 files"),
        (lambda made: made | {"test_batch.bin": b"\x0a" + made["test_batch.bin"][1:]}, r"labels must be in 0 \.\. 9"),
        (lambda made: made | {"test_batch.bin": bytes(40_000_000)}, "more than 30730000"),
    ],
)
def test_broken_archives_give_one_sentence(small, monkeypatch, change, message):
    """Files that are missing, short, too large or hold an unknown class."""
    path = small / "cifar-10-binary.tar.gz"
    path.write_bytes(archive(change(records()), "cifar-10-batches-bin/"))
    publish(monkeypatch, path)
    with pytest.raises(DataError, match=message):
        load_cifar10(path)


def test_another_archive_is_refused(binary):
    """The checksum is that of the published archive."""
    binary.write_bytes(archive(records(seed=1), "cifar-10-batches-bin/"))
    with pytest.raises(DataError, match=r"not the published archive.*matchopt data fetch cifar10"):
        load_cifar10(binary)


def jpegs():
    rng = np.random.default_rng(0)
    made = {}
    for part, count in (("train", TRAIN), ("test", TEST)):
        for n in range(count):
            picture = Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))
            out = io.BytesIO()
            picture.save(out, "JPEG", quality=75)
            made[f"{part}/{CLASSES[n % 10]}/{n // 10:04}.jpg"] = out.getvalue()
    return made


@pytest.fixture
def pictures(small, monkeypatch):
    """Made-up JPEG files whose checksum counts as the published one."""
    made = jpegs()
    monkeypatch.setattr(cifar10, "_JPEG_FILES", dataclasses.replace(cifar10._JPEG_FILES, count=TRAIN + TEST))
    monkeypatch.setattr(cifar10, "_JPEG_CONTENT", content_digest(made))
    return small, made


def test_an_archive_and_a_folder_are_the_same_data(pictures):
    """Pictures per class, packed in either way or unpacked; red, green and blue are the three planes."""
    small, made = pictures
    path = small / "cifar10-jpeg75.tar.gz"
    path.write_bytes(archive(made, "CIFAR-10-images-1/"))
    packed = load_cifar10_jpeg(path)
    folder = small / "folder"
    for name, content in made.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    unpacked = load_cifar10_jpeg(folder)
    assert packed.reference == unpacked.reference
    assert packed.reference.name == "cifar10-jpeg75"
    assert np.array_equal(packed.test_images, unpacked.test_images)
    assert np.bincount(packed.test_labels).tolist() == [2] * 10
    names = {}
    for name in (name for name in made if name.startswith("test")):
        picture = np.asarray(Image.open(io.BytesIO(made[name])))
        names[picture.transpose(2, 0, 1).tobytes()] = name
    found = [names[np.rint(image * 255).astype(np.uint8).tobytes()] for image in packed.test_images]
    assert sorted(found) == sorted(names.values())  # each once, in an order that is not that of the classes
    assert [name.split("/")[1] for name in found] == [CLASSES[label] for label in packed.test_labels]
    assert (np.diff(packed.test_labels) < 0).any()


def test_altered_pictures_are_refused(pictures):
    """A picture more, less or altered is not the published data."""
    small, made = pictures
    path = small / "cifar10-jpeg75.tar.xz"
    name = "train/frog/0003.jpg"
    for change, message in (
        (made | {name: made["train/frog/0004.jpg"]}, "does not hold the published images"),
        ({k: v for k, v in made.items() if k != name}, "holds 119 of the 120 files"),
        (made | {"train/frog/9999.jpg": made[name]}, "holds 121 of the 120 files"),
    ):
        path.write_bytes(archive(change))
        with pytest.raises(DataError, match=message):
            load_cifar10_jpeg(small)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no picture", "no sound JPEG file"),
        (jpegs()["train/frog/0000.jpg"][:500], "no sound JPEG file"),
        (b"\x89PNG\r\n\x1a\n", "no sound JPEG file"),
    ],
)
def test_broken_pictures_give_one_sentence(pictures, monkeypatch, content, message):
    """A picture that cannot be decoded is named."""
    small, made = pictures
    made["train/frog/0003.jpg"] = content
    monkeypatch.setattr(cifar10, "_JPEG_CONTENT", content_digest(made))
    path = small / "cifar10-jpeg75.tar.gz"
    path.write_bytes(archive(made))
    with pytest.raises(DataError, match=f"train/frog/0003.jpg, .*{message}"):
        load_cifar10_jpeg(path)


def test_large_pictures_are_not_decoded(pictures, monkeypatch):
    """A picture of another size is refused by its header."""
    small, made = pictures
    out = io.BytesIO()
    Image.new("RGB", (500, 400)).save(out, "JPEG")
    made["train/frog/0003.jpg"] = out.getvalue()
    monkeypatch.setattr(cifar10, "_JPEG_CONTENT", content_digest(made))
    path = small / "cifar10-jpeg75.tar.gz"
    path.write_bytes(archive(made))
    with pytest.raises(DataError, match="of 500 x 400 pixels"):
        load_cifar10_jpeg(path)


@pytest.mark.parametrize(("load", "name"), [(load_cifar10, "cifar10"), (load_cifar10_jpeg, "cifar10-jpeg75")])
def test_missing_data_are_one_sentence(tmp_path, load, name):
    """The sentence says how to fetch the data and where to put them; options are checked first."""
    with pytest.raises(DataError, match=rf"{name} is not here.*matchopt data fetch {name}`.*put .* into"):
        load(tmp_path)
    with pytest.raises(InvalidOption, match="size must be a whole number >= 1 and <= 32, found 33"):
        load(tmp_path, size=33)


@pytest.mark.slow
@pytest.mark.skipif(missing, reason="cifar10-jpeg75 is neither in the library (MATCHOPT_LIBRARY) nor fetched")
def test_the_lossy_copy_is_complete(monkeypatch, tmp_path):
    """5,000 + 1,000 pictures of each class; found again by its name, the second time from the cache."""
    monkeypatch.setenv("MATCHOPT_CACHE", str(tmp_path))
    data = load_cifar10_jpeg(size=8)
    assert [len(x) for x in (data.train_labels, data.validation_labels, data.test_labels)] == [45_000, 5_000, 10_000]
    assert np.bincount(data.test_labels).tolist() == [1_000] * 10
    assert (np.bincount(data.train_labels) + np.bincount(data.validation_labels)).tolist() == [5_000] * 10
    assert data.reference.name == "cifar10-jpeg75[size=8]"
    few = data.first(1_000, 1_000, 1_000)  # a fair sample: 100 of each class, give or take 3.5 standard deviations
    for labels in (few.train_labels, few.validation_labels, few.test_labels):
        assert (np.abs(np.bincount(labels, minlength=10) - 100) < 3.5 * 9.5).all()
    assert data.test_images.max() > 0.99
    # photographs of one class resemble each other: the nearest class mean is right more often than one time in ten
    means = np.stack([data.train_images[data.train_labels == c].mean(axis=0) for c in range(10)])
    distance = (means**2).sum(axis=1) - 2 * data.test_images @ means.T
    assert (distance.argmin(axis=1) == data.test_labels).mean() > 0.15
    monkeypatch.setattr(cifar10, "read_files", lambda *_: pytest.fail("unpacked again"))
    again = find_data(data.first(10, 10, 10).reference)
    assert np.array_equal(again.train_images, data.train_images[:10])
