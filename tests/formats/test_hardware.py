"""Measured arrays: every layout that people with a chip have, as hardware."""

import gzip
import io
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matchopt.errors import FormatError, UnknownName
from matchopt.formats import ChipFile, Reading, read_array, read_chip, read_hardware

WEIGHTS = np.array([[0.5, -1e-7, 3.0], [0.0, 2.0, 1 / 3]])


@pytest.mark.parametrize("separator", [",", ";", "\t", " ", " , "])
@pytest.mark.parametrize("packed", [False, True])
def test_text_in_columns_is_read_exactly(tmp_path: Path, separator: str, packed: bool) -> None:
    """CSV, semicolons, tabs and blanks, with comments and blank lines, compressed or not."""
    lines = ["# siemens", *(separator.join(map(repr, row)) for row in WEIGHTS.tolist()), "", ""]
    content = "\r\n".join(lines).encode()
    (tmp_path / "w").write_bytes(gzip.compress(content) if packed else content)
    assert np.array_equal(read_array(tmp_path / "w"), WEIGHTS)


@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", "<f2", "<i2", "|u1", "|b1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_kind_of_number_in_npy_is_read(tmp_path: Path, dtype: str, order: str) -> None:
    """Any width, byte order and memory order of .npy gives the numbers that numpy reads."""
    values = np.array([[1, 0, 5], [7, 2, 1]]).astype(dtype, order=order)  # type: ignore[call-overload]
    np.save(tmp_path / "w.npy", values)
    assert np.array_equal(read_array(tmp_path / "w.npy"), values.astype(float))


def test_all_fields_of_hardware_are_taken_from_npz(tmp_path: Path) -> None:
    """An .npz with weights and any other field makes the whole hardware, and only that."""
    fields = {"variance": WEIGHTS**2, "usable": WEIGHTS > 0, "off": WEIGHTS / 10, "bus": np.array([4, 4])}
    fields["input"] = np.tile(np.arange(WEIGHTS.shape[1]) - 1, (2, 1))
    np.savez_compressed(tmp_path / "w.npz", weights=WEIGHTS, **fields)
    hardware = read_hardware(tmp_path / "w.npz")
    assert np.array_equal(hardware.weights, WEIGHTS)
    for name, values in fields.items():
        assert np.array_equal(getattr(hardware, name), values)


def test_an_array_is_chosen_by_its_name(tmp_path: Path) -> None:
    """Several arrays need a name; a wrong one lists those that exist, with the nearest."""
    np.savez(tmp_path / "w.npz", block00=WEIGHTS, block01=WEIGHTS.T)
    assert np.array_equal(read_array(tmp_path / "w.npz", "block01"), WEIGHTS.T)
    with pytest.raises(FormatError, match="choose one by its name: block00, block01"):
        read_hardware(tmp_path / "w.npz")
    with pytest.raises(UnknownName, match="did you mean 'block01'"):
        read_hardware(tmp_path / "w.npz", "blok01")


def test_the_only_array_needs_no_name_and_other_files_have_none(tmp_path: Path) -> None:
    """One array of any name is taken; a name for a file without names is refused."""
    np.savez(tmp_path / "w.npz", anything=WEIGHTS)
    assert np.array_equal(read_array(tmp_path / "w.npz"), WEIGHTS)
    np.save(tmp_path / "w.npy", WEIGHTS)
    with pytest.raises(FormatError, match=r"only \.npz files name arrays"):
        read_hardware(tmp_path / "w.npy", "weights")


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    """An array of objects, which numpy would unpickle, is refused for its type."""
    np.save(tmp_path / "w.npy", np.array([[print]]), allow_pickle=True)
    np.savez(tmp_path / "w.npz", weights=np.array([[print]]))
    for name in ("w.npy", "w.npz"):
        with pytest.raises(FormatError, match="must hold numbers, found type object"):
            read_hardware(tmp_path / name)


@pytest.mark.parametrize("second", ["weights.npy", "weights"])
def test_two_arrays_of_one_name_are_refused(tmp_path: Path, second: str) -> None:
    """Which of them is meant nobody can say."""
    content = io.BytesIO()
    np.save(content, WEIGHTS)
    with warnings.catch_warnings(), zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        warnings.simplefilter("ignore")
        for name in ("weights.npy", second):
            archive.writestr(name, content.getvalue())
    with pytest.raises(FormatError, match="holds two arrays called 'weights'"):
        read_hardware(tmp_path / "w.npz")


@given(st.binary(max_size=60), st.integers(0, 400), st.sampled_from(["npy", "npz", "txt"]))
@settings(max_examples=50, deadline=None)
def test_damage_gives_a_sentence_or_numbers(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int, ending: str
) -> None:
    """Whatever stands in the file, reading ends in hardware or a FormatError."""
    path = tmp_path_factory.getbasetemp() / f"damaged.{ending}"
    {"npy": np.save, "npz": np.savez_compressed, "txt": np.savetxt}[ending](path, WEIGHTS)  # type: ignore[operator]
    content = path.read_bytes()
    path.write_bytes(content[:at] + noise + content[at + len(noise) :])
    try:
        assert read_array(path).ndim == 2
    except FormatError as error:
        assert str(error).startswith(str(path))


@pytest.mark.parametrize(
    "content",
    [
        "0,5;1,25\n2,75;3,5",
        "0,5\t1,25\r\n2,75\t3,5\r\n",
        "0,5 1,25\n2,75 3,5",
        '"0,5","1,25"\n"2,75","3,5"',
        '"0.5", "1.25"\n"2.75", "3.5"',
        '"0.5";"1.25"\n"2.75";"3.5"',
        "0.5,1.25,\n2.75,3.5,\n",
        "0.5;1.25;\n2.75;3.5;\n",
        "0.5\t1.25\t\n2.75\t3.5\t\n",
        "0.5,\t1.25\n2.75,\t3.5",
        "# G in \u00b5S\n0.5, 1.25\n\n2.75, 3.5 # end\n",
        "5e-1;1,25E0\n2,75;3,5",
        "1;1\n2,75;3,5",
        "0.5,1.25\r2.75,3.5\r",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_tables_of_instruments_are_read(tmp_path: Path, content: str, encoding: str) -> None:
    """Decimal commas, quotes, separators at the ends of lines, other line ends and encodings."""
    (tmp_path / "w.csv").write_bytes(content.encode(encoding))
    expected = np.array([[0.5, 1.25], [2.75, 3.5]])
    if content.startswith("1;1"):
        expected[0] = 1.0
    assert np.array_equal(read_array(tmp_path / "w.csv"), expected)


@pytest.mark.parametrize("code", ["9.91E+37", "9.9e37", "-9.9E37", "199.999E+99", "NaN", "nan", "-inf", "OL",
                                  "overload", "--", "---", "N/A", ""])  # fmt: skip
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_cell_without_a_reading_is_named(tmp_path: Path, code: str, mark: str) -> None:
    """Never taken as a weight; the sentence has line, column and advice."""
    (tmp_path / "w.csv").write_text(f"0.5{mark}1.25{mark}2\n0.5{mark}{code}{mark}3\n")
    with pytest.raises(FormatError, match=r"w\.csv:2: column 2: expected a finite number, .*`usable` false there"):
        read_array(tmp_path / "w.csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("cell0,0.5\n0.5,1.25", ":1: column 1: .*'cell0', a heading; begin the line with #"),
        (",0.5,1\n0,0.5,1.25", ":1: column 1: .*'', a heading; .* remove a column that counts lines"),
        ("NaN,1\n2,3", ":1: column 1: .*'NaN', a cell without a reading"),
        ("-0,5;x\n2,3", ":1: column 1: .*'-0,5'; are there decimal commas"),
        ("G (uS);I (A)\n0,5;1,25", ":1: columns in uS and A make no matrix of one unit"),
        ("0,0.5,1.25\n1,2.75,3.5", "first column counts the others, 0, 1; remove it"),
        ("1 2 3\n0.5 1.5 2.5\n0.1 0.2 0.3", "first row counts the others, 1, 2, 3"),
        ("1.234,5;2\n1;2", ":1: column 1: .*'1.234,5'; are there decimal commas"),
        ("1,5, 2,5\n1,5, 3,5", ":1: some commas have a blank after them and some have none; are there decimal commas"),
        ("0.5,1.25\n2,75,3.5", ":2: 2 numbers per line are expected, found 3; are there decimal commas"),
        ("0.5;1.25\n2,75;3.5", ":2: column 1: .*'2,75'; are there decimal commas"),
        ("0.5 uS,1.25\n1,2", ":1: column 1: expected a finite number, found '0.5 uS'"),
        ("0.5,1.25\n2.75,x", ":2: column 2: expected a finite number, found 'x'$"),
        ("# nothing\n", "holds no numbers"),
        ("1.5\t\t2\n2.5\t\t3\n", ":1: column 2: expected a finite number, found '', a cell without a reading"),
    ],
)
def test_tables_that_may_mean_two_things_are_refused(tmp_path: Path, content: str, message: str) -> None:
    """Headings, columns that count, thousands: one sentence with the line and what to do."""
    (tmp_path / "w.csv").write_text(content)
    with pytest.raises(FormatError, match=message):
        read_array(tmp_path / "w.csv")


@pytest.mark.parametrize("kind", [bool, int, float, np.uint8])
@pytest.mark.parametrize("code", [np.nan, np.inf, -9.9e37, 199.999e99])
def test_cells_that_are_not_usable_need_no_reading(tmp_path: Path, kind: type, code: float) -> None:
    """`usable` may be 0 and 1, `bus` floats, as tools without these types save them; such cells weigh nothing."""
    usable = np.array([[1, 0, 1], [1, 1, 1]])
    weights = np.where(usable, WEIGHTS, code)
    np.savez(tmp_path / "w.npz", weights=weights, usable=usable.astype(kind), off=weights, bus=np.array([3.0, 3.0]))
    found = read_hardware(tmp_path / "w.npz")
    assert np.array_equal(found.usable, usable == 1)
    assert np.array_equal(found.weights, np.where(usable, WEIGHTS, 0.0))
    assert np.array_equal(found.off, found.weights)
    assert found.bus.tolist() == [3, 3]
    np.savez(tmp_path / "w.npz", weights=weights)
    with pytest.raises(FormatError, match=r"weights: .* at neuron 0, cell 1 is a cell without a reading; give"):
        read_hardware(tmp_path / "w.npz")


def test_usable_that_is_no_yes_or_no_is_refused(tmp_path: Path) -> None:
    """A 2 is neither; nor are shares."""
    np.savez(tmp_path / "w.npz", weights=WEIGHTS, usable=np.full(WEIGHTS.shape, 2))
    with pytest.raises(FormatError, match="usable must hold bool values"):
        read_hardware(tmp_path / "w.npz")


def test_a_chip_of_several_files_and_arrays(tmp_path: Path) -> None:
    """One array a file, all arrays of an .npz file, or the one that is named; fields of several as NAME.FIELD."""
    np.savetxt(tmp_path / "k.txt", WEIGHTS)
    usable = np.array([[1, 0, 1], [1, 1, 1]])
    np.savez(tmp_path / "t.npz", **{"left.weights": WEIGHTS, "left.usable": usable, "right": WEIGHTS.T})
    chip = read_chip([ChipFile(tmp_path / "k.txt"), ChipFile(tmp_path / "t.npz")], Reading("S"))
    assert [array.place.array for array in chip.arrays] == ["", "left", "right"]
    assert [array.place.neurons for array in chip.arrays] == [2, 2, 3]
    assert np.array_equal(chip.arrays[1].usable, usable == 1)
    assert chip.unit == "S"
    (right,) = read_chip([ChipFile.parse(f"{tmp_path / 't.npz'}:right")]).arrays
    assert np.array_equal(right.weights, WEIGHTS.T)
    assert right.place.file == str(tmp_path / "t.npz")
    with pytest.raises(UnknownName, match="did you mean 'left'"):
        read_chip([ChipFile(tmp_path / "t.npz", "lefd")])
    with pytest.raises(FormatError, match="holds 2 arrays, choose one by its name: left, right"):
        read_hardware(tmp_path / "t.npz")


def test_cells_read_again_and_again_are_folded_into_neurons(tmp_path: Path) -> None:
    """(cells, times) with seconds: rows of so many cells, times in order, the rest left out."""
    values = np.arange(14.0).reshape(7, 2)
    np.savez(
        tmp_path / "r.npz", conductance=values, seconds=np.array([1e3, 0.0]), level=np.zeros(7), address=np.ones(7)
    )
    (array,) = read_chip([ChipFile(tmp_path / "r.npz")], Reading(cells=3)).arrays
    assert array.times == (0.0, 1e3)
    assert np.array_equal(array.weights, values[:6, 0].reshape(2, 3))
    assert np.array_equal(array.at(0.0).weights, values[:6, 1].reshape(2, 3))
    with pytest.raises(FormatError, match="say how many make a hardware neuron"):
        read_chip([ChipFile(tmp_path / "r.npz")])
    with pytest.raises(FormatError, match="7 cells make no hardware neuron of 8"):
        read_chip([ChipFile(tmp_path / "r.npz")], Reading(cells=8))


def test_thresholds_say_which_cells_are_stuck(tmp_path: Path) -> None:
    """Beside those that the file says are; a reading below zero is legal."""
    np.savez(tmp_path / "w.npz", weights=WEIGHTS, stuck=np.array([[1, 0, 0], [0, 0, 0]]))
    (array,) = read_chip([ChipFile(tmp_path / "w.npz")], Reading(stuck_below=0.0, stuck_above=2.5)).arrays
    assert array.stuck.tolist() == [[True, True, True], [False, False, False]]
    assert np.array_equal(array.off, np.where(array.stuck, WEIGHTS, 0.0))


def test_what_can_be_written_is_read_and_folded(tmp_path: Path) -> None:
    """Ranges and levels of an .npz file reach the hardware; a level belongs to its cell in any width."""
    levels = np.arange(12.0).reshape(2, 3, 2)
    np.savez(tmp_path / "w.npz", weights=WEIGHTS, levels=levels)
    assert np.array_equal(read_hardware(tmp_path / "w.npz").levels, levels)
    (array,) = read_chip([ChipFile(tmp_path / "w.npz")], Reading(cells=2)).arrays
    assert np.array_equal(array.others["levels"], levels.reshape(3, 2, 2))
    assert np.array_equal(array.weights, WEIGHTS.reshape(3, 2))
