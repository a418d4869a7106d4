"""Every command shown in the README and the documents runs as printed.

A fenced block marked `console` is a session: lines that begin with `$ ` are commands, the others are what they print
and are not compared. The sessions of one file run in order in one empty folder. Before a block, an HTML comment
`<!-- skip: reason -->` leaves it out and says why; `make` commands are only checked to exist.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(?:<!-- skip: (?P<skip>[^>]+) -->\n)?```console\n(?P<text>.*?)```", re.S)


def commands(text: str) -> list[tuple[str, str | None]]:
    """(command, reason it is left out or None) of every console block; a trailing backslash joins lines."""
    found = []
    for block in BLOCK.finditer(text):
        joined = block["text"].replace("\\\n", " ")
        found += [(line[2:].strip(), block["skip"]) for line in joined.splitlines() if line.startswith("$ ")]
    return found


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run in `folder` with this environment's programs first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "MATCHOPT_DOCS": "1"}
    return subprocess.run(command, shell=True, cwd=folder, env=env, text=True, capture_output=True, timeout=300)


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_run_as_shown(document: Path, tmp_path: Path) -> None:
    """Each command of the document exits with 0."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for command, reason in commands(document.read_text()):
        words = shlex.split(command)
        if words[0] == "make":
            assert set(words[1:]) <= targets, command
        elif reason is None and words[0] not in {"git", "cd"}:
            done = run(command, tmp_path)
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_python_blocks_run(document: Path, tmp_path: Path) -> None:
    """Every Python block that imports matchopt runs as a program of its own."""
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", document.read_text(), re.S)):
        if "import" in block and "matchopt" in block:
            program = tmp_path / f"block{number}.py"
            program.write_text(block)
            done = run(f"{shlex.quote(sys.executable)} {program}", tmp_path)
            assert done.returncode == 0, f"{block}\n{done.stderr}"


def test_the_readme_shows_the_two_commands() -> None:
    """The README shows `make demo` and `make test`, and at least one command for each kind of user."""
    shown = [command for command, _ in commands((ROOT / "README.md").read_text())]
    assert "make demo" in shown
    assert "make test" in shown
    for start in ("matchopt new-plugin", "matchopt export", "matchopt convert"):
        assert any(command.startswith(start) for command in shown), start
