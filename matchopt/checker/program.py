"""Rules and objective of an integer linear program, within stated tolerances."""

from collections.abc import Iterator

from matchopt.checker.report import Violation, total
from matchopt.instances import ProgramInstance, ProgramPoint

ABSOLUTE = (
    1e-6  # the feasibility and integrality tolerance that LP and MILP codes promise, on rows of coefficients of 1
)
RELATIVE = 1e-9  # of the sum of the absolute terms of a row, or of the bound: floats of that size carry no more


def program_violations(instance: ProgramInstance, point: ProgramPoint) -> Iterator[Violation]:
    """Every broken rule of a point.

    A row holds within 1e-6 times its largest coefficient (or 1 if that is less) and 1e-9 times the sum of its absolute
    terms; a bound within 1e-6 times the room between the variable's bounds (or 1) and 1e-9 times its absolute value. A
    variable is whole within 1e-6.
    """
    x = point.x.tolist()
    if len(x) != instance.n_variables:
        yield Violation("variable-count", f"x must have one value per variable, {instance.n_variables}, found {len(x)}")
        return
    yield from _variables(instance, x)
    yield from _rows(instance, x)


def _variables(instance: ProgramInstance, x: list[float]) -> Iterator[Violation]:
    bounds = zip(x, instance.low.tolist(), instance.high.tolist(), instance.integral.tolist(), strict=True)
    for v, (value, low, high, integral) in enumerate(bounds):
        name = f"variable {v} ({instance.variable_name(v)})"
        room = min(1.0, high - low if low < high else abs(low) or 1.0)
        if value < low - _slack(low, room):
            yield Violation("variable-low", f"{name} must be at least {low}, found {value!r}")
        if value > high + _slack(high, room):
            yield Violation("variable-high", f"{name} must be at most {high}, found {value!r}")
        if integral and abs(value - round(value)) > ABSOLUTE:
            yield Violation("variable-not-whole", f"{name} must be a whole number, found {value!r}")


def _rows(instance: ProgramInstance, x: list[float]) -> Iterator[Violation]:
    lows, highs = instance.row_low.tolist(), instance.row_high.tolist()
    for i in range(instance.n_rows):
        variables, coefficients = instance.row(i)
        terms = [a * x[v] for v, a in zip(variables.tolist(), coefficients.tolist(), strict=True)]
        activity = total(terms)
        scale = min(1.0, float(abs(coefficients).max(initial=0.0)))
        slack = ABSOLUTE * scale + RELATIVE * total(abs(term) for term in terms)
        name = f"row {i} ({instance.row_name(i)})"
        # Written so that an activity that is not a number breaks the row.
        if not activity >= lows[i] - slack:
            yield Violation("row-low", f"{name} must be at least {lows[i]}, found {activity!r}", row=i)
        if not activity <= highs[i] + slack:
            yield Violation("row-high", f"{name} must be at most {highs[i]}, found {activity!r}", row=i)


def program_objective(instance: ProgramInstance, point: ProgramPoint) -> float:
    """cost @ x + offset, correctly rounded but for the products."""
    products = [c * value for c, value in zip(instance.cost.tolist(), point.x.tolist(), strict=True)]
    return total([*products, instance.offset])


def _slack(bound: float, room: float) -> float:
    return ABSOLUTE * room + (RELATIVE * abs(bound) if abs(bound) < float("inf") else 0.0)
