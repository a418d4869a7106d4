"""What leaves for the tool chain of a chip besides wiring tables in CSV: their schema, Fusion CSV, counts."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from formats.files import layer, network, solution

from matchopt.errors import InvalidSolution
from matchopt.formats import ChipFile, read_chip, write
from matchopt.formats.summary import programming_of, total
from matchopt.formats.wiring_json import SCHEMA
from matchopt.instances import Chip, ChipArray, Hardware, LayerInstance, LayerMapping, Place, Target

SCHEMA_OF_WIRING = json.loads(SCHEMA.read_text())
KINDS = {"object": dict, "array": list, "string": str}


def faults(value: Any, schema: Any, at: str = "") -> Iterator[str]:
    """What of a value breaks a schema, as far as ours go: refs, types, constants, least values, required, no others."""
    if "$ref" in schema:
        part = SCHEMA_OF_WIRING
        for name in schema["$ref"].removeprefix("#/").split("/"):
            part = part[name]
        yield from faults(value, part, at)
    kind = schema.get("type")
    right = {"integer": type(value) is int, "number": type(value) in (int, float)}
    if kind is not None and not right.get(kind, isinstance(value, KINDS.get(kind, ()))):
        yield f"{at} is no {kind}"
        return
    if "const" in schema and value != schema["const"]:
        yield f"{at} is not {schema['const']}"
    if "minimum" in schema and value < schema["minimum"]:
        yield f"{at} is below {schema['minimum']}"
    known = schema.get("properties", {})
    yield from (f"{at} lacks {name}" for name in schema.get("required", ()) if name not in value)
    if schema.get("additionalProperties") is False:
        yield from (f"{at} has {name}" for name in value if name not in known)
    for name, part in known.items():
        if name in value:
            yield from faults(value[name], part, f"{at}.{name}")
    if "items" in schema:
        for n, item in enumerate(value):
            yield from faults(item, schema["items"], f"{at}[{n}]")


def measured(unit: str = "uS", scale: float = 0.1) -> tuple[LayerInstance, LayerMapping, np.ndarray]:
    """Three neurons of a measured array that share two buses, two rows on them; the array."""
    values = np.random.default_rng(4).normal(size=(3, 4))
    array = ChipArray(values, Place("chip.csv"), bus=np.array([0, 0, 1]))
    hardware = Chip((array,), unit).hardware(scale=scale)
    target = Target.from_dense(np.array([[1.0, 0.0, 2.0], [3.0, 0.0, 4.0]]))
    given = LayerInstance(target, hardware)
    mapping = LayerMapping(np.array([0, 1]), np.array([0, 2, 3]), np.array([3, 1, 3]), np.array([0, 2, 0]))
    return given, mapping, values


@pytest.mark.parametrize("make", [layer, network])
def test_tables_follow_the_published_schema(tmp_path: Path, make: Any) -> None:
    """Of mappings with gains, tunable weights and biases; a table with a field too many or too few does not."""
    for seed in range(5):
        instance = make(seed)
        write(solution(instance, seed), tmp_path / "x.json", instance=instance)
        assert list(faults(json.loads((tmp_path / "x.json").read_text()), SCHEMA_OF_WIRING)) == []


def test_a_measured_table_follows_the_schema_and_others_do_not(tmp_path: Path) -> None:
    """With the places on the chip; every single change of a kind is found."""
    instance, mapping, _ = measured()
    write(mapping, tmp_path / "x.json", instance=instance)
    text = (tmp_path / "x.json").read_text()
    assert list(faults(json.loads(text), SCHEMA_OF_WIRING)) == [] and '"chip"' in text
    changes = {'"neuron": 0': '"neuron": -1', '"gain"': '"gains"', '"matchopt_wiring": 1': '"matchopt_wiring": 2',
               '"unit": "uS"': '"unit": 1', '"cell": 3': '"cell": 3.5',
               '"rows": [': '"more": [], "rows": ['}  # fmt: skip
    for old, new in changes.items():
        assert old in text
        assert list(faults(json.loads(text.replace(old, new, 1)), SCHEMA_OF_WIRING)), new


def test_the_schema_names_every_field_that_is_read() -> None:
    """Fields of the reader's classes and properties of the schema are the same."""
    from matchopt.formats import wiring_json as reader

    parts = SCHEMA_OF_WIRING["$defs"]
    for kind, part in ((reader._Table, SCHEMA_OF_WIRING), (reader._Row, parts["row"]), (reader._Chip, parts["chip"]),
                       (reader._Wired, parts["wire"]), (reader._Tuned, parts["tunable"])):  # fmt: skip
        assert set(kind.__dataclass_fields__) == set(part["properties"])


@pytest.mark.parametrize(("unit", "factor"), [("uS", 1.0), ("S", 1e6), ("nS", 1e-3)])
def test_fusion_csv_comes_back_to_the_last_bit(tmp_path: Path, unit: str, factor: float) -> None:
    """What is written of a mapping is what the reader of chips finds in it, in microsiemens."""
    instance, mapping, values = measured(unit)
    write(mapping, tmp_path / "x.fusion.csv", instance=instance)
    chip = read_chip([ChipFile(tmp_path / "x.fusion.csv")])
    wanted = np.zeros((2, 3))
    wanted[0, 0], wanted[0, 2], wanted[1, 0] = values[0, 3], values[0, 1], values[1, 3]
    assert chip.unit == "uS"
    assert np.array_equal(chip.arrays[0].weights, wanted if factor == 1.0 else wanted * factor)


def test_fusion_csv_holds_measured_conductances_alone(tmp_path: Path) -> None:
    """Weights without a unit, or drawn, are no conductances."""
    instance, mapping, _ = measured("")
    drawn = replace(instance, hardware=Hardware(instance.hardware.weights))
    for wrong in (instance, drawn):
        with pytest.raises(
            InvalidSolution, match=r"a Fusion CSV holds conductances, and the values .* have the unit ''"
        ):
            write(mapping, tmp_path / "x.fusion.csv", instance=wrong)


def test_what_is_set_on_the_chip_is_counted(tmp_path: Path) -> None:
    """Cells that are on; a switch of a shared line counts once; what is dropped; the page says the same."""
    instance, mapping, values = measured()
    (found,) = programming_of(mapping, instance)
    assert vars(found) == dict(neurons=2, cells=3, switches=2, writes=0, tunable=0, dropped=1)
    assert vars(total((found, found)))["cells"] == 6
    write(mapping, tmp_path / "x.summary.txt", instance=instance)
    page = (tmp_path / "x.summary.txt").read_text()
    table = [line.split() for line in page.splitlines()]
    assert ["all", "2", "4", "2", "3", "2", "0", "0", "1"] in table
    used = sorted([values[0, 3], values[0, 1], values[1, 3]])
    assert ["chip.csv", "3", "x", "4", "2", "3", f"{used[0]:.4g}", f"{used[-1]:.4g}", "uS"] in table
    assert "wiring table" in page and "leak" not in page


def test_writes_and_hard_wired_cells_are_counted() -> None:
    """A cell that holds a new value is written once; hard-wired cells need no switch."""
    instance, mapping, values = measured()
    listening = np.full(values.shape, -1)
    listening[:2, 3] = 0
    hardware = replace(instance.hardware, input=listening, low=values - 1, high=values + 1)
    written = replace(mapping, written=np.array([np.nan, 0.3, np.nan]))
    (found,) = programming_of(written, replace(instance, hardware=hardware))
    assert (found.cells, found.switches, found.writes) == (3, 1, 1)
