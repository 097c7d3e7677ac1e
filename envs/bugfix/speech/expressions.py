"""Mistakes inside an expression. Each operator takes a function and one of its nodes, and yields edits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

from .grammar import COUNTERS, NUMERIC, Edit
from .tree import Node
from .view import View, called, callee

Operator = Callable[[View, Node], Iterator[Edit]]
_WHOLE = re.compile(r"(-?)(0|[1-9][0-9]*)([uUlLn]*)")
_SIMPLE = (
    "identifier",
    "variable_name",
    "number",
    "integer",
    "literal",
    "member",
    "field",
    "attribute",
    "call",
    "access",
)
_CLOSED = (*_SIMPLE, "subscript", "parenthesized", "index", "string", "list", "array")
_DIVIDES = frozenset({"/", "%", "//", "/=", "%="})
_ELIFS = frozenset({"elif_clause", "else_if_clause"})
_FIELDS_OFFERED = 2


def tokens(view: View, node: Node) -> Iterator[Edit]:
    """Another operator between the same operands."""
    if node.kind not in view.grammar.binaries:
        return
    for child in node.children:
        if child.field not in ("operator", "operators") and (child.named or child.field):
            continue
        for kind, new in view.grammar.tokens.get(child.kind, ()):
            if kind in NUMERIC and (id(node) in view.texts or _holds_text(view, node)):
                continue
            if kind == "connective" and _binds(node):
                continue
            yield kind, child.start, child.end, new


def negations(view: View, node: Node) -> Iterator[Edit]:
    """A `not` forgotten, or one too many."""
    grammar = view.grammar
    if node.kind in grammar.nots and node.children[0].kind in ("!", "not"):
        yield "negation", node.start, node.children[-1].start, ""
    if node.kind not in grammar.ifs and node.kind not in grammar.ternaries and node.kind not in _ELIFS:
        return
    condition = node.get("condition")
    if condition is None:
        return
    inner = condition
    if condition.kind in ("parenthesized_expression", "condition_clause"):
        named = condition.inner
        if len(named) != 1:
            return
        inner = named[0]
    if any(part in inner.kind for part in _SIMPLE) and "literal" not in inner.kind and "integer" not in inner.kind:
        yield "negation", inner.start, inner.end, grammar.negated.format(view.of(inner))


def numbers(view: View, node: Node) -> Iterator[Edit]:
    """A whole number off by one, or a flag the other way."""
    text = view.of(node) if not node.children or node.kind in view.grammar.numbers else ""
    if node.kind in view.grammar.numbers:
        found = _WHOLE.fullmatch(text)
        if found is None:
            return
        value = int(found[1] + found[2])
        divides = node.parent is not None and any(child.kind in _DIVIDES for child in node.parent.children)
        for new in (value + 1, value - 1):
            if (new >= 0 or value < 0) and not (new == 0 and (divides or value < 0)):
                yield "constant", node.start, node.end, f"{new}{found[3]}"
    elif node.named and len(view.of(node)) <= 5 and view.of(node) in view.grammar.flags and _is_value(node):
        yield "constant", node.start, node.end, view.grammar.flags[view.of(node)]


def variables(view: View, node: Node) -> Iterator[Edit]:
    """Another variable of the same scope; never where a name is bound."""
    if node.kind not in view.grammar.identifiers or not node.named or _is_bound(node):
        return
    if view.grammar.closures and node.above(view.grammar.closures, view.grammar.functions) is not None:
        return
    written = node.parent is not None and node.parent.kind in view.grammar.updates
    for other in view.others(node):
        if not (written and other in view.fixed):
            yield "variable", node.start, node.end, other


def fields(view: View, node: Node) -> Iterator[Edit]:
    """Another field of the same object."""
    place = view.grammar.members.get(node.kind)
    name = node.get(place) if place else None
    if name is None or _is_called(node):
        return
    known = view.fields.get(view.of(name), ())
    text = view.of(name)
    if text not in known or (node.field == "left" and view.fixed.intersection(known)):
        return
    at = known.index(text)
    for other in [*known[at + 1 :], *known[:at]][:_FIELDS_OFFERED]:
        yield "field", name.start, name.end, other


def swaps(view: View, node: Node) -> Iterator[Edit]:
    """Two neighbouring arguments, or the operands of a subtraction, the other way round."""
    if node.kind in view.grammar.arguments:
        if node.parent is not None and called(view.tree, node.parent) in view.grammar.no_swap:
            return
        for left, right in pairwise(node.inner):
            if _swappable(left) and _swappable(right) and view.alike(_bare(left), _bare(right)):
                yield from _swapped(view, "swap", left, right)
    elif node.kind in view.grammar.binaries and id(node) not in view.texts:
        operator, one, other = node.get("operator"), node.get("left"), node.get("right")
        if operator is not None and operator.kind in ("-", "%") and one is not None and other is not None:
            numeric = not view.grammar.typed or view.alike(one, other)
            if numeric and _is_simple(one) and _is_simple(other) and other.kind not in view.grammar.numbers:
                yield from _swapped(view, "swap", one, other)


def guards(view: View, node: Node) -> Iterator[Edit]:
    """A check for null, or what to use instead of it, left out of an expression."""
    grammar = view.grammar
    for child in node.children:
        if child.kind in grammar.safe_accesses and child.end < node.end:
            following = node.children[node.children.index(child) + 1]
            if following.named and following.kind not in grammar.arguments:
                yield "null-check", child.start, child.end, grammar.safe_accesses[child.kind]
    if node.kind not in grammar.binaries:
        return
    operator, left, right = node.get("operator"), node.get("left"), node.get("right")
    if operator is None or left is None or right is None:
        return
    if operator.kind in grammar.fallbacks:
        yield "null-check", left.end, node.end, ""
    wanted = {"&&": grammar.present_tokens, "and": grammar.present_tokens}.get(operator.kind)
    wanted = {"||": grammar.null_tokens, "or": grammar.null_tokens}.get(operator.kind) if wanted is None else wanted
    if wanted and _tests_null(view, left, wanted):
        yield "null-check", node.start, right.start, ""


def off_by_one(view: View, node: Node) -> Iterator[Edit]:
    """A `- 1` forgotten, an index or the edge of a slice one too far."""
    grammar = view.grammar
    if node.kind in grammar.binaries:
        operator, left, right = node.get("operator"), node.get("left"), node.get("right")
        if operator is None or operator.kind not in ("+", "-") or left is None or right is None:
            return
        if right.kind in grammar.numbers and view.of(right) == "1" and not view.is_text(left):
            yield "off-by-one", left.end, node.end, ""
    elif node.kind in grammar.subscripts:
        inner = node.inner
        index = inner[-1] if len(inner) > 1 else None
        if index is not None and index.kind == "subscript_argument_list" and len(index.inner) == 1:
            index = index.inner[0]
        if index is not None and index.kind in grammar.identifiers and view.of(index).lstrip("$") in COUNTERS:
            yield "off-by-one", index.end - len(view.of(index)), index.end, f"{view.of(index)} + 1"
            yield "off-by-one", index.start, index.end, f"{view.of(index)} - 1"
    if node.kind in grammar.slices:
        edges = node.inner if node.kind == "slice" else [node.get("start"), node.get("end")]
        for edge in edges:
            if edge is not None and edge.kind in grammar.identifiers:
                yield "off-by-one", edge.start, edge.end, f"{view.of(edge)} + 1"
                yield "off-by-one", edge.start, edge.end, f"{view.of(edge)} - 1"


def functions(view: View, node: Node) -> Iterator[Edit]:
    """The opposite function, or a function that was forgotten: a copy, a rounding, a trimming, an await."""
    grammar = view.grammar
    if node.kind in grammar.awaits:
        yield "await", node.start, node.inner[-1].start, ""
    if node.kind in grammar.casts:
        kind, value = node.get("type"), node.get("value")
        if kind is not None and value is not None and " ".join(view.of(kind).split()) in grammar.cast_types:
            yield "division", node.start, value.start, ""
    if node.kind not in grammar.calls:
        return
    name = callee(node)
    arguments = node.of_kind(*grammar.arguments)
    if name is None or arguments is None:
        return
    text = view.of(name)
    if text in grammar.twins:
        mistake = "case" if "pper" in text or "ower" in text else "function"
        yield mistake, name.start, name.end, grammar.twins[text]
    yield from _forgotten(view, node, name, arguments)


def _forgotten(view: View, node: Node, name: Node, arguments: Node) -> Iterator[Edit]:
    """`list(x)` -> `x`, `x.trim()` -> `x`."""
    if node.parent is not None and node.parent.kind in view.grammar.effects:
        return
    head = view.tree.text[node.start : arguments.start]
    inner = arguments.inner
    if head in view.grammar.wrappers and len(inner) == 1:
        only = _bare(inner[0])
        if not _is_spread(only) and "keyword" not in only.kind and "generator" not in only.kind:
            text = view.of(only)
            closed = any(part in only.kind for part in _CLOSED)
            yield view.grammar.wrappers[head], node.start, node.end, text if closed else f"({text})"
    elif not inner and view.of(name) in view.grammar.tails:
        receiver = (
            view.tree.text[node.start : name.start].rstrip().removesuffix("->").removesuffix("?.").removesuffix(".")
        )
        if receiver.strip() and len(receiver) < name.start - node.start:
            yield view.grammar.tails[view.of(name)], node.start + len(receiver), node.end, ""


EXPRESSIONS: tuple[Operator, ...] = (
    tokens,
    negations,
    numbers,
    variables,
    fields,
    swaps,
    guards,
    off_by_one,
    functions,
)


def tests_null(view: View, condition: Node) -> bool:
    """Whether a condition asks for null anywhere."""
    return any(part.kind in view.grammar.nulls for part in condition.walk())


def _tests_null(view: View, node: Node, wanted: frozenset[str]) -> bool:
    if node.kind not in view.grammar.binaries or not any(child.kind in view.grammar.nulls for child in node.children):
        return False
    return any(child.kind in wanted for child in node.children)


def _holds_text(view: View, node: Node) -> bool:
    return any(view.is_text(child) for child in node.children if child.named)


def _binds(node: Node) -> bool:
    """Whether the left side of an `and` declares a name that the right side uses."""
    return any(part.kind == "instanceof_expression" and part.get("name") for part in node.walk())


def _is_value(node: Node) -> bool:
    parent = node.parent
    return parent is None or parent.field != "condition" or parent.kind != "parenthesized_expression"


def _is_bound(node: Node) -> bool:
    """Whether an identifier is not read: the target of an assignment, the name of a declaration, a callee, a label."""
    if node.field in ("name", "declarator", "function", "label", "alias", "pattern", "property", "attribute"):
        return True
    up: Node | None = node
    while up is not None and up.parent is not None:
        if up.field == "left" and "binary" not in up.parent.kind and "comparison" not in up.parent.kind:
            return "boolean" not in up.parent.kind and up.parent.kind != "instanceof_expression"
        if "statement" in up.kind or up.kind in ("block", "subscript", "subscript_expression", "arguments"):
            return False
        if up.field in ("right", "arguments", "index", "subscript", "body", "value", "condition", "object"):
            return False
        up = up.parent
    return False


def _is_called(node: Node) -> bool:
    parent = node.parent
    return parent is not None and (node.field == "function" or node.kind in ("method_invocation",))


def _bare(node: Node) -> Node:
    """What a PHP argument holds."""
    return node.children[0] if node.kind == "argument" and len(node.children) == 1 else node


def _is_spread(node: Node) -> bool:
    return "splat" in node.kind or "spread" in node.kind or "variadic" in node.kind


def _is_simple(node: Node) -> bool:
    return any(part in node.kind for part in (*_SIMPLE, "subscript"))


def _swappable(node: Node) -> bool:
    bare = _bare(node)
    return _is_simple(bare) and not _is_spread(bare)


def _swapped(view: View, kind: str, left: Node, right: Node) -> Iterator[Edit]:
    one, other = view.of(left), view.of(right)
    if one != other:
        middle = view.tree.text[left.end : right.start]
        yield kind, left.start, right.end, other + middle + one
