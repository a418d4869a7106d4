"""A progress bar on standard error, for work that takes longer than two seconds; silent where nobody looks."""

import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

PATIENCE = 2.0  # seconds before the bar appears


class Progress:
    """A bar that appears after two seconds on a terminal, and goes when the work is done.

    Parameters
    ----------
    title : what is being done.
    total : amount of work; None while it is unknown.
    """

    def __init__(self, title: str, total: float | None = None) -> None:
        self._title, self._total, self._done, self._note = title, total, 0.0, ""
        self._lock = threading.Lock()
        self._bar: RichProgress | None = None
        self._over = False
        self._timer = threading.Timer(PATIENCE, self._show)
        self._timer.daemon = True

    def __enter__(self) -> "Progress":
        if sys.stderr.isatty():
            self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._timer.cancel()
        with self._lock:
            self._over = True
            if self._bar is not None:
                self._bar.stop()
                self._bar = None

    def update(self, done: float | None = None, note: str = "", total: float | None = None) -> None:
        """Say how much is done so far, a word on how it stands, and how much there is to do where that is news."""
        with self._lock:
            self._total = self._total if total is None else total
            self._done = self._done if done is None else done
            self._note = note or self._note
            if self._bar is not None:
                self._bar.update(self._bar.task_ids[0], completed=self._done, total=self._total, note=self._note)

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
        )
        bar = RichProgress(*columns, console=Console(stderr=True), transient=True)
        with self._lock:
            if self._over:
                return
            task = bar.add_task(self._title, total=self._total, note=self._note)
            bar.update(task, completed=self._done)
            bar.start()
            self._bar = bar
