"""SciPy's assignment as a solver of matchopt: the whole plugin."""

from scipy.optimize import linear_sum_assignment

import matchopt

register_solvers = matchopt.registering(matchopt.function_solver("scipy-lsa", linear_sum_assignment, exact=True))
