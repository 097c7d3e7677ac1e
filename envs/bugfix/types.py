"""The contract of this folder: a project with its tests, a way to break it, and what must be known of a language."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Protocol

Files = Mapping[str, str]


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
    the path of the JUnit XML to write. `build` runs once in a fresh sandbox before, and its products are kept: whatever
    lies below /tmp, and in the tree. Empty texts stand for what `running` does for the image by itself, which is fast
    and right for most projects; so prefer them. `seconds` bounds one command.
    """

    image: str
    test: str = ""
    build: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 60.0


@dataclass(frozen=True)
class Suite:
    """The tests of a correct repository that passed every time, sorted, by JUnit id (see `verifiers.junit`): `visible`
    those that are reported without the hidden files, `hidden` the others. Tests that did not always pass, or were not
    always reported, are `flaky` and set aside.
    """

    visible: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """A real patch of the repository, to be undone: texts of its source files (never of tests) as they were `before`
    it, None where it made the file. `title` is the patch's own first line; nobody but the operator reads it.
    """

    title: str
    before: Mapping[str, str | None]


@dataclass(frozen=True)
class Project:
    """A repository as tasks use it: correct texts by relative path (bytes that are not UTF-8 as surrogate escapes, and
    executable where they begin with `#!`). `tests` are the test files and everything that configures the runner or the
    build, which an agent sees but whose changes never count; `hidden` are test files that the agent never sees.
    Every other file whose suffix the language knows is a source: a bug may be put there, and an agent's version of it
    counts. `changes` are patches that may be reverted; each must make at least one test fail.
    """

    name: str
    language: str
    version: str
    source: str
    files: Files
    tests: frozenset[str]
    hidden: Files
    recipe: Recipe
    suite: Suite = Suite()
    changes: tuple[Change, ...] = ()

    @property
    def title(self) -> str:
        """`language/name`."""
        return f"{self.language}/{self.name}"

    @cached_property
    def digest(self) -> str:
        """Content address of everything above, the same in every process."""
        return hashlib.sha256(to_json(self).encode()).hexdigest()[:16]


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


def applied(text: str, mutations: Sequence[Mutation]) -> str:
    """The text with mutations made; they must not overlap."""
    for mutation in sorted(mutations, reverse=True):
        assert text[mutation.start : mutation.end] == mutation.old, mutation
        text = text[: mutation.start] + mutation.new + text[mutation.end :]
    return text


def to_json(project: Project) -> str:
    """One text for one project: ASCII, sorted keys; surrogate escapes survive."""
    data = {**asdict(project), "tests": sorted(project.tests)}
    return json.dumps(data, sort_keys=True, separators=(",", ":"))


def from_json(text: str) -> Project:
    """The project of `to_json`. Raises ValueError, KeyError or TypeError where the text is none."""
    data = json.loads(text)
    changes = tuple(Change(**change) for change in data.pop("changes"))
    recipe, suite = Recipe(**data.pop("recipe")), {key: tuple(value) for key, value in data.pop("suite").items()}
    tests = frozenset(data.pop("tests"))
    return Project(**data, tests=tests, recipe=recipe, suite=Suite(**suite), changes=changes)
