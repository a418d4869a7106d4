"""The group of commands: help, errors, exit statuses, what it imports."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import matchopt
from matchopt.cli import main
from matchopt.cli.app import COMMANDS

HEAVY = ("numba", "scipy", "torch", "ortools", "matplotlib", "rich", "pandas", "safetensors")


def run(*arguments: str | Path) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command in this process."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    """The help of a command begins with its purpose and ends with an example that calls this command."""
    status, out, _ = run(name, "--help")
    assert status == 0
    assert f"matchopt {name}" in out.split("Example:")[1].replace("\n  ", " ")
    command = main.get_command(click.Context(main), name)
    assert command is not None and command.help and command.help.strip()[0].isupper()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name: str) -> None:
    """Every option has a help text, and one with a default shows it."""
    command = main.get_command(click.Context(main), name)
    assert command is not None
    for option in (each for each in command.params if isinstance(each, click.Option)):
        assert option.help, option.name
        plain = option.is_flag or option.multiple or option.required or option.default is None
        assert plain or option.show_default or "UNSET" in repr(option.default).upper(), option.name


def test_the_listing_has_every_command_and_imports_none_of_them() -> None:
    """`--help` lists all commands, and loads neither their modules nor anything that computes or draws."""
    code = (
        "import sys; from matchopt.cli import main\n"
        "try: main(['--help'], prog_name='matchopt')\n"
        "except SystemExit as end: assert end.code == 0\n"
        f"print('LOADED', [m for m in sys.modules if m.split('.')[0] in {HEAVY}], "
        "sorted(m for m in sys.modules if m.startswith('matchopt.cli.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name in COMMANDS:
        assert f"\n  {name} " in done.stdout
    modules = ["matchopt.cli.app", "matchopt.cli.group", "matchopt.cli.settings", "matchopt.cli.streams"]
    assert done.stdout.splitlines()[-1] == f"LOADED [] {modules}"


@pytest.mark.skipif(sys.platform != "linux", reason="the fork server needs Linux")
@pytest.mark.parametrize(
    ("arguments", "started"), [(["solve", "none.matchopt"], True), (["solve", "--help"], False), (["problems"], False)]
)
def test_only_a_solve_starts_the_server_before_the_command_line_loads(arguments: list[str], started: bool) -> None:
    """The server imports what workers need while this process still reads its options."""
    code = (
        "import sys; from matchopt.run import warm\n"
        "def begin(*modules): print('BEGUN', 'click' in sys.modules)\n"
        "warm.server.begin = begin\n"
        f"sys.argv[1:] = {arguments}; from matchopt.cli.__main__ import run; run()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ("BEGUN False" in done.stdout) == started, done.stdout + done.stderr
    assert "BEGUN True" not in done.stdout


def test_help_costs_little_more_than_starting_python_with_numpy() -> None:
    """`matchopt --help` takes less than three times as long as `import numpy` (0.5 s on an idle machine)."""

    def seconds(*command: str) -> float:
        best = float("inf")
        for _ in range(3):
            before = os.times()
            subprocess.run([sys.executable, *command], capture_output=True, check=True)
            after = os.times()
            used = after.children_user + after.children_system - before.children_user - before.children_system
            best = min(best, used)
        return best

    assert seconds("-m", "matchopt.cli", "--help") < 3 * seconds("-c", "import numpy, click") + 0.1


def test_a_misspelt_command_is_answered_with_the_right_one() -> None:
    """An unknown command names the closest one, or all of them where none is close; exit status 2."""
    assert run("sovle")[0] == 2
    assert "Did you mean 'solve'?" in run("sovle")[2]
    assert "check-solver" in run("xyz")[2]


def test_a_misspelt_option_is_answered_with_the_right_one(assignment: Path) -> None:
    """An unknown option names the closest one; exit status 2."""
    status, out, err = run("solve", assignment, "--sovler", "hungarian")
    assert (status, out) == (2, "")
    assert "--solver" in err


def test_version() -> None:
    """--version prints the version of the distribution."""
    from importlib.metadata import version

    assert run("--version")[1].split()[-1] == version("matchopt")


def test_an_expected_error_is_one_sentence(tmp_path: Path) -> None:
    """A file that is not there costs one line on standard error and exit status 2, without a traceback."""
    status, out, err = run("solve", tmp_path / "none.txt", "--solver", "hungarian")
    assert (status, out) == (2, "")
    assert err.count("\n") == 1 and err.startswith("Error: ") and "none.txt" in err


@pytest.mark.parametrize("before", [True, False])
def test_debug_shows_the_traceback(tmp_path: Path, before: bool) -> None:
    """--debug, before the command or after it, prints the traceback of an expected error."""
    command = ["solve", str(tmp_path / "none.txt"), "--solver", "hungarian"]
    arguments = ["--debug", *command] if before else [*command, "--debug"]
    status, _, err = run(*arguments)
    assert status == 2
    assert "Traceback" in err and err.splitlines()[-1].startswith("Error: ")


def test_an_interrupt_before_the_work_ends_with_130(monkeypatch: pytest.MonkeyPatch, assignment: Path) -> None:
    """Ctrl-C in any command gives exit status 130 and one line."""

    def interrupted(*arguments: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("matchopt.formats.read_instance", interrupted)
    status, out, err = run("solve", assignment, "--solver", "hungarian")
    assert (status, out, err) == (130, "", "Interrupted.\n")


def test_a_reader_that_goes_away_is_no_error() -> None:
    """`matchopt problems | head -1` prints no traceback."""
    command = f"{sys.executable} -m matchopt.cli problems | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_the_entry_point_of_the_script_runs_the_group(monkeypatch, capsys) -> None:
    """The script `matchopt` calls what `matchopt.cli.main` is, and what it returns is the exit status."""
    from importlib.metadata import entry_points

    (script,) = [point for point in entry_points(group="console_scripts") if point.name == "matchopt"]
    monkeypatch.setattr("sys.argv", ["matchopt", "--version"])
    with pytest.raises(SystemExit) as ended:
        script.load()()
    assert (ended.value.code, capsys.readouterr().out) == (0, f"matchopt, version {matchopt.__version__}\n")


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX systems")
def test_termination_ends_like_an_interrupt() -> None:
    """SIGTERM, as `timeout` sends it, is handled like Ctrl-C, so that nothing is left behind."""
    code = (
        "import os, signal, matchopt.formats\n"
        "matchopt.formats.read_problems = lambda *given: os.kill(os.getpid(), signal.SIGTERM)\n"
        "from matchopt.cli import main; main(['problems'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "Interrupted.\n")
    assert signal.SIGTERM != signal.SIGINT
