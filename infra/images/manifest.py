"""What a built image holds: written beside its root file system as `manifest.json`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from .definitions import BuildFailed

FILE = "manifest.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The record of one build. `tree` is the digest of everything in the root file system (see `tree.digest`); two
    builds with the same `packages` have the same one. `size` is in bytes, `built` a UTC time, `seconds` how long it
    took without the parent."""

    tag: str
    tree: str
    size: int
    paths: int
    suite: str
    mirror: str
    parent: str
    built: str
    seconds: float
    packages: dict[str, str]

    def save(self, home: Path) -> None:
        """Write it into an image's directory."""
        (home / FILE).write_text(json.dumps(asdict(self), indent=1) + "\n")


def read(home: Path) -> Manifest:
    """The manifest in an image's directory. Raises BuildFailed if it cannot be read."""
    try:
        return Manifest(**json.loads((home / FILE).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise BuildFailed(f"{home / FILE} cannot be read ({error}): remove {home} and build again") from error


def moved_packages(one: Manifest, other: Manifest) -> str | None:
    """The packages that two builds do not share, in one line; None if they are the same."""
    every = sorted(one.packages.keys() | other.packages.keys())
    moved = [name for name in every if one.packages.get(name) != other.packages.get(name)]
    shown = [f"{name} {one.packages.get(name, 'absent')} -> {other.packages.get(name, 'absent')}" for name in moved]
    return ", ".join(shown) or None
