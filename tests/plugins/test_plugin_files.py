"""Plugin files: names, solves while they are imported, and files that are broken or in conflict."""

import importlib
import re
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from matchopt import AssignmentInstance, Solver, solve
from matchopt.cli import main
from matchopt.errors import InvalidOption, PluginError
from matchopt.plugin_files import import_file, importing
from matchopt.plugins import load_plugins
from matchopt.run import Task, solve_all
from matchopt.testing.case import solve_once

INSTANCE = AssignmentInstance(np.array([[1.0, 2.0], [3.0, 4.0]]))
PLUGIN = """
import numpy as np
from dataclasses import dataclass
from matchopt import Assignment, AssignmentInstance, Result, Solver, hookimpl, solve

@dataclass(frozen=True)
class Diagonal(Solver):
    name = "{name}"
    solves = AssignmentInstance
    def solve(self, instance, limits, rng):
        return Result(Assignment(np.arange(instance.n_rows)))

@hookimpl
def register_solvers(register):
    register(Diagonal)
"""
SOLVES = "\nprint(solve(AssignmentInstance(np.eye(2)), 'hungarian').objective)\n"


def test_a_plugin_that_solves_when_it_is_imported_is_left_out(tmp_path):
    """By one sentence; its own import would be asked for again and again."""
    file = tmp_path / "eager.py"
    file.write_text(PLUGIN.format(name="eager") + SOLVES)
    with pytest.raises(PluginError, match=r'plugin eager solves while it is imported.*__name__ == "__main__"'):
        solve(INSTANCE, "eager", plugin_files=[file])


@pytest.mark.slow
def test_a_script_without_a_guard_makes_no_chain_of_processes(tmp_path):
    """The worker that imports the script, for the class in it, solves nothing; the host's solves go on."""
    script = tmp_path / "script.py"
    own = "run = solve(AssignmentInstance(np.eye(2)), Diagonal())\nprint(run.status, run.message)"
    script.write_text(PLUGIN.format(name="mine") + SOLVES + own)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=100, check=True)
    first, second = done.stdout.splitlines()
    assert first == "0.0" and second.startswith("error ") and "script.py solves while it is imported" in second


def test_while_a_worker_imports_no_thread_of_it_may_solve():
    """Nor through `solve_all`; other threads of a host that loads plugins may."""
    with importing("script.py"):
        failed = []

        def attempt():
            for call in (lambda: solve(INSTANCE, "hungarian"), lambda: solve_all([Task(INSTANCE, "hungarian")])):
                with pytest.raises(PluginError, match=r"script.py solves while"):
                    call()
                failed.append(1)

        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
        attempt()
        assert len(failed) == 4
    with importing("plugin x", threading.get_ident() + 1):
        assert load_plugins().solvers


@pytest.mark.parametrize("raised", ["BaseException", "GeneratorExit", "SystemExit(0)", "KeyError", "Odd('x')"])
def test_whatever_an_import_raises_costs_one_warning(tmp_path, raised):
    """The solve goes on, and says once that the file was left out."""
    file = tmp_path / "broken.py"
    file.write_text(f"class Odd(BaseException): pass\nraise {raised}")
    with pytest.warns(UserWarning, match=r"plugin broken .* was left out"):
        assert load_plugins([file]).entry("hungarian").plugin == "hungarian"


@pytest.mark.parametrize("more", ["", "    register(3)\n"])
def test_a_file_that_would_replace_an_installed_solver_is_no_silent_loss(tmp_path, more):
    """Who names the file and the solver means the file's; the installed one must not run instead."""
    file = tmp_path / "clash.py"
    file.write_text(PLUGIN.format(name="hungarian") + more)
    with pytest.raises(PluginError, match=r"'hungarian' was asked for, and plugin clash .* was left out"):
        solve(INSTANCE, "hungarian", plugin_files=[file])
    with pytest.warns(UserWarning, match="left out"):
        assert load_plugins([file]).entry("greedy-pairs")


@pytest.mark.parametrize("kind", ["package", "file"])
def test_compiled_code_of_a_file_is_found_after_it_was_installed(tmp_path, monkeypatch, kind):
    """What remembers the name made up for a file, or the package's own, finds the module under the other."""
    folder = tmp_path / "some_solver"
    folder.mkdir()
    (folder / "core.py").write_text("")
    file = folder / "__init__.py" if kind == "package" else folder / "core.py"
    file.write_text("VALUE = 1\n")
    made_up = import_file(file)
    if kind == "package":
        assert importlib.import_module("some_solver") is made_up  # not installed yet
        assert made_up.__spec__.name == made_up.__name__
        del sys.modules["some_solver"]
    del sys.modules[made_up.__name__]
    monkeypatch.syspath_prepend(str(tmp_path))
    installed = importlib.import_module("some_solver" if kind == "package" else "some_solver.core")
    assert installed is not made_up and importlib.import_module(made_up.__name__) is installed
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("matchopt_file_0123456789ab_none")
    for name in [name for name in sys.modules if "some_solver" in name or name == made_up.__name__]:
        del sys.modules[name]


@pytest.mark.slow
def test_a_compiled_plugin_solves_before_and_after_it_is_installed(tmp_path):
    """Through one cache of compiled functions."""
    folder = tmp_path / "compiled_solver"
    folder.mkdir()
    (folder / "__init__.py").write_text("from numba import njit\n@njit(cache=True)\ndef one(x):\n    return x + 1\n")
    start = f"from pathlib import Path\nfrom matchopt.plugin_files import import_file\nfolder = Path({str(folder)!r})\n"
    file = start + "m = import_file(folder / '__init__.py')"
    installed = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import matchopt.plugins, compiled_solver as m"
    for start in (file, installed, file):
        code = f"{start}; print(m.one(1), sum(m.one.stats.cache_hits.values()))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.stdout.startswith("2 "), done.stderr


@pytest.mark.parametrize(
    ("given", "wanted"), [(None, "such as one"), (3, "or its name; found 3"), (Solver, "Solver()")]
)
def test_a_class_is_told_from_an_object(given, wanted):
    """The sentence says what to give; the type checks of these tests would come first."""
    unchecked = getattr(Task.__init__, "__wrapped__", Task.__init__)
    with pytest.raises(InvalidOption, match=re.escape(wanted)):
        unchecked(object.__new__(Task), INSTANCE, given)


def test_a_chain_of_solvers_ends(monkeypatch):
    """A solver that solves by itself would never."""
    monkeypatch.setenv("MATCHOPT_NESTING", "4")
    with pytest.raises(PluginError, match="a solver solves within a solver, 4 deep"):
        solve(INSTANCE, "hungarian")


def test_without_a_place_for_compiled_code_kernels_still_compile():
    """As for a user without a home, in an installation that is not theirs."""
    code = (
        "import numba.core.caching as c; c.CacheImpl._locator_classes = []\n"
        "from matchopt.kernels.compiling import sums\nfrom matchopt.kernels import pairs"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_warning_for_files_that_load(tmp_path):
    """Silence is what most see."""
    file = Path(tmp_path, "fine.py")
    file.write_text(PLUGIN.format(name="fine"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_plugins([file]).entry("fine").file == file


BROKEN = """
from dataclasses import dataclass
from matchopt import AssignmentInstance, Result, Solver, hookimpl

class Odd(BaseException): pass

@dataclass(frozen=True)
class Broken(Solver):
    "Its text \\x1b[2J reaches no terminal."
    name = "odd-broken"
    solves = AssignmentInstance
    fine: bool = True
    def __post_init__(self):
        if not self.fine:
            raise Odd("no")
    def solve(self, instance, limits, rng):
        raise Odd("no")

@hookimpl
def register_solvers(register):
    register(Broken)
"""


def test_whatever_a_class_raises_is_one_sentence(tmp_path):
    """When it is made, and when the kit asks it; and its documentation is text."""
    file = tmp_path / "odd.py"
    file.write_text(BROKEN)
    solver = load_plugins([file]).make("odd-broken")
    with pytest.raises(PluginError, match="solver odd-broken cannot be made: Odd: no"):
        load_plugins([file]).make("odd-broken", {"fine": "no"})
    with pytest.raises(PluginError, match=r"the solver left by Odd\('no'\)"):
        solve_once(solver, INSTANCE)
    told = CliRunner().invoke(main, ["solvers", "odd-broken", "--plugin", str(file)])
    assert told.exit_code == 0 and "\\x1b[2J" in told.stdout and "\x1b" not in told.stdout


def test_where_processes_cannot_be_had_solving_is_refused():
    """On Windows, in a sentence; the rest of the package loads."""
    code = "import sys; sys.modules['fcntl'] = None\nimport matchopt\nmatchopt.solve"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].startswith("matchopt.errors.MatchoptError: solvers run on POSIX systems only")
