"""What a worker runs for check-solver: the conformance kit, which tells its host of every check before and after it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from matchopt.plugins import load_plugins
from matchopt.testing import KitRow, run_checks

MOST_TEXT = 10**6  # characters of the summary


def main(request: Mapping[str, Any], send: Callable[[dict[str, Any]], None]) -> None:
    """Run all checks of the requested solver, and send the summary."""
    solver = load_plugins([Path(file) for file in request["files"]]).make(request["solver"], request["options"])

    def asked(law: str, instance: str) -> None:
        send({"type": "asked", "check": f"{law} on {instance}"})

    def finished(row: KitRow, total: int) -> None:
        send({"type": "finished", "law": row.law, "total": total})

    report = run_checks(solver, seconds=request["seconds"], on_row=finished, on_check=asked)
    send({"type": "report", "passed": report.passed, "summary": report.summary()[:MOST_TEXT]})
