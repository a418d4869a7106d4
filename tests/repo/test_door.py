"""The public door: one list, everything in it loads, and what moved says where to."""

import ast
from pathlib import Path

import pytest

import matchopt
import matchopt.kernels
import matchopt.settings.ranges


def test_every_name_of_the_door_loads() -> None:
    """`dir(matchopt)` is what the stub lists, and each name gives what its own module calls by that name."""
    stub = ast.parse(Path(matchopt.__file__).with_suffix(".pyi").read_text())
    listed = {alias.name for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert listed <= set(dir(matchopt)) and {"check", "certify", "solve", "read_instance", "read_solution"} <= listed
    ranges = {name for name in listed if hasattr(matchopt.settings.ranges, name)}  # aliases, which know no own name
    assert all(getattr(matchopt, name) is getattr(matchopt.settings.ranges, name) for name in ranges)
    assert all(getattr(matchopt, name).__name__ == name for name in listed - ranges - {"hookimpl"})


@pytest.mark.parametrize(
    "stub", sorted(Path(matchopt.__file__).parent.rglob("__init__.pyi")), ids=lambda p: p.parent.name
)
def test_no_name_of_a_door_is_a_module_behind_it(stub: Path) -> None:
    """Importing such a module would put it in the place of the name."""
    names = {alias.name for node in ast.walk(ast.parse(stub.read_text())) for alias in getattr(node, "names", ())}
    assert names
    assert not names & {path.stem for path in stub.parent.iterdir()}


def test_kernels_have_moved_behind_the_second_door() -> None:
    """A plugin written for 0.1 still finds kernels at the top, and is told where they live; new names are refused."""
    with pytest.warns(DeprecationWarning, match=r"import Wires from matchopt\.kernels"):
        assert matchopt.Wires is matchopt.kernels.Wires
    with pytest.raises(AttributeError, match="No matchopt attribute no_such_name"):
        matchopt.no_such_name  # noqa: B018
