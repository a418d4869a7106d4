"""The process in which check-solver runs the conformance kit: `python -m matchopt.cli.kit_process JSON`.

It writes a line for every finished check to the file it is told, so that its parent can say how far it came.
"""

import json
import sys
from pathlib import Path
from typing import Any

from matchopt.plugins import load_plugins
from matchopt.terminal.progress import Progress
from matchopt.testing import KitRow, run_checks


def main(request: dict[str, Any]) -> int:
    """Run all checks and print the summary; returns the exit status."""
    solver = load_plugins([Path(file) for file in request["files"]]).make(request["solver"], request["options"])
    done = 0
    with Path(request["log"]).open("w", encoding="utf-8") as log, Progress(f"checking {solver.name}") as bar:

        def finished(row: KitRow, total: int) -> None:
            nonlocal done
            done += 1
            log.write(f"{done} of {total}, the last of them {row.law} on {row.instance}\n")
            log.flush()
            bar.update(done, row.law, total)

        report = run_checks(solver, on_row=finished)
    print(report.summary())
    return 0 if report.passed else 1


if __name__ == "__main__":
    try:
        sys.exit(main(json.loads(sys.argv[1])))
    except KeyboardInterrupt:  # its parent says so
        sys.exit(130)
