"""LP format, written for eyes; to exchange programs use MPS."""

import textwrap
from pathlib import Path

import numpy as np

from matchopt.formats.atomic import write_bytes
from matchopt.formats.numbers import number_text
from matchopt.instances import ProgramInstance
from matchopt.instances.demands import AT_0_1, understanding


@understanding("the format lp", AT_0_1["program"])
def write_lp(instance: ProgramInstance, path: Path) -> None:
    """Write a program in the LP format; names stay as they are, whether or not an LP reader would take them."""
    named = instance.variable_name
    lines = [
        f"\\ {' '.join(instance.name.split())}: {instance.n_rows} rows, {instance.n_variables} variables",
        "Minimize",
    ]
    objective = _sum(instance, np.arange(instance.n_variables), instance.cost)
    if instance.offset:
        objective += f" {'+' if instance.offset > 0 else '-'} {number_text(abs(instance.offset))}"
    lines += _wrapped(f" cost: {objective}")
    lines.append("Subject To")
    for i in range(instance.n_rows):
        left, name = _sum(instance, *instance.row(i)), instance.row_name(i)
        low, high = float(instance.row_low[i]), float(instance.row_high[i])
        if low == high:
            lines += _wrapped(f" {name}: {left} = {number_text(low)}")
            continue
        for side, value, suffix in ((">=", low, ""), ("<=", high, "_high" if np.isfinite(low) else "")):
            if np.isfinite(value):
                lines += _wrapped(f" {name}{suffix}: {left} {side} {number_text(value)}")
    lines.append("Bounds")
    for v in range(instance.n_variables):
        lines.append(f" {_end(instance.low[v])} <= {named(v)} <= {_end(instance.high[v])}")
    whole = [named(v) for v in np.flatnonzero(instance.integral).tolist()]
    if whole:
        lines += ["General", *_wrapped(f" {' '.join(whole)}")]
    write_bytes(path, ("\n".join([*lines, "End"]) + "\n").encode())


def _sum(instance: ProgramInstance, variables: np.ndarray, values: np.ndarray) -> str:
    terms = []
    for v, value in zip(variables.tolist(), values.tolist(), strict=True):
        if value:
            factor = "" if abs(value) == 1 else f"{number_text(abs(value))} "
            terms.append(f"{'-' if value < 0 else '+'} {factor}{instance.variable_name(v)}")
    nothing = f"0 {instance.variable_name(0)}" if instance.n_variables else "0"  # readers want a name in every sum
    return " ".join(terms).removeprefix("+ ") or nothing


def _end(value: float) -> str:
    return number_text(value) if np.isfinite(value) else ("-inf" if value < 0 else "+inf")


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, 110, subsequent_indent="   ", break_long_words=False, break_on_hyphens=False) or [line]
