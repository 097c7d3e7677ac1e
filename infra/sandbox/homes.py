"""The directories of host-side leases: one private directory per lease, with a record that the reaper reads."""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
import uuid
from pathlib import Path

from . import owner as owners
from .types import LeaseInfo, Limits, SandboxFailed


def leases_root(backend: str) -> Path:
    """The private directory (mode 0700) that holds this user's leases of a backend. Raises SandboxFailed if somebody
    else owns it."""
    root = Path(tempfile.gettempdir()) / f"palestra-{os.getuid()}"
    for folder in (root, root / backend):
        folder.mkdir(mode=0o700, exist_ok=True)
        info = folder.lstat()
        if info.st_uid != os.getuid() or info.st_mode & 0o077 or folder.is_symlink():
            raise SandboxFailed(f"{folder} is not a private directory of yours: remove it")
    return root / backend


def make_home(backend: str, image: str, limits: Limits, note: str) -> tuple[Path, float]:
    """A new lease directory with its owner's mark, which the reaper reads, and its deadline (Unix time)."""
    label = re.sub(r"[^A-Za-z0-9_.-]", "_", note or "lease")[:40]
    home = leases_root(backend) / f"{label}-{uuid.uuid4().hex[:12]}"
    home.mkdir(mode=0o700)
    deadline = time.time() + limits.lease_seconds
    record = {"image": image, "owner": owners.mark(), "deadline": deadline, "note": note}
    (home / "lease.json").write_text(json.dumps(record))
    return home, deadline


def read_info(home: Path, backend: str) -> LeaseInfo:
    """What `make_home` wrote; a directory without a readable record counts as abandoned once it is a minute old."""
    try:
        record = json.loads((home / "lease.json").read_text())
        return LeaseInfo(
            home.name, backend, record["image"], record["owner"], record["deadline"], owners.is_alive(record["owner"])
        )
    except (OSError, ValueError, KeyError):
        return LeaseInfo(home.name, backend, "?", "?", _made(home) + 60, True)


def _made(home: Path) -> float:
    try:
        return home.lstat().st_mtime
    except FileNotFoundError:  # closed by its owner meanwhile: nothing to reap
        return time.time()


def list_homes(backend: str) -> tuple[LeaseInfo, ...]:
    """Every lease directory of a backend."""
    return tuple(read_info(home, backend) for home in sorted(leases_root(backend).iterdir()))
