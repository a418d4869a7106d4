"""The public door: one list, everything in it loads, and what moved says where to."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import matchopt
import matchopt.kernels
import matchopt.settings.ranges

ROOT = Path(__file__).parents[2]


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


@pytest.mark.slow
def test_verbs_without_type_checks() -> None:
    """Paths and classes in the place of objects get a sentence; numbers of numpy, and one plugin file, are taken."""
    code = """
import numpy as np, matchopt as m
from matchopt import kernels
instance, plugin = m.AssignmentInstance(np.eye(2)), "examples/best_of_random.py"
target, chip = m.Target.from_dense(np.ones((2, 3))), m.Hardware(np.ones((2, 4)))
for call in (
    lambda: m.check("layer.matchopt", m.Assignment([0, 1])),
    lambda: m.solve("layer.matchopt", "hungarian"),
    lambda: m.solve(instance, m.Solver),
    lambda: m.certify(instance, [0, 1]),
    lambda: m.pair_costs(target, chip, gains=1.0, drop=False),
    lambda: m.match_rows(target, chip, None, gains=m.Gains(), drop=False),
    lambda: m.LayerMapping.from_cells(target, np.zeros(6), np.arange(2)),
    lambda: kernels.RowErrors(np.eye(3), np.ones((2, 2)), np.ones(2)),
    lambda: kernels.FreeProjection(np.ones((2, 4)), np.ones((1, 4), bool), 9),
    lambda: kernels.BoundProjection(np.ones((2, 4)), np.ones((2, 4), bool), 9, [0, 1], [0], drop=True),
    lambda: print(m.solve(instance, "best-of-random", plugin_files=plugin, seed=np.int64(7), threads=np.int8(1),
                          time_limit=np.float32(8), iterations=np.int64(9)).to_json()["iterations"]),
):
    try:
        call()
    except m.MatchoptError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    parts = [
        "an instance is needed to check a solution against, found str",
        "must be a matchopt Instance, found str",
        "must be an object, such as Solver(), or its name; found",
        "no kind but a list",
        "gains must be a matchopt.Gains, such as Gains.finite(1.0), found 1.0",
        "neuron_of must have 1 dimension(s), found shape ()",
        "neuron_of must have shape (2,), found (6,)",
        "linear must have shape (2, 3), found (2, 2)",
        "usable must have shape (2, 4), found (1, 4)",
        "starts must have one more than the 2 rows, found 2",
        "9",
    ]
    for line, part in zip(done.stdout.splitlines(), parts, strict=True):
        assert part in line


def test_kernels_have_moved_behind_the_second_door() -> None:
    """A plugin written for 0.1 still finds kernels at the top, and is told where they live; new names are refused."""
    with pytest.warns(DeprecationWarning, match=r"import Wires from matchopt\.kernels"):
        assert matchopt.Wires is matchopt.kernels.Wires
    with pytest.raises(AttributeError, match="No matchopt attribute no_such_name"):
        matchopt.no_such_name  # noqa: B018


def test_every_kernel_of_the_door_is_documented() -> None:
    """Each name has a docstring that explains all its parameters, and a place in docs/kernels.md."""
    stub = ast.parse(Path(matchopt.kernels.__file__).with_suffix(".pyi").read_text())
    listed = {alias.name for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    document = (ROOT / "docs" / "kernels.md").read_text()
    assert listed == set(matchopt.kernels.__all__) and len(listed) >= 18
    for name in sorted(listed):
        assert f"`{name}`" in document, name
        found = getattr(matchopt.kernels, name)
        methods = [m for m in vars(found).values() if inspect.isfunction(m)] if inspect.isclass(found) else []
        for called in (found, *(m for m in methods if not m.__name__.startswith("_"))):
            assert unexplained(called) == [], f"{name}: {called}"


def unexplained(called: Any) -> list[str]:
    """Parameters that a docstring does not name, or the docstring itself; "See `Other.method`" stands for another."""
    text = inspect.getdoc(called) or ""
    if not text or text.startswith("See `"):
        return [] if text else ["docstring"]
    plain = inspect.unwrap(getattr(called, "py_func", called))
    abstract = inspect.isclass(plain) and inspect.isabstract(plain)
    names = [] if abstract else [name for name in inspect.signature(plain).parameters if name != "self"]
    return [name for name in names if not re.search(rf"\b{name}\b", text)]
