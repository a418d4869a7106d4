# What the package offers; each name loads on first use, so that the fork server starts before all else.
from .explanation import Explanation as Explanation
from .explanation import explain as explain
from .mapped import Mapped as Mapped
from .perform import OnIncumbent as OnIncumbent
from .proof_file import write_proof as write_proof
from .record import Incumbent as Incumbent
from .record import Run as Run
from .record import gap_of as gap_of
from .solving import solve as solve
from .solving import solve_all as solve_all
from .task import Task as Task
