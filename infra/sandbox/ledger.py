"""Which leases a wall holds, in a file that any process can read and the owner updates without a system call.

Each lease has one fixed slot of JSON in a memory-mapped file; an owner that is killed leaves it as it was.
"""

from __future__ import annotations

import json
import mmap
import os
from pathlib import Path
from typing import Any

_SLOT = 192
_GROW = 256
_NOTE = 60


class Ledger:
    """The owner's side."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._slots: dict[int, int] = {}
        self._free: list[int] = []
        self._map = self._grow(0)

    def add(self, number: int, deadline: float, note: str) -> None:
        """Record a lease."""
        if not self._free:
            self._map = self._grow(len(self._map) // _SLOT)
        slot = self._slots[number] = self._free.pop()
        line = json.dumps({"number": number, "deadline": deadline, "note": note[:_NOTE]}).encode("ascii")
        if len(line) >= _SLOT:  # a note of nothing but escapes
            line = json.dumps({"number": number, "deadline": deadline, "note": ""}).encode("ascii")
        self._map[slot * _SLOT : (slot + 1) * _SLOT] = line.ljust(_SLOT - 1) + b"\n"

    def remove(self, number: int) -> None:
        """Forget a lease."""
        slot = self._slots.pop(number, None)
        if slot is not None:
            self._map[slot * _SLOT : (slot + 1) * _SLOT] = b" " * (_SLOT - 1) + b"\n"
            self._free.append(slot)

    def close(self) -> None:
        """Let go of the file."""
        self._map.close()
        os.close(self._fd)

    def _grow(self, slots: int) -> mmap.mmap:
        # Real blocks: a hole that a full disk cannot fill would end this process when it is written.
        os.posix_fallocate(self._fd, 0, (slots + _GROW) * _SLOT)
        grown = mmap.mmap(self._fd, (slots + _GROW) * _SLOT)
        if slots:
            self._map.close()
        self._free = list(range(slots + _GROW - 1, slots - 1, -1))
        return grown


def read_ledger(path: Path) -> list[dict[str, Any]]:
    """The leases on record; a slot that is being written, or a missing file, has none."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        text = line.strip(b" \0")
        if text.startswith(b"{") and text.endswith(b"}"):
            found.append(json.loads(text))
    return found
