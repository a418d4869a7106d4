"""Measured chips on the command line: layers that draw on one, tables that point at real cells, descriptions."""

import csv
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from matchopt import NetworkInstance, check, read
from matchopt.cli import main
from matchopt.formats import SolutionFile, read_instance, read_solution
from matchopt.library import problems_folder
from matchopt.network import SparseNetwork, read_network, write_network
from matchopt.network.data.mnist import load_mnist

TRAINED = problems_folder() / "networks" / "row8-seed0.safetensors"


def run(*arguments: str | Path | float) -> Result:
    """A command in this process, that succeeds."""
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done


def masked_chip(path: Path) -> dict[str, np.ndarray]:
    """Two tiles of different sizes in siemens, 30 % of their cells masked out; lines of the second shared in twos."""
    rng = np.random.default_rng(8)
    arrays: dict[str, np.ndarray] = {}
    for name, shape in (("left", (260, 40)), ("right", (220, 36))):
        arrays[f"{name}.weights"] = rng.normal(size=shape) * 1e-5
        arrays[f"{name}.usable"] = rng.random(shape) >= 0.3
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return arrays


class FromTable:
    """A network from a wiring table and chip files alone: no word of the instance, no code of matchopt."""

    def __init__(self, table: Path, shapes: list[tuple[int, int]]) -> None:
        self.weights = [np.zeros(shape) for shape in shapes]
        self.cells: list[tuple[str, str, int, int]] = []
        self.rows_on: dict[tuple[str, str, int], set[tuple[int, int]]] = defaultdict(set)
        files: dict[str, dict[str, np.ndarray]] = {}
        with table.open(newline="") as file:
            for line in csv.DictReader(file):
                if line["file"] not in files:
                    with np.load(line["file"]) as held:
                        files[line["file"]] = dict(held)
                array = files[line["file"]][f"{line['array']}.weights"]
                row, layer = int(line["chip_row"]), int(line["layer"])
                self.rows_on[line["file"], line["array"], row].add((layer, int(line["row"])))
                if line["cell"]:
                    value = float(array[row, int(line["chip_column"])])
                    assert value == float(line["value"])
                    assert value * float(line["scale"]) == float(line["weight"])
                    self.cells.append((line["file"], line["array"], row, int(line["chip_column"])))
                    weight = float(line["gain"]) * value * float(line["scale"])
                    self.weights[layer][int(line["row"]), int(line["input"])] += weight

    def answers(self, images: np.ndarray, network: SparseNetwork) -> np.ndarray:
        """The class of each image, with the network's digital biases."""
        signal = images.astype(np.float64)
        for n, (weights, layer) in enumerate(zip(self.weights, network.layers, strict=True)):
            signal = (signal if n == 0 else np.maximum(signal, 0.0)) @ weights.T + layer.biases
        return signal.argmax(axis=1)


@pytest.mark.slow
def test_a_table_of_one_chip_is_all_that_its_accuracy_needs(tmp_path: Path) -> None:
    """Real cells, none masked out, no neuron twice; the accuracy from table and chip file is that of evaluate."""
    arrays = masked_chip(tmp_path / "chip.npz")
    instance, best, table = (tmp_path / name for name in ("chip.matchopt", "best.matchopt", "wiring.csv"))
    options = ("--hardware", tmp_path / "chip.npz", "--one-chip", "--drop", "--unit", "S")
    run("export", TRAINED, *options, "--output", instance)
    run("solve", instance, "--solver", "hungarian", "--output", best)
    found = json.loads(run("evaluate", instance, best, "--wiring", table, "--json").stdout)
    given = read_instance(instance)
    assert isinstance(given, NetworkInstance) and given.one_chip
    assert check(given, read_solution(best, instance=given)).feasible
    network = read_network(TRAINED)
    made = FromTable(table, [(layer.n_rows, layer.target.n_inputs) for layer in given.layers])
    assert all(len(rows) == 1 for rows in made.rows_on.values()) and len(made.rows_on) == 410
    assert {array for _, array, _ in made.rows_on} == {"left", "right"}
    assert len(set(made.cells)) == len(made.cells) > 3000
    assert all(arrays[f"{array}.usable"][row, column] for _, array, row, column in made.cells)
    data = load_mnist()
    right = made.answers(data.test_images, network) == data.test_labels
    assert found["mapped"]["test"] == right.mean()
    again = read(table, instance=given)
    assert isinstance(again, SolutionFile)
    assert again.solution.digest == read_solution(best, instance=given).digest


@pytest.mark.slow
def test_no_line_of_a_tile_is_used_twice(tmp_path: Path) -> None:
    """Tiles whose rows share their lines: a column of a tile carries one input of one layer, a row serves one."""
    rng = np.random.default_rng(6)
    weights = [
        np.where(np.arange(before) < 2, rng.normal(size=(units, before)), 0.0) for units, before in ((6, 5), (4, 6))
    ]
    write_network(tmp_path / "net.safetensors", SparseNetwork.from_arrays(weights, [np.zeros(6), np.zeros(4)]))
    tiles = {}
    for name in ("north", "south"):
        tiles |= {f"{name}.weights": rng.normal(size=(8, 5)), f"{name}.bus": np.zeros(8, int)}
        tiles[f"{name}.usable"] = rng.random((8, 5)) >= 0.3
    np.savez(tmp_path / "tiles.npz", **tiles)
    instance, best, table = (tmp_path / name for name in ("chip.matchopt", "best.matchopt", "wiring.csv"))
    chip = ("--hardware", tmp_path / "tiles.npz", "--one-chip", "--drop")
    run("export", tmp_path / "net.safetensors", *chip, "--output", instance)
    run("solve", instance, "--solver", "crossbar-alternate", "--iterations", 50, "--output", best)
    run("convert", best, table, "--instance", instance)
    carried, served = defaultdict(set), defaultdict(set)
    with table.open(newline="") as file:
        for line in csv.DictReader(file):
            served[line["array"], line["chip_row"]].add((line["layer"], line["row"]))
            if line["cell"]:
                carried[line["array"], line["chip_column"]].add((line["layer"], line["input"]))
                assert tiles[f"{line['array']}.usable"][int(line["chip_row"]), int(line["chip_column"])]
    assert len(served) == 10 and all(len(rows) == 1 for rows in served.values())
    assert len(carried) >= 4 and all(len(inputs) == 1 for inputs in carried.values())


@pytest.mark.slow
def test_a_table_that_names_other_cells_belongs_to_another_instance(tmp_path: Path) -> None:
    """A row of the chip that is not the one, in CSV and JSON; one without names of cells is read as before."""
    rng = np.random.default_rng(1)
    np.savez(tmp_path / "chip.npz", a=rng.normal(size=(20, 8)), b=rng.normal(size=(400, 10)))
    instance, best = tmp_path / "chip.matchopt", tmp_path / "best.matchopt"
    run("export", TRAINED, "--hardware", tmp_path / "chip.npz", "--one-chip", "--drop", "--output", instance)
    run("solve", instance, "--solver", "random", "--output", best)
    for name in ("x.csv", "x.json"):
        run("convert", best, tmp_path / name, "--instance", instance)
    given = read_instance(instance)
    text = (tmp_path / "x.csv").read_text()
    head, first, *rest = text.splitlines()
    columns = dict(zip(head.split(","), first.split(","), strict=True))
    swapped = first.replace(f",{columns['array']},{columns['chip_row']},", f",{columns['array']},7777,")
    (tmp_path / "wrong.csv").write_text("\n".join([head, swapped, *rest]))
    with pytest.raises(Exception, match=r"chip_row 7777 should be .*; the table belongs to another instance"):
        read(tmp_path / "wrong.csv", instance=given)
    json_text = (tmp_path / "x.json").read_text()
    (tmp_path / "wrong.json").write_text(json_text.replace('"array": "b"', '"array": "c"'))
    with pytest.raises(Exception, match="array 'c' should be 'b'"):
        read(tmp_path / "wrong.json", instance=given)
    plain = [",".join(line.split(",")[:8]) for line in text.splitlines()]
    (tmp_path / "plain.csv").write_text("\n".join(plain))
    for name in ("x.csv", "x.json", "plain.csv"):
        found = read(tmp_path / name, instance=given)
        assert isinstance(found, SolutionFile)
        assert found.solution.digest == read_solution(best, instance=given).digest


def kernel(path: Path, seed: int) -> np.ndarray:
    """An array in siemens as text, with a dead column that reads below 0, and a few cells stuck high."""
    weights = np.random.default_rng(seed).normal(1.4e-4, 2e-5, (25, 24))
    weights[:, 4] = -1.3e-5
    weights[3, 7:9] = 1.6e-3
    np.savetxt(path, weights)
    return weights


def test_a_chip_is_described(tmp_path: Path) -> None:
    """Sizes, quantiles, stuck cells and dead lines of every tile; the picture comes out the same every time."""
    pytest.importorskip("matplotlib")
    files = [tmp_path / "kernel0.txt", tmp_path / "kernel1.txt"]
    weights = [kernel(path, n) for n, path in enumerate(files)]
    options = ("--unit", "S", "--stuck-below", 2e-5, "--stuck-above", 3.5e-4)
    shown = run("chip", *files, *options, "--picture", tmp_path / "chip.svg").output
    assert "2 arrays, 50 hardware neurons of up to 24 cells, values in S" in shown
    found = json.loads(run("chip", *files, *options, "--json", "--picture", tmp_path / "again.svg").output)
    assert (tmp_path / "chip.svg").read_bytes() == (tmp_path / "again.svg").read_bytes()
    assert (tmp_path / "chip.svg").read_text().count("<image") >= 4
    for array, own in zip(found["arrays"], weights, strict=True):
        healthy = own[(own > 2e-5) & (own < 3.5e-4)]
        assert (array["stuck_low"], array["stuck_high"]) == (int((own <= 2e-5).sum()), 2)
        assert array["dead_columns"] == [4] and array["dead_rows"] == [] and array["unusable"] == 0
        assert array["quantiles"][2] == pytest.approx(np.median(healthy))
        assert array["deviation"] == pytest.approx(healthy.std())
    assert [array["place"]["file"] for array in found["arrays"]] == [str(path) for path in files]


def test_neighbours_noise_and_drift_are_told(tmp_path: Path) -> None:
    """Weights that share a device, readings that repeat, readings that come later."""
    rng = np.random.default_rng(2)
    device = rng.normal(size=(60, 41))
    truth = device[:, :-1] - device[:, 1:]
    readings = np.stack([truth, truth + 0.5, truth + 0.5]) + 0.1 * rng.normal(size=(3, 60, 40))
    np.savez(tmp_path / "chip.npz", readings=readings, seconds=np.array([0.0, 10.0, 10.0]))
    (found,) = json.loads(run("chip", tmp_path / "chip.npz", "--json").output)["arrays"]
    assert found["along_row"] == pytest.approx(-0.5, abs=0.05)
    assert found["along_column"] == pytest.approx(0.0, abs=0.08)
    assert found["noise"] == pytest.approx(0.1, abs=0.01)
    assert found["drift"] == pytest.approx(0.5, abs=0.05)
    assert (found["readings"], found["times"]) == (3, [0.0, 10.0])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.npy", None, "missing.npy: cannot be opened"),
        ("words.csv", b"a,0.5\n1,2\n", "words.csv:1: column 1: expected a finite number, found 'a', a heading"),
        ("chip.xlsx", b"PK\x03\x04nothing", "chip.xlsx: "),
        ("ragged.txt", b"1 2 3\n4 5\n", "ragged.txt:2: 3 numbers per line are expected, found 2"),
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    """Exit status 2, the file, what is wrong."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = CliRunner().invoke(main, ["chip", str(tmp_path / name)])
    assert done.exit_code == 2
    assert message in done.stderr and "Traceback" not in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--stuck-below", "5e-4", "--stuck-above", "3e-4"], "stuck_below 0.0005 lies above stuck_above 0.0003"),
        (["--stuck-above", "nan"], "stuck_above must be a finite number, found nan"),
    ],
)
def test_ends_of_a_range_that_cannot_be_are_one_sentence(tmp_path: Path, options: list[str], message: str) -> None:
    """Not taken for a chip on which everything is stuck, or nothing."""
    np.save(tmp_path / "chip.npy", np.full((2, 2), 4e-4))
    done = CliRunner().invoke(main, ["chip", str(tmp_path / "chip.npy"), *options])
    assert done.exit_code == 2
    assert message in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_reads_of_a_file_are_reads_of_the_network(tmp_path: Path) -> None:
    """Repeated readings of a chip give the noise that evaluate draws, with its spread; one reading gives none."""
    rng = np.random.default_rng(3)
    truth = rng.normal(size=(420, 40))
    readings = truth + 0.15 * rng.normal(size=(6, *truth.shape))
    np.savez(tmp_path / "noisy.npz", readings=readings)
    np.savez(tmp_path / "quiet.npz", readings=readings[:1])
    instance, best = tmp_path / "net.matchopt", tmp_path / "best.matchopt"
    found = {}
    for name in ("noisy", "quiet"):
        chip = tmp_path / f"{name}.npz"
        run("export", TRAINED, "--hardware", chip, "--one-chip", "--drop", "--output", instance)
        run("solve", instance, "--solver", "greedy", "--output", best)
        found[name] = json.loads(run("evaluate", instance, best, "--reads", 3, "--json").stdout)
    assert found["quiet"]["reads"] == 1 and found["quiet"]["spread"] is None
    assert found["noisy"]["reads"] == 3 and found["noisy"]["spread"]["test"] > 0
    assert found["noisy"]["mapped"]["test"] < found["quiet"]["mapped"]["test"]
    given = read_instance(instance)
    assert isinstance(given, NetworkInstance) and not given.layers[0].hardware.variance.any()
