"""What the demo is expected to show, and whether it does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

Record = Mapping[str, Any]
Groups = Sequence[Sequence[Record]]
Verdict = tuple[bool, str]
Rows = Mapping[tuple[str, ...], Sequence[Record]]  # records with a solution, by label and solver, in order of the draws
TIGHT, OUTPUTS, LABELS, ROOMY = "K/n = 1.25", "K/n = 1.25, outputs", "K/n = 1.25, labels", "K/n = 4"
ORDER = ("random", "greedy", "hungarian")
ANY = "any solver"
FREE, LEARNED = "reroute", "reroute+slots"  # the solvers that need no labels, and that use them
NEAR = 0.005  # share of test images: half a point
LOSSLESS = 0.003  # share of test images: 0.3 points, about two standard deviations of an accuracy near 97 % on 10,000
SPARSE_TEST = 0.965


@dataclass(frozen=True)
class Claim:
    """One statement, whether it holds, and the figures behind it."""

    statement: str
    holds: bool
    evidence: str

    def __str__(self) -> str:
        return f"{'holds' if self.holds else 'does not hold'}: {self.statement} ({self.evidence})"


def claims_of(rows: Rows, target: Mapping[str, float], full: bool = True) -> list[Claim]:
    """The claims that these rows decide; with the full study all of them, and one that nothing decides does not hold.

    The best mapping is the one of least weight error, which needs no labels; test data only judge it.
    """
    roomy = [record for (label, _), records in rows.items() if label == ROOMY for record in records]
    groups, tight = {**rows, (ROOMY, ANY): roomy}, [(TIGHT, name) for name in ORDER]
    claims = [_target(target)] if full else []
    for keys, judged, statement in (
        (tight, _rising, f"at {TIGHT} test accuracy rises from random to greedy to hungarian on every draw"),
        (
            [tight[-1], (OUTPUTS, FREE)],
            _rising,
            f"at {TIGHT} {FREE} keeps more test accuracy than hungarian on every draw, without labels",
        ),
        ([(LABELS, LEARNED)], _near, f"at {TIGHT} {LEARNED}, with labels, is within half a point of the target"),
        ([(ROOMY, ANY)], _lossless, f"at {ROOMY} the best mapping is within 0.3 points of the target"),
    ):
        missing = [key[1] for key in keys if not groups.get(key)]
        if not missing:
            claims.append(Claim(statement, *judged([groups[key] for key in keys], target)))
        elif full:
            claims.append(Claim(statement, False, f"no solution by {', '.join(missing)}"))
    proved = [record for (_, solver), records in rows.items() if solver == "hungarian" for record in records]
    if proved:
        count = sum(record["proof"] == "proven" for record in proved)
        evidence = f"{count} of {len(proved)}"
        claims.append(Claim("every mapping by hungarian is proved optimal", count == len(proved), evidence))
    return claims


def _target(target: Mapping[str, float]) -> Claim:
    statement = "the sparse network reaches at least 96.5 % on test images"
    if not target:
        return Claim(statement, False, "it was not trained")
    accuracy, connectivity = target["test"], target["connectivity"]
    evidence = f"{100 * accuracy:.2f} % at {100 * connectivity:.2f} % connectivity"
    return Claim(statement, accuracy >= SPARSE_TEST, evidence)


def _rising(solvers: Groups, target: Mapping[str, float]) -> Verdict:
    """Paired by draw: every solver meets the same hardware."""
    del target
    tests = [{record["hardware_seed"]: record["test"] for record in records} for records in solvers]
    draws = [draw for draw in tests[0] if all(draw in found for found in tests)]
    series = [[found[draw] for found in tests] for draw in draws]
    right = [all(a < b for a, b in pairwise(accuracies)) for accuracies in series]
    figures = "; ".join(" < ".join(f"{100 * accuracy:.1f}" for accuracy in accuracies) for accuracies in series)
    return bool(right) and all(right), f"{sum(right)} of {len(right)} draws: {figures}"


def _near(groups: Groups, target: Mapping[str, float]) -> Verdict:
    (records,) = groups
    found, wanted = sum(record["test"] for record in records) / len(records), target["test"]
    return found >= wanted - NEAR, f"{100 * found:.2f} % against {100 * wanted:.2f} %"


def _lossless(groups: Groups, target: Mapping[str, float]) -> Verdict:
    (roomy,) = groups
    best = min(roomy, key=lambda record: record["value"])
    evidence = f"{best['solver']}: {100 * best['test']:.2f} % against {100 * target['test']:.2f} %"
    return abs(best["test"] - target["test"]) <= LOSSLESS, evidence
