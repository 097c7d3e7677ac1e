"""Run one process of the host with bounded output and time, for the `process` backend."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from .types import Chunk, Ended, ExecResult, Input

_DRAIN_SECONDS = 2.0
Sink = Callable[[Chunk], Awaitable[None]]


@dataclass
class Output:
    """Both streams of one command, cut at `room` bytes together."""

    room: int

    def __post_init__(self) -> None:
        self.stdout, self.stderr = bytearray(), bytearray()
        self.overflow = asyncio.Event()

    def add(self, data: bytes, *, to_stderr: bool = False) -> None:
        """Keep what still fits; sets `overflow` once something did not."""
        kept = data[: self.room]
        self.room -= len(kept)
        (self.stderr if to_stderr else self.stdout).extend(kept)
        if len(kept) < len(data):
            self.overflow.set()


@dataclass(frozen=True)
class Bounds:
    """Seconds and bytes that one command may take."""

    seconds: float
    output_bytes: int


async def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str | None,
    stdin: bytes | Input,
    bounds: Bounds,
    sink: Sink | None = None,
) -> ExecResult:
    """Run argv in a process group of its own, which is killed at the end whatever happens. A `sink` gets the output as
    it comes, without limit. Raises OSError if it cannot be started."""
    started = time.monotonic()
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=pipe, stdout=pipe, stderr=pipe, env=env, cwd=cwd, start_new_session=True
    )
    output = Output(bounds.output_bytes)
    feeding = asyncio.create_task(_feed(process, stdin))
    streams = [
        asyncio.create_task(_drain(process.stdout, output, sink, to_stderr=False)),
        asyncio.create_task(_drain(process.stderr, output, sink, to_stderr=True)),
    ]
    try:
        ended = await _first_end(process, output, bounds.seconds)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        feeding.cancel()
        await asyncio.wait(streams, timeout=_DRAIN_SECONDS if sink is None else bounds.seconds)
        for stream in streams:
            stream.cancel()
        await asyncio.gather(feeding, *streams, return_exceptions=True)
        _close_pipes(process)
    if output.overflow.is_set():
        ended = "output_limit"
    code = exit_code(process.returncode or 0) if ended == "exited" else 137
    return ExecResult(code, bytes(output.stdout), bytes(output.stderr), time.monotonic() - started, ended)


def exit_code(returncode: int) -> int:
    """A shell's exit code for `Popen.returncode` (negative for a signal)."""
    return returncode if returncode >= 0 else 128 - returncode


async def _first_end(process: asyncio.subprocess.Process, output: Output, seconds: float) -> Ended:
    exited = asyncio.create_task(process.wait())
    flooded = asyncio.create_task(output.overflow.wait())
    try:
        await asyncio.wait({exited, flooded}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if exited.done():
            return "exited"
        return "output_limit" if flooded.done() else "timed_out"
    finally:
        for task in (exited, flooded):
            task.cancel()
        await asyncio.gather(exited, flooded, return_exceptions=True)


async def _feed(process: asyncio.subprocess.Process, given: bytes | Input) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the command need not read its input
        if isinstance(given, Input):
            await _pass_on(given, process.stdin)
        else:
            process.stdin.write(given)
            await process.stdin.drain()
    process.stdin.close()


async def _pass_on(given: Input, stdin: asyncio.StreamWriter) -> None:
    pieces: asyncio.Queue[bytes] = asyncio.Queue()
    given.connect(pieces.put_nowait)
    try:
        while piece := await pieces.get():
            stdin.write(piece)
            await stdin.drain()
    finally:
        given.disconnect()


async def _drain(stream: asyncio.StreamReader | None, output: Output, sink: Sink | None, *, to_stderr: bool) -> None:
    assert stream is not None
    while data := await stream.read(1 << 16):
        if sink is None:
            output.add(data, to_stderr=to_stderr)
        else:
            await sink(Chunk("stderr" if to_stderr else "stdout", data))


def _close_pipes(process: asyncio.subprocess.Process) -> None:
    # A daemon that outlived the group still holds the pipes' other ends; asyncio offers no public way to let go.
    transport: asyncio.SubprocessTransport = process._transport  # type: ignore[attr-defined]
    transport.close()
