"""What the mutations need to know of a language's grammar: tables of node kinds, tokens and names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import tree_sitter

from .tree import Node, Tree

Kinds = frozenset[str]
Edit = tuple[str, int, int, str]  # kind, start, end, new text
Tokens = Mapping[str, tuple[tuple[str, str], ...]]  # token -> (kind of mistake, new token)
NONE: Kinds = frozenset()


@dataclass(frozen=True)
class Binding:
    """A local name: its type as written ("" where unknown, "?" without a value) and where it may be used."""

    name: str
    type: str
    start: int
    end: int


# Comparisons and assignments are spelt alike in all eight languages.
TOKENS: Tokens = {
    "<": (("boundary", "<="), ("comparison", ">")),
    "<=": (("boundary", "<"), ("comparison", ">=")),
    ">": (("boundary", ">="), ("comparison", "<")),
    ">=": (("boundary", ">"), ("comparison", "<=")),
    "==": (("negation", "!="),),
    "!=": (("negation", "=="),),
    "&&": (("connective", "||"),),
    "||": (("connective", "&&"),),
    "+": (("arithmetic", "-"),),
    "-": (("arithmetic", "+"),),
    "*": (("arithmetic", "+"),),
    "/": (("arithmetic", "*"),),
    "%": (("arithmetic", "/"),),
    "+=": (("arithmetic", "-="), ("update", "=")),
    "-=": (("arithmetic", "+="), ("update", "=")),
    "*=": (("arithmetic", "+="), ("update", "=")),
    "/=": (("arithmetic", "*="),),
    "<<": (("bitwise", ">>"),),
    ">>": (("bitwise", "<<"),),
    "&": (("bitwise", "|"),),
    "|": (("bitwise", "&"),),
    "&=": (("bitwise", "|="),),
    "|=": (("bitwise", "&="), ("update", "=")),
}
# Mistakes that need numbers on both sides.
NUMERIC: Kinds = frozenset({"arithmetic", "bitwise", "comparison"})
COUNTERS: Kinds = frozenset(
    {"i", "j", "k", "idx", "index", "pos", "position", "offset", "cursor", "cur", "start", "end"}
)


def pairs(text: str) -> dict[str, str]:
    """Opposites, `one/other` each, both ways; of several for one name the first counts."""
    found: dict[str, str] = {}
    for one, _, other in (pair.partition("/") for pair in text.split()):
        found.setdefault(one, other)
        found.setdefault(other, one)
    return found


@dataclass(frozen=True)
class Grammar:
    """A language as tables over the kinds of its tree-sitter grammar; the defaults are those of most C-like ones.

    `definer(tree, node)` gives the name under which a node defines a function (None: it defines none), `owner` the
    qualifier of what lies in a node (None: it qualifies nothing), `binder(tree, function)` the local names, `imports`
    those of packages that may not be unused, `fixed` those that are given a value once.
    """

    name: str
    suffixes: tuple[str, ...]
    language: Callable[[], tree_sitter.Language]
    definer: Callable[[Tree, Node], str | None]
    owner: Callable[[Tree, Node], str | None]
    binder: Callable[[Tree, Node], Iterator[Binding]]
    public: Callable[[Tree, Node, str], bool]
    emptier: Callable[[Tree, Node], str]
    typed: bool = False
    unused_is_error: bool = False
    every_path_returns: bool = False
    # never looked into
    skipped: Kinds = NONE
    texts: Kinds = NONE
    comments: Kinds = frozenset({"comment"})
    # expressions
    binaries: Kinds = frozenset({"binary_expression", "augmented_assignment_expression", "assignment_expression"})
    tokens: Tokens = field(default_factory=lambda: TOKENS)
    nots: Kinds = frozenset({"unary_expression"})
    negated: str = "!{}"
    numbers: Kinds = frozenset({"number"})
    flags: Mapping[str, str] = field(default_factory=lambda: {"true": "false", "false": "true"})
    nulls: Kinds = frozenset({"null"})
    null_tokens: Kinds = frozenset({"==", "===", "is"})
    present_tokens: Kinds = frozenset({"!=", "!==", "is not"})
    fallbacks: Kinds = NONE
    safe_accesses: Mapping[str, str] = field(default_factory=dict)
    identifiers: Kinds = frozenset({"identifier"})
    members: Mapping[str, str] = field(default_factory=dict)
    subscripts: Kinds = NONE
    slices: Kinds = NONE
    calls: Kinds = frozenset({"call_expression"})
    arguments: Kinds = frozenset({"arguments", "argument_list"})
    twins: Mapping[str, str] = field(default_factory=dict)
    wrappers: Mapping[str, str] = field(default_factory=dict)
    tails: Mapping[str, str] = field(default_factory=dict)
    casts: Kinds = NONE
    cast_types: Kinds = NONE
    awaits: Kinds = frozenset({"await_expression", "await"})
    no_swap: Kinds = NONE
    loggers: Kinds = NONE
    text_names: Kinds = NONE
    text_types: Kinds = NONE
    # statements
    blocks: Kinds = frozenset({"statement_block"})
    effects: Kinds = frozenset({"expression_statement"})
    updates: Kinds = frozenset({"augmented_assignment_expression", "update_expression"})
    assignments: Kinds = frozenset({"assignment_expression"})
    ifs: Kinds = frozenset({"if_statement"})
    ternaries: Kinds = frozenset({"ternary_expression", "conditional_expression"})
    loops: Kinds = frozenset({"for_statement", "for_in_statement", "while_statement"})
    counted: Kinds = frozenset({"for_statement", "for_in_statement"})
    breakables: Kinds = frozenset(
        {"for_statement", "for_in_statement", "while_statement", "do_statement", "switch_statement"}
    )
    cases: Kinds = frozenset({"switch_case"})
    exits: Kinds = frozenset({"return_statement", "throw_statement", "continue_statement", "break_statement"})
    # definitions
    functions: Kinds = NONE
    wraps: Kinds = NONE
    closures: Kinds = NONE
    unmutated: Kinds = NONE
    imports: Callable[[Tree], Kinds] | None = None
    fixed: Callable[[Tree], Kinds] | None = None
    parameters: Kinds = frozenset({"formal_parameters", "parameters", "parameter_list"})
    record_fields: Callable[[Tree], Mapping[str, Sequence[str]]] | None = None
    more: tuple[Callable[[Tree, Node], Iterator[Edit]], ...] = ()
