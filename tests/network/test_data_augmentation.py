import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from matchopt.errors import InvalidOption, UnknownName
from matchopt.instances.network import DataReference
from matchopt.network.data.augmentation import (
    Augmentation,
    CropAugmentation,
    augmentation_class,
    augmentation_for,
    centre_crop,
)
from matchopt.network.data.images import ImageData
from matchopt.network.training.records import Transform

STILL = {"rotation": 0.0, "scale": 0.0, "shear": 0.0, "shift": 0.0, "elastic": 0.0}
DARK = {"mirror": False, "brightness": 0.0, "contrast": 0.0, "standardise": "none"}


def photographs(count=6, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 3 * 32 * 32), dtype=np.uint8)


def test_without_amounts_images_stay_as_they_are(mnist):
    """Identity parameters return equal images in new memory."""
    images = mnist.train_images[:500]
    same = Augmentation(**STILL)(images, np.random.default_rng(0))
    assert np.array_equal(same, images)
    assert not np.shares_memory(same, images)


@pytest.mark.parametrize(
    "amounts",
    [{"rotation": 0.5}, {"scale": 0.3}, {"shear": 0.4}, {"shift": 3.0}, {"rotation": 1.0, "scale": 0.5, "shear": 0.5}],
)
def test_an_affine_map_is_that_of_scipy(mnist, amounts):
    """Rotation, scale, shear and shift agree with scipy.ndimage.affine_transform, of order 1 with zeros outside."""
    images = mnist.train_images[:40]
    changed = Augmentation(**(STILL | amounts))(images, np.random.default_rng(4)).reshape(-1, 28, 28)
    draws = np.random.default_rng(4).uniform(-1, 1, (40, 5))
    for image, mine, draw in zip(images.reshape(-1, 28, 28), changed, draws, strict=True):
        angle, shear = amounts.get("rotation", 0) * draw[0], amounts.get("shear", 0) * draw[2]
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        matrix = turn @ np.array([[1, 0], [shear, 1]]) / (1 + amounts.get("scale", 0) * draw[1])
        offset = 13.5 - matrix @ (13.5, 13.5) + amounts.get("shift", 0) * draw[3:]
        peer = ndimage.affine_transform(image.astype(float), matrix, offset, order=1, mode="grid-constant")
        assert np.allclose(mine, peer, atol=3e-5)


def test_a_bend_is_the_grid_interpolated():
    """Displacements of the grid move pixels as map_coordinates with the zoomed grid does."""
    rng = np.random.default_rng(3)
    images = rng.random((5, 2 * 12 * 17), np.float32)
    bend = Augmentation(**(STILL | {"elastic": 1.3}), grid=4, shape=(2, 12, 17))
    mine = bend(images, np.random.default_rng(8)).reshape(5, 2, 12, 17)
    draws = np.random.default_rng(8)
    draws.uniform(-1, 1, (5, 5))
    grid = draws.standard_normal((5, 2, 4, 4), np.float32) * 1.3
    for n in range(5):
        y, x = np.meshgrid(np.linspace(0, 3, 12), np.linspace(0, 3, 17), indexing="ij")
        moved = [ndimage.map_coordinates(axis.astype(float), (y, x), order=1) for axis in grid[n]]
        at = np.indices((12, 17)) + np.array(moved)
        for channel in range(2):
            peer = ndimage.map_coordinates(
                images[n].reshape(2, 12, 17)[channel].astype(float), at, order=1, mode="grid-constant"
            )
            assert np.allclose(mine[n, channel], peer, atol=3e-5)


def test_the_seed_decides(mnist):
    """The same generator state gives the same images, bit by bit; another one gives others."""
    images = mnist.train_images[:100]
    first, again, other = (Augmentation()(images, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert (first != other).any(axis=1).all()


def test_digits_stay_digits(mnist):
    """Values stay in 0 .. 1; the mass of a digit stays within the largest change of area, on average within 3 %."""
    images = mnist.train_images[:5_000]
    changed = Augmentation()(images, np.random.default_rng(0))
    assert changed.dtype == np.float32
    assert (changed.min(), changed.max()) == (0.0, 1.0)
    kept = changed.sum(axis=1) / images.sum(axis=1)
    assert kept.mean() == pytest.approx(1, abs=0.03)
    assert np.quantile(kept, 0.001) > 0.87**2 - 0.15
    assert np.quantile(kept, 0.999) < 1.13**2 + 0.15
    assert (np.abs(changed - images).mean(axis=1) > 0.01).mean() > 0.95


@given(st.integers(0, 2**32), st.floats(0, 3), st.floats(0, 0.9), st.floats(0, 40), st.floats(0, 9), st.integers(2, 9))
def test_wild_amounts_stay_in_range(seed, rotation, scale, shift, elastic, grid):
    """However far pixels are moved, values stay between those of the image and 0."""
    rng = np.random.default_rng(seed)
    images = rng.random((3, 30), np.float32)
    wild = Augmentation(rotation, scale, rotation, shift, elastic, grid, shape=(1, 6, 5))
    changed = wild(images, rng)
    assert np.isfinite(changed).all()
    assert changed.min() >= 0
    assert changed.max() <= images.max()


@pytest.mark.slow
def test_an_epoch_of_digits_takes_about_a_second(mnist):
    """55,000 images in at most 1.2 s of one core; three times that where the machine is shared."""
    augmentation, rng = Augmentation(), np.random.default_rng(0)
    augmentation(mnist.train_images[:10], rng)
    seconds = []
    for _ in range(3):
        start = time.process_time()
        augmentation(mnist.train_images, rng)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 3.6


def test_a_crop_is_a_part_of_its_image():
    """Without changes of light, a crop is one of the windows of the padded image, mirrored in about half the cases."""
    images = photographs(40)
    padded = np.pad(images.reshape(-1, 3, 32, 32), ((0, 0), (0, 0), (2, 2), (2, 2)))
    crops = CropAugmentation(30, 2, **(DARK | {"mirror": True}))(images, np.random.default_rng(0))
    mirrored, corners = 0, set()
    for image, crop in zip(padded, np.rint(crops * 255).reshape(-1, 3, 30, 30), strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(image, (3, 30, 30))[0]
        straight = (windows == crop).all(axis=(2, 3, 4))
        turned = (windows == crop[:, :, ::-1]).all(axis=(2, 3, 4))
        assert straight.sum() + turned.sum() == 1
        mirrored += turned.sum()
        corners.add(tuple(np.argwhere(straight | turned)[0]))
    assert 10 < mirrored < 30
    assert len(corners) > 15
    assert {y for y, _ in corners} == {x for _, x in corners} == set(range(7))


def test_light_and_standardisation_follow_the_tutorial():
    """Brightness is added, contrast spreads each channel about its mean, each image ends with mean 0 and s.d. 1."""
    images = photographs()
    plain = CropAugmentation(32, **DARK)(images, np.random.default_rng(5))
    assert np.allclose(plain, images / 255, atol=1e-6)
    draws = np.random.default_rng(5)
    draws.integers(0, [1, 1], (6, 2))
    bright, contrast = draws.uniform(-1, 1, (2, 6, 1, 1))
    channels = images.reshape(6, 3, -1) / 255 + bright * 0.3
    mean = channels.mean(axis=2, keepdims=True)
    lit = ((channels - mean) * (1 + 0.5 * contrast) + mean).reshape(6, -1)
    mine = CropAugmentation(32, **(DARK | {"brightness": 0.3, "contrast": 0.5}))(images, np.random.default_rng(5))
    assert np.allclose(mine, lit, atol=1e-5)
    whole = CropAugmentation(32, mirror=False, brightness=0.3, contrast=0.5)(images, np.random.default_rng(5))
    spread = lit.std(axis=1, keepdims=True)
    assert np.allclose(whole, (lit - lit.mean(axis=1, keepdims=True)) / spread, atol=1e-4)


def test_an_even_image_is_not_divided_by_zero():
    """The standard deviation is at least 1 / sqrt(values), as in the tutorial."""
    grey = np.full((2, 3072), 77, np.uint8)
    assert np.abs(centre_crop(grey, (3, 32, 32), 24, "image")).max() < 1e-3


def test_the_centre_crop_is_the_middle():
    """Evaluation uses the middle 24 x 24 pixels."""
    images = photographs()
    middle = images.reshape(-1, 3, 32, 32)[:, :, 4:28, 4:28].reshape(6, -1) / np.float32(255)
    assert np.allclose(centre_crop(images, (3, 32, 32), 24, "none"), middle, atol=1e-6)
    standard = centre_crop(images, (3, 32, 32), 24, "image")
    assert np.allclose(standard.mean(axis=1), 0, atol=1e-5)
    assert np.allclose(standard.std(axis=1), 1, atol=1e-4)


def test_facts_can_make_the_augmentation_again():
    """Name and parameters, as they go into a training record, are enough."""
    for augmentation in (Augmentation(rotation=0.1), CropAugmentation(32, 4)):
        assert isinstance(augmentation, Transform)
        facts = augmentation.facts()
        cls = augmentation_class(facts.pop("name"))
        facts["shape"] = tuple(facts["shape"])
        assert cls(**facts) == augmentation
    with pytest.raises(UnknownName, match="did you mean 'distort'"):
        augmentation_class("distrot")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Augmentation(rotation=-0.1),
            "augmentation distort: rotation must be a finite number >= 0, found -0.1",
        ),
        (lambda: Augmentation(elastic=float("nan")), "elastic .* found nan"),
        (lambda: Augmentation(scale=1.0), "scale must be a number >= 0 and < 1"),
        (lambda: Augmentation(grid=1), "grid must be a whole number >= 2"),
        (lambda: Augmentation(clean_epochs=-1), "clean_epochs"),
        (lambda: CropAugmentation(33), "augmentation crop: size must be at most 32, found 33"),
        (lambda: CropAugmentation(contrast=1.5), "contrast must be a number >= 0 and <= 1"),
        (lambda: Augmentation()(np.zeros((1, 3), np.float32), np.random.default_rng(0)), "rows of 3 values"),
        (lambda: CropAugmentation()(np.zeros((1, 3), np.uint8), np.random.default_rng(0)), "rows of 3 values"),
    ],
)
def test_amounts_out_of_range_are_refused(make, message):
    """Each parameter is checked, and so is the shape of the rows."""
    with pytest.raises(InvalidOption, match=message):
        make()


def data_set(shape, original=None, bounded=True):
    part = np.zeros((2, int(np.prod(shape))), np.float32), np.zeros(2, np.int64)
    kept = None if original is None else np.zeros((2, int(np.prod(original))), np.uint8)
    return ImageData(*part, *part, *part, 1, DataReference("toy", "0" * 64), shape, bounded, kept)


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("distort", data_set((1, 28, 28)), Augmentation()),
        ("distort", data_set((3, 9, 7)), Augmentation(shape=(3, 9, 7))),
        ("crop", data_set((3, 24, 24), (3, 32, 32), bounded=False), CropAugmentation()),
        ("crop", data_set((3, 24, 24), (3, 32, 32)), CropAugmentation(24, **DARK | {"mirror": True})),
        ("crop", data_set((3, 32, 32)), CropAugmentation(32, 4, **DARK | {"mirror": True})),
        ("crop", data_set((3, 32, 32), (3, 32, 32), bounded=False), CropAugmentation(32, 4)),
    ],
)
def test_defaults_suit_the_data_set(name, data, expected):
    """Sizes follow the samples, so that what comes out has the size of the validation images."""
    augmentation = augmentation_for(name, data)
    assert augmentation == expected
    given = data.train_images if data.originals is None else data.originals
    assert augmentation(given, np.random.default_rng(0)).shape == data.train_images.shape


def test_sequences_are_not_augmented():
    """Only images have an augmentation so far."""
    with pytest.raises(InvalidOption, match=r"found samples of toy of shape \(5, 4\)"):
        augmentation_for("distort", data_set((5, 4), bounded=False))
