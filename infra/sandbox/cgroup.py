"""Where control groups of leases live on this machine (v1 and v2), and how to clear what dead wardens left there.

A warden makes `palestra/WALL/lN` in each hierarchy and removes `lN` with the lease; `WALL` is removed by its owner, by
the next warden's start, or by the reaper.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
_CONTROLLERS = ("memory", "pids", "cpu")


def folders() -> tuple[Path, ...]:
    """The `palestra` directory of each hierarchy that limits leases: one on v2, three on v1."""
    if (MOUNT / "cgroup.controllers").exists():
        return (MOUNT / "palestra",)
    return tuple(MOUNT / name / "palestra" for name in _CONTROLLERS if (MOUNT / name).is_dir())


def make_folders() -> tuple[Path, ...]:
    """The same, made if need be; empty where this process may not make them."""
    try:
        for folder in folders():
            folder.mkdir(exist_ok=True)
            if (folder / "cgroup.controllers").exists():
                (MOUNT / "cgroup.subtree_control").write_text("+memory +pids +cpu")
                (folder / "cgroup.subtree_control").write_text("+memory +pids +cpu")
    except OSError:
        return ()
    return folders()


def sweep() -> None:
    """Remove the groups of every wall in which no warden lives any more."""
    for folder in folders():
        for wall in folder.iterdir() if folder.is_dir() else ():
            if wall.is_dir() and not _inhabited(wall):
                clear(wall.name)


def _inhabited(wall: Path) -> bool:
    """A warden keeps its directories locked; who lives in them cannot be seen from another PID namespace. Another
    user's wall, which cannot be opened, is left to its owner."""
    try:
        folder = os.open(wall, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except PermissionError:
        return True
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(folder)
    return False


def clear(wall: str, seconds: float = 5.0) -> None:
    """End what is left in the groups of a wall and remove them; what this process may not remove stays."""
    until = time.monotonic() + seconds
    for folder in folders():
        while (folder / wall).exists():
            for inner, _, _ in os.walk(folder / wall, topdown=False):
                _remove(Path(inner))
            if time.monotonic() > until or not os.access(folder, os.W_OK):
                break


def _remove(group: Path) -> None:
    try:
        group.rmdir()
        return
    except FileNotFoundError:
        return
    except OSError:
        pass  # somebody is in it
    with contextlib.suppress(OSError):
        for pid in map(int, (group / "cgroup.procs").read_text().split()):
            if pid:  # 0 stands for a process that cannot be seen from here, and for kill(2) it is our own group
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    time.sleep(0.001)
