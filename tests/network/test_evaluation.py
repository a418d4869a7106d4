"""Mappings of wide sparse layers are read, judged and written by their connections; and what needs more says so."""

from pathlib import Path

import numpy as np
import pytest

from matchopt.checker import check
from matchopt.errors import InvalidInstance
from matchopt.formats import SolutionFile, read_instance, read_solution, write
from matchopt.instances import FullyConnected, Hardware, LayerInstance, LayerMapping, NetworkMapping, Rules, Target
from matchopt.network import SparseLayer, SparseNetwork, export_network, read_network, write_network
from matchopt.network.evaluation import evaluate, layer_error

WIDE = 2**31 - 1  # inputs: a full matrix would take 30 GB
TARGET = Target(np.array([0, 2, 4]), np.array([0, WIDE - 1, 5, 7]), np.array([1.0, -2.0, 3.0, 0.5]), WIDE)
# The second row listens to an input outside its target's, the first has one connection tuned.
MAPPING = LayerMapping(
    np.array([1, 0]), np.array([0, 1, 4]), np.array([0, 0, 1, 2]), np.array([0, 5, 7, 6]),
    tunable=np.array([1]), tuned=np.array([-1.5]),
)  # fmt: skip


def layer() -> LayerInstance:
    """A layer of four connections, with read noise."""
    chip = Hardware(np.array([[3.0, 0.25, 0.5], [0.5, 1.0, 2.0]]), variance=np.full((2, 3), 0.125))
    return LayerInstance(TARGET, chip, Rules(tunable=1, extra_inputs=True))


@pytest.mark.parametrize("ending", ["matchopt", "csv", "json"])
def test_a_layer_is_as_large_as_its_connections(tmp_path: Path, ending: str) -> None:
    """From file to file without a full matrix: errors 0.5 and 0.5, 0 and 0.25, 0.5 outside; four noisy wires."""
    write(layer(), tmp_path / "layer.matchopt")
    instance = read_instance(tmp_path / "layer.matchopt")
    assert isinstance(instance, LayerInstance)
    place = tmp_path / f"mapping.{ending}"
    write(SolutionFile(MAPPING, instance.digest, "hand", 0), place, instance=instance)
    mapping = read_solution(place, instance=instance)
    squares = 0.25 + 0.25 + 0.0 + 0.0625 + 0.25
    assert check(instance, mapping).objective == pytest.approx(squares + 4 * 0.125)
    assert instance.value(mapping) == pytest.approx(squares + 4 * 0.125)
    assert isinstance(mapping, LayerMapping)
    error = layer_error(0, instance, mapping)
    assert (error.squared, error.largest) == pytest.approx((squares, 0.5))
    assert evaluate(instance, mapping, None).digital.tuned == 1


def test_a_network_is_as_large_as_its_connections(tmp_path: Path) -> None:
    """Written, read, exported and judged; its forward pass, which needs full matrices, is refused with their size."""
    wide = 2**24
    target = Target(np.arange(21), np.arange(wide - 20, wide), np.linspace(1.0, 2.0, 20), wide)
    network = SparseNetwork((SparseLayer(target, np.zeros(20)),), FullyConnected((wide, 20)))
    write_network(tmp_path / "net.safetensors", network)
    again = read_network(tmp_path / "net.safetensors")
    instance = export_network(again, [Hardware(np.ones((20, 1)))])
    own = instance.layers[0].target
    mapping = NetworkMapping((LayerMapping.from_cells(own, np.arange(20), np.zeros(20, np.int64)),))
    assert instance.value(mapping) == pytest.approx(float(((own.weights - 1.0) ** 2).sum()))
    assert check(instance, mapping).objective == pytest.approx(instance.value(mapping))
    with pytest.raises(InvalidInstance, match=rf"a layer of shape \(20, {wide}\) has no full matrix here"):
        _ = again.layers[0].weights
