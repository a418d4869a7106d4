"""QAPLIB's quadratic assignment problems, read as the crossbars that they are.

A token stream: n, matrix A, matrix B (a number behind n, which some files have, is skipped); over permutations p the
sum over i, x of A[i,x] B[p(i),p(x)] is minimised. With W = t I - A/2 and h = t I + B on one bus, rows and inputs at p
cost that sum and a constant. Two permutations instead of one lose 2 t^2 for each of k lines that differ, and gain at
most k (t (2 b + a) + c b), a and b being the ranges of A and B and c the largest column sum of |A|: t is large enough
that this is less, so that the crossbar's optimum is the problem's.

References
----------
R. E. Burkard, S. E. Karisch, F. Rendl (1997). QAPLIB - a quadratic assignment problem library. Journal of Global
Optimization 10, 391-403, doi:10.1023/A:1008293323270.
"""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from matchopt.errors import Refused
from matchopt.formats.atomic import write_bytes
from matchopt.formats.numbers import line_of
from matchopt.formats.sources import Source
from matchopt.instances import Hardware, LayerInstance, Provenance, Target
from matchopt.instances.demands import understanding

MAX_SIDE = 4096  # of a matrix: tokens are at hand, the layer has as many connections
MAX_ENTRY = 10**12  # of a matrix, so that doubles tell t from its neighbours
_SHIFT = re.compile(r"\bt = ([0-9]+(?:\.[0-9]+)?(?:e\+?[0-9]+)?)")


def is_qap(source: Source) -> bool:
    """Whether the tokens are n, two matrices of n rows and columns, and no more than one number besides."""
    if not source.is_numeric:
        return False
    n, count = float(source.numbers[0]), len(source.numbers)
    return n >= 1 and count - 1 - 2 * n * n in (0, 1)


def read_qap(source: Source) -> LayerInstance:
    """Read a problem as a crossbar; its provenance says t, and by what the objective exceeds the problem's value.

    Raises
    ------
    FormatError
        naming the line of what is wrong.
    """
    tokens = source.numbers
    if len(tokens) == 0 or not 1 <= tokens[0] <= MAX_SIDE or tokens[0] != np.floor(tokens[0]):
        found = "nothing" if len(tokens) == 0 else tokens[0]
        raise source.error(f"must begin with the size, a whole number in 1 .. {MAX_SIDE}, found {found}", 1)
    n = int(tokens[0])
    extra = len(tokens) - 1 - 2 * n * n
    if extra not in (0, 1):
        line = line_of(source.text, min(len(tokens), 2 * n * n + 1))
        raise source.error(f"n = {n} needs two matrices, {2 * n * n} numbers, found {len(tokens) - 1}", line)
    matrices = tokens[1 + extra :].astype(np.float64).reshape(2, n, n)
    if np.abs(matrices).max() > MAX_ENTRY:
        at = 1 + extra + int(np.abs(matrices).argmax())
        raise source.error(f"entries are at most {MAX_ENTRY:g}, found {tokens[at]}", line_of(source.text, at))
    t = float(math.floor(_least_shift(*matrices)) + 1)
    constant = offset(matrices[0], matrices[1], t)
    words = f"QAPLIB {source.stem}; t = {t!r}; its value is the objective less {constant!r}"
    provenance = Provenance(source.stem, words)
    with source.named():
        eye, bus = t * np.eye(n), np.zeros(n, np.int64)
        target = Target.from_dense(eye - matrices[0] / 2.0, np.ones((n, n), bool))
        return LayerInstance(target, Hardware(eye + matrices[1], bus=bus), provenance=provenance)


def is_crossbar(thing: Any) -> bool:
    """Whether it is a square crossbar on which every target neuron listens to every input."""
    if not isinstance(thing, LayerInstance):
        return False
    n, chip = thing.n_rows, thing.hardware
    square = chip.weights.shape == (n, n) and thing.target.n_inputs == n and thing.target.n_connections == n * n
    return n > 0 and square and len(set(chip.bus.tolist())) == 1


@understanding("the format qaplib", {"shared-bus"})
def write_qap(layer: LayerInstance, path: Path) -> None:
    """Write a crossbar that was read from this form, or that is of it.

    Raises
    ------
    Refused
        when nothing says what t was, neither its provenance nor a constant diagonal; or when two permutations may be
        better than one, so that the problem would be another.
    """
    t = _shift_of(layer)
    n, eye = layer.n_rows, t * np.eye(layer.n_rows)
    matrices = 2.0 * (eye - layer.target.dense()), layer.hardware.weights - eye
    if abs(t) < _least_shift(*matrices) * (1.0 - 1e-9):
        raise Refused(f"t = {t:g} is too small: the rows of this crossbar may be better off in another order than its "
                      "inputs, which a quadratic assignment cannot say")  # fmt: skip
    lines = [str(n), *(" ".join(map(_number, row)) for matrix in matrices for row in matrix.tolist())]
    write_bytes(path, ("\n".join(lines) + "\n").encode())


def offset(first: Float[np.ndarray, "n n"], second: Float[np.ndarray, "n n"], t: float) -> float:
    """By what the crossbar's error exceeds the value of the problem of A = `first` and B = `second`."""
    eye = t * np.eye(len(first))
    squares = float(((eye - first / 2.0) ** 2).sum() + ((eye + second) ** 2).sum())
    return squares - 2.0 * len(first) * t * t - 2.0 * t * float(second.trace()) + t * float(first.trace())


def _least_shift(first: Float[np.ndarray, "n n"], second: Float[np.ndarray, "n n"]) -> float:
    """The t with 2 t^2 = t (2 b + a) + c b; see above for those."""
    a, b = float(np.ptp(first)), float(np.ptp(second))
    c = float(np.abs(first).sum(axis=0).max())
    return (2 * b + a + math.sqrt((2 * b + a) ** 2 + 8 * c * b)) / 4


def _shift_of(layer: LayerInstance) -> float:
    said = _SHIFT.search(layer.provenance.source)
    if said is not None:
        return float(said[1])
    for diagonal in (layer.target.dense().diagonal(), layer.hardware.weights.diagonal()):
        if np.ptp(diagonal) == 0.0:
            return float(diagonal[0])
    raise Refused("neither the provenance nor a constant diagonal says what t was in W = t I - A/2 and h = t I + B")


def _number(x: float) -> str:
    return str(int(x)) if x == int(x) else repr(x)
