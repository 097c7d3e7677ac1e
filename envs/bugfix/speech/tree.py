"""A source as a syntax tree whose nodes know their character offsets; built in one walk over tree-sitter's own tree."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator

import tree_sitter

_SURROGATE = re.compile("[\ud800-\udfff]")


class Node:
    """A node of the grammar: `kind`, the `field` it fills in its parent, and its span in characters."""

    __slots__ = ("children", "end", "field", "kind", "named", "parent", "start")

    def __init__(self, kind: str, field: str | None, named: bool, start: int, end: int, parent: Node | None) -> None:
        self.kind = kind
        self.field = field
        self.named = named
        self.start = start
        self.end = end
        self.parent = parent
        self.children: list[Node] = []

    def get(self, field: str) -> Node | None:
        """The first child that fills this field."""
        for child in self.children:
            if child.field == field:
                return child
        return None

    def all(self, field: str) -> list[Node]:
        """Every named child that fills this field."""
        return [child for child in self.children if child.field == field and child.named]

    def of_kind(self, *kinds: str) -> Node | None:
        """The first child of one of these kinds."""
        for child in self.children:
            if child.kind in kinds:
                return child
        return None

    @property
    def inner(self) -> list[Node]:
        """The named children without comments."""
        return [child for child in self.children if child.named and "comment" not in child.kind]

    def walk(self, skip: frozenset[str] = frozenset()) -> Iterator[Node]:
        """This node and all below it in the order of the text, without what lies in nodes of the kinds `skip`."""
        stack = [self]
        while stack:
            node = stack.pop()
            if node.kind in skip:
                continue
            yield node
            stack += reversed(node.children)

    def above(self, kinds: frozenset[str], stop: frozenset[str] = frozenset()) -> Node | None:
        """The nearest ancestor of one of these kinds; None if one of `stop` comes first."""
        node = self.parent
        while node is not None and node.kind not in stop:
            if node.kind in kinds:
                return node
            node = node.parent
        return None


class Tree:
    """A text and its syntax tree; `errors` counts what the grammar could not read."""

    def __init__(self, text: str, language: tree_sitter.Language) -> None:
        self.text = text
        self.language = language
        data = _SURROGATE.sub("?", text).encode()
        parsed = tree_sitter.Parser(language).parse(data)
        self.errors = 0
        self.root = self._grown(parsed, _characters(text, len(data)))
        self._lines = [found.end() for found in re.finditer("\n", text)]

    def of(self, node: Node) -> str:
        """The text of a node."""
        return self.text[node.start : node.end]

    def line(self, offset: int) -> int:
        """The line of an offset, from 1."""
        return bisect_right(self._lines, offset) + 1

    def indent(self, node: Node) -> str:
        """The blanks before a node, if it is the first of its line; else all that the line begins with."""
        line = self.line(node.start)
        start = self._lines[line - 2] if line > 1 else 0
        return self.text[start : node.start]

    def _grown(self, parsed: tree_sitter.Tree, place: Callable[[int], int]) -> Node:
        cursor = parsed.walk()
        up: Node | None = None
        top: Node | None = None
        while True:
            raw = cursor.node
            assert raw is not None
            kind = raw.type
            node = Node(kind, cursor.field_name, raw.is_named, place(raw.start_byte), place(raw.end_byte), up)
            if kind == "ERROR" or (node.start == node.end and raw.is_missing):
                self.errors += 1
            if up is None:
                top = node
            else:
                up.children.append(node)
            if cursor.goto_first_child():
                up = node
                continue
            while not cursor.goto_next_sibling():
                if not cursor.goto_parent():
                    assert top is not None
                    return top
                assert up is not None
                up = up.parent


def _characters(text: str, size: int) -> Callable[[int], int]:
    """From byte offsets, of which there are `size`, to character offsets."""
    if size == len(text):
        return int
    places: list[int] = []
    for index, letter in enumerate(text):
        code = ord(letter)
        width = 1 if code < 0x80 or 0xD800 <= code <= 0xDFFF else 2 if code < 0x800 else 3 if code < 0x10000 else 4
        places += [index] * width
    places.append(len(text))
    return places.__getitem__
