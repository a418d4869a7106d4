"""The template of `matchopt new-plugin` cannot rot: it is made, installed, listed, and passes the kit."""

from pathlib import Path

import pytest
from fresh import Fresh

from matchopt.errors import InvalidOption, PluginError
from matchopt.plugins import load_plugins
from matchopt.template import make_plugin
from matchopt.testing import run_checks

FILES = [
    "README.md",
    "matchopt_my_solver/__init__.py",
    "matchopt_my_solver/solver.py",
    "pyproject.toml",
    "tests/test_solver.py",
]


def test_it_makes_these_files_and_a_short_solver(tmp_path: Path) -> None:
    """Exactly five files; the solver's has at most 32 lines; nothing is left to fill in."""
    made = make_plugin("my-solver", tmp_path)
    assert sorted(p.relative_to(made).as_posix() for p in made.rglob("*") if p.is_file()) == FILES
    source = (made / "matchopt_my_solver" / "solver.py").read_text()
    assert len(source.splitlines()) <= 32
    assert all(word in source for word in ("understands", "PositiveInt", "prepare", "limits.offer"))
    assert source.startswith('"""') and source.count(".value(") == 1
    assert not [p for p in made.rglob("*") if p.is_file() and "$" in p.read_text()]


@pytest.mark.slow
def test_the_solver_passes_the_kit_uninstalled(tmp_path: Path) -> None:
    """Loaded as a file, the new solver is registered and keeps every law."""
    made = make_plugin("my-solver", tmp_path)
    registry = load_plugins([made / "matchopt_my_solver" / "__init__.py"])
    assert not registry.failed
    report = run_checks(registry.make("my-solver", {"draws": 20}))
    assert report.passed, report.summary()
    assert report.counts["passed"] > 100


@pytest.mark.parametrize("name", ["", "My-Solver", "a_b", "9lives", "a--b", "../up"])
def test_other_names_are_refused(name: str, tmp_path: Path) -> None:
    """A name that is no lower-case words with dashes is one sentence, and nothing is made."""
    with pytest.raises(InvalidOption, match="lower-case"):
        make_plugin(name, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("class", "word of Python"),
        ("hungarian", "installed solver"),
        ("corrections", "matchopt_corrections is installed"),
    ],
)
def test_taken_names_are_refused(name: str, reason: str, tmp_path: Path) -> None:
    """With the true reason; the plugin would be left out when it is installed."""
    with pytest.raises(InvalidOption, match=reason):
        make_plugin(name, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["none", "result", "solver", "list", "positive-int"])
def test_names_that_mean_something_else_as_classes(name: str, tmp_path: Path) -> None:
    """Neither a word of Python nor what the file imports is covered up."""
    made = make_plugin(name, tmp_path)
    registry = load_plugins([next(made.glob("matchopt_*")) / "__init__.py"], only=())
    assert list(registry.solvers) == [name], registry.failed


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A second call with the same name is refused."""
    make_plugin("mine", tmp_path)
    with pytest.raises(PluginError, match="exists already"):
        make_plugin("mine", tmp_path)


@pytest.mark.slow
def test_it_installs_in_a_fresh_environment_and_passes_check_solver(tmp_path: Path) -> None:
    """pip installs it, `matchopt plugins` lists it, its own test and `matchopt check-solver` pass."""
    made = make_plugin("my-solver", tmp_path)
    fresh = Fresh(tmp_path / "venv")
    fresh.install(made, "--editable")
    assert "matchopt-my-solver" in fresh.run(made, "matchopt.cli", "plugins")
    assert "draws" in fresh.run(made, "matchopt.cli", "solvers", "my-solver")
    assert "failed" in fresh.run(made, "matchopt.cli", "check-solver", "my-solver")
    assert "passed" in fresh.run(made, "pytest", "-q", "tests")
