"""Where and with what the runs of a study are done."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Place:
    """Where and with what a run is done.

    Parameters
    ----------
    folder : gets results, checkpoints and targets.
    device : where networks are trained, such as "cpu" or "cuda".
    plugin_files : plugin files to load besides the installed plugins.
    threads : threads a run may use, >= 1.
    """

    folder: Path
    device: str
    plugin_files: tuple[Path, ...]
    threads: int
