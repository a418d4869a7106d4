"""A study over a network, data and a chip in one's own files: the same as step by step, and known by their content."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from matchopt.cli import main
from matchopt.errors import DataError
from matchopt.formats import ChipFile, read_chip
from matchopt.grid.mapping import Mapping
from matchopt.grid.task import Place
from matchopt.instances import Imperfections, NetworkMapping, Rules
from matchopt.instances.chip_state import ChipState
from matchopt.network import export_network, realise
from matchopt.network.chip import chip_shared
from matchopt.network.evaluation import Accuracies
from matchopt.network.export import chip_sizes, layer_targets
from matchopt.network.own_network import read_own, samples_of
from matchopt.run import solve
from matchopt.study import read_study, run_study
from matchopt.study.engine import task_of

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
WEIGHTS = {"target": "mine", "chip": "array", "drop": True, "solver": "greedy"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The example in a folder of its own."""
    shutil.copytree(EXAMPLES / "own-study", tmp_path / "own-study")
    shutil.copy(EXAMPLES / "own-study.toml", tmp_path)
    return tmp_path


def task(folder: Path, old: str = "", new: str = "", **settings: Any) -> Mapping:
    """A run of the example, its file changed in one place."""
    path = folder / "own-study.toml"
    text = path.read_text()
    assert old in text
    (folder / "changed.toml").write_text(text.replace(old, new) if old else text)
    made = task_of(read_study(folder / "changed.toml"), WEIGHTS | settings, Place(folder / "out"))
    assert isinstance(made, Mapping)
    return made


def test_a_run_is_what_the_commands_do_one_by_one(folder: Path) -> None:
    """Network, data and chip read by hand, mapped by the same solver, give the same figures."""
    found = task(folder, fan_in_ratio=1.5, neuron_ratio=2.0).perform()
    network = read_own(folder / "own-study/network.onnx", None, (0.25,), (0.15,))
    data = samples_of(folder / "own-study/data.npz", network)
    chip = read_chip([ChipFile(folder / f"own-study/g_{half}.csv") for half in ("plus", "minus")], pairs="fixed")
    targets = layer_targets(network)
    sizes = chip_sizes(targets, [1.5, 1.5], 2.0)
    hardware = chip_shared(ChipState().of(chip), targets, sizes, np.random.default_rng(0), Imperfections(), True)
    instance = export_network(network, hardware, rules=Rules(drop=True))
    mapping = solve(instance, "greedy", seed=0, time_limit=60.0).solution
    assert isinstance(mapping, NetworkMapping)
    by_hand, target = Accuracies.of(realise(instance, mapping), data), Accuracies.of(network, data)
    assert (found["validation"], found["test"]) == (by_hand.validation, by_hand.test)
    assert (found["target_validation"], found["target_test"]) == (target.validation, target.test)
    assert 0.5 < found["validation"] <= 1.0
    assert found["squared_error"] == pytest.approx(instance.value(mapping))


def test_another_content_is_another_result_another_folder_is_not(folder: Path) -> None:
    """Any file of the three, changed by one byte or entry, changes the key; a copy elsewhere keeps it."""
    keys = [task(folder).key]
    shutil.copytree(folder, folder / "copy")
    assert task(folder / "copy").key == keys[0]
    chip = folder / "own-study/g_minus.csv"
    chip.write_text(chip.read_text().replace("1", "2", 1))
    keys.append(task(folder).key)
    with np.load(folder / "own-study/data.npz") as data:
        np.savez(folder / "own-study/data.npz", **{**data, "y_test": data["y_test"][::-1]})
    keys.append(task(folder).key)
    with (folder / "own-study/network.onnx").open("ab") as file:
        file.write(b"\x32\x00")  # an empty doc_string
    keys.append(task(folder).key)
    assert len(set(keys)) == 4


def test_what_changes_while_a_study_runs_is_refused(folder: Path) -> None:
    """A run never records figures of one content under the key of another."""
    made = task(folder)
    chip = folder / "own-study/g_minus.csv"
    chip.write_text(chip.read_text().replace("1", "2", 1))
    with pytest.raises(DataError, match="changed while the study ran"):
        made.perform()


@pytest.mark.parametrize(
    ("old", "new", "settings"),
    [
        ('"shared"', '"one-chip"', {}),
        ('pairs = "fixed"', 'scale_per = "neuron"', {"cells_per_weight": 2, "fan_in_ratio": 2.0}),
        ('data = "own-study/data.npz"', "", {}),
    ],
    ids=["one-chip", "scales and sums", "no data"],
)
def test_every_layout_runs(folder: Path, old: str, new: str, settings: dict[str, Any]) -> None:
    """A chip that all layers draw on, scales of every neuron, sums of cells; without data only errors of weights."""
    found = task(folder, old, new, **settings, solver="random-wiring" if settings else "random").perform()
    assert found["squared_error"] > 0
    assert ("validation" in found) == ("data" not in old)


def test_one_file_for_each_layer(folder: Path) -> None:
    """Layers of their own, whose flaws come from the files: readings that scatter are read noise, drawn anew."""
    rng = np.random.default_rng(0)
    for name, rows in (("first", 24), ("second", 4)):
        np.savez(folder / f"{name}.npz", readings=rng.normal(0, 1, (rows, 14)) + rng.normal(0, 0.3, (3, rows, 14)))
    old = 'files = ["own-study/g_plus.csv", "own-study/g_minus.csv"]   # or .npy, .npz, HDF5, Fusion CSV\n'
    old += 'unit = "uS"\npairs = "fixed"                           # a weight is G+ minus G-\nlayout = "shared"'
    new = 'files = ["first.npz", "second.npz"]\nlayout = "layers"'
    told, untold = (task(folder, old, new, noise_in_cost=knows).perform() for knows in (True, False))
    assert told["validation"] != untold["validation"]


REFUSED = {
    "no network": ("own-study/network.onnx", "gone.onnx", "gone.onnx cannot be read"),
    "no chip": ("own-study/g_plus.csv", "gone.csv", "gone.csv cannot be read"),
    "no data": ("own-study/data.npz", "gone.npz", "gone.npz cannot be read"),
    "another's network": ("own-study/network.onnx", "own-study/g_plus.csv", "g_plus.csv"),
    "another unit": ('unit = "uS"', "cells = 0", "chips.array.cells must be a whole number >= 1 or none, found 0"),
    "unknown setting": ('unit = "uS"', 'units = "uS"', "chips.array.units is unknown"),
    "unknown setting of the network": ("std =", "deviation =", "targets.mine: deviation is unknown"),
    "a layout that says how much": ('"shared"', '"one-chip"', "leave fan_in_ratio and neuron_ratio out"),
    "wrong moments": ("mean = [0.25]", "mean = [0.25, 0.5]", "mean must be 1, "),
    "an objective without samples": ('data = "own-study/data.npz"', "", "objective 'score-error' needs samples"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_said_before_anything_runs(folder: Path, name: str) -> None:
    """One sentence, exit status 2, and no results."""
    old, new, message = REFUSED[name]
    path = folder / "own-study.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    done = CliRunner().invoke(main, ["reproduce", str(path), "--output", str(folder / "out"), "--jobs", "1"])
    assert (done.exit_code, message in done.output) == (2, True), done.output
    assert not (folder / "out/own-study/cpu/results.jsonl").exists()


@pytest.mark.slow
def test_a_layer_that_does_not_fit_costs_its_line(folder: Path) -> None:
    """More rows than the chip has: the run says so, and is tried again."""
    study = read_study(folder / "own-study.toml")
    one = replace(study, runs={"cpu": ({**WEIGHTS, "neuron_ratio": 4.0},)})
    (record,) = run_study(one, folder / "out").failed
    assert "found 64 rows" in record["error"]
