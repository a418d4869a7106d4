"""What a solve costs beyond its solver's clock, warm beside cold, and what the command line does: all that is waiting.

    python benches/start_up.py [SOLVES]

Each row is one solver on one tiny instance, solved one after the other in this process, without a proof. Overhead is
wall time less the solver's clock; CPU is that of this process, its fork server and all workers, per solve. The first
solve starts the server, the second one lets it import what the first one needed; both are shown apart.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

import matchopt
from matchopt import FunctionalError, Hardware, LayerInstance, NetworkInstance, Rules, Target
from matchopt.run import warm

RNG = np.random.default_rng(0)
COLD_SOLVES = 5  # they cost a hundred times as much


def tiny_layer() -> LayerInstance:
    """Four rows of three weights on five neurons of four cells."""
    return LayerInstance(Target.from_dense(RNG.standard_normal((4, 3))), Hardware(RNG.standard_normal((5, 4))))


def tiny_network() -> NetworkInstance:
    """Two layers and sixteen samples."""
    layers = []
    for rows, inputs in ((4, 3), (2, 4)):
        target, hardware = RNG.standard_normal((rows, inputs)), RNG.standard_normal((rows + 1, inputs + 1))
        layers.append(LayerInstance(Target.from_dense(target), Hardware(hardware), Rules(drop=True, extra_inputs=True)))
    samples = FunctionalError(RNG.random((16, 3)))
    return NetworkInstance(tuple(layers), (np.zeros(4), np.zeros(2)), objective=samples, adjustable=True)


def cpu_seconds() -> float:
    """CPU seconds of this process and all it has started, those that still run included."""
    total = sum(os.times()[:4])
    for child in psutil.Process().children():
        total += sum(child.cpu_times()[:4])
    return total


def measure(instance: matchopt.Instance, solver: str, options: dict[str, int], solves: int, cold: bool) -> str:
    """One row of the table."""
    warm.server.close()
    overheads, shares = [], []
    for _ in range(solves):
        began, cpu = time.perf_counter(), cpu_seconds()
        run = matchopt.solve(instance, solver, options=options, certify=False, cold=cold)
        overheads.append(1000 * (time.perf_counter() - began - (run.solver_seconds or 0.0)))
        shares.append(1000 * (cpu_seconds() - cpu))
        assert run.solution is not None, run.message
    later, cpu = sorted(overheads[2:]), statistics.mean(shares[2:])
    first = " / ".join(f"{overhead:.0f}" for overhead in overheads[:2])
    high = later[int(0.95 * (len(later) - 1))]
    worker = "cold" if cold else "warm"
    return f"| {solver} | {worker} | {first} | {statistics.median(later):.0f} | {high:.0f} | {cpu:.0f} |"


def measure_command(*words: str) -> str:
    """One row of the table of commands: the least wall time of five calls, and the CPU of the same."""
    found = []
    for _ in range(5):
        began, cpu = time.perf_counter(), cpu_seconds()
        subprocess.run([sys.executable, "-m", "matchopt.cli", *words], check=True, stdout=subprocess.DEVNULL)
        found.append((time.perf_counter() - began, cpu_seconds() - cpu))
    wall, cpu = min(found)
    shown = " ".join(Path(word).name for word in words)
    return f"| `matchopt {shown}` | {wall:.2f} | {cpu:.2f} |"


def main(solves: int) -> None:
    """Print both tables."""
    print("| solver | worker | first two, ms | median, ms | 95 %, ms | CPU, ms |")
    print("|---|---|---|---|---|---|")
    cases = [(tiny_layer(), "hungarian", {}), (tiny_network(), "reroute", {}), (tiny_network(), "slots", {"epochs": 1})]
    for instance, solver, options in cases:
        for cold in (False, True):
            print(measure(instance, solver, options, COLD_SOLVES if cold else solves, cold), flush=True)
    print("\n| command | wall, s | CPU of all its processes, s |")
    print("|---|---|---|")
    print(measure_command("--help"), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        layer = str(Path(folder) / "layer.matchopt")
        matchopt.write(tiny_layer(), layer)
        for more in ((), ("--cold",)):
            print(measure_command("solve", layer, "--solver", "hungarian", *more), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
