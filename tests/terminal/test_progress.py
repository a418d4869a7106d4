"""The progress bar."""

import io
import time

import pytest

from matchopt.terminal import progress
from matchopt.terminal.progress import Progress


class Screen(io.StringIO):
    """Standard error that says whether it is a terminal."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.mark.parametrize(
    ("terminal", "patience", "shown"), [(True, 0.0, True), (False, 0.0, False), (True, 60.0, False)]
)
def test_a_bar_is_for_long_work_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, patience: float, shown: bool
) -> None:
    """The bar shows title and note once patience is over, on a terminal only, and nothing is written otherwise."""
    screen = Screen(terminal)
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr(progress, "PATIENCE", patience)
    monkeypatch.setenv("TERM", "xterm")
    with Progress("counting sheep", 3) as bar:
        deadline = time.monotonic() + (10 if shown else 0.2)
        while time.monotonic() < deadline and "sheep" not in screen.getvalue():
            time.sleep(0.02)
        bar.update(2, "two of them")
    assert ("sheep" in screen.getvalue()) is shown
    assert shown or screen.getvalue() == ""


def test_updates_before_the_bar_appears_are_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A note given before the bar appears is on it when it does."""
    screen = Screen(True)
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr(progress, "PATIENCE", 0.2)
    with Progress("work") as bar:
        bar.update(1, "early note", 4)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and "early note" not in screen.getvalue():
            time.sleep(0.02)
    assert "early note" in screen.getvalue()
