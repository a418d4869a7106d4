"""Loading plugins: installed ones, files, selection, and every way a plugin can be broken."""

import subprocess
import sys
import textwrap

import pytest

from matchopt.errors import PluginError, UnknownName
from matchopt.plugins import SELECTION_VARIABLE, load_plugins

HEAD = """
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal
from annotated_types import Interval, Len
from matchopt import Assignment, AssignmentInstance, Result, Solver, hookimpl
"""
GOOD = """
@dataclass(frozen=True)
class Good(Solver):
    name = "good"
    solves = AssignmentInstance
    def solve(self, instance, limits, rng):
        return Result(None)

@hookimpl
def register_solvers(register):
    register(Good)
"""


TRAINER = """
from matchopt.network import Method, Phase, Trainer

@dataclass(frozen=True)
class Lazy(Trainer):
    name = "lazy"
    promise = "exact"
    sizes: tuple[int, ...] = (1, 2)
    def new_run(self, setting):
        raise NotImplementedError

@hookimpl
def register_trainers(register):
    register(Lazy)
"""


@pytest.fixture
def plugin(tmp_path):
    """Write a plugin file and return its path."""

    def write(text, name="mine", head=HEAD):
        path = tmp_path / f"{name}.py"
        path.write_text(head + textwrap.dedent(text))
        return path

    return write


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a module as a distribution with entry points, for this test only."""

    def install(distribution, points, version="1.2"):
        folder = tmp_path / distribution
        info = folder / f"{distribution}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        lines = ["[matchopt]"]
        for name, text in points.items():
            lines.append(f"{name} = {distribution}_{name}")
            (folder / f"{distribution}_{name}.py").write_text(HEAD + text)
        (info / "entry_points.txt").write_text("\n".join(lines))
        monkeypatch.syspath_prepend(str(folder))

    return install


def only_cause(path):
    """The cause of the one failed plugin of a file."""
    registry = load_plugins([path], only=())
    assert not registry.solvers and not registry.trainers and not registry.plugins
    (failed,) = registry.failed
    assert failed.plugin == path.stem and failed.file == path
    assert "\n" not in failed.cause
    return failed.cause


def test_a_file_is_a_plugin(plugin):
    """A plugin file registers its solver, with the hash of the file as its version."""
    registry = load_plugins([plugin(GOOD)], only=())
    entry = registry.entry("good")
    assert (entry.plugin, entry.distribution, entry.cls.__name__) == ("mine", None, "Good")
    assert entry.version.startswith("sha256:") and len(entry.version) == 19
    (info,) = registry.plugins
    assert info.hooks == ("register_solvers",) and info.solvers == ("good",)


def test_a_plugin_may_bring_trainers_solvers_or_both(plugin):
    """Each hook fills its own table; names of solvers and trainers do not meet."""
    registry = load_plugins(
        [plugin(TRAINER, "alone"), plugin(GOOD + TRAINER.replace('"lazy"', '"good"'), "both")], only=()
    )
    assert not registry.failed
    assert set(registry.solvers) == {"good"} and set(registry.trainers) == {"lazy", "good"}
    assert registry.trainer("lazy").plugin == "alone"
    assert registry.make_trainer("lazy", {"sizes": "3,4,5"}).sizes == (3, 4, 5)
    alone, both = registry.plugins
    assert (alone.hooks, alone.solvers, alone.trainers) == (("register_trainers",), (), ("lazy",))
    assert both.solvers == both.trainers == ("good",)
    with pytest.raises(UnknownName, match=r"unknown trainer 'lazzy'; did you mean 'lazy' \(known: good, lazy\)"):
        registry.trainer("lazzy")
    with pytest.raises(UnknownName, match="unknown solver 'lazy'"):
        registry.entry("lazy")


def test_a_changed_file_is_loaded_anew(plugin):
    """The registry is cached, but not beyond a change of the file."""
    path = plugin(GOOD)
    assert load_plugins([path], only=()) is load_plugins([path], only=())
    assert "other-name" in load_plugins([plugin(GOOD.replace('"good"', '"other-name"'))], only=()).solvers


def test_names_may_be_annotated_as_what_they_are(plugin):
    """A ClassVar is no field, so no option."""
    written = plugin(GOOD.replace('name = "good"', 'name: ClassVar[str] = "good"'))
    assert load_plugins([written], only=()).entry("good").cls.name == "good"


def test_a_package_goes_by_its_folder(tmp_path):
    """Not by `__init__`, in tables and messages."""
    folder = tmp_path / "annealer"
    folder.mkdir()
    (folder / "__init__.py").write_text(HEAD + GOOD)
    assert load_plugins([folder / "__init__.py"], only=()).entry("good").plugin == "annealer"


def test_two_files_of_one_name_live_side_by_side(plugin, tmp_path):
    """Files are imported under names of their own."""
    (tmp_path / "b").mkdir()
    other = tmp_path / "b" / "mine.py"
    other.write_text(HEAD + GOOD.replace('"good"', '"second"'))
    assert set(load_plugins([plugin(GOOD), other], only=()).solvers) == {"good", "second"}


BROKEN = {
    "raises at import": ("1 / 0", "ZeroDivisionError: division by zero"),
    "leaves at import": ("raise SystemExit(3)", "SystemExit: 3"),
    "syntax": ("def (", "SyntaxError"),
    "imports what is missing": ("import no_such_module_at_all", "No module named 'no_such_module_at_all'"),
    "misspelt hook": (GOOD.replace("def register_solvers", "def register_solver"), "did you mean 'register_solvers'"),
    "no decorator": (GOOD.replace("@hookimpl\n", ""), "register_solvers lacks the decorator @hookimpl"),
    "no hook": ("x = 1", "it has no hook of matchopt"),
    "wrong argument": (GOOD.replace("(register)", "(wrong)", 1), "wrong"),
    "hook raises": ("@hookimpl\ndef register_solvers(register):\n    raise KeyError('x')", "KeyError"),
    "no class": ("@hookimpl\ndef register_solvers(register):\n    register(3)", "subclass of matchopt.Solver, found 3"),
    "an instance": (GOOD.replace("register(Good)", "register(Good())"), "give the class, not an instance"),
    "no dataclass": (GOOD.replace("@dataclass(frozen=True)\n", ""), "must be a frozen dataclass"),
    "not frozen": (GOOD.replace("(frozen=True)", ""), "must be a frozen dataclass"),
    "no solve": (GOOD.replace("def solve(", "def resolve("), "lacks the method solve"),
    "bad name": (GOOD.replace('"good"', '"Good One"'), "lower-case words and dashes, found 'Good One'"),
    "no name": (GOOD.replace('    name = "good"\n', ""), "lower-case words and dashes, found None"),
    "annotated name": (GOOD.replace("name =", "name: str ="), "must not be annotated"),
    "no kind": (GOOD.replace("    solves = AssignmentInstance\n", ""), "solves must be one of NetworkInstance"),
    "wrong kind": (GOOD.replace("solves = AssignmentInstance", "solves = Assignment"), "solves must be one of"),
    "may_use a list": (GOOD.replace('name = "good"', 'name = "good"; may_use = ["lapx"]'), "may_use must be a tuple"),
    "needs is text": (GOOD.replace('name = "good"', 'name = "good"; needs = "scipy"'), "needs must be a tuple"),
    "demands are text": (GOOD.replace('name = "good"', 'name = "good"; understands = "drop"'), "understands must be a"),
    "wrong role": (GOOD.replace('name = "good"', 'name = "good"; role = "magic"'), "role must be one of exact"),
    "no default": (GOOD.replace('name = "good"', 'name = "good"; draws: int'), "draws needs a default"),
    "odd type": (GOOD.replace('name = "good"', 'name = "good"; draws: list = ()'), "draws has type"),
    "odd default": (
        GOOD.replace('name = "good"', 'name = "good"; draws: int = ()'),
        "draws: its default must be a whole number, found ()",
    ),
    "a default of None": (GOOD.replace('name = "good"', 'name = "good"; draws: int = None'), "number, found None"),
    "a default out of range": (
        GOOD.replace('name = "good"', 'name = "good"; draws: Annotated[int, Interval(ge=1, le=9)] = 0'),
        "mine.Good.draws: its default must be a whole number >= 1 and <= 9, found 0",
    ),
    "a default that is none of its words": (
        GOOD.replace('name = "good"', 'name = "good"; mode: Literal["a", "b"] = "c"'),
        "mine.Good.mode: its default must be one of a, b, found 'c'",
    ),
    "a list": (GOOD.replace('name = "good"', 'name = "good"; n: list[int] = field(default_factory=list)'), "tuple[int"),
    "a rule that nothing keeps": (
        GOOD.replace('name = "good"', 'name = "good"; n: Annotated[str, Len(1, 3)] = "ab"'),
        "mine.Good.n has type typing.Annotated[str, ",
    ),
    "words as annotation": (GOOD.replace('name = "good"', 'name = "good"; n: "so many" = 1'), "annotation cannot be"),
    "twice": (GOOD + "    register(Good)\n", "two solvers are called 'good'"),
    "trainer hook misspelt": (
        TRAINER.replace("register_trainers", "register_trainer"),
        "did you mean 'register_trainers'",
    ),
    "no trainer": (TRAINER.replace("register(Lazy)", "register(int)"), "subclass of matchopt.network.Trainer, found"),
    "a solver as trainer": (
        GOOD + "@hookimpl\ndef register_trainers(register):\n    register(Good)\n",
        "subclass of matchopt.network.Trainer, found",
    ),
    "no new_run": (TRAINER.replace("def new_run", "def begin"), "lacks the method new_run"),
    "trainer not frozen": (TRAINER.replace("(frozen=True)", ""), "must be a frozen dataclass"),
    "no promise": (TRAINER.replace('    promise = "exact"\n', ""), "promise must be one of exact, at most, reported"),
    "other promise": (
        TRAINER.replace('"exact"', '"sure"'),
        "promise must be one of exact, at most, reported, found 'sure'",
    ),
    "trainer without name": (TRAINER.replace('    name = "lazy"\n', ""), "lower-case words and dashes, found None"),
    "numbers for a number": (
        TRAINER.replace("sizes: tuple[int, ...]", "sizes: int"),
        "sizes: its default must be a whole number, found (1, 2)",
    ),
    "trainer twice": (TRAINER + "    register(Lazy)\n", "two trainers are called 'lazy'"),
    "solver good, trainer bad": (GOOD + TRAINER.replace('"lazy"', '"Lazy"'), "lower-case words and dashes"),
}


@pytest.mark.parametrize(("text", "cause"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_costs_one_row_with_its_cause(plugin, text, cause):
    """Each way of being broken gives one row that names the cause in one sentence."""
    assert cause in only_cause(plugin(text))


@pytest.mark.parametrize("hook", ["(register):\n    return [Good]", "(register):\n    pass", "():\n    Good"])
def test_a_file_that_registers_nothing_is_told(plugin, hook):
    """Whoever asks for its solver hears why there is none; other solvers are found."""
    silent = plugin(GOOD.replace("(register):\n    register(Good)", hook), "silent")
    registry = load_plugins([silent, plugin(GOOD.replace('"good"', '"better"'))], only=())
    assert registry.entry("better").plugin == "mine"
    with pytest.raises(PluginError, match=r"no solver 'good'; .*silent\.py registers nothing.*must call register"):
        registry.entry("good")


def test_a_missing_file_costs_one_row(tmp_path):
    """A path that names no file is told so."""
    assert "there is no file" in only_cause(tmp_path / "absent.py")


def test_a_broken_plugin_leaves_nothing_behind(plugin, tmp_path):
    """A plugin that registers a good solver and then fails leaves no solver, and the others stand."""
    bad = plugin(GOOD + "    raise ValueError('late')\n", "bad")
    registry = load_plugins([bad, plugin(GOOD)], only=())
    assert registry.solvers["good"].plugin == "mine"
    assert [failed.plugin for failed in registry.failed] == ["bad"]


def test_of_two_plugins_with_one_solver_name_the_later_fails(plugin):
    """The message names both classes."""
    registry = load_plugins([plugin(GOOD, "first"), plugin(GOOD.replace("Good", "Rival"), "later")], only=())
    assert registry.solvers["good"].plugin == "first"
    (failed,) = registry.failed
    assert failed.plugin == "later"
    assert "first.Good" in failed.cause and "later.Rival" in failed.cause


def test_what_a_plugin_prints_at_import_stays_off_standard_output(plugin, capsys):
    """A command's output holds nothing a plugin printed."""
    load_plugins([plugin("print('hello')\n" + GOOD)], only=())
    out, err = capsys.readouterr()
    assert out == "" and "hello" in err


def test_installed_plugins_are_found_by_entry_point(installed):
    """Distribution and version come from the installed metadata."""
    installed("acme", {"rocket": GOOD.replace('"good"', '"rocket-solver"')})
    entry = load_plugins(only=["rocket"]).entry("rocket-solver")
    assert (entry.plugin, entry.distribution, entry.version) == ("rocket", "acme", "1.2")


def test_one_broken_installed_plugin_leaves_the_others(installed):
    """The row of the broken one names its distribution and version."""
    installed("acme", {"broken": "1 / 0", "rocket": GOOD.replace('"good"', '"rocket-solver"')})
    registry = load_plugins(only=["broken", "rocket"])
    assert list(registry.solvers) == ["rocket-solver"]
    (failed,) = registry.failed
    assert (failed.plugin, failed.distribution, failed.version) == ("broken", "acme", "1.2")
    assert "acme 1.2" in str(failed) and "ZeroDivisionError" in str(failed)


def test_the_environment_selects_plugins(installed, monkeypatch):
    """MATCHOPT_PLUGINS lists the plugins to load; empty means none, unset all; an unknown name is a failed row."""
    installed("acme", {"rocket": GOOD.replace('"good"', '"rocket-solver"')})
    monkeypatch.setenv(SELECTION_VARIABLE, "rocket")
    assert list(load_plugins().solvers) == ["rocket-solver"]
    monkeypatch.setenv(SELECTION_VARIABLE, "")
    assert not load_plugins().solvers
    monkeypatch.setenv(SELECTION_VARIABLE, "rocket, rockett")
    registry = load_plugins()
    assert list(registry.solvers) == ["rocket-solver"]
    assert "no installed plugin has this name" in registry.failed[0].cause
    monkeypatch.delenv(SELECTION_VARIABLE)
    assert "rocket-solver" in load_plugins().solvers


def test_an_unknown_solver_is_told_the_nearest_name(plugin):
    """The error lists what exists."""
    registry = load_plugins([plugin(GOOD)], only=())
    with pytest.raises(UnknownName, match=r"unknown solver 'goood'; did you mean 'good' \(known: good\)"):
        registry.entry("goood")


def test_a_solver_whose_plugin_failed_is_told_why(plugin):
    """Asking for a solver of a broken file gives the cause, not just 'unknown'."""
    registry = load_plugins([plugin("1 / 0")], only=())
    with pytest.raises(PluginError, match="ZeroDivisionError"):
        registry.entry("mine")


def test_failed_plugins_are_warned_about_when_asked(plugin):
    """Loading is silent; `warn` names plugin and cause."""
    registry = load_plugins([plugin("1 / 0")], only=())
    with pytest.warns(UserWarning, match=r"plugin mine .* was left out: ZeroDivisionError"):
        registry.warn()


def test_loading_the_installed_plugins_imports_nothing_heavy():
    """All plugins load without numba, scipy, torch, ortools or matplotlib, and far quicker than those would."""
    code = (
        "import sys, time, numpy, matchopt\nfrom matchopt.plugins import load_plugins\n"
        "t = time.process_time(); load_plugins(); t = time.process_time() - t\n"
        "heavy = {'numba', 'scipy', 'torch', 'ortools', 'matplotlib', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy\nassert t < 0.5, t"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
