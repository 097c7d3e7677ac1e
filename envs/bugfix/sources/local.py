"""A repository that lies on this machine: a folder's files, or an archive's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from .archives import MAX_ARCHIVE_BYTES, MAX_ENTRIES, MAX_UNPACKED_BYTES, unpack, without_top
from .downloads import check_sha256
from .types import Fetched, HostileArchive, SourceError, Spec

_LEFT_OUT = frozenset({".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv", ".tox", ".mypy_cache"})


def fetch_path(spec: Spec) -> Fetched:
    """The files of a folder (its links dropped unless they stay inside) or of an archive. Raises SourceError."""
    path = Path(spec.name).expanduser()
    if path.is_dir():
        return Fetched(spec, spec.version or "0", dict(_walk(path)))
    if not path.is_file():
        raise SourceError(f"{spec.name!r} is neither a folder nor an archive on this machine")
    if path.stat().st_size > MAX_ARCHIVE_BYTES:
        raise HostileArchive(f"{path} is larger than {MAX_ARCHIVE_BYTES} bytes")
    data = path.read_bytes()
    check_sha256(data, spec.sha256, str(path))
    return Fetched(spec, spec.version or "0", without_top(unpack(data, path.name)))


def _walk(root: Path) -> Iterator[tuple[str, bytes]]:
    top = root.resolve()
    count = total = 0
    for folder, directories, names in os.walk(root):
        directories[:] = sorted(set(directories) - _LEFT_OUT)
        for name in sorted(names):
            file = Path(folder, name)
            if not file.is_file() or not file.resolve().is_relative_to(top):
                continue
            count, total = count + 1, total + file.stat().st_size
            if count > MAX_ENTRIES or total > MAX_UNPACKED_BYTES:
                raise HostileArchive(f"{root}: more than {MAX_ENTRIES} files or {MAX_UNPACKED_BYTES} bytes")
            yield file.relative_to(root).as_posix(), file.read_bytes()
