"""What `matchopt evaluate` knows of chips besides their weights: converters, other times, pairs and wires."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from matchopt import DataReference, LayerMapping, NetworkInstance, NetworkMapping, read_instance, read_solution, write
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
    return made(tmp_path, "--fan-in-ratio", 2)


def made(folder: Path, *options: str | Path | float) -> tuple[Path, Path]:
    """The files of an instance that is exported with these options, and of a mapping."""
    rng = np.random.default_rng(1)
    weights = [np.where(rng.random((12, 784)) < 0.02, rng.normal(size=(12, 784)), 0.0), rng.normal(size=(10, 12))]
    network = SparseNetwork.from_arrays(weights, [rng.normal(size=12), rng.normal(size=10)])
    write_network(folder / "net.safetensors", network)
    done = run("export", folder / "net.safetensors", "--output", folder / "net.matchopt", *options)
    assert done.exit_code == 0, done.stderr
    instance = read_instance(folder / "net.matchopt")
    assert isinstance(instance, NetworkInstance)
    write(by_number(instance), folder / "mapping.matchopt")
    return folder / "net.matchopt", folder / "mapping.matchopt"


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
        *[([flag, "5"], f"{flag} says how the files in --chip are taken; give --chip") for flag in ("--at", "--cells")],
        (["--architecture", "mnist-cnn"], "--architecture goes with --network"),
        (["--wiring", "INSTANCE"], "is read, and would be written over"),
        (["--chip", "none.npz"], "none.npz"),
        (["--adc-bits", "4", "--adc-range", "1,2,3"], "give one, or one per layer, 2, found 3"),
    ],
)
def test_bad_input_of_evaluate(files: tuple[Path, Path], options: list[str], message: str) -> None:
    """Each mistake is named; exit status 2."""
    done = run("evaluate", *files, *(word.replace("INSTANCE", str(files[0])) for word in options))
    assert done.exit_code == 2
    assert message in done.stderr and "Traceback" not in done.stderr


SECONDS = np.array([0.0, 1.0, 1.0, 1e4])
SHAPES = {"first": (12, 30), "last": (10, 15)}


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Two arrays of pairs, read four times at three times, G- before G+."""
    rng, found = np.random.default_rng(7), {}
    for name, shape in SHAPES.items():
        for sign in ("negative", "positive"):
            found[f"{name}.{sign}.readings"] = rng.lognormal(0.0, 0.3, (4, *shape)) * 1e-5
            found[f"{name}.{sign}.seconds"] = SECONDS
    np.savez(tmp_path / "pairs.npz", **found)
    return tmp_path / "pairs.npz"


def arrays(path: Path) -> dict[str, np.ndarray]:
    """Everything that an npz file holds, read at once: the file is closed here."""
    with np.load(path) as held:
        return dict(held)


def by_hand(pairs: Path, instance: NetworkInstance, when: float, segment: float) -> tuple[list[np.ndarray], float]:
    """Full weight matrices of `by_number` from the file alone, each layer at the scale of its export; and accuracy."""
    held, matrices, received = arrays(pairs), [], images().test_images.astype(float)
    for name, layer, bias in zip(SHAPES, instance.layers, instance.biases or (), strict=True):
        at = when == SECONDS
        plus, minus = (held[f"{name}.{sign}.readings"][at].mean(axis=0) for sign in ("positive", "negative"))
        (rows, cells), target = SHAPES[name], layer.target
        assert layer.hardware.origin is not None
        full = np.zeros((rows, target.n_inputs))
        for e, (i, x) in enumerate(zip(target.row_of.tolist(), target.indices.tolist(), strict=True)):
            k = e - int(target.indptr[i])
            lost = sum(rows - s for s in range(i + 1)) + sum(s + 1 for s in range(k, cells))
            full[i, x] = (plus - minus)[i, k] * layer.hardware.origin.scale / (1 + segment * lost)
        matrices.append(full)
        signal = received @ full.T + bias
        received = np.maximum(signal, 0.0)
    return matrices, float(np.mean(signal.argmax(axis=1) == images().test_labels))


def test_the_same_wires_at_another_time(tmp_path: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairs known at 0 s and 1 s, evaluated at 1e4 s behind wires: what the file's own numbers give, by hand."""
    monkeypatch.setattr("matchopt.network.evaluation.load_mnist", images)
    chips = [part for name in SHAPES for part in ("--hardware", f"{pairs}:{name}")]
    files = made(tmp_path, *chips, "--pairs", "fixed", "--readings", "0,1")
    instance, held = read_instance(files[0]), arrays(pairs)
    assert isinstance(instance, NetworkInstance)
    hardware, scale = instance.layers[0].hardware, instance.layers[0].hardware.origin.scale  # type: ignore[union-attr]
    read = held["first.positive.readings"] - held["first.negative.readings"]
    means = np.stack([read[0], read[1:3].mean(axis=0)])
    np.testing.assert_allclose(hardware.weights, scale * means.mean(axis=0))
    noise = read[1:3].var(axis=0, ddof=1) / 2  # none of one reading at 0 s, so half of that at 1 s
    np.testing.assert_allclose(hardware.variance, scale**2 * (means.var(axis=0) + noise))
    again = [part for name in SHAPES for part in ("--chip", f"{pairs}:{name}")]
    for segment, more in ((0.0, []), (1e-3, ["--line-resistance", 1e-3])):
        done = run("evaluate", *files, "--json", *again, "--pairs", "fixed", "--at", 1e4, *more)
        assert done.exit_code == 0, done.stderr
        found, (matrices, accuracy) = json.loads(done.stdout), by_hand(pairs, instance, 1e4, segment)
        assert found["mapped"]["test"] == accuracy and found["reads"] == 1
        for error, layer, full in zip(found["layers"], instance.layers, matrices, strict=True):
            assert error["squared"] == pytest.approx(((layer.target.dense() - full) ** 2).sum())
    shown = run("evaluate", *files, *again, "--pairs", "fixed", "--at", 1e4, "--refit", "layer").stdout
    assert "pairs.npz:last at 10000 s\n" in shown and "gains set anew: layer\n" in shown
    for how in ("layer", "neuron", "outputs"):
        fitted = json.loads(
            run("evaluate", *files, "--json", *again, "--pairs", "fixed", "--at", 1e4, "--refit", how).stdout
        )
        assert how == "outputs" or sum(e["squared"] for e in fitted["layers"]) < sum(
            e["squared"] for e in found["layers"]
        )
        assert (fitted["digital"]["biases_adjusted"] > 0) == (how == "outputs")


def test_repeated_readings_are_read_noise(tmp_path: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two readings at one time give the variance from which `--reads` draws."""
    monkeypatch.setattr("matchopt.network.evaluation.load_mnist", images)
    chips = [part for name in SHAPES for part in ("--hardware", f"{pairs}:{name}")]
    files = made(tmp_path, *chips, "--pairs", "fixed", "--readings", "1")
    found = json.loads(run("evaluate", *files, "--json", "--reads", 3).stdout)
    assert found["reads"] == 3 and found["spread"]["test"] > 0
    again = [part for name in SHAPES for part in ("--chip", f"{pairs}:{name}")]
    same = json.loads(run("evaluate", *files, "--json", "--reads", 3, *again, "--pairs", "fixed", "--at", 1).stdout)
    assert same["mapped"] == found["mapped"] and same["layers"] == found["layers"]


def test_halves_in_two_files_are_a_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of files that are no archives the first is G+ and the next G-; wires take their share of drawn cells too."""
    monkeypatch.setattr("matchopt.network.evaluation.load_mnist", images)
    rng = np.random.default_rng(2)
    plus, minus = rng.random((22, 40)), rng.random((22, 40))
    np.save(tmp_path / "plus.npy", plus)
    np.save(tmp_path / "minus.npy", minus)
    two = ["--hardware", tmp_path / "plus.npy", "--hardware", tmp_path / "minus.npy"]
    files = made(tmp_path, *two, "--pairs", "fixed", "--keep-scale")
    instance = read_instance(files[0])
    assert isinstance(instance, NetworkInstance)
    wide = instance.layers[1].hardware.n_cells
    assert np.array_equal(instance.layers[1].hardware.weights, (plus - minus)[12:, :wide])
    plain, drawn = made(tmp_path)[0].read_bytes(), read_instance(tmp_path / "net.matchopt")
    behind = read_instance(made(tmp_path, "--line-resistance", 0.01)[0])
    assert plain and isinstance(drawn, NetworkInstance) and isinstance(behind, NetworkInstance)
    ratio = behind.layers[1].hardware.weights / drawn.layers[1].hardware.weights
    assert ratio.max() < 1.0 and ratio[0, -1] == ratio.max() and ratio[-1, 0] == ratio.min()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--pairs", "fixed"], "--pairs says what is in --hardware, or is done to it; give that too"),
        *[([flag, "1"], f"{flag} says .* give that too") for flag in ("--readings", "--unit", "--stuck-above")],
        (["--keep-scale"], "--keep-scale says .* give that too"),
        (["--hardware", "PAIRS:first", "--law", "uniform"], "--law is of random hardware; leave it out, or --hardware"),
        (["--hardware", "PAIRS", "--one-chip", "--neuron-ratio", "2"], "--neuron-ratio .* or --one-chip"),
        (["--output", "NETWORK"], "net.safetensors' is read, and would be written over"),
        (["--hardware", "PAIRS:first", "--hardware", "PAIRS:last", "--readings", "0,7"], "no reading from 7 to 7"),
        (["--hardware", "PAIRS:middle", "--hardware", "PAIRS:last"], "unknown array of .*'middle'"),
        (["--hardware", "plus.npy"], "plus.npy is G., and no file for its G- follows"),
        (["--hardware", "PAIRS:first", "--line-resistance", "-1"], "line-resistance"),
    ],
)
def test_bad_input_of_export(files: tuple[Path, Path], pairs: Path, options: list[str], message: str) -> None:
    """Each mistake is named; exit status 2."""
    network = files[0].with_name("net.safetensors")
    words = [word.replace("PAIRS", str(pairs)).replace("NETWORK", str(network)) for word in options]
    words += ["--pairs", "fixed"] if "--hardware" in words else []
    done = run("export", network, "--output", files[0], *words)
    assert done.exit_code == 2
    assert re.search(message, done.stderr) and "Traceback" not in done.stderr, done.stderr


def test_free_pairs_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of two devices anywhere in G+ and G-: the table and the file alone give weights and accuracy."""
    monkeypatch.setattr("matchopt.network.evaluation.load_mnist", images)
    rng = np.random.default_rng(3)
    held = {sign: rng.lognormal(0.0, 0.3, (22, 40)) * 1e-5 for sign in ("positive", "negative")}
    np.savez(tmp_path / "halves.npz", **held)  # type: ignore[arg-type]
    chip = ["--pairs", "free", "--cells-per-weight", 2, "--unit", "S"]
    instance, _ = made(tmp_path, "--hardware", tmp_path / "halves.npz", *chip, "--fan-in-ratio", 2)
    best, table = tmp_path / "best.matchopt", tmp_path / "wiring.csv"
    done = run(
        "solve", instance, "--solver", "sum-search", "--option", "rounds=1", "--prove-seconds", 0, "--output", best
    )
    assert done.exit_code == 0, done.stderr
    again = ["--chip", tmp_path / "halves.npz", "--pairs", "free"]
    masks = tmp_path / "masks.npz"
    found = json.loads(run("evaluate", instance, best, "--wiring", table, "--masks", masks, *again, "--json").stdout)
    given = read_instance(instance)
    assert isinstance(given, NetworkInstance) and given.biases is not None
    full, signs = [np.zeros((layer.n_rows, layer.target.n_inputs)) for layer in given.layers], set()
    with table.open(newline="") as file:
        for line in csv.DictReader(file):
            sign = {"positive": 1.0, "negative": -1.0}[line["array"]]
            value = sign * held[line["array"]][int(line["chip_row"]), int(line["chip_column"])]
            assert value == float(line["value"]) and value * float(line["scale"]) == float(line["weight"])
            full[int(line["layer"])][int(line["row"]), int(line["input"])] += float(line["weight"])
            signs.add(sign)
    assert signs == {1.0, -1.0}
    received = images().test_images.astype(float)
    for matrix, bias in zip(full, given.biases, strict=True):
        signal = received @ matrix.T + bias
        received = np.maximum(signal, 0.0)
    assert found["mapped"]["test"] == np.mean(signal.argmax(axis=1) == images().test_labels)
    for error, layer, matrix in zip(found["layers"], given.layers, full, strict=True):
        assert error["squared"] == pytest.approx(((layer.target.dense() - matrix) ** 2).sum())
    assert_masks(masks, held, full)


def assert_masks(path: Path, chip: dict[str, np.ndarray], full: list[np.ndarray]) -> None:
    """Masks and the arrays of the chip, and nothing else, make these weights."""
    masks, made_up = arrays(path), [np.zeros_like(matrix) for matrix in full]
    for name, values in chip.items():
        assert masks[name].dtype == bool and masks[name].shape == values.shape
        assert ((masks[f"{name}.input"] >= 0) == masks[name]).all()
        for row, column in np.argwhere(masks[name]).tolist():
            at = int(masks[f"{name}.row"][row]), int(masks[f"{name}.input"][row, column])
            weight = masks[f"{name}.factor"][row] * values[row, column]
            made_up[int(masks[f"{name}.layer"][row])][at] += weight
    for found, wanted in zip(made_up, full, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-15)


def test_masks_of_drawn_chips_and_of_tiles(tmp_path: Path) -> None:
    """Layers without a file have their number; files without names theirs, both of one name if they are two."""
    instance, mapping = made(tmp_path, "--gains", "2")
    for part in ("masks.npz", "chip.masks.npz"):
        assert run("convert", mapping, tmp_path / part, "--instance", instance).exit_code == 0
    assert (tmp_path / "masks.npz").read_bytes() == (tmp_path / "chip.masks.npz").read_bytes()
    given, masks = read_instance(instance), arrays(tmp_path / "masks.npz")
    assert isinstance(given, NetworkInstance)
    chip = {f"layer{n}": layer.hardware.weights for n, layer in enumerate(given.layers)}
    realised = [layer.realised(part) for layer, part in zip(given.layers, by_number(given).layers, strict=True)]
    assert_masks(tmp_path / "masks.npz", chip, realised)
    rng = np.random.default_rng(5)
    tiles = {folder: rng.normal(size=(14, 40)) for folder in ("a", "b")}
    for folder, values in tiles.items():
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "tile.npy", values)
    files = [part for folder in tiles for part in ("--hardware", tmp_path / folder / "tile.npy")]
    instance, mapping = made(tmp_path, *files, "--one-chip")
    (tmp_path / "masks.npz").unlink()
    tiled = read_instance(instance)
    assert isinstance(tiled, NetworkInstance)
    parts = [replace(part, neuron_of=part.neuron_of + 12 * n) for n, part in enumerate(by_number(tiled).layers)]
    write(NetworkMapping(tuple(parts)), tmp_path / "apart.matchopt", instance=tiled)
    assert run("convert", tmp_path / "apart.matchopt", tmp_path / "masks.npz", "--instance", instance).exit_code == 0
    names = [name for name in arrays(tmp_path / "masks.npz") if "." not in name]
    done = run("evaluate", instance, tmp_path / "apart.matchopt", "--masks", tmp_path / "on.csv")
    assert done.exit_code == 0, done.output
    for name in names:
        text = np.loadtxt(tmp_path / f"on.{name}.csv", delimiter=",")
        assert np.array_equal(text, arrays(tmp_path / "masks.npz")[name].astype(float))
    assert names == ["tile", "tile_1"] and masks["layer0"].sum() == given.layers[0].target.n_connections


class Alone:
    """A network from a wiring table in JSON and nothing else: no code of matchopt, no other file."""

    def __init__(self, table: Path, widths: list[int]) -> None:
        rows = json.loads(table.read_text())["rows"]
        shapes = [(1 + max(row["row"] for row in rows if row["layer"] == n), width) for n, width in enumerate(widths)]
        self.weights, self.biases = [np.zeros(shape) for shape in shapes], [np.zeros(shape[0]) for shape in shapes]
        for row in rows:
            scale = row["gain"] * row["chip"]["scale"]
            self.biases[row["layer"]][row["row"]] = row["bias"]
            for wire in row["wires"]:
                self.weights[row["layer"]][row["row"], wire["input"]] += scale * wire["value"]

    def answers(self, received: np.ndarray) -> np.ndarray:
        """The class of each image."""
        for weights, bias in zip(self.weights, self.biases, strict=True):
            signal = received @ weights.T + bias
            received = np.maximum(signal, 0.0)
        return signal.argmax(axis=1)


def test_a_table_alone_gives_the_accuracy_of_a_chip_from_an_instrument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In microsiemens with decimal commas, a line for each cell; NumPy and the table answer every sample alike."""
    monkeypatch.setattr("matchopt.network.evaluation.load_mnist", images)
    values = np.random.default_rng(3).normal(size=(22, 40)).round(6)
    lines = ["row;column;G (\u00b5S)"]
    lines += [f"{i + 1};{k + 1};{str(values[i, k]).replace('.', ',')}" for i, k in np.ndindex(values.shape)]
    (tmp_path / "chip.csv").write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    files = made(tmp_path, "--hardware", tmp_path / "chip.csv")
    table = tmp_path / "wiring.json"
    found = json.loads(run("evaluate", *files, "--wiring", table, "--json").stdout)
    instance = read_instance(files[0])
    assert isinstance(instance, NetworkInstance) and instance.layers[0].hardware.origin is not None
    assert instance.layers[0].hardware.origin.unit == "uS"
    alone = Alone(table, [784, 12])
    received, expected = images().test_images.astype(float), by_number(instance)
    weights = [layer.realised(part) for layer, part in zip(instance.layers, expected.layers, strict=True)]
    *_, (_, signal) = instance.runs.run(weights, instance.biases, received)
    assert np.array_equal(alone.answers(received), signal.argmax(axis=1))
    assert found["mapped"]["test"] == np.mean(alone.answers(received) == images().test_labels)
    assert found["programming"]["cells"] == sum(layer.target.n_connections for layer in instance.layers)
    again = read_solution(table, instance=instance)
    assert again.digest == expected.digest


@pytest.mark.parametrize("per", ["array", "neuron"])
def test_scales_of_arrays_and_neurons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, per: str) -> None:
    """Two arrays in different ranges come to one; table, masks and the chip read anew have each neuron's own scale."""
    monkeypatch.setattr("matchopt.network.evaluation.load_mnist", images)
    rng = np.random.default_rng(9)
    tiles = {"big": 1e3 * rng.normal(size=(12, 40)), "small": 1e-3 * rng.normal(size=(14, 40))}
    np.savez(tmp_path / "chip.npz", **tiles)  # type: ignore[arg-type]
    chip = ("--hardware", tmp_path / "chip.npz", "--one-chip", "--unit", "uS", "--scale-per", per)
    path, mapping = made(tmp_path, *chip)
    instance = read_instance(path)
    assert isinstance(instance, NetworkInstance)
    parts = [replace(part, neuron_of=part.neuron_of + 12 * n) for n, part in enumerate(by_number(instance).layers)]
    write(NetworkMapping(tuple(parts)), mapping, instance=instance)
    weights = instance.layers[0].hardware.weights
    wanted = np.sqrt(np.mean(instance.layers[0].target.weights ** 2))
    groups = [slice(12), slice(12, 26)] if per == "array" else range(26)
    assert [np.sqrt(np.mean(weights[group] ** 2)) for group in groups] == pytest.approx([wanted] * len(groups))
    masks, table = tmp_path / "masks.npz", tmp_path / "wiring.json"
    outputs = ("--masks", masks, "--wiring", table, "--json")
    again = ("--chip", tmp_path / "chip.npz", "--unit", "uS")
    found = json.loads(run("evaluate", path, mapping, *outputs, *again).stdout)
    assert found["mapped"] == json.loads(run("evaluate", path, mapping, "--json").stdout)["mapped"]
    realised = [layer.realised(part) for layer, part in zip(instance.layers, parts, strict=True)]
    assert_masks(masks, tiles, realised)
    alone = Alone(table, [784, 12])
    assert np.mean(alone.answers(images().test_images.astype(float)) == images().test_labels) == found["mapped"]["test"]
    for row in json.loads(table.read_text())["rows"]:
        assert all(wire["value"] * row["chip"]["scale"] == wire["weight"] for wire in row["wires"])
    assert read_solution(table, instance=instance).digest == read_solution(mapping, instance=instance).digest
    kept = run("export", tmp_path / "net.safetensors", *chip, "--keep-scale", "--output", path)
    assert kept.exit_code == 2 and "--scale-per sets scales, which --keep-scale leaves" in kept.stderr
