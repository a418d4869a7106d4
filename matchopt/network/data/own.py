"""Data of one's own: an .npz file of inputs and labels, or a folder with one folder of images for each class."""

import hashlib
import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from matchopt.errors import DataError, MissingExtra
from matchopt.formats.numpy_files import npz_names, read_npz
from matchopt.formats.sources import Source
from matchopt.instances.network import DataReference
from matchopt.network.data.images import ImageData

OWN = "own:"  # what names of such data begin with, in references
MAX_VALUES = 2**29  # of all inputs: two gigabytes in single precision
MAX_SIDE = 4096  # pixels of an image
MOST_CLASSES = 2**31
_INPUTS = ("x", "input", "inputs", "image", "images", "data", "sample", "samples", "feature", "features")
_LABELS = ("y", "label", "labels", "target", "targets", "class", "classes")
_PARTS = {"train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation",
          "dev": "validation", "test": "test"}  # fmt: skip
_IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
Parts = dict[str, dict[str, np.ndarray]]


def is_own(name: str) -> bool:
    """Whether a name of data is the path of a file or folder of one's own."""
    return name.endswith(".npz") or "/" in name or Path(name).is_dir()


def own_data(path: str | PathLike[str], split: bool = False) -> ImageData:
    """Data from a file or a folder; bytes (uint8, images) are divided by 255, all else is taken as it is.

    In an .npz file the arrays are called inputs and labels (or x and y, and the like); those of parts such as x_train
    and x_test, beside which x and y are for training. Labels are whole numbers from 0 on, one for each sample, or for
    each frame. In a folder every folder is a class, in the order of their names, as torchvision's ImageFolder has it;
    images are grey or colour, of one size.

    Where the data say no parts, every part holds all samples, or with `split` each its share. A part that is missing is
    the one beside it; a missing validation part is a tenth of the training samples, by a fixed draw.

    Parameters
    ----------
    path : the file or folder; nothing beside it is read.
    split : whether data without parts are divided, by a fixed draw: 80 % for training, 10 % for validation, 10 % for
        tests.

    Raises
    ------
    DataError
        naming what is missing or wrong.
    FormatError
        when a file is damaged, or announces more than it holds.
    MissingExtra
        when a folder of images is read and the package pillow is not installed.
    """
    place = Path(path)
    parts = _of_folder(place) if place.is_dir() else _labelled(place, _of_file(place))
    named = {name: part for name, part in parts.items() if name}
    rng = np.random.default_rng(0)
    if not named and split:
        order, ends = rng.permutation(len(parts[""]["labels"])), np.array([0.8, 0.9]) * len(parts[""]["labels"])
        shares = np.split(order, ends.astype(int))
        named = {
            name: _some(parts[""], rows) for name, rows in zip(("train", "validation", "test"), shares, strict=True)
        }
    elif not named:
        named = dict.fromkeys(("train", "validation", "test"), parts[""])
    if "validation" not in named and "train" in named:
        held = np.arange(len(named["train"]["labels"])) % 10 == rng.integers(10)
        named |= {"validation": _some(named["train"], held), "train": _some(named["train"], ~held)}
    named.setdefault("test", named.get("validation", named.get("train", {})))
    named.setdefault("validation", named["test"])
    named.setdefault("train", named["validation"])
    return _checked(place, named)


def _labelled(place: Path, parts: Parts) -> Parts:
    """The parts of a file, their labels one for each sample, or for each frame."""
    found: Parts = {}
    for name, part in parts.items():
        inputs, labels = part["inputs"], part["labels"]
        labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
        if labels.ndim == 0 or inputs.ndim == 0 or len(inputs) != len(labels):
            raise DataError(f"{place}: as many labels as inputs are needed, found {inputs.shape} and {labels.shape}"
                            f"{f' in the {name} part' if name else ''}")  # fmt: skip
        with np.errstate(invalid="ignore"):
            whole = labels.dtype.kind in "iu" or (labels.dtype.kind == "f" and (labels == np.rint(labels)).all())
        if not whole or (np.abs(labels) >= MOST_CLASSES).any():
            raise DataError(f"{place}: labels must be whole numbers from 0 on, found {labels.dtype}")
        if labels.ndim > 1 and (inputs.ndim != 3 or labels.shape != inputs.shape[:2]):
            raise DataError(f"{place}: one label is needed for each sample, or for each frame of inputs of shape "
                            f"(samples, frames, features), found labels of shape {labels.shape} for inputs of shape "
                            f"{inputs.shape}; of a row of zeros and a one, give the place of the one")  # fmt: skip
        found[name] = {"inputs": inputs, "labels": labels}
    return found


def _some(part: Mapping[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    return {name: array[rows] for name, array in part.items()}


def _checked(place: Path, parts: Parts) -> ImageData:
    digest, fields = hashlib.sha256(), dict[str, Any]()
    shape = parts["train"]["inputs"].shape[1:]
    for name, part in sorted(parts.items()):
        inputs, labels = part["inputs"], part["labels"]
        if len(labels) == 0 or inputs.shape[1:] != shape or not shape:
            raise DataError(f"{place}: samples are needed, all of one shape, found {inputs.shape} in the {name} part")
        if (inputs.dtype == np.uint8) != (parts["train"]["inputs"].dtype == np.uint8):
            raise DataError(f"{place}: inputs of all parts must be bytes, which are divided by 255, or none")
        if inputs.size > MAX_VALUES:
            raise DataError(f"{place}: at most {MAX_VALUES} values are read, found {inputs.size}")
        digest.update(
            f"{name}{inputs.shape}{inputs.dtype}".encode() + inputs.tobytes() + labels.astype("<i8").tobytes()
        )
        scaled = inputs.reshape(len(inputs), -1).astype(np.float32) / np.float32(255 if inputs.dtype == np.uint8 else 1)
        fields |= {f"{name}_images": scaled, f"{name}_labels": labels.astype(np.int64)}
    classes = 1 + max(int(part["labels"].max()) for part in parts.values())
    pictures = parts["train"]["inputs"].dtype == np.uint8 and len(shape) == 2
    reference = DataReference(f"{OWN}{place.name}", digest.hexdigest())
    return ImageData(
        **fields, n_classes=classes, reference=reference, shape=(1, *shape) if pictures else shape, bounded=False
    )


def _of_file(place: Path) -> Parts:
    source = Source(place)
    if not source.head.startswith(b"PK"):
        raise DataError(f"{place}: own data are an .npz file of inputs and labels, or a folder with a folder of images "
                        "for each class")  # fmt: skip
    names, found = npz_names(source), dict[str, dict[str, str]]()
    for name in names:
        words = re.split(r"[_.\-]", name.lower())
        kind = "inputs" if set(words) & set(_INPUTS) else "labels" if set(words) & set(_LABELS) else ""
        part = next((_PARTS[word] for word in words if word in _PARTS), "")
        chosen = found.setdefault(part, {})
        if kind in chosen:
            raise DataError(f"{place}: {chosen[kind]!r} and {name!r} may both be the {kind}; keep one")
        chosen |= {kind: name} if kind else {}
    whole = {part: chosen for part, chosen in found.items() if len(chosen) == 2}
    if "" in whole and "train" not in whole and len(whole) > 1:
        whole["train"] = whole.pop("")
    if not whole or ("" in whole and len(whole) > 1):
        raise DataError(f"{place}: arrays called inputs and labels are needed (or x and y, x_test and y_test ..), "
                        f"found {', '.join(names)[:200]}")  # fmt: skip
    arrays = read_npz(source, [name for chosen in whole.values() for name in chosen.values()])
    return {part: {kind: arrays[name] for kind, name in chosen.items()} for part, chosen in whole.items()}


def _of_folder(place: Path) -> Parts:
    folders = sorted(folder for folder in place.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    pictures: list[np.ndarray] = []
    labels: list[int] = []
    root = place.resolve()
    for number, folder in enumerate(folders):
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in _IMAGES:
                if not path.resolve().is_relative_to(root) or not path.is_file():
                    raise DataError(f"{path} leads out of the folder {place}, or is no file; only files in it are read")
                pictures.append(_picture(path))
                labels.append(number)
                if pictures[-1].shape != pictures[0].shape:
                    raise DataError(f"{path} has the shape {pictures[-1].shape} (channels, height, width), those "
                                    f"before {pictures[0].shape}; make all images alike")  # fmt: skip
                if len(pictures) * pictures[0].size > MAX_VALUES:
                    raise DataError(f"{place}: at most {MAX_VALUES} values are read, found more")
    if not pictures:
        raise DataError(f"{place}: no images ({', '.join(_IMAGES)}) in folders of classes")
    return {"": {"inputs": np.stack(pictures), "labels": np.array(labels)}}


def _picture(path: Path) -> np.ndarray:
    """One image: channels, height, width."""
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtra(f"reading {path}", "pillow", "data") from None
    try:
        with Image.open(path) as picture:
            if max(picture.size) > MAX_SIDE:
                raise DataError(f"{path}: images of at most {MAX_SIDE} pixels a side are read, found {picture.size}")
            grey = picture.mode in ("1", "L", "LA", "I;16", "I", "F")
            pixels = np.asarray(picture.convert("L" if grey else "RGB"))
    except DataError:
        raise
    except Exception as cause:  # each decoder raises errors of its own
        raise DataError(f"{path}: no image that can be read: {str(cause).splitlines()[0][:120]}") from None
    return pixels[None] if grey else pixels.transpose(2, 0, 1)
