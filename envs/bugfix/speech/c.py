"""C, and C++ beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import tree_sitter
import tree_sitter_c
import tree_sitter_cpp

from .grammar import TOKENS, Binding, Grammar, pairs
from .tree import Node, Tree

_DECLARATORS = frozenset(
    {"pointer_declarator", "array_declarator", "function_declarator", "init_declarator", "parenthesized_declarator"}
    | {"reference_declarator", "attributed_declarator"}
)
_SCOPES = frozenset({"compound_statement", "for_statement", "for_range_loop", "lambda_expression", "catch_clause"})
_QUALIFIERS = re.compile(r"\b(const|volatile|static|inline|extern|register|constexpr|virtual|restrict|explicit)\b")


@lru_cache(maxsize=1)
def c_language() -> tree_sitter.Language:
    """The grammar of C."""
    return tree_sitter.Language(tree_sitter_c.language())


@lru_cache(maxsize=1)
def cpp_language() -> tree_sitter.Language:
    """The grammar of C++."""
    return tree_sitter.Language(tree_sitter_cpp.language())


def declared(declarator: Node | None) -> Node | None:
    """The name in a declarator, however many stars, brackets and parentheses stand around it."""
    while declarator is not None and declarator.kind in _DECLARATORS:
        inner = declarator.get("declarator")
        declarator = inner if inner is not None else next((part for part in declarator.inner if _names(part)), None)
    return declarator


def _names(node: Node) -> bool:
    return node.kind in _DECLARATORS or "identifier" in node.kind


def definer(tree: Tree, node: Node) -> str | None:
    name = declared(node.get("declarator"))
    if name is None or node.kind != "function_definition":
        return None
    text = re.sub(r"<[^<>]*>", "", "".join(tree.of(name).split()))
    parts = [part for part in text.split("::") if part]
    return ".".join(parts[-2:]) if parts and _is_method(node) is False else ".".join(parts[-1:]) or None


def _is_method(node: Node) -> bool:
    return node.parent is not None and node.parent.kind == "field_declaration_list"


def owner(tree: Tree, node: Node) -> str | None:
    name = node.get("name") if node.kind in ("class_specifier", "struct_specifier", "union_specifier") else None
    return re.sub(r"<.*>", "", tree.of(name)) if name is not None and node.get("body") is not None else None


def public(tree: Tree, node: Node, name: str) -> bool:
    """Neither static in its file nor private or protected in its class, without a leading underscore."""
    if name.rpartition(".")[2].startswith("_"):
        return False
    if not _is_method(node):
        return not any(
            child.kind == "storage_class_specifier" and tree.of(child) == "static" for child in node.children
        )
    body = node.parent
    access = "private" if body is not None and body.parent is not None and body.parent.kind == "class_specifier" else ""
    for sibling in body.children if body is not None else []:
        if sibling is node:
            break
        if sibling.kind == "access_specifier":
            access = tree.of(sibling).strip(": ")
    return access in ("", "public")


def type_of(tree: Tree, node: Node, declarator: Node | None) -> str:
    """The type that a declaration gives one declarator, in one spelling."""
    kind = node.get("type")
    text = " ".join(_QUALIFIERS.sub(" ", tree.of(kind)).split()) if kind is not None else ""
    while declarator is not None and declarator.kind in _DECLARATORS:
        text += "*" if declarator.kind in ("pointer_declarator", "array_declarator") else ""
        text += "()" if declarator.kind == "function_declarator" else ""
        declarator = declarator.get("declarator") or (declarator.inner[-1] if declarator.inner else None)
    return "" if text.startswith("auto") else text


def binder(tree: Tree, function: Node) -> Iterator[Binding]:
    """Parameters, and variables from their declaration to the end of their block."""
    stack: list[tuple[Node, int]] = [(function, function.end)]
    while stack:
        node, end = stack.pop()
        if node.kind in _SCOPES:
            end = node.end
        if node.kind in ("parameter_declaration", "optional_parameter_declaration", "for_range_loop"):
            declarators = [node.get("declarator")]
        elif node.kind == "declaration":
            declarators = [child for child in node.children if child.field == "declarator"]
        else:
            declarators = []
        for declarator in declarators:
            name = declared(declarator)
            if declarator is not None and name is not None and name.kind == "identifier":
                body = node.get("body")
                start = body.start if body is not None else declarator.end
                yield Binding(tree.of(name), type_of(tree, node, declarator), start, end)
        stack += [(child, end) for child in reversed(node.children) if child.children]


def emptier(tree: Tree, function: Node) -> str:
    """A return of zero in the type of the function; C++ throws where a type has no zero."""
    declarator = function.get("declarator")
    kind = type_of(tree, function, declarator).replace("()", "")
    reference = any(part.kind == "reference_declarator" and part.parent is function for part in function.children)
    name = declared(declarator)
    if kind == "void" or (name is not None and name.kind == "destructor_name") or function.get("type") is None:
        return "{}"
    if tree.language is cpp_language():
        return "{ throw 0; }" if reference or not kind or "decltype" in kind else "{ return {}; }"
    simple = kind.endswith("*") or re.fullmatch(
        r"((un)?signed|int|char|long|short|float|double|_?[Bb]ool|size_t|\w+_t| )+", kind
    )
    return "{ return 0; }" if simple else f"{{ return ({kind}){{0}}; }}"


def members(tree: Tree) -> Mapping[str, Sequence[str]]:
    """The fields of one struct that have one type, by each of them; none that two structs have."""
    groups: dict[str, list[str]] = {}
    for node in tree.root.walk():
        if node.kind != "field_declaration_list":
            continue
        alike: dict[str, list[str]] = {}
        for item in node.inner:
            for declarator in item.children:
                name = declared(declarator) if declarator.field == "declarator" else None
                if name is not None and item.kind == "field_declaration":
                    alike.setdefault(type_of(tree, item, declarator), []).append(tree.of(name))
        for names in alike.values():
            for name_text in names:
                groups[name_text] = [] if name_text in groups else names
    return groups


_C_TWINS = pairs(
    "isupper/islower toupper/tolower strchr/strrchr isalpha/isalnum isdigit/isxdigit isspace/isblank floor/ceil "
    "fmin/fmax min/max MIN/MAX strtol/strtoll strspn/strcspn strcmp/strcasecmp strncmp/strncasecmp sin/cos "
    "memcpy/memmove ntohs/htons ntohl/htonl fminf/fmaxf floorf/ceilf strcpy/strcat push/pop"
)
_CPP_TWINS = pairs(
    "front/back lower_bound/upper_bound any_of/all_of min_element/max_element find_first_of/find_last_of "
    "find_first_not_of/find_last_not_of sort/stable_sort begin/rbegin"
)
_NUMERIC = (
    "double",
    "float",
    "long",
    "long double",
    "unsigned",
    "unsigned int",
    "unsigned long",
    "long long",
    "size_t",
)


C = Grammar(
    name="c",
    suffixes=(".c", ".h"),
    language=c_language,
    definer=definer,
    owner=lambda tree, node: None,
    binder=binder,
    public=public,
    emptier=emptier,
    typed=True,
    skipped=frozenset({"string_literal", "concatenated_string", "char_literal", "raw_string_literal", "preproc_def"})
    | {
        "preproc_include",
        "preproc_function_def",
        "preproc_call",
        "sizeof_expression",
        "type_descriptor",
        "gnu_asm_expression",
    }
    | {
        "primitive_type",
        "type_identifier",
        "sized_type_specifier",
        "enum_specifier",
        "attribute_specifier",
        "alignof_expression",
    }
    | {
        "throw_statement",
        "static_assert_declaration",
        "template_argument_list",
        "struct_specifier",
        "offsetof_expression",
    }
    | {"noexcept", "decltype", "goto_statement", "user_defined_literal", "preproc_defined", "array_declarator"},
    texts=frozenset(
        {"string_literal", "concatenated_string", "raw_string_literal", "initializer_list", "pointer_expression"}
    ),
    binaries=frozenset({"binary_expression", "assignment_expression"}),
    numbers=frozenset({"number_literal"}),
    fallbacks=frozenset(),
    identifiers=frozenset({"identifier"}),
    members={"field_expression": "field"},
    subscripts=frozenset({"subscript_expression"}),
    twins=_C_TWINS,
    wrappers=dict.fromkeys(("floor", "ceil", "round", "trunc", "lround"), "division")
    | dict.fromkeys(("abs", "labs", "fabs", "tolower", "toupper"), "function"),
    casts=frozenset({"cast_expression"}),
    cast_types=frozenset(_NUMERIC) | {"unsigned char", "uint32_t", "uint64_t", "int64_t", "uint8_t", "uint16_t"},
    no_swap=frozenset({"min", "max", "MIN", "MAX", "assert", "printf", "fprintf", "snprintf", "sprintf"}),
    loggers=frozenset(
        {"printf", "fprintf", "puts", "perror", "assert", "log", "LOG", "DEBUG", "debug", "std::cout", "syslog"}
    ),
    text_names=frozenset(
        {"strdup", "strchr", "strstr", "malloc", "calloc", "c_str", "str", "to_string", "substr", "begin", "end"}
    ),
    text_types=frozenset({"std::string", "string", "std::string_view", "string_view", "std::wstring", "String"}),
    blocks=frozenset({"compound_statement"}),
    updates=frozenset({"update_expression"}),
    loops=frozenset({"for_statement", "while_statement", "for_range_loop"}),
    counted=frozenset({"for_statement", "for_range_loop"}),
    breakables=frozenset({"for_statement", "while_statement", "for_range_loop", "do_statement", "switch_statement"}),
    cases=frozenset({"case_statement"}),
    exits=frozenset({"return_statement", "throw_statement", "continue_statement", "break_statement", "goto_statement"}),
    functions=frozenset({"function_definition"}),
    wraps=frozenset({"template_declaration", "linkage_specification"}),
    record_fields=members,
)
CPP = replace(
    C,
    name="cpp",
    suffixes=(".cpp", ".cc", ".cxx", ".hpp", ".hh", ".hxx", ".ipp", ".tpp", ".C"),
    language=cpp_language,
    owner=owner,
    tokens={token: edits for token, edits in TOKENS.items() if token not in ("<<", ">>")},
    twins={**_C_TWINS, **_CPP_TWINS},
    wrappers={**C.wrappers}
    | dict.fromkeys(("std::floor", "std::ceil", "std::round", "static_cast<double>", "static_cast<float>"), "division")
    | dict.fromkeys(("std::abs", "std::tolower", "std::toupper"), "function"),
)
