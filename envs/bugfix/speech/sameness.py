"""Whether two sources are the same program: their syntax trees without comments and layout."""

from __future__ import annotations

from collections.abc import Iterator

from .grammar import Grammar
from .tree import Node, Tree

_SEPARATORS = frozenset({";", "\n", "automatic_semicolon"})


def same_program(before: Tree, after: Tree, grammar: Grammar) -> bool | None:
    """Whether two sources differ in layout and comments only; None where `after` has new syntax errors.

    Trees are compared, not tokens alone: where indentation or the end of a line carries meaning, it shapes the tree.
    """
    if after.errors > before.errors:
        return None
    mine, other = _outline(before, grammar), _outline(after, grammar)
    return all(one == two for one, two in zip(mine, other, strict=False)) and next(other, None) is next(mine, None)


def _outline(tree: Tree, grammar: Grammar) -> Iterator[tuple[str, str | None, str] | None]:
    """Nodes in order; None where one ends."""
    stack: list[Node | None] = [tree.root]
    while stack:
        node = stack.pop()
        if node is None:
            yield None
            continue
        if node.kind in grammar.comments or node.kind in _SEPARATORS:
            continue
        if node.children:
            yield node.kind, node.field, ""
            stack.append(None)
            stack += reversed(node.children)
        else:
            yield node.kind, node.field, tree.of(node).strip() if node.kind in ("preproc_arg",) else tree.of(node)
