"""What each solver that reads no labels leaves of the accuracy, on hardware of few cells.

    python problems/studies/label_free.py [--seeds 5] [--threads 2] [--seconds 60] [--anew]

The fan-in 8/8/30 MNIST network on gaussian hardware, K/n 0.5 to 1.5, as many hardware neurons as units. Connections may
be dropped everywhere. `random`, `greedy` and `hungarian` see the weights alone and keep the digital biases;
`output-search` minimises each layer's centred output error on the target's inputs, and its biases are recalibrated
afterwards; `reroute` may wire any input. Samples are the first 5,000 training images. Nothing is chosen here: all
options are the defaults, which were chosen on validation images; test images are only read for a column of their own.
Errors are those of the pre-activations on the first 2,000 validation images, mean over layers, and of the outputs up to
a common factor and what all outputs share. Writes `label-free.csv` beside this file, row by row; rows that are there
are not done again unless `--anew`.
"""

import argparse
import csv
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from matchopt import FunctionalError, NetworkInstance, NetworkMapping, Rules, solve
from matchopt.network import (
    ImageData,
    SparseNetwork,
    draw_hardware,
    export_network,
    load_mnist,
    measure,
    read_network,
    realise,
    unmapped,
)

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent / "networks" / "row8-seed0.safetensors"
TABLE = HERE / "label-free.csv"
RATIOS = (0.5, 0.75, 1.0, 1.25, 1.5)
SAMPLES, JUDGED, SOLVER_SEED, LIMIT = 5_000, 2_000, 0, 30.0
SOLVERS = {  # solver, objective it is given
    "random": "weight-error",
    "greedy": "weight-error",
    "hungarian": "weight-error",
    "output-search": "output-error",
    "reroute": "functional-error",
}
COLUMNS = (
    "fan_in_ratio", "neuron_ratio", "law", "solver", "hardware_seed", "functional_error", "output_error",
    "validation", "target_validation", "solver_seconds", "test", "target_test",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Study:
    """The target, the images, and how solvers are run."""

    network: SparseNetwork
    data: ImageData
    threads: int

    def row(self, ratio: float, seed: int, solver: str) -> dict[str, Any]:
        """One line of the table."""
        instance = self.instance(SOLVERS[solver], ratio, seed)
        mapping, seconds = self.mapped(instance, solver, ratio, seed)
        facts = {"fan_in_ratio": ratio, "neuron_ratio": 1.0, "law": "gaussian", "solver": solver, "hardware_seed": seed}
        return facts | {"solver_seconds": round(seconds, 2)} | self.judged(instance, mapping)

    def instance(self, objective: str, ratio: float, seed: int) -> NetworkInstance:
        """The network on one hardware draw."""
        return export_network(
            self.network,
            draw_hardware(self.network, "gaussian", ratio, 1.0, seed),
            rules=Rules(drop=True, extra_inputs=objective == "functional-error"),
            objective=objective,  # type: ignore[arg-type]
            biases="free" if objective == "weight-error" else "adjustable",
            sample_inputs=np.rint(self.data.train_images[:SAMPLES] * 255).astype(np.uint8),
            sample_scale=1 / 255,
            centred=objective == "output-error",
        )

    def mapped(self, instance: NetworkInstance, solver: str, ratio: float, seed: int) -> tuple[NetworkMapping, float]:
        """The solver's mapping and its seconds; that of output-search with its biases recalibrated."""
        run = solve(instance, solver, time_limit=LIMIT, seed=SOLVER_SEED, threads=self.threads, certify=False)
        if solver == "output-search" and run.solution is not None:
            functional = self.instance("functional-error", ratio, seed)
            first = run.solver_seconds or 0.0
            run = solve(functional, "recalibrate", seed=SOLVER_SEED, start=run.solution, certify=False)
            run = replace(run, solver_seconds=first + (run.solver_seconds or 0.0))
        if not isinstance(run.solution, NetworkMapping):
            raise SystemExit(f"{solver}, K/n {ratio:g}, hardware {seed}: {run.status} {run.message}")
        return run.solution, run.solver_seconds or 0.0

    def judged(self, instance: NetworkInstance, mapping: NetworkMapping) -> dict[str, Any]:
        """Errors and accuracies of a mapping, and the target's."""
        inputs = self.data.validation_images[:JUDGED]
        functional = replace(instance, objective=FunctionalError(inputs), adjustable=True)
        target, found = unmapped(instance), realise(instance, mapping)
        wanted, outputs = (net.logits(inputs) for net in (target, found))
        wanted, outputs = (signals - signals.mean(axis=1, keepdims=True) for signals in (wanted, outputs))
        size = float((wanted**2).sum() * (outputs**2).sum())
        share = float((wanted * outputs).sum()) ** 2 / size if size > 0 else 0.0
        figures = {
            "functional_error": round(functional.value(mapping) / len(instance.layers), 5),
            "output_error": round(1.0 - share, 5),
        }
        for part in ("validation", "test"):
            images, labels = getattr(self.data, f"{part}_images"), getattr(self.data, f"{part}_labels")
            figures[part] = round(measure(found, images, labels).accuracy, 4)
            figures[f"target_{part}"] = round(measure(target, images, labels).accuracy, 4)
        return figures


def known(path: Path) -> dict[tuple[str, ...], dict[str, Any]]:
    """The rows of an earlier run, by ratio, hardware seed and solver."""
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        return {(row["fan_in_ratio"], row["hardware_seed"], row["solver"]): row for row in csv.DictReader(file)}


def main() -> None:
    """Do what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="hardware seeds, from 0")
    parser.add_argument("--threads", type=int, default=2, help="threads of each solve")
    parser.add_argument("--seconds", type=float, default=math.inf, help="begin no further row after this time")
    parser.add_argument("--anew", action="store_true", help="do all rows again")
    options = parser.parse_args()
    study, began = Study(read_network(TARGET), load_mnist(), options.threads), time.monotonic()
    rows = {} if options.anew else known(TABLE)
    keys = [(str(ratio), str(seed), solver) for ratio in RATIOS for seed in range(options.seeds) for solver in SOLVERS]
    for key in keys:
        if key not in rows and time.monotonic() - began < options.seconds:
            rows[key] = study.row(float(key[0]), int(key[1]), key[2])
            print(*(f"{rows[key][name]}" for name in COLUMNS[:-2]), flush=True)
            with TABLE.open("w", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows[found] for found in keys if found in rows)
    missing = sum(key not in rows for key in keys)
    print(f"{missing} rows missing" if missing else "complete", flush=True)


if __name__ == "__main__":
    main()
