"""A lease whose commands and files a keeper serves."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Literal

from ..paths import split
from ..types import (
    GRADE,
    MAX_FILE_BYTES,
    WORK,
    Chunk,
    Command,
    Entry,
    ExecResult,
    FileTooLarge,
    Input,
    Kind,
    Limits,
    PathEscape,
    SandboxFailed,
    User,
    as_argv,
    check_request,
    merged_env,
    time_limit,
)
from . import wire
from .channel import Channel, Gone, Hung

if TYPE_CHECKING:
    from .wall import Wall

_PATIENCE = 30.0
_GRADERS = {"HOME": GRADE, "TMPDIR": GRADE}
_FILE_SECONDS = 60.0
_PIECE = 1 << 20
_PAUSE_CHUNKS, _RESUME_CHUNKS = 64, 16
_KINDS: dict[str, Kind] = {"f": "file", "d": "directory", "l": "link"}
_STREAMS: dict[str, Literal["stdout", "stderr"]] = {"o": "stdout", "e": "stderr"}


class WardenLease:
    """One keeper, and what it holds."""

    def __init__(
        self, wall: Wall, number: int, layer: int, limits: Limits, deadline: float, allow_hosts: tuple[str, ...]
    ) -> None:
        self.id, self.image = f"{wall.id}.{number}", wall.image
        self.number, self.limits, self.deadline, self.allow_hosts = number, limits, deadline, allow_hosts
        self.env: Mapping[str, str] = {}
        self._wall, self._layer = wall, layer
        self._dirty = layer == 0  # whether something may have been written to this layer
        self._busy, self._closing = asyncio.Lock(), False
        self._channel: Channel

    def connect(self, channel: Channel) -> None:
        """Give the lease its keeper's line."""
        self._channel = channel

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
        """See `Lease.exec`."""
        seconds = time_limit(timeout, self.limits)
        request = self._command(argv, cwd, env, stdin, seconds, user, streaming=0)
        output: dict[str, list[bytes]] = {"o": [], "e": []}
        async with self._busy:
            self._dirty = True
            started = time.monotonic()
            try:
                _, last = await self._ask(request, lambda kind, data: output[kind].append(data), seconds)
            except Gone as error:
                if await self._wall.ended_for_memory(self.number):
                    return ExecResult(137, b"", b"", time.monotonic() - started, "out_of_memory")
                raise self._ended(error) from error
        code, ended, took, cpu = wire.read_result(last)
        return ExecResult(code, b"".join(output["o"]), b"".join(output["e"]), took, ended, cpu)

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
        seconds = time_limit(timeout, self.limits)
        more = stdin if isinstance(stdin, Input) else None
        first = b"" if isinstance(stdin, Input) else stdin
        request = self._command(argv, cwd, env, first, seconds, user, streaming=2 if more else 1)
        chunks: asyncio.Queue[Chunk | None] = asyncio.Queue()

        def keep(kind: str, data: bytes) -> None:
            chunks.put_nowait(Chunk(_STREAMS[kind], data))
            if chunks.qsize() > _PAUSE_CHUNKS:
                self._channel.pause()

        async with self._busy:
            self._dirty = True
            asking = asyncio.create_task(self._ask(request, keep, float("inf")))
            asking.add_done_callback(lambda task: chunks.put_nowait(None))
            if more is not None:
                asyncio.get_running_loop().call_soon(more.connect, self._channel.send_input)
            try:
                while (chunk := await chunks.get()) is not None:
                    if chunks.qsize() < _RESUME_CHUNKS:
                        self._channel.resume()
                    yield chunk
                try:
                    _, last = await asking
                except Gone as error:
                    if not await self._wall.ended_for_memory(self.number):
                        raise self._ended(error) from error
                    last = wire.OUT_OF_MEMORY
            finally:
                if more is not None:
                    more.disconnect()
                asking.cancel()
                await asyncio.wait({asking})
        code, ended, took, cpu = wire.read_result(last)
        yield ExecResult(code, b"", b"", took, ended, cpu)

    async def read(self, path: str) -> bytes:
        """See `Lease.read`."""
        parts: list[bytes] = []
        await self._file("r", path, b"", lambda kind, data: parts.append(data))
        return b"".join(parts)

    async def write(self, path: str, data: bytes) -> None:
        """See `Lease.write`."""
        await self._file("w", path, data[:_PIECE])
        for start in range(_PIECE, len(data), _PIECE):
            await self._file("a", path, data[start : start + _PIECE])

    async def list(self, path: str = WORK) -> tuple[Entry, ...]:
        """See `Lease.list`."""
        found: list[Entry] = []

        def keep(kind: str, data: bytes) -> None:
            letter, size, name = wire.read_entry(data)
            found.append(Entry(os.fsdecode(name), _KINDS.get(letter, "other"), size))

        await self._file("l", path, b"", keep)
        return tuple(sorted(found, key=lambda entry: entry.name))

    async def fork(self, owner: str = "") -> WardenLease:
        """See `Lease.fork`: this lease's layer is frozen, and each side writes to a new one above it. Where nothing was
        written since the last time, there is nothing to freeze."""
        async with self._busy:
            self._must_be_open()
            if not self._dirty:
                return await self._wall.lease(self.limits, owner, parent=self, layer=self._layer)
            above = self._layer + 1
            making = asyncio.create_task(self._wall.lease(self.limits, owner, parent=self, layer=above))
            try:
                await self._wall.push(self.number, above)
                self._layer, self._dirty = above, False
            except BaseException:
                making.cancel()
                await asyncio.shield(self._end())  # its files may be half frozen
                raise
            return await making

    async def snapshot(self) -> WardenSnapshot:
        """See `Lease.snapshot`."""
        return WardenSnapshot(await self.fork("snapshot"))

    async def close(self) -> None:
        """See `Lease.close`; a running command ends at once."""
        await self._end()

    async def _end(self) -> None:
        self._closing = True
        await self._wall.end(self.number)
        self._channel.close()

    def _command(
        self,
        argv: Command,
        cwd: str,
        env: Mapping[str, str] | None,
        stdin: bytes,
        seconds: float,
        user: User,
        *,
        streaming: int,
    ) -> bytes:
        check_request(cwd, stdin)
        return wire.command_frame(
            as_argv(argv),
            cwd,
            # What starts by itself from a home directory must not be the agent's when the grader runs, nor may its
            # temporary files lie where the agent writes.
            merged_env({**self.env, **(env or {})}, **(_GRADERS if user == "grader" else {})),
            stdin,
            seconds=seconds,
            output_bytes=self.limits.output_bytes,
            user=user,
            streaming=streaming,
        )

    async def _ask(self, request: bytes, keep: wire.Keep, seconds: float) -> tuple[str, bytes]:
        self._must_be_open()
        try:
            return await self._channel.ask(request, keep, seconds + _PATIENCE)
        except Hung:
            await asyncio.shield(self._end())
            raise

    def _must_be_open(self) -> None:
        if self._closing or time.time() > self.deadline:
            raise SandboxFailed(f"lease {self.id} is closed or past its deadline: take a new one")

    def _ended(self, error: Gone) -> SandboxFailed:
        past = time.time() > self.deadline
        reason = "its deadline passed" if past else "it was closed" if self._closing else str(error)
        return SandboxFailed(f"lease {self.id} ended: {reason}")

    async def _file(self, kind: str, path: str, data: bytes, keep: wire.Keep = lambda kind, data: None) -> None:
        root, parts = split(path)
        if not parts and kind != "l":
            raise IsADirectoryError(21, "Is a directory", path)
        name = os.fsencode("/".join((root, *parts)))
        async with self._busy:
            self._dirty |= kind in "wa"
            await self._simple(wire.frame(kind, name + b"\0" + data), path, keep)

    async def _simple(self, request: bytes, about: str, keep: wire.Keep = lambda kind, data: None) -> None:
        try:
            _, last = await self._ask(request, keep, _FILE_SECONDS)
        except Gone as error:
            if await self._wall.ended_for_memory(self.number):  # the agent's doing, not the machine's
                raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM), about) from error
            raise self._ended(error) from error
        reason = wire.read_reason(last)
        if reason == wire.ESCAPED:
            raise PathEscape(f"path {about!r} goes through a link: links are not followed")
        if reason == wire.TOO_LARGE:
            raise FileTooLarge(f"{about!r} is larger than {MAX_FILE_BYTES} bytes, or a directory with too many entries")
        if reason:
            raise OSError(reason, os.strerror(reason), about)


class WardenSnapshot:
    """A fork in which nothing ever runs."""

    def __init__(self, frozen: WardenLease) -> None:
        self.id, self._frozen = frozen.id, frozen

    async def lease(self, owner: str = "") -> WardenLease:
        """See `Snapshot.lease`."""
        return await self._frozen.fork(owner)

    async def close(self) -> None:
        """See `Snapshot.close`."""
        await self._frozen.close()
