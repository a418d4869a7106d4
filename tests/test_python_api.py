"""The Python door as a user meets it: load, solve, realised; a network on a chip in one call; notebooks and plots."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import matchopt
from matchopt import (
    Assignment,
    AssignmentInstance,
    ChipMapper,
    Gains,
    Hardware,
    InvalidOption,
    InvalidSolution,
    LayerInstance,
    Mapped,
    MissingExtra,
    NetworkInstance,
    Refused,
    Rules,
    Task,
    UnknownName,
    solve_all,
)
from matchopt.instances.generators import draw_hardware, draw_target
from matchopt.library import problems_folder
from matchopt.network import SparseNetwork

ROW8 = problems_folder() / "networks" / "row8-seed0.safetensors"


@pytest.fixture(scope="module")
def layer() -> LayerInstance:
    """A layer of a few rows."""
    rng = np.random.default_rng(0)
    return LayerInstance(draw_target(6, 20, 4, rng), draw_hardware("gaussian", 7, 9, rng))


@pytest.fixture(scope="module")
def small() -> SparseNetwork:
    """Two layers, 6 inputs and 3 classes, that name no data set."""
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=shape) * (rng.random(shape) < 0.5) for shape in ((8, 6), (3, 8))]
    return SparseNetwork.from_arrays(weights, [rng.normal(size=8), rng.normal(size=3)])


def test_load_solve_realised(layer: LayerInstance, tmp_path: Path) -> None:
    """The three lines of the field; the table that is saved leads back to the same weights."""
    matchopt.write(layer, tmp_path / "layer.matchopt")
    loaded = matchopt.load(tmp_path / "layer.matchopt")
    result = matchopt.solve(loaded, "hungarian")
    realised = result.mapping.realised()
    assert isinstance(realised, np.ndarray) and realised.shape == (6, 20)
    assert np.isclose(((realised - layer.target.dense()) ** 2).sum(), result.objective)
    wires = result.mapping.wiring()
    rebuilt = np.zeros((6, 20))
    for wire in wires:
        rebuilt[wire.row, wire.input] += wire.gain * wire.weight
    assert np.array_equal(rebuilt, realised) and len(wires) == layer.target.n_connections
    result.mapping.save(tmp_path / "wiring.csv")
    again = matchopt.read_solution(tmp_path / "wiring.csv", instance=layer)
    assert np.array_equal(Mapped(layer, again).weights[0], realised)


def test_results_without_a_mapping() -> None:
    """One sentence; so for assignments, and where there is no solution."""
    square = AssignmentInstance(np.eye(2))
    with pytest.raises(InvalidSolution, match=r"only layers and networks .* of kind assignment"):
        _ = matchopt.solve(square, "hungarian").mapping
    (run,) = solve_all([Task(AssignmentInstance(np.full((2, 2), np.inf)), "hungarian")])
    with pytest.raises(InvalidSolution, match="hungarian left no mapping of assignment-"):
        _ = run.mapping
    with pytest.raises(InvalidSolution, match="solution of kind assignment"):
        Mapped(
            LayerInstance(draw_target(1, 2, 1, np.random.default_rng(0)), Hardware(np.ones((1, 1)))), Assignment([0])
        )


def test_what_notebooks_show(layer: LayerInstance) -> None:
    """A table of facts, whose texts cannot be markup; a plot with a set of points for each layer."""
    run = matchopt.solve(layer, "hungarian")
    odd = matchopt.solve(AssignmentInstance(np.eye(2), provenance=matchopt.Provenance("<script>")), "greedy")
    assert "<script>" not in odd._repr_html_() and "&lt;script&gt;" in odd._repr_html_()
    assert "proven" in run._repr_html_() and "6 x 20" in run.mapping._repr_html_() and "digest" in layer._repr_html_()
    pytest.importorskip("matplotlib")
    axes = matchopt.plot_weights(run.mapping)
    (points, _) = axes.get_lines()
    assert len(points.get_xdata()) == layer.target.n_connections and axes.get_ylabel() == "weight realised"
    assert matchopt.plot_weights(run.mapping, axes) is axes


def test_plots_without_matplotlib(layer: LayerInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name the extra."""
    run = matchopt.solve(layer, "hungarian")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match=r"matchopt\[reports\]"):
        matchopt.plot_weights(run.mapping)


def test_a_network_on_a_chip_in_one_call(small: SparseNetwork, tmp_path: Path) -> None:
    """From measured arrays or their files, one for each layer or one for all; weights that are there are found."""
    rng = np.random.default_rng(2)
    arrays = [rng.normal(size=(8, 7)), rng.normal(size=(3, 9))]
    files = [tmp_path / f"array{n}.npy" for n in range(2)]
    for array, file in zip(arrays, files, strict=True):
        np.save(file, array)
    by_array, by_file = (ChipMapper(keep_scale=True).fit(small, chip) for chip in (arrays, files))
    assert by_array.run_.objective == by_file.run_.objective and by_array.run_.proof == "proven"
    assert (by_array.solver_, by_array.strategy_, by_array.accuracy_) == ("hungarian", "weights", None)
    assert "auto chose hungarian" in by_array.message_
    shared = ChipMapper(fan_in_ratio=1.0).fit(small, rng.normal(size=(11, 20)))
    assert [chip.hardware.n_neurons for chip in shared.instance_.layers] == [8, 3]
    inputs = rng.random((50, 6))
    answers = by_array.realised_.logits(inputs).argmax(axis=1)
    assert np.array_equal(by_array.predict(inputs), answers) and by_array.score(inputs, answers) == 1.0
    assert len(by_array.wiring_) == sum(part.n_connections for part in (one.target for one in small.layers))
    assert "proven" in by_array._repr_html_() and "fan_in_ratio" in ChipMapper()._repr_html_()


@pytest.mark.slow
def test_the_strategy_follows_what_there_is(small: SparseNetwork) -> None:
    """Labels, else outputs on a tight chip, else weights; what a strategy lacks is one sentence."""
    rng = np.random.default_rng(3)
    inputs = rng.random((60, 6))
    labels = small.logits(inputs).argmax(axis=1)
    brief = {"solver": "reroute", "time_limit": 5}
    tight = ChipMapper(fan_in_ratio=1.0, **brief).fit(small, "gaussian", inputs)
    assert (
        tight.strategy_ == "outputs" and tight.instance_.objective.name == "score-error" and tight.instance_.adjustable
    )
    assert ChipMapper(fan_in_ratio=4.0).fit(small, "gaussian", inputs).strategy_ == "weights"
    told = ChipMapper(fan_in_ratio=2.0, rules=Rules(drop=True), solver="recalibrate")
    told.fit(small, "gaussian", np.tile(inputs, (5, 1)), np.tile(labels, 5))
    assert told.strategy_ == "labels" and not told.instance_.layers[0].rules.extra_inputs
    few = ChipMapper(fan_in_ratio=2.0, **brief).fit(small, "gaussian", inputs, labels)
    shared = [Hardware(rng.normal(size=(rows, 40)), bus=np.zeros(rows, int)) for rows in (8, 3)]
    assert few.strategy_ == "outputs" == ChipMapper(**brief).fit(small, shared, inputs).strategy_
    for strategy, said in (("outputs", "needs X: give fit"), ("labels", "needs X and y"), ("luck", "must be auto")):
        with pytest.raises(InvalidOption, match=said):
            ChipMapper(strategy=strategy).fit(small, "gaussian")  # type: ignore[arg-type]  # one of them is none
    with pytest.raises(InvalidOption, match="seed must be a whole number >= 0, found -1"):
        ChipMapper(seed=-1).fit(small, "gaussian")
    with pytest.raises(InvalidOption, match="one for each layer is needed, 2, or one; found 3"):
        ChipMapper().fit(small, [np.ones((9, 9))] * 3)
    with pytest.raises(Refused, match=r"found no mapping .*(infeasible|unknown)"):
        ChipMapper(solver="greedy").fit(small, [Hardware(np.ones((8, 7))), Hardware(np.ones((3, 1)))])


def test_parameters_as_scikit_learn_has_them() -> None:
    """What is given comes back, in a copy made from it too; nothing that `fit` makes is a parameter."""
    mapper = ChipMapper(solver="greedy", rules=Rules(gains=Gains.interval(0.5, 2)))
    assert ChipMapper(**mapper.get_params()).get_params() == mapper.get_params()
    assert set(mapper.get_params()) == {"strategy", "solver", "fan_in_ratio", "neuron_ratio", "rules", "keep_scale",
                                        "time_limit", "threads", "seed"}  # fmt: skip
    assert mapper.set_params(seed=3, time_limit=None).seed == 3
    with pytest.raises(UnknownName, match="unknown parameter of ChipMapper 'sed'; did you mean 'seed'"):
        mapper.set_params(sed=3)


def test_a_network_that_names_its_data_has_an_accuracy() -> None:
    """The shipped network on a chip with room loses nothing."""
    mapper = ChipMapper(fan_in_ratio=4.0).fit(ROW8, "gaussian")
    assert isinstance(mapper.instance_, NetworkInstance)
    assert mapper.target_accuracy_ == pytest.approx(0.974, abs=2e-3)
    assert mapper.accuracy_ == pytest.approx(mapper.target_accuracy_, abs=3e-3)


USERS_FILE = """
from pathlib import Path

import numpy as np

import matchopt
from matchopt import ChipMapper, Hardware, LayerInstance, Run, Target

layer: matchopt.Instance = matchopt.load(Path("layer.matchopt"))
result: Run = matchopt.solve(layer, "hungarian", time_limit=5, options={"engine": "scipy"})
weights: tuple[np.ndarray, ...] = result.mapping.weights
names: list[str] = [f"{wire.layer}:{wire.row}" for wire in result.mapping.wiring()]
built = LayerInstance(Target.from_dense(np.eye(3)), Hardware(np.ones((3, 3))))
mapper = ChipMapper(strategy="outputs", seed=1).fit("net.safetensors", "chip.npz", np.zeros((1, 3)))
accuracy: float | None = mapper.accuracy_
wrong: int = mapper.solver_
ChipMapper(strategy="luck")
solver = matchopt.function_solver("mine", lambda cost: cost.argmin(axis=1), exact=False)
register_solvers = matchopt.registering(solver)
"""


@pytest.mark.slow
def test_a_users_file_is_checked_strictly(tmp_path: Path) -> None:
    """mypy --strict finds the two mistakes in it and no other."""
    (tmp_path / "user.py").write_text(USERS_FILE)
    root = Path(matchopt.__file__).parents[1]
    house, read = root / "pyproject.toml", root / ".mypy_cache"  # what `make lint` has read need not be read again
    if read.is_dir():
        shutil.copytree(read, tmp_path / "cache")
    words = ["--strict", "--config-file", str(house), "--cache-dir", str(tmp_path / "cache"), "user.py"]
    done = subprocess.run([sys.executable, "-m", "mypy", *words], cwd=tmp_path, capture_output=True, text=True)
    found = [line for line in done.stdout.splitlines() if "error:" in line]
    assert len(found) == 2 and "user.py:16" in found[0] and "user.py:17" in found[1], done.stdout + done.stderr
