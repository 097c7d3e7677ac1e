"""The contract of `infra.sandbox`: data, errors and the two Protocols that a backend implements.

Inside a sandbox there are three places that can be written, each empty at the start of a lease:

* `/work`: the agent's working directory, its `HOME`, and the default `cwd`;
* `/tmp`: scratch, the agent's too;
* `/grade`: the grader's, and its `HOME`; commands run as `agent` can neither read nor write it (`process` alone cannot
  keep that promise).

The three share one limit of disk, memory and inodes: what a grader must rely on goes into a fresh lease or a fork, and
ENOSPC or ENOMEM in the agent's own lease is the agent's doing.

Everything else is a read-only image. Times are seconds, sizes are bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

WORK, TMP, GRADE = "/work", "/tmp", "/grade"
AGENT_UID, GRADER_UID = 1000, 1001
MAX_FILE_BYTES = 64 << 20
MAX_ENTRIES = 10_000
BASE_ENV = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": WORK,
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
}

# Below these nothing starts; above, the kernel or the wire has no number for it.
_RANGES: dict[str, tuple[float, float]] = {
    "memory_bytes": (1 << 20, 1 << 60),
    "processes": (1, 1 << 22),
    "disk_bytes": (1 << 16, 1 << 60),
    "open_files": (16, 1 << 30),
    "output_bytes": (1, 1 << 31),
    "cpus": (0.01, 1 << 20),
    "seconds": (0.0, 1e8),
    "lease_seconds": (0.0, 1e8),
}
_ENV_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")

User = Literal["agent", "grader"]
Ended = Literal["exited", "timed_out", "out_of_memory", "output_limit"]
Kind = Literal["file", "directory", "link", "other"]
Command = Sequence[str] | str


class SandboxError(Exception):
    """Root of what this folder raises; file operations also raise the `OSError` that the kernel would."""


class SandboxUnavailable(SandboxError):
    """A backend cannot work on this machine; the message ends with the remedy."""


class SandboxFailed(SandboxError):
    """The infrastructure broke (not the command): the caller records `invalid_infra`, never a reward."""


class PathEscape(SandboxError, ValueError):
    """A path leaves the lease: `..`, a link on the way, or a root other than /work, /tmp and /grade."""


class FileTooLarge(SandboxError, ValueError):
    """A file beyond `MAX_FILE_BYTES`, or a directory beyond `MAX_ENTRIES`."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one lease may use. `seconds` bounds one command, `lease_seconds` the whole lease."""

    cpus: float = 1.0
    memory_bytes: int = 512 << 20
    processes: int = 128
    disk_bytes: int = 256 << 20
    open_files: int = 1024
    output_bytes: int = 1 << 20
    seconds: float = 60.0
    lease_seconds: float = 3600.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value, (least, most) = getattr(self, name), _RANGES.get(name, (0.0, float("inf")))
            if not (math.isfinite(value) and value > 0 and least <= value <= most):
                raise ValueError(f"Limits.{name} is {value}: it must be above 0, at least {least:g}, at most {most:g}")


DEFAULT_LIMITS = Limits()


def time_limit(timeout: float | None, limits: Limits) -> float:
    """The seconds of one command. Raises ValueError for what is no time."""
    if timeout is None:
        return limits.seconds
    if not (math.isfinite(timeout) and timeout > 0):
        raise ValueError(f"timeout is {timeout}: it must be above 0 seconds")
    return timeout


@dataclass(frozen=True, slots=True)
class ExecResult:
    """How a command ended. `exit_code` is 128 + signal for a killed command, as a shell reports it, and 137 for one
    that was stopped by a limit; output beyond `Limits.output_bytes` (both streams together) is cut off. `cpu_seconds`
    is what all its processes used, 0.0 where a backend cannot tell (`process`)."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    seconds: float
    ended: Ended
    cpu_seconds: float = 0.0

    @property
    def text(self) -> str:
        """Standard output, then standard error, decoded with replacement characters."""
        return (self.stdout + self.stderr).decode("utf-8", "replace")

    @property
    def ok(self) -> bool:
        """True if the command ended by itself with exit code 0."""
        return self.ended == "exited" and self.exit_code == 0


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes that a running command wrote, in the order in which they arrived."""

    stream: Literal["stdout", "stderr"]
    data: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a directory; bytes that are not UTF-8 arrive as surrogates (`os.fsencode` restores them)."""

    name: str
    kind: Kind
    size: int


@dataclass(frozen=True, slots=True)
class LeaseInfo:
    """A lease as the reaper sees it. `deadline` is a Unix time; `alive` is false if its owner is known to be gone."""

    id: str
    backend: str
    image: str
    owner: str
    deadline: float
    alive: bool
    note: str = ""

    @property
    def expired(self) -> bool:
        """True if the reaper may remove this lease now."""
        return not self.alive or time.time() > self.deadline


class Input:
    """Standard input that goes on while a command runs (`Lease.stream`). May be written from any thread, before and
    while the command runs; what comes after its end is lost. One command per object."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._early: list[bytes] = []
        self._sink: Callable[[bytes], None] | None = None

    def write(self, data: bytes) -> None:
        """Give the command more input. Raises ValueError for more than a command can be given at once."""
        check_request("", data)
        if data:
            self._give(data)

    def end(self) -> None:
        """The command reads the end of its input."""
        self._give(b"")

    def connect(self, sink: Callable[[bytes], None]) -> None:
        """For backends, in their event loop: from now on `sink` gets what is written, b"" for its end."""
        loop = asyncio.get_running_loop()

        def send(data: bytes) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and the command with it
                loop.call_soon_threadsafe(sink, data)

        with self._lock:
            self._sink = send
            for data in self._early:
                send(data)
            self._early.clear()

    def disconnect(self) -> None:
        """For backends: the command has ended."""
        with self._lock:
            self._sink = _lost

    def _give(self, data: bytes) -> None:
        with self._lock:
            if self._sink is None:
                self._early.append(data)
            else:
                self._sink(data)


def _lost(data: bytes) -> None:
    return


class Lease(Protocol):
    """One fresh sandbox. Commands of one lease run one at a time; when one ends, everything it started is killed."""

    @property
    def id(self) -> str: ...

    @property
    def image(self) -> str:
        """`name:hash` of the image, or `host` where the machine's own read-only system stands in for it."""
        ...

    async def exec(
        self,
        argv: Command,
        *,
        cwd: str = WORK,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        timeout: float | None = None,
        user: User = "agent",
    ) -> ExecResult:
        """Run argv, or a string through `/bin/sh -c`. `timeout` defaults to `Limits.seconds`. A missing command ends
        with 127, a missing `cwd` with 125. Raises SandboxFailed if the sandbox, not the command, broke."""
        ...

    def stream(
        self,
        argv: Command,
        *,
        cwd: str = WORK,
        env: Mapping[str, str] | None = None,
        stdin: bytes | Input = b"",
        timeout: float | None = None,
        user: User = "agent",
    ) -> AsyncIterator[Chunk | ExecResult]:
        """Like `exec`, but yields output as it comes and last an ExecResult with empty streams; with an `Input` the
        command can be talked to while it runs. A consumer that is slow
        slows the command down instead of filling memory, so `Limits.output_bytes` does not apply. Leaving the loop
        (`aclose`) ends the command."""
        ...

    async def read(self, path: str) -> bytes:
        """A regular file's bytes. Paths are relative to /work or absolute. Raises PathEscape, FileTooLarge, OSError."""
        ...

    async def write(self, path: str, data: bytes) -> None:
        """Replace a file, making its directories. Raises PathEscape, OSError (ENOSPC when the disk limit is hit)."""
        ...

    async def list(self, path: str = WORK) -> tuple[Entry, ...]:
        """A directory's entries by name. Raises PathEscape, FileTooLarge, OSError."""
        ...

    async def fork(self, owner: str = "") -> Lease:
        """A second live sandbox with this one's files (/work, /tmp, /grade) as they are now; neither sees what the
        other writes later. Nothing runs in it yet; limits and deadline are this lease's own."""
        ...

    async def snapshot(self) -> Snapshot:
        """The files as they are now, from which any number of leases can start, also after this one is closed."""
        ...

    async def close(self) -> None:
        """Destroy the sandbox and all it held; a second call does nothing."""
        ...


class Snapshot(Protocol):
    """The files of a lease at one moment, kept until `close`, the backend's end or the lease's deadline."""

    @property
    def id(self) -> str: ...

    async def lease(self, owner: str = "") -> Lease:
        """A fresh sandbox that starts with these files."""
        ...

    async def close(self) -> None:
        """Let go of the files; leases made from here live on."""
        ...


class Backend(Protocol):
    """A way to make leases. Constructing one is cheap and touches nothing."""

    name: str

    async def lease(
        self, image: str, limits: Limits = DEFAULT_LIMITS, owner: str = "", allow_hosts: Sequence[str] = ()
    ) -> Lease:
        """A fresh sandbox of an image. `owner` is a note for people. It has no network, but with `allow_hosts` an
        HTTP(S) proxy (in the usual environment variables) that reaches those host names (`*.example.org` for any below
        it) and nothing else. Raises ValueError, SandboxUnavailable or SandboxFailed."""
        ...

    async def check(self) -> str | None:
        """None if leases work on this machine, else one line that ends with the remedy."""
        ...

    async def list_leases(self) -> tuple[LeaseInfo, ...]:
        """Every lease of this backend on this machine, whoever owns it."""
        ...

    async def reap(self) -> tuple[str, ...]:
        """Remove leases whose owner died or whose deadline passed; returns their ids."""
        ...

    async def close(self) -> None:
        """Close every lease made here."""
        ...


def check_request(cwd: str, stdin: bytes) -> None:
    """Raises ValueError for a directory with a NUL byte, or more input than a command can be given at once."""
    if "\0" in cwd:
        raise ValueError(f"directory {cwd!r} contains a NUL byte")
    if len(stdin) > MAX_FILE_BYTES:
        raise ValueError(f"stdin of {len(stdin)} bytes is more than {MAX_FILE_BYTES}: write a file and read that")


def as_argv(command: Command) -> list[str]:
    """argv of a command; raises ValueError for an empty one or one with a NUL byte."""
    argv = ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
    if not argv or any("\0" in part for part in argv):
        raise ValueError(f"command {command!r} is empty or contains a NUL byte")
    return argv


def merged_env(env: Mapping[str, str] | None, **fixed: str) -> dict[str, str]:
    """The clean environment of a command, with the caller's variables on top; raises ValueError for a bad name."""
    merged = {**BASE_ENV, **fixed, **(env or {})}
    for name, value in merged.items():
        if not _ENV_NAME.fullmatch(name) or "\0" in value:
            raise ValueError(f"environment variable {name!r} has a bad name or a NUL byte in its value")
    return merged
