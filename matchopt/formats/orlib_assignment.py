"""OR-Library linear assignment, dense and sparse (Beasley 1990): a token stream, costs minimised.

Dense: `n`, then n * n costs row by row. Sparse: `n`, then triples `row column cost`, counted from 1; a pair that is
missing is forbidden, and a cost of 0 is a cost.

References
----------
Beasley, J. E. (1990). OR-Library: distributing test problems by electronic mail. JORS 41(11), 1069-1072,
doi:10.1057/jors.1990.166.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Int, Num

from matchopt.errors import Refused
from matchopt.formats.atomic import write_bytes
from matchopt.formats.numbers import line_of
from matchopt.formats.sources import Source
from matchopt.instances import AssignmentInstance, Provenance
from matchopt.instances.demands import AT_0_1, understanding

MAX_IDLE = 2**20  # rows of a sparse file beyond its pairs: rows take memory, and no bytes stand behind empty ones


def is_dense(source: Source) -> bool:
    """Whether the number of tokens is n * n + 1."""
    if not source.is_numeric:
        return False
    tokens = source.numbers
    return float(tokens[0]) >= 0 and len(tokens) - 1 == float(tokens[0]) ** 2


def is_sparse(source: Source) -> bool:
    """Whether the tokens are a size and triples of a row, a column and a cost, no pair twice."""
    if not source.is_numeric or len(source.numbers) % 3 != 1 or len(source.numbers) == 1:
        return False  # a size alone would be an instance without pairs: possible, but not worth guessing
    n = float(source.numbers[0])
    pairs = source.numbers[1:].reshape(-1, 3)[:, :2]
    if not 0 <= n < 2**31 or not n.is_integer() or (pairs != np.floor(pairs)).any():
        return False
    if (pairs < 1).any() or (pairs > n).any():
        return False
    keys = np.sort((pairs[:, 0] - 1) * n + pairs[:, 1])
    return not (np.diff(keys) == 0).any()


def read_dense(source: Source) -> AssignmentInstance:
    """Read the dense form; whole costs stay integers.

    Raises
    ------
    FormatError
        naming the line of what is wrong.
    """
    tokens = source.numbers
    n = _size(source, tokens)
    found = len(tokens) - 1
    if found < n * n:
        raise source.error(f"n = {n} needs {n * n} costs, found {found}", line_of(source.text, len(tokens)))
    if found > n * n:
        raise source.error(f"n = {n} needs {n * n} costs, found more: {found}", line_of(source.text, n * n + 1))
    return _instance(source, tokens[1:].reshape(n, n))


def read_sparse(source: Source) -> AssignmentInstance:
    """Read the sparse form; pairs may come in any order.

    Raises
    ------
    FormatError
        naming the line of what is wrong.
    """
    tokens = source.numbers
    n = _size(source, tokens)
    if len(tokens) % 3 != 1:
        left = (len(tokens) - 1) % 3
        raise source.error(
            f"triples of row, column and cost are expected, {left} token(s) are left over",
            line_of(source.text, len(tokens) - left),
        )
    triples = tokens[1:].reshape(-1, 3)
    if n > len(triples) + MAX_IDLE:
        raise source.error(f"n = {n} for {len(triples)} pairs: most rows would have no pair at all", 1)
    for column, what in ((0, "row"), (1, "column")):
        values = triples[:, column]
        wrong = (values < 1) | (values > n) | (values != np.floor(values))
        if wrong.any():
            k = int(np.argmax(wrong))
            line = line_of(source.text, 1 + 3 * k + column)
            raise source.error(f"{what} must be a whole number in 1 .. {n}, found {values[k]}", line)
    return _from_triples(source, n, triples)


def _from_triples(source: Source, n: int, triples: Num[np.ndarray, "pairs 3"]) -> AssignmentInstance:
    rows, columns = triples[:, 0].astype(np.int64) - 1, triples[:, 1].astype(np.int64) - 1
    order = np.argsort(rows * n + columns, kind="stable")
    rows, columns = rows[order], columns[order]
    twice = (np.diff(rows) == 0) & (np.diff(columns) == 0)
    if twice.any():
        k = int(np.argmax(twice))
        first, second = (line_of(source.text, 1 + 3 * int(order[at])) for at in (k, k + 1))
        pair = f"row {rows[k] + 1}, column {columns[k] + 1}"
        raise source.error(f"the pair {pair} was given on line {first} already", second)
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))])
    return _instance(source, triples[order, 2], starts, columns, n)


@understanding("the format orlib-assignment", AT_0_1["assignment"])
def write_dense(instance: AssignmentInstance, path: Path) -> None:
    """Write the dense form, one row of costs on a line.

    Raises
    ------
    Refused
        when the instance is not square, is sparse, or forbids a pair, which this form cannot say.
    """
    _check_square(instance)
    if instance.is_sparse or (not instance.is_integral and bool(np.isinf(instance.cost).any())):
        raise Refused("the dense OR-Library form cannot say that a pair is forbidden; write orlib-assignment-sparse")
    lines = [str(instance.n_rows), *(" ".join(map(repr, row)) for row in instance.cost.tolist())]
    write_bytes(path, ("\n".join(lines) + "\n").encode())


@understanding("the format orlib-assignment-sparse", AT_0_1["assignment"])
def write_sparse(instance: AssignmentInstance, path: Path) -> None:
    """Write the sparse form, one allowed pair on a line.

    Raises
    ------
    Refused
        when the instance is not square.
    """
    _check_square(instance)
    lines = [str(instance.n_rows)]
    for i in range(instance.n_rows):
        columns, costs = instance.row(i)
        pairs = zip(columns.tolist(), costs.tolist(), strict=True)
        lines += [f"{i + 1} {j + 1} {cost!r}" for j, cost in pairs]
    write_bytes(path, ("\n".join(lines) + "\n").encode())


def _size(source: Source, tokens: Num[np.ndarray, " tokens"]) -> int:
    if len(tokens) == 0:
        raise source.error("the file is empty; it must begin with the number of rows", 1)
    if tokens[0] < 0 or tokens[0] != np.floor(tokens[0]) or tokens[0] > 2**31 - 1:
        line = line_of(source.text, 0)
        raise source.error(f"the number of rows must be a whole number in 0 .. 2147483647, found {tokens[0]}", line)
    return int(tokens[0])


def _instance(
    source: Source,
    cost: Num[np.ndarray, "..."],
    indptr: Int[np.ndarray, " rows_and_one"] | None = None,
    indices: Int[np.ndarray, " pairs"] | None = None,
    n_cols: int = -1,
) -> AssignmentInstance:
    with source.named():
        return AssignmentInstance(cost, indptr, indices, n_cols, Provenance(name=source.stem))


def _check_square(instance: AssignmentInstance) -> None:
    if instance.n_rows != instance.n_cols:
        shape = f"{instance.n_rows} x {instance.n_cols}"
        raise Refused(
            f"OR-Library assignment files are square, this instance is {shape}; write matchopt or mps instead"
        )
