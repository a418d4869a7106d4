"""What `matchopt evaluate` knows of chips besides their weights: converters."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from matchopt import DataReference, LayerMapping, NetworkInstance, NetworkMapping, read_instance, write
from matchopt.cli import main
from matchopt.network import Converter, ImageData, SparseNetwork, converted, measure, write_network


def run(*arguments: str | Path | float) -> Result:
    """A command in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def images() -> ImageData:
    """Made-up images of MNIST's size."""
    rng = np.random.default_rng(0)
    parts = [(rng.random((80, 784)).astype(np.float32), rng.integers(0, 10, 80)) for _ in range(3)]
    (train, a), (validation, b), (test, c) = parts
    return ImageData(train, a, validation, b, test, c, 10, DataReference("mnist", "ab" * 32))


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """An instance of two layers whose data are the images above, and a mapping of it."""
    monkeypatch.setattr("matchopt.network.evaluation.load_mnist", images)
    rng = np.random.default_rng(1)
    weights = [np.where(rng.random((12, 784)) < 0.02, rng.normal(size=(12, 784)), 0.0), rng.normal(size=(10, 12))]
    network = SparseNetwork.from_arrays(weights, [rng.normal(size=12), rng.normal(size=10)])
    write_network(tmp_path / "net.safetensors", network)
    done = run("export", tmp_path / "net.safetensors", "--output", tmp_path / "net.matchopt", "--fan-in-ratio", 2)
    assert done.exit_code == 0, done.stderr
    instance = read_instance(tmp_path / "net.matchopt")
    assert isinstance(instance, NetworkInstance)
    write(by_number(instance), tmp_path / "mapping.matchopt")
    return tmp_path / "net.matchopt", tmp_path / "mapping.matchopt"


def by_number(instance: NetworkInstance) -> NetworkMapping:
    """Every row on the neuron of its number, its connections on the first cells."""
    parts = []
    for layer in instance.layers:
        target = layer.target
        cells = np.arange(target.n_connections) - target.indptr[target.row_of]
        parts.append(LayerMapping.from_cells(target, np.arange(target.n_rows), cells))
    return NetworkMapping(tuple(parts))


def test_converters_read_the_sums(files: tuple[Path, Path]) -> None:
    """The accuracy is that of the converted network, and the ranges, found or given, are said."""
    instance, data = read_instance(files[0]), images()
    assert isinstance(instance, NetworkInstance)
    done = run("evaluate", *files, "--adc-bits", 4, "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    network = converted(instance, by_number(instance), Converter(4), data.validation_images)
    assert found["mapped"]["test"] == measure(network, data.test_images, data.test_labels).accuracy
    assert network.ranges is not None
    assert (found["bits"], found["ranges"]) == (4, pytest.approx(network.ranges))
    shown = run("evaluate", *files, "--adc-bits", 4, "--adc-range", "2.5,3").stdout
    assert "converters: 4 bits, largest sums of the layers 2.5, 3" in shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--adc-range", "1"], "--adc-range goes with --adc-bits"),
        (["--adc-bits", "1"], "2<=x<=32"),
        (["--adc-bits", "4", "--adc-range", "0"], "ranges must be a list of finite numbers > 0 or none"),
        (["--adc-bits", "4", "--adc-range", "1,2,3"], "give one, or one per layer, 2, found 3"),
    ],
)
def test_bad_input_of_evaluate(files: tuple[Path, Path], options: list[str], message: str) -> None:
    """Each mistake is named; exit status 2."""
    done = run("evaluate", *files, *options)
    assert done.exit_code == 2
    assert message in done.stderr and "Traceback" not in done.stderr
