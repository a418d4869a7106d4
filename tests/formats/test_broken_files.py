"""Broken files, one per defect: each gives one sentence that names the file, the place and what was found."""

import gzip
import io
import json
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from formats.files import container, own, with_metadata

from matchopt.errors import FormatError
from matchopt.formats import read, read_catalogue, read_hardware
from matchopt.formats.catalogue import COLUMNS
from matchopt.instances import Hardware, LayerInstance, Target

LAYER = LayerInstance(
    Target.from_dense(np.array([[1.0, 2.0], [0.0, 3.0]])), Hardware(np.array([[1.0, 5.0], [6.0, 7.0]]))
)


def for_layer(path: Path) -> object:
    return read(path, instance=LAYER)


def mps(**sections: str) -> bytes:
    """A small good program with some sections replaced."""
    good = {
        "head": "NAME small\n",
        "rows": "ROWS\n N cost\n L r\n",
        "columns": "COLUMNS\n x cost 1 r 2\n y r 1\n",
        "rhs": "RHS\n RHS r 4\n",
        "ranges": "",
        "bounds": "BOUNDS\n UP BND x 3\n",
        "end": "ENDATA\n",
    }
    return "".join((good | sections).values()).encode()


def npy(array: np.ndarray, **changes: Any) -> bytes:
    """A .npy file, with text in its header replaced by text of equal length."""
    file = io.BytesIO()
    np.save(file, array)
    content = file.getvalue()
    for old, new in changes.items():
        content = content.replace(old.encode(), new)
    return content


def npz(**arrays: bytes) -> bytes:
    """An .npz file with these members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in arrays.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def wires(*lines: str) -> bytes:
    """A CSV wiring table with these lines."""
    return "\n".join(["layer,row,neuron,gain,cell,input,tunable,weight", *lines]).encode()


def rows(*entries: Any, **changes: Any) -> bytes:
    """A JSON wiring table with these rows."""
    table = {"matchopt_wiring": 1, "instance": LAYER.digest, "rows": list(entries)}
    return json.dumps(table | changes).encode()


def row(**changes: Any) -> dict[str, Any]:
    """A good row of a JSON wiring table, changed."""
    return {"layer": 0, "row": 0, "neuron": 0, "gain": 1.0, "wires": [], "tunable": []} | changes


def entry(**changes: str) -> bytes:
    """A catalogue with one line, changed."""
    good = dict(zip(COLUMNS, ("problems", "a.mps", "0" * 64, "program", "mps", "1", "1", "optimal", "us"), strict=True))
    return f"{','.join(COLUMNS)}\n{','.join((good | changes).values())}\n".encode()


def cost(**changes: Any) -> bytes:
    """A container with a tensor `cost` of two F64 and another entry, changed."""
    return container({"cost": {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]} | changes}, bytes(16))


def noted(**notes: Any) -> bytes:
    """A solution's file with a note changed."""
    about = {"role": "solution", "notes": {"instance": "", "solver": "", "seed": 1} | notes}
    return own(about, col_of=np.array([1, 0]))


def spaced(content: bytes) -> str:
    """The metadata of a file of ours with spaces between its values."""
    return json.dumps(json.loads(json.loads(content[8:].split(b"}}")[0] + b"}}")["__metadata__"]["matchopt"]))


def two(first: list[int], second: list[int]) -> bytes:
    """A container with two tensors of one F64 each at these offsets, and 24 bytes."""
    entries = {name: {"dtype": "F64", "shape": [1], "data_offsets": at} for name, at in (("a", first), ("b", second))}
    return container(entries, bytes(24))


DTYPES = "F64, F32, F16, I64, I32, I16, I8, U64, U32, U16, U8, BOOL"
GAP = "2 3\n1 2 3\n4 5 6\n1 1 1\n1 1 1\n5 5\n"
BOMB = gzip.compress(bytes(2**20), 9) * 128
INTEGER = "COLUMNS\n M 'MARKER' 'INTORG'\n x cost 1\n M 'MARKER' 'INTEND'\n"

# name of the file, content, expected message; the name's ending and the content choose the format
OWN: list[tuple[str, bytes, str]] = [
    ("empty.matchopt", b"", "header length: 8 bytes are needed, the file has 0"),
    ("short.matchopt", b"\x05\x00\x00", "header length: 8 bytes are needed, the file has 3"),
    ("long-header.matchopt", (2**62).to_bytes(8, "little") + b"{}", f"at most 16777216 bytes are read, found {2**62}"),
    ("past-end.matchopt", (99).to_bytes(8, "little") + b"{}", "99 bytes are announced, only 2 follow"),
    ("no-brace.matchopt", container(b" {}"), "header must begin with '{', found b' '"),
    ("latin.matchopt", container(b'{"\xe9": 1}'), "header: not UTF-8 at byte 2"),
    ("not-json.matchopt", container(b'{"a" 1}'), "header: not JSON at byte 5"),
    ("nan.matchopt", container(b'{"a": NaN}'), "header: NaN is no number"),
    ("infinity.matchopt", container(b'{"a": [-Infinity]}'), "header: -Infinity is no number"),
    ("huge-float.matchopt", container(b'{"a": 1e999}'), "header: number 1e999 is too large"),
    ("surrogate.matchopt", container(b'{"\\ud800": 1}'), "half a character"),
    ("duplicate.matchopt", container(b'{"cost": 1, "cost": 2}'), "header: duplicate key 'cost'"),
    ("deep.matchopt", container(b"{" + b'"a":{' * 20 + b"}" * 21), "header: nested 21 deep, at most 16"),
    ("list.matchopt", container({"cost": [1]}), "tensor 'cost': must be an object of dtype, shape and data_offsets"),
    ("extra-key.matchopt", cost(sparse=True), "tensor 'cost': must be an object of dtype, shape and data_offsets"),
    ("dtype.matchopt", cost(dtype="BF16"), f"tensor 'cost': dtype must be one of {DTYPES}, found 'BF16'"),
    ("dtype-list.matchopt", cost(dtype=[]), f"tensor 'cost': dtype must be one of {DTYPES}, found '[]'"),
    ("negative.matchopt", cost(shape=[-2]), "tensor 'cost': shape must be at most 4 whole numbers >= 0, found [-2]"),
    ("fraction.matchopt", cost(shape=[2.0]), "tensor 'cost': shape must be at most 4 whole numbers >= 0, found [2.0]"),
    ("boolean.matchopt", cost(shape=[True]), "shape must be at most 4 whole numbers >= 0, found [True]"),
    ("five.matchopt", cost(shape=[1, 1, 1, 1, 2]), "shape must be at most 4 whole numbers"),
    ("terabyte.matchopt", cost(shape=[2**37], data_offsets=[0, 2**40]), "do not lie in the 16 bytes of the file"),
    ("too-big.matchopt", cost(shape=[3]), "shape (3,) of F64 takes 24 bytes, data_offsets hold 16"),
    ("backwards.matchopt", cost(data_offsets=[16, 0]), "data_offsets 16 .. 0 do not lie"),
    ("offsets.matchopt", cost(data_offsets=[16]), "data_offsets must be two whole numbers >= 0, found [16]"),
    ("overlap.matchopt", two([0, 8], [4, 12]), "tensor 'b': data_offsets: begins at 4 instead of 8, which overlaps"),
    ("hole.matchopt", two([0, 8], [16, 24]), "tensor 'b': data_offsets: begins at 16 instead of 8, which leaves a gap"),
    ("tail.matchopt", two([0, 8], [8, 16]), "8 bytes follow the last tensor"),
    ("path.matchopt", container({"../../x": {}}), "tensor '../../x': a name is letters, digits and underscores"),
    ("metadata.matchopt", container({"__metadata__": {"matchopt": 1}}), "__metadata__ must be an object of texts"),
    ("foreign.matchopt", with_metadata({"format": "pt"}, {}), "metadata must hold exactly 'matchopt', found format"),
    ("no-object.matchopt", with_metadata({"matchopt": "[]"}, {}), "metadata: 'matchopt' must be an object"),
    ("twice.matchopt", with_metadata({"matchopt": '{"kind": 1, "kind": 2}'}, {}), "metadata: duplicate key 'kind'"),
    ("newer.matchopt", own({"schema": 4}), "schema is 4: written by a newer matchopt, this one reads up to 3"),
    ("schema.matchopt", own({"schema": "1"}), "schema must be a whole number >= 1, found '1'"),
    ("role.matchopt", own({"role": "both"}), "role must be one of instance, solution, network, checkpoint, found"),
    ("network.matchopt", own({"role": "network"}), "holds a network of kind assignment, an instance or a solution is"),
    ("kind.matchopt", own({"kind": "knapsack"}), "kind must be one of network, layer, assignment, program"),
    ("missing.matchopt", own({"facts": None}), "metadata: 'facts' is missing"),
    ("unknown.matchopt", own({"colour": "red"}), "metadata: 'colour' is unknown"),
    ("facts.matchopt", own({"facts": []}), "facts must be an object, found []"),
    ("strange-fact.matchopt", own({"facts": {"n": 1}}), "assignment: 'n' is unknown"),
    ("provenance.matchopt", own({"notes": {"seed": "7"}}), "provenance: seed must be a whole number or none"),
    ("notes.matchopt", own({"notes": []}), "notes must be an object, found []"),
    ("strange-note.matchopt", noted(colour="red"), "notes: colour is unknown"),
    ("seed.matchopt", noted(seed=1.5), "notes: seed must be a whole number or none, found 1.5"),
    ("solver.matchopt", noted(solver=3), "notes: solver must be text, found 3"),
    ("wrong-sha.matchopt", own({"sha256": "0" * 64}), "sha256 differs from that of the content; the file is damaged"),
    ("sha-list.matchopt", own({"sha256": []}), "sha256 differs from that of the content; the file is damaged"),
    ("no-sha.matchopt", own({"sha256": None}), "metadata: 'sha256' is missing"),
    ("spaces.matchopt", with_metadata({"matchopt": spaced(own())}, {"cost": np.eye(2)}), "must be canonical JSON"),
    ("no-cost.matchopt", own(None, price=np.zeros((2, 2))), "assignment: 'cost' is missing"),
    (
        "nan-cost.matchopt",
        own(None, cost=np.array([[np.nan]])),
        "cost must be numbers or inf, found nan at position 0, 0",
    ),
    ("flat.matchopt", own(None, cost=np.zeros(2)), "cost must have 2 dimension(s), found shape (2,)"),
    ("bomb.matchopt", BOMB, "refused as a gzip bomb"),
    ("cut.matchopt.gz", gzip.compress(own())[:-9], "damaged gzip data: it ends in the middle"),
    ("crc.matchopt.gz", gzip.compress(own())[:-8] + bytes(8), "damaged gzip data after"),
    ("binary", b"\x00\x01\x02\x03", "format not recognised"),
]
MPS: list[tuple[str, bytes, str]] = [
    ("empty.mps", b"", ":1: ENDATA is missing"),
    ("no-end.mps", mps(end=""), ":11: ENDATA is missing"),
    ("no-rows.mps", mps(rows=""), ":2: section COLUMNS comes before ROWS"),
    ("no-objective.mps", mps(rows="ROWS\n L cost\n L r\n"), "ROWS has no N row"),
    (
        "row-kind.mps",
        mps(rows="ROWS\n N cost\n X r\n"),
        ":4: a row is N, L, G or E and a name without spaces, found 'X r'",
    ),
    ("row-twice.mps", mps(rows="ROWS\n N cost\n L r\n G r\n"), ":5: row 'r' comes twice"),
    ("section.mps", mps(ranges="SOS\n"), ":10: section 'SOS' is not read"),
    ("section-twice.mps", mps(ranges="RHS\n"), ":10: section RHS comes twice"),
    (
        "spaces.mps",
        mps(columns="COLUMNS\n my x cost 1\n"),
        ":6: a column is a name and one or two pairs of row and number",
    ),
    ("no-row.mps", mps(columns="COLUMNS\n x q 1\n"), ":6: row 'q' is not in ROWS"),
    ("number.mps", mps(columns="COLUMNS\n x r 1_0\n"), ":6: expected a number, found '1_0'"),
    ("nan.mps", mps(columns="COLUMNS\n x r nan\n"), ":6: expected a number, found 'nan'"),
    ("too-large.mps", mps(columns="COLUMNS\n x r 1e999\n"), ":6: number 1e999 is too large"),
    ("entry-twice.mps", mps(columns="COLUMNS\n x r 1 r 2\n"), ":6: column 'x' has two entries in row 'r'"),
    ("column-apart.mps", mps(columns="COLUMNS\n x r 1\n y r 1\n x cost 1\n"), ":8: column 'x' comes twice"),
    (
        "marker.mps",
        mps(columns="COLUMNS\n M 'MARKER' 'INTEND'\n x r 1\n"),
        ":6: marker must be INTORG here, found 'INTEND'",
    ),
    ("marker-open.mps", mps(columns="COLUMNS\n M 'MARKER' 'INTORG'\n x r 1\n"), ":8: marker INTEND is missing"),
    ("column-one.mps", mps(rows="ROWS\nN cost\n L r\n"), ":3: lines of data begin with a blank, and 'N' is no section"),
    ("dollar-row.mps", mps(columns="COLUMNS\n x r 1 $q 2\n"), ":6: row '$q' is not in ROWS"),
    ("rhs-twice.mps", mps(rhs="RHS\n RHS r 4\n RHS r 4\n"), ":10: the right-hand side of row 'r' is given twice"),
    ("rhs-sets.mps", mps(rhs="RHS\n A r 4\n B cost 4\n"), ":10: a second set 'B' in RHS after 'A'"),
    ("rhs-infinite.mps", mps(rhs="RHS\n RHS r -1e30\n"), "row 'r' (L) is limited by -inf and -inf"),
    ("range-free.mps", mps(ranges="RANGES\n R cost 4\n"), ":11: row 'cost' is free (N) and can have no range"),
    ("bound-kind.mps", mps(bounds="BOUNDS\n SC BND x 3\n"), ":11: bound 'SC' is not read"),
    ("bound-column.mps", mps(bounds="BOUNDS\n UP BND z 3\n"), ":11: bound of column 'z', which COLUMNS does not have"),
    (
        "bound-twice.mps",
        mps(bounds="BOUNDS\n UP BND x 3\n FX BND x 1\n"),
        ":12: bound FX of column 'x': the upper bound was",
    ),
    (
        "bound-negative.mps",
        mps(bounds="BOUNDS\n UP BND x -3\n"),
        ":11: column 'x' has the upper bound -3.0 and no lower",
    ),
    ("bound-half.mps", mps(bounds="BOUNDS\n UI BND x 3.5\n"), ":11: bound UI of column 'x': must be a whole number"),
    ("bound-empty.mps", mps(bounds="BOUNDS\n UP BND x\n"), ":11: bound of column 'BND', which COLUMNS does not have"),
    ("bound-free.mps", mps(bounds="BOUNDS\n FR\n"), ":11: bound FR takes a column, found ''"),
    ("sense.mps", mps(head="OBJSENSE\n UP\n"), ":2: OBJSENSE must be MIN or MAX, found 'UP'"),
    ("sense-twice.mps", mps(head="OBJSENSE MAX\n MIN\n"), ":2: the sense is given twice"),
    ("latin.mps", mps(columns="COLUMNS\n \u20ac r 1\n").replace("\u20ac".encode(), b"\xe9"), ":6: not UTF-8 text"),
    ("zero.mps", mps(bounds="BOUNDS\n\0\n"), ":11: a text file holds no zero bytes"),
]
TEXT: list[tuple[str, bytes, str]] = [
    ("few.txt:orlib-assignment", b"2\n1 2\n3\n", ":4: n = 2 needs 4 costs, found 3"),
    ("many.txt:orlib-assignment", b"2\n1 2\n3 4\n5\n", ":4: n = 2 needs 4 costs, found more: 5"),
    ("word.txt:orlib-assignment", b"2\n1 2\n3 four\n", ":3: expected a number, found 'four'"),
    ("infinite.txt:orlib-assignment", b"1\n1e999\n", ":2: 1e999 is too large"),
    ("long.txt:orlib-assignment", b"1\n9223372036854775808\n", ":2: 9223372036854775808 does not fit a 64-bit integer"),
    ("nothing.txt:orlib-assignment", b"\n \n", ":1: the file is empty"),
    (
        "minus.txt:orlib-assignment",
        b"-2\n1\n",
        "the number of rows must be a whole number in 0 .. 2147483647, found -2",
    ),
    (
        "third.txt:orlib-assignment-sparse",
        b"2\n1 1 5\n2 2\n",
        ":3: triples of row, column and cost are expected, 2 token",
    ),
    (
        "twice.txt:orlib-assignment-sparse",
        b"2\n1 2 5\n2 1 1\n1 2 7\n",
        ":4: the pair row 1, column 2 was given on line 2",
    ),
    ("zero.txt:orlib-assignment-sparse", b"2\n1 1 5\n0 2 1\n", ":3: row must be a whole number in 1 .. 2, found 0"),
    (
        "beyond.txt:orlib-assignment-sparse",
        b"2\n1 1 5\n1 3 1\n",
        ":3: column must be a whole number in 1 .. 2, found 3",
    ),
    ("half.txt:orlib-assignment-sparse", b"2\n1 1.5 5\n", ":2: column must be a whole number in 1 .. 2, found 1.5"),
    ("idle.txt:orlib-assignment-sparse", b"2000000000\n1 1 5\n", ":1: n = 2000000000 for 1 pairs"),
    ("either.txt", b"3\n1 1 2\n1 2 2\n1 3 2\n", "fits orlib-assignment and orlib-assignment-sparse; name the format"),
    ("none.txt", b"7 7 7\n", "format not recognised, the file begins with '7 7 7"),
    ("short.gap", GAP[:-2].encode(), ":6: 2 agents and 3 items need 14 numbers (costs, weights, capacities), found 13"),
    (
        "tail.gap",
        f"{GAP}9 9\n".encode(),
        ":7: 2 agents and 3 items need 14 numbers (costs, weights, capacities), found 16",
    ),
    ("several.gap", f"2\n{GAP}{GAP}".encode(), ":1: holds 2 problems with their count in front; split it"),
    ("agents.gap", b"0 3\n", ":1: the number of agents must be a whole number >= 1, found 0"),
    ("huge.gap", b"2000000000 2000000000\n1\n", "need 8000000002000000000 numbers"),
    ("x.lp:lp", b"Minimize\n", "format lp is only written, never read"),
]
WIRING: list[tuple[str, bytes, str]] = [
    ("columns.csv", b"layer,row,neuron,cell\n0,0,0,0\n", ":1: the first line must be layer,row,neuron,gain"),
    ("few.csv", wires("0,0,0,1.0,0"), ":2: a line has 8 values, found 5"),
    ("word.csv", wires("0,0,x,1.0,0,0,0,1.0"), ":2: neuron must be a whole number >= 0, found 'x'"),
    ("gain.csv", wires("0,0,0,nan,0,0,0,1.0"), ":2: gain must be a finite number, found 'nan'"),
    ("flag.csv", wires("0,0,0,1.0,0,0,yes,1.0"), ":2: tunable must be 0 or 1, found 'yes'"),
    ("row.csv", wires("0,9,0,1.0,0,0,0,1.0"), ":2: layer 0, row 9 is not in the instance"),
    ("neuron.csv", wires("0,0,2,1.0,0,0,0,1.0"), ":2: neuron must be in 0 .. 1, found 2"),
    ("weight.csv", wires("0,0,0,1.0,0,0,0,1.5"), ":2: weight 1.5 should be 1.0; the table belongs to another instance"),
    ("no-input.csv", wires("0,0,0,1.0,0,,0,1.0"), ":2: a line has a cell and an input, or an input and tunable 1"),
    ("no-connection.csv", wires("0,1,0,1.0,,0,1,1.0"), ":2: row 1 has no connection to input 0 that could be tunable"),
    ("missing.csv", wires("0,0,0,1.0,0,0,0,1.0"), "layer 0, row 1 is missing"),
    (
        "second.csv",
        wires("0,0,0,1.0,0,0,0,1.0", "0,0,1,1.0,0,1,0,6.0"),
        ":3: row 0 of layer 0 has a second neuron, gain or bias",
    ),
    ("twice.csv", wires(*["0,0,0,1.0,0,0,0,1.0"] * 2), ":3: row 0 of layer 0 has the same line twice"),
    (
        "both.csv",
        wires("0,0,0,1.0,0,0,0,1.0", "0,0,0,1.0,,,0,"),
        ":3: row 0 of layer 0 has wires and a line without any",
    ),
    ("quote.csv", wires('"0,0'), "not CSV"),
    ("version.json", rows(matchopt_wiring=2), "matchopt_wiring must be 1, found 2"),
    ("other.json", rows(instance="0" * 64), "the table belongs to the instance 0000"),
    ("key.json", rows({"layer": 0}), "table: rows.0 lacks row, neuron, gain, wires, tunable"),
    ("whole.json", rows(row(neuron=1.5)), "table: rows.0.neuron must be a whole number >= 0, found 1.5"),
    ("wire.json", rows(row(wires=[7])), "table: rows.0.wires.0 must be a table, found 7"),
    ("range.json", rows(row(neuron=4)), "rows[0]: neuron must be in 0 .. 1, found 4"),
    ("rows.json", rows(rows={}), "table: rows must be a list of tables, found {}"),
    ("text.json", b'{"matchopt_wiring": 1,', "not JSON at byte 22"),
]
HARDWARE: list[tuple[str, bytes, str]] = [
    ("object.npy", npy(np.zeros((1, 1)), **{"'<f8'": b"'|O8'"}), "must hold numbers, found type object"),
    ("shape.npy", npy(np.zeros((1, 1)), **{"(1, 1)": b"(9, 9)"}), "shape (9, 9) of float64 takes 648 bytes, found 8"),
    ("cube.npy", npy(np.zeros((1, 1, 2))), "chip.weights must have 2 dimension(s), found shape (1, 1, 2)"),
    ("line.npy", npy(np.zeros(3)), "chip.weights must have 2 dimension(s), found shape (3,)"),
    ("code.npy", npy(np.zeros((1, 1)), **{"'descr'": b"exit(1)"}), "damaged .npy header"),
    ("version.npy", b"\x93NUMPY\x09\x00" + bytes(80), ".npy version 9.0 is not read"),
    ("nan.npy", npy(np.array([[1.0, np.nan]])), "weights: nan at neuron 0, cell 1 is a cell without a reading"),
    ("hollow.npy", npy(np.zeros((0, 3))), "holds no numbers, shape (0, 3)"),
    ("several.npz", npz(a=npy(np.eye(2)), b=npy(np.eye(2))), "holds 2 arrays, choose one by its name: a, b"),
    ("stray.npz", npz(weights=npy(np.eye(2)), noise=npy(np.eye(2))), "array 'noise' is none of weights, variance"),
    ("fits.npz", npz(weights=npy(np.eye(2)), off=npy(np.eye(3))), "chip.off must have shape (2, 2), found (3, 3)"),
    ("bomb.npz", npz(weights=bytes(2**27)), "refused as a zip bomb"),
    ("cut.npz", npz(weights=npy(np.eye(2)))[:-30], "damaged archive"),
    ("ragged.csv", b"1,2\n3\n", ":2: 2 numbers per line are expected, found 1"),
    ("header.csv", b"# cells\n1,2\na,b\n", ":3: column 1: expected a finite number, found 'a'"),
    ("gap.txt", b"1 2\n3 ?\n", ":2: column 2: expected a finite number, found '?'"),
    ("nothing.txt", b"# nothing\n", "holds no numbers"),
]
CATALOGUE: list[tuple[str, bytes, str]] = [
    ("columns.csv", b"path,kind\n", ":1: the first line must be place,path,sha256"),
    ("place.csv", entry(place="web"), ":2: place must be one of library, problems, recipe, found 'web'"),
    ("path.csv", entry(path="../a.mps"), ":2: path must stay below its folder, found '../a.mps'"),
    ("hash.csv", entry(sha256="abc"), ":2: sha256 must be 64 hexadecimal digits, found 'abc'"),
    ("kind.csv", entry(kind="ilp"), ":2: kind must be one of network, layer, assignment, program, found 'ilp'"),
    ("format.csv", entry(format="cnf"), ":2: format must be one of matchopt, mps"),
    ("value.csv", entry(best_value="1 000"), ":2: best_value must be a number or none, found '1 000'"),
    ("status.csv", entry(status="great"), ":2: status must be one of optimal, feasible, infeasible, unknown"),
    ("twice.csv", entry() + entry().splitlines()[1], ":3: path 'a.mps' comes twice"),
    ("few.csv", entry() + b"problems,b.mps\n", ":3: a line has 9 values, found 2"),
]
READERS: tuple[tuple[str, Callable[[Path], object], list[tuple[str, bytes, str]]], ...] = (
    ("own", read, OWN),
    ("mps", read, MPS),
    ("text", read, TEXT),
    ("wiring", for_layer, WIRING),
    ("hardware", read_hardware, HARDWARE),
    ("catalogue", read_catalogue, CATALOGUE),
)
CASES = [pytest.param(reader, *case, id=f"{group}-{case[0]}") for group, reader, table in READERS for case in table]


@pytest.mark.parametrize(("reader", "name", "content", "message"), CASES)
def test_a_broken_file_gives_one_sentence(
    tmp_path: Path, reader: Callable[..., object], name: str, content: bytes, message: str
) -> None:
    """The error is a FormatError that begins with the path and says which place is wrong and what was found."""
    file, _, format = name.partition(":")
    path = tmp_path / file
    path.write_bytes(content)
    with pytest.raises(FormatError) as caught:
        reader(path, format) if format else reader(path)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert message in text
    assert "\n" not in text
    assert len(text) < len(str(path)) + 400


def test_the_table_is_long_enough_and_names_no_case_twice() -> None:
    """At least 40 broken files, spread over every format, each of its own."""
    assert len(CASES) >= 40
    assert len({case.id for case in CASES}) == len(CASES)
    assert all(len(table) >= 10 for _, _, table in READERS)


@pytest.mark.parametrize("what", ["missing", "folder", "pipe"])
def test_what_is_no_file_gives_one_sentence(tmp_path: Path, what: str) -> None:
    """A missing file, a folder and a named pipe (which would block) are refused by name."""
    path = tmp_path / what
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    with pytest.raises(FormatError, match=re.escape(str(path))):
        read(path)


def test_the_good_files_behind_the_broken_ones_are_read(tmp_path: Path) -> None:
    """What the table breaks is sound before it is broken, so each failure has the one cause it names."""
    good = {
        "own.matchopt": own(),
        "own.matchopt.gz": gzip.compress(own()),
        "good.mps": mps(),
        "whole.mps": mps(columns=INTEGER, rhs="", bounds="BOUNDS\n PL BND x\n"),
        "good.gap": GAP.encode(),
        "one.gap": f"1\n{GAP}".encode(),
    }
    for name, content in good.items():
        (tmp_path / name).write_bytes(content)
        read(tmp_path / name)
    (tmp_path / "w.csv").write_bytes(wires("0,0,0,1.0,0,0,0,1.0", "0,1,1,-2.0,,1,1,3.0", "0,0,0,1.0,,1,1,2.0"))
    for_layer(tmp_path / "w.csv")
    (tmp_path / "w.json").write_bytes(rows(row(), row(row=1, neuron=1)))
    for_layer(tmp_path / "w.json")
    (tmp_path / "h.npz").write_bytes(npz(weights=npy(np.eye(2)), off=npy(np.eye(2))))
    read_hardware(tmp_path / "h.npz")
    (tmp_path / "c.csv").write_bytes(entry())
    read_catalogue(tmp_path / "c.csv")
