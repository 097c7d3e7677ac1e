"""What a change newly reaches for that could forge a verdict, because it runs in one process with its tests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from .grammar import Grammar
from .tree import Node, Tree

Table = Mapping[str, str]  # what is reached for -> the facility that it is
Reach = tuple[str, str, Node]  # name, facility, place

ENDS = "ends the process"
FILES = "reads or writes files"
ENVIRONMENT = "reads or changes the environment"
LOADS = "loads or makes code"
INSPECTS = "inspects the running program"
STARTS = "starts or signals processes"
NETWORK = "uses the network"
AT_LOAD = "runs when the program is loaded"
REPLACES = "replaces what the tests rely on"
_RUNNER = re.compile(
    r"/proc/|/dev/(shm|fd)|LD_PRELOAD|sitecustomize|conftest|_pytest|\bjunit\b.*\.xml|report\.xml|/grade\b|PYTHONPATH|NODE_OPTIONS"
)


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


def table(facility: str, names: str) -> dict[str, str]:
    """The names of a text as a table of one facility."""
    return dict.fromkeys(names.split(), facility)


@dataclass(frozen=True)
class Rules:
    """The facilities of a language by syntax: `modules` that are imported (and what lies in them), `names` used by
    themselves, `members` of any value, `dotted` names, `kinds` of syntax nodes; `also` finds what no table says.
    """

    modules: Table = field(default_factory=dict)
    names: Table = field(default_factory=dict)
    members: Table = field(default_factory=dict)
    dotted: Table = field(default_factory=dict)
    kinds: Table = field(default_factory=dict)
    imported: Callable[[Tree, Node], Iterator[str]] | None = None
    also: Callable[[Tree, Node], Iterator[tuple[str, str]]] | None = None
    unnamed: frozenset[str] = frozenset({"keyword_argument"})


def refusal(before: Tree, after: Tree, grammar: Grammar, rules: Rules) -> str:
    """The first facility that `after` reaches for and `before` does not, with its line; "" where there is none."""
    known = {name for name, _, _ in _reached(before, grammar, rules)}
    for name, facility, node in _reached(after, grammar, rules):
        if name not in known:
            return f"line {after.line(node.start)} newly uses {name}, which {facility}"
    return ""


def _reached(tree: Tree, grammar: Grammar, rules: Rules) -> Iterator[Reach]:
    for node in tree.root.walk():
        if node.kind in grammar.comments:
            continue
        if node.kind in rules.kinds:
            yield node.kind.replace("_", " "), rules.kinds[node.kind], node
        if not node.children:
            if (node.named and "identifier" in node.kind) or node.kind == "name":
                yield from _named(tree, grammar, rules, node)
            elif node.named and ("content" in node.kind or "fragment" in node.kind or "string" in node.kind):
                found = _RUNNER.search(tree.text, node.start, node.end)
                if found:
                    yield repr(found[0]), INSPECTS, node
        if rules.imported is not None:
            for module in rules.imported(tree, node):
                ends = [len(module), *(found.start() for found in re.finditer(r"[./\\:]", module))]
                for name in {module[:end] for end in ends} & rules.modules.keys():
                    yield f"module {name}", rules.modules[name], node
        if rules.also is not None:
            for name, facility in rules.also(tree, node):
                yield name, facility, node


def _named(tree: Tree, grammar: Grammar, rules: Rules, node: Node) -> Iterator[Reach]:
    name, parent = tree.of(node), node.parent
    if parent is None or parent.kind == "variable_name":
        return
    if (parent.kind in grammar.members and node.field == grammar.members[parent.kind]) or _is_member(node):
        if name in rules.members:
            yield f".{name}", rules.members[name], node
        if rules.dotted:
            text = "".join(tree.text[parent.start : node.end].split())
            if text in rules.dotted:
                yield text, rules.dotted[text], node
    elif name in rules.names and not _defines(node, parent, grammar, rules) and not _is_local(tree, grammar, node):
        yield name, rules.names[name], node


def _is_local(tree: Tree, grammar: Grammar, node: Node) -> bool:
    """Whether a name is a parameter or a variable of the function that it stands in, and not the facility."""
    inside = node.above(grammar.functions)
    while inside is not None:
        for binding in grammar.binder(tree, inside):
            if binding.name == tree.of(node) and binding.start <= node.end and node.start < binding.end:
                return True
        inside = inside.above(grammar.functions)
    return False


def _is_member(node: Node) -> bool:
    parent = node.parent
    return parent is not None and (
        (parent.kind in ("method_invocation", "member_call_expression", "nullsafe_member_call_expression"))
        and node.field == "name"
        and parent.get("object") is not None
    )


def _defines(node: Node, parent: Node, grammar: Grammar, rules: Rules) -> bool:
    """Whether a name is given to something here, which does not reach for what else bears it."""
    if node.field in ("name", "key") and (parent.kind in rules.unnamed or parent.kind in grammar.functions):
        return True
    declares = node.field == "declarator" or (parent.kind == "qualified_identifier" and parent.field == "declarator")
    return parent.kind in grammar.parameters or declares
