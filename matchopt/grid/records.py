"""Results as JSON lines, appended and synced one by one, so that nothing finished is lost."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from matchopt.errors import FolderInUse, FormatError
from matchopt.formats.atomic import write_bytes
from matchopt.parts import canonical_json, readable

LOCK = ".lock"
MAX = sys.float_info.max  # of the numbers that a figure may be


class ResultLog:
    """A file of results, one JSON object a line, each under a key that says what it is the result of.

    Used in a `with` block, during which no other run can write into the file's folder.

    Parameters
    ----------
    path : the file; made with the first result.

    Raises
    ------
    FolderInUse
        when another run has not left its `with` block yet.
    FormatError
        when a line in the middle of the file is no result. A torn last line, left by a power cut, is dropped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found: dict[str, dict[str, Any]] = {}
        self._lock = FileLock(path.parent / LOCK)

    def __enter__(self) -> "ResultLog":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise FolderInUse(
                f"another run writes into {self.path.parent}; wait until it has ended, or name another folder"
            ) from None
        try:
            self._load()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._lock.release()

    def __iter__(self) -> Iterator[str]:
        """The keys of all results, in the order of the file."""
        return iter(self._found)

    def get(self, key: str) -> dict[str, Any] | None:
        """The last result under `key`, None without one."""
        return self._found.get(key)

    def append(self, key: str, result: Mapping[str, Any]) -> None:
        """Add a result; it is on the disk when this returns. What JSON cannot say is recorded as `as_json` has it."""
        self.extend({key: result})

    def extend(self, results: Mapping[str, Mapping[str, Any]]) -> None:
        """Add results by their keys, in one go: each time the disk is waited for once."""
        lines = {key: {"key": key, **as_json(result)} for key, result in results.items()}
        if not lines:
            return
        try:
            with self.path.open("ab") as file:
                file.write(b"".join(json.dumps(line, allow_nan=False).encode() + b"\n" for line in lines.values()))
                file.flush()
                os.fsync(file.fileno())
        except OSError as cause:  # a full disk, say, whose error names no file
            raise OSError(cause.errno, cause.strerror, str(self.path)) from None
        self._found |= lines

    def _load(self) -> None:
        content = self.path.read_bytes() if self.path.exists() else b""
        self._found |= results_in(content, self.path)
        torn = content.rpartition(b"\n")[2]
        if torn:
            write_bytes(self.path, content[: len(content) - len(torn)])


def results_in(content: bytes, path: Path) -> dict[str, dict[str, Any]]:
    """The results in the lines of a file called `path`, by key, the last of each; a torn last line is left out.

    Raises
    ------
    FormatError
        for a line that is no result.
    """
    found = {}
    for number, line in enumerate(content.rpartition(b"\n")[0].splitlines(), start=1):
        try:
            result = json.loads(line)
            found[result["key"]] = result
        except (ValueError, KeyError, TypeError, RecursionError):
            raise FormatError(f"{path}, line {number} is no result; remove the line or the file") from None
    return found


def as_json(value: Any) -> Any:
    """A value as JSON can say it, and any program read it.

    NaN and infinities are missing (None), whole numbers beyond every float, too; numpy's numbers are plain ones, the
    rest is text.
    """
    if value is None or value is True or value is False:
        return value
    if type(value) is str:  # first what there is most of
        return readable(value)
    if isinstance(value, Mapping):
        return {as_json(str(name)): as_json(inner) for name, inner in value.items()}
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and not value.ndim):
        return as_json(value.item())
    if isinstance(value, (tuple, list, np.ndarray)):
        return [as_json(inner) for inner in value]
    if isinstance(value, (int, float)):
        return value if abs(value) <= MAX else None
    return readable(str(value))


def content_key(facts: Mapping[str, Any]) -> str:
    """One key for everything that determines a result, such as settings, versions and digests."""
    return sha256(canonical_json(facts)).hexdigest()[:24]
