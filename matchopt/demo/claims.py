"""What the demo is expected to show, and whether it does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matchopt.demo.plan import ROOMY, TIGHT, Regime
from matchopt.demo.records import Row

ORDER = ("random", "greedy", "hungarian")
FREE, LEARNED = "reroute", "reroute+slots"  # the solvers that need no labels, and that use them
NEAR = 0.005  # share of test images: half a point
LOSSLESS = 0.003  # share of test images: 0.3 points, about two standard deviations of an accuracy near 97 % on 10,000
SPARSE_TEST = 0.965
_RISES = f"at K/n = {TIGHT:g} test accuracy rises from random to greedy to hungarian on every draw"
_FREES = f"at K/n = {TIGHT:g} {FREE} keeps more test accuracy than hungarian on every draw, without labels"
_LEARNS = f"at K/n = {TIGHT:g} {LEARNED}, with labels, is within half a point of the target"
_KEEPS = f"at K/n = {ROOMY:g} the best mapping is within 0.3 points of the target"


@dataclass(frozen=True)
class Claim:
    """One statement, whether it holds, and the figures behind it."""

    statement: str
    holds: bool
    evidence: str

    def __str__(self) -> str:
        return f"{'holds' if self.holds else 'does not hold'}: {self.statement} ({self.evidence})"


def claims_of(rows: Sequence[Row], target: Mapping[str, float], full: bool = True) -> list[Claim]:
    """The claims that these rows decide; with the full plan all of them, and one that nothing decides does not hold.

    The best mapping is the one of least weight error, which needs no labels; test data only judge it.
    """
    claims = [_target(target)] if full else []
    tight = {row.solver: row for row in rows if row.regime == Regime(TIGHT, 1).name}
    free = {row.solver: row for row in rows if row.regime == Regime(TIGHT, 1, "outputs").name}
    learned = {row.solver: row for row in rows if row.regime == Regime(TIGHT, 1, "labels").name}
    roomy = [row for row in rows if row.regime == Regime(ROOMY, 1).name]
    missing = [name for name in ORDER if name not in tight]
    if not missing:
        claims.append(_order(tight))
    elif full:
        claims.append(Claim(_RISES, False, f"no solution by {', '.join(missing)}"))
    if "hungarian" in tight and FREE in free:
        claims.append(_better(tight["hungarian"], free[FREE]))
    elif full:
        claims.append(Claim(_FREES, False, f"no solution by {FREE}"))
    if LEARNED in learned:
        claims.append(_near(learned[LEARNED], target))
    elif full:
        claims.append(Claim(_LEARNS, False, f"no solution by {LEARNED}"))
    if roomy:
        claims.append(_lossless(roomy, target))
    elif full:
        claims.append(Claim(_KEEPS, False, "no solution"))
    proved = [record for row in rows if row.solver == "hungarian" for record in row.records]
    if proved:
        count = sum(record["proof"] == "proven" for record in proved)
        statement = "every mapping by hungarian is proved optimal"
        claims.append(Claim(statement, count == len(proved), f"{count} of {len(proved)}"))
    return claims


def _target(target: Mapping[str, float]) -> Claim:
    accuracy, connectivity = target["test_accuracy"], target["connectivity"]
    evidence = f"{100 * accuracy:.2f} % at {100 * connectivity:.2f} % connectivity"
    return Claim("the sparse network reaches at least 96.5 % on test images", accuracy >= SPARSE_TEST, evidence)


def _order(tight: Mapping[str, Row]) -> Claim:
    """Paired by draw: every solver meets the same hardware."""
    by_draw: list[list[float]] = []
    for name in ORDER:
        by_draw.append([record["test_accuracy"] for record in tight[name].records])
    triples = list(zip(*by_draw, strict=False))
    right = [a < b < c for a, b, c in triples]
    figures = "; ".join(" < ".join(f"{100 * accuracy:.1f}" for accuracy in triple) for triple in triples)
    return Claim(_RISES, all(right), f"{sum(right)} of {len(right)} draws: {figures}")


def _better(plain: Row, free: Row) -> Claim:
    """Paired by draw, as in `_order`."""
    pairs = list(zip(plain.figures("test_accuracy"), free.figures("test_accuracy"), strict=False))
    right = [a < b for a, b in pairs]
    figures = "; ".join(f"{100 * a:.1f} < {100 * b:.1f}" for a, b in pairs)
    return Claim(_FREES, all(right), f"{sum(right)} of {len(right)} draws: {figures}")


def _near(row: Row, target: Mapping[str, float]) -> Claim:
    found, wanted = row.mean("test_accuracy"), target["test_accuracy"]
    return Claim(_LEARNS, found >= wanted - NEAR, f"{100 * found:.2f} % against {100 * wanted:.2f} %")


def _lossless(roomy: Sequence[Row], target: Mapping[str, float]) -> Claim:
    records: list[Mapping[str, Any]] = [record for row in roomy for record in row.records]
    best = min(records, key=lambda record: record["objective"])
    difference = best["test_accuracy"] - target["test_accuracy"]
    evidence = f"{best['solver']}: {100 * best['test_accuracy']:.2f} % against {100 * target['test_accuracy']:.2f} %"
    return Claim(_KEEPS, abs(difference) <= LOSSLESS, evidence)
