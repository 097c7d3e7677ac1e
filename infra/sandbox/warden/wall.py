"""An outer wall that stands: its warden's control socket, and the leases it holds."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..egress import Proxy, proxy_env
from ..ledger import Ledger
from ..types import Limits, SandboxFailed
from . import wire
from .channel import Channel, first_words
from .lease import WardenLease

_END_SECONDS = 30.0
_NOTICE_BYTES = 64
_CPUS = os.cpu_count() or 1


@dataclass(frozen=True)
class Raised:
    """What a backend gives for a new wall: the owner's end of the control socket, the image's tag, and how to take it
    down for good."""

    control: socket.socket
    image: str
    demolish: Callable[[], Awaitable[None]]


class Wall:
    """One warden; made in the event loop that uses it."""

    def __init__(self, home: Path, raised: Raised, program: bytes, env: Mapping[str, str]) -> None:
        self.id, self.image, self.home = home.name, raised.image, home
        self.lost = False
        self._env = env
        self._control, self._demolish = raised.control, raised.demolish
        self._loop = asyncio.get_running_loop()
        self._numbers = itertools.count(1)
        self._gone: dict[int, asyncio.Future[bool]] = {}
        self._pushed: dict[int, asyncio.Future[int]] = {}
        self._proxies: dict[int, Proxy] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._waiting: list[asyncio.Future[None]] = []
        self._ledger = Ledger(home / "leases")
        self._control.setblocking(False)
        self._loop.add_reader(self._control, self._listen)
        self._control.send(wire.pack_filter(program))

    async def lease(
        self,
        limits: Limits,
        owner: str,
        *,
        parent: WardenLease | None = None,
        layer: int = 0,
        allow_hosts: Sequence[str] = (),
    ) -> WardenLease:
        """A fresh lease, or one that starts with the files of another. Raises SandboxFailed."""
        if self.lost:
            raise SandboxFailed(f"the outer wall {self.id} is gone")
        number = next(self._numbers)
        deadline = parent.deadline if parent else time.time() + limits.lease_seconds
        seconds = max(deadline - time.time(), 0.001)
        hosts = parent.allow_hosts if parent else tuple(allow_hosts)
        cpus = min(limits.cpus, _CPUS)
        order = wire.Order(number, parent.number if parent else 0, layer, limits, seconds, cpus, bool(hosts))
        lease = WardenLease(self, number, layer, limits, deadline, hosts)
        try:
            self._ledger.add(number, deadline, owner)
            ours, keepers = socket.socketpair()
        except OSError as error:
            self._ledger.remove(number)
            raise SandboxFailed(f"cannot make a lease: {error}") from error
        self._gone[number] = self._loop.create_future()
        sent = False
        try:
            ours.setblocking(False)
            with keepers:
                await self._order(order.pack(), keepers)
            sent = True
            listener = await first_words(ours)
            lease.env = self._env
            if listener is not None:
                self._proxies[number] = await Proxy.serve(listener, hosts)
                lease.env = {**self._env, **proxy_env()}
        except BaseException:
            ours.close()
            if sent:
                await asyncio.shield(self.end(number))
            else:
                self._note_gone(number, False)
                self._gone.pop(number, None)
            raise
        lease.connect(Channel(ours))
        return lease

    async def push(self, number: int, layer: int) -> None:
        """Freeze a lease's layer and put another above it. Raises SandboxFailed."""
        gone = self._gone.get(number)
        if self.lost or gone is None or gone.done():
            raise SandboxFailed(f"lease {self.id}.{number} has ended")
        pushed = self._pushed[number] = self._loop.create_future()
        await self._order(wire.pack_push(number, layer))
        if self.lost:
            self._note_pushed(number, errno.ESRCH)
        if reason := await asyncio.shield(pushed):
            raise SandboxFailed(f"cannot freeze the files of lease {self.id}.{number}: {os.strerror(reason)}")

    async def end(self, number: int) -> None:
        """Kill a lease and wait until the kernel has taken down all of it."""
        gone = self._gone.get(number)
        if gone is None:
            return
        if not gone.done():
            await self._order(wire.pack_kill(number))
        try:
            await asyncio.wait_for(asyncio.shield(gone), _END_SECONDS)
        except TimeoutError:
            raise SandboxFailed(f"lease {self.id}.{number} does not end") from None
        self._gone.pop(number, None)

    async def ended_for_memory(self, number: int) -> bool:
        """Once a keeper hung up: whether that was because memory ran out."""
        gone = self._gone.get(number)
        return gone is not None and await asyncio.shield(gone)

    async def close(self) -> None:
        """End every lease and take the wall down."""
        self._lose()
        await asyncio.gather(*self._closing)
        await self._demolish()
        self._ledger.close()

    async def _order(self, datagram: bytes, passed: socket.socket | None = None) -> None:
        while not self.lost:
            try:
                if passed is None:
                    self._control.send(datagram)
                else:
                    socket.send_fds(self._control, [datagram], [passed.fileno()])
                return
            except BlockingIOError:  # the warden is busy making others
                await self._writable()
            except OSError:
                self._lose()
        if passed is not None:
            raise SandboxFailed(f"the outer wall {self.id} is gone")

    async def _writable(self) -> None:
        ready: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append(ready)
        self._loop.add_writer(self._control, self._wake)
        await ready

    def _wake(self) -> None:
        self._loop.remove_writer(self._control)
        self._wake_all()

    def _wake_all(self) -> None:
        for ready in self._waiting:
            if not ready.done():
                ready.set_result(None)
        self._waiting.clear()

    def _listen(self) -> None:
        try:
            datagram = self._control.recv(_NOTICE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            datagram = b""
        if not datagram:
            self._lose()
            return
        kind, number, value = wire.read_notice(datagram)
        if kind == "P":
            self._note_pushed(number, value)
        else:
            self._note_gone(number, bool(value))

    def _note_pushed(self, number: int, reason: int) -> None:
        pushed = self._pushed.pop(number, None)
        if pushed is not None and not pushed.done():
            pushed.set_result(reason)

    def _note_gone(self, number: int, out_of_memory: bool) -> None:
        self._ledger.remove(number)
        self._note_pushed(number, errno.ESRCH)
        gone = self._gone.get(number)
        if gone is not None and not gone.done():
            gone.set_result(out_of_memory)
        if proxy := self._proxies.pop(number, None):
            closing = self._loop.create_task(proxy.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def _lose(self) -> None:
        """The warden is gone, or is let go: it ends when its control socket does, and every keeper with it."""
        if self.lost:
            return
        self.lost = True
        self._loop.remove_reader(self._control)
        self._loop.remove_writer(self._control)
        self._control.close()
        self._wake_all()
        for number in list(self._gone):
            self._note_gone(number, False)
