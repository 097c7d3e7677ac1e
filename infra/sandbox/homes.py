"""One private directory per outer wall: who owns it, of which image it is, and the ledger of its leases."""

from __future__ import annotations

import json
import os
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from . import owner as owners
from .ledger import read_ledger
from .types import LeaseInfo, SandboxFailed

_RECORD, LEDGER = "wall.json", "leases"
_YOUNG_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class WallInfo:
    """What a wall's directory says; `alive` is false if its owner is known to be gone."""

    image: str
    owner: str
    alive: bool


def leases_root(backend: str) -> Path:
    """The private directory (mode 0700) that holds this user's walls of a backend. Raises SandboxFailed if somebody
    else owns it."""
    root = Path(tempfile.gettempdir()) / f"palestra-{os.getuid()}"
    for folder in (root, root / backend):
        folder.mkdir(mode=0o700, exist_ok=True)
        info = folder.lstat()
        if info.st_uid != os.getuid() or info.st_mode & 0o077 or folder.is_symlink():
            raise SandboxFailed(f"{folder} is not a private directory of yours: remove it")
    return root / backend


def make_home(backend: str, image: str, owner: str) -> Path:
    """A new wall's directory, with the record that the reaper reads."""
    home = leases_root(backend) / f"{image}-{uuid.uuid4().hex[:12]}"
    home.mkdir(mode=0o700)
    (home / _RECORD).write_text(json.dumps({"image": image, "owner": owner}))
    return home


def read_wall(home: Path) -> WallInfo:
    """What `make_home` wrote; a directory without a readable record counts as abandoned once it is a minute old."""
    try:
        record = json.loads((home / _RECORD).read_text())
        return WallInfo(record["image"], record["owner"], owners.is_alive(record["owner"]))
    except (OSError, ValueError, KeyError, TypeError):
        return WallInfo("?", "?", time.time() - _made(home) < _YOUNG_SECONDS)


def last_words(home: Path) -> str:
    """The last line of a wall's log."""
    try:
        lines = (home / "log").read_text("utf-8", "replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1][:500] if lines else "it said nothing"


def list_homes(backend: str) -> tuple[Path, ...]:
    """Every wall's directory of a backend."""
    return tuple(sorted(leases_root(backend).iterdir()))


def list_leases(backend: str) -> tuple[LeaseInfo, ...]:
    """Every lease of a backend, and each wall of a dead owner that holds none."""
    found: list[LeaseInfo] = []
    for home in list_homes(backend):
        wall = read_wall(home)
        records = read_ledger(home / LEDGER)
        for record in records:
            name = f"{home.name}.{record['number']}"
            found.append(
                LeaseInfo(name, backend, wall.image, wall.owner, record["deadline"], wall.alive, record["note"])
            )
        if not records and not wall.alive:
            found.append(LeaseInfo(home.name, backend, wall.image, wall.owner, 0.0, False, "an empty wall"))
    return tuple(found)


def _made(home: Path) -> float:
    try:
        return home.lstat().st_mtime
    except FileNotFoundError:  # closed by its owner meanwhile: nothing to reap
        return time.time()
