"""MPS, written so that no two programs read it differently: minimise, one N row, bounds for every column, no RANGES."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from matchopt.errors import Refused
from matchopt.formats.atomic import write_bytes
from matchopt.formats.mps_read import INFINITE
from matchopt.formats.numbers import number_text
from matchopt.instances import ProgramInstance
from matchopt.instances.demands import AT_0_1, understanding


@understanding("the format mps", AT_0_1["program"])
def write_mps(instance: ProgramInstance, path: Path) -> None:
    """Write a program in free MPS; a row with two limits becomes two rows, a row without limits is left out.

    Raises
    ------
    Refused
        for finite bounds of 1e30 and beyond, which MPS readers take as no bound.
    """
    write_bytes(path, ("\n".join(_lines(instance)) + "\n").encode())


def _lines(instance: ProgramInstance) -> Iterator[str]:
    _check_sizes(instance)
    rows = _rows(instance)
    taken = {name for name, *_ in rows}
    objective = _free_name("cost", taken)
    yield f"NAME {'_'.join(instance.provenance.name.split()) or 'matchopt'}"
    yield "ROWS"
    yield f" N  {objective}"
    for name, kind, _, _ in rows:
        yield f" {kind}  {name}"
    yield "COLUMNS"
    yield from _columns(instance, rows, objective)
    yield "RHS"
    sides = [(objective, 0.0 - instance.offset), *((name, value) for name, _, value, _ in rows)]
    for name, value in sides:
        if number_text(value) != "0":
            yield f"    RHS  {name}  {number_text(value)}"
    yield "BOUNDS"
    names = [instance.variable_name(v) for v in range(instance.n_variables)]
    bound = _free_name("BND", set(names))
    for name, low, high in zip(names, instance.low.tolist(), instance.high.tolist(), strict=True):
        yield from _bounds(f"{bound}  {name}", low, high)
    yield "ENDATA"


def _rows(instance: ProgramInstance) -> list[tuple[str, str, float, int]]:
    """Name, kind, right-hand side and number in the instance of every row to write."""
    taken = {instance.row_name(i) for i in range(instance.n_rows)}
    rows = []
    for i in range(instance.n_rows):
        name, low, high = instance.row_name(i), float(instance.row_low[i]), float(instance.row_high[i])
        if low == high:
            rows.append((name, "E", low, i))
        elif np.isfinite(low) and np.isfinite(high):
            second = _free_name(f"{name}_high", taken)
            taken.add(second)
            rows += [(name, "G", low, i), (second, "L", high, i)]
        elif np.isfinite(low):
            rows.append((name, "G", low, i))
        elif np.isfinite(high):
            rows.append((name, "L", high, i))
    return rows


def _columns(instance: ProgramInstance, rows: list[tuple[str, str, float, int]], objective: str) -> Iterator[str]:
    entries: list[list[str]] = [[] for _ in range(instance.n_variables)]
    for name, _, _, i in rows:
        for v, value in zip(*(part.tolist() for part in instance.row(i)), strict=True):
            entries[v].append(f"{name}  {number_text(value)}")
    whole, marker = False, 0
    for v, listed in enumerate(entries):
        if bool(instance.integral[v]) != whole:
            whole = not whole
            yield f"    MARKER{marker}  'MARKER'  '{'INTORG' if whole else 'INTEND'}'"
            marker += 1
        cost = number_text(instance.cost[v])
        if cost != "0" or not listed:  # a column without any entry would not exist
            yield f"    {instance.variable_name(v)}  {objective}  {cost}"
        for entry in listed:
            yield f"    {instance.variable_name(v)}  {entry}"
    if whole:
        yield f"    MARKER{marker}  'MARKER'  'INTEND'"


def _bounds(name: str, low: float, high: float) -> Iterator[str]:
    if low == high:
        yield f" FX {name}  {number_text(low)}"
    elif low == -np.inf and high == np.inf:
        yield f" FR {name}"
    elif low == -np.inf:
        yield f" MI {name}"
        yield f" UP {name}  {number_text(high)}"
    else:
        # UP before LO: a negative UP may free the lower bound for some readers, which LO then sets again.
        yield f" UP {name}  {number_text(high)}" if high < np.inf else f" PL {name}"
        yield f" LO {name}  {number_text(low)}"


def _free_name(wish: str, taken: set[str]) -> str:
    name, number = wish, 1
    while name in taken:
        name, number = f"{wish}_{number}", number + 1
    return name


def _check_sizes(instance: ProgramInstance) -> None:
    for field in ("low", "high", "row_low", "row_high"):
        values = getattr(instance, field)
        large = np.isfinite(values) & (np.abs(values) >= INFINITE)
        if large.any():
            v = int(np.argmax(large))
            raise Refused(f"{field} of {values[v]} at position {v} would be read as no bound: MPS ends at {INFINITE:g}")
