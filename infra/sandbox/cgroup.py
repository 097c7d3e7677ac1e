"""Memory, process and CPU limits through control groups (v1 and v2), where this process may make them.

Each lease gets `palestra/ID` in the hierarchies; processes join by writing `0` to `cgroup.procs`. Without the right to
make groups (not root, or a read-only /sys/fs/cgroup) `create` returns None and the caller falls back to rlimits.
Source: Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst of the kernel.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .types import Limits, SandboxFailed

MOUNT = Path("/sys/fs/cgroup")
_CONTROLLERS = ("memory", "pids", "cpu")
_PERIOD = 100_000
# Missing where the kernel does not account for swap.
_SWAP = ("memory.memsw.limit_in_bytes", "memory.swap.max")
# bwrap's two processes and the shell count too.
_OWN_PROCESSES = 3


@dataclass(frozen=True)
class Cgroup:
    """The group of one lease: one directory on v2, one per controller on v1."""

    directories: tuple[Path, ...]

    def oom_kills(self) -> int:
        """How many processes of this group the kernel killed for lack of memory so far."""
        for folder in self.directories:
            for name in ("memory.events", "memory.oom_control"):
                file = folder / name
                if file.exists():
                    pairs = dict(line.split() for line in file.read_text().splitlines())
                    return int(pairs.get("oom_kill", 0))
        return 0

    def remove(self, seconds: float = 5.0) -> None:
        """Kill what is left and remove the directories. Raises SandboxFailed if that takes longer than `seconds`."""
        until = time.monotonic() + seconds
        for folder in self.directories:
            while folder.exists():
                for pid in _members(folder):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                try:
                    folder.rmdir()
                except OSError as error:
                    if time.monotonic() > until:
                        raise SandboxFailed(f"control group {folder} cannot be removed: {error}") from error
                    time.sleep(0.001)


def create(name: str, limits: Limits) -> Cgroup | None:
    """A group with the limits set, or None where this process may not make one."""
    unified = (MOUNT / "cgroup.controllers").exists()
    parents = [MOUNT / "palestra"] if unified else [MOUNT / each / "palestra" for each in _CONTROLLERS]
    group = Cgroup(tuple(parent / name for parent in parents))
    try:
        for parent in parents:
            parent.mkdir(exist_ok=True)
        if unified:
            for folder in (MOUNT, parents[0]):
                (folder / "cgroup.subtree_control").write_text("+memory +pids +cpu")
        for folder in group.directories:
            folder.mkdir()
        for file, value in (_v2 if unified else _v1)(limits):
            _set(group, file, value)
    except OSError:
        group.remove()
        return None
    return group


def existing(name: str) -> Cgroup:
    """The group of a lease that some other process made."""
    candidates = [MOUNT / "palestra" / name, *(MOUNT / each / "palestra" / name for each in _CONTROLLERS)]
    return Cgroup(tuple(folder for folder in candidates if folder.exists()))


def _v1(limits: Limits) -> Iterator[tuple[str, str]]:
    yield "memory.limit_in_bytes", str(limits.memory_bytes)
    yield "memory.memsw.limit_in_bytes", str(limits.memory_bytes)
    yield "pids.max", str(limits.processes + _OWN_PROCESSES)
    yield "cpu.cfs_period_us", str(_PERIOD)
    yield "cpu.cfs_quota_us", str(int(limits.cpus * _PERIOD))


def _v2(limits: Limits) -> Iterator[tuple[str, str]]:
    yield "memory.max", str(limits.memory_bytes)
    yield "memory.swap.max", "0"
    yield "memory.oom.group", "0"
    yield "pids.max", str(limits.processes + _OWN_PROCESSES)
    yield "cpu.max", f"{int(limits.cpus * _PERIOD)} {_PERIOD}"


def _set(group: Cgroup, file: str, value: str) -> None:
    for folder in group.directories:
        if (folder / file).exists():
            (folder / file).write_text(value)
            return
    if file not in _SWAP:
        raise FileNotFoundError(file)


def _members(folder: Path) -> list[int]:
    try:
        return [int(line) for line in (folder / "cgroup.procs").read_text().split()]
    except FileNotFoundError:
        return []
