"""Results as JSON lines, appended and synced one by one, so that nothing finished is lost."""

import json
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from matchopt.errors import FormatError
from matchopt.parts import canonical_json
from matchopt.run import Task, identity


class ResultLog:
    """A file of results, one JSON object a line, each under a key that says what it is the result of.

    Parameters
    ----------
    path : the file; made with the first result.

    Raises
    ------
    FormatError
        when a line in the middle of the file is no result. A torn last line, left by a power cut, is dropped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found: dict[str, dict[str, Any]] = {}
        if path.exists():
            self._load()

    def get(self, key: str) -> dict[str, Any] | None:
        """The last result under `key`, None without one."""
        return self._found.get(key)

    def results(self) -> list[dict[str, Any]]:
        """The last result under every key, in the order of the file."""
        return list(self._found.values())

    def append(self, key: str, result: Mapping[str, Any]) -> None:
        """Add a result; it is on the disk when this returns."""
        line = {"key": key, **result}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write(json.dumps(line, allow_nan=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._found[key] = line

    def _load(self) -> None:
        content = self.path.read_bytes()
        whole, _, torn = content.rpartition(b"\n")
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                result = json.loads(line)
                self._found[result["key"]] = result
            except (ValueError, KeyError, TypeError):
                raise FormatError(f"{self.path}, line {number} is no result; remove the line or the file") from None
        if torn:
            with self.path.open("r+b") as file:
                file.truncate(len(content) - len(torn))


def content_key(facts: Mapping[str, Any]) -> str:
    """One key for everything that determines a result, such as instance digest, solver, version, options and seed."""
    return sha256(canonical_json(facts)).hexdigest()[:24]


def task_key(task: Task) -> str:
    """The key of what `matchopt.run.solve` makes of a task; a pipeline counts as a solver.

    Raises
    ------
    UnknownName, PluginError, InvalidOption
        when a solver, a stage or an option of it does not exist or fit.
    """
    return content_key({"instance": task.instance.digest, **identity(task)})
