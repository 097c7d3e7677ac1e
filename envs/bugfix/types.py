"""The contract of this folder: a seed repository, a way to break it, and what a language must be able to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
