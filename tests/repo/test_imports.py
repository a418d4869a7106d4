"""No module needs itself: imports make no cycle, whatever kind they are of."""

import ast
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

from sources import statements

ROOT = Path(__file__).resolve().parents[2]


def modules() -> dict[str, list[Path]]:
    """Every module of the house with its source and, where it has one, its stub: what loads lazily is listed there."""
    found: dict[str, list[Path]] = {}
    for base, roots in ((ROOT, ["matchopt"]), (ROOT / "plugins", sorted(p.name for p in (ROOT / "plugins").iterdir()))):
        for path in (path for root in roots for path in (base / root).rglob("*.py*") if path.suffix in (".py", ".pyi")):
            parts = path.relative_to(base).with_suffix("").parts
            found.setdefault(".".join(parts[:-1] if parts[-1] == "__init__" else parts), []).append(path)
    return found


def named(node: ast.AST, module: str, is_package: bool, known: Collection[str]) -> Iterator[str]:
    """The modules an import statement names: of `from a import b` a.b if that is one, else a."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in known)
    elif isinstance(node, ast.ImportFrom):
        up = module.split(".")[: None if is_package else -1]
        start = up[: len(up) - node.level + 1] if node.level else []
        package = ".".join([*start, *([node.module] if node.module else [])])
        whole = [f"{package}.{alias.name}" for alias in node.names]
        yield from {name if name in known else package for name in whole} & set(known)


@cache
def graph() -> dict[str, set[str]]:
    """Which module imports which: at the top, in functions, for types only, and through the stub of a door.

    Importing a.b.c runs a and a.b first, so it counts as importing all three, but for packages that the importing
    module lies in itself: these run before it anyway. A name taken from such a package counts.
    """
    found = modules()
    edges: dict[str, set[str]] = {}
    for module, paths in found.items():
        reached = set()
        for path in paths:
            for node in statements(path.read_text()):
                reached |= set(named(node, module, path.stem == "__init__", found))
        ran = {package for name in reached for package in packages(name)} - {module, *packages(module)}
        edges[module] = (reached | ran) - {module}
    return edges


def packages(module: str) -> set[str]:
    """The packages a module lies in."""
    parts = module.split(".")
    return {".".join(parts[:n]) for n in range(1, len(parts))}


def reached_from(module: str, edges: dict[str, set[str]]) -> set[str]:
    """Everything that importing a module leads to; itself only where it lies on a cycle."""
    found: set[str] = set()
    left = list(edges[module])
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += edges[name]
    return found


def knots(edges: dict[str, set[str]]) -> set[frozenset[str]]:
    """Modules that lead to each other, in groups: a group for each cycle, or for several that hang together."""
    reach = {module: reached_from(module, edges) for module in edges}
    return {frozenset(n for n in reach[m] if m in reach[n]) for m in edges if m in reach[m]}


def test_no_import_cycle_of_any_kind() -> None:
    """Neither at the top of modules, nor in functions, nor for types only."""
    assert knots(graph()) == set()


def test_the_count_sees_every_kind_of_import() -> None:
    """A cycle closed in a function, for types only, through a package or by a door's stub is a cycle."""
    edges = graph()
    assert "matchopt.network.training.autograd" in edges["matchopt.network.training.trainer"]  # in a function
    assert "matchopt.formats" in edges["matchopt"]  # in a stub
    assert "matchopt" in edges["matchopt_slots.slots"] and "matchopt.instances" in edges["matchopt.network.forward"]
    assert knots({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == {frozenset("abc")}
    assert knots({"a": {"b"}, "b": set(), "c": {"b"}}) == set()
