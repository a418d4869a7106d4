"""Which quick tests need no coverage, as others reach their lines: writes `tests/untraced.txt`, which the tests read.

    mv tests/untraced.txt /tmp
    .venv/bin/pytest -q -m "not slow" --cov --cov-context=test --cov-report= --junitxml=times.xml
    .venv/bin/python benches/untraced.py .coverage times.xml

The costliest for each line that no other test reaches go first.
"""

import sqlite3
import sys
from collections import Counter, defaultdict
from pathlib import Path
from xml.etree import ElementTree

from coverage.numbits import numbits_to_nums

ROOT = Path(__file__).resolve().parents[1]
LEAST_SECONDS, MOST_LINES = 0.1, 1  # of a test with all its cases, followed by coverage; that no other test reaches
Line = tuple[int, int]


def lines_of(data: Path) -> tuple[dict[str, set[Line]], set[Line]]:
    """The lines that each test reaches, and those that importing does."""
    found: dict[str, set[Line]] = defaultdict(set)
    query = "SELECT context, file_id, numbits FROM line_bits JOIN context ON context.id = context_id"
    for context, file, bits in sqlite3.connect(data).execute(query):
        found[context.partition("[")[0].partition("|")[0]] |= {(file, line) for line in numbits_to_nums(bits)}
    return found, found.pop("", set())


def seconds_of(report: Path) -> Counter[str]:
    """What each test took with all its cases."""
    found: Counter[str] = Counter()
    for case in ElementTree.parse(report).iter("testcase"):
        file = case.attrib["classname"].replace(".", "/")
        found[f"{file}.py::{case.attrib['name'].partition('[')[0]}"] += float(case.attrib["time"])
    return found


def needless(lines: dict[str, set[Line]], imported: set[Line], seconds: Counter[str]) -> list[str]:
    """Tests without which hardly a line is lost, in order."""
    reached = Counter(line for test in lines.values() for line in test | imported)
    left = {test for test in seconds if seconds[test] >= LEAST_SECONDS}
    found = []
    while left:
        alone = {test: sum(reached[line] == 1 for line in lines[test] - imported) for test in left}
        test = max(sorted(left), key=lambda test: seconds[test] / (alone[test] + 0.3))
        left.remove(test)
        if alone[test] <= MOST_LINES:
            found.append(test)
            reached.subtract(lines[test])
    return sorted(found)


if __name__ == "__main__":
    data, report = map(Path, sys.argv[1:])
    tests = needless(*lines_of(data), seconds_of(report))
    (ROOT / "tests" / "untraced.txt").write_text("\n".join(tests) + "\n")
