"""Wiring tables: exact round trips for any mapping, tied to the instance by its numbers."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from formats.files import layer, network, program, seeds, solution
from hypothesis import given, settings
from hypothesis import strategies as st

from matchopt.errors import FormatError, InvalidSolution, Refused
from matchopt.formats import SolutionFile, read, read_solution, write
from matchopt.instances import Gains, Hardware, LayerInstance, LayerMapping, NetworkInstance, NetworkMapping, Target
from matchopt.testing.brute import brute_force
from matchopt.testing.tiny_layers import tiny_layers


@given(st.sampled_from([layer, network]), seeds, st.sampled_from(["x.json", "x.csv", "x.csv.gz"]))
@settings(max_examples=30, deadline=None)
def test_a_mapping_comes_back_equal(
    tmp_path_factory: pytest.TempPathFactory, make: object, seed: int, name: str
) -> None:
    """Neurons, wires, gains and tunable connections survive in both tables, for layers and networks."""
    path = tmp_path_factory.getbasetemp() / name
    instance = make(seed)  # type: ignore[operator]
    given = solution(instance, seed)
    write(given, path, instance=instance)
    found = read(path, instance=instance)
    assert isinstance(found, SolutionFile)
    assert found.solution.digest == given.digest
    assert found.instance == instance.digest


SEVERAL = {name: found for name, found in tiny_layers().items() if found.rules.neurons > 1}


@pytest.mark.parametrize("name", sorted(SEVERAL))
def test_rows_of_several_neurons_come_back_equal(tmp_path: Path, name: str) -> None:
    """Parts and copies keep their wires and gains in tables and in the own format; one neuron too many is named."""
    instance = SEVERAL[name]
    best = brute_force(instance).solution
    if best is None:
        return
    for file in ("x.json", "x.csv", "x.matchopt"):
        write(best, tmp_path / file, instance=instance)
        found = read(tmp_path / file, instance=instance)
        assert isinstance(found, SolutionFile) and found.solution.digest == best.digest
    if not best.one_each and instance.rules.tunable == 0:
        stricter = replace(instance, rules=replace(instance.rules, neurons_per_row=1, copies=1))
        with pytest.raises(FormatError, match="a second neuron, gain or bias"):
            read(tmp_path / "x.csv", instance=stricter)


def test_the_order_of_lines_carries_no_meaning_beyond_that_of_wires(tmp_path: Path) -> None:
    """A CSV table whose rows are shuffled gives the same mapping."""
    instance = network(3)
    given = solution(instance, 3)
    write(given, tmp_path / "x.csv", instance=instance)
    head, *lines = (tmp_path / "x.csv").read_text().splitlines()
    by_row = sorted(lines, key=lambda line: line.split(",")[:2], reverse=True)
    (tmp_path / "x.csv").write_text("\n".join([head, *by_row]))
    found = read(tmp_path / "x.csv", instance=instance)
    assert isinstance(found, SolutionFile)
    assert found.solution.digest == given.digest


def through_a_spreadsheet(path: Path, separator: str, mark: str, digits: int = 15) -> None:
    """What is left: so many digits of a number, another separator and decimal mark, an empty line at the end."""
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    texts = [[f"{float(text):.{digits}g}".replace(".", mark) if text else "" for text in row] for row in rows[1:]]
    lines = [separator.join(row) for row in [rows[0], *texts, [""] * len(rows[0])]]
    path.write_text("\r\n".join(lines) + "\r\n")


@pytest.mark.parametrize(("separator", "mark"), [(",", "."), (";", ","), ("\t", ","), (";", ".")])
@pytest.mark.parametrize("digits", [15, 10])
@pytest.mark.parametrize("gains", [Gains.finite(1 / 3, 2 / 3, 1.0), Gains.interval(1 / 7, 10 / 3)])
def test_a_table_through_a_spreadsheet_is_the_same_mapping(
    tmp_path: Path, separator: str, mark: str, gains: Gains, digits: int
) -> None:
    """Weights, allowed gains and tunable weights of the target's values are the instance's own."""
    instance = replace(layer(5), rules=replace(layer(5).rules, gains=gains))
    random = solution(instance, 5)
    assert isinstance(random, LayerMapping)
    ends = np.array(gains.values or (gains.low, gains.high))
    given = replace(random, gain=ends[np.arange(random.n_rows) % len(ends)], tuned=None)
    write(given, tmp_path / "x.csv", instance=instance)
    before = (tmp_path / "x.csv").read_bytes()
    through_a_spreadsheet(tmp_path / "x.csv", separator, mark, digits)
    assert (tmp_path / "x.csv").read_bytes() != before
    found = read(tmp_path / "x.csv", instance=instance)
    assert isinstance(found, SolutionFile)
    assert found.solution.digest == given.digest


def test_a_table_of_few_digits_is_told_to_be_rounded(tmp_path: Path) -> None:
    """Not to belong to another instance, which is said of other numbers."""
    instance = layer(5)
    write(solution(instance, 5), tmp_path / "x.csv", instance=instance)
    through_a_spreadsheet(tmp_path / "x.csv", ",", ".", 4)
    with pytest.raises(FormatError, match="numbers have been rounded, save all digits"):
        read(tmp_path / "x.csv", instance=instance)


def test_a_tool_chain_finds_every_weight_in_the_table(tmp_path: Path) -> None:
    """Both tables read with the standard library alone; a wire has the weight of its cell, a tunable one its value."""
    instance = layer(5)
    given = solution(instance, 5)
    assert isinstance(given, LayerMapping)
    assert len(given.tunable)
    write(given, tmp_path / "x.csv", instance=instance)
    write(given, tmp_path / "x.json", instance=instance)
    with (tmp_path / "x.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    wired = [line for line in lines if line["cell"]]
    tuned = [line for line in lines if line["tunable"] == "1"]
    assert (len(wired), len(tuned)) == (len(given.cell), len(given.tunable))
    for line in wired:
        assert float(line["weight"]) == instance.hardware.weights[int(line["neuron"]), int(line["cell"])]
    assert given.tuned is not None
    assert [float(line["weight"]) for line in tuned] == given.tuned.tolist()
    table = json.loads((tmp_path / "x.json").read_text())
    assert [row["neuron"] for row in table["rows"]] == given.neuron_of.tolist()
    assert sum(len(row["wires"]) for row in table["rows"]) == len(wired)


def test_tunable_weights_have_their_target_values_unless_told(tmp_path: Path) -> None:
    """Without values of its own a mapping lists the targets, and is read back without; one that differs is a value."""
    instance = layer(5)
    plain = replace(solution(instance, 5), tuned=None)  # type: ignore[type-var]
    assert isinstance(plain, LayerMapping)
    write(plain, tmp_path / "x.csv", instance=instance)
    text = (tmp_path / "x.csv").read_text()
    tuned = [float(line["weight"]) for line in csv.DictReader(text.splitlines()) if line["tunable"] == "1"]
    assert tuned == instance.target.weights[plain.tunable].tolist()
    first = next(line for line in text.splitlines() if ",1," in line and line.rpartition(",")[2] == repr(tuned[0]))
    (tmp_path / "x.csv").write_text(text.replace(first, f"{first.rpartition(',')[0]},0.125"))
    found = read(tmp_path / "x.csv", instance=instance)
    assert isinstance(found, SolutionFile) and isinstance(found.solution, LayerMapping)
    assert found.solution.tuned is not None and found.solution.tuned.tolist() == [0.125, *tuned[1:]]


def adjusted() -> tuple[NetworkInstance, NetworkMapping]:
    """A network with adjustable biases and a mapping that sets them."""
    instance = network(10)
    given = solution(instance, 10)
    assert isinstance(instance, NetworkInstance) and isinstance(given, NetworkMapping) and given.biases is not None
    return instance, given


def test_adjusted_biases_are_in_the_table(tmp_path: Path) -> None:
    """A column, or a field of every row, has the bias; of a mapping without it is the instance's own."""
    instance, given = adjusted()
    assert given.biases is not None
    wanted = np.concatenate(given.biases).tolist()
    write(given, tmp_path / "x.csv", instance=instance)
    write(given, tmp_path / "x.json", instance=instance)
    with (tmp_path / "x.csv").open(newline="") as file:
        listed = {(line["layer"], line["row"]): float(line["bias"]) for line in csv.DictReader(file)}
    assert list(listed.values()) == wanted
    assert [row["bias"] for row in json.loads((tmp_path / "x.json").read_text())["rows"]] == wanted
    write(NetworkMapping(given.layers), tmp_path / "y.csv", instance=instance)
    write(NetworkMapping(given.layers), tmp_path / "y.json", instance=instance)
    assert instance.biases is not None
    own = np.concatenate(instance.biases).tolist()
    assert [row["bias"] for row in json.loads((tmp_path / "y.json").read_text())["rows"]] == own
    through_a_spreadsheet(tmp_path / "y.csv", ";", ",")
    for name in ("y.csv", "y.json"):
        found = read_solution(tmp_path / name, instance=instance)
        assert isinstance(found, NetworkMapping) and found.biases is None


@pytest.mark.parametrize("form", ["csv", "json"])
def test_what_is_written_is_in_the_table(form: str, tmp_path: Path) -> None:
    """The value to write stands beside what the cell reads now; it comes back, rounded ends and levels as they are."""
    third = 1.0 / 3.0
    chip = Hardware(np.full((1, 3), 0.1), levels=np.array([[[third, np.nan], [-third, 2.0], [np.nan, np.nan]]]))
    instance = LayerInstance(Target.from_dense(np.array([[0.5, -0.5, 0.5]])), chip)
    given = LayerMapping.from_cells(instance.target, np.zeros(1, int), np.arange(3))
    given = replace(given, written=np.array([third, -third, np.nan]))
    path = tmp_path / f"x.{form}"
    write(given, path, instance=instance)
    for text in (path.read_text(), path.read_text().replace(repr(third), "0.3333333333")):
        path.write_text(text)
        found = read(path, instance=instance)
        assert isinstance(found, SolutionFile) and found.solution.digest == given.digest
    assert path.read_text().count("0.1") == 3
    write(replace(given, written=None), path, instance=instance)
    assert "written" not in path.read_text()


def test_half_a_table_of_biases_is_refused(tmp_path: Path) -> None:
    """All rows have a bias or none has, all lines of a row the same, and a single layer has none."""
    instance, given = adjusted()
    write(given, tmp_path / "x.json", instance=instance)
    table = json.loads((tmp_path / "x.json").read_text())
    del table["rows"][1]["bias"]
    (tmp_path / "x.json").write_text(json.dumps(table))
    with pytest.raises(FormatError, match=r"rows\[1\]: row 1 of layer 0 has no bias, but other rows have"):
        read(tmp_path / "x.json", instance=instance)
    write(given, tmp_path / "x.csv", instance=instance)
    head, first, *rest = (tmp_path / "x.csv").read_text().splitlines()
    same = next(line for line in rest if line.split(",")[:2] == first.split(",")[:2])
    (tmp_path / "x.csv").write_text("\n".join([head, first, *rest, f"{same.rpartition(',')[0]},7.0"]))
    with pytest.raises(FormatError, match="a second neuron, gain or bias"):
        read(tmp_path / "x.csv", instance=instance)
    single = layer(5)
    write(solution(single, 5), tmp_path / "x.csv", instance=single)
    head, *rest = (tmp_path / "x.csv").read_text().splitlines()
    (tmp_path / "x.csv").write_text("\n".join([f"{head},bias", *(f"{line},1.0" for line in rest)]))
    with pytest.raises(FormatError, match="a single layer, which has none"):
        read(tmp_path / "x.csv", instance=single)
    wrong = NetworkMapping(given.layers, tuple(np.append(bias, 0.0) for bias in given.biases or ()))
    with pytest.raises(InvalidSolution, match="layer 0: biases must have shape"):
        write(wrong, tmp_path / "x.csv", instance=instance)


def test_a_table_of_another_instance_is_refused(tmp_path: Path) -> None:
    """JSON names the instance; CSV is caught by a weight that differs."""
    instance, other = layer(5), layer(28)
    write(solution(instance, 5), tmp_path / "x.json", instance=instance)
    write(solution(instance, 5), tmp_path / "x.csv", instance=instance)
    with pytest.raises(FormatError, match="the table belongs to the instance"):
        read(tmp_path / "x.json", instance=other)
    with pytest.raises(FormatError, match=r"x\.csv(:\d+)?: "):
        read(tmp_path / "x.csv", instance=other)


def test_without_an_instance_nothing_is_written_or_read(tmp_path: Path) -> None:
    """Wiring tables need the instance, and say so."""
    instance = layer(1)
    with pytest.raises(Refused, match="needs the instance"):
        write(solution(instance, 1), tmp_path / "x.csv")
    write(solution(instance, 1), tmp_path / "x.csv", instance=instance)
    with pytest.raises(FormatError, match="read for an instance, and none was given"):
        read(tmp_path / "x.csv")


def test_a_mapping_that_does_not_fit_is_not_written(tmp_path: Path) -> None:
    """A neuron, cell or connection that the instance lacks, too few layers, or the wrong kind of instance."""
    instance = layer(5)
    good = solution(instance, 5)
    assert isinstance(good, LayerMapping)
    arrays = {"neuron_of": good.neuron_of, "wire_indptr": good.wire_indptr, "cell": good.cell, "input": good.input}
    for name in ("neuron_of", "cell", "input"):
        wrong = LayerMapping(**arrays | {name: arrays[name] + 1000})
        with pytest.raises(InvalidSolution, match=f"layer 0: {name} must be in 0 .. "):
            write(wrong, tmp_path / "x.csv", instance=instance)
    with pytest.raises(InvalidSolution, match="a layer solution is no mapping of a network instance"):
        write(good, tmp_path / "x.csv", instance=network(1))
    with pytest.raises(InvalidSolution, match="the mapping has 0 layers, the instance 2"):
        write(NetworkMapping(()), tmp_path / "x.json", instance=network(1))
    with pytest.raises(InvalidSolution, match="not to program instances"):
        write(good, tmp_path / "x.csv", instance=program(1))
    assert not list(tmp_path.iterdir())
