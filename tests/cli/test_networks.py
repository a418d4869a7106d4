"""The commands export and evaluate."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from matchopt import (
    DataReference,
    FunctionalError,
    Gains,
    LayerInstance,
    LayerMapping,
    NetworkInstance,
    NetworkMapping,
    Rules,
    ScoreError,
    TaskLoss,
    read,
    write,
)
from matchopt.cli import main
from matchopt.network import ImageData, SparseNetwork, write_network


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


def test_one_measured_array_is_a_pool_of_cells(network: Path, tmp_path: Path) -> None:
    """One file for several layers: every cell is used at most once."""
    np.savetxt(tmp_path / "pool.csv", np.arange(1, 401).reshape(20, 20), delimiter=",")
    found = exported(network, "--hardware", tmp_path / "pool.csv", "--keep-scale", "--fan-in-ratio", 2)
    assert isinstance(found, NetworkInstance)
    cells = np.concatenate([layer.hardware.weights.ravel() for layer in found.layers])
    assert len(cells) == 6 * 4 + 10 * 4 == len(set(cells.tolist()))
    assert set(cells.tolist()) <= set(range(1, 401))


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


def tiny_mnist() -> ImageData:
    """Noise in the shape of MNIST."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (size, 784)).astype(np.float32) / np.float32(255) for size in (400, 50, 50)]
    labels = [rng.integers(0, 10, len(part)) for part in images]
    both = [part for pair in zip(images, labels, strict=True) for part in pair]
    return ImageData(*both, 10, DataReference("noise", "0" * 64))
