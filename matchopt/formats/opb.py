"""OPB, the format of pseudo-Boolean solvers: programs whose variables are all 0 or 1, exactly.

The format has whole coefficients only. Every float is one over a power of two, so each line is multiplied by the power
that makes it whole; a comment says by which the objective is, and what to add to it.

References
----------
O. Roussel, V. Manquinho (2012). Input/output format and solver requirements for the competitions of pseudo-Boolean
solvers. www.cril.univ-artois.fr/PB12/format.pdf
"""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from matchopt.errors import Refused
from matchopt.formats.atomic import write_bytes
from matchopt.instances import ProgramInstance
from matchopt.instances.demands import AT_0_1, understanding


@understanding("the format opb", AT_0_1["program"])
def write_opb(instance: ProgramInstance, path: Path) -> None:
    """Write a program; variable v is x(v + 1), as the format's names are.

    Raises
    ------
    Refused
        when a variable is not whole, or can be other than 0 and 1, or there is none.
    """
    if instance.n_variables == 0:
        raise Refused("format opb has no way to say a program without variables; write matchopt or mps")
    rest = ~instance.integral | (instance.low < 0.0) | (instance.high > 1.0)
    if rest.any():
        v = int(np.argmax(rest))
        what = f"{float(instance.low[v]):g} .. {float(instance.high[v]):g}" if instance.integral[v] else "not whole"
        raise Refused(f"format opb takes variables that are 0 or 1 only, and {instance.variable_name(v)} is {what}; "
                      "write mps or lp")  # fmt: skip
    shift = _shift(instance.cost.tolist())
    lines = []
    for i in range(instance.n_rows):
        variables, values = (part.tolist() for part in instance.row(i))
        low, high = float(instance.row_low[i]), float(instance.row_high[i])
        sides = [("=", 1, low)] if low == high else [(">=", 1, low), (">=", -1, -high)]
        lines += [_line(variables, [sign * x for x in values], side, end) for side, sign, end in sides if end > -np.inf]
    for v in range(instance.n_variables):
        low, high = np.ceil(instance.low[v]), np.floor(instance.high[v])  # of a variable that is whole
        lines += [_line([v], [1.0], ">=", float(low))] if low > 0.0 else []
        lines += [_line([v], [-1.0], ">=", -float(high))] if high < 1.0 else []
    head = [f"* #variable= {instance.n_variables} #constraint= {len(lines)}",
            f"* {' '.join(instance.name.split())}: value = objective / {1 << shift} + {instance.offset!r}"]  # fmt: skip
    every = range(instance.n_variables)
    objective = f"min: {_terms(every, instance.cost.tolist(), shift)} ;"
    write_bytes(path, ("\n".join([*head, objective, *lines]) + "\n").encode())


def _shift(values: Sequence[float]) -> int:
    """The least power of two that makes all of them whole."""
    return max((x.as_integer_ratio()[1].bit_length() - 1 for x in values), default=0)


def _terms(variables: Sequence[int], values: Sequence[float], shift: int) -> str:
    whole = [int(Fraction(x) * (1 << shift)) for x in values]
    return " ".join(f"{x:+d} x{v + 1}" for v, x in zip(variables, whole, strict=True) if x) or "+0 x1"


def _line(variables: Sequence[int], values: Sequence[float], side: str, end: float) -> str:
    shift = _shift([*values, end])
    return f"{_terms(variables, values, shift)} {side} {int(Fraction(end) * (1 << shift))} ;"
