"""What is known of a project's code without running it: sources, functions, who calls whom, what a test calls."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from .projects import load
from .speech.languages import SPEECHES
from .types import Function, Mutation, Project, Speech

MAX_SOURCE_CHARACTERS = 200_000
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*")
_NEXT_FUNCTION = re.compile(r"\n[ \t]*((public|private|static|async|@Test) +)*(def|func|function|void) ")
_NEXT_TEST = re.compile(r"\b(it|test|specify|describe|TEST|TEST_CASE|add_test)\s*\(")
_UNDECODED = re.compile("[\ud800-\udfff]")
_SPAN = 3_000
FAR = 9


class Knowledge:
    """Everything about one project that is read from its texts, each thing on first use."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.speech: Speech = SPEECHES[project.language]
        self.sources = tuple(path for path in sorted(project.files) if self._is_source(path))
        self._mutations: dict[str, tuple[Mutation, ...]] = {}
        self._functions: tuple[Function, ...] | None = None
        self._callees: dict[str, frozenset[str]] | None = None
        self._tested: dict[str, frozenset[str]] = {}

    def mutations(self, path: str) -> tuple[Mutation, ...]:
        """Every mutation of a source that changes the program, whether or not it compiles."""
        if path not in self._mutations:
            self._mutations[path] = tuple(self.speech.mutations(self.project.files[path]))
        return self._mutations[path]

    @property
    def functions(self) -> tuple[Function, ...]:
        """The functions of all sources."""
        if self._functions is None:
            self._functions = tuple(
                function for path in self.sources for function in self.speech.functions(path, self.project.files[path])
            )
        return self._functions

    def function(self, path: str, name: str) -> Function | None:
        """A function by its place."""
        return next((item for item in self.functions if (item.path, item.name) == (path, name)), None)

    def near(self, function: Function) -> list[Function]:
        """A function's callers and callees, itself first."""
        around = [item for item in self.functions if item.short in function.calls or function.short in item.calls]
        return [function, *(item for item in around if item != function)]

    def tested(self, test: str) -> frozenset[str]:
        """Short names of the project's functions that the text of a test, given by JUnit id, speaks of."""
        if test not in self._tested:
            known = {item.short for item in self.functions}
            self._tested[test] = frozenset(known & self._words(test))
        return self._tested[test]

    def distance(self, tests: Iterable[str], function: str) -> int:
        """Fewest calls from what these tests call to the function with this short name; FAR where there is no way."""
        reached = set().union(*map(self.tested, tests))
        seen, steps = set(reached), 0
        while reached and steps < FAR:
            if function in reached:
                return steps
            reached = set().union(*(self._calls().get(name, frozenset()) for name in reached)) - seen
            seen |= reached
            steps += 1
        return FAR

    def _is_source(self, path: str) -> bool:
        text = self.project.files[path]
        return (
            path.endswith(self.speech.suffixes)
            and path not in self.project.tests
            and len(text) <= MAX_SOURCE_CHARACTERS
            and not _UNDECODED.search(text)
        )

    def _calls(self) -> Mapping[str, frozenset[str]]:
        if self._callees is None:
            found: dict[str, set[str]] = {}
            for item in self.functions:
                found.setdefault(item.short, set()).update(item.calls)
            self._callees = {name: frozenset(calls & found.keys()) for name, calls in found.items()}
        return self._callees

    def _words(self, test: str) -> set[str]:
        """Identifiers in the text of a test: from its name to the next test."""
        bare = re.sub(r"\(\)$|\[.*\]$", "", test.strip())
        parts = bare.split(".")
        tests = {path: self.project.files[path] for path in self.project.tests if path in self.project.files}
        for word in (".".join(parts[first:]) for first in range(len(parts))):
            for path, text in (*sorted(self.project.hidden.items()), *sorted(tests.items())):
                at = text.find(word) if word and path.endswith(self.speech.suffixes) else -1
                if at >= 0:
                    start = at + len(word)
                    return set(_IDENTIFIER.findall(text[start : self._end(text, start)]))
        return set()

    def _end(self, text: str, start: int) -> int:
        mocha = self.project.language in ("javascript", "typescript")
        following = (_NEXT_TEST if mocha else _NEXT_FUNCTION).search(text, start)
        return min(following.start() if following else len(text), start + _SPAN)


@lru_cache(maxsize=32)
def known(digest: str) -> Knowledge:
    """The knowledge of a project. Raises UnknownProject."""
    return Knowledge(load(digest))
