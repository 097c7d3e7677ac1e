"""Python."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import tree_sitter
import tree_sitter_python

from .grammar import TOKENS, Binding, Edit, Grammar, pairs
from .tree import Node, Tree

_SCOPES = frozenset(
    {"list_comprehension", "set_comprehension", "dictionary_comprehension", "generator_expression", "lambda"}
    | {"function_definition", "class_definition"}
)
_TARGETS = frozenset({"identifier", "tuple_pattern", "list_pattern", "pattern_list", "list_splat_pattern"})
_PARAMETERS = frozenset({"default_parameter", "typed_parameter", "typed_default_parameter"})
_SPLATS = frozenset({"list_splat_pattern", "dictionary_splat_pattern"})


@lru_cache(maxsize=1)
def language() -> tree_sitter.Language:
    """The grammar."""
    return tree_sitter.Language(tree_sitter_python.language())


def definer(tree: Tree, node: Node) -> str | None:
    name = node.get("name")
    return tree.of(name) if name is not None else None


def owner(tree: Tree, node: Node) -> str | None:
    name = node.get("name") if node.kind == "class_definition" else None
    return tree.of(name) if name is not None else None


def public(tree: Tree, node: Node, name: str) -> bool:
    """Neither the function nor its class begins with an underscore; `__init__` and its like do."""
    return not any(part.startswith("_") for part in name.split("."))


def binder(tree: Tree, function: Node) -> Iterator[Binding]:
    """Parameters, and names from the line after their first binding on; none of comprehensions, nor `self`."""
    parameters, body = function.get("parameters"), function.get("body")
    for parameter in parameters.inner if parameters is not None else []:
        name = _parameter(parameter)
        if name is not None and tree.of(name) not in ("self", "cls"):
            yield Binding(tree.of(name), "", function.start, function.end)
    seen: set[str] = set()
    stack = [body] if body is not None else []
    while stack:
        node = stack.pop()
        if node.kind in _SCOPES:
            continue
        for target in _targets(node):
            name_text = tree.of(target)
            if name_text not in seen:
                seen.add(name_text)
                end = tree.text.find("\n", node.end if node.kind == "assignment" else target.end)
                yield Binding(name_text, "", end if end >= 0 else function.end, function.end)
        stack += reversed(node.children)


def _parameter(node: Node) -> Node | None:
    if node.kind == "identifier":
        return node
    if node.kind in _PARAMETERS:
        return node.get("name") or node.of_kind("identifier")
    return node.of_kind("identifier") if node.kind in _SPLATS else None


def _targets(node: Node) -> Iterator[Node]:
    if node.kind in ("assignment", "for_statement"):
        target = node.get("left")
    elif node.kind == "named_expression":
        target = node.get("name")
    else:
        target = node.children[0] if node.kind == "as_pattern_target" and node.children else None
    if target is not None and target.kind in _TARGETS:
        yield from (part for part in target.walk() if part.kind == "identifier")


def emptier(tree: Tree, function: Node) -> str:
    """`return None`, behind the documentation."""
    body = function.get("body")
    assert body is not None
    first = body.inner[0] if body.inner else None
    if first is not None and first.kind == "expression_statement" and first.inner[0].kind == "string":
        indent = tree.indent(first) if not tree.indent(first).strip() else "    "
        return f"{tree.of(first)}\n{indent}return None"
    return "return None"


def attributes(tree: Tree) -> Mapping[str, Sequence[str]]:
    """The attributes that methods of one class give `self`, by each of them."""
    return grouped(tree, "class_definition", _assigned)


def _assigned(tree: Tree, node: Node) -> str | None:
    if node.kind != "attribute" or node.field != "left":
        return None
    receiver, name = node.get("object"), node.get("attribute")
    return tree.of(name) if receiver is not None and name is not None and tree.of(receiver) == "self" else None


def grouped(tree: Tree, kind: str, field_of: object) -> Mapping[str, Sequence[str]]:
    """Names that `field_of` finds, grouped by the node of `kind` that they lie in; a name of two groups in neither."""
    assert callable(field_of)
    groups: dict[str, list[str]] = {}
    for node in tree.root.walk():
        if node.kind == kind:
            names = list(dict.fromkeys(name for part in node.walk() if (name := field_of(tree, part))))
            for name in names:
                groups[name] = [] if name in groups else names
    return groups


def ranges(tree: Tree, node: Node) -> Iterator[Edit]:
    """A `range` that ends one early or late, or begins one late; an exact division for a whole one."""
    if node.kind != "call":
        return
    callee, arguments = node.get("function"), node.get("arguments")
    if callee is None or arguments is None or tree.of(callee) != "range":
        return
    inner = arguments.inner
    if len(inner) == 1:
        yield "off-by-one", inner[0].start, inner[0].start, "1, "
    if inner and inner[min(1, len(inner) - 1)].kind in ("identifier", "call", "attribute"):
        stop = inner[min(1, len(inner) - 1)]
        yield "off-by-one", stop.start, stop.end, f"{tree.of(stop)} - 1"
        yield "off-by-one", stop.start, stop.end, f"{tree.of(stop)} + 1"


_TWINS = {
    **pairs(
        "min/max any/all floor/ceil lower/upper startswith/endswith lstrip/rstrip find/rfind partition/rpartition "
        "split/rsplit bisect_left/bisect_right ljust/rjust union/intersection keys/values search/match "
        "nlargest/nsmallest isalpha/isalnum issubset/issuperset combinations/permutations"
    ),
    "appendleft": "append",
    "popleft": "pop",
    "extendleft": "extend",
    "index": "rindex",
    "bisect": "bisect_left",
    "add": "discard",
    "update": "difference_update",
    "fullmatch": "match",
    "isdigit": "isalnum",
}

PYTHON = Grammar(
    name="python",
    suffixes=(".py",),
    language=language,
    definer=definer,
    owner=owner,
    binder=binder,
    public=public,
    emptier=emptier,
    skipped=frozenset({"string", "concatenated_string", "type", "raise_statement", "assert_statement", "decorator"})
    | {"import_statement", "import_from_statement", "except_clause_value", "global_statement", "nonlocal_statement"},
    texts=frozenset({"string", "concatenated_string", "list", "list_comprehension", "tuple"}),
    binaries=frozenset({"binary_operator", "augmented_assignment", "comparison_operator", "boolean_operator"}),
    tokens={
        **{token: edits for token, edits in TOKENS.items() if token not in ("&&", "||", "%")},
        "%": (("arithmetic", "//"),),
        "//": (("arithmetic", "%"), ("division", "/")),
        "/": (("arithmetic", "*"), ("division", "//")),
        "//=": (("arithmetic", "%="),),
        "and": (("connective", "or"),),
        "or": (("connective", "and"),),
        "is not": (("negation", "is"),),
        "not in": (("negation", "in"),),
        "is": (("negation", "is not"),),
        "in": (("negation", "not in"),),
    },
    nots=frozenset({"not_operator"}),
    negated="not {}",
    numbers=frozenset({"integer"}),
    flags={"True": "False", "False": "True"},
    nulls=frozenset({"none"}),
    fallbacks=frozenset({"or"}),
    members={"attribute": "attribute"},
    subscripts=frozenset({"subscript"}),
    slices=frozenset({"slice"}),
    calls=frozenset({"call"}),
    twins=_TWINS,
    wrappers={"list": "alias", "dict": "alias", "set": "alias", "sorted": "function", "reversed": "function"}
    | {"abs": "function", "int": "division", "round": "division", "math.floor": "division", "str": "function"}
    | {"deepcopy": "alias", "copy.deepcopy": "alias", "copy.copy": "alias", "tuple": "alias", "len": "function"},
    tails=dict.fromkeys(("strip", "rstrip", "lstrip"), "function")
    | {"lower": "case", "upper": "case"}
    | {"casefold": "case", "copy": "alias"},
    awaits=frozenset({"await"}),
    no_swap=frozenset({"isinstance", "issubclass", "min", "max", "print", "zip", "hasattr", "getattr", "super", "set"}),
    loggers=frozenset({"print", "logging", "logger", "log", "_logger", "_log", "LOGGER", "LOG", "warnings"}),
    text_names=frozenset({"str", "repr", "join", "format", "list", "tuple", "sorted", "strip", "lower", "upper"}),
    blocks=frozenset({"block"}),
    updates=frozenset({"augmented_assignment"}),
    assignments=frozenset({"assignment"}),
    loops=frozenset({"for_statement", "while_statement"}),
    counted=frozenset({"for_statement"}),
    breakables=frozenset({"for_statement", "while_statement"}),
    cases=frozenset(),
    exits=frozenset({"return_statement", "raise_statement", "continue_statement", "break_statement"}),
    functions=frozenset({"function_definition"}),
    wraps=frozenset({"decorated_definition"}),
    unmutated=frozenset({"__repr__", "__hash__", "__eq__"}),
    record_fields=attributes,
    more=(ranges,),
)
