"""Is a solution feasible, and what is it worth? By the definition, in plain loops, sharing nothing with any solver."""

from matchopt.check.check import check as check
from matchopt.check.check import is_feasible as is_feasible
from matchopt.check.report import Report as Report
from matchopt.check.report import Violation as Violation
