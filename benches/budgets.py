"""Tunable weights in networks of LeNet's size: how close `lagrangian` comes to its own bound and to the certificate's.

    python benches/budgets.py --output FILE.csv

Networks of 784-300-100-10 rows with 8, 8 and 30 connections each, or 5 or 10 % of all; Laplace-distributed targets,
normal cells, K cells of each hardware neuron for n connections, as many neurons as rows. The budget is a share of all
connections, the objective the weight error or an output error of uncorrelated inputs of unequal sizes. A line for each
network and seed: error, bound and certified bound, processor seconds.
"""

import csv
import time
from pathlib import Path

import click
import numpy as np
from matchopt_budget import Lagrangian

from matchopt import (
    Hardware,
    LayerInstance,
    Limits,
    NetworkInstance,
    OutputError,
    Rules,
    Target,
    WeightError,
    certify,
    check,
)

SIZES = (784, 300, 100, 10)
FAN_INS: dict[str, tuple[float, ...]] = {"8/8/30": (8, 8, 30), "5 %": (0.05,) * 3, "10 %": (0.1,) * 3}
COLUMNS = [
    "connections",
    "budget",
    "K/n",
    "objective",
    "seed",
    "error",
    "bound",
    "certified",
    "gap",
    "prices",
    "seconds",
    "proof seconds",
]


def network(
    rng: np.random.Generator, fan_ins: tuple[float, ...], ratio: float, share: float, output: bool
) -> NetworkInstance:
    """One random network."""
    layers, biases = [], []
    for inputs, rows, wanted in zip(SIZES, SIZES[1:], fan_ins, strict=False):
        fan_in = round(inputs * wanted if wanted < 1 else wanted)
        mask = np.argsort(rng.random((rows, inputs)), axis=1) < fan_in
        target = Target.from_dense(rng.laplace(size=(rows, inputs)) * mask, mask)
        cells = round(ratio * fan_in)
        objective = OutputError(np.diag(rng.gamma(1.0, size=inputs))) if output else WeightError()
        rules = Rules(tunable=target.n_connections)
        layers.append(LayerInstance(target, Hardware(rng.normal(size=(rows, cells))), rules, objective))
        biases.append(np.zeros(rows))
    total = sum(layer.target.n_connections for layer in layers)
    return NetworkInstance(tuple(layers), tuple(biases), tunable=round(share * total))


def line(name: str, share: float, ratio: float, output: bool, seed: int, seconds: float | None) -> dict[str, object]:
    """Solve, check and certify one network."""
    instance = network(np.random.default_rng(seed), FAN_INS[name], ratio, share, output)
    solver = Lagrangian()
    solver.prepare()
    began = time.process_time()
    result = solver.solve(instance, Limits(seconds), np.random.default_rng(seed))
    taken = time.process_time() - began
    assert result.solution is not None
    report = check(instance, result.solution)
    assert report.objective is not None
    began = time.process_time()
    proof = certify(instance, result.solution)
    return {
        "connections": name, "budget": share, "K/n": ratio, "objective": "output" if output else "weight", "seed": seed,
        "error": f"{report.objective:.6g}", "bound": f"{result.bound:.6g}", "certified": f"{proof.bound:.6g}",
        "gap": f"{1.0 - proof.bound / report.objective:.2e}", "prices": result.stats["prices"],
        "seconds": f"{taken:.2f}", "proof seconds": f"{time.process_time() - began:.1f}",
    }  # fmt: skip


@click.command()
@click.option("--output", type=click.Path(path_type=Path), required=True)
@click.option("--seeds", default=1, show_default=True)
@click.option("--seconds", type=float, default=None, help="Time limit of each solve.")
def main(output: Path, seeds: int, seconds: float | None) -> None:
    """Write a line for every network."""
    cases = [(name, share, ratio, False) for name in FAN_INS for ratio in (1.0, 1.5) for share in (0.01, 0.05, 0.1)]
    cases += [(name, 0.05, ratio, True) for name in ("8/8/30", "5 %") for ratio in (1.0, 1.5)]
    with output.open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        for case in cases:
            for seed in range(seeds):
                table.writerow(found := line(*case, seed, seconds))
                file.flush()
                click.echo(" ".join(str(value) for value in found.values()))


if __name__ == "__main__":
    main()
