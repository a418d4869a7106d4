"""Every command shown in the README and the documents runs as printed.

A fenced block marked `console` is a session: lines that begin with `$ ` are commands, the others are what the last
command prints, among other lines. The sessions of one file run in order in one empty folder. Before a block, a comment
`<!-- skip: reason -->` leaves it out and says why; `make` commands are only checked to exist.
"""

import contextlib
import io
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from filelock import FileLock

from matchopt.cli import main
from matchopt.library import problems_folder

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
EVERY = [*DOCUMENTS, *sorted((ROOT / "docs" / "studies").glob("*.md"))]
BLOCK = re.compile(r"(?:<!-- skip: (?P<skip>[^>]+) -->\n)?```console\n(?P<text>.*?)```", re.S)


def commands(text: str) -> list[tuple[str, str | None]]:
    """(command, reason it is left out or None) of every console block; a trailing backslash joins lines."""
    return [(command, reason) for command, reason, _ in sessions(text)]


def sessions(text: str) -> Iterator[tuple[str, str | None, list[str]]]:
    """The same with the lines that are shown of what it prints."""
    for block in BLOCK.finditer(text):
        joined = block["text"].replace("\\\n", " ")
        for session in re.split(r"^\$ ", joined, flags=re.M)[1:]:
            command, *printed = session.splitlines()
            yield command.strip(), block["skip"], [line for line in printed if line.strip()]


def in_process(*words: str) -> str:
    """What a command of matchopt prints here."""
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, f"{shlex.join(words)}\n{done.output}"
    return done.output


pytestmark = pytest.mark.usefixtures("shared_processes")


@pytest.fixture(scope="session")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for trainings that the processes of one run of the tests share."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "trainings"
    folder.mkdir(exist_ok=True)
    return folder


def trained(words: Sequence[str], trainings: Path) -> Path:
    """The folder with the files that a training leaves in an empty one: documents that begin alike train once."""
    folder = trainings / re.sub(r"\W+", "-", " ".join(words))
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            begun = Path(f"{folder}.begun")
            begun.mkdir(exist_ok=True)
            with contextlib.chdir(begun):
                in_process(*words)
            begun.rename(folder)
    return folder


def script(*words: str) -> str:
    """What a Python script prints here, as the main program that it is."""
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as printed:
        patch.setattr(sys, "argv", list(words))
        patch.setattr(sys, "path", [str(Path(words[0]).parent), *sys.path])
        runpy.run_path(words[0], run_name="__main__")
    return printed.getvalue()


def run(command: str, folder: Path, trainings: Path) -> str:
    """What it prints in `folder`, whose processes find this environment's programs first; it has to succeed.

    Commands of matchopt and scripts run in this process, which spares each of them the imports; a line for the shell
    (pipes, other programs) does not.
    """
    words = shlex.split(command)
    with contextlib.chdir(folder):
        if words[:2] == ["matchopt", "train"]:
            shutil.copytree(trained(words[1:], trainings), folder, dirs_exist_ok=True)
            return ""
        alone = not set(command) & set("|<>;&$")
        if words[0] == "matchopt" and alone:
            return in_process(*words[1:])
        if words[0] == "python" and words[1].startswith("examples/") and alone:
            return script(*words[1:])
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        env = {**os.environ, "PATH": path}
        shell = subprocess.run(command, shell=True, env=env, text=True, capture_output=True, timeout=300)
        assert shell.returncode == 0, f"{command}\n{shell.stdout}\n{shell.stderr}"
        return shell.stdout


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_run_as_shown(document: Path, tmp_path: Path, trainings: Path) -> None:
    """Each command of the document exits with 0, and prints the lines that are shown."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for command, reason, shown in sessions(document.read_text()):
        words = shlex.split(command)
        if words[0] == "make":
            assert {word for word in words[1:] if "=" not in word} <= targets, command
        elif reason is None and words[0] not in {"git", "cd"}:
            printed = run(command, tmp_path, trainings)
            assert [line for line in shown if line not in printed] == [], printed


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_python_blocks_run(document: Path, tmp_path: Path) -> None:
    """A Python block that imports matchopt runs in a namespace of its own; one that imports nothing goes on there."""
    found: dict[str, Any] = {}
    with contextlib.chdir(tmp_path):
        for block in re.findall(r"```python\n(.*?)```", document.read_text(), re.S):
            if "import" in block and "matchopt" in block:
                found = {"__name__": "__main__"}
            if found:
                exec(compile(block, document.name, "exec"), found)


@pytest.mark.parametrize("document", EVERY, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_within_sentences_exist(document: Path) -> None:
    """`matchopt COMMAND --option` in running text names a command, options it has, and a study that ships.

    Blocks of sessions have to be among the documents that run; those of published studies would run for hours.
    """
    text = document.read_text()
    assert document in DOCUMENTS or not BLOCK.search(text)
    for shown in re.findall(r"`matchopt ([^`]+)`", text):
        command, *words = shlex.split(" ".join(shown.split()))
        known = {"--version", "--help"}
        if command not in known:
            called = main.get_command(click.Context(main), command)
            assert called is not None, shown
            known |= {name for option in called.params for name in option.opts}
        assert {word.partition("=")[0] for word in words if word.startswith("-")} <= known, shown
        if command == "reproduce" and words and words[0] != "all" and not (words[0].isupper() or words[0][0] == "-"):
            assert (problems_folder() / "studies" / f"{words[0]}.toml").is_file(), shown


def test_the_readme_shows_the_two_commands() -> None:
    """The README shows `make demo` and `make test`, and at least one command for each kind of user."""
    shown = [command for command, _ in commands((ROOT / "README.md").read_text())]
    assert "make demo" in shown
    assert "make test" in shown
    for start in ("matchopt new-plugin", "matchopt export", "matchopt convert"):
        assert any(command.startswith(start) for command in shown), start
