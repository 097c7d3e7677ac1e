"""Image definitions: one small TOML file per image, and the content address made from it.

A root definition names a Debian `suite` (and may pin its day with `snapshot`); every other one names its `parent` and
adds packages to it. `junit` is the command that runs a project's tests and writes JUnit XML to `{report}`: a list is an
argv, a string goes through `/bin/sh -c`. `docs/design/images.md` tells how to add one.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
# Part of every address: raise it when the build makes something else from the same definition.
RECIPE = 2
_NAME = re.compile(r"[a-z0-9][a-z0-9.+-]*")
_SNAPSHOT = re.compile(r"20\d{6}T\d{6}Z")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEYS = ("description", "suite", "snapshot", "parent", "packages", "remove", "runner", "junit", "env")


class ImageError(Exception):
    """Root of what `infra.images` raises."""


class UnknownImage(ImageError, ValueError):
    """No definition has this name."""


class BadDefinition(ImageError, ValueError):
    """A definition file says something that cannot be built."""


class BuildFailed(ImageError):
    """The build did not succeed; the message has the tool's last words."""


@dataclass(frozen=True, slots=True)
class ImageDefinition:
    """What an image holds (Debian packages of one suite on top of the parent's, or of the essential ones) and how
    tests are run in it. `remove` are globs, from the root, of what its packages bring and no sandbox needs."""

    name: str
    description: str
    suite: str
    packages: tuple[str, ...]
    snapshot: str = ""
    parent: ImageDefinition | None = None
    remove: tuple[str, ...] = ()
    runner: str = ""
    junit: tuple[str, ...] | str = ()
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """12 hexadecimal digits of the SHA-256 of what decides the content (not of how tests are run in it)."""
        content = {
            "recipe": RECIPE,
            "name": self.name,
            "parent": self.parent.digest if self.parent else "",
            "suite": self.suite,
            "snapshot": self.snapshot,
            "packages": sorted(self.packages),
            "remove": sorted(self.remove),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def tag(self) -> str:
        """`name:digest`."""
        return f"{self.name}:{self.digest}"

    @property
    def reference(self) -> str:
        """The engine's name for it."""
        return f"palestra/{self.tag}"

    def junit_command(self, report: str) -> tuple[str, ...] | str:
        """The command (an argv, or a string for a shell) that tests the project in the working directory and writes
        JUnit XML to `report`, an absolute path. It ends with 0 if all passed; where nothing could be compiled or
        collected there may be no report. Raises ValueError for an image that runs no tests."""
        if not self.junit:
            raise ValueError(f"image {self.name!r} runs no tests: its definition has no junit command")
        if isinstance(self.junit, str):
            exports = "".join(f"export {key}={shlex.quote(value)}\n" for key, value in self.env.items())
            return exports + self.junit.replace("{report}", shlex.quote(report))
        variables = ("env", *(f"{key}={value}" for key, value in self.env.items())) if self.env else ()
        return (*variables, *(part.replace("{report}", report) for part in self.junit))


def names() -> tuple[str, ...]:
    """The images that can be built."""
    return tuple(sorted(file.stem for file in HERE.glob("*.toml")))


def load(name: str) -> ImageDefinition:
    """The definition of an image. Raises UnknownImage, BadDefinition."""
    if name not in names():
        raise UnknownImage(f"unknown image {name!r}: choose one of {', '.join(names())}")
    return parse(name, (HERE / f"{name}.toml").read_text())


def parse(name: str, text: str) -> ImageDefinition:
    """A definition from its TOML text. Raises BadDefinition."""
    try:
        table = tomllib.loads(text)
        return _definition(name, table)
    except (tomllib.TOMLDecodeError, ValueError) as error:
        raise BadDefinition(f"image {name!r}: {error}") from error


def _definition(name: str, table: Mapping[str, Any]) -> ImageDefinition:
    if unknown := sorted(set(table) - set(_KEYS)):
        raise ValueError(f"unknown key {unknown[0]!r}; known are {', '.join(_KEYS)}")
    parent = _parent(name, table)
    suite = parent.suite if parent else table.get("suite")
    snapshot = parent.snapshot if parent else table.get("snapshot", "")
    packages = _strings(table, "packages")
    for value in (suite, *packages):
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            raise ValueError(f"{value!r} is not a Debian suite or package name")
    if snapshot and (not isinstance(snapshot, str) or not _SNAPSHOT.fullmatch(snapshot)):
        raise ValueError(f"snapshot {snapshot!r} is not a time like '20250520T000000Z'")
    remove = _strings(table, "remove")
    for glob in remove:
        if glob.startswith("/") or ".." in glob.split("/") or not glob:
            raise ValueError(f"remove {glob!r} must be a glob relative to the image's root")
    assert isinstance(suite, str)
    return ImageDefinition(
        name=name,
        description=str(table.get("description", "")),
        suite=suite,
        packages=packages,
        snapshot=snapshot,
        parent=parent,
        remove=remove,
        runner=str(table.get("runner", "")),
        junit=_junit(table),
        env=_env(table),
    )


def _parent(name: str, table: Mapping[str, Any]) -> ImageDefinition | None:
    parent = table.get("parent")
    if parent is None:
        return None
    if both := [key for key in ("suite", "snapshot") if key in table]:
        raise ValueError(f"{both[0]} is the parent's to say: take out {both[0]!r} or 'parent'")
    if parent not in names() or "parent" in tomllib.loads((HERE / f"{parent}.toml").read_text()):
        raise ValueError(f"parent {parent!r} must be an image that has no parent itself")
    return load(parent)


def _strings(table: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError(f"{key} must be a list of strings, not {value!r}")
    return tuple(value)


def _junit(table: Mapping[str, Any]) -> tuple[str, ...] | str:
    value = table.get("junit", [])
    command: Sequence[str] = value if isinstance(value, str) else _strings(table, "junit")
    if command and "{report}" not in "".join(command):
        raise ValueError("junit must say where '{report}' goes")
    if bool(command) != bool(table.get("runner")):
        raise ValueError("runner and junit go together: the test runner's name and its command")
    return command if isinstance(command, str) else tuple(command)


def _env(table: Mapping[str, Any]) -> dict[str, str]:
    value = table.get("env", {})
    if not isinstance(value, dict):
        raise ValueError(f"env must be a table of strings, not {value!r}")
    for key, text in value.items():
        if not _ENV_NAME.fullmatch(key) or not isinstance(text, str):
            raise ValueError(f"env {key!r} must be a variable's name with a string")
    return value
