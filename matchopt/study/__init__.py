"""Studies: a grid of runs in a file, run over night, resumed where it stopped, read as a table and plots."""

from matchopt.study.engine import Outcome as Outcome
from matchopt.study.engine import run_study as run_study
from matchopt.study.publish import publish as publish
from matchopt.study.runtimes import HEADINGS as HEADINGS
from matchopt.study.runtimes import runtimes as runtimes
from matchopt.study.runtimes import write_runtimes as write_runtimes
from matchopt.study.study_file import Study as Study
from matchopt.study.study_file import find_studies as find_studies
from matchopt.study.study_file import find_study as find_study
from matchopt.study.study_file import list_studies as list_studies
from matchopt.study.study_file import read_study as read_study
