"""The solver keeps every law of the contract, on tiny instances of every kind."""

from matchopt_scip import Scip

from matchopt.testing import solver_checks

test_scip = solver_checks(Scip())
