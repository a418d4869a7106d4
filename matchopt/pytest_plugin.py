"""The conformance kit for pytest: `pytest --matchopt-solver my_solver.py` asks every law of the solvers in a file.

Nothing else of matchopt is imported before that option is given.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from matchopt.solver import Solver
    from matchopt.testing.kit import Check


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the kit."""
    group = parser.getgroup("matchopt", "conformance kit of matchopt")
    group.addoption("--matchopt-solver", action="append", default=[], metavar="FILE|NAME",
                    help="ask every law of the solvers in a plugin file, .py or .toml, or of "
                    "an installed solver; repeatable")  # fmt: skip
    group.addoption("--matchopt-solve-limit", type=float, default=20.0, metavar="S",
                    help="time limit of each solve [default: 20]")  # fmt: skip


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Without paths on the command line the kit is all that runs."""
    del collection_path
    return True if config.getoption("--matchopt-solver") and config.args_source != config.ArgsSource.ARGS else None


@pytest.hookimpl(tryfirst=True)  # before others deselect
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add a test for each law and tiny instance of every solver that was asked for."""
    for wanted in config.getoption("--matchopt-solver"):
        for solver in _solvers(wanted):
            node = SolverNode.from_parent(session, name=f"matchopt-{solver.name}", nodeid=f"matchopt-{solver.name}")
            items += node.checks(solver, config.getoption("--matchopt-solve-limit"))


class SolverNode(pytest.Collector):
    """What the checks of one solver belong to."""

    def collect(self) -> Sequence[pytest.Item]:
        """Nothing: what is asked for by an option is no file that could be collected again."""
        return []

    def checks(self, solver: "Solver", seconds: float) -> Iterator["CheckItem"]:
        """One test for each check, and one for each law that is not asked."""
        from matchopt.testing.case import KIT_VERSION
        from matchopt.testing.kit import GRACE, plan

        checks, unasked = plan(solver, (), GRACE, KIT_VERSION, seconds)
        for check in checks:
            yield CheckItem.from_parent(self, name=f"{check.law.name}-{check.instance}", check=check)
        for row in unasked:
            yield CheckItem.from_parent(self, name=f"{row.law}-class", reason=row.detail)


class CheckItem(pytest.Item):
    """One law, asked about one tiny instance."""

    def __init__(self, *, check: "Check | None" = None, reason: str = "", **given: Any) -> None:
        super().__init__(**given)
        self._check, self._reason = check, reason

    def runtest(self) -> None:
        """Ask it; a refused check is skipped with the reason."""
        if self._check is None:
            pytest.skip(f"not asked: {self._reason}")
        row = self._check.row()
        if row.outcome == "failed":
            pytest.fail(f"{row.law}: {self._check.law.claim}\n{row.instance}: {row.detail}", pytrace=False)
        if row.outcome != "passed":
            pytest.skip(f"{row.outcome}: {row.detail}")

    def reportinfo(self) -> tuple[Path, None, str]:
        """How pytest lists it."""
        return self.path, None, f"{self.parent.name if self.parent else ''}::{self.name}"


def _solvers(wanted: str) -> list["Solver"]:
    from matchopt.errors import MatchoptError, PluginError
    from matchopt.plugins import load_plugins

    file = Path(wanted)
    in_file = file.suffix in (".py", ".toml")
    try:
        registry = load_plugins([file.absolute()] if in_file else [])
        found = [name for name, entry in registry.solvers.items() if entry.file == file.resolve()]
        names = found if in_file else [wanted]
        if not names:
            failed = [str(each) for each in registry.failed if each.file == file.resolve()]
            raise PluginError(failed[0] if failed else "it registers no solver")
        return [registry.make(name) for name in names]
    except MatchoptError as cause:
        raise pytest.UsageError(f"--matchopt-solver {wanted}: {cause}") from None
