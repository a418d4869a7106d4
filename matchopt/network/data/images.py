"""A labelled data set: rows of images, or of sequences of features."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from matchopt.errors import DataError
from matchopt.instances.network import DataReference
from matchopt.instances.sample_objective import IGNORED as IGNORED


@dataclass(frozen=True, eq=False)
class ImageData:
    """A labelled data set in three parts: train on the first, choose on the second, report the third once.

    A row is one flattened sample of shape `shape`: an image (channels, height, width), or a sequence
    (frames, features), the first axis slowest.

    Parameters
    ----------
    train_images, validation_images, test_images : one sample per row; pixels in 0 .. 1 where `bounded`.
    train_labels, validation_labels, test_labels : class of each sample in 0 .. n_classes - 1, or one class per frame
        of a sequence, where -1 marks a frame to be ignored (padding).
    n_classes : number of classes.
    reference : name and SHA-256 of the data set.
    shape : shape of one sample; () stands for (columns,).
    bounded : whether every value must be in 0 .. 1, as pixels are; False admits every finite value.
    originals : the training images before they were cropped and standardised, which is what an augmentation takes;
        None where they were not.

    Raises
    ------
    DataError
        when samples and labels do not fit together or a value is out of range.
    """

    train_images: Float32[np.ndarray, "train pixels"]
    train_labels: Int64[np.ndarray, " train *frames"]
    validation_images: Float32[np.ndarray, "validation pixels"]
    validation_labels: Int64[np.ndarray, " validation *frames"]
    test_images: Float32[np.ndarray, "test pixels"]
    test_labels: Int64[np.ndarray, " test *frames"]
    n_classes: int
    reference: DataReference
    shape: tuple[int, ...] = ()
    bounded: bool = True
    originals: UInt8[np.ndarray, "train original"] | None = None

    def __post_init__(self) -> None:
        name, pixels = self.reference.name, self.train_images.shape[1]
        if not self.shape:
            object.__setattr__(self, "shape", (pixels,))
        if min(self.shape) < 1 or int(np.prod(self.shape)) != pixels:
            raise DataError(f"{name}: samples of shape {self.shape} do not fit rows of {pixels} values")
        for part in ("train", "validation", "test"):
            images, labels = getattr(self, f"{part}_images"), getattr(self, f"{part}_labels")
            self._check_part(part, images, labels)
            images.flags.writeable = labels.flags.writeable = False
        if self.originals is not None:
            if len(self.originals) != len(self.train_images):
                raise DataError(f"{name}: there must be one original for each training image")
            self.originals.flags.writeable = False

    def _check_part(
        self, part: str, images: Float32[np.ndarray, "samples values"], labels: Int64[np.ndarray, "..."]
    ) -> None:
        name, pixels = self.reference.name, self.train_images.shape[1]
        if len(images) == 0:
            raise DataError(f"{name}: the {part} part must hold at least one image")
        if images.shape != (len(labels), pixels):
            raise DataError(f"{name}: {part}_images must have shape {(len(labels), pixels)}, found {images.shape}")
        low, high = float(images.min()), float(images.max())
        if self.bounded and not (low >= 0.0 and high <= 1.0):
            raise DataError(f"{name}: pixels must be in 0 .. 1, found {part}_images outside it")
        if not (np.isfinite(low) and np.isfinite(high)):  # a NaN anywhere is the minimum
            raise DataError(f"{name}: features must be finite, found {part}_images with other values")
        lowest = 0
        if labels.ndim > 1:
            lowest = IGNORED
            if len(self.shape) != 2 or labels.shape[1:] != self.shape[:1]:
                raise DataError(
                    f"{name}: labels per frame need samples of shape (frames, features) and one label per frame, "
                    f"found samples of shape {self.shape} and {part}_labels of shape {labels.shape}"
                )
        if labels.min() < lowest or labels.max() >= self.n_classes:
            raise DataError(
                f"{name}: labels must be in {lowest} .. {self.n_classes - 1}, found {part}_labels outside it"
            )

    @property
    def n_pixels(self) -> int:
        """Values per sample, the number of inputs of a network on this data."""
        return int(self.train_images.shape[1])

    def first(self, train: int, validation: int, test: int) -> "ImageData":
        """A smaller data set of the first samples of each part, for quick trials; the reference says so.

        They are a fair sample where the loader leaves no part sorted; the parts of TIMIT are sorted by speaker.
        """
        name = f"{self.reference.name}[{train},{validation},{test}]"
        sha = hashlib.sha256(f"{self.reference.sha256}{name}".encode()).hexdigest()
        fewer: dict[str, Any] = {"originals": None if self.originals is None else self.originals[:train]}
        for part, count in (("train", train), ("validation", validation), ("test", test)):
            for field in (f"{part}_images", f"{part}_labels"):
                fewer[field] = getattr(self, field)[:count]
        return replace(self, reference=DataReference(name, sha), **fewer)


def normalised(data: ImageData, reference: DataReference) -> ImageData:
    """The data as a network takes them whose reference says mean and deviation.

    Raises DataError when these are neither one, nor one for each channel, nor one for each input.
    """
    mean, deviation = np.array(reference.mean, np.float32), np.array(reference.deviation, np.float32)
    for name, values in (("mean", mean), ("deviation", deviation)):
        if values.size not in (1, data.shape[0], data.n_pixels):
            raise DataError(f"{reference.name}: {name} must be 1, {data.shape[0]} or {data.n_pixels} numbers, found "
                            f"{values.size}")  # fmt: skip
    if (reference.mean, reference.deviation) == ((0.0,), (1.0,)):
        return data
    mean, deviation = (np.repeat(values, data.n_pixels // values.size) for values in (mean, deviation))
    parts = {
        f"{part}_images": (getattr(data, f"{part}_images") - mean) / deviation
        for part in ("train", "validation", "test")
    }
    return replace(data, **parts, bounded=False, reference=reference)
