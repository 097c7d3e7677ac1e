"""A function as the operators see it: its source, what its names are, and which of its values are texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from .grammar import NONE, Grammar
from .tree import Node, Tree

_LOOKED_AT = 24
_OFFERED = 3


class Names:
    """The names of a whole source: fields with those they may be confused with, packages, what is set but once."""

    def __init__(self, tree: Tree, grammar: Grammar) -> None:
        self.fields: Mapping[str, Sequence[str]] = grammar.record_fields(tree) if grammar.record_fields else {}
        self.imports = grammar.imports(tree) if grammar.imports else NONE
        self.fixed = grammar.fixed(tree) if grammar.fixed else NONE


class View:
    """One function of a source with the tables of its language."""

    def __init__(self, tree: Tree, grammar: Grammar, function: Node, names: Names) -> None:
        self.tree = tree
        self.grammar = grammar
        self.function = function
        self.fields, self.imports, self.fixed = names.fields, names.imports, names.fixed
        self.bindings = sorted(grammar.binder(tree, function), key=lambda binding: binding.start)
        self.types: dict[str, str] = {binding.name: binding.type for binding in self.bindings}
        self.first: dict[str, int] = {item.name: item.start for item in reversed(self.bindings) if item.type != "?"}
        self.uses: Counter[str] = Counter()
        self.texts: set[int] = set()
        self.nodes = self._gathered()

    def of(self, node: Node) -> str:
        """The text of a node."""
        return self.tree.text[node.start : node.end]

    def others(self, node: Node) -> list[str]:
        """Names that could stand by mistake where this identifier stands, nearest declaration first."""
        name = self.of(node)
        if name not in self.types:
            return []
        kind, found = self.types[name], []
        looked = 0
        for binding in reversed(self.bindings):
            if binding.start <= node.start < binding.end and binding.name != name and binding.name not in found:
                if not self.grammar.typed or (kind and binding.type == kind):
                    found.append(binding.name)
                looked += 1
            if looked >= _LOOKED_AT or len(found) >= _OFFERED:
                break
        return found

    def bound(self, name: str, offset: int) -> bool:
        """Whether a local name has a value before this offset."""
        return self.first.get(name, offset + 1) <= offset

    def is_parameter(self, name: str) -> bool:
        """Whether a name is bound from the beginning of the function."""
        return self.bound(name, self.function.start)

    def alike(self, one: Node, other: Node) -> bool:
        """Whether two values may be confused: of one type where types are declared, of one nature elsewhere."""
        if not self.grammar.typed:
            return (one.kind in self.grammar.texts) == (other.kind in self.grammar.texts)
        if one.kind in self.grammar.numbers and other.kind in self.grammar.numbers:
            return True
        known = self.types.get(self.of(one), "")
        return bool(known) and known == self.types.get(self.of(other), "")

    def is_text(self, node: Node) -> bool:
        """Whether a value is known to be a text or a list, which `+` joins."""
        if id(node) in self.texts or node.kind in self.grammar.texts:
            return True
        if node.kind in self.grammar.identifiers:
            known = self.types.get(self.of(node), "")
            return known in self.grammar.text_types or known.endswith("*")
        if node.kind in self.grammar.calls:
            return called(self.tree, node) in self.grammar.text_names
        return False

    def _gathered(self) -> list[Node]:
        """The nodes of the body that may be changed, in order; texts are marked from the leaves up."""
        found = []
        stack = [body] if (body := body_of(self.function)) else []
        while stack:
            node = stack.pop()
            if node.kind in self.grammar.skipped or node.kind in self.grammar.comments:
                continue
            if node.kind in self.grammar.calls and self.logs(node):
                continue
            if node.parent is not None and _is_label(node, node.parent.kind):
                continue
            found.append(node)
            stack += reversed(node.children)
        for node in reversed(found):
            if node.kind in self.grammar.identifiers:
                self.uses[self.of(node)] += 1
            joins = node.kind in self.grammar.binaries or node.kind == "parenthesized_expression"
            if joins and any(child.named and self.is_text(child) for child in node.children):
                self.texts.add(id(node))
        return found

    def logs(self, node: Node) -> bool:
        """Whether a call only tells what happens."""
        callee = node.get("function") or node.get("object") or node.get("name")
        if callee is None:
            return False
        text = self.tree.text[callee.start : min(callee.end, callee.start + 60)]
        return any(text == name or text.startswith((name + ".", name + "->")) for name in self.grammar.loggers)


def body_of(function: Node) -> Node | None:
    """The body of a function, whatever holds it."""
    return function.get("body")


def _is_label(node: Node, parent: str) -> bool:
    """The condition of an `#if` and what a `case` stands for."""
    return (node.field == "condition" and parent.startswith("preproc")) or (node.field == "value" and "case" in parent)


def called(tree: Tree, node: Node) -> str:
    """The last name of what a call calls: `c` in `a.b.c(d)`; "" for what has no name."""
    name = callee(node)
    return tree.of(name) if name is not None else ""


def callee(node: Node) -> Node | None:
    """The node of the last name of what a call calls."""
    target = node.get("name") or node.get("function") or node.get("constructor")
    while target is not None and target.children:
        inner = target.get("property") or target.get("attribute") or target.get("field") or target.get("name")
        if inner is None or inner is target:
            return None
        target = inner
    return target
