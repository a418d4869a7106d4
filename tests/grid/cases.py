"""Tasks of a grid that do what they are told, in whatever process performs them."""

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matchopt.grid.task import GridTask

NUMBERS = {"nan": float("nan"), "inf": float("inf"), "digits": 10**5000, "half a character": "\udce9"}


@dataclass(frozen=True)
class Told(GridTask):
    """A task that raises, dies, or gives the figure that it is told to; every performance leaves a line in `seen`."""

    what: str
    seen: Path
    after: tuple["Told", ...] = ()

    @property
    def needs(self) -> Sequence[GridTask]:
        """See `GridTask.needs`."""
        return self.after

    def facts(self) -> dict[str, Any]:
        """See `GridTask.facts`."""
        return {"what": self.what}

    def perform(self) -> dict[str, Any]:
        """Do it."""
        with self.seen.open("a") as file:
            file.write(f"{self.what}\n")
        if self.what == "be killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.what == "exit":
            sys.exit(3)
        if self.what in OTHERS:
            raise OTHERS[self.what]
        if self.what in ("RuntimeError", "MemoryError", "KeyError", "ValueError"):
            raise {"RuntimeError": RuntimeError, "MemoryError": MemoryError, "KeyError": KeyError}.get(
                self.what, ValueError
            )("because")
        if self.what == "nothing that can be sent":
            raise Unsendable(lambda: None)
        return {"figure": NUMBERS.get(self.what, self.what), "series": [NUMBERS.get(self.what, 1.0)]}

    def performances(self) -> list[str]:
        """What was performed so far, by all tasks with this file."""
        return self.seen.read_text().splitlines() if self.seen.exists() else []


class Speechless(Exception):
    """An exception that raises another one when it is asked what it is."""

    def __str__(self) -> str:
        raise RuntimeError


OTHERS = {
    "KeyboardInterrupt": KeyboardInterrupt("by hand"),
    "GeneratorExit": GeneratorExit(),
    "Speechless": Speechless(),
    "half": OSError("b\udce9d"),
}


class Unsendable(BaseException):
    """An exception that no process can send to another."""
