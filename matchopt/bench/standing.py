"""Who wins, by how much, and how sure that is: the figures of a set of runs, ready for tables, charts and words."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float

from matchopt.bench import metrics
from matchopt.bench.task import REFUSED
from matchopt.terminal.figures import count

Record = Mapping[str, Any]
TARGET = 0.01  # gap to the best value that counts as there, where times to a target are compared
TARGETS = (0.1, 0.01, 0.001, 0.0)  # of runtime distributions
SHIFT = 1.0  # second, of the shifted geometric mean
FLOOR = 0.001  # seconds that nothing is told apart below
POINTS = 60  # times of a curve
DRAWS = 1_000
SURE = 0.95  # share of the draws in which the first must be first, for it to be called sure
FEW = 6  # instances below which no order is sure: even if all are won, the sign test's p is above 5 %
OFTEN = 0.5  # share of the instances that a solver must take to be placed among all


@dataclass(frozen=True)
class Standing:
    """What a set of runs says.

    Parameters
    ----------
    records : see `matchopt.bench.read_results`; all within the same limits, or what is compared is not the solvers.
    """

    records: tuple[Record, ...]

    @cached_property
    def runs(self) -> list[Record]:
        """What was run, refusals left out."""
        return [record for record in self.records if record.get("status") != REFUSED]

    @cached_property
    def instances(self) -> list[str]:
        """Names, in order of appearance."""
        return list(dict.fromkeys(str(record["instance"]) for record in self.records))

    @cached_property
    def solvers(self) -> list[str]:
        """Those that took something, by mean rank; the ones that took less than half of the instances are last."""
        names = list(dict.fromkeys(str(record["solver"]) for record in self.runs))
        places = metrics.ranks(self._costs(names))
        took = np.sum(~np.isnan(places), axis=0)
        mean = np.nansum(places, axis=0) / np.maximum(took, 1)
        often = took >= OFTEN * len(self.instances)
        return [names[n] for n in sorted(range(len(names)), key=lambda n: (not often[n], mean[n], names[n]))]

    @cached_property
    def best(self) -> dict[str, float]:
        """The best value of each instance, of those known before and those found; none for one without any."""
        found: dict[str, float] = {}
        for record in self.records:
            for value in (record.get("best_value"), record.get("objective")):
                if value is not None:
                    name = str(record["instance"])
                    found[name] = min(value, found.get(name, math.inf))
        return found

    @cached_property
    def costs(self) -> Float[np.ndarray, "instances solvers"]:
        """Mean gap to the best over seeds, 1 for a run without a solution; inf where none has one, nan if refused."""
        return self._costs(self.solvers)

    def gap(self, record: Record) -> float:
        """A run's gap to the best value; inf without a solution, 0 for a proof that there is none."""
        if record.get("status") == "infeasible" and record.get("proof") == "proven":
            return 0.0
        if record.get("objective") is None:
            return math.inf
        return metrics.primal_gap(record["objective"], self.best[str(record["instance"])])

    @cached_property
    def timed(self) -> list[Record]:
        """The runs whose seconds count: those that no drift of the machine spoiled."""
        return [record for record in self.runs if not record.get("spoiled")]

    def time_to(self, record: Record, gap: float) -> float:
        """Seconds until a run was this close to the best value, inf if it never was."""
        best = self.best.get(str(record["instance"]))
        if best is None:
            return float(record.get("solver_seconds") or 0.0) if self.gap(record) == 0.0 else math.inf
        return metrics.time_to(record.get("trace") or (), best, gap)

    @cached_property
    def times(self) -> Float[np.ndarray, "problems solvers"]:
        """Seconds to `TARGET` of each instance and seed; nan for what was not run, refused or spoiled."""
        return self._by_problem(lambda record: self.time_to(record, TARGET))

    @cached_property
    def confidence(self) -> metrics.RankConfidence:
        """Mean ranks of the solvers by gap, bootstrapped with seed 0 among those placed."""
        return metrics.rank_confidence(self.costs, np.random.default_rng(0), DRAWS)

    @cached_property
    def placed(self) -> int:
        """How many of the solvers took at least half of the instances; they come first."""
        took = np.sum(~np.isnan(self.costs), axis=0)
        return int(np.sum(took >= OFTEN * len(self.instances)))

    @cached_property
    def first_shares(self) -> Float[np.ndarray, " placed"]:
        """In what share of the draws each of the placed solvers has the lowest mean rank."""
        some = self.costs[:, : self.placed]
        return metrics.rank_confidence(some, np.random.default_rng(0), DRAWS).first if self.placed else np.zeros(0)

    def leaderboard(self) -> list[dict[str, Any]]:
        """One row for each solver, the best first; seconds are those of runs that no drift spoiled."""
        return [self._row(number, name) for number, name in enumerate(self.solvers)]

    def _row(self, number: int, name: str) -> dict[str, Any]:
        own = [record for record in self.runs if record["solver"] == name]
        timed = [record for record in self.timed if record["solver"] == name]
        column, sure = self.costs[:, number], self.confidence
        took = int(np.sum(~np.isnan(column)))
        gaps = [min(1.0, self.gap(record)) for record in own]
        limits = [_limit(record) for record in timed]
        times = [self.time_to(record, TARGET) for record in timed]
        kept = [min(time, limit) for time, limit in zip(times, limits, strict=True)]
        area = [self._integral(record) for record in timed]
        against = metrics.compared(column, self.costs[:, 0])
        return {
            "solver": name,
            "rank": float(sure.mean[number]),
            "rank_low": float(sure.low[number]),
            "rank_high": float(sure.high[number]),
            "first": float(self.first_shares[number]) if number < self.placed else None,
            "instances": took,
            "refused": len(self.instances) - took,
            "runs": len(own),
            "no_solution": sum(self.gap(record) == math.inf for record in own),
            "best_found": sum(gap <= metrics.TIE for gap in gaps),
            "proven": sum(record.get("proof") == "proven" for record in own),
            "gap": sum(gaps) / len(gaps),
            "reached": sum(math.isfinite(time) for time in times),
            "seconds": metrics.shifted_geometric_mean(kept, SHIFT) if kept else None,
            "par10": float(np.mean([metrics.par([t], at) for t, at in zip(times, limits, strict=True)]))
            if kept
            else None,
            "integral": sum(area) / len(area) if area else None,
            "spoiled": len(own) - len(timed),
            "lost": self.lost(own),
            **{name: getattr(against, name) for name in ("wins", "ties", "losses", "p_value")},
        }

    def lost(self, runs: Sequence[Record]) -> float | None:
        """Mean test accuracy that is lost by mapping, over the runs that say theirs; None where none does."""
        lost = [a["target_test"] - a["test"] for record in runs if (a := record.get("accuracy"))]
        return math.fsum(lost) / len(lost) if lost else None

    def _accuracy(self, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        """What accuracy is left, in a sentence, on the networks whose accuracy is known."""
        known = [row for row in rows if row["lost"] is not None]
        if not known:
            return []
        said = []
        for row in dict.fromkeys((known[0]["solver"], min(known, key=lambda row: row["lost"])["solver"])):
            own = [record["accuracy"] for record in self.runs if record["solver"] == row and "accuracy" in record]
            left, before = (100 * math.fsum(a[name] for a in own) / len(own) for name in ("test", "target_test"))
            ends = [f"{100 * end(a['test'] for a in own):.1f}" for end in (min, max)]
            said.append(f"{row} {left:.1f} % [{ends[0]}, {ends[1]}] of {before:.1f} % before")
        networks = len({record["instance"] for record in self.runs if "accuracy" in record})
        best = f"; the most is left by {said[1]}" if len(said) > 1 else ""
        return [f"Accuracy left on test data, mean and range over {networks} networks: {said[0]}{best}."]

    def _integral(self, record: Record) -> float:
        best, limit = self.best.get(str(record["instance"])), _limit(record)
        return 1.0 if best is None else metrics.primal_integral(record.get("trace") or (), best, limit) / limit

    def verdict(self) -> list[str]:
        """Who wins, by how much, how sure: a few sentences, the first of which is the answer."""
        if not self.runs:
            return ["Nothing was run."]
        rows = self.leaderboard()[: self.placed]
        what = f"{count(len(self.instances), 'instance')}, {count(len(self.runs), 'run')}"
        if not rows:
            return [f"No solver takes half of the instances ({what}): see the groups of instances."]
        first, *others = rows
        said = [f"mean rank {first['rank']:.2f} [{first['rank_low']:.2f}, {first['rank_high']:.2f}]"]
        said += [f"{100 * first['gap']:.2g} % from the best values on average"]
        accuracy = self._accuracy(rows)
        if not others:
            return [f"{first['solver']} alone takes half of the instances: {', '.join(said)} ({what}).", *accuracy]
        share, second = first["first"], others[0]
        equals = [row["solver"] for row in rows if row["rank"] <= first["rank"] + metrics.TIE]
        head = f"No clear winner: {first['solver']} is ahead"
        if len(equals) > 1:
            head = f"No winner: {', '.join(equals)} share the first place"
        elif share >= SURE and len(self.instances) >= FEW and second["losses"] > second["wins"]:
            head = f"{first['solver']} wins"
        often = f"Drawn again, the instances put {first['solver']} first in {100 * share:.0f} % of the cases"
        return [
            f"{head}: {', '.join(said)} ({what}).",
            f"{often}; the interval is of 95 %{'' if len(self.instances) >= FEW else ', but so few say little'}.",
            f"Second is {second['solver']}, rank {second['rank']:.2f} [{second['rank_low']:.2f}, "
            f"{second['rank_high']:.2f}], gap {100 * second['gap']:.2g} %: it wins {second['wins']} of "
            f"{second['wins'] + second['ties'] + second['losses']} instances against the first, ties {second['ties']}, "
            f"loses {second['losses']} (sign test, p = {second['p_value']:.2g}).",
            *accuracy,
            *self._doubts(),
        ]

    def _doubts(self) -> list[str]:
        """What is to be known before these figures are used."""
        found = []
        spoiled, lost = len(self.runs) - len(self.timed), sum(self.gap(record) == math.inf for record in self.runs)
        if spoiled:
            found.append(f"The machine drifted during {spoiled} runs; their seconds are left out, their values count.")
        if lost:
            found.append(f"{lost} runs have no solution.")
        if len({str(record.get("made_from", {}).get("limits")) for record in self.records}) > 1:
            found.append("Not all runs had the same limits, so more than the solvers is compared here.")
        return found

    def _costs(self, names: Sequence[str]) -> np.ndarray:
        table = np.full((len(self.instances), len(names)), np.nan)
        gaps: dict[tuple[str, str], list[float]] = {}
        for record in self.runs:
            gaps.setdefault((str(record["instance"]), str(record["solver"])), []).append(self.gap(record))
        for (instance, solver), values in gaps.items():
            lost = all(value == math.inf for value in values)
            mean = math.inf if lost else math.fsum(min(1.0, value) for value in values) / len(values)
            table[self.instances.index(instance), names.index(solver)] = mean
        return table

    def _by_problem(self, figure: Any) -> np.ndarray:
        problems: dict[tuple[Any, Any], int] = {}
        for record in self.timed:
            problems.setdefault((record["instance"], record["seed"]), len(problems))
        table = np.full((len(problems), len(self.solvers)), np.nan)
        for record in self.timed:
            row = problems[record["instance"], record["seed"]]
            table[row, self.solvers.index(str(record["solver"]))] = figure(record)
        return table

    def distribution(self) -> metrics.Profile:
        """The runtime distribution over all `TARGETS`."""
        tables = [self._by_problem(lambda record, gap=gap: self.time_to(record, gap)) for gap in TARGETS]
        return metrics.runtime_distribution(np.concatenate(tables))

    def anytime(self) -> tuple[list[float], Float[np.ndarray, "times solvers"]]:
        """Mean gap to the best at times on a logarithmic scale; 1 before the first solution."""
        longest = max((_limit(record) for record in self.timed), default=1.0)
        times = np.geomspace(min(0.01, longest / 10), longest, POINTS)
        total, count = np.zeros((POINTS, len(self.solvers))), np.zeros(len(self.solvers))
        for record in self.timed:
            at, best = self.solvers.index(str(record["solver"])), self.best.get(str(record["instance"]))
            count[at] += 1
            gaps = np.ones(POINTS)
            for entry in record.get("trace") or ():
                if best is not None and entry[0] is not None:
                    gaps[times >= entry[0]] = metrics.primal_gap(entry[1], best)
            total[:, at] += gaps
        return times.tolist(), total / np.maximum(count, 1)


def families(records: Sequence[Record], most: int = 24) -> dict[str, Standing]:
    """All runs, and those of each group of instances that ask for the same: kind and demands, or kind alone if many."""
    for key in (_asked, lambda record: str(record.get("kind"))):
        groups: dict[str, list[Record]] = {}
        for record in records:
            if "digest" in record:
                groups.setdefault(key(record), []).append(record)
        if len(groups) <= most:
            break
    found = {"all instances": Standing(tuple(record for record in records if "digest" in record))}
    return found | ({name: Standing(tuple(groups[name])) for name in sorted(groups)} if len(groups) > 1 else {})


def regimes(records: Sequence[Record]) -> list[dict[str, Any]]:
    """One row for each group of instances that ask for the same, and each solver that took one of them, the best first.

    Columns: regime, instances in it, solver; of the instances those it took, refused, and was first on, alone or not;
    median of its gaps to the best, 1 without a solution; shares of its runs that were proven and that the time ended.
    """
    found = []
    for regime, standing in families(records).items():
        least = np.fmin.reduce(standing.costs, axis=1, initial=np.inf) + metrics.TIE
        for row, costs in zip(standing.leaderboard(), standing.costs.T, strict=True):
            own = [record for record in standing.runs if record["solver"] == row["solver"]]
            found.append({
                "regime": regime,
                "instances": len(standing.instances),
                **{name: row[name] for name in ("solver", "refused")},
                "took": row["instances"],
                "first": int(np.sum(np.isfinite(costs) & (costs <= least))),
                "median_gap": float(np.median(np.minimum(costs[~np.isnan(costs)], 1.0))),
                "proven": row["proven"] / row["runs"],
                "ended_by_time": sum(record.get("limit") == "time" for record in own) / row["runs"],
            })  # fmt: skip
    return found


def _asked(record: Record) -> str:
    return ": ".join(filter(None, [str(record.get("kind")), ", ".join(record.get("demands") or ())]))


def _limit(record: Record) -> float:
    limit = record.get("made_from", {}).get("limits", {}).get("time_limit")
    return float(limit or record.get("solver_seconds") or 1.0)
