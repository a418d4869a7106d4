"""One run of a bench: a variant of a solver on an instance with a seed, as a task of a grid."""

import platform
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any

from matchopt.bench.kept import accuracy_of, keep_best
from matchopt.bench.metrics import reached
from matchopt.bench.plan import BenchInstance, Variant
from matchopt.bench.reference import reference_seconds
from matchopt.errors import MatchoptError, Refused
from matchopt.grid.origin import origin_of
from matchopt.grid.task import GridTask, Place
from matchopt.plugins import load_plugins
from matchopt.run import Incumbent, Run
from matchopt.run.choice import AUTO, choose, who_may_run
from matchopt.run.descent import foreseen_refusal
from matchopt.run.pipeline import perform_stages
from matchopt.run.task import Task, allow
from matchopt.solver import Limit

REFUSED = "refused"  # the status of what a solver does not take, which is no result of it
TARGET = "target"  # the limit that ended a run that had reached its target


@dataclass(frozen=True)
class BenchTask(GridTask):
    """A run of a bench.

    Parameters
    ----------
    instance, variant, seed : what is run.
    limits : the limits, by name; see `BenchPlan`.
    place : where.
    accuracy : whether to measure that of mapped networks; no part of what determines the result.
    """

    instance: BenchInstance
    variant: Variant
    seed: int
    limits: Mapping[str, Any]
    place: Place
    accuracy: bool = True

    @property
    def seconds(self) -> float:
        return float(self.limits["time_limit"])

    @property
    def title(self) -> str:
        """Which run it is, for people."""
        return f"{self.variant.label} on {self.instance.name}, seed {self.seed}"

    def facts(self) -> dict[str, Any]:
        """See `GridTask.facts`; a best value counts only where it is a target."""
        registry = load_plugins(self.place.plugin_files)
        return {
            "instance": self.instance.sha256,
            "solver": self.variant.solver,
            "options": dict(self.variant.options),
            "seed": self.seed,
            "limits": dict(self.limits),
            "target": None if self.limits["target_gap"] is None else self.instance.best_value,
            "origin": origin_of([partial(registry.entry, name) for name in who_may_run(self.variant.solver, registry)]),
        }

    def refusal(self) -> dict[str, Any] | None:
        """The record of a run that its solver would refuse, None where it would not or only a run can tell."""
        name, reason = self.variant.solver, None
        if "+" in name:  # what one refuses, a pipeline's stages get a plainer form of
            return None
        registry = load_plugins(self.place.plugin_files)
        try:
            if name == AUTO:
                choose(self.instance.read(), registry)
            else:
                reason = foreseen_refusal(self.instance.read(), registry.make(name, self.variant.options))
        except Refused as cause:  # there is none to choose
            reason = str(cause)
        except MatchoptError:  # the run will say so
            return None
        return None if reason is None else self._about() | {"status": REFUSED, "message": reason}

    def perform(self) -> dict[str, Any]:
        """Solve, check, certify, and time a fixed piece of work before and after.

        Returns
        -------
        dict
            what was run (instance, digest, kind, demands, solver, seed, best value and bound known before); status,
            limit ("target" where that ended it), proof, objective, bound and gap as in `matchopt.Run`; seconds of the
            solver's clock and in all; "trace", (seconds, objective, bound) of every improvement; target_seconds;
            peak memory; message; accuracy, see `accuracy_of`; and machine and reference times, see `drifts`.
        """
        about, before = self._about(), reference_seconds()
        run = self._solved()
        found = run.to_json()
        trace = [list(entry) for entry in run.trace]
        if run.objective is not None and (not trace or trace[-1][1] != run.objective):
            trace.append([run.solver_seconds, run.objective, run.bound])
        names = ("objective", "bound", "bound_proved", "gap", "proof", "message", "seconds", "solver_seconds")
        gap, best = self.limits["target_gap"], self.instance.best_value
        at = next((e[0] for e in trace if gap is not None and best is not None and reached(e[1], best, gap)), None)
        stopped = run.limit is Limit.INTERRUPTED and at is not None
        end, accuracy = reference_seconds(), self._kept(run, about)  # which takes long, and no time of the solver
        return about | {name: found[name] for name in (*names, "peak_memory")} | {
            "status": REFUSED if run.refused else found["status"],
            "limit": TARGET if stopped else found["limit"],
            "target_seconds": at,
            "trace": trace,
            "machine": _machine(),
            "reference": [before, end],
            **({} if accuracy is None else {"accuracy": accuracy}),
        }  # fmt: skip

    def _kept(self, run: Run, about: dict[str, Any]) -> dict[str, Any] | None:
        """Keep the solution if it is the best so far; returns the accuracy that it leaves."""
        if run.solution is None or run.objective is None:
            return None
        instance = self.instance.read()
        facts = {name: about[name] for name in ("instance", "solver", "seed")} | {"key": self.key}
        keep_best(self.place.folder, instance, run.solution, run.objective, facts)
        return accuracy_of(instance, run.solution) if self.accuracy else None

    def _about(self) -> dict[str, Any]:
        instance, given = self.instance.read(), self.instance
        return {
            "instance": given.name,
            "digest": instance.digest,
            "kind": instance.kind,
            "demands": sorted(instance.demands),
            "solver": self.variant.label,
            "seed": self.seed,
            "best_value": given.best_value,
            "best_bound": given.best_bound,
        }

    def _solved(self) -> Run:
        """The run, which ends at its target if it has one."""
        limits, there, best = self.limits, threading.Event(), self.instance.best_value

        def hear(found: Incumbent) -> None:
            gap = limits["target_gap"]
            if gap is not None and best is not None and reached(found.objective, best, gap):
                there.set()

        task = Task(
            instance=self.instance.read(),
            solver=self.variant.solver,
            options=self.variant.options,
            allowance=allow(*(limits[name] for name in ("time_limit", "memory_limit", "threads", "iterations"))),
            seed=self.seed,
            plugin_files=self.place.plugin_files,
            prove_seconds=limits["prove_seconds"],
        )
        return perform_stages(task, cancel=there, on_incumbent=hear)


def _machine() -> str:
    """Tells machines apart without naming them."""
    return sha256(platform.node().encode()).hexdigest()[:8]
