"""Mistakes of whole statements: one forgotten, two in the wrong order, a branch missing, a loop left early."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from .expressions import Operator, tests_null
from .grammar import Edit
from .tree import Node
from .view import View

_SUPER = ("super", "parent::")


def dropped(view: View, node: Node) -> Iterator[Edit]:
    """A statement that is not alone in its block left out: a call, an update, an early exit."""
    if node.kind not in view.grammar.blocks:
        return
    body = _statements(node)
    if len(body) < 2:
        return
    for statement in body:
        kind = _effect(view, statement)
        if kind:
            span = _lines(view, statement)
            if span is not None:
                yield kind, *span, ""


def orders(view: View, node: Node) -> Iterator[Edit]:
    """Two neighbouring statements, of which one changes what the other uses, the other way round."""
    if node.kind not in view.grammar.blocks:
        return
    for one, other in pairwise(_statements(node)):
        if not (_effect(view, one) and _effect(view, other)) or {one.kind, other.kind} & view.grammar.ifs:
            continue
        if (
            any("\n" in view.of(item) for item in (one, other))
            or _lines(view, one) is None
            or _lines(view, other) is None
        ):
            continue
        first, second = _written(view, one), _written(view, other)
        if first == second:
            continue
        if (first and first in _names(view, other)) or (second and second in _names(view, one)):
            middle = view.tree.text[one.end : other.start]
            if not middle.strip(" \t\n;"):
                yield "order", one.start, other.end, view.of(other) + middle + view.of(one)


def branches(view: View, node: Node) -> Iterator[Edit]:
    """The `else` of an `if` forgotten."""
    grammar = view.grammar
    if node.kind not in grammar.ifs:
        return
    last = node.children[-1]
    consequence = node.get("consequence") or node.get("body")
    if last.field != "alternative" or consequence is None:
        return
    if grammar.every_path_returns and _exits(view, last):
        return
    before = node.children[node.children.index(last) - 1]
    if before.kind == "else":
        before = node.children[node.children.index(before) - 1]
    yield "branch", before.end, last.end, ""


def loops(view: View, node: Node) -> Iterator[Edit]:
    """A loop that goes on where it should end, ends where it should go on, or returns in its first round."""
    grammar = view.grammar
    if node.kind in ("break_statement", "continue_statement") and not node.inner:
        inside = node.above(grammar.breakables, grammar.functions)
        if inside is not None and inside.kind in grammar.loops:
            keyword = node.children[0]
            if keyword.kind == "continue":
                yield "loop", keyword.start, keyword.end, "break"
            elif inside.kind in grammar.counted:
                yield "loop", keyword.start, keyword.end, "continue"
    if node.kind == "break_statement" and node.parent is not None and node.parent.kind in grammar.cases:
        case = node.parent
        group = case.parent
        span = _lines(view, node)
        if group is not None and case is not group.inner[-1] and span is not None and len(case.inner) > 2:
            yield "fallthrough", *span, ""
    if node.kind in grammar.blocks:
        yield from _returned_early(view, node)


def _returned_early(view: View, block: Node) -> Iterator[Edit]:
    for loop, following in pairwise(_statements(block)):
        body = loop.get("body") if loop.kind in view.grammar.loops else None
        if body is None or following.kind != "return_statement" or "\n" in view.of(following):
            continue
        inner = _statements(body) if body.kind in view.grammar.blocks else []
        inner = _statements(body.inner[0]) if body.inner and body.inner[0].kind in view.grammar.blocks else inner
        if inner and not _exits(view, inner[-1]) and following.inner:
            last = inner[-1]
            indent = view.tree.indent(last)
            if not indent.strip():
                yield "early-return", last.start, last.end, f"{view.of(last)}\n{indent}{view.of(following)}"


STATEMENTS: tuple[Operator, ...] = (dropped, orders, branches, loops)


def _statements(block: Node) -> list[Node]:
    """The statements of a block; a text that stands first documents it and is none."""
    inner = block.inner
    if inner and inner[0].kind == "expression_statement" and inner[0].inner and inner[0].inner[0].kind == "string":
        return inner[1:]
    return inner


def _effect(view: View, statement: Node) -> str:
    """The kind of mistake that leaving out a statement is; "" where it is none of these."""
    grammar = view.grammar
    if statement.kind in grammar.ifs:
        body = statement.get("consequence") or statement.get("body")
        condition = statement.get("condition")
        if body is None or condition is None or statement.get("alternative") is not None or not _exits(view, body):
            return ""
        return "null-check" if tests_null(view, condition) else "dropped"
    inner = statement
    if statement.kind in grammar.effects and statement.inner:
        inner = statement.inner[0]
    if inner.kind in grammar.awaits and inner.inner:
        inner = inner.inner[-1]
    if inner.kind in grammar.calls:
        logged = view.logs(inner) or view.of(inner).startswith(_SUPER)
        return "" if logged else "dropped"
    if inner.kind in grammar.updates:
        return "update"
    if inner.kind in grammar.assignments:
        return _lost(view, inner)
    return ""


def _lost(view: View, assignment: Node) -> str:
    """ "update" where the target of an assignment has a value without it."""
    target = assignment.get("left")
    while target is not None and target.kind == "expression_list" and len(target.inner) == 1:
        target = target.inner[0]
    if target is None:
        return ""
    if target.kind in view.grammar.identifiers:
        return "update" if view.bound(view.of(target), assignment.start - 1) else ""
    if view.of(target).rpartition(".")[2] in view.fixed:
        return ""
    known = target.kind in view.grammar.members or target.kind in view.grammar.subscripts
    return "update" if known or "access" in target.kind else ""


def _lines(view: View, statement: Node) -> tuple[int, int] | None:
    """The whole lines of a statement; None where it shares them."""
    text = view.tree.text
    start = statement.start - len(view.tree.indent(statement))
    end = statement.end
    while end < len(text) and text[end] in " \t;":
        end += 1
    if end < len(text) and text[end] in "\r\n":
        end += 2 if text.startswith("\r\n", end) else 1
    elif end < len(text):
        return None
    return (start, end) if not text[start : statement.start].strip() else None


def _exits(view: View, statement: Node) -> bool:
    """Whether the last statement of a statement, a block or an `else` leaves the block."""
    while statement.kind not in view.grammar.exits:
        inner = statement.inner
        if statement.kind in view.grammar.effects:
            return bool(inner) and inner[0].kind in ("throw_expression", "exit_statement")
        deeper = statement.kind in view.grammar.blocks or statement.kind in view.grammar.ifs
        if not inner or not (deeper or statement.kind in ("block", "else_clause")):
            return False
        statement = inner[-1]
    return True


def _written(view: View, statement: Node) -> str:
    """The name at the root of what a statement changes."""
    for part in statement.walk():
        if part.kind in view.grammar.identifiers or part.kind in ("this", "self"):
            return view.of(part)
    return ""


def _names(view: View, statement: Node) -> set[str]:
    return {view.of(part) for part in statement.walk() if part.kind in view.grammar.identifiers}
