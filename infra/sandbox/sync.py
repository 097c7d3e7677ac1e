"""The plain synchronous face: the same leases, called from any thread.

    with Sandboxes("auto") as sandboxes, sandboxes.lease("python") as box:
        box.write("hello.py", b"print('hi')")
        print(box.exec(["python3", "hello.py"]).text)

One event loop in one daemon thread serves every caller. A `Sandboxes` pickles by its backend's name and connects on
first use, so it may be sent to another process.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from ..tracing import side_span, span
from .select import open_backend
from .types import (
    DEFAULT_LIMITS,
    WORK,
    Backend,
    Chunk,
    Command,
    Entry,
    ExecResult,
    Input,
    Lease,
    LeaseInfo,
    Limits,
    SandboxError,
    Snapshot,
    User,
)

T = TypeVar("T")


class Sandboxes:
    """A backend by name (`auto`, `docker`, `bwrap`, `process`), opened on first use."""

    def __init__(self, backend_name: str = "auto") -> None:
        self.backend_name = backend_name
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._backend: Backend | None = None

    def __reduce__(self) -> tuple[type[Sandboxes], tuple[str]]:
        return Sandboxes, (self.backend_name,)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def name(self) -> str:
        """The name of the backend in use; opens it. Raises SandboxUnavailable."""
        return self._open().name

    def lease(
        self,
        image: str = "python",
        limits: Limits = DEFAULT_LIMITS,
        owner: str = "",
        allow_hosts: Sequence[str] = (),
    ) -> Sandbox:
        """A fresh sandbox; see `Backend.lease`. Raises SandboxUnavailable, SandboxFailed."""
        with span("sandbox.lease", image=image) as told:
            lease = self._call(self._open().lease(image, limits, owner, allow_hosts))
            told.set(backend=self.name, image=lease.image, lease=lease.id)
            return Sandbox(self, lease)

    def list_leases(self) -> tuple[LeaseInfo, ...]:
        """See `Backend.list_leases`."""
        return self._call(self._open().list_leases())

    def reap(self) -> tuple[str, ...]:
        """See `Backend.reap`."""
        return self._call(self._open().reap())

    def close(self) -> None:
        """Close every lease and stop the thread; the next use opens again."""
        with self._lock:
            if self._loop is None or self._pid != os.getpid():
                return
            if self._backend is not None:
                self._call(self._backend.close())
            self._call(_cancel_others())
            self._loop.call_soon_threadsafe(self._loop.stop)
            assert self._thread is not None
            self._thread.join()
            self._loop.close()
            atexit.unregister(self.close)
            self._loop = self._thread = self._backend = None

    def _open(self) -> Backend:
        if self._pid != os.getpid():  # a fork copied us without our thread
            self._lock, self._pid = threading.RLock(), os.getpid()
            self._loop = self._thread = self._backend = None
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="palestra-sandboxes", daemon=True)
                self._thread.start()
                atexit.register(self.close)
            if self._backend is None:
                self._backend = self._call(open_backend(self.backend_name))
            return self._backend

    def _call(self, work: Coroutine[Any, Any, T], pid: int | None = None) -> T:
        if self._loop is None or self._pid != os.getpid() or pid not in (None, self._pid):
            work.close()
            raise SandboxError("this sandbox was closed, or belongs to the process that forked this one")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # Ctrl-C in the waiting thread must not leave the command running
            raise


class Sandbox:
    """One lease, synchronously; see `Lease` for what each method promises."""

    def __init__(self, sandboxes: Sandboxes, lease: Lease) -> None:
        self._sandboxes, self._lease, self._pid = sandboxes, lease, os.getpid()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def id(self) -> str:
        """The lease's id."""
        return self._lease.id

    @property
    def image(self) -> str:
        """See `Lease.image`."""
        return self._lease.image

    def exec(
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
        with span("sandbox.exec", lease=self.id, user=user) as told:
            work = self._lease.exec(argv, cwd=cwd, env=env, stdin=stdin, timeout=timeout, user=user)
            result = self._call(work)
            told.set(exit_code=result.exit_code, ended=result.ended)
            return result

    def stream(
        self,
        argv: Command,
        *,
        cwd: str = WORK,
        env: Mapping[str, str] | None = None,
        stdin: bytes | Input = b"",
        timeout: float | None = None,
        user: User = "agent",
    ) -> Iterator[Chunk | ExecResult]:
        """See `Lease.stream`."""
        with side_span("sandbox.stream", lease=self.id, user=user) as told:
            events = self._lease.stream(argv, cwd=cwd, env=env, stdin=stdin, timeout=timeout, user=user)
            try:
                while (event := self._call(_next(events))) is not None:
                    if isinstance(event, ExecResult):
                        told.set(exit_code=event.exit_code, ended=event.ended)
                    yield event
            finally:
                self._call(_stop(events))

    def converse(
        self, argv: Command, *, env: Mapping[str, str] | None = None, timeout: float | None = None, user: User = "agent"
    ) -> Conversation:
        """Start a command and talk to it; until it is closed it has the lease to itself."""
        return Conversation(self, argv, env, timeout, user)

    def read(self, path: str) -> bytes:
        """See `Lease.read`."""
        return self._call(self._lease.read(path))

    def write(self, path: str, data: bytes) -> None:
        """See `Lease.write`."""
        self._call(self._lease.write(path, data))

    def list(self, path: str = WORK) -> tuple[Entry, ...]:
        """See `Lease.list`."""
        return self._call(self._lease.list(path))

    def fork(self, owner: str = "") -> Sandbox:
        """See `Lease.fork`."""
        with span("sandbox.fork", image=self.image, lease=self.id) as told:
            fork = self._call(self._lease.fork(owner))
            told.set(fork=fork.id)
            return Sandbox(self._sandboxes, fork)

    def snapshot(self) -> SandboxSnapshot:
        """See `Lease.snapshot`."""
        return SandboxSnapshot(self._sandboxes, self._call(self._lease.snapshot()))

    def close(self) -> None:
        """See `Lease.close`."""
        if self._sandboxes._loop is not None and self._pid == os.getpid():
            self._call(self._lease.close())

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return self._sandboxes._call(work, self._pid)


class Conversation:
    """A running command, its input and its output; `timeout` bounds the whole."""

    def __init__(
        self, sandbox: Sandbox, argv: Command, env: Mapping[str, str] | None, timeout: float | None, user: User
    ) -> None:
        self._sandbox, self._input = sandbox, Input()
        self._events = sandbox._lease.stream(argv, env=env, stdin=self._input, timeout=timeout, user=user)
        self._next: asyncio.Future[Chunk | ExecResult | None] | None = None

    def send(self, data: bytes) -> None:
        """Write to the command's standard input."""
        self._input.write(data)

    def receive(self, seconds: float) -> Chunk | ExecResult | None:
        """What comes next: output, at the end an ExecResult; None where nothing came in `seconds`, or after the end."""
        return self._sandbox._call(self._receive(seconds))

    def close(self) -> None:
        """End the command."""
        if self._sandbox._sandboxes._loop is not None:
            self._sandbox._call(self._close())

    async def _receive(self, seconds: float) -> Chunk | ExecResult | None:
        if self._next is None:
            self._next = asyncio.ensure_future(_next(self._events))
        done, _ = await asyncio.wait({self._next}, timeout=seconds)
        if not done:
            return None
        found, self._next = self._next.result(), None
        return found

    async def _close(self) -> None:
        if self._next is not None:
            self._next.cancel()
            await asyncio.wait({self._next})
        await _stop(self._events)


class SandboxSnapshot:
    """The files of a sandbox at one moment; see `Snapshot`."""

    def __init__(self, sandboxes: Sandboxes, snapshot: Snapshot) -> None:
        self._sandboxes, self._snapshot, self._pid = sandboxes, snapshot, os.getpid()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def id(self) -> str:
        """The snapshot's id."""
        return self._snapshot.id

    def lease(self, owner: str = "") -> Sandbox:
        """See `Snapshot.lease`."""
        return Sandbox(self._sandboxes, self._call(self._snapshot.lease(owner)))

    def close(self) -> None:
        """See `Snapshot.close`."""
        if self._sandboxes._loop is not None and self._pid == os.getpid():
            self._call(self._snapshot.close())

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return self._sandboxes._call(work, self._pid)


async def _cancel_others() -> None:
    """No thread may wait for a loop that stops."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _next(events: AsyncIterator[Chunk | ExecResult]) -> Chunk | ExecResult | None:
    return await anext(events, None)


async def _stop(events: AsyncIterator[Chunk | ExecResult]) -> None:
    if isinstance(events, AsyncGenerator):
        await events.aclose()
