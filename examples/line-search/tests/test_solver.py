"""The solver keeps every law of the contract, on tiny instances of every kind."""

from matchopt_line_search import LineSearch

from matchopt.testing import solver_checks

test_line_search = solver_checks(LineSearch(beginnings=3))
