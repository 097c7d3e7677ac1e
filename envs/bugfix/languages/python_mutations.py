"""Realistic mistakes in Python sources, found with `ast` and made in the text, so that all else keeps its form."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from ..types import Mutation

Found = Iterator[tuple[str, int, int, str]]  # kind, start, end, new text

_BOUNDARY = {ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">")}
_NEGATED = {ast.IsNot: (r"is\s+not", "is"), ast.NotIn: (r"not\s+in", "in"), ast.NotEq: ("!=", "==")}
_ARITHMETIC = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "+"),
    ast.FloorDiv: ("//", "%"),
    ast.Mod: ("%", "//"),
}
_TWINS = {"min": "max", "max": "min", "any": "all", "all": "any"}
_NO_SWAP = {"isinstance", "min", "max", "print"}
_SKIPPED_METHODS = {"__repr__", "__hash__", "__eq__"}
_NO_ARITHMETIC = (ast.JoinedStr, ast.List, ast.ListComp)


@dataclass(frozen=True)
class Source:
    """A text with the offsets of its syntax nodes (`ast` counts columns in UTF-8 bytes)."""

    text: str
    lines: tuple[bytes, ...]
    starts: tuple[int, ...]

    @classmethod
    def of(cls, text: str) -> Source:
        lines = text.splitlines(keepends=True)
        return cls(text, tuple(line.encode() for line in lines), tuple(accumulate(map(len, lines), initial=0)))

    def offset(self, line: int, column: int) -> int:
        return self.starts[line - 1] + (len(self.lines[line - 1][:column].decode()) if column else 0)

    def start(self, node: ast.expr | ast.stmt) -> int:
        return self.offset(node.lineno, node.col_offset)

    def end(self, node: ast.expr | ast.stmt) -> int:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.offset(node.end_lineno, node.end_col_offset)

    def segment(self, node: ast.expr) -> str:
        return self.text[self.start(node) : self.end(node)]

    def between(self, left: ast.expr, right: ast.expr, pattern: str) -> tuple[int, int] | None:
        """Where an operator stands between two operands."""
        found = re.compile(pattern).search(self.text, self.end(left), self.start(right))
        return found.span() if found else None


def mutations(text: str) -> tuple[Mutation, ...]:
    """Every mutation of a source text, sorted by place. SyntaxError if it is not Python."""
    source = Source.of(text)
    found = set()
    for name, function in functions_of(ast.parse(text)):
        if name.rpartition(".")[2] in _SKIPPED_METHODS:
            continue
        for kind, start, end, new in _in_function(source, function):
            line = text.count("\n", 0, start) + 1
            found.add(Mutation(start, kind, text[start:end], new, name, line))
    return tuple(sorted(found))


def functions_of(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions of the module and methods of its classes, with their qualified names."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for member in node.body:
                if isinstance(member, ast.FunctionDef):
                    yield f"{node.name}.{member.name}", member


def _in_function(source: Source, function: ast.FunctionDef) -> Found:
    names = _names(function)
    for default in [*function.args.defaults, *(value for value in function.args.kw_defaults if value)]:
        yield from _default(source, default)
    for node in _walk(function):
        yield from _comparison(source, node)
        yield from _operator(source, node)
        yield from _call(source, node)
        if isinstance(node, ast.Constant) and type(node.value) is int:
            start, end = source.start(node), source.end(node)
            yield "constant", start, end, str(node.value + 1)
            if node.value > 0:
                yield "constant", start, end, str(node.value - 1)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names:
            for other, line in names.items():
                if other != node.id and line < node.lineno:
                    yield "variable", source.start(node), source.end(node), other
    for body in _bodies(function):
        yield from _dropped(source, body)


def _walk(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """All nodes of the body without documentation, raised errors, f-strings and the functions that are called."""
    queue: list[ast.AST] = list(_without_doc(function.body))
    while queue:
        node = queue.pop()
        if isinstance(node, ast.Raise | ast.JoinedStr):
            continue
        yield node
        children = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            children.remove(node.func)
        queue += children


def _default(source: Source, node: ast.expr) -> Found:
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "default", source.start(node), source.end(node), str(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield "default", source.start(node), source.end(node), str(node.value + 1)


def _comparison(source: Source, node: ast.AST) -> Found:
    if isinstance(node, ast.Compare):
        operands = [node.left, *node.comparators]
        for left, operator, right in zip(operands, node.ops, operands[1:], strict=False):
            if type(operator) in _BOUNDARY:
                old, new = _BOUNDARY[type(operator)]
                span = source.between(left, right, re.escape(old))
                if span:
                    yield "boundary", *span, new
            elif type(operator) in _NEGATED:
                pattern, new = _NEGATED[type(operator)]
                span = source.between(left, right, pattern)
                if span:
                    yield "negation", *span, new
    elif isinstance(node, ast.BoolOp):
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            span = source.between(left, right, rf"\b{old}\b")
            if span:
                yield "connective", *span, new
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "negation", source.start(node), source.start(node.operand), ""


def _operator(source: Source, node: ast.AST) -> Found:
    if isinstance(node, ast.BinOp):
        left, right, suffix = node.left, node.right, ""
    elif isinstance(node, ast.AugAssign):
        left, right, suffix = node.target, node.value, "="
    else:
        return
    if type(node.op) not in _ARITHMETIC or any(_is_text(part) for part in ast.walk(node)):
        return
    old, new = _ARITHMETIC[type(node.op)]
    span = source.between(left, right, re.escape(old + suffix))
    if span:
        yield "arithmetic", *span, new + suffix


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, _NO_ARITHMETIC) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _call(source: Source, node: ast.AST) -> Found:
    if not isinstance(node, ast.Call):
        return
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name in _TWINS:
        yield "function", source.start(node.func), source.end(node.func), _TWINS[name]
    if name in _NO_SWAP or any(isinstance(argument, ast.Starred) for argument in node.args):
        return
    for left, right in zip(node.args, node.args[1:], strict=False):
        one, other = source.segment(left), source.segment(right)
        if one != other:
            middle = source.text[source.end(left) : source.start(right)]
            yield "swap", source.start(left), source.end(right), other + middle + one


def _names(function: ast.FunctionDef) -> dict[str, int]:
    """Local names and the line of their first binding; not those of comprehensions, nor self."""
    arguments = function.args
    found = {item.arg: 0 for item in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]}
    queue: list[ast.AST] = list(function.body)
    while queue:
        node = queue.pop(0)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found[node.id] = min(node.lineno, found.get(node.id, node.lineno))
        if not isinstance(
            node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp | ast.Lambda | ast.FunctionDef
        ):
            queue += ast.iter_child_nodes(node)
    found.pop("self", None)
    return found


def _without_doc(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0]
    is_doc = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    return body[1:] if is_doc else body


def _bodies(function: ast.FunctionDef) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(function):
        for field in ("body", "orelse"):
            body = getattr(node, field, None)
            if isinstance(body, list) and body:
                yield _without_doc(body)


def _dropped(source: Source, body: list[ast.stmt]) -> Found:
    """Whole lines of a statement that is not alone: an early exit, a call, an update."""
    if len(body) < 2:
        return
    for node in body:
        guard = isinstance(node, ast.If) and not node.orelse and isinstance(node.body[-1], _EXITS)
        if (
            guard
            or isinstance(node, ast.AugAssign)
            or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))
        ):
            assert node.end_lineno is not None
            start = source.offset(node.lineno, 0)
            if source.text[start : source.start(node)].strip() == "":
                yield "dropped", start, source.offset(node.end_lineno + 1, 0), ""


_EXITS = (ast.Return, ast.Continue, ast.Break, ast.Raise)
