"""The instances of the demo: the target network on every draw of the hardware."""

from dataclasses import dataclass
from pathlib import Path

from matchopt.demo.plan import Plan, Regime
from matchopt.formats import write
from matchopt.instances import NetworkInstance, Provenance
from matchopt.network import SparseNetwork, draw_hardware, export_network


@dataclass(frozen=True, eq=False)
class Case:
    """The network on one draw of the hardware of one regime; `draw` is the seed of the hardware."""

    regime: Regime
    draw: int
    instance: NetworkInstance


def make_cases(plan: Plan, network: SparseNetwork, folder: Path) -> list[Case]:
    """Draw the hardware and write the instances into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    cases = []
    for regime in plan.regimes:
        for draw in range(plan.seed, plan.seed + regime.draws):
            hardware = draw_hardware(network, plan.law, regime.ratio, 1.0, draw)
            name = f"{plan.law}-k{regime.ratio:g}-draw{draw}"
            source = f"trained network of seed {plan.seed} on {plan.law} hardware, K/n {regime.ratio:g}, M/m 1"
            about = Provenance(name=name, source=source, seed=draw)
            case = Case(regime, draw, export_network(network, hardware, provenance=about))
            write(case.instance, folder / f"{name}.matchopt")
            cases.append(case)
    return cases
