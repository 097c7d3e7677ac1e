"""Go."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import tree_sitter
import tree_sitter_go

from .grammar import TOKENS, Binding, Grammar, pairs
from .tree import Node, Tree

_SCOPES = frozenset(
    {"block", "for_statement", "if_statement", "expression_switch_statement", "func_literal"}
) | frozenset(
    {
        "expression_case",
        "default_case",
        "communication_case",
        "type_case",
        "type_switch_statement",
        "function_declaration",
    }
)
_LITERALS = {"int_literal": "int", "interpreted_string_literal": "string", "raw_string_literal": "string"} | {
    "true": "bool", "false": "bool", "float_literal": "float64", "rune_literal": "rune",
}  # fmt: skip
_GIVES = {"len": "int", "cap": "int", "string": "string", "int": "int", "int64": "int64", "float64": "float64"} | {
    "rune": "rune", "byte": "byte", "uint": "uint", "uint64": "uint64", "copy": "int", "int32": "int32",
}  # fmt: skip


@lru_cache(maxsize=1)
def language() -> tree_sitter.Language:
    """The grammar."""
    return tree_sitter.Language(tree_sitter_go.language())


def definer(tree: Tree, node: Node) -> str | None:
    """`F`, or `Type.M` for a method."""
    name = node.get("name")
    if name is None:
        return None
    receiver = node.get("receiver")
    kind = (
        next((part for part in receiver.walk() if part.kind == "type_identifier"), None)
        if receiver is not None
        else None
    )
    return f"{tree.of(kind)}.{tree.of(name)}" if kind is not None else tree.of(name)


def public(tree: Tree, node: Node, name: str) -> bool:
    """Every part of the name begins with a capital."""
    return all(part[:1].isupper() for part in name.split("."))


def binder(tree: Tree, function: Node) -> Iterator[Binding]:
    """Parameters, results and variables; the types of short declarations where their values tell."""
    stack: list[tuple[Node, int]] = [(function, function.end)]
    while stack:
        node, end = stack.pop()
        if node.kind in _SCOPES:
            end = node.end
        yield from _bound(tree, node, function, end)
        stack += [(child, end) for child in reversed(node.children) if child.children]


def _bound(tree: Tree, node: Node, function: Node, end: int) -> Iterator[Binding]:
    if node.kind in ("parameter_declaration", "variadic_parameter_declaration", "var_spec"):
        kind = node.get("type")
        text = tree.of(kind) if kind is not None else ""
        known = f"[]{text}" if node.kind.startswith("variadic") else text
        mine = node.parent is not None and node.parent.parent is function
        for name in node.all("name"):
            yield Binding(tree.of(name), known, function.start if mine and node.kind != "var_spec" else node.end, end)
    elif node.kind == "short_var_declaration":
        left, right = node.get("left"), node.get("right")
        names = left.inner if left is not None else []
        values = right.inner if right is not None else []
        for index, name in enumerate(names):
            known = _type(tree, values[index]) if len(values) == len(names) else ""
            if tree.of(name) != "_":
                yield Binding(tree.of(name), known, node.end, end)
    elif node.kind == "range_clause" and node.parent is not None:
        left, body = node.get("left"), node.parent.get("body")
        if body is not None and any(child.kind == ":=" for child in node.children):
            for name in left.inner if left is not None else []:
                if tree.of(name) != "_":
                    yield Binding(tree.of(name), "", body.start, end)


def _type(tree: Tree, value: Node) -> str:
    if value.kind in _LITERALS:
        return _LITERALS[value.kind]
    if value.kind == "call_expression":
        function, arguments = value.get("function"), value.get("arguments")
        name = tree.of(function) if function is not None else ""
        if name == "make" and arguments is not None and arguments.inner:
            return tree.of(arguments.inner[0])
        return _GIVES.get(name, "")
    if value.kind == "composite_literal" and (kind := value.get("type")) is not None:
        return tree.of(kind)
    if value.kind == "binary_expression" and (left := value.get("left")) is not None:
        return _type(tree, left) if left.kind in ("int_literal", "call_expression", "float_literal") else ""
    return ""


def imports(tree: Tree) -> frozenset[str]:
    """The names under which packages are imported."""
    found = set()
    for node in tree.root.walk(frozenset({"function_declaration", "method_declaration"})):
        if node.kind == "import_spec":
            name, path = node.get("name"), node.get("path")
            text = tree.of(path).strip('"`') if path is not None else ""
            last = [part for part in text.split("/") if not re.fullmatch(r"v[0-9]+", part)] or [text]
            found.add(tree.of(name) if name is not None else re.sub(r"^go-|\.v[0-9]+$|-go$", "", last[-1]))
    return frozenset(found)


def emptier(tree: Tree, function: Node) -> str:
    """A return of zeros. What follows it is kept where a package would else be imported for nothing."""
    body, result = function.get("body"), function.get("result")
    assert body is not None
    types: list[str] = []
    named = False
    if result is not None and result.kind == "parameter_list":
        for part in result.inner:
            kind, names = part.get("type"), part.all("name")
            named = named or bool(names)
            types += [tree.of(kind)] * max(1, len(names)) if kind is not None else []
    elif result is not None:
        types = [tree.of(result)]
    zeros = "" if named else ", ".join(f"*new({kind})" for kind in types)
    statement = f"return {zeros}".rstrip()
    packages = imports(tree)
    inside = {tree.of(part) for part in body.walk() if part.kind in ("identifier", "package_identifier")} & packages
    text = tree.text[: body.start] + tree.text[body.end :]
    lonely = any(len(re.findall(rf"\b{re.escape(name)}\.", text)) == 0 for name in inside)
    if not lonely:
        return f"{{\n\t{statement}\n}}"
    return f"{{\n\t{statement}\n{tree.of(body)[1:].lstrip(chr(10))}" if statement != "return" else _kept(tree, body)


def _kept(tree: Tree, body: Node) -> str:
    return f"{{\n\tif true {{\n\t\treturn\n\t}}\n{tree.of(body)[1:].lstrip(chr(10))}"


def members(tree: Tree) -> Mapping[str, Sequence[str]]:
    """The fields of one struct that have one type, by each of them; none that two structs have."""
    groups: dict[str, list[str]] = {}
    for node in tree.root.walk():
        if node.kind != "field_declaration_list":
            continue
        alike: dict[str, list[str]] = {}
        for item in node.inner:
            kind = item.get("type")
            if kind is not None:
                alike.setdefault(tree.of(kind), []).extend(tree.of(name) for name in item.all("name"))
        for names in alike.values():
            for name_text in names:
                groups[name_text] = [] if name_text in groups else names
    return groups


_TWINS = pairs(
    "Min/Max min/max Floor/Ceil Index/LastIndex HasPrefix/HasSuffix ToLower/ToUpper TrimLeft/TrimRight "
    "TrimPrefix/TrimSuffix Before/After Push/Pop PushFront/PushBack Front/Back IndexByte/LastIndexByte "
    "IsUpper/IsLower Next/Prev IsLetter/IsDigit Lock/RLock Unlock/RUnlock Contains/HasPrefix Split/SplitAfter "
    "Round/Trunc IndexAny/LastIndexAny RLock/Lock Hours/Minutes InsertBefore/InsertAfter"
)
for _unlike in ("Push", "Pop", "Lock", "Unlock", "RLock", "RUnlock"):
    del _TWINS[_unlike]

GO = Grammar(
    name="go",
    suffixes=(".go",),
    language=language,
    definer=definer,
    owner=lambda tree, node: None,
    binder=binder,
    public=public,
    emptier=emptier,
    typed=True,
    unused_is_error=True,
    every_path_returns=True,
    skipped=frozenset({"interpreted_string_literal", "raw_string_literal", "rune_literal", "import_declaration"})
    | {"type_declaration", "pointer_type", "slice_type", "map_type", "array_type", "function_type", "channel_type"}
    | {"type_identifier", "qualified_type", "struct_type", "interface_type", "type_arguments", "const_declaration"},
    texts=frozenset({"interpreted_string_literal", "raw_string_literal"}),
    binaries=frozenset({"binary_expression", "assignment_statement"}),
    tokens={**TOKENS, "&^": (("bitwise", "&"),)},
    numbers=frozenset({"int_literal"}),
    nulls=frozenset({"nil"}),
    members={"selector_expression": "field"},
    subscripts=frozenset({"index_expression"}),
    slices=frozenset({"slice_expression"}),
    twins=_TWINS,
    wrappers=dict.fromkeys(("math.Floor", "math.Ceil", "math.Round", "math.Trunc"), "division")
    | {"math.Abs": "function", "strings.TrimSpace": "function", "strings.ToLower": "case", "strings.ToUpper": "case"},
    no_swap=frozenset({"min", "max", "Printf", "Sprintf", "Errorf", "append", "make", "Fatalf"}),
    loggers=frozenset({"fmt.Print", "fmt.Println", "fmt.Printf", "log", "logger", "panic", "errors", "fmt.Errorf"}),
    text_names=frozenset({"string", "Sprintf", "Sprint", "String", "Join", "Error", "ToLower", "ToUpper", "TrimSpace"})
    | {"Repeat", "Replace", "ReplaceAll", "Itoa", "Quote", "FormatInt", "TrimLeft", "TrimRight", "Name", "Trim"},
    text_types=frozenset({"string"}),
    blocks=frozenset({"statement_list"}),
    effects=frozenset({"expression_statement"}),
    updates=frozenset({"inc_statement", "dec_statement"}),
    assignments=frozenset({"assignment_statement"}),
    loops=frozenset({"for_statement"}),
    counted=frozenset({"for_statement"}),
    breakables=frozenset({"for_statement", "expression_switch_statement", "select_statement", "type_switch_statement"}),
    cases=frozenset(),
    exits=frozenset({"return_statement", "continue_statement", "break_statement", "goto_statement"}),
    functions=frozenset({"function_declaration", "method_declaration"}),
    parameters=frozenset({"parameter_list"}),
    record_fields=members,
    imports=imports,
)
