"""Comparing solvers: instances x solvers x options x seeds, what is measured of them, and a report."""

from matchopt.bench.course import BenchOutcome as BenchOutcome
from matchopt.bench.course import News as News
from matchopt.bench.course import run_bench as run_bench
from matchopt.bench.course import said as said
from matchopt.bench.page import write_report as write_report
from matchopt.bench.plan import BenchInstance as BenchInstance
from matchopt.bench.plan import BenchPlan as BenchPlan
from matchopt.bench.plan import Variant as Variant
from matchopt.bench.plan import find_instances as find_instances
from matchopt.bench.plan import find_variants as find_variants
from matchopt.bench.results import read_results as read_results
from matchopt.bench.results import write_regimes as write_regimes
from matchopt.bench.results import write_tables as write_tables
from matchopt.bench.standing import Standing as Standing
from matchopt.bench.task import REFUSED as REFUSED
