"""What a bench costs beyond its solvers' clocks: many tiny runs in warm processes, and the report of them.

Usage: python benches/overhead.py [--runs 2000] [--jobs 2]; prints wall and CPU seconds, and the size of the page.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from matchopt import AssignmentInstance, write
from matchopt.bench import BenchPlan, find_instances, find_variants, read_results, run_bench, write_report

SOLVERS = ("hungarian", "greedy-pairs", "random", "milp")
INSTANCES = 20


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tiny").mkdir()
        rng = np.random.default_rng(0)
        for number in range(INSTANCES):
            write(AssignmentInstance(rng.random((10, 10))), folder / "tiny" / f"t{number}.matchopt")
        seeds = max(1, given.runs // (INSTANCES * len(SOLVERS)))
        plan = BenchPlan(find_instances([str(folder / "tiny")]), find_variants(SOLVERS), seeds=seeds)
        began = time.perf_counter()
        found = run_bench(plan, folder / "r", jobs=given.jobs)
        wall = time.perf_counter() - began
        spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        cpu = sum(use.ru_utime + use.ru_stime for use in spent)
        clocks = sum(record["solver_seconds"] for record in found.records)
        began = time.process_time()
        write_report(folder / "report.html", read_results([folder / "r"]))
        size, drawn = (folder / "report.html").stat().st_size, time.process_time() - began
    print(f"{len(found.records)} runs, {len(found.failed)} failed: {wall:.0f} s, {cpu:.0f} CPU s in all, "
          f"{1000 * cpu / len(found.records):.0f} ms a run")  # fmt: skip
    print(
        f"solvers' clocks {clocks:.0f} s; beyond them {(wall - clocks / given.jobs) / len(found.records):.3f} s a run"
    )
    print(f"report: {size / 1e6:.1f} MB, {drawn:.1f} CPU s")


if __name__ == "__main__":
    main()
