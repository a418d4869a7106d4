"""The conformance kit for solvers, the public door for plugin authors: `test_it = solver_checks(MySolver())`."""

from matchopt.testing.brute import brute_force as brute_force
from matchopt.testing.case import KIT_VERSION as KIT_VERSION
from matchopt.testing.case import Law as Law
from matchopt.testing.kit import LAWS as LAWS
from matchopt.testing.kit import KitReport as KitReport
from matchopt.testing.kit import KitRow as KitRow
from matchopt.testing.kit import run_checks as run_checks
from matchopt.testing.kit import solver_checks as solver_checks
from matchopt.testing.optimum import Optimum as Optimum
from matchopt.testing.tiny import TinyInstance as TinyInstance
from matchopt.testing.tiny import tiny_instances as tiny_instances
