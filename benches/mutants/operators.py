"""What a mutant is: one small fault in a module, made in its syntax tree."""

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_NEGATED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_SHIFTED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
}  # fmt: skip
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitAnd,
    ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip
_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
_Place = tuple[ast.AST, str, int | None]  # parent, its field, position in the field where that is a list


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Parameters
    ----------
    path : file of the module, relative to the repository.
    index : number of the fault within the module, in the order of the tree.
    function : qualified name of the outermost function that has it; empty for what is outside all functions.
    line : first line of the statement.
    operator : kind of the fault.
    change : the expression or statement before and after.
    key : digest of the path, the text of the function, and which of its faults this is: results stay good for as long
        as the function does.
    """

    path: str
    index: int
    function: str
    line: int
    operator: str
    change: str
    key: str


def mutants(path: str, source: str) -> list[Mutant]:
    """All mutants of a module."""
    found: list[Mutant] = []
    seen: dict[str, int] = {}
    for index, (node, operator, after, scope, line) in enumerate(_faults(ast.parse(source))):
        function = ".".join(part.name for part in scope)
        text = ast.unparse(scope[-1]) if scope else source
        number = seen[function] = seen.get(function, -1) + 1
        key = hashlib.sha256("\0".join((path, function, text, str(number), operator)).encode()).hexdigest()[:12]
        change = f"{_short(node)} => {_short(after)}"
        found.append(Mutant(path, index, function, line, operator, change, key))
    return found


def mutated(source: str, index: int) -> ast.Module:
    """The module's tree with one of its faults."""
    tree = ast.parse(source)
    for number, (node, _, after, _, _) in enumerate(_faults(tree)):
        if number == index:
            parent, field, position = _place(tree, node)
            ast.copy_location(after, node)
            if position is None:
                setattr(parent, field, after)
            else:
                getattr(parent, field)[position] = after
            return ast.fix_missing_locations(tree)
    raise IndexError(index)


def _place(tree: ast.AST, wanted: ast.AST) -> _Place:
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if value is wanted:
                return parent, field, None
            if isinstance(value, list):
                for position, item in enumerate(value):
                    if item is wanted:
                        return parent, field, position
    raise ValueError("not in this tree")


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 80 else text[:77] + "..."


def _faults(tree: ast.Module) -> Iterator[tuple[ast.AST, str, ast.AST, tuple[Any, ...], int]]:
    """(node, operator, what stands there instead, classes and function around it, line of its statement)."""
    yield from _within(tree, (), 0)


def _within(node: ast.AST, scope: tuple[Any, ...], line: int) -> Iterator[tuple[ast.AST, str, ast.AST, Any, int]]:
    inside = bool(scope) and isinstance(scope[-1], _FUNCTIONS)
    if isinstance(node, ast.stmt):
        line = node.lineno
    for operator, after in _alternatives(node):
        yield node, operator, after, scope if inside else (), line
    if isinstance(node, ast.ClassDef) and not inside:
        scope = (*scope, node)
    if isinstance(node, _FUNCTIONS) and not inside:
        for default in [*node.args.defaults, *[each for each in node.args.kw_defaults if each is not None]]:
            yield from _within(default, (), line)
        for statement in _body(node):
            yield from _within(statement, (*scope, node), line)
        return
    for child in _children(node):
        yield from _within(child, scope, line)


def _body(node: Any) -> list[ast.stmt]:
    """The statements without the docstring."""
    first = node.body[0] if node.body else None
    told = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    return list(node.body[1:] if told else node.body)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """The parts that decide something: no annotations, decorators, imports, texts, and no words of an error.

    Nor `strict=` of a zip: what is zipped has one length by the construction of the classes.
    """
    if isinstance(node, ast.keyword) and node.arg == "strict":
        return
    if isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom | ast.MatchClass):
        return
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"isinstance", "cast"}:
        return
    for field, value in ast.iter_fields(node):
        if field in {"annotation", "returns", "decorator_list", "bases", "keywords"} and not isinstance(node, ast.Call):
            continue
        if field == "body" and hasattr(node, "body") and isinstance(node.body, list):
            yield from _body(node)
            continue
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, ast.AST):
                yield item


def _alternatives(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.stmt):
        yield from _statements(node)
    elif isinstance(node, ast.Compare):
        for position, sign in enumerate(node.ops):
            for operator, table in (("negated comparison", _NEGATED), ("shifted comparison", _SHIFTED)):
                if type(sign) in table and (operator[0] == "s" or len(node.ops) == 1):
                    signs = [*node.ops[:position], table[type(sign)](), *node.ops[position + 1 :]]
                    yield operator, ast.Compare(node.left, signs, node.comparators)
    elif isinstance(node, ast.BoolOp):
        yield "and/or", ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    elif (
        isinstance(node, ast.BinOp)
        and type(node.op) in _ARITHMETIC
        and not isinstance(node.left, ast.Constant | ast.List)
    ):
        yield "arithmetic", ast.BinOp(node.left, _ARITHMETIC[type(node.op)](), node.right)
    elif isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.UAdd):
        yield "sign or not", node.operand
    elif isinstance(node, ast.IfExp):
        yield "negated condition", ast.IfExp(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
    elif isinstance(node, ast.Constant) and (changed := _other(node.value)) is not None:
        yield "constant", ast.Constant(changed)


def _statements(node: ast.stmt) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Yield | ast.YieldFrom):
        yield "removed call", ast.Pass()
    elif isinstance(node, ast.AugAssign):
        yield "removed assignment", ast.Pass()
        if type(node.op) in _ARITHMETIC:
            yield "arithmetic", ast.AugAssign(node.target, _ARITHMETIC[type(node.op)](), node.value)
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript | ast.Attribute):
        yield "removed assignment", ast.Pass()
    elif isinstance(node, ast.Raise):
        yield "removed raise", ast.Pass()
    elif isinstance(node, ast.Continue):
        yield "loop", ast.Break()
    elif isinstance(node, ast.Break):
        yield "loop", ast.Continue()
    elif isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield "nothing returned", ast.Return(ast.Constant(None))
    elif isinstance(node, ast.If | ast.While) and not isinstance(node.test, ast.Compare | ast.UnaryOp):
        negated = ast.UnaryOp(ast.Not(), node.test)
        yield "negated condition", type(node)(negated, node.body, node.orelse)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _other(value: object) -> bool | int | float | None:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return 2.0 * value or 1.0
    return None
