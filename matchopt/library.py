"""Where data is found: what ships with the project, and the larger library a user points to."""

import os
from pathlib import Path

from matchopt.errors import DataError

LIBRARY_VARIABLE = "MATCHOPT_LIBRARY"
CACHE_VARIABLE = "MATCHOPT_CACHE"


def problems_folder() -> Path:
    """The folder `problems` that ships with matchopt (MNIST, the catalogue, exported instances).

    Raises DataError when the installation lacks it.
    """
    return _shipped("problems")


def tools_folder() -> Path:
    """The folder `tools` that ships with matchopt (the checker of proofs); raises DataError as `problems_folder`."""
    return _shipped("tools")


def _shipped(name: str) -> Path:
    here = Path(__file__).resolve().parent
    for candidate in (here / name, here.parent / name):
        if candidate.is_dir():
            return candidate
    raise DataError(f"the folder {name!r} of the installation is missing beside {here}; reinstall matchopt")


def library_folder() -> Path | None:
    """The folder that MATCHOPT_LIBRARY names (public instances, measured weights), None where it is unset.

    Raises DataError when the variable is set and names no folder.
    """
    value = os.environ.get(LIBRARY_VARIABLE, "")
    if not value:
        return None
    folder = Path(value)
    if not folder.is_dir():
        raise DataError(f"{LIBRARY_VARIABLE} is {value!r}, which is no folder; unset it or name the library's folder")
    return folder


def cache_folder() -> Path:
    """Where fetched data and decoded arrays are kept.

    MATCHOPT_CACHE, else `matchopt` in XDG_CACHE_HOME, else `.cache/matchopt` in the home folder.
    """
    if named := os.environ.get(CACHE_VARIABLE, ""):
        return Path(named)
    if shared := os.environ.get("XDG_CACHE_HOME", ""):
        return Path(shared) / "matchopt"
    return Path.home() / ".cache" / "matchopt"


def best_known_file() -> Path:
    """The user's own table of best known values: `matchopt/best-known.csv` in XDG_DATA_HOME, or `.local/share`."""
    shared = os.environ.get("XDG_DATA_HOME", "")
    return (Path(shared) if shared else Path.home() / ".local" / "share") / "matchopt" / "best-known.csv"
