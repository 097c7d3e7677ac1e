"""`process`: NO isolation. A temporary directory and a clean environment, for trusted code only.

A command sees the whole machine with the rights of the caller, may use the network, and a daemon that leaves its
process group outlives it. There is no `/work`: `cwd="/work"` means the lease's own directory, and programs should
use relative paths. Of the limits only time and output hold, and memory and open files per process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from .homes import leases_root, list_homes, make_home
from .paths import LeaseFiles, remove_tree, split
from .run import Bounds, run
from .types import (
    DEFAULT_LIMITS,
    GRADE,
    TMP,
    WORK,
    Command,
    Entry,
    ExecResult,
    LeaseInfo,
    Limits,
    SandboxFailed,
    User,
    as_argv,
    merged_env,
)


class ProcessLease:
    """See the module: unsafe."""

    image = "host"

    def __init__(self, home: Path, deadline: float, limits: Limits) -> None:
        self.id = home.name
        self.on_close: Callable[[str], object] = lambda name: None
        self._home, self._limits = home, limits
        self._deadline, self._closed = deadline, False
        self._busy = asyncio.Lock()
        roots = {root: home / root[1:] for root in (WORK, TMP, GRADE)}
        for folder in roots.values():
            folder.mkdir()
        self._files = LeaseFiles(roots, dict.fromkeys(roots))

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
        """See `Lease.exec`; `user` only chooses nothing here: both identities are the caller's."""
        command = as_argv(argv)
        root, parts = split(cwd)
        folder = self._files.roots[root].joinpath(*parts)
        clean = merged_env({"TMPDIR": str(self._files.roots[TMP]), **(env or {})}, HOME=str(self._files.roots[WORK]))
        limits = self._limits
        head = f"ulimit -v {limits.memory_bytes // 1024}; ulimit -n {limits.open_files}; "
        script = head + 'cd -- "$1" || exit 125; shift; exec "$@"'
        bounds = Bounds(timeout or limits.seconds, limits.output_bytes)
        async with self._busy:
            if self._closed or time.time() > self._deadline:
                raise SandboxFailed(f"lease {self.id} is closed or past its deadline: take a new one")
            try:
                return await run(
                    ["/bin/sh", "-c", script, "sh", str(folder), *command],
                    env=clean, cwd=None, stdin=stdin, bounds=bounds,
                )  # fmt: skip
            except OSError as error:
                raise SandboxFailed(f"cannot start a process: {error}") from error

    async def read(self, path: str) -> bytes:
        """See `Lease.read`."""
        return await asyncio.to_thread(self._files.read, path)

    async def write(self, path: str, data: bytes) -> None:
        """See `Lease.write`."""
        await asyncio.to_thread(self._files.write, path, data)

    async def list(self, path: str = WORK) -> tuple[Entry, ...]:
        """See `Lease.list`."""
        return await asyncio.to_thread(self._files.entries, path)

    async def close(self) -> None:
        """Remove the directory."""
        self._closed = True
        await asyncio.to_thread(remove_tree, self._home)
        self.on_close(self.id)


class ProcessBackend:
    """Leases without walls; never chosen unless named."""

    name = "process"

    def __init__(self) -> None:
        self._leases: dict[str, ProcessLease] = {}

    async def lease(self, image: str, limits: Limits = DEFAULT_LIMITS, owner: str = "") -> ProcessLease:
        """See `Backend.lease`; the image is not used."""
        lease = ProcessLease(*make_home(self.name, image, limits, owner), limits)
        self._leases[lease.id] = lease
        lease.on_close = lambda name: self._leases.pop(name, None)
        return lease

    async def check(self) -> str | None:
        """Always works."""
        return None

    async def list_leases(self) -> tuple[LeaseInfo, ...]:
        """See `Backend.list_leases`."""
        return list_homes(self.name)

    async def reap(self) -> tuple[str, ...]:
        """See `Backend.reap`."""
        gone = [info.id for info in list_homes(self.name) if info.expired]
        for name in gone:
            remove_tree(leases_root(self.name) / name)
        return tuple(gone)

    async def close(self) -> None:
        """See `Backend.close`."""
        for lease in list(self._leases.values()):
            await lease.close()
