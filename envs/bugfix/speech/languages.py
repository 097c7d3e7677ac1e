"""The eight languages, each a grammar and a table of what it may not reach for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from ..types import Function, Mutation, Speech
from . import (
    c_rules,
    definitions,
    ecma_rules,
    go_rules,
    guard,
    java_rules,
    mutating,
    paths,
    php_rules,
    python_rules,
    sameness,
)
from .c import CPP, C
from .ecma import JAVASCRIPT, TYPESCRIPT
from .go import GO
from .grammar import Grammar
from .java import JAVA
from .php import PHP
from .python import PYTHON
from .tree import Tree


class Spoken:
    """See `Speech` for what each method promises. Texts with syntax errors are read as far as they go."""

    def __init__(self, grammar: Grammar, rules: guard.Rules) -> None:
        self.grammar = grammar
        self.rules = rules
        self.name = grammar.name
        self.image = grammar.name
        self.suffixes = grammar.suffixes

    def mutations(self, text: str) -> Sequence[Mutation]:
        return mutating.mutations(self._tree(text), self.grammar)

    def same_program(self, before: str, after: str) -> bool | None:
        return sameness.same_program(self._tree(before), self._tree(after), self.grammar)

    def functions(self, path: str, text: str) -> Sequence[Function]:
        return definitions.functions(self._tree(text), self.grammar, path)

    def emptied(self, text: str, function: str) -> str:
        """Raises KeyError where there is no such function."""
        return definitions.emptied(self._tree(text), self.grammar, function)

    def is_test(self, path: str) -> bool:
        return paths.is_test(self.name, path)

    def refusal(self, before: str, after: str) -> str:
        return guard.refusal(self._tree(before), self._tree(after), self.grammar, self.rules)

    def _tree(self, text: str) -> Tree:
        return _parsed(self.grammar.name, text)


@lru_cache(maxsize=8)
def _parsed(name: str, text: str) -> Tree:
    return Tree(text, SPOKEN[name].grammar.language())


SPOKEN: dict[str, Spoken] = {
    spoken.name: spoken
    for spoken in (
        Spoken(PYTHON, python_rules.RULES),
        Spoken(JAVASCRIPT, ecma_rules.RULES),
        Spoken(TYPESCRIPT, ecma_rules.RULES),
        Spoken(C, c_rules.C_RULES),
        Spoken(CPP, c_rules.CPP_RULES),
        Spoken(JAVA, java_rules.RULES),
        Spoken(GO, go_rules.RULES),
        Spoken(PHP, php_rules.RULES),
    )
}
SPEECHES: dict[str, Speech] = {**SPOKEN}
