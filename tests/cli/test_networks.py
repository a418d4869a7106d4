"""The commands export and evaluate."""

import csv
import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import matchopt
from matchopt import (
    DataReference,
    FunctionalError,
    Gains,
    Imperfections,
    LayerInstance,
    LayerMapping,
    NetworkInstance,
    NetworkMapping,
    Rules,
    ScoreError,
    SolutionFile,
    TaskLoss,
    read,
    read_instance,
    read_solution,
    write,
)
from matchopt.cli import main
from matchopt.errors import InvalidInstance
from matchopt.formats import ChipFile, read_chip
from matchopt.network import ImageData, SparseNetwork, TrainingRecord, measure, realise, write_network
from matchopt.network.chip import chip_pool
from matchopt.network.evaluation import Accuracies


def run(*arguments: str | Path | float) -> Result:
    """A command in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def small_network(inputs: int = 5, seed: int = 0) -> SparseNetwork:
    """Two layers with two connections per unit."""
    rng = np.random.default_rng(seed)
    weights = []
    for units, before in ((6, inputs), (10, 6)):
        full = rng.normal(size=(units, before))
        full[:, 2:] = 0.0
        weights.append(full)
    return SparseNetwork.from_arrays(weights, [rng.normal(size=6), rng.normal(size=10)])


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A small network in a file."""
    path = tmp_path / "net.safetensors"
    write_network(path, small_network())
    return path


def exported(network: Path, *arguments: str | Path | float) -> NetworkInstance | LayerInstance:
    """What export writes."""
    output = network.with_name("out.matchopt")
    done = run("export", network, "--output", output, *arguments)
    assert done.exit_code == 0, done.stderr
    found = read(output)
    assert isinstance(found, NetworkInstance | LayerInstance)
    return found


def test_sizes_follow_the_ratios(network: Path) -> None:
    """K is the ratio times the largest fan-in and M the ratio times the units, both rounded up."""
    found = exported(network, "--fan-in-ratio", 1.25, "--neuron-ratio", 1.2)
    assert isinstance(found, NetworkInstance)
    assert [layer.hardware.weights.shape for layer in found.layers] == [(8, 3), (12, 3)]
    assert found.biases is not None


def test_rules_and_flaws_arrive(network: Path) -> None:
    """Every option of rules and hardware shows in the instance."""
    rules = ["--cells-per-weight", 2, "--drop", "--extra-inputs", "--gains", "0.5:2", "--tunable", 3]
    flaws = ["--read-noise", 0.1, "--bad-cells", 0.3, "--leak", 0.1, "--neurons-per-bus", 2, "--fan-in-ratio", 4]
    found = exported(network, "--layer", 1, *rules, *flaws)
    assert isinstance(found, LayerInstance)
    assert found.rules == Rules(2, True, True, Gains.interval(0.5, 2.0), 3)
    hardware = found.hardware
    assert hardware.variance.min() > 0 and not hardware.usable.all() and not hardware.free_routing
    assert np.allclose(hardware.off, 0.1 * hardware.weights)


def test_cells_that_are_only_kept_or_switched_off(network: Path, tmp_path: Path) -> None:
    """--hard-wired gives so many cells on every input, some of them stuck; files of chips say it themselves."""
    found = exported(
        network, "--hard-wired", 4, "--cells-per-weight", 4, "--stuck-cells", 0.2, "--drop", "--extra-inputs"
    )
    assert isinstance(found, NetworkInstance)
    for layer in found.layers:
        assert (layer.hardware.input == np.repeat(np.arange(layer.target.n_inputs), 4)).all()
        assert 0.0 < (layer.hardware.off == layer.hardware.weights).mean() < 0.4
    best = matchopt.solve(found, "hungarian", time_limit=60)
    assert best.proof == "proven" and best.objective is not None
    np.save(tmp_path / "chip.npy", np.ones((30, 9)))
    done = run(
        "export", network, "--output", tmp_path / "x.matchopt", "--hardware", tmp_path / "chip.npy", "--hard-wired", 2
    )
    assert done.exit_code == 2 and "said by its file" in done.stderr
    done = run("export", network, "--output", tmp_path / "x.matchopt", "--hard-wired", 2, "--chained")
    assert done.exit_code == 2 and "--hard-wired ties cells to inputs" in done.stderr


def test_the_tunable_budget_is_the_network_s(network: Path) -> None:
    """Without --layer, --tunable is one budget of the network, and any layer may spend it."""
    found = exported(network, "--tunable", 4)
    assert isinstance(found, NetworkInstance)
    assert found.tunable == 4 and all(layer.rules.tunable == 4 for layer in found.layers)


def test_hardware_biases_are_one_more_input(network: Path) -> None:
    """With --biases hardware every layer has one more input, and no digital biases are left."""
    found = exported(network, "--biases", "hardware")
    assert isinstance(found, NetworkInstance)
    assert found.biases is None and [layer.target.n_inputs for layer in found.layers] == [6, 7]


def test_a_chip_of_ones_own(network: Path, tmp_path: Path) -> None:
    """A file per layer is the chip, row by row; --keep-scale leaves its unit, else it is scaled to the target's rms."""
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(7, 4)), rng.normal(size=(11, 3))
    np.save(tmp_path / "first.npy", first)
    np.savez(tmp_path / "chips.npz", second=second, other=first)
    files = ["--hardware", tmp_path / "first.npy", "--hardware", f"{tmp_path / 'chips.npz'}:second"]
    found = exported(network, *files, "--keep-scale")
    assert isinstance(found, NetworkInstance)
    assert np.array_equal(found.layers[0].hardware.weights, first)
    assert np.array_equal(found.layers[1].hardware.weights, second)
    scaled = exported(network, *files)
    assert isinstance(scaled, NetworkInstance)
    for layer, raw in zip(scaled.layers, (first, second), strict=True):
        rms = np.sqrt(np.mean(layer.target.weights**2))
        assert np.allclose(layer.hardware.weights, raw * rms / np.sqrt(np.mean(raw**2)))


def own_chip(neurons: int = 20, cells: int = 7) -> dict[str, np.ndarray]:
    """A measured array with all that can be said about its cells."""
    rng = np.random.default_rng(4)
    shape = (neurons, cells)
    usable = rng.random(shape) < 0.8
    return {
        "weights": np.where(usable, rng.normal(size=shape), np.nan),
        "variance": rng.random(shape) / 100,
        "usable": usable,
        "off": rng.normal(size=shape) / 10,
        "bus": np.arange(neurons) // 2,
    }


def test_one_measured_array_is_shared_out(network: Path, tmp_path: Path) -> None:
    """Each layer gets the next rows with all that the file says of them; a wiring table has their real numbers."""
    chip = own_chip()
    np.savez(tmp_path / "chip.npz", **chip)
    found = exported(network, "--hardware", tmp_path / "chip.npz", "--keep-scale", "--fan-in-ratio", 2, "--drop")
    assert isinstance(found, NetworkInstance)
    for layer, rows in zip(found.layers, (slice(0, 6), slice(6, 16)), strict=True):
        for name, whole in chip.items():
            part = whole[rows] if whole.ndim == 1 else whole[rows, :4]
            assert np.array_equal(getattr(layer.hardware, name), np.nan_to_num(part)), name
        assert layer.hardware.neuron.tolist() == list(range(20))[rows]
    none = np.zeros(0, int)
    backwards = ((np.arange(n)[::-1], np.zeros(n + 1, int)) for n in (6, 10))
    mapping = NetworkMapping(tuple(LayerMapping(*chosen, none, none) for chosen in backwards))
    for ending in ("csv", "json"):
        write(mapping, tmp_path / f"wiring.{ending}", instance=found)
        again = read(tmp_path / f"wiring.{ending}", instance=found)
        assert isinstance(again, SolutionFile) and again.solution.digest == mapping.digest
    with (tmp_path / "wiring.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [int(line["neuron"]) for line in lines] == [*range(5, -1, -1), *range(15, 5, -1)]


def test_what_fits_is_said(network: Path, tmp_path: Path) -> None:
    """Cells per connection, of which K/n speaks for the largest fan-in only; a unit far off with --keep-scale."""
    done = run("export", network, "--output", tmp_path / "net.v1.2.matchopt", "--fan-in-ratio", 2)
    assert "Usable cells per connection: 2, 2; K/n multiplies the largest fan-in of a layer" in done.stdout
    assert read_instance(tmp_path / "net.v1.2.matchopt").name == "net.v1.2"
    chip = own_chip()
    np.savez(tmp_path / "chip.npz", weights=np.nan_to_num(chip["weights"]) * 1e-6, usable=chip["usable"])
    options = ["--hardware", tmp_path / "chip.npz", "--drop", "--output", tmp_path / "out.matchopt"]
    done = run("export", network, *options, "--keep-scale")
    assert re.search(r"Note: layer 1: the weights of the chip have an rms of \S+e-0[67], those of", done.stderr)
    assert "Note" not in run("export", network, *options).stderr


def test_faults_come_on_top_of_the_measured_ones(network: Path, tmp_path: Path) -> None:
    """Bad cells, noise and leak are added; the scaling to the target's rms takes all along."""
    chip = own_chip() | {"bus": np.arange(20)}
    np.savez(tmp_path / "chip.npz", **chip)
    options = ["--bad-cells", 0.2, "--read-noise", 0.1, "--leak", 0.5, "--neurons-per-bus", 2, "--seed", 3]
    found = exported(network, "--hardware", tmp_path / "chip.npz", "--fan-in-ratio", 2, "--drop", *options)
    assert isinstance(found, NetworkInstance)
    first = found.layers[0].hardware
    weights = np.nan_to_num(chip["weights"])[:6, :4]
    factor = (first.weights[first.usable] / weights[first.usable])[0]
    rms = np.sqrt(np.mean(weights**2))
    assert np.allclose(first.weights, factor * weights)
    assert not first.usable[~chip["usable"][:6, :4]].any()
    assert 0 < first.usable.sum() < chip["usable"][:6, :4].sum()
    assert np.allclose(first.variance, factor**2 * (chip["variance"][:6, :4] + (0.1 * rms) ** 2))
    assert np.allclose(first.off, factor * (np.nan_to_num(chip["off"])[:6, :4] + 0.5 * weights))
    assert first.bus.tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("chips", "options", "message"),
    [
        (
            [own_chip(15)],
            [],
            "need 16 hardware neurons .* of up to 3 cells .*, found 15 rows of 7; a row is a neuron of one",
        ),
        (
            [{"weights": np.ones((5, 20))}],
            [],
            "found 5 rows of 20; a row is a neuron of one layer: transpose the array",
        ),
        ([own_chip(cells=2)], [], "of up to 3 cells .*, found 20 rows of 2"),
        ([own_chip() | {"bus": np.zeros(20, int)}], [], "layer 1 would share a bus with the layer before it"),
        ([own_chip()], ["--neurons-per-bus", 2], "the array has buses of its own; leave neurons_per_bus out"),
        ([own_chip(), own_chip()], [], "layers 0 and 1: the same array would book its neurons twice; give it once"),
        (
            [own_chip(), {"weights": np.ones((3, 20))}],
            [],
            "1.npz: layer 1 needs 10 hardware neurons, found 3 rows of 20 cells; .*: transpose the array",
        ),
    ],
)
def test_a_chip_that_does_not_fit_is_refused(
    network: Path, tmp_path: Path, chips: list[dict[str, np.ndarray]], options: list[str], message: str
) -> None:
    """Too small, transposed, one bus for two layers, one array for two layers: never a table of cells that are not."""
    for number, chip in enumerate(chips):
        np.savez(tmp_path / f"{number}.npz", **chip)
        options = [*options, "--hardware", str(tmp_path / f"{number}.npz")]
    done = run("export", network, "--output", tmp_path / "out.matchopt", *options)
    assert done.exit_code == 2
    assert re.search(message, done.stderr), done.stderr


def test_cells_drawn_one_by_one_lose_nothing_in_silence(tmp_path: Path) -> None:
    """A study takes a measured array for a law of weights; one that says more of its cells is refused."""
    targets, sizes = [layer.target for layer in small_network().layers], [(6, 4), (10, 4)]
    np.save(tmp_path / "law.npy", np.arange(1.0, 401).reshape(20, 20))
    law = read_chip([ChipFile(tmp_path / "law.npy")])
    drawn = chip_pool(law, targets, sizes, np.random.default_rng(0), Imperfections())
    cells = [(layer.weights / layer.weights.min()).ravel() for layer in drawn]
    assert [len(set(layer.tolist())) for layer in cells] == [24, 40]
    np.savez(tmp_path / "chip.npz", **own_chip())
    with pytest.raises(
        InvalidInstance, match="leak, read-noise, shared-bus, unusable-cells of their array would be lost"
    ):
        chip = read_chip([ChipFile(tmp_path / "chip.npz")])
        chip_pool(chip, targets, sizes, np.random.default_rng(0), Imperfections())


def test_output_error_from_samples(network: Path, tmp_path: Path) -> None:
    """--objective output-error takes second moments from the sample inputs, run through the network."""
    samples = np.random.default_rng(2).random((20, 5))
    np.save(tmp_path / "samples.npy", samples)
    options = ["--objective", "output-error", "--samples", tmp_path / "samples.npy"]
    found = exported(network, *options)
    assert isinstance(found, NetworkInstance)
    assert np.allclose(found.layers[0].objective.second_moments, samples.T @ samples / 20)  # type: ignore[attr-defined]
    single = exported(network, *options, "--layer", 1)
    assert isinstance(single, LayerInstance)
    moments = [part.objective.second_moments for part in (single, found.layers[1])]  # type: ignore[attr-defined]
    assert np.array_equal(*moments)


def test_objectives_of_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training images go in as bytes, labels with the task loss only; the biases may be adjustable; both are shown."""
    path = tmp_path / "net.safetensors"
    write_network(path, small_network(784))
    data = tiny_mnist()
    monkeypatch.setattr("matchopt.network.evaluation.load_mnist", lambda: data)
    options = ["--samples", 30, "--biases", "adjustable"]
    functional = exported(path, "--objective", "functional-error", *options)
    assert isinstance(functional, NetworkInstance) and isinstance(functional.objective, FunctionalError)
    assert functional.adjustable and functional.objective.inputs.dtype == np.uint8
    assert np.allclose(functional.objective.rows(slice(None)), data.train_images[:30], atol=1e-7)
    score = exported(path, "--objective", "score-error", *options)
    assert isinstance(score, NetworkInstance) and isinstance(score.objective, ScoreError)
    assert np.array_equal(score.objective.inputs, functional.objective.inputs)
    done = run("export", path, "--output", tmp_path / "x.matchopt", "--objective", "task-loss", *options)
    assert "task-loss on 30 samples; adjustable biases" in done.stdout
    task = read(tmp_path / "x.matchopt")
    assert isinstance(task, NetworkInstance) and isinstance(task.objective, TaskLoss)
    assert np.array_equal(task.objective.labels, data.train_labels[:30])
    too_many = run("export", path, "--output", tmp_path / "x.matchopt", "--objective", "task-loss", "--samples", 500)
    assert too_many.exit_code == 2 and "400 training images, found 500" in too_many.stderr


def test_centred_output_error(network: Path, tmp_path: Path) -> None:
    """--centred takes covariances of the inputs that the layers get."""
    samples = np.random.default_rng(2).random((20, 5))
    np.save(tmp_path / "samples.npy", samples)
    found = exported(network, "--objective", "output-error", "--centred", "--samples", tmp_path / "samples.npy")
    assert isinstance(found, NetworkInstance)
    covariance = np.cov(samples.T, bias=True)
    assert np.allclose(found.layers[0].objective.second_moments, covariance)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layer", "2"], "--layer must be in 0 .. 1"),
        (["--gains", "a,b"], "must be 1, or 0.5,1,2, or 0.5:2"),
        (["--gains", "2:1"], "low must be <= high"),
        (["--law", "gausian"], "gaussian"),
        (["--fan-in-ratio", "0"], "fan_in_ratio"),
        (["--neuron-ratio", "0.5"], "neuron_ratio"),
        (["--fan-in-ratio", "1e308"], "cells, at most 134217728 are made; lower fan_in_ratio"),
        (["--neuron-ratio", "1e18", "--hardware", "none.npy"], "cells, at most 134217728 are made"),
        (["--fan-in-ratio", "nan", "--hardware", "none.npy"], "fan_in_ratio must be a finite number > 0, found nan"),
        (["--objective", "output-error"], "--samples is needed"),
        (["--objective", "task-loss"], "name its data set in the file"),
        (["--objective", "task-loss", "--samples", "x.npy"], "task-loss needs labels, which a file of inputs lacks"),
        (["--objective", "functional-error", "--samples", "0"], "0 samples are too few"),
        (["--samples", "10"], "weight-error needs none"),
        (["--objective", "score-error", "--layer", "0"], "judges the network as a whole"),
        (["--objective", "functional-error", "--layer", "0"], "judges the network as a whole"),
        (["--biases", "adjustable", "--layer", "0"], "a single layer has no digital biases to adjust"),
        (["--centred"], "centred: belongs to output-error"),
        (["--hardware", "none.npy", "--layer", "0"], "none.npy"),
        (["--hardware", "a.npy", "--hardware", "b.npy", "--bad-cells", "0.1"], "flaws come from the file"),
        (["--hardware", "a.npy", "--hardware", "b.npy", "--hardware", "c.npy"], "one file of hardware for each layer"),
    ],
)
def test_bad_input_of_export(network: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    """Each mistake is named; exit status 2, and nothing is written."""
    output = tmp_path / "out.matchopt"
    done = run("export", network, "--output", output, *arguments)
    assert done.exit_code == 2
    assert message in done.stderr and "Traceback" not in done.stderr
    assert not output.exists()


@pytest.mark.slow
def test_evaluate_without_data_gives_the_error_of_every_layer(network: Path, tmp_path: Path) -> None:
    """A network of unknown data has no accuracy; the squared errors of its layers add up to the objective."""
    exported(network)
    best = tmp_path / "best.matchopt"
    assert run("solve", tmp_path / "out.matchopt", "--solver", "hungarian", "--output", best).exit_code == 0
    done = run("evaluate", tmp_path / "out.matchopt", best, "--json", "--wiring", tmp_path / "wiring.csv")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["mapped"] is None
    assert sum(layer["squared"] for layer in found["layers"]) == pytest.approx(found["objective"])
    assert found["digital"] == {"biases": 16, "biases_adjusted": 0, "tunable": 0, "tuned": 0}
    assert len((tmp_path / "wiring.csv").read_text().splitlines()) == 1 + 12 + 20


def test_evaluate_uses_and_counts_what_the_mapping_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Biases and tuned values of the mapping make its accuracy, and are counted as digital numbers."""
    path = tmp_path / "net.safetensors"
    write_network(path, small_network(784))
    data = tiny_mnist()
    monkeypatch.setattr("matchopt.network.evaluation.load_mnist", lambda: data)
    found = exported(path, "--biases", "adjustable", "--tunable", 2)
    assert isinstance(found, NetworkInstance) and found.biases is not None
    parts = []
    for n, layer in enumerate(found.layers):
        cells = np.arange(layer.target.n_connections) - layer.target.indptr[layer.target.row_of]
        tunable = np.array([1, 5]) if n == 0 else np.zeros(0, int)
        cells[tunable] = -1
        tuned = layer.target.weights[tunable] + [3.0, 0.0] if n == 0 else None
        parts.append(LayerMapping.from_cells(layer.target, np.arange(layer.n_rows), cells, None, tunable, tuned))
    last = found.biases[1].copy()
    last[4] += 1e6  # every image is of class 4 from now on
    write(NetworkMapping(tuple(parts), (found.biases[0], last)), tmp_path / "best.matchopt")
    done = run("evaluate", tmp_path / "out.matchopt", tmp_path / "best.matchopt")
    assert "digital numbers: 1 of 16 biases adjusted, 2 tunable weights (1 with a value of their own)" in done.stdout
    done = run("evaluate", tmp_path / "out.matchopt", tmp_path / "best.matchopt", "--json")
    assert json.loads(done.stdout)["mapped"]["test"] == np.mean(data.test_labels == 4)


@pytest.mark.slow
def test_accuracies_beside_the_target(tmp_path: Path) -> None:
    """A network with MNIST's inputs is measured before and after; a layer of it needs the network, and gets it."""
    path = tmp_path / "net.safetensors"
    write_network(path, small_network(784))
    whole = exported(path, "--fan-in-ratio", 8)
    assert isinstance(whole, NetworkInstance)
    best = tmp_path / "best.matchopt"
    run("solve", tmp_path / "out.matchopt", "--solver", "hungarian", "--output", best)
    found = json.loads(run("evaluate", tmp_path / "out.matchopt", best, "--json").stdout)
    assert 0.0 <= found["mapped"]["test"] <= 1.0
    exported(path, "--fan-in-ratio", 8, "--layer", 1)
    run("solve", tmp_path / "out.matchopt", "--solver", "hungarian", "--output", best)
    alone = json.loads(run("evaluate", tmp_path / "out.matchopt", best, "--json", "--network", path).stdout)
    assert alone["target"]["test"] == pytest.approx(
        found["target"]["test"], abs=2e-4
    )  # single against double precision
    assert [layer["layer"] for layer in alone["layers"]] == [1]


def test_a_layer_with_hardware_biases_is_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last column is the biases of the layer in the network; perfect hardware makes the network's accuracy."""
    monkeypatch.setattr("matchopt.network.evaluation.load_mnist", tiny_mnist)
    path = tmp_path / "net.safetensors"
    trained = small_network(784)
    write_network(path, trained)
    full = np.column_stack([trained.layers[0].weights, trained.layers[0].biases])
    np.save(tmp_path / "chip.npy", full)
    exported(path, "--layer", 0, "--biases", "hardware", "--hardware", tmp_path / "chip.npy", "--keep-scale")
    best = tmp_path / "best.matchopt"
    assert run("solve", tmp_path / "out.matchopt", "--solver", "hungarian", "--output", best).exit_code == 0
    done = run("evaluate", tmp_path / "out.matchopt", best, "--json", "--network", path)
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["mapped"] == found["target"]
    assert found["layers"][0]["squared"] == pytest.approx(0.0, abs=1e-9)


def solved(folder: Path, network: Path, *options: str | Path | float) -> tuple[Path, Path]:
    """An instance and a mapping of it, in files."""
    instance = exported(network, *options)
    best = folder / "best.matchopt"
    assert run("solve", folder / "out.matchopt", "--solver", "hungarian", "--output", best).exit_code == 0
    assert read_instance(folder / "out.matchopt").digest == instance.digest
    return folder / "out.matchopt", best


@pytest.mark.parametrize("options", [(), ("--layer", 1)])
def test_read_noise_is_in_the_accuracy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str | int, ...]
) -> None:
    """Mean and spread of several reads, each with noise of its own, by a named seed; without noise there is one."""
    monkeypatch.setattr("matchopt.network.evaluation.load_mnist", tiny_mnist)
    path = tmp_path / "net.safetensors"
    write_network(path, small_network(784))
    files = solved(tmp_path, path, "--read-noise", 0.5, *options)
    command = ("evaluate", *files, "--network", path)
    found, again, other = (
        json.loads(run(*command, "--json", *more).stdout) for more in ((), ("--reads", 5, "--seed", 0), ("--seed", 1))
    )
    assert found == again and found["mapped"] != other["mapped"]
    assert found["reads"] == 5 and found["spread"]["test"] > 0
    shown = run(*command, "--reads", 3, "--seed", 7).stdout
    assert "mapped, spread: mean and standard deviation of 3 reads with noise, seed 7" in shown
    instance, mapping = read_instance(files[0]), read_solution(files[1])
    if isinstance(instance, NetworkInstance) and isinstance(mapping, NetworkMapping):
        data = tiny_mnist()
        reads = [realise(instance, mapping, np.random.default_rng([0, n])) for n in range(5)]
        accuracies = [measure(network, data.test_images, data.test_labels).accuracy for network in reads]
        assert found["mapped"]["test"] == pytest.approx(np.mean(accuracies))
        assert found["spread"]["test"] == pytest.approx(np.std(accuracies, ddof=1))
    quiet = json.loads(run("evaluate", *solved(tmp_path, path, *options), "--network", path, "--json").stdout)
    assert quiet["reads"] == 1 and quiet["spread"] is None


@pytest.mark.parametrize("said_by", ["options", "file"])
def test_normalised_inputs_belong_to_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said_by: str) -> None:
    """Mean and deviation, of options or of the file, go with the instance; samples and accuracies take them."""
    monkeypatch.setattr("matchopt.network.evaluation.load_mnist", tiny_mnist)
    monkeypatch.setattr("matchopt.network.evaluation.find_data", lambda reference: tiny_mnist())
    rng, path = np.random.default_rng(2), tmp_path / "net.npz"
    net = SparseNetwork.from_arrays([np.eye(12, 784) * 4, rng.normal(size=(10, 12))], [np.ones(12), np.zeros(10)])
    arrays = {f"{n}.{what}": getattr(layer, field) for n, layer in enumerate(net.layers)
              for what, field in (("weight", "weights"), ("bias", "biases"))}  # fmt: skip
    moments: list[str | Path | float] = ["--input-mean", 0.5, "--input-std", 0.25]
    np.savez(
        path, **arrays | ({"input_mean": np.array(0.5), "input_std": np.array([0.25])} if said_by == "file" else {})
    )
    options = moments if said_by == "options" else []
    given = exported(path, "--objective", "output-error", "--samples", 50, *options)
    assert isinstance(given, NetworkInstance) and given.data is not None
    assert (given.data.mean, given.data.deviation) == ((0.5,), (0.25,))
    inputs = (tiny_mnist().train_images[:50] - 0.5) / 0.25
    moments_of_inputs = given.layers[0].objective.second_moments  # type: ignore[attr-defined]
    assert np.allclose(moments_of_inputs, inputs.T @ inputs / 50, atol=1e-5)
    done = run("evaluate", *solved(tmp_path, path, *options), "--json")
    found, data = json.loads(done.stdout), tiny_mnist()
    right = replace(data, **{f"{part}_images": (getattr(data, f"{part}_images") - 0.5) / 0.25
                             for part in ("validation", "test")}, bounded=False)  # fmt: skip
    assert found["target"] == asdict(Accuracies.of(net, right)) != asdict(Accuracies.of(net, data))
    assert re.search(
        r"Warning: the target itself reaches only \S+ %; were inputs normalised in training\?", done.stderr
    )


def test_moments_without_their_network_are_refused(network: Path, tmp_path: Path) -> None:
    """They would say nothing about an instance, which has its own."""
    done = run("evaluate", *solved(tmp_path, network), "--input-mean", 0.5)
    assert done.exit_code == 2 and "--input-mean goes with --network; an instance has its own" in done.stderr


def test_a_target_unlike_its_record_is_doubted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The accuracy that training noted and the one measured are the same, or the inputs are not."""
    monkeypatch.setattr("matchopt.network.evaluation.load_mnist", tiny_mnist)
    path = tmp_path / "net.safetensors"
    write_network(path, small_network(784).with_record(TrainingRecord(test_accuracy=0.9)))
    done = run("evaluate", *solved(tmp_path, path), "--network", path)
    assert re.search(r"Warning: the target reaches \S+ %, and its file says 90\.00 %", done.stderr)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--input-std", "0"], "deviation.0 must be a finite number > 0, found 0"),
        (["--input-mean", "1,x"], "must be numbers with commas between them, such as 0.1307"),
    ],
)
def test_moments_that_cannot_be_are_refused(network: Path, tmp_path: Path, options: list[str], message: str) -> None:
    """Each in a sentence, before anything is written."""
    path = network
    if "0" in options:
        path = tmp_path / "named.safetensors"
        record = TrainingRecord(data=DataReference("mnist", "0" * 64))
        write_network(path, small_network().with_record(record))
    done = run("export", path, "--output", tmp_path / "out.matchopt", *options)
    assert done.exit_code == 2 and message in done.stderr


def test_another_instances_mapping_is_not_evaluated(network: Path, tmp_path: Path) -> None:
    """Though it fits in shape."""
    _, best = solved(tmp_path, network)
    exported(network, "--seed", 1)
    for command in ("evaluate", "check"):
        done = run(command, tmp_path / "out.matchopt", best)
        assert done.exit_code == 2 and "holds a solution of another instance" in done.stderr


def tiny_mnist() -> ImageData:
    """Noise in the shape of MNIST."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (size, 784)).astype(np.float32) / np.float32(255) for size in (400, 50, 50)]
    labels = [rng.integers(0, 10, len(part)) for part in images]
    both = [part for pair in zip(images, labels, strict=True) for part in pair]
    return ImageData(*both, 10, DataReference("noise", "0" * 64))
