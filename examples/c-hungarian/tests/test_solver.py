"""The solver keeps every law of the contract, on tiny instances of every kind."""

from matchopt.plugins import load_plugins
from matchopt.testing import solver_checks

test_c_hungarian = solver_checks(load_plugins().make("c-hungarian"))
