"""Random changes to training images that keep their class: distorted digits, cropped and mirrored photographs.

An augmentation is called with the training images before an epoch, or with those of a batch, and a random generator;
it returns new images and leaves those given as they are. The last `clean_epochs` epochs of training use the images
as they are; the training loop sees to that. Both classes serve as `Transform` of a `Conduct`.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Interval
from jaxtyping import Float32, UInt8

from matchopt.errors import InvalidOption, UnknownName
from matchopt.network.data.images import ImageData
from matchopt.parts import Json, field_values
from matchopt.settings import NonNegativeFloat, NonNegativeInt, PositiveInt, WithOptions

Shape3 = tuple[int, int, int]
Standardise = Literal["none", "image"]
Rows = Float32[np.ndarray, "images values"] | UInt8[np.ndarray, "images values"]


class Recorded(WithOptions):
    """A dataclass of settings with a name."""

    noun = "augmentation"

    def facts(self) -> dict[str, Json]:
        """Name and parameters, as they go into the training record."""
        fields = field_values(self).items()
        return {"name": self.name} | {key: list(value) if isinstance(value, tuple) else value for key, value in fields}


@dataclass(frozen=True)
class Augmentation(Recorded):
    """Digits turned, scaled, sheared, shifted and bent at random.

    The image is sampled bilinearly at A (p - c) + c + t + e(p) for every pixel p, where c is the centre, A = R(angle)
    S(shear) / factor, and e interpolates random displacements on a coarse grid. Pixels outside the image are 0.

    Parameters
    ----------
    rotation : angles are uniform in -rotation .. rotation, radians.
    scale : factors are uniform in 1 - scale .. 1 + scale; in 0 .. 1, 1 excluded.
    shear : horizontal shears are uniform in -shear .. shear.
    shift : shifts along each axis are uniform in -shift .. shift, pixels.
    elastic : standard deviation of each displacement on the grid, pixels.
    grid : the grid has grid x grid points, at least 2.
    clean_epochs : how many epochs at the end of training use the images as they are.
    shape : (channels, height, width) of an image.

    Raises
    ------
    InvalidOption
        when a parameter is out of range.
    """

    name = "distort"

    rotation: NonNegativeFloat = 0.22
    scale: Annotated[float, Interval(ge=0, lt=1)] = 0.13
    shear: NonNegativeFloat = 0.13
    shift: NonNegativeFloat = 2.0
    elastic: NonNegativeFloat = 0.7
    grid: Annotated[int, Ge(2)] = 6
    clean_epochs: NonNegativeInt = 2
    shape: Shape3 = (1, 28, 28)

    def __call__(
        self, images: Float32[np.ndarray, "images pixels"], rng: np.random.Generator
    ) -> Float32[np.ndarray, "images pixels"]:
        """Changed copies of the images, one per row; values stay between those of the images and 0.

        Raises InvalidOption when the rows do not have the shape of this augmentation.
        """
        from matchopt.network.data.distortion import warp

        _check_rows(images, self.shape, self.name)
        amounts = rng.uniform(-1, 1, (len(images), 5)) * (self.rotation, self.scale, self.shear, self.shift, self.shift)
        angle, factor, shear = amounts[:, 0], 1 + amounts[:, 1], amounts[:, 2]
        sine, cosine = np.sin(angle) / factor, np.cos(angle) / factor
        # rows (y, x): a rotation after a shear of x by y
        matrix = np.stack([cosine + sine * shear, sine, cosine * shear - sine, cosine], axis=1).reshape(-1, 2, 2)
        bends = rng.standard_normal((len(images), 2, self.grid, self.grid), np.float32) * np.float32(self.elastic)
        changed = np.empty_like(images)
        warp(images, *self.shape, matrix.astype(np.float32), amounts[:, 3:].astype(np.float32), bends, changed)
        return changed


@dataclass(frozen=True)
class CropAugmentation(Recorded):
    """Photographs cropped, mirrored and lit at random; the defaults are those of the TensorFlow tutorial on CIFAR-10.

    In order: a random crop, a mirror image in one of two cases, a change of brightness, a change of contrast (each
    channel's distance from its mean is multiplied), and where asked for, each image is standardised. Give it
    `ImageData.originals` where the data set has any: the images before they were cropped for evaluation.

    Parameters
    ----------
    size : side of the crop, pixels.
    padding : zeros around the image before cropping, pixels; 4 with size 32 is usual for residual networks.
    mirror : whether half of the images are mirrored, left to right.
    brightness : what is added to all pixels is uniform in -brightness .. brightness; pixels are in 0 .. 1.
    contrast : factors are uniform in 1 - contrast .. 1 + contrast; in 0 .. 1.
    standardise : "image" gives each crop mean 0 and standard deviation 1, "none" leaves values as they are.
    clean_epochs : how many epochs at the end of training use the images as they are.
    shape : (channels, height, width) of the images it is given.

    Raises
    ------
    InvalidOption
        when a parameter is out of range.

    References
    ----------
    tensorflow/models, tutorials/image/cifar10/cifar10_input.py, `distorted_inputs`: 24 x 24 crops, mirror images,
    brightness 63 of 255, contrast factors 0.2 .. 1.8, each image standardised.
    """

    name = "crop"

    size: PositiveInt = 24
    padding: NonNegativeInt = 0
    mirror: bool = True
    brightness: NonNegativeFloat = 63 / 255
    contrast: Annotated[float, Interval(ge=0, le=1)] = 0.8
    standardise: Standardise = "image"
    clean_epochs: NonNegativeInt = 0
    shape: Shape3 = (3, 32, 32)

    def __post_init__(self) -> None:
        room = min(self.shape[1:]) + 2 * self.padding
        if self.size > room:
            raise InvalidOption(f"{self.called()}: size must be at most {room}, found {self.size!r}")

    def __call__(self, images: Rows, rng: np.random.Generator) -> Float32[np.ndarray, "images cropped"]:
        """Changed crops of the images, one per row; images of type uint8 are divided by 255.

        Raises InvalidOption when the rows do not have the shape of this augmentation.
        """
        count = len(images)
        rooms = [side + 2 * self.padding - self.size + 1 for side in self.shape[1:]]
        corner = rng.integers(0, rooms, (count, 2)) - self.padding
        mirrored = rng.random(count) < 0.5 if self.mirror else np.zeros(count, np.bool_)
        brightness, contrast = rng.uniform(-1, 1, (2, count)).astype(np.float32)
        return _crop(
            images,
            self.shape,
            self.size,
            self.standardise,
            (corner, mirrored, brightness * np.float32(self.brightness), 1 + contrast * np.float32(self.contrast)),
        )


def centre_crop(
    images: Rows, shape: Shape3, size: int, standardise: Standardise
) -> Float32[np.ndarray, "images cropped"]:
    """The middle of every image, for evaluation; see `CropAugmentation` for the parameters."""
    count = len(images)
    corner = np.tile([(side - size) // 2 for side in shape[1:]], (count, 1))
    still = np.zeros(count, np.float32)
    return _crop(images, shape, size, standardise, (corner, np.zeros(count, np.bool_), still, still + np.float32(1)))


AUGMENTATIONS: dict[str, type[Augmentation] | type[CropAugmentation]] = {
    cls.name: cls for cls in (Augmentation, CropAugmentation)
}


def augmentation_class(name: str) -> type[Augmentation] | type[CropAugmentation]:
    """The augmentation of this name. Raises UnknownName where there is none."""
    if name not in AUGMENTATIONS:
        raise UnknownName("augmentation", name, AUGMENTATIONS)
    return AUGMENTATIONS[name]


def augmentation_for(name: str, data: ImageData) -> Augmentation | CropAugmentation:
    """The augmentation of this name with defaults that suit a data set.

    "distort" takes the shape of the images. "crop" gives crops of the size of the images: from the originals where
    the data set keeps any, else from images with 4 zeros around; brightness and contrast change only where each image
    is standardised, for other pixels would leave 0 .. 1.

    Raises
    ------
    UnknownName
        where there is no augmentation of this name.
    InvalidOption
        when the samples are no images.
    """
    cls = augmentation_class(name)
    if len(data.shape) != 3:
        raise InvalidOption(
            f"augmentation {name} takes images of shape (channels, height, width), "
            f"found samples of {data.reference.name} of shape {data.shape}"
        )
    channels, height, width = data.shape
    if cls is Augmentation:
        return Augmentation(shape=(channels, height, width))
    side = height if data.originals is None else round((data.originals.shape[1] / channels) ** 0.5)
    padding = 4 if side == height else 0
    shape = (channels, side, side) if data.originals is not None else (channels, height, width)
    if data.bounded:
        return CropAugmentation(height, padding, True, 0.0, 0.0, "none", shape=shape)
    return CropAugmentation(height, padding, shape=shape)


def _crop(
    images: Rows,
    shape: Shape3,
    size: int,
    standardise: Standardise,
    draws: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> Float32[np.ndarray, "images cropped"]:
    from matchopt.network.data.distortion import crop

    _check_rows(images, shape, "crop")
    divisor = np.float32(255) if images.dtype == np.uint8 else np.float32(1)
    out = np.empty((len(images), shape[0] * size * size), np.float32)
    crop(images, divisor, shape, *draws, standardise == "image", size, out)
    return out


def _check_rows(images: Rows, shape: Shape3, name: str) -> None:
    if images.shape[1] != int(np.prod(shape)):
        raise InvalidOption(
            f"augmentation {name} takes images of shape {shape}, found rows of {images.shape[1]} values"
        )
