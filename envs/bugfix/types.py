"""The contract of this folder: a seed repository, a way to break it, and what a language must be able to do."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

Files = Mapping[str, str]


@dataclass(frozen=True)
class Repository:
    """A small project as shipped, correct: texts by relative path. `hidden` are tests that the agent never sees."""

    name: str
    files: Files
    hidden: Files


@dataclass(frozen=True, order=True)
class Mutation:
    """One edit of a file's text that makes it wrong: `old` at character offset `start` becomes `new`."""

    start: int
    kind: str
    old: str
    new: str
    function: str
    line: int

    @property
    def end(self) -> int:
        """Offset after the text that is replaced."""
        return self.start + len(self.old)


@dataclass(frozen=True)
class Function:
    """A function or method (`Class.method`): the first sentence of its documentation, and the names that it calls."""

    path: str
    name: str
    doc: str
    public: bool
    calls: frozenset[str]

    @property
    def short(self) -> str:
        """The name without its class."""
        return self.name.rpartition(".")[2]


@dataclass(frozen=True)
class Recipe:
    """How to run the tests of a repository: shell text in `image`, from the root of the working tree, `{report}` being
    the path of the JUnit XML to write. `build` runs once in a fresh sandbox before, and its products are kept.
    """

    image: str
    test: str
    build: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 60.0


@dataclass(frozen=True)
class Suite:
    """The tests of a correct repository that passed every time, by JUnit id; `flaky` ones are set aside."""

    visible: tuple[str, ...]
    hidden: tuple[str, ...]
    flaky: tuple[str, ...] = ()


@dataclass(frozen=True)
class Project:
    """A repository as tasks use it: correct texts by relative path (bytes that are not UTF-8 as surrogate escapes, and
    executable where they begin with `#!`). `tests` are the test files and everything that configures the runner, which
    an agent sees but whose changes never count; `hidden` are test files that the agent never sees.
    """

    name: str
    language: str
    version: str
    source: str
    files: Files
    tests: frozenset[str]
    hidden: Files
    recipe: Recipe
    suite: Suite

    @property
    def digest(self) -> str:
        """Content address of everything above."""
        return hashlib.sha256(repr(self).encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Speech(Protocol):
    """What must be known of a programming language to break and describe code in it; reads text, runs nothing."""

    name: str
    image: str
    suffixes: tuple[str, ...]

    def mutations(self, text: str) -> Sequence[Mutation]:
        """Every realistic edit that makes a source wrong, in a fixed order; strings, comments and imports are left."""
        ...

    def same_program(self, before: str, after: str) -> bool | None:
        """Whether two texts differ in layout and comments only; None where `after` has new syntax errors."""
        ...

    def functions(self, path: str, text: str) -> Sequence[Function]:
        """The functions and methods of one source file."""
        ...

    def emptied(self, text: str, function: str) -> str:
        """The text with a function's body thrown away (what remains must compile where the language allows it)."""
        ...

    def is_test(self, path: str) -> bool:
        """Whether this path is a test, or configures the runner or the build, by the conventions of the language."""
        ...

    def refusal(self, before: str, after: str) -> str:
        """Which facility `after` newly reaches for that could forge a verdict (end the process, write or read files,
        load code, inspect the test runner, start programs), or ""."""
        ...


class Language(Protocol):
    """Everything that depends on the programming language of a repository."""

    name: str
    image: str

    def mutations(self, text: str) -> Sequence[Mutation]:
        """Every edit of one source file that this language's operators offer, in a fixed order."""
        ...

    def same_program(self, before: str, after: str) -> bool | None:
        """Whether two texts compile to the same program; None where `after` does not compile."""
        ...

    def functions(self, path: str, text: str) -> Sequence[Function]:
        """The functions of one source file."""
        ...

    def emptied(self, text: str, function: str) -> str:
        """The text with a function's body thrown away."""
        ...

    def is_source(self, path: str, files: Files) -> bool:
        """Whether an agent's version of this file counts: a source inside the repository's own packages, not a test."""
        ...

    def refusal(self, before: str, after: str, files: Files) -> str:
        """Why a changed source may not be run beside the tests (it reaches for the test runner), or ""."""
        ...

    def tests(self, files: Files) -> Sequence[str]:
        """The ids of all tests in these files, as the JUnit report will name them."""
        ...

    def test_command(self, paths: Sequence[str]) -> Sequence[str]:
        """argv that runs these test files from the current directory and writes JUnit XML to standard output."""
        ...

    def harvest_command(self, files: Files) -> str:
        """A shell command that writes all sources below the current directory to standard output as a tar."""
        ...


def applied(text: str, mutations: Sequence[Mutation]) -> str:
    """The text with mutations made; they must not overlap."""
    for mutation in sorted(mutations, reverse=True):
        assert text[mutation.start : mutation.end] == mutation.old, mutation
        text = text[: mutation.start] + mutation.new + text[mutation.end :]
    return text
