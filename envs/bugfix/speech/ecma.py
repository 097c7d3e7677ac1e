"""JavaScript, and TypeScript beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import tree_sitter
import tree_sitter_javascript
import tree_sitter_typescript

from .grammar import TOKENS, Binding, Grammar, pairs
from .python import grouped
from .tree import Node, Tree

_FUNCTIONS = frozenset(
    {"function_declaration", "generator_function_declaration", "method_definition", "arrow_function"}
    | {"function_expression", "generator_function"}
)
_EXPORTS = re.compile(r"^(module\.)?exports(\.|$)|^this\.|^self\.|^window\.|^root\.")
_SCOPES = frozenset(
    {"statement_block", "for_statement", "for_in_statement", "program", "switch_body", "class_body", "catch_clause"}
    | _FUNCTIONS
)


@lru_cache(maxsize=1)
def javascript() -> tree_sitter.Language:
    """The grammar of JavaScript, JSX included."""
    return tree_sitter.Language(tree_sitter_javascript.language())


@lru_cache(maxsize=1)
def typescript() -> tree_sitter.Language:
    """The grammar of TypeScript, without JSX."""
    return tree_sitter.Language(tree_sitter_typescript.language_typescript())


def definer(tree: Tree, node: Node) -> str | None:
    """The name of a function, or of what an anonymous one is assigned to."""
    name = node.get("name") if node.kind not in ("function_expression", "generator_function") else None
    if name is None and node.parent is not None:
        name = _receiver(node.parent, node) or node.get("name")
    return _plain(tree.of(name)) if name is not None else None


def _receiver(parent: Node, node: Node) -> Node | None:
    if parent.kind == "variable_declarator":
        name = parent.get("name")
        return name if name is not None and name.kind == "identifier" else None
    if parent.kind == "assignment_expression" and node.field == "right":
        left = parent.get("left")
        return left if left is not None and left.kind in ("identifier", "member_expression") else None
    if parent.kind in ("pair", "field_definition", "public_field_definition"):
        return parent.get("key") or parent.get("property") or parent.get("name")
    return None


def _plain(text: str) -> str:
    text = "".join(text.split()).replace(".prototype.", ".").strip("'\"`")
    return _EXPORTS.sub("", text) or "exports"


def owner(tree: Tree, node: Node) -> str | None:
    """A class, a namespace, or an object that a name is given to."""
    if node.kind in ("class_declaration", "abstract_class_declaration", "internal_module", "module"):
        name = node.get("name")
        return tree.of(name).strip("'\"") if name is not None else None
    if node.kind in ("class", "object"):
        name = (node.get("name") or _receiver(node.parent, node)) if node.parent is not None else None
        plain = _plain(tree.of(name)).removesuffix(".prototype") if name is not None else "exports"
        return plain if plain != "exports" else None
    return None


def public(tree: Tree, node: Node, name: str) -> bool:
    """Exported or a member of a class, and neither private nor with a leading underscore."""
    if any(part.startswith(("_", "#")) for part in name.split(".")):
        return False
    return not any(child.kind == "accessibility_modifier" and tree.of(child) != "public" for child in node.children)


def binder(tree: Tree, function: Node) -> Iterator[Binding]:
    """Parameters and variables, from the end of their declaration to the end of their block."""
    stack: list[tuple[Node, int]] = [(function, function.end)]
    while stack:
        node, end = stack.pop()
        if node.kind in _SCOPES and node is not function:
            end = node.end
        for name, start in _bound(node):
            yield Binding(tree.of(name), "", start, end)
        stack += [(child, end) for child in reversed(node.children) if child.children]


def _bound(node: Node) -> Iterator[tuple[Node, int]]:
    if node.kind == "formal_parameters":
        targets = [part.get("pattern") or part.get("left") or part for part in node.inner]
        yield from ((name, node.end) for target in targets for name in _names(target))
    elif node.kind == "arrow_function" and (single := node.get("parameter")) is not None:
        yield single, single.end
    elif node.kind == "variable_declarator" and (target := node.get("name")) is not None and node.get("value"):
        yield from ((name, node.end) for name in _names(target))
    elif node.kind == "for_in_statement" and (target := node.get("left")) is not None and node.get("kind"):
        yield from ((name, _body(node)) for name in _names(target))


def _body(node: Node) -> int:
    body = node.get("body")
    return body.start if body is not None else node.end


def _names(target: Node) -> Iterator[Node]:
    if target.kind == "identifier":
        yield target
    elif "pattern" in target.kind:
        for part in target.walk(frozenset({"type_annotation"})):
            if part.kind in ("identifier", "shorthand_property_identifier_pattern") and part.field not in (
                "right",
                "key",
            ):
                yield part


def emptier(tree: Tree, function: Node) -> str:
    """No statements; a function that is an expression gives undefined."""
    body = function.get("body")
    assert body is not None
    typed = function.get("return_type")
    nothing = "undefined as never" if typed is not None else "undefined"
    if body.kind != "statement_block":
        return nothing
    if (
        typed is None
        or re.search(r"\b(void|asserts)\b", tree.of(typed))
        or any(c.kind == "*" for c in function.children)
    ):
        return "{}"
    return f"{{ return {nothing}; }}"


def properties(tree: Tree) -> Mapping[str, Sequence[str]]:
    """The properties that methods of one class give `this`, by each of them."""
    return {**grouped(tree, "program", _assigned), **grouped(tree, "class_body", _assigned)}


def _assigned(tree: Tree, node: Node) -> str | None:
    if node.kind in ("required_parameter", "field_definition", "public_field_definition"):
        name = node.get("pattern") or node.get("property") or node.get("name")
        field = node.kind != "required_parameter" or node.of_kind("accessibility_modifier") is not None
        return tree.of(name).lstrip("#") if field and name is not None else None
    if node.kind != "member_expression" or node.field != "left":
        return None
    receiver, name = node.get("object"), node.get("property")
    return tree.of(name) if receiver is not None and name is not None and receiver.kind == "this" else None


_TWINS = pairs(
    "min/max floor/ceil push/unshift pop/shift some/every indexOf/lastIndexOf startsWith/endsWith "
    "toLowerCase/toUpperCase trimStart/trimEnd padStart/padEnd keys/values find/filter findIndex/findLastIndex "
    "setFullYear/setUTCFullYear getMonth/getDay getDate/getDay isFinite/isNaN slice/splice reduce/reduceRight "
    "next/return add/delete toFixed/toPrecision encodeURI/encodeURIComponent decodeURI/decodeURIComponent "
    "first/last apply/call parseInt/parseFloat resolve/reject all/race charAt/charCodeAt forEach/some "
    "setHours/setUTCHours getHours/getUTCHours test/exec match/search"
)
_SKIPPED = frozenset(
    {"string", "template_string", "regex", "import_statement", "throw_statement", "decorator", "type_annotation"}
    | {"type_arguments", "type_parameters", "interface_declaration", "type_alias_declaration", "enum_declaration"}
    | {"type_predicate_annotation", "jsx_text", "predefined_type", "type_identifier", "union_type", "object_type"}
    | {"array_type", "generic_type", "literal_type", "tuple_type", "function_type", "intersection_type"}
    | {"ambient_declaration", "lookup_type", "index_type_query", "conditional_type", "type_query"}
)

JAVASCRIPT = Grammar(
    name="javascript",
    suffixes=(".js", ".mjs", ".cjs", ".jsx"),
    language=javascript,
    definer=definer,
    owner=owner,
    binder=binder,
    public=public,
    emptier=emptier,
    skipped=_SKIPPED,
    texts=frozenset({"string", "template_string", "array"}),
    comments=frozenset({"comment", "html_comment", "hash_bang_line"}),
    tokens={
        **TOKENS,
        "===": (("negation", "!=="),),
        "!==": (("negation", "==="),),
        ">>>": (("bitwise", ">>"),),
        "&&=": (("connective", "||="),),
        "||=": (("connective", "&&="),),
        "??=": (("null-check", "="),),
        "**": (("arithmetic", "*"),),
    },
    nulls=frozenset({"null", "undefined"}),
    fallbacks=frozenset({"??", "||"}),
    safe_accesses={"optional_chain": "."},
    members={"member_expression": "property"},
    subscripts=frozenset({"subscript_expression"}),
    calls=frozenset({"call_expression"}),
    twins=_TWINS,
    wrappers=dict.fromkeys(("Math.floor", "Math.trunc", "Math.round", "Math.ceil", "parseInt"), "division")
    | dict.fromkeys(("Math.abs", "Number", "String"), "function")
    | dict.fromkeys(("Array.from", "structuredClone", "Object.freeze"), "alias"),
    tails=dict.fromkeys(("trim", "trimEnd", "trimStart", "reverse", "sort", "flat"), "function")
    | {"toLowerCase": "case", "toUpperCase": "case", "slice": "alias", "concat": "alias"},
    no_swap=frozenset({"min", "max", "log", "assert", "concat", "push"}),
    loggers=frozenset({"console", "debug", "logger", "log", "assert", "require"}),
    text_names=frozenset({"String", "join", "toString", "trim", "toLowerCase", "toUpperCase", "concat", "repeat"})
    | {"charAt", "substr", "substring", "fromCharCode", "stringify", "padStart", "padEnd"},
    functions=_FUNCTIONS,
    wraps=frozenset({"export_statement", "variable_declarator", "lexical_declaration", "variable_declaration"})
    | {"assignment_expression", "expression_statement", "pair", "field_definition", "public_field_definition"},
    record_fields=properties,
)
TYPESCRIPT = replace(JAVASCRIPT, name="typescript", suffixes=(".ts", ".mts", ".cts"), language=typescript)
