"""Where data is found: what ships with the project, and the larger library a user points to."""

import os
from pathlib import Path

from matchopt.errors import DataError

LIBRARY_VARIABLE = "MATCHOPT_LIBRARY"


def problems_folder() -> Path:
    """The folder `problems` that ships with matchopt (MNIST, the catalogue, exported instances).

    Raises DataError when the installation lacks it.
    """
    here = Path(__file__).resolve().parent
    for candidate in (here / "problems", here.parent / "problems"):
        if candidate.is_dir():
            return candidate
    raise DataError(f"the folder 'problems' of the installation is missing beside {here}; reinstall matchopt")


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
