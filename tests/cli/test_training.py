"""The commands train and trainers."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from matchopt import DataReference
from matchopt.cli import main
from matchopt.network import ImageData, read_network
from matchopt.plugins import load_plugins

pytest.importorskip("torch")

FAULTY = """
from dataclasses import dataclass
from typing import Annotated
from annotated_types import Le
from matchopt import hookimpl
from matchopt.network import Trainer

@dataclass(frozen=True)
class Faulty(Trainer):
    name, promise, needs = "faulty", "exact", ()
    odd: Annotated[int, Le(2)] = 1

    def new_run(self, setting):
        raise ValueError("shapes (3,) and (4,)")

@hookimpl
def register_trainers(register):
    register(Faulty)
"""


def run(*arguments: str | Path | float) -> Result:
    """A command in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def noise(name: str = "mnist", **options: object) -> ImageData:
    """Noise in the shape of MNIST."""
    assert name == "mnist" and not options
    rng = np.random.default_rng(0)
    images = [rng.random((size, 784), dtype=np.float32) for size in (400, 50, 50)]
    labels = [rng.integers(0, 10, len(part)) for part in images]
    both = [part for pair in zip(images, labels, strict=True) for part in pair]
    return ImageData(*both, 10, DataReference("noise", "0" * 64), (1, 28, 28))


@pytest.fixture(autouse=True)
def small_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every data set is noise."""
    monkeypatch.setattr("matchopt.network.data.load_data", noise)


def test_trainers_are_listed_with_promise_and_options() -> None:
    """Every registered trainer, with origin, promise, and type, default and meaning of every option."""
    listed = json.loads(run("trainers", "--json").stdout)["trainers"]
    assert [trainer["name"] for trainer in listed] == sorted(load_plugins().trainers)
    table = run("trainers").stdout
    for trainer in listed:
        assert trainer["name"] in table and trainer["doc"] and trainer["available"]
        assert trainer["promise"] in ("exact", "at most", "reported")
        assert trainer["plugin"]
        for option in trainer["options"]:
            assert option["doc"], f"option {option['name']} of {trainer['name']} is not explained"
            assert option["name"] in table
    (one,) = json.loads(run("trainers", "gradual-pruning", "--json").stdout)["trainers"]
    assert (one["promise"], one["plugin"]) == ("reported", "training")
    shown = run("trainers", "gradual-pruning").stdout
    assert "8,8,30" in shown and "deep-rewiring" not in shown
    missing = run("trainers", "deep-rewirin")
    assert missing.exit_code == 2 and "did you mean 'deep-rewiring'" in missing.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "dense", "--fan-in", "8,8,30"], "--fan-in is no option of dense"),
        (["--method", "deep-rewiring", "--mode", "row"], "--mode is no option of deep-rewiring"),
        (["--method", "dense", "--connectivity", "0.1"], "--connectivity is no option of dense"),
        (["--fan-in", "8,8,30", "--connectivity", "0.1"], "not both"),
        (["--mode", "row", "--connectivity", "0.1"], "not both"),
        (["--mode", "global", "--fan-in", "8,8,30"], "not both"),
        (["--option", "mode=layer", "--fan-in", "8,8,30"], "not both"),
        (["--widths", "784"], "widths"),
        (["--widths", "784,x"], "whole numbers with commas"),
        (["--widths", "784,20,11"], "end with 10"),
        (["--widths", "784,10", "--architecture", "mlp:784-10"], "not both"),
        (["--architecture", "mlp:784-10-11"], "gives 11 classes, the data have 10"),
        (["--architecture", "cnm:784"], "unknown architecture"),
        (["--fan-in", "8,8"], "fan_in needs one number per layer, 3"),
        (["--method", "gradualpruning"], "did you mean 'gradual-pruning'"),
        (["--connectivity", "1.5"], "connectivity must be a number > 0 and <= 1, found 1.5"),
        (["--mode", "rows"], "mode must be one of global, layer, row, found 'rows'"),
        (["--option", "refrseh=3"], "did you mean 'refresh'"),
        (["--option", "refresh=often"], "must be a whole number >= 1, found 'often'"),
        (["--option", "refresh=0"], "trainer gradual-pruning: refresh must be a whole number >= 1, found 0"),
        (["--method", "deep-rewiring", "--option", "connectivity=2"], "connectivity must be a number > 0 and <= 1"),
        (["--device", "cuda:55"], "is not there"),
        (["--augment", "distrot"], "did you mean 'distort'"),
        (["--method", "dense", "--epochs", "1", "-o", "epochs=2"], "epochs is given twice"),
        (["--checkpoint", "{folder}/net.safetensors"], "name one file"),
        (["--output", "{folder}/missing/net.safetensors"], "does not exist; make it first"),
        (["--output", "{folder}"], "is a folder; name a file in it"),
        (["--method", "dense", "-o", "learning_rate=1e30", "--widths", "784,10,10"], "lower the learning rate"),
    ],
)
def test_bad_input_of_train(tmp_path: Path, arguments: list[str], message: str) -> None:
    """What does not fit is one sentence that names it; exit status 2, and no file."""
    told = (argument.replace("{folder}", str(tmp_path)) for argument in arguments)
    done = run("train", "--output", tmp_path / "net.safetensors", *told)
    assert done.exit_code == 2
    assert message in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_that_takes_no_files_is_named_before_training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not after it, when the network would be lost."""

    def denied(**_: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", denied)
    done = run("train", "--output", tmp_path / "net.safetensors")
    assert done.exit_code == 2
    assert f"nothing can be written to the folder {str(tmp_path)!r}: Permission denied" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "connections"),
    [
        (["--fan-in", "8,5", "--epochs", "6"], 20 * 8 + 10 * 5),
        (["--connectivity", "0.01", "--epochs", "6"], round(0.01 * 20 * 794)),
        (["--mode", "layer", "--connectivity", "0.1", "-o", "prune_epochs=2", "-o", "retrain_epochs=1"], None),
        (["--method", "deep-rewiring", "--connectivity", "0.02", "--epochs", "1"], None),
        (["--method", "dense", "--epochs", "1", "--augment", "distort", "--labels", "permuted"], 20 * 794),
        (["--method", "dense", "-o", "epochs=4", "-o", "batch-size=50", "--patience", "1"], 20 * 794),
    ],
)
def test_methods_train_with_flags_and_options(tmp_path: Path, arguments: list[str], connections: int | None) -> None:
    """Each run writes a network with the connections asked for, and prints both accuracies and the highest share."""
    output = tmp_path / "net.safetensors"
    done = run("train", "--widths", "784,20,10", "--output", output, *arguments)
    assert done.exit_code == 0, done.stderr
    network = read_network(output)
    assert connections is None or network.n_connections == connections
    assert f"{network.n_connections} (" in done.stdout
    for word in ("in training   at most", "validation", "test"):
        assert word in done.stdout


def test_other_architectures_train(tmp_path: Path) -> None:
    """The architecture is written with the network."""
    output = tmp_path / "net.safetensors"
    network = ["--architecture", "cnn:2c5-m4-10", "--method", "dense", "--epochs", "1"]
    done = run("train", *network, "--output", output)
    assert done.exit_code == 0, done.stderr
    assert read_network(output).architecture.kind == "convolutional"


OWN = """
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from matchopt import hookimpl
from matchopt.network import Method, Phase, Sgd, Trainer

@dataclass(frozen=True)
class Own(Trainer):
    '''Plain descent.'''
    name = "own"
    promise = "exact"
    rate: float = 0.1
    epochs: int = 1

    def new_run(self, setting):
        return Run(self, setting)

class Run(Method):
    def __init__(self, options, setting):
        self.net = setting.model(Sgd())
        self.phases, self.rate = (Phase("only", options.epochs, 100),), options.rate

    def step(self, at):
        bell = Path("FLAG")
        if at.number == 10 and bell.exists():
            bell.unlink()
            os.kill(os.getpid(), signal.SIGINT)
        self.net.step(self.rate)

@hookimpl
def register_trainers(register):
    register(Own)
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A plugin with one trainer, which presses Ctrl-C once in its third epoch if the file flag exists."""
    plugin = tmp_path / "own.py"
    plugin.write_text(OWN.replace("FLAG", str(tmp_path / "flag")))
    return plugin


def test_a_plugin_brings_its_method(own: Path, tmp_path: Path) -> None:
    """It is listed and trains; what it was given is in the network."""
    output = tmp_path / "net.safetensors"
    done = run("train", "--method", "own", "-o", "rate=0.5", "--plugin", own, "--output", output)
    assert done.exit_code == 0, done.stderr
    record = read_network(output).record
    assert (record.method, dict(record.config)) == ("own", {"rate": 0.5, "epochs": 1})
    assert "Plain descent." in run("trainers", "own", "--plugin", own).stdout
    listed = json.loads(run("plugins", "--plugin", own, "--json").stdout)["plugins"]
    assert [found["trainers"] for found in listed if found["name"] == "own"] == [["own"]]


def test_an_interrupted_command_says_how_to_go_on(own: Path, tmp_path: Path) -> None:
    """Ctrl-C: exit status 130 and where the checkpoint is; the same command then gives what it would have given."""
    output, file = tmp_path / "net.safetensors", tmp_path / "run.checkpoint"
    command = ["train", "--method", "own", "--epochs", 4, "--plugin", own, "--output", output]
    assert run(*command).exit_code == 0
    whole = output.read_bytes()
    output.unlink()
    for checkpoint, word in (([], "with --checkpoint FILE it could"), (["--checkpoint", file], f"is in {file}")):
        (tmp_path / "flag").touch()
        stopped = run(*command, *checkpoint)
        assert stopped.exit_code == 130
        assert word in stopped.stderr and "Interrupted." in stopped.stderr
        assert not output.exists()
    done = run(*command, "--checkpoint", file)
    assert done.exit_code == 0
    assert output.read_bytes() == whole
    other = run(*command, "--checkpoint", file, "--seed", 1)
    assert other.exit_code == 2 and "its seed is 0, now it is 1" in other.stderr


def test_a_bug_in_a_trainer_is_no_usage_error(tmp_path: Path) -> None:
    """Only what options get wrong is one sentence and exit status 2; another ValueError keeps its traceback."""
    plugin = tmp_path / "faulty.py"
    plugin.write_text(FAULTY)
    done = run("train", "--plugin", plugin, "--method", "faulty", "--output", tmp_path / "net.safetensors")
    assert (
        isinstance(done.exception, ValueError) and str(done.exception) == "shapes (3,) and (4,)" and done.exit_code == 1
    )
    plugin.write_text(FAULTY.replace('raise ValueError("shapes (3,) and (4,)")', "return 3"))
    done = run("train", "--plugin", plugin, "--method", "faulty", "--output", tmp_path / "net.safetensors")
    assert done.exit_code == 2 and "trainer faulty: new_run must return a Method, found 3" in done.stderr
    done = run(
        "train", "--plugin", plugin, "--method", "faulty", "-o", "odd=3", "--output", tmp_path / "net.safetensors"
    )
    assert done.exit_code == 2 and "trainer faulty: odd must be a whole number <= 2, found 3" in done.stderr
