"""How much accuracy comes back when the wiring itself is trained, on hardware too small or too odd for the network.

    python problems/studies/learned_selection.py [--seeds 0,1,2,3,4]

The fan-in 8/8/30 MNIST network on hardware with as many neurons as units, cells that may listen to any input, and
digital biases that are trained; hardware seeds 0 to 4, which no option was chosen on. Training sees the 55,000 training
images; validation and test accuracy are read once, at the end. No time limit: the epochs decide, so the table does not
depend on the machine but for its seconds, which are those of the processor in the workers' one thread, loading
included. Writes `learned-selection.csv` beside this file; rows that are there already are not done again.
"""

import argparse
import csv
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from matchopt import NetworkMapping, Rules
from matchopt.network import SparseNetwork, draw_hardware, export_network, load_mnist, measure, read_network, realise
from matchopt.plugins import load_plugins
from matchopt.run import solve

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent / "networks" / "row8-seed0.safetensors"
TABLE = HERE / "learned-selection.csv"
SOLVER_SEED = 0
KEY = ("fan_in_ratio", "law", "solver", "hardware_seed")
COLUMNS = (*KEY, "labels", "epochs", "seconds", "validation", "test")
HARD = ((0.5, "gaussian"), (0.75, "gaussian"), (1.0, "lognormal"), (1.0, "binary"))  # where weights alone do not do

Options = dict[str, Any]


def grid() -> Iterator[tuple[float, str, str, str, Options]]:
    """K/n, law, name of the method, pipeline, and its options."""
    long, short = {"slots.epochs": 40}, {"slots.epochs": 12}
    yield 1.0, "gaussian", "slots", "slots", long
    yield 1.0, "gaussian", "slots from scratch", "slots", {"slots.start": "scratch", "slots.threshold": 0.0, **long}
    yield 1.0, "gaussian", "reroute, slots", "reroute+slots", long
    for ratio, law in HARD:
        yield ratio, law, "slots", "slots", short
    yield 1.0, "gaussian", "slots without labels", "slots", short
    for ratio, law in ((1.0, "gaussian"), *HARD):
        yield ratio, law, "weight error, biases trained", "hungarian+train-biases", {}


def row(net: SparseNetwork, case: tuple[float, str, str, str, Options], seed: int) -> dict[str, Any]:
    """One run and its accuracies."""
    ratio, law, method, pipeline, options = case
    data, labels = load_mnist(), method != "slots without labels"
    instance = export_network(
        net,
        draw_hardware(net, law, ratio, 1.0, seed),
        rules=Rules(drop=True, extra_inputs=True),
        objective="task-loss" if labels else "functional-error",
        biases="adjustable",
        sample_inputs=np.round(data.train_images * 255).astype(np.uint8),
        sample_labels=data.train_labels,
        sample_scale=1 / 255,
    )
    began = _worker_seconds()
    run = solve(instance, pipeline, options=_of_single(pipeline, options), seed=SOLVER_SEED, time_limit=None)
    seconds = _worker_seconds() - began
    if not isinstance(run.solution, NetworkMapping):
        raise SystemExit(f"{pipeline} on K/n {ratio}, {law}, seed {seed}: {run.status} {run.message}")
    network = realise(instance, run.solution)
    accuracy = [
        measure(network, images, answers).accuracy
        for images, answers in ((data.validation_images, data.validation_labels), (data.test_images, data.test_labels))
    ]
    found = (ratio, law, method, seed, "yes" if labels else "no", options.get("slots.epochs", ""), round(seconds, 1))
    return dict(zip(COLUMNS, (*found, *(round(100 * value, 2) for value in accuracy)), strict=True))


def _of_single(pipeline: str, options: Options) -> Options:
    """Options of a solver that runs alone go without its name."""
    return options if "+" in pipeline else {name.partition(".")[2]: value for name, value in options.items()}


def _worker_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Run what is missing, row by row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0,1,2,3,4", help="hardware seeds")
    options = parser.parse_args()
    done: list[dict[str, Any]] = []
    if TABLE.is_file():
        with TABLE.open(newline="") as file:
            done = list(csv.DictReader(file))
    net, solvers = read_network(TARGET), load_plugins().solvers
    for case in grid():
        for seed in (int(text) for text in options.seeds.split(",")):
            key = tuple(str(value) for value in (*case[:3], seed))
            missing = [name for name in case[3].split("+") if name not in solvers]
            if missing or any(tuple(other[name] for name in KEY) == key for other in done):
                continue
            done.append({name: str(value) for name, value in row(net, case, seed).items()})
            print(*done[-1].values(), flush=True)
            with TABLE.open("w", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                writer.writeheader()
                writer.writerows(done)


if __name__ == "__main__":
    main()
