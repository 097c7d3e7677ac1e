"""PHP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import tree_sitter
import tree_sitter_php

from .grammar import TOKENS, Binding, Grammar, pairs
from .python import grouped
from .tree import Node, Tree

_TYPES = frozenset({"class_declaration", "trait_declaration", "interface_declaration", "enum_declaration"})
_PARAMETERS = frozenset({"simple_parameter", "variadic_parameter", "property_promotion_parameter"})
_CLOSED = frozenset({"anonymous_function", "arrow_function", "anonymous_function_creation_expression"})
_ZEROS = {"int": "0", "float": "0.0", "string": "''", "array": "[]", "iterable": "[]"} | {
    "bool": "false",
    "false": "false",
    "true": "true",
    "static": "$this",
    "self": "$this",
}


@lru_cache(maxsize=1)
def language() -> tree_sitter.Language:
    """The grammar of PHP between `<?php` and `?>`, and of what stands around it."""
    return tree_sitter.Language(tree_sitter_php.language_php())


def definer(tree: Tree, node: Node) -> str | None:
    name = node.get("name")
    return tree.of(name) if name is not None else None


def owner(tree: Tree, node: Node) -> str | None:
    name = node.get("name") if node.kind in _TYPES else None
    return tree.of(name) if name is not None else None


def public(tree: Tree, node: Node, name: str) -> bool:
    """Not private or protected, without a leading underscore; the constructor and its like count as internal."""
    visibility = node.of_kind("visibility_modifier")
    return (visibility is None or tree.of(visibility) == "public") and not name.rpartition(".")[2].startswith("_")


def binder(tree: Tree, function: Node) -> Iterator[Binding]:
    """Parameters, and variables from their first assignment on; what lies in closures has a scope of its own."""
    stack = [function]
    seen: set[str] = set()
    while stack:
        node = stack.pop()
        if node.kind in _CLOSED:
            continue
        for name in _bound(node):
            text = tree.of(name)
            if text not in seen and text != "$this":
                seen.add(text)
                start = function.start if node.kind in _PARAMETERS else node.end
                yield Binding(text, "", start if node.kind != "foreach_statement" else name.end, function.end)
        stack += reversed(node.children)


def _bound(node: Node) -> list[Node]:
    if node.kind in _PARAMETERS:
        targets = [node.get("name")]
    elif node.kind == "assignment_expression":
        left = node.get("left")
        if left is not None and left.kind == "list_literal":
            return [part for part in left.walk() if part.kind == "variable_name"]
        targets = [left]
    elif node.kind == "foreach_statement":
        inner = node.inner[1:2]
        return [
            part
            for target in inner
            if target.kind in ("variable_name", "pair")
            for part in target.walk()
            if _is_name(part)
        ]
    else:
        return []
    return [target for target in targets if target is not None and target.kind == "variable_name"]


def _is_name(node: Node) -> bool:
    return node.kind == "variable_name"


def emptier(tree: Tree, function: Node) -> str:
    """A return of the zero of the declared type."""
    kind, name = function.get("return_type"), function.get("name")
    text = tree.of(kind).lower() if kind is not None else ""
    if text in ("void", "never") or (name is not None and tree.of(name) in ("__construct", "__destruct", "__clone")):
        return "{ }"
    first = next((part for part in text.split("|") if part in _ZEROS), "")
    nullable = text.startswith("?") or "null" in text.split("|") or not first
    return f"{{ return {'null' if nullable else _ZEROS[first]}; }}"


def properties(tree: Tree) -> Mapping[str, Sequence[str]]:
    """The properties that a class declares or its methods give `$this`, by each of them."""
    return grouped(tree, "declaration_list", _property)


def _property(tree: Tree, node: Node) -> str | None:
    if node.kind == "property_element":
        name = node.get("name")
        return tree.of(name).lstrip("$") if name is not None else None
    if node.kind == "member_access_expression" and node.field == "left":
        receiver, name = node.get("object"), node.get("name")
        return tree.of(name) if receiver is not None and name is not None and tree.of(receiver) == "$this" else None
    return None


_TWINS = pairs(
    "min/max floor/ceil array_push/array_unshift array_pop/array_shift strpos/strrpos strtolower/strtoupper "
    "ltrim/rtrim trim/ltrim str_starts_with/str_ends_with array_keys/array_values ksort/krsort sort/rsort "
    "asort/arsort isset/empty array_key_first/array_key_last lcfirst/ucfirst array_diff/array_intersect "
    "usort/uasort array_diff_key/array_intersect_key strcmp/strcasecmp stripos/strpos is_int/is_numeric "
    "mb_strtolower/mb_strtoupper strlen/mb_strlen substr/mb_substr reset/end current/key next/prev "
    "htmlspecialchars/htmlentities ctype_alpha/ctype_alnum ctype_upper/ctype_lower array_merge/array_replace "
    "strstr/strrchr array_filter/array_map"
)

PHP = Grammar(
    name="php",
    suffixes=(".php", ".inc"),
    language=language,
    definer=definer,
    owner=owner,
    binder=binder,
    public=public,
    emptier=emptier,
    skipped=frozenset(
        {"string", "encapsed_string", "heredoc", "nowdoc", "throw_expression", "namespace_use_declaration"}
    )
    | {"primitive_type", "named_type", "optional_type", "union_type", "attribute_list", "global_declaration", "text"}
    | {"function_static_declaration", "shell_command_expression", "include_expression", "require_expression"}
    | {"anonymous_function_use_clause", "const_declaration", "declare_statement", "include_once_expression"}
    | {"require_once_expression"},
    texts=frozenset({"string", "encapsed_string", "heredoc", "nowdoc", "array_creation_expression"}),
    binaries=frozenset({"binary_expression", "augmented_assignment_expression"}),
    tokens={
        **TOKENS,
        "===": (("negation", "!=="),),
        "!==": (("negation", "==="),),
        "and": (("connective", "or"),),
        "or": (("connective", "and"),),
        ".=": (("update", "="),),
        "**": (("arithmetic", "*"),),
        "??=": (("null-check", "="),),
    },
    nots=frozenset({"unary_op_expression"}),
    numbers=frozenset({"integer"}),
    nulls=frozenset({"null"}),
    fallbacks=frozenset({"??"}),
    safe_accesses={"?->": "->"},
    identifiers=frozenset({"variable_name"}),
    members={"member_access_expression": "name"},
    subscripts=frozenset({"subscript_expression"}),
    calls=frozenset({"function_call_expression", "member_call_expression", "scoped_call_expression"})
    | {"nullsafe_member_call_expression", "object_creation_expression"},
    twins=_TWINS,
    wrappers=dict.fromkeys(("floor", "ceil", "round", "intval"), "division")
    | dict.fromkeys(("abs", "trim", "rtrim", "ltrim", "array_reverse", "array_unique", "array_values"), "function")
    | {"strtolower": "case", "strtoupper": "case", "mb_strtolower": "case", "ucfirst": "case", "count": "function"},
    casts=frozenset({"cast_expression"}),
    cast_types=frozenset({"int", "float", "integer", "double"}),
    no_swap=frozenset({"min", "max", "compact", "sprintf", "printf", "isset", "var_dump"}),
    loggers=frozenset({"error_log", "var_dump", "print_r", "trigger_error", "assert", "$this->logger", "printf"}),
    blocks=frozenset({"compound_statement"}),
    loops=frozenset({"for_statement", "foreach_statement", "while_statement"}),
    counted=frozenset({"for_statement", "foreach_statement"}),
    breakables=frozenset({"for_statement", "foreach_statement", "while_statement", "do_statement", "switch_statement"}),
    cases=frozenset({"case_statement"}),
    exits=frozenset({"return_statement", "continue_statement", "break_statement", "exit_statement"}),
    functions=frozenset({"function_definition", "method_declaration"}),
    closures=frozenset({"anonymous_function", "arrow_function"}),
    record_fields=properties,
)
