"""The contract of this folder: where a repository comes from, and what was found there.

SourceError (an EnvError)    the source cannot be had or used; the message names it and the remedy
    HostileArchive           an archive or a repository breaks the limits, or a checksum is wrong
    NotIngested              its tests cannot be run, or none of them passes every time
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ...errors import EnvError

Tree = Mapping[str, bytes]
"""Regular files by relative path."""

KINDS = ("path", "pypi", "npm", "debian", "git")
_PINNED = re.compile(r"(?:[a-z0-9]+:)?(?P<name>(?:@[\w.-]+/)?[\w.+-]+)(?P<mark>==|@|=)?(?P<version>[^\s@=/]+)?")
_MARKS = {"pypi": "==", "npm": "@", "debian": "="}


class SourceError(EnvError):
    """A source cannot be had or used."""


class HostileArchive(SourceError):
    """An archive or repository is broken, beyond the limits, or not the one that was pinned."""


class NotIngested(SourceError):
    """The tests of a repository cannot be run, or prove nothing."""


@dataclass(frozen=True)
class Spec:
    """Where a repository comes from: `pypi:NAME==VERSION`, `npm:NAME@VERSION`, `debian:NAME=VERSION`, `git:URL@REF` or
    a local path; without a version the newest. `sha256` pins what is fetched: the archive's, for Debian that of the
    `.dsc` (which pins the rest), for git the commit's own id.
    """

    kind: str
    name: str
    version: str = ""
    sha256: str = ""

    def __str__(self) -> str:
        if self.kind == "path":
            return self.name
        mark = _MARKS.get(self.kind, "@")
        return f"{self.kind}:{self.name}" + (f"{mark}{self.version}" if self.version else "")


@dataclass(frozen=True)
class Patch:
    """A patch that a source says was made to it: a unified diff, with what its author wrote above it."""

    name: str
    description: str
    diff: bytes


@dataclass(frozen=True)
class Fetched:
    """A repository as it came: its whole tree and the patches that are already made in it, the last one last."""

    spec: Spec
    version: str
    tree: Tree
    patches: tuple[Patch, ...] = field(default=())


def parse_spec(text: str, sha256: str = "") -> Spec:
    """A Spec from its text. Raises SourceError for what is none."""
    kind, colon, rest = text.partition(":")
    if not colon or kind not in KINDS or kind == "path":
        return Spec("path", rest if kind == "path" and colon else text, "", sha256)
    if kind == "git":
        return _git(text, rest, sha256)
    match = _PINNED.fullmatch(rest)
    if (
        match is None
        or (match["mark"] or _MARKS[kind]) != _MARKS[kind]
        or bool(match["mark"]) != bool(match["version"])
    ):
        raise SourceError(f"{text!r} is no source: write {kind}:NAME{_MARKS[kind]}VERSION")
    return Spec(kind, match["name"], match["version"] or "", sha256)


def _git(text: str, rest: str, sha256: str) -> Spec:
    """The reference stands behind the last `@` that is not part of `user@host`."""
    url, at, reference = rest.rpartition("@")
    if at and ("/" in url or url.startswith(".")) and ":" not in reference:
        rest, version = url, reference
    else:
        version = ""
    if not rest or rest.startswith("-") or version.startswith("-"):
        raise SourceError(f"{text!r} is no source: write git:URL@REF")
    return Spec("git", rest, version, sha256)
