"""Laws of the house: sizes, words, documents. Caps rise only in a commit of their own, with the reason."""

import ast
import re
from pathlib import Path

import pytest
from sources import statements

ROOT = Path(__file__).resolve().parents[2]
MODULE_LINES = 400
BODY_LINES = 40
SOLVER_LINES = 150
CONTRACT_LINES = 180
TOTAL_LINES = 67_200  # of matchopt and the plugins

SOURCES = sorted(p for part in ("matchopt", "plugins") for p in (ROOT / part).rglob("*.py"))


def name(path: Path) -> str:
    """The path as people say it."""
    return path.relative_to(ROOT).as_posix()


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body without its docstring and without nested functions."""
    first = node.body[0]
    body = node.body[1:] if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) else node.body
    if not body:
        return 0
    nested = [inner for inner in ast.walk(node) if isinstance(inner, ast.FunctionDef) and inner is not node]
    inside = sum((inner.end_lineno or 0) - inner.lineno + 1 for inner in nested)
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 - inside


def test_modules_and_bodies_stay_small() -> None:
    """A module has at most 400 lines, a function body at most 40."""
    longer = {}
    for path in SOURCES:
        text = path.read_text()
        longer[name(path)] = len(text.splitlines()) - MODULE_LINES
        for node in statements(text):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno >= BODY_LINES:
                longer[f"{name(path)}: {node.name}"] = body_lines(node) - BODY_LINES
    assert not {place: lines for place, lines in longer.items() if lines > 0}


def test_solver_files_and_the_contract_fit_a_screen_or_two() -> None:
    """A file that defines a solver has at most 150 lines, the contract at most 180."""
    files = [
        path for path in (ROOT / "plugins").rglob("*.py") if re.search(r"^class .*\bSolver\):", path.read_text(), re.M)
    ]
    assert len(files) >= 15
    for path in files:
        assert len(path.read_text().splitlines()) <= SOLVER_LINES, name(path)
    assert len((ROOT / "matchopt" / "solver.py").read_text().splitlines()) <= CONTRACT_LINES


def test_only_compiled_functions_go_without_annotations() -> None:
    """A function says its types, unless the compiler finds them."""
    compiling = {
        "no_type_check",
        "compiled",
        "reordered",
        "leaf",
        "inlined",
        "inlined_sum",
        "sums",
        "quick",
        "scan",
        "fused",
    }
    untyped = []
    for path in SOURCES:
        for node in statements(path.read_text()):
            if isinstance(node, ast.FunctionDef) and node.returns is None:
                decorators = {part.id for part in node.decorator_list if isinstance(part, ast.Name)}
                if not decorators & compiling:
                    untyped.append(f"{name(path)}: {node.name}")
    assert not untyped


def test_no_rooms_without_a_purpose() -> None:
    """No module is called utils, misc, common or helpers."""
    assert not [name(p) for p in SOURCES if p.stem in {"utils", "util", "misc", "common", "helpers"}]


def test_plugins_use_only_the_public_door() -> None:
    """Solver packages import matchopt itself, its kernels, testing and network rooms, and nothing behind them."""
    doors = {"matchopt", "matchopt.kernels", "matchopt.testing", "matchopt.network"}
    for path in (ROOT / "plugins").rglob("*.py"):
        for node in statements(path.read_text()):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module or ""]
            behind = [m for m in modules if m.startswith("matchopt.") and m not in doors]
            assert not behind, f"{name(path)} imports {behind}"


def test_no_machine_paths_and_no_workplace_words() -> None:
    """Nothing in the tree names a folder of one machine."""
    seen = [p for p in ROOT.iterdir() if not p.name.startswith(".")]  # an environment has some ten thousand files
    inside = [p for folder in seen if folder.is_dir() for p in folder.rglob("*")]
    files = [p for p in seen + inside if p.suffix in {".py", ".md", ".toml", ".csv", ".tmpl"} or p.name == "Makefile"]
    pattern = re.compile(r"/(?:work|root|home/\w+)/")
    made = {"dist", "build", "demo-output"}
    kept = [p for p in files if not any(part.startswith(".") or part in made for part in p.relative_to(ROOT).parts)]
    assert kept
    texts = {name(p): p.read_text(errors="replace") for p in kept if p != Path(__file__).resolve()}
    assert not [path for path, text in texts.items() if pattern.search(text)]


def test_every_solver_trainer_hook_and_command_is_documented() -> None:
    """The documents name everything that is registered, every hook and every command."""
    from matchopt.cli import main
    from matchopt.plugins import load_plugins

    documents = (ROOT / "README.md").read_text() + "".join(p.read_text() for p in sorted((ROOT / "docs").glob("*.md")))
    hooks = re.findall(r"^def (register_\w+)", (ROOT / "matchopt" / "hookspecs.py").read_text(), re.M)
    assert hooks
    registry = load_plugins()
    words = [*registry.solvers, *registry.trainers, *hooks]
    assert not [word for word in words if f"`{word}`" not in documents]
    import click

    commands = main.list_commands(click.Context(main))
    assert not [command for command in commands if f"matchopt {command}" not in documents]


def test_the_whole_stays_small(capsys: pytest.CaptureFixture[str]) -> None:
    """All source together has at most so many lines; the totals are part of every test log."""
    lines = sum(len(p.read_text().splitlines()) for p in SOURCES)
    tests = sum(len(p.read_text().splitlines()) for p in (ROOT / "tests").rglob("*.py"))
    with capsys.disabled():
        print(f"\n{len(SOURCES)} modules, {lines} lines; tests {tests} lines")
    assert lines <= TOTAL_LINES


def test_every_test_makes_a_claim() -> None:
    """The docstring of a test says what holds if it passes."""
    silent = []
    for path in [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "benches").rglob("test_*.py")]:
        for node in statements(path.read_text()):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node):
                silent.append(f"{name(path)}: {node.name}")
    assert not silent


def test_tests_that_coverage_does_not_follow_are_there() -> None:
    """Each in the list is a test of its file."""
    for test in (ROOT / "tests" / "untraced.txt").read_text().split():
        file, _, function = test.partition("=")[0].partition("::")
        assert f"\ndef {function}(" in (ROOT / file).read_text(), test
