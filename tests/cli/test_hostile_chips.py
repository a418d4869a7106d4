"""Files of measured arrays that are broken, or meant to do harm: one sentence, exit status 2, nothing else opened."""

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from matchopt.cli import main

SECRET = "4711.25"


def refused(path: Path, message: str) -> None:
    """The command chip says one sentence that names the file, and nothing of what lies beside it."""
    done = CliRunner().invoke(main, ["chip", str(path)])
    assert done.exit_code == 2, done.output
    assert message in done.stderr and str(path) in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 1 and "Traceback" not in done.output and SECRET not in done.output


TABLES = {
    "ragged": ("a,b\n1,2\n3\n", ":3: 2 values per line are expected, as in the headings, found 1"),
    "ragged-list": ("row,column,value\n0,0,1,5\n", ":2: 3 values per line are expected"),
    "volts": ("a (V),b (V)\n1,2\n", "values in V are a voltage; conductances in S, or resistances in Ohm, are needed"),
    "no-unit": ("a (furlong),b (S)\n1,2\n", "unit 'furlong' is not known"),
    "two-units": ("a (S),b (uS)\n1,2\n", "columns in S and uS make no matrix of one unit"),
    "units-twice": ("a (S);b (S)\nS;S\n1;2\n", ":2: units in the headings and in a line of their own"),
    "wrong-quantity": ("row,column,conductance (Ohm)\n0,0,1\n", "is a conductance, found the unit Ohm"),
    "not-by-volts": ("row,column,current (uA),voltage (V),g\n0,0,1,1,1\n", "a list of cells needs one of"),
    "mixed-marks": ("a;b\n1,5;2\n3;2.5\n", ":3: decimal points here, and decimal commas in line 2"),
    "mixed-plain": ("0.5;1.5\n2,75;3.5\n", ":2: column 1"),
    "thousands": ("a;b\n1.234,5;2\n", "decimal points here, and decimal commas in line 2"),
    "words": ("a,b\n1,two\n", ":2: column 2: expected a finite number, found 'two'"),
    "infinite": ("a,b\n1,1e999\n", ":2: column 2: expected a finite number, found '1e999'"),
    "blank": ("a,b\n1,\n2,3\n", "take all such cells as dead (--dead-blanks)"),
    "far-away": (
        "row,column,value\n0,0,1\n2000000000,2000000000,1\n",
        "are 4000000004000000001 cells, and only 2 lines",
    ),
    "below": ("row,column,value\n-1,0,1\n", ":2: row must be a whole number >= 0, found -1"),
    "between": ("row,column,value\n0,0.5,1\n", ":2: column must be a whole number >= 0, found 0.5"),
    "twice": ("row,column,value\n0,0,1\n0,0,2\n", ":3: row 0, column 0, counted from 0, is there twice"),
    "reads-missing": ("row,column,value,read\n0,0,1,1\n0,1,1,1\n0,0,2,2\n", "row 0, column 1, counted from 0, lacks"),
    "no-ohms": ("row,column,R (Ohm)\n0,0,0\n", "a resistance of 0 Ohm has no conductance"),
    "maybe": ("row,column,value,stuck\n0,0,1,perhaps\n", ":2: 'stuck' must be 0 or 1, found 'perhaps'"),
    "two-values": ("row,column,value,weight\n0,0,1,1\n", "columns 'value' and 'weight' are both a value"),
    "quote": ('a,b\n"1,2\n', "not CSV"),
    "empty": ("a,b\n", "holds headings and no numbers"),
    "zero-byte": ("a,b\n1,\0\n", ":2: a text file holds no zero bytes"),
    "fusion-short": (
        "1\nAnalogLinear\n4\n2\n2\nfirst\n1,2,3\n",
        ":7: layer 'first' has 2 x 2 cells and 4 conductances",
    ),
    "fusion-huge": ("1\nAnalogLinear\n9\n99999999999\n99999999999\nfirst\n1,2,3\n", "found 3 values"),
    "fusion-lost": ("1,2\nA,B\n1,1\n1,1\n1,1\nfirst,second\n1\n", "2 layers need a line each, found 1"),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_bad_table_is_one_sentence(tmp_path: Path, case: str) -> None:
    """Ragged rows, wrong units, mixed marks, numbers of cells that would fill the memory."""
    content, message = TABLES[case]
    (tmp_path / "chip.csv").write_text(content)
    refused(tmp_path / "chip.csv", message)


def good(file: Any, h5py: Any) -> None:
    """Fill a 2 x 2 array of ArC TWO without crosspoints."""
    for thing in (file, file.create_group("crossbar")):
        thing.attrs["words"] = thing.attrs["bits"] = 2
    for name in ("current", "voltage"):
        file["crossbar"][name] = np.full((2, 2), 0.5, "f4")
    file.create_group("crosspoints")


def _external_link(file: Any, h5py: Any, outside: Path) -> None:
    del file["crossbar/current"]
    file["crossbar/current"] = h5py.ExternalLink(str(outside), "/secret")


def _soft_link(file: Any, h5py: Any, outside: Path) -> None:
    del file["crosspoints"]
    file["crosspoints"] = h5py.SoftLink("/crossbar")


def _external_group(file: Any, h5py: Any, outside: Path) -> None:
    file["crosspoints/W00B00"] = h5py.ExternalLink(str(outside), "/")


def _external_values(file: Any, h5py: Any, outside: Path) -> None:
    del file["crossbar/current"]
    file["crossbar"].create_dataset("current", (2, 2), "f4", external=[(str(outside), 0, 16)])


def _virtual(file: Any, h5py: Any, outside: Path) -> None:
    del file["crossbar/current"]
    layout = h5py.VirtualLayout(shape=(2, 2), dtype="f4")
    layout[:] = h5py.VirtualSource(str(outside), "secret", shape=(2, 2))
    file["crossbar"].create_virtual_dataset("current", layout)


def _huge_raster(file: Any, h5py: Any, outside: Path) -> None:
    del file["crossbar/current"]
    file["crossbar"].create_dataset("current", (2**20, 2**20), "f4", chunks=(64, 64))


def _packed(file: Any, h5py: Any, outside: Path) -> None:
    del file["crossbar/current"]
    file["crossbar"].create_dataset("current", data=np.ones((2, 2), "i4"), chunks=True, scaleoffset=4)


def _huge_array(file: Any, h5py: Any, outside: Path) -> None:
    file.attrs["words"] = 2**40


def _huge_chunk(file: Any, h5py: Any, outside: Path) -> None:
    del file["crossbar/current"]
    file["crossbar"].create_dataset("current", (2, 2), "f4", chunks=(2**13, 2**13), maxshape=(None, None))


def _long_table(file: Any, h5py: Any, outside: Path) -> None:
    kinds = [("current", "f4"), ("voltage", "f4"), ("read_voltage", "f4"), ("op_type", "u4")]
    point = file.create_group("crosspoints/W00B00")
    table = point.create_dataset("timeseries", (2**40,), np.dtype(kinds), chunks=(1000,))
    table.attrs["NROWS"], table.attrs["TITLE"] = 2**40, "W00B00"


def _wrong_place(file: Any, h5py: Any, outside: Path) -> None:
    _long_table(file, h5py, outside)
    file["crosspoints/W00B00/timeseries"].attrs["TITLE"] = "W99B00"


def _wrong_kind(file: Any, h5py: Any, outside: Path) -> None:
    del file["crossbar/current"]
    file["crossbar/current"] = np.array([[b"ab", b"cd"]] * 2)


def _wrong_attribute(file: Any, h5py: Any, outside: Path) -> None:
    file.attrs["words"] = "../../secret"


def _other_layout(file: Any, h5py: Any, outside: Path) -> None:
    del file["crosspoints"]


ARCHIVES: dict[str, tuple[Callable[[Any, Any, Path], None], str]] = {
    "external-link": (_external_link, "/crossbar/current is a link to another place, which is not followed"),
    "soft-link": (_soft_link, "//crosspoints is a link to another place, which is not followed"),
    "external-group": (_external_group, "/crosspoints/W00B00 is a link to another place, which is not followed"),
    "external-values": (_external_values, "/crossbar/current keeps its values in another file, which is not opened"),
    "virtual": (_virtual, "/crossbar/current keeps its values in another file, which is not opened"),
    "huge-raster": (_huge_raster, "/crossbar/current has shape (1048576, 1048576), more than a file of"),
    "packed": (_packed, "/crossbar/current is packed by filter 6, which is not read; use gzip"),
    "huge-array": (_huge_array, "attribute words must be in 0 .. 16777216, found 1099511627776"),
    "huge-chunk": (_huge_chunk, "/crossbar/current has shape (2, 2), more than a file of"),
    "long-table": (_long_table, "has shape (1099511627776,), more than a file of"),
    "wrong-place": (_wrong_place, "TITLE must be W and B with numbers below 2 and 2, found 'W99B00'"),
    "wrong-kind": (_wrong_kind, "/crossbar/current must hold numbers"),
    "wrong-attribute": (_wrong_attribute, "attribute words must be in 0 .. 16777216, found ../../secret"),
    "other-layout": (_other_layout, "holds no 'crosspoints' in /; HDF5 is read in the layout of ArC TWO"),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_a_bad_hdf5_file_is_one_sentence(tmp_path: Path, case: str) -> None:
    """Links and values elsewhere are not followed, shapes that the file cannot hold not allocated."""
    h5py = pytest.importorskip("h5py")
    (tmp_path / "given").mkdir()
    with h5py.File(tmp_path / "secret.h5", "w") as outside:
        outside["secret"] = np.full((2, 2), float(SECRET), "f4")
    spoil, message = ARCHIVES[case]
    with h5py.File(tmp_path / "given" / "chip.h5", "w") as file:
        good(file, h5py)
        spoil(file, h5py, tmp_path / "secret.h5")
    refused(tmp_path / "given" / "chip.h5", message)


@pytest.mark.parametrize("at", [9, 40, 60, 100, 400, 800])
def test_damaged_hdf5_is_one_sentence(tmp_path: Path, at: int) -> None:
    """Whatever the library says about a file that is cut or overwritten."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "chip.h5", "w") as file:
        good(file, h5py)
    content = (tmp_path / "chip.h5").read_bytes()
    (tmp_path / "chip.h5").write_bytes(content[:at] + b"\xff" * 64)
    refused(tmp_path / "chip.h5", "HDF5")


def _npy(values: Any) -> bytes:
    held = io.BytesIO()
    np.save(held, values, allow_pickle=True)
    return held.getvalue()


def _bomb() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("weights.npy", bytes(2**27))
    return held.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("chip.npy", lambda: _npy(np.array([[print]])), "must hold numbers, found type object"),
        ("chip.pkl", lambda: pickle.dumps(np.ones((2, 2))), "a pickle, which is never opened"),
        ("chip.npz", _bomb, "refused as a zip bomb"),
        ("chip.npy", lambda: _npy(np.ones((2, 2)))[:-8], "takes 32 bytes, found 24"),
        ("chip.mat", lambda: b"MATLAB 5.0 MAT-file", "it is a MATLAB file"),
    ],
)
def test_a_bad_binary_file_is_one_sentence(
    tmp_path: Path, name: str, content: Callable[[], bytes], message: str
) -> None:
    """No pickle is opened, and no archive unpacked that grows without end."""
    (tmp_path / name).write_bytes(content())
    refused(tmp_path / name, message)
