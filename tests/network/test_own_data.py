"""Data of one's own: what is read, how parts are made, and what is refused."""

import numpy as np
import pytest
from PIL import Image

from matchopt.errors import DataError, FormatError
from matchopt.network.data import find_data, load_data, own_data

RNG = np.random.default_rng(6)
X, Y = RNG.standard_normal((30, 6)).astype(np.float32), RNG.integers(0, 3, 30)


@pytest.mark.parametrize(("inputs", "labels"), [("inputs", "labels"), ("x", "y"), ("X", "Y"), ("images", "targets")])
def test_a_file_without_parts(tmp_path, inputs, labels):
    """Every part is all samples, in their order and with their values; split, the parts are disjoint shares."""
    np.savez(tmp_path / "mine.npz", **{inputs: X, labels: Y})
    whole = own_data(tmp_path / "mine.npz")
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(whole, f"{part}_images"), X)
        np.testing.assert_array_equal(getattr(whole, f"{part}_labels"), Y)
    assert (whole.n_classes, whole.shape, whole.reference.name) == (3, (6,), "own:mine.npz")
    shared = load_data(str(tmp_path / "mine.npz"))
    rows = [row.tobytes() for part in ("train", "validation", "test") for row in getattr(shared, f"{part}_images")]
    assert sorted(rows) == sorted(row.tobytes() for row in X)
    assert [len(getattr(shared, f"{part}_labels")) for part in ("train", "validation", "test")] == [24, 3, 3]
    with pytest.raises(DataError, match=r"'mine\.npz' are somebody's own; name their file"):
        find_data(whole.reference)


def test_a_file_with_parts(tmp_path):
    """Parts are those the names say; of the training part a tenth, not drawn from the test part, validates."""
    pixels = RNG.integers(0, 256, (40, 4, 5), np.uint8)
    np.savez(
        tmp_path / "a.npz", x_train=pixels[:30], y_train=np.arange(30) % 2, x_test=pixels[30:], y_test=np.ones(10, int)
    )
    found = own_data(tmp_path / "a.npz")
    assert found.shape == (1, 4, 5)
    np.testing.assert_array_equal(found.test_images, (pixels[30:].reshape(10, 20) / np.float32(255)).astype(np.float32))
    assert (len(found.train_images), len(found.validation_images)) == (27, 3)
    np.savez(
        tmp_path / "c.npz", x=pixels[:30], label=np.arange(30)[:, None] % 2, x_test=pixels[30:], y_test=np.ones(10)
    )
    same = own_data(tmp_path / "c.npz")
    for part in ("train_images", "train_labels", "test_images", "test_labels"):
        np.testing.assert_array_equal(getattr(same, part), getattr(found, part))
    np.savez(tmp_path / "b.npz", x_val=X, y_val=Y, x_test=X[:9], y_test=Y[:9])
    other = own_data(tmp_path / "b.npz")
    assert (len(other.train_images), len(other.validation_images), len(other.test_images)) == (30, 30, 9)


def images(folder, mode="L", size=(4, 3), classes=("cat", "dog")):
    for label in classes:
        (folder / label).mkdir(parents=True)
        for number in range(3):
            shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], 3)
            pixels = RNG.integers(0, 256, shape, np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    (folder / "readme.txt").write_text("not an image")


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3)])
def test_a_folder_of_images(tmp_path, mode, channels):
    """A folder is a class, by the order of names; pixels are channel, row, column, divided by 255."""
    images(tmp_path / "data", mode)
    found = own_data(tmp_path / "data")
    assert (found.shape, found.n_classes) == ((channels, 3, 4), 2)
    np.testing.assert_array_equal(found.test_labels, [0, 0, 0, 1, 1, 1])
    first = np.asarray(Image.open(tmp_path / "data" / "cat" / "0.png")).reshape(3, 4, channels)
    np.testing.assert_allclose(found.test_images[0].reshape(channels, 3, 4), first.transpose(2, 0, 1) / 255, atol=1e-7)


def leading_out(folder):
    (folder.parent / "secret.png").write_bytes((folder / "cat" / "0.png").read_bytes())
    (folder / "dog" / "link.png").symlink_to(folder.parent / "secret.png")


FOLDERS = {
    "link": (leading_out, "leads out of the folder"),
    "text": (lambda folder: (folder / "dog" / "9.png").write_text("no image"), "no image that can be read"),
    "sizes": (lambda folder: Image.new("L", (9, 9)).save(folder / "dog" / "9.png"), "make all images alike"),
    "bomb": (lambda folder: Image.new("1", (60_000, 3)).save(folder / "dog" / "9.png"), "at most 4096 pixels a side"),
}  # fmt: skip


@pytest.mark.parametrize("which", FOLDERS)
def test_folders_that_are_refused(tmp_path, which):
    """One sentence names the file; nothing outside the folder is read."""
    change, message = FOLDERS[which]
    images(tmp_path / "data")
    change(tmp_path / "data")
    with pytest.raises(DataError, match=message):
        own_data(tmp_path / "data")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X}, "arrays called inputs and labels are needed"),
        ({"x": X, "y": Y[:29]}, r"as many labels as inputs are needed, found \(30, 6\) and \(29,\)"),
        ({"x_train": X, "y_train": Y[:29]}, r"as many labels .* in the train part"),
        ({"x": X, "y": np.float64(1)}, r"as many labels as inputs are needed"),
        ({"x": X, "y": np.eye(3)[Y]}, r"found labels of shape \(30, 3\) .* give the place of the one"),
        ({"x": X, "y": np.where(Y > 0, np.inf, Y)}, "labels must be whole numbers"),
        ({"x": X, "y": Y * 1e12}, "labels must be whole numbers"),
        ({"x": X.astype(np.uint8), "y": Y, "x_test": X, "y_test": Y}, "inputs of all parts must be bytes"),
        ({"x": X, "y": Y + 0.5}, "labels must be whole numbers"),
        ({"x": X, "y": Y - 1}, "labels must be in 0"),
        ({"x": X, "inputs": X, "y": Y}, "'x' and 'inputs' may both be the inputs"),
        ({"x": X * np.nan, "y": Y}, "must be finite"),
        ({"x": X, "y": Y, "x_train": X, "y_train": Y}, "arrays called inputs and labels are needed"),
        ({"x_train": X, "y_train": Y, "x_test": X[:, :3], "y_test": Y}, "all of one shape"),
        ({"x": np.array([{}] * 3), "y": Y}, "must hold numbers"),
    ],
)
def test_files_that_are_refused(tmp_path, arrays, message):
    """One sentence names the file and what is wrong."""
    np.savez(tmp_path / "mine.npz", **arrays)
    with pytest.raises((DataError, FormatError), match=message):
        own_data(tmp_path / "mine.npz")
