"""MNIST, as it ships with the project."""

import hashlib
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from matchopt.errors import DataError
from matchopt.instances.network import DataReference
from matchopt.library import problems_folder
from matchopt.network.data.images import ImageData

SPLIT_SEED = 20180501  # one fixed permutation for everyone, so that accuracies of different runs compare
N_VALIDATION = 5_000
N_CLASSES = 10
SIDE = 28
HEADROOM = 1 << 20  # gzip never grows these files by more; a larger file is not read at all


@dataclass(frozen=True)
class _IdxFile:
    """One published IDX file: what it must unpack to."""

    name: str
    lengths: tuple[int, ...]
    sha256: str

    @property
    def header(self) -> int:
        """Bytes before the values: four of type and number of dimensions, then four per dimension."""
        return 4 + 4 * len(self.lengths)

    @property
    def size(self) -> int:
        """Unpacked size in bytes."""
        return self.header + int(np.prod(self.lengths))


_FILES = (  # SHA-256 of the unpacked content
    _IdxFile(
        "train-images-idx3-ubyte.gz",
        (60_000, SIDE, SIDE),
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    _IdxFile(
        "t10k-images-idx3-ubyte.gz",
        (10_000, SIDE, SIDE),
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    _IdxFile(
        "train-labels-idx1-ubyte.gz",
        (60_000,),
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    _IdxFile(
        "t10k-labels-idx1-ubyte.gz",
        (10_000,),
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)
_DIGEST = hashlib.sha256("".join(file.sha256 for file in _FILES).encode()).hexdigest()


def load_mnist(folder: Path | None = None) -> ImageData:
    """MNIST split 55,000 / 5,000 / 10,000; pixels divided by 255, nothing else.

    The split is one fixed permutation of the published training images.

    Parameters
    ----------
    folder : where the four original gzip files are; None for the ones that ship with the project.

    Raises
    ------
    DataError
        when a file is missing, cut short, or its unpacked content is not the published one (SHA-256).

    References
    ----------
    LeCun, Bottou, Bengio, Haffner 1998, doi:10.1109/5.726791.
    """
    place = problems_folder() / "mnist" if folder is None else folder
    with ThreadPoolExecutor(max_workers=2) as pool:
        images, test_images, labels, test_labels = pool.map(lambda file: _read(place / file.name, file), _FILES)
        order = np.random.default_rng(SPLIT_SEED).permutation(len(images))
        train, validation = order[N_VALIDATION:], order[:N_VALIDATION]
        parts = (_scaled(images, train, pool), _scaled(images, validation, pool), _scaled(test_images, None, pool))
    return ImageData(
        parts[0],
        labels[train, 0].astype(np.int64),
        parts[1],
        labels[validation, 0].astype(np.int64),
        parts[2],
        test_labels[:, 0].astype(np.int64),
        N_CLASSES,
        DataReference("mnist", _DIGEST),
        (1, SIDE, SIDE),
    )


def _read(path: Path, file: _IdxFile) -> UInt8[np.ndarray, "..."]:
    advice = "restore the published file"
    try:
        size = path.stat().st_size
        packed = path.read_bytes() if size <= file.size + HEADROOM else None
    except FileNotFoundError:
        raise DataError(f"MNIST file {path} is missing; put the four original .gz files there") from None
    except OSError as cause:
        raise DataError(f"MNIST file {path} cannot be read ({cause.strerror}); {advice}") from None
    if packed is None:
        raise DataError(f"MNIST file {path} has {size} bytes, more than the published one; {advice}")
    unpacker = zlib.decompressobj(wbits=31)
    try:
        content = unpacker.decompress(packed, file.size + 1)
    except zlib.error as cause:
        raise DataError(f"MNIST file {path} is not a sound gzip file ({cause}); {advice}") from None
    if len(content) != file.size:
        amount = "more than" if len(content) > file.size else f"only {len(content)} of"
        raise DataError(f"MNIST file {path} unpacks to {amount} {file.size} bytes; {advice}")
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise DataError(f"MNIST file {path} is not the published one (its SHA-256 differs); {advice}")
    return np.frombuffer(content, np.uint8, offset=file.header).reshape(file.lengths[0], -1)


def _scaled(
    images: UInt8[np.ndarray, "all pixels"], rows: Int64[np.ndarray, " some"] | None, pool: ThreadPoolExecutor
) -> Float32[np.ndarray, "some pixels"]:
    """The chosen rows divided by 255; two halves at once, as most of the time goes to touching fresh memory."""
    count = len(images) if rows is None else len(rows)
    scaled = np.empty((count, images.shape[1]), np.float32)

    def fill(part: Sequence[int]) -> None:
        chosen = slice(*part) if rows is None else rows[slice(*part)]
        np.divide(images[chosen], np.float32(255), out=scaled[slice(*part)], dtype=np.float32)

    list(pool.map(fill, ((0, count // 2), (count // 2, count))))
    return scaled
