"""The adapters to simulators of analog hardware run where these are installed, and are skipped elsewhere."""

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from matchopt import NetworkInstance, NetworkMapping, write
from matchopt.instances import Hardware, LayerInstance, LayerMapping, Target

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "simulators"
NOISE = 0.05


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Imports a module of the folder as its users do."""
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module


def files(folder: Path) -> tuple[Path, Path]:
    """A network of 20-12-4 on cells with read noise, and a mapping of it."""
    rng = np.random.default_rng(5)
    layers, parts = [], []
    for units, inputs in ((12, 20), (4, 12)):
        target = Target.from_dense(rng.normal(size=(units, inputs)))
        cells = rng.normal(size=(units, inputs))
        layers.append(LayerInstance(target, Hardware(cells, np.full(cells.shape, NOISE**2))))
        parts.append(LayerMapping.from_cells(target, np.arange(units), np.tile(np.arange(inputs), units)))
    instance = NetworkInstance(tuple(layers), (rng.normal(size=12), rng.normal(size=4)))
    write(instance, folder / "net.matchopt")
    write(NetworkMapping(tuple(parts)), folder / "best.matchopt", instance=instance)
    return folder / "net.matchopt", folder / "best.matchopt"


def test_arrays_of_a_mapped_network(tmp_path: Path, adapter: Callable[[str], ModuleType]) -> None:
    """Weights, biases and noise are those of the cells; signals those of the layers one after the other."""
    network = adapter("mapped_network").MappedNetwork(*files(tmp_path))
    first = network.instance.layers[0]
    assert np.array_equal(network.weights[0], first.hardware.weights.astype(np.float32))
    assert np.allclose(network.noise[1], NOISE)
    images = np.random.default_rng(0).normal(size=(30, 20))
    hidden = np.maximum(images @ network.weights[0].T + network.biases[0], 0)
    assert np.allclose(network.signals(images), hidden @ network.weights[1].T + network.biases[1])


def test_aihwkit_gives_the_same_outputs(tmp_path: Path, adapter: Callable[[str], ModuleType]) -> None:
    """Without noise to 1e-4; with it, 10 seeds stray as far as the measured noise says, and so do our own reads."""
    pytest.importorskip("aihwkit", reason="aihwkit is not installed; it is built from source")
    module = adapter("in_aihwkit")
    network = adapter("mapped_network").MappedNetwork(*files(tmp_path))
    images = np.random.default_rng(0).normal(size=(400, 20)).astype(np.float32)
    model, own = module.analog(network), network.signals(images)
    assert np.abs(module.outputs(model, images) - own).max() < 1e-4
    theirs = [np.std(module.outputs(module.read(model, seed), images) - own) for seed in range(10)]
    ours = []
    for seed in range(10):
        rng, weights = np.random.default_rng(seed), network.weights
        network.weights = [part + NOISE * rng.normal(size=part.shape).astype(np.float32) for part in weights]
        ours.append(np.std(network.signals(images) - own))
        network.weights = weights
    spread = np.hypot(np.std(theirs, ddof=1), np.std(ours, ddof=1))
    assert abs(np.mean(theirs) - np.mean(ours)) < spread


def test_crosssim_gives_the_same_outputs(tmp_path: Path, adapter: Callable[[str], ModuleType]) -> None:
    """To 1e-4 with the parameters that simulate nothing."""
    simulator = pytest.importorskip("simulator", reason="CrossSim is not installed")
    module = adapter("in_crosssim")
    network = adapter("mapped_network").MappedNetwork(*files(tmp_path))
    images = np.random.default_rng(0).normal(size=(30, 20)).astype(np.float32)
    found = module.outputs(network, images, simulator.CrossSimParameters())
    assert np.abs(found - network.signals(images)).max() < 1e-4


def crossbar(rows: int, columns: int, share: float) -> Any:
    """What a mapping scheme sees of XBTorch's accelerator."""
    stuck = np.nonzero(np.random.default_rng(1).random((rows, columns)) < share)
    return SimpleNamespace(rows=rows, columns=columns, defect_map=(stuck, np.zeros(len(stuck[0]))))


def test_a_place_on_xbtorch_has_the_fewest_faults(adapter: Callable[[str], ModuleType]) -> None:
    """Of all free rectangles, by enumeration; those taken are kept free, and a full crossbar is said to be."""
    place, chip, taken = adapter("xbtorch_mapping").fewest_faults, crossbar(20, 30, 0.1), []
    faults = np.zeros((20, 30), int)
    faults[chip.defect_map[0]] = 1
    for shape in ((5, 7), (4, 9), (6, 6)):
        before = list(taken)
        ((row, column),) = place(accelerator=chip, layer_shape=shape, current_mappings=taken)
        free = [
            faults[i : i + shape[0], j : j + shape[1]].sum()
            for i in range(20 - shape[0] + 1)
            for j in range(30 - shape[1] + 1)
            if all(i + shape[0] <= r or r + h <= i or j + shape[1] <= c or c + w <= j for (r, c), (h, w) in before)
        ]
        assert faults[row : row + shape[0], column : column + shape[1]].sum() == min(free)
        assert taken == [*before, ((row, column), shape)]
    with pytest.raises(ValueError, match="no free rectangle of 20 x 30 cells is left on 20 x 30"):
        place(chip, (20, 30), current_mappings=taken)
    assert len(place(chip, (2, 2), beta=3)) == 3


def test_xbtorch_takes_the_scheme(adapter: Callable[[str], ModuleType]) -> None:
    """On its own accelerator with stuck devices."""
    deployment = pytest.importorskip("xbtorch.deployment", reason="XBTorch is not on the package index")
    module = adapter("xbtorch_mapping")
    chip = deployment.SimpleFixedPoint(xb_size=(40, 40), stuck_percentage=0.05, xb_mapping_scheme=module.fewest_faults)
    assert len(chip.xb_mapping_scheme(accelerator=chip, layer_shape=(8, 8), current_mappings=[])) == 1
