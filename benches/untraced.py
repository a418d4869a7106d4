"""Which quick tests need no coverage, as others reach their lines: writes `tests/untraced.txt`, which the tests read.

    mv tests/untraced.txt /tmp
    .venv/bin/pytest -q -m "not slow" --cov --cov-context=test --cov-report= --junitxml=times.xml
    .venv/bin/python benches/untraced.py .coverage times.xml

A line of it is a test without which nothing is lost, or `test=0,3`, of which only these cases, in the order in which
they are collected, reach lines that the others do not.
"""

import heapq
import sqlite3
import sys
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

from coverage.numbits import numbits_to_nums

ROOT = Path(__file__).resolve().parents[1]
LEAST_SECONDS = 0.02  # of a test with all its cases, followed by coverage, to be listed
START, LEAST_LINES = 0.003, 2.0  # seconds more that a case counts for; new lines that one second must bring
Line = tuple[int, int]


def lines_of(data: Path) -> dict[str, set[Line]]:
    """The lines that each case reaches, without those that importing does."""
    found: dict[str, set[Line]] = defaultdict(set)
    query = "SELECT context, file_id, numbits FROM line_bits JOIN context ON context.id = context_id"
    for context, file, bits in sqlite3.connect(data).execute(query):
        found[context.partition("|")[0]] |= {(file, line) for line in numbits_to_nums(bits)}
    imported = found.pop("", set())
    return {case: lines - imported for case, lines in found.items()}


def seconds_of(report: Path) -> dict[str, float]:
    """What each case took, in the order in which they ran."""
    found: dict[str, float] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        file = case.attrib["classname"].replace(".", "/")
        found[f"{file}.py::{case.attrib['name']}"] = float(case.attrib["time"])
    return found


def needed(lines: dict[str, set[Line]], seconds: dict[str, float]) -> set[str]:
    """Cases that reach nearly all lines in little time: always the one that brings most new lines in a second."""

    def worth(case: str) -> float:
        return len(lines[case] - reached) / (seconds[case] + START)

    reached, chosen = set[Line](), set[str]()
    heap = [(-worth(case), case) for case in lines if case in seconds]
    heapq.heapify(heap)
    while heap and -heap[0][0] >= LEAST_LINES:
        before, case = heapq.heappop(heap)
        now = -worth(case)
        if now > before:  # others have reached some of its lines meanwhile
            heapq.heappush(heap, (now, case))
        else:
            chosen.add(case)
            reached |= lines[case]
    return chosen


def listed(chosen: set[str], seconds: dict[str, float]) -> list[str]:
    """The lines of the list."""
    cases: dict[str, list[str]] = defaultdict(list)
    for case in seconds:
        cases[case.partition("[")[0]].append(case)
    found = []
    for test, own in sorted(cases.items()):
        followed = [str(number) for number, case in enumerate(own) if case in chosen]
        if sum(seconds[case] for case in own) >= LEAST_SECONDS and len(followed) < len(own):
            found.append(f"{test}={','.join(followed)}" if followed else test)
    return found


if __name__ == "__main__":
    data, report = map(Path, sys.argv[1:])
    took = seconds_of(report)
    tests = listed(needed(lines_of(data), took), took)
    (ROOT / "tests" / "untraced.txt").write_text("\n".join(tests) + "\n")
