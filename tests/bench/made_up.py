"""Records as a bench leaves them, made up."""

from typing import Any

import numpy as np


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
    return found
