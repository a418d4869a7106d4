"""One solve in a process of its own: limits enforced, incumbents kept, everything checked, one record at the end."""

from matchopt.run.perform import OnIncumbent as OnIncumbent
from matchopt.run.record import Incumbent as Incumbent
from matchopt.run.record import Run as Run
from matchopt.run.record import gap_of as gap_of
from matchopt.run.solving import solve as solve
from matchopt.run.solving import solve_all as solve_all
from matchopt.run.task import Task as Task
