"""Write drifting.npz, a stand-in for an array of differential pairs that was read five times in three hours.

420 x 50 pairs of conductances in siemens, G+ as `positive` and G- as `negative`; each cell relaxes at its own pace.
"""

import numpy as np

rng = np.random.default_rng(0)
seconds = np.array([0.0, 0.01, 0.1, 1.0, 1e4])
found: dict[str, np.ndarray] = {}
for half in ("positive", "negative"):
    programmed = rng.uniform(5e-6, 40e-6, (420, 50))
    pace = rng.normal(-0.01, 0.01, (420, 50)) * programmed  # for every tenfold of time
    decades = np.array([0.0, 1.0, 2.0, 3.0, 7.0])[:, None, None]
    found[f"{half}.readings"] = programmed + pace * decades + rng.normal(0.0, 1e-7, (5, 420, 50))
    found[f"{half}.seconds"] = seconds
np.savez_compressed("drifting.npz", **found)
