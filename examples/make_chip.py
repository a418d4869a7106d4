"""Write chip.npy, a stand-in for your measured array: 512 x 64 cells, heavy-tailed, with a few dead cells at zero.

Yours needs nothing but a two-dimensional array of numbers in any unit; .npz, .csv and plain text work too.
"""

import numpy as np

rng = np.random.default_rng(0)
weights = rng.choice([-1.0, 1.0], (512, 64)) * rng.lognormal(0.0, 0.7, (512, 64))
weights[rng.random((512, 64)) < 0.01] = 0.0
np.save("chip.npy", weights)
