"""A line of a grid, described so that any process on any machine can perform it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from matchopt.grid.records import as_json, content_key

ERROR = "error"  # the figure that a line has instead of all others when its task failed


@dataclass(frozen=True)
class Place:
    """Where and with what tasks are performed.

    Parameters
    ----------
    folder : gets results, checkpoints and kept files; whoever performs a task sees it under this path.
    device : where networks are trained, such as "cpu" or "cuda".
    plugin_files : plugin files to load besides the installed plugins.
    """

    folder: Path
    device: str = "cpu"
    plugin_files: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", self.folder.absolute())
        object.__setattr__(self, "plugin_files", tuple(path.absolute() for path in self.plugin_files))


class GridTask(ABC):
    """One training or one solve; subclasses are frozen dataclasses that can be pickled."""

    @cached_property
    def made_from(self) -> dict[str, Any]:
        """What `facts` says, as JSON."""
        found: dict[str, Any] = as_json(self.facts())
        return found

    @cached_property
    def key(self) -> str:
        """The key of the result: of all that determines it."""
        return content_key(self.made_from)

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """All that determines the result: settings, versions, digests of files and data, device."""

    @abstractmethod
    def perform(self) -> dict[str, Any]:
        """The figures, under their names.

        Raises
        ------
        BaseException
            of any kind; it costs this line.
        """

    @property
    def seconds(self) -> float:
        """About how long it takes at most; 0 where that is not known. The longest begin first."""
        return 0.0

    @property
    def needs(self) -> "Sequence[GridTask]":
        """Tasks that must be done before this one."""
        return ()

    def is_whole(self, record: Mapping[str, Any]) -> bool:
        """Whether what the record says was left behind is still there."""
        del record
        return True
