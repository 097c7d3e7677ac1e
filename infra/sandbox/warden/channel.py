"""A conversation with one keeper over its socket: a request, frames that come along, one last frame."""

from __future__ import annotations

import asyncio
import socket
from collections import deque

from ..types import SandboxFailed
from .wire import HEADER, STOP, Keep, frame, split_frames

_READ_BYTES = 1 << 18
_LAST = frozenset("Xz")
_KILL_SECONDS = 30.0


class Hung(SandboxFailed):
    """The keeper does not answer in time."""


class Gone(SandboxFailed):
    """The keeper hung up: its lease has ended."""


class Channel:
    """One request at a time; the caller sees to that."""

    def __init__(self, connection: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket, self._buffer = connection, bytearray()
        self._unsent: deque[memoryview] = deque()
        self._fd = connection.fileno()  # asyncio finds a number sooner than a socket
        self._answer: asyncio.Future[tuple[str, bytes]] | None = None
        self._keep: Keep = _discard
        self._closed, self._paused = False, False
        self.failure = ""
        self._loop.add_reader(self._fd, self._receive)

    async def ask(self, request: bytes, keep: Keep, seconds: float) -> tuple[str, bytes]:
        """Send a request and wait for its last frame; `keep` gets the others. A cancelled caller stops the command and
        still waits for its end. Raises Gone, Hung after `seconds`."""
        if self._closed:
            raise Gone(self.failure or "the sandbox is closed")
        answer = self._answer = self._loop.create_future()
        self._keep = keep
        guard = self._loop.call_later(seconds, self._give_up, answer)
        try:
            self._send(request)
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            self.resume()
            try:
                await self._stop(answer)
            except BaseException:  # cancelled once more: the next request must not get this answer
                self.close()
                raise
            raise
        finally:
            guard.cancel()
            self._answer = None

    def send_input(self, data: bytes) -> None:
        """Give the running command more input; nothing is its end. Where none runs any more it is lost."""
        if self._answer is not None and not self._closed:
            self._send(frame("i", data))

    def pause(self) -> None:
        """Stop reading, so that the keeper, and then the command, must wait."""
        if not self._paused and not self._closed:
            self._paused = True
            self._loop.remove_reader(self._fd)

    def resume(self) -> None:
        """Read again."""
        if self._paused and not self._closed:
            self._paused = False
            self._loop.add_reader(self._fd, self._receive)

    def close(self) -> None:
        """Hang up."""
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
            self._unsent.clear()
            self._socket.close()
            self._end(Gone(self.failure or "the sandbox was closed"))

    def _send(self, data: bytes) -> None:
        """Frames leave whole and in order, also where the caller is cancelled in the middle of one."""
        self._unsent.append(memoryview(data))
        if len(self._unsent) == 1:
            self._flush()

    def _flush(self) -> None:
        try:
            while self._unsent:
                rest = self._unsent[0][self._socket.send(self._unsent[0]) :]
                if rest:
                    self._unsent[0] = rest
                else:
                    self._unsent.popleft()
        except (BlockingIOError, InterruptedError):
            self._loop.add_writer(self._fd, self._flush)
            return
        except OSError:
            self._unsent.clear()  # it hung up: reading tells
        self._loop.remove_writer(self._fd)

    async def _stop(self, answer: asyncio.Future[tuple[str, bytes]]) -> None:
        self._keep = _discard
        if not answer.done() and not self._closed:
            self._send(STOP)
            await asyncio.wait({answer}, timeout=_KILL_SECONDS)
        if not answer.done() or answer.exception() is not None:
            self.close()

    def _receive(self) -> None:
        try:
            data = self._socket.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._buffer += data
        for kind, payload in split_frames(self._buffer):
            if kind == "f":
                self.failure = payload.decode("utf-8", "replace")
            elif kind not in _LAST:
                self._keep(kind, payload)
            elif self._answer is not None and not self._answer.done():
                self._answer.set_result((kind, payload))

    def _end(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
            self._answer.exception()  # a cancelled caller may never look

    def _give_up(self, answer: asyncio.Future[tuple[str, bytes]]) -> None:
        if not answer.done():
            answer.set_exception(Hung("the sandbox does not answer"))
            answer.exception()


def _discard(kind: str, data: bytes) -> None:
    return


async def first_words(connection: socket.socket) -> socket.socket | None:
    """Wait until a new keeper is ready; the listening socket of its network, if it hands one over. Raises
    SandboxFailed."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(connection.fileno(), readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(connection.fileno())
    data, descriptors, _, _ = socket.recv_fds(connection, HEADER.size, 1, socket.MSG_CMSG_CLOEXEC)
    if data == HEADER.pack(0, ord("R")):
        return socket.socket(fileno=descriptors[0]) if descriptors else None
    reason = connection.recv(1 << 12).decode("utf-8", "replace") if data else "its warden could not start it"
    raise SandboxFailed(f"cannot make a sandbox: {reason}")
