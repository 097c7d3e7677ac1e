"""`process`: NO isolation. A temporary directory and a clean environment, for trusted code only.

A command sees the whole machine with the rights of the caller, may use the network, and a daemon that leaves its
process group outlives it. There is no `/work`: `cwd="/work"` means the lease's own directory, and programs should
use relative paths. Of the limits only time and output hold, and memory and open files per process.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

from . import owner as owners
from .homes import LEDGER, list_homes, list_leases, make_home, read_wall
from .ledger import Ledger
from .paths import LeaseFiles, remove_tree, split
from .run import Bounds, Sink, run
from .threads import in_thread
from .types import (
    DEFAULT_LIMITS,
    GRADE,
    TMP,
    WORK,
    Chunk,
    Command,
    Entry,
    ExecResult,
    Input,
    LeaseInfo,
    Limits,
    SandboxFailed,
    User,
    as_argv,
    check_request,
    merged_env,
    time_limit,
)

_ROOTS = (WORK, TMP, GRADE)


class ProcessLease:
    """See the module: unsafe."""

    image = "host"

    def __init__(self, home: Path, number: int, deadline: float, limits: Limits, fork: Fork) -> None:
        self.id, self.number, self.deadline, self.limits = f"{home.name}.{number}", number, deadline, limits
        self.home = home / str(number)
        self.on_close: Callable[[int], object] = lambda number: None
        self._fork, self._closed = fork, False
        self._busy = asyncio.Lock()
        roots = {root: self.home / root[1:] for root in _ROOTS}
        for folder in roots.values():
            folder.mkdir(parents=True)
        self._files = LeaseFiles(roots)

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
        """See `Lease.exec`; `user` chooses nothing here: both identities are the caller's."""
        bounds = Bounds(time_limit(timeout, self.limits), self.limits.output_bytes)
        return await self._run(argv, cwd, env, stdin, bounds)

    async def stream(
        self,
        argv: Command,
        *,
        cwd: str = WORK,
        env: Mapping[str, str] | None = None,
        stdin: bytes | Input = b"",
        timeout: float | None = None,
        user: User = "agent",
    ) -> AsyncIterator[Chunk | ExecResult]:
        """See `Lease.stream`."""
        chunks: asyncio.Queue[Chunk | None] = asyncio.Queue(maxsize=64)
        bounds = Bounds(time_limit(timeout, self.limits), 0)
        running = asyncio.create_task(self._run(argv, cwd, env, stdin, bounds, chunks.put))
        finished = asyncio.create_task(_end_with(running, chunks))
        try:
            while (chunk := await chunks.get()) is not None:
                yield chunk
            yield await running
        finally:
            running.cancel()
            finished.cancel()
            await asyncio.wait({running, finished})

    async def _run(
        self,
        argv: Command,
        cwd: str,
        env: Mapping[str, str] | None,
        stdin: bytes | Input,
        bounds: Bounds,
        sink: Sink | None = None,
    ) -> ExecResult:
        command = as_argv(argv)
        check_request(cwd, b"" if isinstance(stdin, Input) else stdin)
        root, parts = split(cwd)
        folder = self._files.roots[root].joinpath(*parts)
        clean = merged_env({"TMPDIR": str(self._files.roots[TMP]), **(env or {})}, HOME=str(self._files.roots[WORK]))
        head = f"ulimit -v {self.limits.memory_bytes // 1024}; ulimit -n {self.limits.open_files}; "
        script = head + 'cd -- "$1" || exit 125; shift; exec "$@"'
        async with self._busy:
            self._must_be_open()
            try:
                shell = ["/bin/sh", "-c", script, "sh", str(folder), *command]
                return await run(shell, env=clean, cwd=None, stdin=stdin, bounds=bounds, sink=sink)
            except OSError as error:
                raise SandboxFailed(f"cannot start a process: {error}") from error

    async def read(self, path: str) -> bytes:
        """See `Lease.read`."""
        return await in_thread(self._files.read, path)

    async def write(self, path: str, data: bytes) -> None:
        """See `Lease.write`."""
        await in_thread(self._files.write, path, data)

    async def list(self, path: str = WORK) -> tuple[Entry, ...]:
        """See `Lease.list`."""
        return await in_thread(self._files.entries, path)

    async def fork(self, owner: str = "") -> ProcessLease:
        """See `Lease.fork`: copies the files."""
        async with self._busy:
            self._must_be_open()
            return await in_thread(self._fork, self, owner)

    async def snapshot(self) -> ProcessSnapshot:
        """See `Lease.snapshot`."""
        return ProcessSnapshot(await self.fork("snapshot"))

    async def close(self) -> None:
        """Remove the directory."""
        self._closed = True
        await in_thread(remove_tree, self.home)
        self.on_close(self.number)

    def _must_be_open(self) -> None:
        if self._closed or time.time() > self.deadline:
            raise SandboxFailed(f"lease {self.id} is closed or past its deadline: take a new one")


Fork = Callable[[ProcessLease, str], ProcessLease]


class ProcessSnapshot:
    """A copy in which nothing runs."""

    def __init__(self, frozen: ProcessLease) -> None:
        self.id, self._frozen = frozen.id, frozen

    async def lease(self, owner: str = "") -> ProcessLease:
        """See `Snapshot.lease`."""
        return await self._frozen.fork(owner)

    async def close(self) -> None:
        """See `Snapshot.close`."""
        await self._frozen.close()


class ProcessBackend:
    """Leases without walls; never chosen unless named."""

    name = "process"

    def __init__(self) -> None:
        self._home: Path | None = None
        self._ledger: Ledger | None = None
        self._leases: dict[int, ProcessLease] = {}
        self._numbers = itertools.count(1)

    async def lease(
        self, image: str, limits: Limits = DEFAULT_LIMITS, owner: str = "", allow_hosts: Sequence[str] = ()
    ) -> ProcessLease:
        """See `Backend.lease`; the image is not used, and the network is the machine's own."""
        return self._make(time.time() + limits.lease_seconds, limits, owner)

    async def check(self) -> str | None:
        """Always works."""
        return None

    async def list_leases(self) -> tuple[LeaseInfo, ...]:
        """See `Backend.list_leases`."""
        return list_leases(self.name)

    async def reap(self) -> tuple[str, ...]:
        """See `Backend.reap`."""
        gone = [lease.id for lease in list_leases(self.name) if not lease.alive]
        for home in list_homes(self.name):
            if not read_wall(home).alive:
                await in_thread(remove_tree, home)
        for lease in [each for each in self._leases.values() if time.time() > each.deadline]:
            gone.append(lease.id)
            await lease.close()
        return tuple(gone)

    async def close(self) -> None:
        """See `Backend.close`."""
        for lease in list(self._leases.values()):
            await lease.close()
        if self._home is not None and self._ledger is not None:
            self._ledger.close()
            await in_thread(remove_tree, self._home)
            self._home = self._ledger = None

    def _make(self, deadline: float, limits: Limits, owner: str) -> ProcessLease:
        if self._home is None or self._ledger is None:
            self._home = make_home(self.name, "host", owners.mark())
            self._ledger = Ledger(self._home / LEDGER)
        lease = ProcessLease(self._home, next(self._numbers), deadline, limits, self._fork)
        self._ledger.add(lease.number, deadline, owner)
        self._leases[lease.number] = lease
        lease.on_close = self._forget
        return lease

    def _fork(self, parent: ProcessLease, owner: str) -> ProcessLease:
        child = self._make(parent.deadline, parent.limits, owner)
        try:
            shutil.copytree(parent.home, child.home, symlinks=True, dirs_exist_ok=True)
        except (OSError, shutil.Error) as error:
            remove_tree(child.home)
            self._forget(child.number)
            raise SandboxFailed(f"cannot copy the files of lease {parent.id}: {error}") from error
        return child

    def _forget(self, number: int) -> None:
        if self._leases.pop(number, None) is not None and self._ledger is not None:
            self._ledger.remove(number)


async def _end_with(running: asyncio.Task[ExecResult], chunks: asyncio.Queue[Chunk | None]) -> None:
    await asyncio.wait({running})
    await chunks.put(None)
