"""All mutations of a source: every operator at every node of every function."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from ..types import Mutation
from .definitions import definitions
from .expressions import EXPRESSIONS, numbers
from .grammar import Edit, Grammar
from .statements import STATEMENTS
from .tree import Node, Tree
from .view import Names, View

_WORD = re.compile(r"\w+")


def mutations(tree: Tree, grammar: Grammar) -> tuple[Mutation, ...]:
    """Every mutation of a source, sorted by place."""
    found = set()
    names = Names(tree, grammar)
    for item in definitions(tree, grammar):
        if item.name.rpartition(".")[2] in grammar.unmutated:
            continue
        view = View(tree, grammar, item.node, names)
        for kind, start, end, new in _edits(view):
            old = tree.text[start:end]
            if old != new and not (grammar.unused_is_error and _loses_name(view, old, new)):
                found.add(Mutation(start, kind, old, new, item.name, tree.line(start)))
    return tuple(sorted(found))


def _loses_name(view: View, old: str, new: str) -> bool:
    """Whether a local variable or an import might not be used any more."""
    kept = Counter(_WORD.findall(new))
    lost = Counter(_WORD.findall(old)) - kept
    return any(
        view.uses[name] - count < 2
        for name, count in lost.items()
        if name in view.imports or (name in view.types and not view.is_parameter(name))
    )


def _edits(view: View) -> Iterator[Edit]:
    yield from _defaults(view)
    for node in view.nodes:
        if not node.named:
            continue
        for operator in EXPRESSIONS:
            yield from operator(view, node)
        for operator in STATEMENTS:
            yield from operator(view, node)
        for more in view.grammar.more:
            yield from more(view.tree, node)


def _defaults(view: View) -> Iterator[Edit]:
    """Another default of a parameter."""
    for parameters in view.function.children:
        if parameters.kind not in view.grammar.parameters:
            continue
        for parameter in parameters.inner:
            value = _default(parameter)
            if value is not None:
                for _, start, end, new in numbers(view, value):
                    yield "default", start, end, new


def _default(parameter: Node) -> Node | None:
    return parameter.get("value") or parameter.get("right") or parameter.get("default_value")
