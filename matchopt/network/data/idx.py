"""Data sets of 28 x 28 images in four IDX files, as MNIST was published."""

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
from matchopt.network.data.images import ImageData

SPLIT_SEED = 20180501  # one fixed permutation for everyone, so that accuracies of different runs compare
N_VALIDATION = 5_000
N_CLASSES = 10
SIDE = 28
HEADROOM = 1 << 20  # gzip never grows these files by more; a larger file is not read at all
IDX_NAMES = (
    "train-images-idx3-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
_LENGTHS = ((60_000, SIDE, SIDE), (10_000, SIDE, SIDE), (60_000,), (10_000,))


@dataclass(frozen=True)
class IdxFiles:
    """The four published files of one data set.

    Parameters
    ----------
    name : of the data set.
    title : the same for messages.
    sha256 : of each file, in the order of `IDX_NAMES`.
    packed : whether that is the SHA-256 of the gzip file; else of what it unpacks to.
    """

    name: str
    title: str
    sha256: tuple[str, str, str, str]
    packed: bool

    @property
    def reference(self) -> DataReference:
        """Name, and the SHA-256 of the four SHA-256 one after the other."""
        return DataReference(self.name, hashlib.sha256("".join(self.sha256).encode()).hexdigest())

    def load(self, folder: Path) -> ImageData:
        """Read the files, divide pixels by 255, and split the training images by one fixed permutation.

        Raises DataError when a file is missing, cut short, or not the published one.
        """
        with ThreadPoolExecutor(max_workers=2) as pool:
            images, test_images, labels, test_labels = pool.map(lambda n: self._read(folder, n), range(4))
            order = np.random.default_rng(SPLIT_SEED).permutation(len(images))
            train, validation = order[N_VALIDATION:], order[:N_VALIDATION]
            parts = (_scaled(images, train, pool), _scaled(images, validation, pool), _scaled(test_images, None, pool))
        classes = (found[:, 0].astype(np.int64) for found in (labels[train], labels[validation], test_labels))
        first, second, third = zip(parts, classes, strict=True)
        return ImageData(*first, *second, *third, N_CLASSES, self.reference, (1, SIDE, SIDE))

    def _read(self, folder: Path, number: int) -> UInt8[np.ndarray, "..."]:
        advice = "restore the published file"
        path, lengths = folder / IDX_NAMES[number], _LENGTHS[number]
        header = 4 + 4 * len(lengths)  # four bytes of type and number of dimensions, then four per dimension
        size = header + int(np.prod(lengths))
        place = f"{self.title} file {path}"
        try:
            found = path.stat().st_size
            packed = path.read_bytes() if found <= size + HEADROOM else None
        except FileNotFoundError:
            raise DataError(f"{place} is missing; put the four original .gz files there") from None
        except OSError as cause:
            raise DataError(f"{place} cannot be read ({cause.strerror}); {advice}") from None
        if packed is None:
            raise DataError(f"{place} has {found} bytes, more than the published one; {advice}")
        unpacker = zlib.decompressobj(wbits=31)
        try:
            content = unpacker.decompress(packed, size + 1)
        except zlib.error as cause:
            raise DataError(f"{place} is not a sound gzip file ({cause}); {advice}") from None
        if len(content) != size:
            amount = "more than" if len(content) > size else f"only {len(content)} of"
            raise DataError(f"{place} unpacks to {amount} {size} bytes; {advice}")
        if hashlib.sha256(packed if self.packed else content).hexdigest() != self.sha256[number]:
            raise DataError(f"{place} is not the published one (its SHA-256 differs); {advice}")
        return np.frombuffer(content, np.uint8, offset=header).reshape(lengths[0], -1)


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
