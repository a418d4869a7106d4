"""Is a solution feasible, and what is it worth? By the definition, in plain loops, sharing nothing with any solver."""

from matchopt.checker.check import check as check
from matchopt.checker.check import is_feasible as is_feasible
from matchopt.checker.report import Report as Report
from matchopt.checker.report import Violation as Violation
