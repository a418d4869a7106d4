"""Records as a bench leaves them, made up."""

from typing import Any

import numpy as np

from matchopt.instances import Hardware, LayerInstance, LayerMapping, Target


def mapped_layer() -> tuple[LayerInstance, LayerMapping]:
    """Two target neurons on three hardware neurons of four cells, one of which is faulty and one stuck."""
    usable, off = np.ones((3, 4), bool), np.zeros((3, 4))
    usable[0, 3] = usable[2, 0] = False
    off[2, 0] = 0.5
    weights = np.arange(12.0).reshape(3, 4) / 4
    target = Target.from_dense(np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]]))
    layer = LayerInstance(target, Hardware(weights, usable=usable, off=off, bus=np.zeros(3, int)))
    return layer, LayerMapping(np.array([1, 2]), np.array([0, 2, 3]), np.array([0, 3, 1]), np.array([0, 2, 1]))


def records(instances: int, solvers: int, seeds: int, limit: float = 10.0) -> list[dict[str, Any]]:
    """Runs of ever worse solvers, the second close to the first; some refusals, failures and spoiled runs."""
    rng, found = np.random.default_rng(0), []
    for i in range(instances):
        for s in range(solvers):
            refused = s == solvers - 1 and i % 3 > 0
            for seed in range(seeds):
                made_from = {"instance": i, "solver": s, "seed": seed, "limits": {"time_limit": limit}}
                about = {
                    "key": f"{i}-{s}-{seed}", "instance": f"instance-{i}", "digest": f"d{i}", "kind": "layer",
                    "demands": ["shared-bus"] if i % 2 else [], "solver": f"solver-{s}", "seed": seed,
                    "best_value": 100.0, "best_bound": None, "made_from": made_from,
                }  # fmt: skip
                if refused:
                    found.append(about | {"status": "refused", "message": "</script><b>it is no square</b>"})
                    continue
                ends = np.sort(rng.random(6)) * limit
                values = 100.0 + np.sort(rng.exponential(s + 0.2, 6))[::-1]
                values[-1] = 100.0 if s == 0 and i % 4 else values[-1]
                lost = s == 2 and rng.random() < 0.1
                figures = {"status": "unknown", "objective": None, "trace": []} if lost else {
                    "status": "feasible", "objective": float(values[-1]), "gap": 0.1, "bound": 90.0,
                    "trace": [[float(t), float(v), None] for t, v in zip(ends, values, strict=True)],
                }  # fmt: skip
                clock = {"solver_seconds": limit, "seconds": limit + 0.1, "spoiled": bool(rng.random() < 0.02)}
                found.append(about | figures | clock | {"proof": None, "limit": "time", "message": ""})
                if i % 2 and not lost:  # a network, which the better solvers leave more of
                    left = 0.9 - 0.1 * s + 0.001 * seed
                    found[-1]["accuracy"] = {"test": left, "validation": left, "target_test": 0.95, "spread": 0.01,
                                             "target_validation": 0.95, "error": 0.1 * (s + 1)}  # fmt: skip
    return found
