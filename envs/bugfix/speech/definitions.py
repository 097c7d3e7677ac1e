"""The functions of a source: where they are, what they are called, what their documentation says, what they call."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..types import Function
from .grammar import Grammar
from .tree import Node, Tree
from .view import called

_MARKS = re.compile(r"^\s*(?:/\*+!?|\*+/|\*|//[/!]?<?|#)?[ \t]?", re.M)
_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z`*(\[\"'])|\n\s*\n|\n\s*[@\\:][a-z]")
_TAG = re.compile(r"\{@\w+\s+([^}]*)\}|</?[a-z]+[^>]*>|[@\\]brief\s+")


@dataclass(frozen=True)
class Definition:
    """A function with a body: its qualified name, its node, and the node before which its comment stands."""

    name: str
    node: Node
    outer: Node


def definitions(tree: Tree, grammar: Grammar) -> list[Definition]:
    """Every named function that lies in no other named one, in order. What lies in anonymous ones counts."""
    found = []
    stack: list[tuple[Node, str]] = [(tree.root, "")]
    while stack:
        node, prefix = stack.pop()
        if node.kind in grammar.functions and node.get("body") is not None:
            name = grammar.definer(tree, node)
            if name is not None:
                found.append(Definition(f"{prefix}{name}", node, _outer(node, grammar)))
                continue
        owner = grammar.owner(tree, node)
        below = prefix if owner is None else f"{prefix}{owner}."
        stack += [(child, below) for child in reversed(node.children) if child.children]
    return found


def functions(tree: Tree, grammar: Grammar, path: str) -> list[Function]:
    """The functions of a source as an issue speaks of them."""
    return [
        Function(
            path,
            item.name,
            documentation(tree, grammar, item),
            grammar.public(tree, item.node, item.name),
            frozenset(name for part in item.node.walk() if part.kind in grammar.calls and (name := called(tree, part))),
        )
        for item in definitions(tree, grammar)
    ]


def documentation(tree: Tree, grammar: Grammar, item: Definition) -> str:
    """The first sentence of a function's documentation, in one line; "" without any."""
    body = item.node.get("body")
    first = body.inner[0] if body is not None and body.kind == "block" and body.inner else None
    if first is not None and first.kind == "expression_statement" and first.inner and first.inner[0].kind == "string":
        return _sentence(re.sub(r"^[rRuUbB]*(\"\"\"|'''|\"|')|(\"\"\"|'''|\"|')$", "", tree.of(first.inner[0])))
    parent = item.outer.parent
    if parent is None:
        return ""
    at = parent.children.index(item.outer)
    lines: list[str] = []
    line = tree.line(item.outer.start)
    for node in reversed(parent.children[:at]):
        if node.kind not in grammar.comments or tree.line(node.end) < line - 1 or _trails(tree, node):
            break
        lines.append(tree.of(node))
        line = tree.line(node.start)
        if lines[-1].startswith("/*"):
            break
    return _sentence("\n".join(_MARKS.sub("", text).removesuffix("*/") for text in reversed(lines)))


def emptied(tree: Tree, grammar: Grammar, function: str) -> str:
    """The text with the bodies of every function of this name thrown away. Raises KeyError where there is none."""
    text = tree.text
    mine = [item for item in definitions(tree, grammar) if item.name == function]
    if not mine:
        raise KeyError(function)
    for item in reversed(mine):
        body = item.node.get("body")
        assert body is not None
        text = text[: body.start] + grammar.emptier(tree, item.node) + text[body.end :]
    return text


def _outer(node: Node, grammar: Grammar) -> Node:
    """The statement that a definition is: with its decorators, `export`, `const f =`."""
    while node.parent is not None and node.parent.kind in grammar.wraps:
        node = node.parent
    return node


def _trails(tree: Tree, node: Node) -> bool:
    """Whether a comment stands behind something on its line."""
    return bool(tree.indent(node).strip())


def _sentence(text: str) -> str:
    text = _TAG.sub(lambda found: found[1] or "", text.strip("\n/* \t"))
    if text.lstrip().startswith(("@", "\\")):
        return ""
    return " ".join(_END.split(text.strip(), maxsplit=1)[0].split())
