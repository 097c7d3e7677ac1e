"""The end of a build: take out what a sandbox never needs and what differs between two builds of the same packages.

Files that packages brought keep the times their packages gave them, because compiled Python and Java's class archive
are checked against them; what the build itself made or changed gets one fixed time.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from . import keystore

EPOCH = 1_700_000_000
"""Unix time of whatever the build made: fixed, and older than any build."""
PEOPLE = (("agent", 1000), ("grader", 1001))
PLACES = (("work", 0o755), ("grade", 0o700), ("lease", 0o700))
"""Where a sandbox mounts: the agent's, the grader's, and the supervisor's own."""
_NEVER_NEEDED = ("doc", "info", "lintian", "locale", "man", "bug", "doc-base")
_EMPTIED = ("dev", "run", "tmp", "var/cache", "var/log", "var/tmp", "var/lib/apt/lists")
_TRACES = (
    "etc/*-",  # passwd-, shadow-, ...: the files before the last change
    "etc/.pwd.lock",
    "etc/apt/sources.list.d/*",
    "var/lib/apt/periodic",
    "var/lib/dbus/machine-id",
    "var/lib/dpkg/*-old",
    "var/lib/dpkg/lock*",
    "var/lib/dpkg/triggers/Lock",
    "var/lib/systemd/random-seed",
)
_TEXTS = {
    "etc/hostname": "",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "etc/machine-id": "",
    "etc/resolv.conf": "",
}


def furnish(rootfs: Path) -> None:
    """Put the sandbox's two people and its places into a fresh root file system."""
    for name, mode in PLACES:
        (rootfs / name).mkdir()
        (rootfs / name).chmod(mode)
    for person, id in PEOPLE:
        for file, line in (("passwd", f"{person}:x:{id}:{id}::/work:/bin/sh\n"), ("group", f"{person}:x:{id}:\n")):
            with open(rootfs / "etc" / file, "a") as names_file:
                names_file.write(line)


def tidy(rootfs: Path, remove: Iterable[str], started: float) -> None:
    """Bring a root file system whose build began at `started` (Unix time) into its final, reproducible form."""
    rootfs = rootfs.resolve()
    for pattern in (*(f"usr/share/{name}" for name in _NEVER_NEEDED), *_TRACES, *remove):
        for path in rootfs.glob(pattern):
            if path.parent.resolve().is_relative_to(rootfs):  # an absolute link would lead to the machine's own files
                _remove(path)
    for name in _EMPTIED:
        (rootfs / name).mkdir(parents=True, exist_ok=True)
        for path in (rootfs / name).iterdir():
            _remove(path)
    for name in ("tmp", "var/tmp"):
        (rootfs / name).chmod(0o1777)
    for name, text in _TEXTS.items():
        _remove(rootfs / name)  # a link to somewhere in /run, on some suites
        (rootfs / name).write_text(text)
        (rootfs / name).chmod(0o644)
    _forget_password_days(rootfs / "etc/shadow")
    for store in rootfs.glob("etc/ssl/certs/java/cacerts"):
        store.write_bytes(keystore.with_date(store.read_bytes(), EPOCH * 1000))
    rootfs.chmod(0o755)
    _settle_times(rootfs, started)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _forget_password_days(shadow: Path) -> None:
    """The third field is the day of the last change: the day of the build."""
    if shadow.exists():
        rows = [line.split(":") for line in shadow.read_text().splitlines()]
        shadow.write_text("".join(":".join([*row[:2], "", *row[3:]]) + "\n" for row in rows))


def _settle_times(rootfs: Path, started: float) -> None:
    """Directories change with whatever is installed below them, so all of them get the fixed time."""
    for folder, directories, files in os.walk(rootfs, topdown=False):
        for name in (*files, *directories):
            path = os.path.join(folder, name)
            status = os.lstat(path)
            if name in directories or status.st_mtime >= started:
                os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)
    os.utime(rootfs, (EPOCH, EPOCH))
