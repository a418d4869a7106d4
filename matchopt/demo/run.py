"""The demo from end to end."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from matchopt.demo.cases import Case, make_cases
from matchopt.demo.claims import ORDER, Claim, claims_of
from matchopt.demo.page import write_page
from matchopt.demo.plan import Plan
from matchopt.demo.plots import SHOWN, Weights
from matchopt.demo.records import HEADINGS, Row, rows_of, table_cells, unsolved, write_csv
from matchopt.demo.solves import Campaign
from matchopt.demo.target import target_network
from matchopt.instances import LayerInstance, LayerMapping, NetworkInstance, NetworkMapping
from matchopt.network import SparseNetwork
from matchopt.terminal.table import print_table

Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class DemoReport:
    """What the demo found.

    Parameters
    ----------
    rows : the table, without the unmapped target.
    records : one per solve.
    target : validation_accuracy, test_accuracy and connectivity of the unmapped target.
    claims : what was expected.
    page : the page to look at.
    """

    rows: tuple[Row, ...]
    records: tuple[Mapping[str, Any], ...]
    target: Mapping[str, float]
    claims: tuple[Claim, ...]
    page: Path


def run_demo(plan: Plan, folder: Path, say: Say, plugin_files: Sequence[Path] = (), jobs: int = 2) -> DemoReport:
    """Train, export, solve, check, measure, and leave everything in `folder`.

    Parameters
    ----------
    plan : what to do.
    folder : gets `target.safetensors`, `instances`, `solutions`, `results.jsonl`, `results.csv` and `index.html`.
        What an earlier run left there is used again.
    say : receives each line on how it goes.
    plugin_files : plugin files to load besides the installed plugins.
    jobs : solves at a time.
    """
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    data = plan.data()
    network, kept = target_network(plan, data, folder / "target.safetensors")
    target = _target_figures(network)
    say(
        _about(network, target)
        + (", from an earlier run" if kept else f", trained in {time.monotonic() - began:.0f} s")
    )
    cases = make_cases(plan, network, data, folder / "instances")
    campaign = Campaign(plan, data, folder, plugin_files, jobs)
    records = campaign.run(cases)
    again = f", {campaign.reused} of them in an earlier run" if campaign.reused else ""
    say(f"{len(records)} solves on {len(cases)} instances{again}")
    rows = rows_of(records)
    claims = claims_of(rows, target, plan.full)
    write_csv(folder / "results.csv", records)
    weights = _weights(cases[0], records, campaign)
    page = folder / "index.html"
    drawn = write_page(page, rows, records, claims, target, weights, _settings(plan, network))
    print_table(HEADINGS, table_cells(rows, target))
    for line in unsolved(records):
        say(f"no solution: {line}")
    for claim in claims:
        say(str(claim))
    say(f"{page}{'' if drawn else ' (without plots: they need matplotlib, pip install matchopt[reports])'}")
    say(f"{time.monotonic() - began:.0f} s in all")
    return DemoReport(tuple(rows), tuple(records), target, tuple(claims), page)


def _target_figures(network: SparseNetwork) -> dict[str, float]:
    record = network.record
    assert record.validation_accuracy is not None and record.test_accuracy is not None
    return {
        "validation_accuracy": record.validation_accuracy,
        "test_accuracy": record.test_accuracy,
        "connectivity": network.connectivity,
    }


def _about(network: SparseNetwork, target: Mapping[str, float]) -> str:
    fan_in = "/".join(str(int(fans.max())) for fans in network.fan_in)
    widths = "-".join(str(width) for width in network.widths)
    accuracies = f"validation {100 * target['validation_accuracy']:.2f} %, test {100 * target['test_accuracy']:.2f} %"
    return f"target network {widths}, fan-in {fan_in}, {100 * network.connectivity:.2f} % connectivity: {accuracies}"


def _settings(plan: Plan, network: SparseNetwork) -> str:
    data = "MNIST" if plan.images is None else f"the first {plan.images[0]} images of MNIST"
    return (
        f"{_about(network, _target_figures(network))}. Trained on {data} by {plan.trainer.name}, seed {plan.seed}; "
        f"{plan.law} hardware weights, scaled to each layer's root mean square; biases digital and exact; "
        f"one thread for each solve, at most {max(regime.seconds for regime in plan.regimes):g} s."
    )


def _weights(case: Case, records: Sequence[Mapping[str, Any]], campaign: Campaign) -> Weights:
    """Target and realised weights on one case: of the solvers whose order is claimed, or else of the first ones."""
    found = {
        record["solver"]: record
        for record in records
        if record["digest"] == case.instance.digest and record["objective"] is not None
    }
    names = [name for name in ORDER if name in found]
    names += sorted((name for name in found if name not in names), key=lambda name: -found[name]["objective"])
    weights = {}
    for name in names[:SHOWN]:
        mapping = campaign.mapping(found[name])
        if mapping is not None:
            weights[name] = connection_weights(case.instance, mapping)
    return weights


def connection_weights(
    instance: NetworkInstance, mapping: NetworkMapping
) -> tuple[Float[np.ndarray, " connections"], Float[np.ndarray, " connections"]]:
    """Target and realised weight of every connection of the network."""

    def realised(layer: LayerInstance, part: LayerMapping) -> Float[np.ndarray, " some"]:
        chosen: Float[np.ndarray, " some"] = layer.realised(part)[layer.target.row_of, layer.target.indices]
        return chosen

    pairs = list(zip(instance.layers, mapping.layers, strict=True))
    target = np.concatenate([layer.target.weights for layer, _ in pairs])
    return target, np.concatenate([realised(layer, part) for layer, part in pairs])
