"""Every example in a docstring runs, and prints what it says."""

import ast
import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEFINITIONS = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def examples() -> list[tuple[str, str, str]]:
    """(module, name, docstring) of all docstrings with an example."""
    found = []
    for folder, inside in ((ROOT, "matchopt"), (ROOT / "plugins", ".")):
        for path in sorted((folder / inside).rglob("*.py")):
            module = ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")
            source = path.read_text()
            for node in ast.walk(ast.parse(source)) if ">>> " in source or "\n    Example" in source else ():
                text = ast.get_docstring(node) if isinstance(node, DEFINITIONS) else None
                if text and (">>> " in text or "\nExample" in text):
                    found.append((module, getattr(node, "name", "module"), text))
    return found


EXAMPLES = examples()


@pytest.mark.parametrize(("module", "name", "text"), EXAMPLES, ids=[".".join(each[:2]) for each in EXAMPLES])
def test_the_example_prints_what_it_says(module: str, name: str, text: str) -> None:
    """Run as a doctest in its module; an example without a prompt would not run."""
    names = dict(vars(importlib.import_module(module)))
    test = doctest.DocTestParser().get_doctest(text, names, name, module, 0)
    said: list[str] = []
    results = doctest.DocTestRunner().run(test, out=said.append)
    assert results.attempted > 0, "the example has no prompt"
    assert results.failed == 0, "".join(said)
