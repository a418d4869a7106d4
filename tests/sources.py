"""Python sources as the laws of the house read them."""

import ast
from collections.abc import Iterator

INSIDE = ("body", "orelse", "finalbody", "handlers", "cases")


def statements(text: str) -> Iterator[ast.AST]:
    """Every statement of a source, those within others too; what they are made of, nine nodes of ten, is left out."""
    left: list[ast.AST] = [ast.parse(text)]
    while left:
        node = left.pop()
        yield node
        for name in INSIDE:
            left += getattr(node, name, ())
