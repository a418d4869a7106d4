"""How far the ladder of small corrections leads, from a mapping to a network that is tuned in full.

    python problems/studies/tunable_ladder.py [--starts hungarian,reroute] [--samples 55000] [--jobs 1]

The fan-in 8/8/30 MNIST network on gaussian hardware, K/n 1, 1.25 and 1.5, as many hardware neurons as units, hardware
seeds 0 to 4. Each start is mapped once and then corrected in several ways: biases by sample means, biases by gradient,
a few fully tunable weights besides, which begin at the target's values (so with all of them tunable nothing is left of
the hardware). Biases alone are trained for five epochs, weights for two. Corrections see training images only;
validation and test accuracy are read once, at the end. Writes `tunable-ladder.csv` beside this file and
`docs/figures/tunable-ladder.svg`; what an earlier run left in `build/tunable-ladder.jsonl` is not done again.
"""

import argparse
import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from matchopt import NetworkInstance, NetworkMapping, Provenance, Rules
from matchopt.bench.records import ResultLog, task_key
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
from matchopt.run import Run, Task, solve_all

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent / "networks" / "row8-seed0.safetensors"
FIGURE = HERE.parents[1] / "docs" / "figures" / "tunable-ladder.svg"
RATIOS, SEEDS = (1.0, 1.25, 1.5), (0, 1, 2, 3, 4)
SOLVER_SEED = 0
RUNGS: dict[str, tuple[str, dict[str, Any]]] = {  # solver and options
    "biases, no labels": ("recalibrate", {}),
    "biases": ("train-biases", {}),
    "biases + 0.5 %": ("tune", {"budget": 0.005}),
    "biases + 1 %": ("tune", {"budget": 0.01}),
    "biases + 5 %": ("tune", {"budget": 0.05}),
    "biases + last layer": ("tune", {"where": "last-layer"}),
    "biases + all": ("tune", {"where": "all"}),
}
COLUMNS = (
    "fan_in_ratio", "start", "rung", "hardware_seed", "biases", "tuned", "loss", "validation", "test",
    "target_validation", "target_test", "samples", "solver_seconds",
)  # fmt: skip


def instance(
    network: SparseNetwork, data: ImageData, ratio: float, seed: int, samples: int, free_inputs: bool
) -> NetworkInstance:
    """The task-loss instance in which every connection may be tunable and biases are adjustable.

    `free_inputs` lets cells listen to any input, and connections be dropped, which reroute needs to do its work.
    """
    count = sum(int(layer.mask.sum()) for layer in network.layers)
    source = f"fan-in 8/8/30 MNIST network on gaussian hardware, K/n {ratio:g}, M/m 1"
    return export_network(
        network,
        draw_hardware(network, "gaussian", ratio, 1.0, seed),
        rules=Rules(drop=free_inputs, extra_inputs=free_inputs, tunable=count),
        objective="task-loss",
        biases="adjustable",
        sample_inputs=np.rint(data.train_images[:samples] * 255).astype(np.uint8),
        sample_labels=data.train_labels[:samples],
        sample_scale=1 / 255,
        tunable=count,
        provenance=Provenance(f"row8-gaussian-k{ratio:g}-r1-task-{seed}", source, seed),
    )


class Ladder:
    """All runs of the study; results are kept one by one."""

    def __init__(self, samples: int, jobs: int) -> None:
        self.network, self.data = read_network(TARGET), load_mnist()
        self.log = ResultLog(HERE.parents[1] / "build" / "tunable-ladder.jsonl")
        self._samples, self._jobs = samples, jobs

    def records(self, starts: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The record of every start and of every rung from there."""
        for ratio in RATIOS:
            for seed in SEEDS:
                facts = {"fan_in_ratio": ratio, "hardware_seed": seed, "samples": self._samples}
                for start in starts:
                    chip = instance(self.network, self.data, ratio, seed, self._samples, "reroute" in start)
                    yield from self._climb(chip, start, facts)

    def _climb(self, chip: NetworkInstance, start: str, facts: dict[str, Any]) -> Iterator[dict[str, Any]]:
        begin = Task(chip, start, seed=SOLVER_SEED, certify=False, surrogate=True)
        keys = {"start": task_key(begin)} | {rung: self._key(chip, start, rung) for rung in RUNGS}
        if any(self.log.get(key) is None for key in keys.values()):
            (mapped,) = solve_all([begin])
            if mapped.solution is None:
                raise SystemExit(f"{chip.name}, {start}: {mapped.message}")
            self._keep(keys["start"], chip, mapped, {**facts, "start": start, "rung": "start"})
            missing = [rung for rung in RUNGS if self.log.get(keys[rung]) is None]
            tasks = [
                Task(chip, RUNGS[rung][0], RUNGS[rung][1], seed=SOLVER_SEED, certify=False, start=mapped.solution)
                for rung in missing
            ]

            def finished(number: int, run: Run) -> None:
                self._keep(keys[missing[number]], chip, run, {**facts, "start": start, "rung": missing[number]})

            solve_all(tasks, jobs=self._jobs, on_run=finished)
        for key in keys.values():
            found = self.log.get(key)
            assert found is not None
            yield found

    def _key(self, chip: NetworkInstance, start: str, rung: str) -> str:
        solver, options = RUNGS[rung]
        named = {f"{solver}.{name}": value for name, value in options.items()}
        return task_key(Task(chip, f"{start}+{solver}", named, seed=SOLVER_SEED))

    def _keep(self, key: str, chip: NetworkInstance, run: Run, facts: dict[str, Any]) -> None:
        if not isinstance(run.solution, NetworkMapping):
            raise SystemExit(f"{chip.name}, {facts['rung']}: {run.status} {run.message}")
        mapped = realise(chip, run.solution)
        figures = {
            "biases": 0 if run.solution.biases is None else sum(map(len, run.solution.biases)),
            "tuned": sum(len(part.tunable) for part in run.solution.layers),
            "loss": run.objective,
            "solver_seconds": run.solver_seconds,
        }
        for name, network in (("", mapped), ("target_", unmapped(chip))):
            for part in ("validation", "test"):
                inputs, labels = getattr(self.data, f"{part}_images"), getattr(self.data, f"{part}_labels")
                figures[name + part] = measure(network, inputs, labels).accuracy
        self.log.append(key, {**facts, **figures})
        print(f"{chip.name}, {facts['start']}, {facts['rung']}: test {100 * figures['test']:.2f} %", flush=True)


def plot(records: Sequence[dict[str, Any]], path: Path) -> None:
    """Test accuracy against the number of trained values; mean, least and most over the hardware draws."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    starts = list(dict.fromkeys(record["start"] for record in records))
    with mpl.rc_context({"svg.hashsalt": "matchopt", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(1.8 + 4.2 * len(starts), 3.6), layout="constrained")
        axes = figure.subplots(1, len(starts), squeeze=False, sharey=True)[0]
        rungs = [rung for rung in RUNGS if rung != "biases, no labels"]
        for axis, start in zip(axes, starts, strict=True):
            for ratio, colour, marker in zip(RATIOS, ("#0b5fa5", "#d1495b", "#3a7d44"), "os^", strict=True):
                chosen = [r for r in records if (r["start"], r["fan_in_ratio"]) == (start, ratio)]
                shown = [[100 * r["test"] for r in chosen if r["rung"] == rung] for rung in ["start", *rungs]]
                means = [math.fsum(values) / len(values) for values in shown]
                spread = [[mean - min(v) for mean, v in zip(means, shown, strict=True)],
                          [max(v) - mean for mean, v in zip(means, shown, strict=True)]]  # fmt: skip
                axis.errorbar(range(len(means)), means, spread, color=colour, marker=marker, ms=4, lw=1.4, capsize=2,
                              label=f"K/n {ratio:g}")  # fmt: skip
            axis.axhline(100 * records[0]["target_test"], color="black", lw=1, ls="--", label="target")
            axis.set_xticks(range(1 + len(rungs)), [start, *rungs], rotation=30, ha="right", fontsize=8)
            axis.set_ylim(80, 100)
            axis.grid(color="#dddddd", linewidth=0.6)
            axis.spines[["top", "right"]].set_visible(False)
        axes[0].set_ylabel("test accuracy, % (below 80 not shown)")
        axes[-1].legend(fontsize=8, frameon=False, loc="lower right")
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")


def main() -> None:
    """Run what is missing, and write the table and the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", default="hungarian", help="solvers or pipelines, with commas between them")
    parser.add_argument("--samples", type=int, default=55_000, help="training images in the instance")
    parser.add_argument("--jobs", type=int, default=1, help="solves at a time")
    options = parser.parse_args()
    ladder = Ladder(options.samples, options.jobs)
    records = list(ladder.records(options.starts.split(",")))
    with (HERE / "tunable-ladder.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
    plot(records, FIGURE)


if __name__ == "__main__":
    main()
