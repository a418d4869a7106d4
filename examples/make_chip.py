"""Write chip.npz, a stand-in for your measured chip: two tiles in siemens, each read three times, with faults.

Yours may be one array of numbers in any unit, as .npy, .csv or plain text; `matchopt chip --help` has all there is.
"""

import numpy as np

rng = np.random.default_rng(0)
chip = {}
for tile, shape in (("north", (300, 64)), ("south", (220, 48))):
    values = rng.choice([-1.0, 1.0], shape) * rng.lognormal(0.0, 0.7, shape) * 2e-5
    usable = rng.random(shape) >= 0.05  # cells that are left out, whatever they read
    usable[:, 7] = False  # a dead line
    values[~usable] = 0.0
    chip[f"{tile}.readings"] = values + rng.normal(0.0, 1e-6, (3, *shape))  # three readings: mean and variance
    chip[f"{tile}.usable"] = usable
np.savez("chip.npz", **chip)
