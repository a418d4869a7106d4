"""Decoded arrays kept on disk, so that decoding is done once."""

import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from matchopt.formats.atomic import write_atomically
from matchopt.library import cache_folder

Arrays = dict[str, np.ndarray]
Shapes = Mapping[str, tuple[tuple[int, ...], type[np.generic]]]


def cached(key: str, shapes: Shapes, build: Callable[[], Arrays]) -> Arrays:
    """The arrays kept under a key; built, and kept, where there are none or they are damaged.

    One .npz file without pickles. Where it cannot be written, the arrays are built each time.

    Parameters
    ----------
    key : names the content; it must change with whatever the arrays depend on.
    shapes : shape and type of each array.
    build : makes them.
    """
    path = cache_folder() / "arrays" / f"{key}.npz"
    kept = _read(path, shapes)
    if kept is not None:
        return kept
    arrays = build()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]  # names, no options
    except OSError:  # a read-only or full disk costs time, nothing else
        pass
    return arrays


def _read(path: Path, shapes: Shapes) -> Arrays | None:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in shapes}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    fits = all(arrays[name].shape == shape and arrays[name].dtype == kind for name, (shape, kind) in shapes.items())
    return arrays if fits else None
