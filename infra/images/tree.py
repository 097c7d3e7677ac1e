"""What makes two root file systems the same: one line per path, and the digest over all of them."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path


def entries(root: Path) -> dict[str, str]:
    """By path below `root`, sorted: kind and mode, uid, gid, modification time, and a file's size and SHA-256, a
    link's target or a device's number."""
    found = {}
    for folder, directories, files in os.walk(root):
        for name in directories + files:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, root)] = _describe(path)
    return dict(sorted(found.items(), key=lambda item: os.fsencode(item[0])))


def digest(tree: dict[str, str]) -> str:
    """SHA-256 over all `entries`, in hexadecimal."""
    total = hashlib.sha256()
    for path, what in tree.items():
        total.update(os.fsencode(path) + b"\0" + os.fsencode(what) + b"\n")
    return total.hexdigest()


def first_difference(one: dict[str, str], other: dict[str, str]) -> str | None:
    """The first path at which two trees differ and how, in one line; None if they are the same."""
    for path in sorted(one.keys() | other.keys(), key=os.fsencode):
        first, second = one.get(path), other.get(path)
        if first != second:
            return f"/{path}: {first or 'nothing'} | {second or 'nothing'}"
    return None


def size(root: Path) -> int:
    """Bytes of all regular files; a file with several names counts once."""
    sizes = {}
    for folder, _, files in os.walk(root):
        for name in files:
            status = os.lstat(os.path.join(folder, name))
            if stat.S_ISREG(status.st_mode):
                sizes[status.st_ino] = status.st_size
    return sum(sizes.values())


def _describe(path: str) -> str:
    status = os.lstat(path)
    about = f"{stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid} {status.st_mtime_ns}"
    if stat.S_ISLNK(status.st_mode):
        return f"{about} -> {os.readlink(path)}"
    if stat.S_ISREG(status.st_mode):
        with open(path, "rb") as file:
            return f"{about} {status.st_size} {hashlib.file_digest(file, 'sha256').hexdigest()}"
    if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        return f"{about} {os.major(status.st_rdev)},{os.minor(status.st_rdev)}"
    return about
