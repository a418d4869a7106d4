"""Crossbars with stuck cells, clustered on lines as on measured kernels: every heuristic that takes them."""

import numpy as np
import pytest

from matchopt import Hardware, LayerInstance, Limits, Rules, Target, check
from matchopt.contract import refusal
from matchopt.plugins import load_plugins

REGISTRY = load_plugins()
LESS = {
    "crossbar-alternate": {"starts": 2000},
    "crossbar-anneal": {"scans": 2000},
    "crossbar-perturb": {"rounds": 2000},
    "crossbar-redundant": {"rounds": 40},
}
BASELINES = {"random-wiring"}


def stuck_layer(cells: int) -> LayerInstance:
    """A third of all connections, as on the measured kernels; three lines of twelve are stuck high throughout."""
    rng = np.random.default_rng(1)
    target = Target.from_dense(rng.laplace(size=(12, 12)), rng.random((12, 12)) < 0.32)
    weights, stuck = rng.normal(size=(12, 12)), rng.random((12, 12)) < 0.05
    stuck[:, :3] = True
    weights[stuck] = 5.0 + rng.random(int(stuck.sum()))
    chip = Hardware(weights, off=np.where(stuck, weights, 0.0), bus=np.zeros(12, np.int64))
    return LayerInstance(target, chip, Rules(drop=True, cells_per_weight=cells))


@pytest.mark.parametrize("cells", [1, 2])
def test_every_heuristic_leaves_stuck_lines_alone(cells: int) -> None:
    """None is worse than wiring nothing, nor far from the best of them."""
    layer, found = stuck_layer(cells), {}
    for name, entry in REGISTRY.solvers.items():
        if entry.cls.role != "heuristic" or name in BASELINES or not isinstance(layer, entry.cls.solves):
            continue
        solver = REGISTRY.make(name, LESS.get(name, {}))
        if refusal(solver, layer) is None:
            report = check(layer, solver.solve(layer, Limits(), np.random.default_rng(0)).solution)
            assert report.feasible and report.objective is not None
            found[name] = report.objective
    nothing = float((layer.target.weights**2).sum())
    assert len(found) >= (4 if cells == 1 else 1), found
    assert min(found.values()) < 0.75 * nothing
    assert max(found.values()) < 1.1 * min(found.values()), found
    assert max(value for name, value in found.items() if "crossbar" in name) < 1.04 * min(found.values()), found
