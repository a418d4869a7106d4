"""Make the exported instances of this folder again: train the target, draw the hardware, solve, write the catalogue.

    python problems/build.py [--seconds 60] [--only TEXT]

Instances keep the regimes in which solvers differ (docs/mathematics.md, "When it is worth it"). Best values come from
every registered solver that does not refuse; a value is "optimal" in the catalogue only where it was proved.
"""

import argparse
import csv
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from matchopt import Gains, Hardware, Instance, LayerInstance, NetworkInstance, OutputError, Provenance, Rules, Target
from matchopt.formats import file_sha256, write
from matchopt.formats.catalogue import COLUMNS
from matchopt.instances import Imperfections
from matchopt.network import SparseNetwork, draw_hardware, export_network, load_mnist, read_network, write_network
from matchopt.network.methods.gradual_pruning import GradualPruning
from matchopt.network.objectives import Biases
from matchopt.plugins import load_plugins
from matchopt.run import solve

HERE = Path(__file__).resolve().parent
TARGET = HERE / "networks" / "row8-seed0.safetensors"
WIDTHS = (784, 300, 100, 10)
SEED = 0  # of training and of every hardware draw


def target() -> SparseNetwork:
    """The trained sparse network, from its file or trained anew."""
    if TARGET.is_file():
        return read_network(TARGET)
    network = GradualPruning(prune_epochs=8, retrain_epochs=20).train(load_mnist(), WIDTHS, SEED).network
    TARGET.parent.mkdir(exist_ok=True)
    write_network(TARGET, network)
    return network


def networks(net: SparseNetwork) -> Iterator[NetworkInstance]:
    """Whole networks: K/n, M/m, weight laws, faults and noise, gains, hardware biases."""

    def made(name: str, law: str, k: float, r: float, rules: Rules | None = None, **chip: float) -> NetworkInstance:
        biases: Biases = "hardware" if chip.pop("hardware_biases", 0) else "free"
        flaws = Imperfections(**chip)  # type: ignore[arg-type]  # numbers of buses are whole
        hardware = draw_hardware(net, law, k, r, SEED, biases=biases, imperfections=flaws)
        source = f"fan-in 8/8/30 MNIST network (gradual pruning, seed {SEED}) on {law} hardware, K/n {k}, M/m {r}"
        provenance = Provenance(name=f"row8-{name}", source=source, seed=SEED)
        return export_network(net, hardware, rules=rules, biases=biases, provenance=provenance)

    for k, r in ((1.0, 1.0), (1.25, 1.0), (1.5, 1.0), (1.0, 2.0), (1.25, 2.0)):
        yield made(f"gaussian-k{k:g}-r{r:g}", "gaussian", k, r)
    for law in ("uniform", "lognormal", "bimodal", "binary"):
        yield made(f"{law}-k1.25-r1", law, 1.25, 1.0)
    for k in (0.5, 0.75):
        yield made(f"gaussian-k{k:g}-r1-drop", "gaussian", k, 1.0, Rules(drop=True))
    yield made("gaussian-k1.25-r1-gains", "gaussian", 1.25, 1.0, Rules(gains=Gains.interval(0.37, 2.72)))
    yield made("gaussian-k1.25-r1-hardware-biases", "gaussian", 1.25, 1.0, hardware_biases=1)
    yield made("gaussian-k1.5-r1-noise-faults", "gaussian", 1.5, 1.0, Rules(drop=True), relative_noise=0.1,
               bad_cells=0.05, bad_lines=0.05)  # fmt: skip


def output_layers(net: SparseNetwork) -> Iterator[LayerInstance]:
    """The output layer alone: few rows, large fan-in, no spare neurons."""
    for law in ("gaussian", "uniform", "lognormal", "bimodal", "binary"):
        for r in (1.0, 2.0):
            layer = export_network(net, draw_hardware(net, law, 1.25, r, SEED)).layers[-1]
            source = f"output layer of the fan-in 8/8/30 MNIST network on {law} hardware, K/n 1.25, M/m {r:g}"
            yield replace(layer, provenance=Provenance(f"row8-output-{law}-k1.25-r{r:g}", source, SEED))


def crops(net: SparseNetwork) -> Iterator[LayerInstance]:
    """Three output neurons with their five strongest connections, under the rules that couple everything."""
    weights = net.layers[-1].weights[:3].astype(np.float64)
    strongest = np.argsort(-np.abs(weights), axis=1)[:, :5]
    inputs = np.unique(strongest)
    support = np.zeros(weights.shape, bool)
    np.put_along_axis(support, strongest, True, axis=1)
    small = Target.from_dense(weights[:, inputs], support[:, inputs])
    scale = float(np.sqrt(np.mean(small.weights**2)))
    received = net.layer_inputs(load_mnist().train_images[:2000])[-1][:, inputs]
    moments = received.T @ received / len(received)
    shared = {"neurons_per_bus": 3, "leak": 0.05}

    def chip(n_cells: int, **imperfections: float) -> Hardware:
        rng = np.random.default_rng(SEED)
        flaws = Imperfections(**imperfections)  # type: ignore[arg-type]
        return flaws.applied(scale * rng.standard_normal((3, n_cells)), rng)

    variants: dict[str, tuple[Hardware, Rules, OutputError | None]] = {
        "two-cells": (chip(8), Rules(cells_per_weight=2), None),
        "tunable": (chip(6), Rules(tunable=2), None),
        "output-error": (chip(6), Rules(), OutputError((moments + moments.T) / 2)),
        "shared-bus": (chip(len(inputs), **shared), Rules(drop=True), None),
        "shared-bus-all": (chip(len(inputs) + 1, neurons_per_bus=3), Rules(), None),
    }
    for name, (hardware, rules, objective) in variants.items():
        source = f"3 rows x 5 strongest connections of the output layer of the fan-in 8/8/30 MNIST network; {name}"
        layer = LayerInstance(small, hardware, rules, provenance=Provenance(f"row8-crop-{name}", source, SEED))
        yield replace(layer, objective=objective) if objective else layer


def crossbars() -> Iterator[LayerInstance]:
    """Rows and inputs that share lines: two small ones to be proved, and one of the size of an array."""
    sizes = {"8x8": (8, 8, 0.4, 1, {}, Rules()), "12x12": (12, 12, 0.3, 1, {}, Rules()),
             "10x10-faults": (10, 10, 0.3, 2, {"bad_cells": 0.15, "leak": 0.02}, Rules(drop=True)),
             "100x100": (100, 100, 0.1, 2, {}, Rules())}  # fmt: skip
    for name, (rows, inputs, density, redundancy, faults, rules) in sizes.items():
        rng = np.random.default_rng(SEED)
        support = rng.random((rows, inputs)) < density
        target = Target.from_dense(np.where(support, rng.laplace(scale=np.sqrt(0.5), size=support.shape), 0.0), support)
        shape = (redundancy * rows, redundancy * inputs)
        flaws = Imperfections(neurons_per_bus=shape[0], **faults)
        layer = LayerInstance(target, flaws.applied(rng.standard_normal(shape), rng), rules)
        source = (
            f"Laplace targets, {density:.0%} of {rows} x {inputs}, on one gaussian crossbar of {shape[0]} x {shape[1]}"
        )
        yield replace(layer, provenance=Provenance(f"crossbar-{name}", source, SEED))


def written() -> Iterator[LayerInstance]:
    """All cells but a tenth can be written: to levels, in a range but a few of them, and to levels on one bus."""
    sizes = {"12x12-levels": (12, 14, 0.6, Rules()), "12x12-limited": (12, 14, 0.6, Rules(writes=8)),
             "crossbar-6x6": (6, 6, 0.5, Rules())}  # fmt: skip
    for name, (rows, cells, density, rules) in sizes.items():
        rng = np.random.default_rng(SEED)
        support = rng.random((rows, rows)) < density
        target = Target.from_dense(np.where(support, rng.laplace(scale=np.sqrt(0.5), size=support.shape), 0.0), support)
        weights, stuck = rng.standard_normal((cells, cells)), rng.random((cells, cells)) < 0.1
        bus = np.zeros(cells, int) if "crossbar" in name else None
        low = np.where(stuck, np.nan, -1.5)
        levels = np.where(stuck[:, :, None], np.nan, np.linspace(-1.5, 1.5, 5))
        menus = {"low": low, "high": -low} if rules.writes is not None else {"levels": levels}
        source = f"Laplace targets, {density:.0%} of {rows} x {rows}, on gaussian cells that can be written; {name}"
        layer = LayerInstance(target, Hardware(weights, bus=bus, **menus), rules)
        yield replace(layer, provenance=Provenance(f"written-{name}", source, SEED))


def variants() -> Iterator[Instance]:
    """Small ones of the variants, to be proved: sums of cells, splits, copies, hard-wired cells, buses, one chip."""

    def drawn(rows: int, inputs: int, fan_in: int, shape: tuple[int, int]) -> tuple[Target, np.ndarray]:
        rng = np.random.default_rng(SEED)
        support = np.argsort(rng.random((rows, inputs)), axis=1) < fan_in
        target = Target.from_dense(np.where(support, rng.laplace(scale=np.sqrt(0.5), size=support.shape), 0.0), support)
        return target, rng.standard_normal(shape)

    def layer(
        name: str, about: str, sizes: tuple[int, int, int], shape: tuple[int, int], rules: Rules, **more: Any
    ) -> LayerInstance:
        target, weights = drawn(*sizes, shape)
        about = f"on gaussian cells, {shape[0]} x {shape[1]}: {about}"
        source = f"Laplace targets, {sizes[0]} rows of {sizes[2]} of {sizes[1]} inputs, {about}"
        return LayerInstance(target, Hardware(weights, **more), rules, provenance=Provenance(name, source, SEED))

    yield layer("sums-12x12", "up to two cells per weight", (12, 12, 6), (14, 12), Rules(2))
    yield layer("split-4x6", "rows on up to two neurons", (4, 6, 6), (10, 4), Rules(neurons_per_row=2))
    yield layer("copies-4x4", "rows served by up to two copies", (4, 4, 3), (8, 4), Rules(copies=2))
    own, stuck = np.tile(np.arange(24) // 4, (10, 1)), np.random.default_rng(SEED).random((10, 24)) < 0.1
    off = np.where(stuck, drawn(8, 6, 4, (10, 24))[1], 0.0)
    yield layer("hard-wired-8x6", "four hard-wired cells on each input, a tenth stuck", (8, 6, 4), (10, 24), Rules(4),
                input=own, usable=~stuck, off=off)  # fmt: skip
    yield layer("buses-8x8", "four neurons on a bus", (8, 8, 4), (8, 8), Rules(), bus=np.arange(8) // 4)
    (first, weights), second = drawn(8, 10, 5, (16, 7)), drawn(6, 8, 4, (1, 1))[0]
    chip = Hardware(weights)
    layers = (LayerInstance(first, chip), LayerInstance(second, chip.scaled(0.5)))
    source = "Laplace targets, 8 rows of 5 of 10 inputs and 6 of 4 of 8, on one chip of 16 gaussian neurons of 7 cells"
    biases = (np.zeros(8), np.zeros(6))
    yield NetworkInstance(layers, biases, one_chip=True, provenance=Provenance("chip-two-layers", source, SEED))


def every_family() -> Iterator[Iterator[Instance]]:
    """The instances of every recipe."""
    net = target()
    families: tuple[Callable[[SparseNetwork], Iterator[Instance]], ...] = (networks, output_layers, crops)
    yield from (family(net) for family in families)
    yield crossbars()
    yield written()
    yield variants()


def with_best(instance: Instance, seconds: float) -> tuple[Instance, str]:
    """The instance with its best known value in its provenance, and its status for the catalogue."""
    best, bound, by, proven = None, None, "", False
    for name in load_plugins().solvers:
        run = solve(instance, name, time_limit=seconds, seed=SEED)
        if run.objective is not None and (best is None or run.objective < best):
            best, by = run.objective, f"{name} {run.version}, {run.proof or 'no proof'}"
        if run.proof is not None and run.bound is not None and (bound is None or run.bound > bound):
            bound = run.bound
        proven = proven or run.proof == "proven"
        print(f"  {name}: {run.status} {run.objective} bound {run.bound} proof {run.proof} {run.message}")
    known = replace(instance.provenance, best_value=best, best_bound=bound, best_by=by)
    status = "optimal" if proven else "feasible" if best is not None else "unknown"
    return replace(instance, provenance=known), status  # type: ignore[type-var]  # all kinds are dataclasses


def main() -> None:
    """Write the instances that are asked for and their rows of the catalogue."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="time limit of each solve")
    parser.add_argument("--only", default="", help="only instances whose name contains this text")
    options = parser.parse_args()
    with (HERE / "catalogue.csv").open(newline="") as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    for family in every_family():
        for instance in family:
            if options.only in instance.name:
                print(instance.name)
                solved, status = with_best(instance, options.seconds)
                path = HERE / "instances" / f"{instance.name}.matchopt"
                path.parent.mkdir(exist_ok=True)
                write(solved, path)
                rows[path.relative_to(HERE).as_posix()] = row(solved, path, status)
    with (HERE / "catalogue.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[path] for path in sorted(rows, key=lambda p: (rows[p]["place"], p)))


def row(instance: Instance, path: Path, status: str) -> dict[str, str]:
    """The row of the catalogue of one instance."""
    known = instance.provenance
    return {
        "place": "problems",
        "path": path.relative_to(HERE).as_posix(),
        "sha256": file_sha256(path),
        "kind": instance.kind,
        "format": "matchopt",
        "best_bound": "" if known.best_bound is None else repr(known.best_bound),
        "best_value": "" if known.best_value is None else repr(known.best_value),
        "status": status,
        "source": f"problems/build.py; {known.best_by}",
    }


if __name__ == "__main__":
    main()
