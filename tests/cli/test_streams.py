"""Commands in odd surroundings: streams that are closed, full or of another encoding, and names that are no text."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

START = [sys.executable, "-m", "matchopt"]


def shell(command: str, folder: Path, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    """A shell command in which $M is matchopt."""
    env = {**os.environ, "M": " ".join(START), **environment}
    return subprocess.run(["bash", "-c", command], cwd=folder, env=env, capture_output=True, timeout=120, check=False)


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("$M --version", 0, b"matchopt"),
        ("$M solve three.txt --solver hungarian --output a.matchopt <&- >&-; s=$?; ls; exit $s", 0, b"a.matchopt"),
        pytest.param("$M solve three.txt --solver hungarian 2>&-", 0, b"objective 5", marks=pytest.mark.slow),
        pytest.param("$M solvers hungarian >&-", 0, b"", marks=pytest.mark.slow),
        ("$M check-solver no-such <&- >&- 2>&-", 2, b""),
        ("$M solvers hungarian > /dev/full", 2, b"No space left"),
        ("PYTHONIOENCODING=ascii $M solvers hungarian", 0, b" solver      solves"),
        pytest.param("PYTHONIOENCODING=latin-1 $M problems", 0, b"----------", marks=pytest.mark.slow),
        pytest.param(
            r"cp three.txt $'b\xe9\n.txt'; $M solve $'b\xe9\n.txt' --solver greedy-pairs",
            0,
            b"objective 6",
            marks=pytest.mark.slow,
        ),
        (r"$M solve $'n\xe9' --solver hungarian", 2, rb"n\udce9"),
    ],
)
def test_a_command_in_odd_surroundings(assignment: Path, command: str, status: int, said: bytes) -> None:
    """It does what it can, in ASCII where nothing else can be written; never a traceback."""
    done = shell(command, assignment.parent)
    assert done.returncode == status, done
    assert said in done.stdout + done.stderr and b"Traceback" not in done.stderr, done


HOST = """
import os, sys
report = os.dup(1)
os.closerange(0, 3)
import numpy as np
from matchopt import AssignmentInstance
from matchopt.run import solve
runs = [solve(AssignmentInstance(np.eye(2)), "hungarian", cold=cold) for cold in (False, True)]
os.write(report, repr([run.objective for run in runs]).encode())
"""


def test_a_host_without_streams_may_solve(tmp_path: Path) -> None:
    """The pipes to workers get the numbers of standard streams then."""
    done = subprocess.run([sys.executable, "-c", HOST], cwd=tmp_path, capture_output=True, timeout=120, check=False)
    assert done.stdout == b"[0.0, 0.0]", done
