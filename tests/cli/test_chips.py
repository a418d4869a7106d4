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
from matchopt.network import SparseNetwork, read_network
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
                    files[line["file"]] = dict(np.load(line["file"]))
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
