"""Measured arrays as instruments write them: headings, units, lists of cells, HDF5, Fusion CSV."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matchopt.errors import FormatError, FormatWarning, MissingExtra, UnknownName
from matchopt.formats import ChipFile, Reading, read_array, read_chip
from matchopt.formats.chip_units import parse_unit
from matchopt.instances import Chip, ChipArray
from matchopt.library import library_folder

VALUES = np.array([[0.5, 1.25], [2.75, 3.5]])


def chip_of(path: Path, **how: Any) -> Chip:
    """The chip in one file."""
    return read_chip([ChipFile(path)], Reading(**how))


def array_of(path: Path, **how: Any) -> ChipArray:
    """The one array of a file."""
    (array,) = chip_of(path, **how).arrays
    return array


@pytest.mark.parametrize(
    ("content", "unit"),
    [
        ("a,b\n0.5,1.25\n2.75,3.5\n", ""),
        ("a (uS),b (\u00b5S)\n0.5,1.25\n2.75,3.5\n", "uS"),
        ("a [\u03bcS];b [uS]\n0,5;1,25\n2,75;3,5\n", "uS"),
        ("a / mS\tb / mS\r\n0,5\t1,25\r\n2,75\t3,5\r\n", "mS"),
        ("a,b\n5e-1,1.25E0\n2.75e+0,3.5\n", ""),
        ("a (uS);b (uS)\n5,0E-1;1,25\n2,75e0;3,5\n", "uS"),
        ("a;b\nuS;uS\n0,5;1,25\n2,75;3,5", "uS"),
        ("(S);(S)\n0,5;1,25\n2,75;3,5", "S"),
        ('"a (S)","b (S)"\n"0,5","1,25"\n"2,75","3,5"', "S"),
        (",0,1\n0,0.5,1.25\n1,2.75,3.5\n", ""),
        ("row\\col,C1,C2\nR1,0.5,1.25\nR2,2.75,3.5\n", ""),
        ("index;1;2\n1;0,5;1,25\n2;2,75;3,5\n", ""),
        ("a (S);b (S);\n0,5;1,25;\n2,75;3,5;\n", "S"),
        ("# bench 3\na b\n0.5 1.25\n2.75 3.5", ""),
        ("wordline,bitline,G (nS)\n0,0,0.5\n1,1,3.5\n0,1,1.25\n1,0,2.75\n", "nS"),
        ("row;column;value\n1;1;0,5\n1;2;1,25\n2;1;2,75\n2;2;3,5\n", ""),
        ("x;y;current;voltage\n;;uA;mV\n0;0;1;2\n1;0;2,5;2\n0;1;5,5;2\n1;1;7;2\n", "mS"),
        ('Row,Col,"R (MOhm)"\n0,0,"2"\n0,1,"0,8"\n1,0,"0,36363636363636365"\n1,1,"0,2857142857142857"\n', "uS"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_tables_with_headings_are_read(tmp_path: Path, content: str, unit: str, encoding: str) -> None:
    """Headings, units behind them or below, labels of rows, lists of cells, resistances, current and voltage."""
    (tmp_path / "w.csv").write_bytes(content.encode(encoding))
    chip = chip_of(tmp_path / "w.csv")
    assert np.array_equal(chip.arrays[0].weights, VALUES)
    assert chip.unit == unit


@pytest.mark.parametrize(
    ("text", "unit"),
    [("S", "S"), ("siemens", "S"), ("\u00b5S", "uS"), ("(nS)", "nS"), ("k\u03a9", "kOhm"), ("Kohm", "kOhm"),
     ("MOhm", "MOhm"), ("mA", "mA"), ("V", "V"), ("Seconds", "s"), ("a.u.", ""), ("uS/cm", None), ("furlong", None),
     ("m", None), ("xS", None)],
)  # fmt: skip
def test_units_have_one_spelling(text: str, unit: str | None) -> None:
    """Greek letters, words and brackets; what is none is None."""
    found = parse_unit(text)
    assert (None if found is None else str(found)) == unit


@pytest.mark.parametrize("name", ["neuron", "Time", ""])
def test_a_first_column_that_is_no_cell_is_refused(tmp_path: Path, name: str) -> None:
    """One that counts nothing, under a name that is none of values."""
    (tmp_path / "w.csv").write_text(f"{name},a,b\n0,0.5,1.25\n5,2.75,3.5\n")
    with pytest.raises(FormatError, match=f":1: column '{name}' neither counts the rows"):
        chip_of(tmp_path / "w.csv")


def test_a_column_is_left_out_only_where_all_of_it_is_labels(tmp_path: Path) -> None:
    """One slip in a column of readings does not cost the others."""
    (tmp_path / "w.csv").write_text("a,b\n0.5x,1.25\n2.75,3.5\n")
    with pytest.raises(FormatError, match=r":2: column 1: expected a finite number, found '0\.5x'"):
        chip_of(tmp_path / "w.csv")


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("word", ["", "NaN", "OL", "9.91E+37", "--"])
@pytest.mark.parametrize("head", ["", "a{0}b{0}c\n"])
def test_blanks_are_dead_where_that_is_said(tmp_path: Path, mark: str, word: str, head: str) -> None:
    """A cell without a reading cannot be used, the others keep their places; unsaid, the file is refused."""
    text = head.format(mark) + f"0.5{mark}{word}{mark}2\n{word}{mark}{word}{mark}{word}\n1{mark}2{mark}3.5\n"
    (tmp_path / "w.csv").write_text(text)
    array = array_of(tmp_path / "w.csv", dead_blanks=True)
    assert array.usable.tolist() == [[True, False, True], [False] * 3, [True] * 3]
    assert array.weights.tolist() == [[0.5, 0, 2], [0, 0, 0], [1, 2, 3.5]]
    with pytest.raises(
        FormatError, match=r"take all such cells as dead \(--dead-blanks\)|numbers per line are expected"
    ):
        chip_of(tmp_path / "w.csv")


def test_a_list_of_cells_with_readings_and_faults(tmp_path: Path) -> None:
    """Readings by number and time give mean and variance; cells without a line, and those said to be, are out."""
    lines = ["row,column,G (uS),read,t (ms),usable,stuck"]
    for row, column in ((0, 0), (0, 1), (1, 0)):
        for read, when in ((1, 0), (2, 5), (3, 5)):
            flags = f"{int((row, column) != (0, 1))},{int((row, column) == (1, 0))}"
            lines.append(f"{row},{column},{10 * row + column + read},{read},{when},{flags}")
    (tmp_path / "w.csv").write_text("\n".join(lines))
    array = array_of(tmp_path / "w.csv", dead_blanks=True)
    assert array.usable.tolist() == [[True, False], [True, False]]
    assert array.stuck.tolist() == [[False, False], [True, False]]
    assert array.times == (0.0, 0.005)
    assert array.weights[:, 0].tolist() == [2.5, 12.5] and array.variance[:, 0].tolist() == [0.5, 0.5]
    with pytest.raises(FormatError, match="row 1, column 1, counted from 0, lacks a reading, as 1 of 4 cells do"):
        chip_of(tmp_path / "w.csv")


def test_a_column_that_says_nothing_is_named(tmp_path: Path) -> None:
    """Left out with a warning, whatever is in it."""
    (tmp_path / "w.csv").write_text("row,column,value,taken at (UTC)\n0,0,1.5,noon\n0,1,2,\n")
    with pytest.warns(FormatWarning, match="column 'taken at' is left out"):
        assert array_of(tmp_path / "w.csv").weights.tolist() == [[1.5, 2.0]]


def test_units_of_files_agree(tmp_path: Path) -> None:
    """No value is ever converted in silence: other units are refused, and the same in other letters are not."""
    for name, unit in (("a", "uS"), ("b", "S")):
        (tmp_path / f"{name}.csv").write_text(f"p ({unit}),q ({unit})\n1.5,2\n3,4.5\n")
    assert chip_of(tmp_path / "a.csv", unit="\u00b5S").unit == "\u00b5S"
    with pytest.raises(FormatError, match=r"its values are in uS, and S was said before; values are never converted"):
        chip_of(tmp_path / "a.csv", unit="S")
    with pytest.raises(FormatError, match=r"b\.csv: its values are in S, and uS was said before"):
        read_chip([ChipFile(tmp_path / "a.csv"), ChipFile(tmp_path / "b.csv")])


def arc_two(path: Path, readings: np.ndarray) -> Any:
    """A file as the control software writes it: a pulse, then readings (word, bit, reading) in siemens."""
    h5py = pytest.importorskip("h5py")
    words, bits = readings.shape[:2]
    kinds = [(name, "<f4") for name in ("current", "voltage", "pulse_width", "read_voltage")] + [("op_type", "<u4")]
    file = h5py.File(path, "w")
    for thing in (file, file.create_group("crossbar")):
        thing.attrs["words"], thing.attrs["bits"] = words, bits
    file.attrs["PYTABLES_FORMAT_VERSION"], file.attrs["H5DS_VERSION_MINOR"] = "2.1", 2
    raster = {name: file["crossbar"].create_dataset(name, (words, bits), "f4") for name in ("current", "voltage")}
    points = file.create_group("crosspoints")
    for word, bit in np.ndindex(words, bits):
        if np.isnan(readings[word, bit]).all():
            continue
        rows = [(9.0, 0.2, 0.0, 0.2, 1), (np.nan, 2.0, 1e-6, np.nan, 2)]  # read, then changed by a pulse
        rows += [(float(g) * 0.2, 0.2, 0.0, 0.2, 1) for g in readings[word, bit] if not np.isnan(g)]
        table = points.create_group(f"W{word:02}B{bit:02}").create_dataset(
            "timeseries", (1000,), np.dtype(kinds), maxshape=(None,), chunks=True
        )
        table[: len(rows)] = np.array(rows, dtype=kinds)
        table.attrs["NROWS"], table.attrs["TITLE"] = len(rows), f"W{word:02}B{bit:02}"
        if words == bits:
            raster["current"][bit, word], raster["voltage"][bit, word] = rows[-1][0], 0.2
    file.create_group("sequences")
    file.create_group("synthetics")
    return file


@pytest.mark.parametrize("reads", [1, 3])
@pytest.mark.parametrize("shape", [(3, 3), (2, 4)])
def test_hdf5_of_arc_two(tmp_path: Path, shape: tuple[int, int], reads: int) -> None:
    """Words are rows; readings since the last pulse give mean and variance, in siemens, to single precision."""
    truth = np.random.default_rng(1).lognormal(-11, 1, (*shape, reads))
    arc_two(tmp_path / "c.h5", truth).close()
    chip = chip_of(tmp_path / "c.h5")
    (array,) = chip.arrays
    assert chip.unit == "S"
    np.testing.assert_allclose(array.weights, truth.mean(axis=2), rtol=1e-6)
    assert (0 if array.readings is None else len(array.readings)) == (reads if reads > 1 else 0)
    if reads > 1:
        np.testing.assert_allclose(array.variance, truth.var(axis=2, ddof=1), rtol=1e-4)


def test_hdf5_with_cells_never_read_and_read_unequally_often(tmp_path: Path) -> None:
    """Cells without a reading are refused, or dead; of square arrays the raster has the last reading of others."""
    truth = np.array([[[1.0, 2.0], [3.0, np.nan]], [[np.nan, np.nan], [4.0, 6.0]]]) * 1e-5
    file = arc_two(tmp_path / "c.h5", truth)
    file.close()
    with pytest.raises(FormatError, match="word 1, bit 0 was never read, as 1 of 4 cells: a cell without a reading"):
        chip_of(tmp_path / "c.h5")
    array = array_of(tmp_path / "c.h5", dead_blanks=True)
    assert array.usable.tolist() == [[True, True], [False, True]]
    np.testing.assert_allclose(array.weights, [[1.5e-5, 3e-5], [0, 5e-5]], rtol=1e-6)
    np.testing.assert_allclose(array.variance, [[5e-11, 0], [0, 2e-10]], rtol=1e-5, atol=1e-20)
    with pytest.importorskip("h5py").File(tmp_path / "c.h5", "r+") as again:  # word 1, bit 0 is at [bit, word]
        again["crossbar/current"][0, 1], again["crossbar/voltage"][0, 1] = 7e-6, 0.5
    np.testing.assert_allclose(array_of(tmp_path / "c.h5").weights[1, 0], 1.4e-5, rtol=1e-6)


def test_hdf5_without_its_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence with the command that installs it."""
    (tmp_path / "c.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(MissingExtra, match=r"pip install 'matchopt\[hdf5\]'"):
        chip_of(tmp_path / "c.h5")


def fusion(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """A Fusion CSV as aihwkit's `fusion_export` writes it, with csv.writer."""
    heads = [(n + 1, "AnalogLinear", array.size, *array.shape) for n, array in enumerate(arrays.values())]
    text = "".join(",".join(map(str, line)) + "\n" for line in zip(*heads, strict=True)) + ",".join(arrays) + "\r\n"
    path.write_text(text + "".join(",".join(map(repr, each.ravel().tolist())) + "\r\n" for each in arrays.values()))


def test_fusion_csv(tmp_path: Path) -> None:
    """Every layer is an array by its name, in microsiemens, to the last bit."""
    rng = np.random.default_rng(2)
    arrays = {"0": rng.random((4, 5)), "3.conv": rng.random((2, 3))}
    fusion(tmp_path / "f.csv", arrays)
    chip = chip_of(tmp_path / "f.csv")
    assert chip.unit == "uS" and [array.place.array for array in chip.arrays] == ["0", "3.conv"]
    for array, truth in zip(chip.arrays, arrays.values(), strict=True):
        assert np.array_equal(array.weights, truth)
    assert np.array_equal(read_array(tmp_path / "f.csv", "3.conv"), arrays["3.conv"])
    with pytest.raises(UnknownName, match="unknown array of"):
        read_array(tmp_path / "f.csv", "conv")


def test_headings_with_more_digits_than_there_are_cells(tmp_path: Path) -> None:
    """One sentence, however many they are."""
    (tmp_path / "f.csv").write_text(f"1\nAnalogLinear\n{'9' * 5000}\n1\n1\nlayer0\n0.5\n")
    with pytest.raises(FormatError, match="expected a finite number"):
        chip_of(tmp_path / "f.csv")


def test_measured_pcm_readout() -> None:
    """The published file of a chip: 80,016 cells of four layers."""
    folder = library_folder()
    if folder is None:
        pytest.skip("the library of measured arrays is not here")
    path = folder / "data" / "hardware" / "pcm-readout" / "readout.csv.gz"
    chip = chip_of(path, dead_blanks=True)
    assert [array.weights.shape for array in chip.arrays] == [(16, 25), (32, 400), (128, 512), (10, 128)]
