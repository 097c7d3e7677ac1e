"""What is said of a repository before it is ingested: one `[[project]]` of a TOML file, or nothing but where it is."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import Any

from .types import SourceError, Spec, parse_spec

CATALOGUE = Path(__file__).parent / "catalogue.toml"
_SAID = ("test", "build", "env", "seconds")


@dataclass(frozen=True)
class Library:
    """A second source that a project needs: its folder `root` is laid into the project at `into`."""

    spec: Spec
    into: str
    root: str = ""


@dataclass(frozen=True)
class Entry:
    """How to ingest one repository. Globs match whole paths, `*` also across folders.

    `root` is the folder of the source that is the project; `drop` leaves files out, `add` lays texts into the tree (and
    they count as tests), `tests` are further files that no agent's version counts of, `hidden` the tests that no agent
    sees (default: every second test file); `test`, `build`, `env` and `seconds` are the recipe's.
    """

    spec: Spec
    name: str
    language: str = ""
    licence: str = ""
    root: str = ""
    drop: tuple[str, ...] = ()
    add: Mapping[str, str] = field(default_factory=dict)
    tests: tuple[str, ...] = ()
    hidden: tuple[str, ...] | None = None
    libraries: tuple[Library, ...] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict)


def plain(text: str) -> Entry:
    """The entry for a SPEC alone, named after it. Raises SourceError."""
    spec = parse_spec(text)
    last = PurePosixPath(spec.name.rstrip("/")).name.removesuffix(".git")
    if spec.kind == "path":
        last = Path(spec.name).expanduser().resolve().name
    return Entry(spec, last.lstrip("@") or "project")


def read_catalogue(path: Path = CATALOGUE) -> tuple[Entry, ...]:
    """The entries of a catalogue, in its order. Raises SourceError with the place of what cannot be understood."""
    try:
        table = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} is no catalogue: {error}") from error
    entries = []
    for number, one in enumerate(table.get("project", []), start=1):
        try:
            entries.append(_entry(dict(one)))
        except (TypeError, ValueError, KeyError, AttributeError, SourceError) as error:
            raise SourceError(f"{path}: project {number} ({one.get('name', 'without a name')}): {error}") from error
    if len({entry.name for entry in entries}) < len(entries):
        raise SourceError(f"{path}: two projects have one name")
    return tuple(entries)


def _entry(one: dict[str, Any]) -> Entry:
    libraries = tuple(
        Library(parse_spec(item["spec"], item.get("sha256", "")), item["into"], item.get("root", ""))
        for item in one.pop("with", [])
    )
    spec = parse_spec(one.pop("spec"), one.pop("sha256", ""))
    recipe = {key: one.pop(key) for key in _SAID if key in one}
    if "seconds" in recipe:
        recipe["seconds"] = float(recipe["seconds"])
    known = {item.name for item in fields(Entry)} - {"spec", "libraries", "recipe"}
    if unknown := sorted(set(one) - known):
        raise ValueError(
            f"unknown key {unknown[0]!r}; known are {', '.join(sorted({*known, *_SAID, 'spec', 'sha256', 'with'}))}"
        )
    for key in ("drop", "tests", "hidden"):
        if key in one:
            one[key] = tuple(one[key])
    return Entry(spec=spec, libraries=libraries, recipe=recipe, **one)
