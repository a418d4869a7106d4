"""The study behind the demo, from its file: another seed, and the solvers that it does not name."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import matchopt
from matchopt.instances import NetworkInstance
from matchopt.instances.sample_objective import LAYER_OBJECTIVES
from matchopt.plugins import Registry
from matchopt.settings import NonNegativeInt, checked
from matchopt.study import Study, find_study
from matchopt.study.study_file import LABEL


def demo_study(registry: Registry, seed: int = 0, quick: bool = False) -> Study:
    """The study, trained with `seed`, its hardware drawn from it on, and with the solvers of other plugins in it.

    Parameters
    ----------
    registry : solvers of others are tried on the first draw of every block they may fit; of the project's own the
        study names those that do.
    seed : of training; >= 0.
    quick : the small network instead.
    """
    checked(seed, NonNegativeInt, "seed")
    study = find_study("demo-quick" if quick else "demo")
    others = {n: entry.cls for n, entry in registry.solvers.items() if entry.distribution != matchopt.__name__}
    runs: list[Mapping[str, Any]] = []
    for label in dict.fromkeys(run[LABEL] for run in study.runs["cpu"]):
        block = [run for run in study.runs["cpu"] if run[LABEL] == label]
        plain = {name: value for name, value in block[0].items() if not name.startswith("options.")}
        whole = plain.get("objective", "weight-error") not in LAYER_OBJECTIVES
        runs += [
            *block,
            *({**plain, "solver": n} for n, cls in others.items() if (cls.solves is NetworkInstance) == whole),
        ]
    moved = tuple({**run, "hardware_seed": run.get("hardware_seed", 0) + seed} for run in runs)
    targets = {name: {**recipe, "seed": recipe.get("seed", 0) + seed} for name, recipe in study.targets.items()}
    return replace(study, runs={"cpu": moved}, targets=targets)
