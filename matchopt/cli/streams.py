"""The standard streams, made fit for a command whoever started it and with whatever settings."""

import io
import os
import sys


def repair_streams() -> None:
    """Open those that are closed, as services start programs, and let all text be written in any encoding.

    A closed descriptor would else be taken by the next file or pipe that is opened, and every print would fail.
    Characters that the encoding lacks are written as escapes such as ``\\xe9``.
    """
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(fd, "w" if fd else "r", encoding="utf-8", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def end_quietly() -> None:
    """Give up standard output, whose reader has gone or whose disk is full, so that nothing fails on it later."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
