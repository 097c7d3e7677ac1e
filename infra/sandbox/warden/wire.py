"""What passes between the owner and its warden and keepers; `c/warden.h` and `c/keeper.c` are the other side."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..types import Ended, Limits, User

HEADER = struct.Struct("=IB")
_ORDER = struct.Struct("=BQQIQQIIIId")
_SHORT_ORDER = struct.Struct("=BQQI")
_NOTICE = struct.Struct("=BQB")
_COMMAND = struct.Struct("=BBQdIII")
_RESULT = struct.Struct("=iBdd")
_ENTRY = struct.Struct("=BQ")
_REASON = struct.Struct("=i")
_PERIOD_US = 100_000
_TEXT_BYTES = 16 << 20
_ENDED: tuple[Ended, ...] = ("exited", "timed_out", "out_of_memory", "output_limit")
ESCAPED, TOO_LARGE = -1, -2
OUT_OF_MEMORY = _RESULT.pack(137, _ENDED.index("out_of_memory"), 0.0, 0.0)
Keep = Callable[[str, bytes], None]
STOP = HEADER.pack(0, ord("k"))


@dataclass(frozen=True, slots=True)
class Order:
    """A lease to be made: `parent` is 0, or the number of the lease whose files it starts with."""

    number: int
    parent: int
    layer: int
    limits: Limits
    seconds: float
    cpus: float
    proxy: bool

    def pack(self) -> bytes:
        """The datagram."""
        limits = self.limits
        return _ORDER.pack(
            ord("L"), self.number, self.parent, self.layer, limits.memory_bytes, limits.disk_bytes, limits.processes,
            max(1000, int(self.cpus * _PERIOD_US)), limits.open_files, self.proxy, self.seconds,
        )  # fmt: skip


def pack_filter(program: bytes) -> bytes:
    """The datagram that gives the system call filter."""
    return b"F" + program


def pack_kill(number: int) -> bytes:
    """The datagram that ends a lease."""
    return _SHORT_ORDER.pack(ord("K"), number, 0, 0)


def pack_push(number: int, layer: int) -> bytes:
    """The datagram that freezes a lease's layer and puts another above it."""
    return _SHORT_ORDER.pack(ord("P"), number, 0, layer)


def read_notice(datagram: bytes) -> tuple[str, int, int]:
    """A notice of the warden: `P` and an errno, or `D` and 1 if memory ran out; and the lease's number before that."""
    kind, number, value = _NOTICE.unpack(datagram)
    return chr(kind), number, value


def frame(kind: str, payload: bytes) -> bytes:
    """One request."""
    return HEADER.pack(len(payload), ord(kind)) + payload


def command_frame(
    argv: Sequence[str],
    cwd: str,
    env: Mapping[str, str],
    stdin: bytes,
    *,
    seconds: float,
    output_bytes: int,
    user: User,
    streaming: int,
) -> bytes:
    """The request to run a command: `streaming` is 1 for output as it comes, 2 where input goes on, too. Raises
    ValueError for one that no system would start."""
    variables = [f"{name}={value}" for name, value in env.items()]
    text = "\0".join((cwd, *argv, *variables, "")).encode("utf-8", "surrogateescape")
    if len(text) > _TEXT_BYTES:
        raise ValueError(f"a command line of {len(text)} bytes is more than any system takes: write a file instead")
    head = _COMMAND.pack(user == "grader", streaming, output_bytes, seconds, len(argv), len(variables), len(text))
    return frame("x", head + text + stdin)


def read_result(payload: bytes) -> tuple[int, Ended, float, float]:
    """Exit code, why it ended, seconds, seconds of CPU."""
    code, ended, seconds, cpu_seconds = _RESULT.unpack(payload)
    return code, _ENDED[ended], seconds, cpu_seconds


def read_reason(payload: bytes) -> int:
    """0, an errno, ESCAPED or TOO_LARGE."""
    reason: int = _REASON.unpack(payload)[0]
    return reason


def read_entry(payload: bytes) -> tuple[str, int, bytes]:
    """Kind (f, d, l, o), size and name of one directory entry."""
    kind, size = _ENTRY.unpack_from(payload)
    return chr(kind), size, payload[_ENTRY.size :]


def split_frames(buffer: bytearray) -> Iterator[tuple[str, bytes]]:
    """Take the whole frames off the front of a buffer: kind and payload of each."""
    start = 0
    while len(buffer) - start >= HEADER.size:
        size, kind = HEADER.unpack_from(buffer, start)
        end = start + HEADER.size + size
        if len(buffer) < end:
            break
        yield chr(kind), bytes(buffer[start + HEADER.size : end])
        start = end
    del buffer[:start]
