"""Sparse convolutional and recurrent networks on the command line: export, solve, evaluate."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from matchopt import LayerInstance, NetworkInstance, read
from matchopt.instances.architecture import Architecture, Recurrent
from matchopt.instances.architecture_names import architecture_named
from matchopt.network import ImageData, SparseNetwork, TrainingRecord, forward, load_mnist, read_network, write_network

from .test_networks import run

pytestmark = pytest.mark.slow  # every command is a process that loads torch

FORMS = {"cnn": "cnn:1x28x28-4c5-m3-8c3-m2-10", "lstm": "lstm:28x28-16-10"}
FAN_IN = 8


def sparse(architecture: Architecture, data: ImageData) -> SparseNetwork:
    """Every row listens to eight fixed inputs drawn at random; a few epochs of Adam."""
    torch.manual_seed(0)
    masks = []
    for rows, cols in architecture.matrices:
        mask = torch.zeros(rows, cols)
        for row in mask:
            row[torch.randperm(cols)[:FAN_IN]] = 1
        masks.append(mask)
    recurrent = isinstance(architecture, Recurrent)
    spread = 1.0 if recurrent else 2.0
    weights = [(torch.randn_like(mask) * mask * (spread / FAN_IN) ** 0.5).requires_grad_() for mask in masks]
    biases = [torch.zeros(len(mask), requires_grad=True) for mask in masks]
    buffers = forward.fresh_buffers(architecture)
    steps = torch.optim.Adam([*weights, *biases], 0.02)
    images, labels = torch.tensor(data.train_images), torch.tensor(data.train_labels)
    order = torch.cat([torch.randperm(len(images)) for _ in range(3)])
    for start in range(0, len(order), 50):
        batch = order[start : start + 50]
        steps.zero_grad()
        held = [matrix * mask for matrix, mask in zip(weights, masks, strict=True)]
        found = forward.logits(architecture, held, biases, images[batch], True, buffers=buffers)
        torch.nn.functional.cross_entropy(found, labels[batch]).backward()  # type: ignore[no-untyped-call]
        steps.step()
    arrays = [(matrix * mask).detach().numpy() for matrix, mask in zip(weights, masks, strict=True)]
    record = TrainingRecord("made for this test", data=data.reference)
    used = [mask.numpy() == 1 for mask in masks]
    vectors = [bias.detach().numpy() for bias in biases]
    return SparseNetwork.from_arrays(arrays, vectors, used, record, architecture)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One small sparse network of each kind, trained for a second."""
    data, folder = load_mnist().first(1_500, 500, 500), tmp_path_factory.mktemp("networks")
    torch.set_num_threads(1)
    paths = {}
    for name, text in FORMS.items():
        paths[name] = folder / f"{name}.safetensors"
        write_network(paths[name], sparse(architecture_named(text, data.shape, 10), data))
    return paths


def solved(network: Path, tmp_path: Path, *options: str | Path | float) -> dict[str, Any]:
    """Export, solve by hungarian, evaluate; what evaluate prints."""
    instance, solution = tmp_path / "instance.matchopt", tmp_path / "best.matchopt"
    done = run("export", network, "--output", instance, "--seed", 1, *options)
    assert done.exit_code == 0, done.stderr
    done = run("solve", instance, "--solver", "hungarian", "--output", solution)
    assert done.exit_code == 0, done.stderr
    done = run("evaluate", instance, solution, "--json")
    assert done.exit_code == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", FORMS)
def test_a_wide_chip_keeps_the_accuracy(networks: dict[str, Path], tmp_path: Path, name: str) -> None:
    """At K/n = 4 the mapped network classifies as its target does."""
    found = solved(networks[name], tmp_path, "--fan-in-ratio", 4, "--neuron-ratio", 2)
    assert found["target"]["validation"] > 0.4  # ten classes: chance is 0.1
    assert abs(found["mapped"]["validation"] - found["target"]["validation"]) <= 0.02
    assert all(layer["relative"] < 0.01 for layer in found["layers"])


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMS)
def test_a_narrow_chip_of_random_binary_weights_does_not(networks: dict[str, Path], tmp_path: Path, name: str) -> None:
    """One value per magnitude and no cell to spare: the errors show in the accuracy, so the test above can fail."""
    found = solved(networks[name], tmp_path, "--fan-in-ratio", 1, "--law", "binary")
    assert found["mapped"]["validation"] < found["target"]["validation"] - 0.05


@pytest.mark.parametrize("name", FORMS)
def test_a_single_layer(networks: dict[str, Path], tmp_path: Path, name: str) -> None:
    """One layer alone, judged within its network."""
    network = read_network(networks[name])
    solution, layer = tmp_path / "best.matchopt", tmp_path / "layer.matchopt"
    assert run("export", networks[name], "--output", layer, "--layer", 0, "--fan-in-ratio", 4).exit_code == 0
    single = read(layer)
    assert isinstance(single, LayerInstance)
    assert single.target.dense().shape == network.architecture.matrices[0]
    assert run("solve", layer, "--solver", "hungarian", "--output", solution).exit_code == 0
    done = run("evaluate", layer, solution, "--network", networks[name], "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert abs(found["mapped"]["validation"] - found["target"]["validation"]) <= 0.02


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMS)
def test_biases_on_the_chip(networks: dict[str, Path], tmp_path: Path, name: str) -> None:
    """Hardware biases are one more input of every filter and gate."""
    network = read_network(networks[name])
    biased = solved(networks[name], tmp_path, "--fan-in-ratio", 6, "--neuron-ratio", 2, "--biases", "hardware")
    assert abs(biased["mapped"]["validation"] - biased["target"]["validation"]) <= 0.04
    instance = read(tmp_path / "instance.matchopt")
    assert isinstance(instance, NetworkInstance)
    assert instance.layers[0].target.n_inputs == network.architecture.matrices[0][1] + 1


def test_output_error_of_patches(networks: dict[str, Path], tmp_path: Path) -> None:
    """Second moments of image patches come from sample images on the command line."""
    data, network = load_mnist(), read_network(networks["cnn"])
    np.save(tmp_path / "samples.npy", data.train_images[:40])
    options = ["--objective", "output-error", "--samples", tmp_path / "samples.npy", "--layer", 0]
    done = run("export", networks["cnn"], "--output", tmp_path / "a.matchopt", *options)
    assert done.exit_code == 0, done.stderr
    layer = read(tmp_path / "a.matchopt")
    assert isinstance(layer, LayerInstance)
    patches = torch.nn.functional.unfold(torch.tensor(data.train_images[:40]).view(-1, 1, 28, 28), 5)
    rows = patches.transpose(1, 2).reshape(-1, 25).double().numpy()
    assert len(rows) > 20_000 and network.architecture.matrices[0] == (4, 25)
    moments = layer.objective.second_moments  # type: ignore[attr-defined]
    assert np.allclose(moments, rows.T @ rows / len(rows), atol=0.02 * moments.max())


@pytest.mark.parametrize("objective", ["task-loss", "functional-error"])
def test_objectives_of_the_whole_network(networks: dict[str, Path], tmp_path: Path, objective: str) -> None:
    """They are exported with samples, as of any network, and the instance asks for what it is."""
    output = tmp_path / "a.matchopt"
    done = run("export", networks["lstm"], "--output", output, "--objective", objective, "--samples", 20)
    assert done.exit_code == 0, done.stderr
    instance = read(output)
    assert isinstance(instance, NetworkInstance) and instance.objective is not None
    assert {objective, "recurrent"} <= instance.demands and len(instance.objective.inputs) == 20


class Spoken(torch.nn.Module):
    """A recurrent network as people write them, over the rows of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(28, 3, batch_first=True)
        self.fc = torch.nn.Linear(3, 10)


def test_state_dict_with_its_architecture(tmp_path: Path) -> None:
    """A PyTorch state dict goes through export and evaluate when its architecture is named, and is refused if not."""
    state, instance = tmp_path / "spoken.pt", tmp_path / "a.matchopt"
    torch.save(Spoken().state_dict(), state)
    options = ["--output", instance, "--fan-in-ratio", 4, "--layer", 1]
    assert run("export", state, *options, "--architecture", "lstm:28x28-3-10").exit_code == 0
    assert run("solve", instance, "--solver", "hungarian", "--output", tmp_path / "best.matchopt").exit_code == 0
    named = ["--network", state, "--architecture", "lstm:28x28-3-10", "--json"]
    done = run("evaluate", instance, tmp_path / "best.matchopt", *named)
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["layers"][0]["layer"] == 1
    for text, message in ((None, "name the architecture"), ("lstm:28x28-4-10", "not those of the architecture"),
                          ("gru:3", "unknown architecture 'gru:3'")):  # fmt: skip
        done = run("export", state, *options, *(("--architecture", text) if text else ()))
        assert done.exit_code == 2
        assert message in done.stderr
