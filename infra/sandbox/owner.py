"""Who owns a lease, in a form that any later process can judge: is that owner still alive?

A mark is `host/boot/pid namespace/pid/start time`. Start time (clock ticks since boot, proc(5) `stat` field 22) tells a
process from a later one with the same number.
"""

from __future__ import annotations

import functools
import os
import secrets
import socket
from pathlib import Path

# Above every range that Debian, shadow and systemd hand out.
_FIRST_UID, _RANGE, _RANGES = 2_200_000_000, 65_536, 30_000


def new_uids() -> int:
    """The first of 65,536 user ids that no other wall has (but for a chance of one in 30,000, against which its
    namespaces still stand)."""
    return _FIRST_UID + _RANGE * secrets.randbelow(_RANGES)


def mark() -> str:
    """The mark of this process."""
    return f"{_place()}/{os.getpid()}/{_started(os.getpid())}"


def is_alive(owner: str) -> bool:
    """False only if the owner is certainly gone; owners of other machines or PID namespaces count as alive."""
    parts = owner.split("/")
    if len(parts) != 5 or not parts[3].isdigit():
        return False
    host, boot, _ = _place().split("/")
    if parts[0] != host:
        return True
    if parts[1] != boot:
        return False
    return "/".join(parts[:3]) != _place() or _started(int(parts[3])) == parts[4]


@functools.cache
def _place() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{socket.gethostname()}/{boot}/{os.stat('/proc/self/ns/pid').st_ino}"


def _started(pid: int) -> str:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return "gone"
    fields = status.rpartition(")")[2].split()
    return "gone" if fields[0] in "ZX" else fields[19]
