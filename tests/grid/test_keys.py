"""Whatever made a result is in its key: settings, versions, plugin files, data, device."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from matchopt.errors import InvalidOption, InvalidSolution
from matchopt.grid import origin
from matchopt.grid.mapping import Mapping, MappingRun
from matchopt.grid.task import Place
from matchopt.grid.training import Training, TrainingRun

PLUGIN = '''"""A plugin in a file."""
from dataclasses import dataclass
from matchopt import AssignmentInstance, Result, Solver, hookimpl

@dataclass(frozen=True)
class Idle(Solver):
    name = "idle"
    solves = AssignmentInstance

    def solve(self, instance, limits, rng):
        return Result(None)

@hookimpl
def register_solvers(register):
    register(Idle)
'''
PLACE = Place(Path())


def key(run: MappingRun | TrainingRun, place: Place = PLACE) -> str:
    """The key of a task made anew."""
    return (Mapping(run, place) if isinstance(run, MappingRun) else Training(run, place)).key


def test_an_edited_plugin_file_makes_another_key(tmp_path: Path) -> None:
    """So does a file that is there now; a solver of another plugin keeps its key."""
    file = tmp_path / "idle.py"
    place = Place(tmp_path, plugin_files=(file,))
    idle, other = MappingRun("idle"), MappingRun("hungarian+idle")
    before = key(idle, place)
    file.write_text(PLUGIN)
    first, known = (key(idle, place), key(other, place)), key(MappingRun("hungarian"), place)
    file.write_text(PLUGIN.replace("Result(None)", "Result(None, message='edited')"))
    second = key(idle, place), key(other, place)
    assert len({before, *first, *second}) == 5
    assert key(MappingRun("hungarian"), place) == known == key(MappingRun("hungarian"))


def test_versions_of_matchopt_and_of_engines_are_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines that a solver takes by choice, too: `hungarian` records lapx, which it may use."""
    pytest.importorskip("lap")
    task = Mapping(MappingRun("hungarian"), PLACE)
    assert task.made_from["origin"]["lapx"].startswith("lapx ")
    monkeypatch.setattr(origin, "versions", lambda cls: {"lapx": "lapx 99"})
    newer = key(MappingRun("hungarian"))
    monkeypatch.setattr("matchopt.__version__", "99")
    assert len({task.key, newer, key(MappingRun("hungarian"))}) == 3


def test_settings_device_and_data_are_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the training behind a target network; where a network is kept is not."""
    run = TrainingRun("dense")
    training = Training(run, PLACE)
    assert training.key == key(run)
    found = {key(run), key(TrainingRun("dense", seed=1)), key(run, Place(Path(), "cuda"))}
    monkeypatch.setattr("matchopt.grid.training.data_facts", lambda name, options: {"sha256": "other"})
    assert len({*found, key(run)}) == 4
    trained = Training(run, PLACE, keep="x")
    assert trained.key == Training(run, Place(Path("elsewhere"))).key != training.key
    keys = {Mapping(MappingRun("random", "x"), PLACE, target).key for target in (training, trained)}
    assert len(keys) == 2


def test_biases_that_nothing_can_set_are_no_use_to_a_centred_objective() -> None:
    """It leaves the biases to `recalibrate`, which sets adjustable ones only."""
    with pytest.raises(InvalidOption, match=r"centred needs biases that can be set, .*; found 'free'"):
        MappingRun("output-search", objective="output-error", centred=True)


@pytest.mark.parametrize("run", [MappingRun("hungarian"), TrainingRun("dense")])
def test_what_a_run_remembers_is_in_no_key(run: MappingRun | TrainingRun) -> None:
    """Only its fields: an attribute that some property cached changes nothing."""
    before = key(run)
    object.__setattr__(run, "cached", 1)
    assert key(run) == before


def test_biases_that_could_not_be_set_cost_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plain mapping is not what the settings ask for; plugin files and threads go to that solve, too."""
    asked = {}

    def solve(instance: object, solver: str, **settings: object) -> SimpleNamespace:
        asked.update(settings, solver=solver)
        return SimpleNamespace(solution=None, message="no row fits")

    monkeypatch.setattr("matchopt.grid.mapping.solve", solve)
    monkeypatch.setattr("matchopt.grid.mapping._instance", lambda *arguments: None)
    run = MappingRun("output-search", objective="output-error", centred=True, biases="adjustable", threads=3)
    task = Mapping(run, Place(Path(), plugin_files=(Path("idle.py"),)))
    with pytest.raises(InvalidSolution, match="the biases could not be recalibrated: no row fits"):
        task._recalibrated(None, [], None, None)  # type: ignore[arg-type]
    assert (asked["solver"], asked["threads"], asked["plugin_files"]) == ("recalibrate", 3, task.place.plugin_files)
