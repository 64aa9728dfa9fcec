"""Small wrong changes to Python source, each of which some test ought to notice."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple


class Mutant(NamedTuple):
    """Bytes from ``begin`` to ``end`` of a source become ``text``."""

    line: int
    begin: int
    end: int
    text: str
    what: str

    def applied(self, source: bytes) -> bytes:
        return source[: self.begin] + self.text.encode() + source[self.end :]


_OTHER: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_WITHOUT_EFFECT = (ast.JoinedStr, ast.AnnAssign, ast.arguments)


def mutants(source: bytes) -> list[Mutant]:
    """All that are known of one file, in its order."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    for node, text, what in _changes(ast.parse(source)):
        begin = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        found.append(Mutant(node.lineno, begin, end, text, what))
    return sorted(found)


def _changes(node: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, str, str]]:
    """(what to replace, by what, in words)."""
    if _is_no_code(node):
        return
    if isinstance(node, ast.expr):
        yield from _of_expression(node)
    elif isinstance(node, ast.stmt):
        yield from _of_statement(node)
    for child in ast.iter_child_nodes(node):
        yield from _changes(child)


def _is_no_code(node: ast.AST) -> bool:
    """Types, docstrings, and what only a type checker reads; defaults of arguments too."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    return isinstance(node, _WITHOUT_EFFECT)


def _of_expression(node: ast.expr) -> Iterator[tuple[ast.expr, str, str]]:
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _OTHER:
        other = ast.Compare(
            node.left, [_OTHER[type(node.ops[0])](), *node.ops[1:]], node.comparators
        )
        yield node, f"({ast.unparse(other)})", f"compare: {ast.unparse(other)}"
    elif isinstance(node, ast.BoolOp | ast.BinOp) and type(node.op) in _OTHER:
        made = ast.parse(ast.unparse(node), mode="eval").body
        made.op = _OTHER[type(node.op)]()  # type: ignore[attr-defined]
        yield node, f"({ast.unparse(made)})", f"operator: {ast.unparse(made)}"
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield node, str(not node.value), f"constant: {not node.value}"
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield node, str(node.value + 1), f"constant: {node.value + 1}"
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node, f"(bool({ast.unparse(node.operand)}))", "negation removed"


def _of_statement(node: ast.stmt) -> Iterator[tuple[ast.expr | ast.stmt, str, str]]:
    if isinstance(node, ast.If | ast.While):
        yield node.test, f"(not ({ast.unparse(node.test)}))", "condition negated"
    elif isinstance(node, ast.Return) and not _is_none(node.value):
        yield node, "return None", "returns None"
    elif _can_go(node):
        yield node, "pass", f"removed: {ast.unparse(node)}"


def _can_go(node: ast.stmt) -> bool:
    """Without it the names of what follows are bound all the same."""
    if isinstance(node, ast.Assign):
        return not isinstance(node.targets[0], ast.Name | ast.Tuple)
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Call)
    return isinstance(node, ast.Raise | ast.AugAssign | ast.Delete | ast.Continue | ast.Break)


def _is_none(value: ast.expr | None) -> bool:
    return value is None or (isinstance(value, ast.Constant) and value.value is None)
