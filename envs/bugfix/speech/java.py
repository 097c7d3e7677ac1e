"""Java."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import tree_sitter
import tree_sitter_java

from .grammar import TOKENS, Binding, Grammar, pairs
from .tree import Node, Tree

_METHODS = frozenset({"method_declaration", "constructor_declaration", "compact_constructor_declaration"})
_TYPES = frozenset({"class_declaration", "interface_declaration", "enum_declaration", "record_declaration"})
_BODIES = frozenset({"class_body", "enum_body_declarations", "interface_body"})
_SCOPES = frozenset(
    {"block", "for_statement", "enhanced_for_statement", "lambda_expression", "catch_clause"}
) | frozenset({"constructor_body", "try_with_resources_statement", "switch_block_statement_group"})
_NUMBERS = frozenset({"byte", "short", "int", "long", "float", "double", "char"})


@lru_cache(maxsize=1)
def language() -> tree_sitter.Language:
    """The grammar."""
    return tree_sitter.Language(tree_sitter_java.language())


def definer(tree: Tree, node: Node) -> str | None:
    name = node.get("name")
    return tree.of(name) if name is not None else None


def owner(tree: Tree, node: Node) -> str | None:
    name = node.get("name") if node.kind in _TYPES else None
    return tree.of(name) if name is not None else None


def _modifiers(tree: Tree, node: Node) -> set[str]:
    found = node.of_kind("modifiers")
    return {child.kind for child in found.children} if found is not None else set()


def public(tree: Tree, node: Node, name: str) -> bool:
    """Declared public, or a member of an interface that is not private."""
    modifiers = _modifiers(tree, node)
    in_interface = node.parent is not None and node.parent.kind == "interface_body"
    return "public" in modifiers or (in_interface and "private" not in modifiers)


def binder(tree: Tree, function: Node) -> Iterator[Binding]:
    """Fields of the class, parameters, and variables from their declaration to the end of their block."""
    if function.kind == "method_declaration":
        yield from _fields(tree, function)
    stack: list[tuple[Node, int]] = [(function, function.end)]
    while stack:
        node, end = stack.pop()
        if node.kind in _SCOPES:
            end = node.end
        kind, name, body = node.get("type"), node.get("name"), node.get("body")
        if (
            node.kind in ("formal_parameter", "enhanced_for_statement", "resource")
            and kind is not None
            and name is not None
        ):
            start = body.start if body is not None else function.start if node.kind == "formal_parameter" else node.end
            yield Binding(tree.of(name), tree.of(kind), start, end)
        elif node.kind == "local_variable_declaration" and kind is not None:
            yield from _declared(tree, node, tree.of(kind), end)
        stack += [(child, end) for child in reversed(node.children) if child.children]


def _declared(tree: Tree, node: Node, kind: str, end: int) -> Iterator[Binding]:
    for declarator in node.all("declarator"):
        name = declarator.get("name")
        if name is not None:
            array = "[]" if declarator.get("dimensions") is not None else ""
            known = "" if kind == "var" else kind + array
            yield Binding(tree.of(name), known if declarator.get("value") else "?", declarator.end, end)


def _fields(tree: Tree, function: Node) -> Iterator[Binding]:
    body = function.parent
    static = "static" in _modifiers(tree, function)
    for node in body.children if body is not None and body.kind in _BODIES else []:
        kind = node.get("type") if node.kind == "field_declaration" else None
        if kind is None or (static and "static" not in _modifiers(tree, node)):
            continue
        for declarator in node.all("declarator"):
            name = declarator.get("name")
            if name is not None and declarator.get("dimensions") is None:
                yield Binding(tree.of(name), tree.of(kind), 0, function.end)


def emptier(tree: Tree, function: Node) -> str:
    """A return of the zero of the type; a constructor keeps its call of another."""
    body, kind = function.get("body"), function.get("type")
    assert body is not None
    if function.kind != "method_declaration" or kind is None:
        first = body.inner[0] if body.inner else None
        if first is not None and first.kind == "explicit_constructor_invocation":
            return (
                f"{{ {tree.of(first)} }}"
                if tree.of(first).startswith("this")
                else _unset(tree, function, tree.of(first))
            )
        return _unset(tree, function, "")
    return "{ }" if tree.of(kind) == "void" else f"{{ return {_zero(tree.of(kind))}; }}"


def _zero(kind: str) -> str:
    return "false" if kind == "boolean" else "0" if kind in _NUMBERS else "null"


def _unset(tree: Tree, function: Node, first: str) -> str:
    """The body of a constructor that does nothing; final fields must be given something."""
    body = function.parent
    statements = [first] if first else []
    if function.kind == "constructor_declaration":
        for node in body.children if body is not None else []:
            kind, modifiers = node.get("type"), _modifiers(tree, node)
            if node.kind != "field_declaration" or kind is None or "final" not in modifiers or "static" in modifiers:
                continue
            for declarator in node.all("declarator"):
                name = declarator.get("name")
                if name is not None and declarator.get("value") is None:
                    statements.append(f"this.{tree.of(name)} = {_zero(tree.of(kind))};")
    return " ".join(["{", *statements, "}"])


def fixed(tree: Tree) -> frozenset[str]:
    """The names of final fields and variables."""
    found = set()
    for node in tree.root.walk():
        if node.kind in ("field_declaration", "local_variable_declaration") and "final" in _modifiers(tree, node):
            found |= {tree.of(name) for part in node.all("declarator") if (name := part.get("name")) is not None}
    return frozenset(found)


def members(tree: Tree) -> Mapping[str, Sequence[str]]:
    """The fields of one class that have one type, by each of them; none that two classes have."""
    groups: dict[str, list[str]] = {}
    for node in tree.root.walk():
        if node.kind not in _BODIES:
            continue
        alike: dict[str, list[str]] = {}
        for item in node.children:
            kind = item.get("type") if item.kind == "field_declaration" else None
            names = [tree.of(name) for part in item.all("declarator") if (name := part.get("name")) is not None]
            if kind is not None:
                alike.setdefault(tree.of(kind), []).extend(names)
        for same in alike.values():
            for name_text in same:
                groups[name_text] = [] if name_text in groups else same
    return groups


_TWINS = pairs(
    "min/max floor/ceil indexOf/lastIndexOf startsWith/endsWith addFirst/addLast toLowerCase/toUpperCase "
    "getFirst/getLast removeFirst/removeLast peekFirst/peekLast pollFirst/pollLast offerFirst/offerLast "
    "firstKey/lastKey firstEntry/lastEntry headMap/tailMap headSet/tailSet floorKey/ceilingKey "
    "floorEntry/ceilingEntry higherKey/lowerKey higherEntry/lowerEntry isBefore/isAfter plusDays/minusDays "
    "plus/minus add/subtract multiply/divide before/after anyMatch/allMatch containsKey/containsValue "
    "equals/equalsIgnoreCase trim/stripLeading first/last stripLeading/stripTrailing isLetter/isLetterOrDigit "
    "isDigit/isLetterOrDigit higher/lower isUpperCase/isLowerCase put/putIfAbsent compareTo/compareToIgnoreCase "
    "ceiling/floor isWhitespace/isSpaceChar replaceAll/replaceFirst naturalOrder/reverseOrder "
    "plusMonths/minusMonths plusSeconds/minusSeconds descendingMap/headMap"
)
_TWINS.pop("add")

JAVA = Grammar(
    name="java",
    suffixes=(".java",),
    language=language,
    definer=definer,
    owner=owner,
    binder=binder,
    public=public,
    emptier=emptier,
    typed=True,
    every_path_returns=True,
    skipped=frozenset(
        {"string_literal", "character_literal", "import_declaration", "throw_statement", "assert_statement"}
    )
    | {"marker_annotation", "annotation", "type_arguments", "generic_type", "scoped_type_identifier", "switch_label"}
    | {"explicit_constructor_invocation", "method_reference", "array_type", "integral_type", "type_identifier"}
    | {"class_literal", "record_declaration", "enum_declaration", "interface_declaration"},
    texts=frozenset({"string_literal", "array_initializer", "character_literal"}),
    comments=frozenset({"line_comment", "block_comment"}),
    tokens={**TOKENS, ">>>": (("bitwise", ">>"),)},
    numbers=frozenset({"decimal_integer_literal"}),
    nulls=frozenset({"null_literal"}),
    members={"field_access": "field"},
    subscripts=frozenset({"array_access"}),
    calls=frozenset({"method_invocation", "object_creation_expression"}),
    twins=_TWINS,
    wrappers=dict.fromkeys(("Math.floor", "Math.ceil", "Math.rint"), "division")
    | {"Math.abs": "function", "Objects.requireNonNull": "null-check", "List.copyOf": "alias", "Set.copyOf": "alias"}
    | {"Map.copyOf": "alias", "Collections.unmodifiableList": "alias", "Collections.unmodifiableMap": "alias"}
    | {"Character.toLowerCase": "case", "Character.toUpperCase": "case"},
    tails=dict.fromkeys(("trim", "strip", "sorted", "distinct", "reversed", "negate", "abs"), "function")
    | {"toLowerCase": "case", "toUpperCase": "case", "clone": "alias"},
    casts=frozenset({"cast_expression"}),
    cast_types=frozenset({"double", "float", "long"}),
    no_swap=frozenset({"min", "max", "printf", "format", "of", "asList"}),
    loggers=frozenset({"System.out", "System.err", "log", "logger", "LOG", "LOGGER", "Log"}),
    text_names=frozenset(
        {"toString", "substring", "trim", "format", "valueOf", "join", "getName", "name", "toLowerCase"}
    )
    | {"toUpperCase", "strip", "replace", "repeat", "concat", "getMessage", "getSimpleName", "nextLine", "readLine"}
    | {
        "toHexString",
        "toBinaryString",
        "replaceAll",
        "getValue",
        "getKey",
        "lineSeparator",
        "getProperty",
        "quote",
        "get",
    },
    text_types=frozenset({"String", "CharSequence", "Object", "StringBuilder", "T", "E", "K", "V"}),
    blocks=frozenset({"block", "constructor_body"}),
    updates=frozenset({"update_expression"}),
    loops=frozenset({"for_statement", "enhanced_for_statement", "while_statement"}),
    counted=frozenset({"for_statement", "enhanced_for_statement"}),
    breakables=frozenset({"for_statement", "enhanced_for_statement", "while_statement", "do_statement"})
    | {"switch_expression", "switch_statement"},
    cases=frozenset({"switch_block_statement_group"}),
    exits=frozenset(
        {"return_statement", "throw_statement", "continue_statement", "break_statement", "yield_statement"}
    ),
    functions=_METHODS,
    closures=frozenset({"lambda_expression", "class_body"}),
    parameters=frozenset({"formal_parameters"}),
    record_fields=members,
    fixed=fixed,
)
