"""The instances of the demo: the target network on every draw of the hardware."""

from dataclasses import dataclass
from pathlib import Path

from matchopt.demo.plan import Plan, Regime
from matchopt.formats import write
from matchopt.instances import Hardware, NetworkInstance, Provenance, Rules
from matchopt.network import ImageData, SparseNetwork, draw_hardware, export_network
from matchopt.network.objectives import compact_images


@dataclass(frozen=True, eq=False)
class Case:
    """The network on one draw of the hardware of one regime; `draw` is the seed of the hardware."""

    regime: Regime
    draw: int
    instance: NetworkInstance


def make_cases(plan: Plan, network: SparseNetwork, data: ImageData, folder: Path) -> list[Case]:
    """Draw the hardware and write the instances into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    cases = []
    for regime in plan.regimes:
        for draw in range(plan.seed, plan.seed + regime.draws):
            hardware = draw_hardware(network, plan.law, regime.ratio, 1.0, draw)
            suffix = "" if regime.question == "weights" else f"-{regime.question}"
            name = f"{plan.law}-k{regime.ratio:g}-draw{draw}{suffix}"
            source = f"trained network of seed {plan.seed} on {plan.law} hardware, K/n {regime.ratio:g}, M/m 1"
            about = Provenance(name=name, source=source, seed=draw)
            case = Case(regime, draw, _instance(regime, network, hardware, data, about))
            write(case.instance, folder / f"{name}.matchopt")
            cases.append(case)
    return cases


def _instance(
    regime: Regime, network: SparseNetwork, hardware: tuple[Hardware, ...], data: ImageData, about: Provenance
) -> NetworkInstance:
    if regime.question == "weights":
        return export_network(network, hardware, provenance=about)
    part = slice(0, regime.images or None)
    images, scale = compact_images(data.train_images[part])
    return export_network(
        network,
        hardware,
        rules=Rules(drop=True, extra_inputs=True),
        objective="score-error" if regime.question == "outputs" else "task-loss",
        biases="adjustable",
        sample_inputs=images,
        sample_labels=data.train_labels[part] if regime.question == "labels" else None,
        sample_scale=scale,
        provenance=about,
    )
