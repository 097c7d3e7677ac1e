"""`docker`: one locked-down container per lease, through the engine's API.

No network, no capabilities, no-new-privileges, the engine's default seccomp profile, a read-only image, tmpfs for
/work, /tmp and /grade (`disk_bytes` each), limits on memory, processes, CPU and open files. The container's main
process is an idle one of root without capabilities; commands run as two user ids that no other lease has, so that
`kill -9 -1` by the right user ends exactly what a command started, daemons included, and nothing else.

Labels name the owner and the deadline: `reap` removes what a dead owner left, also after a restart of the engine.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from ..images.build import ensure_engine_image
from ..images.definitions import ImageError
from . import docker_engine as engines
from . import owner as owners
from .docker_engine import Engine
from .docker_exec import Attached, attach, outcome
from .docker_exec import Command as ShellCommand
from .docker_files import DockerFiles
from .owner import new_uids
from .types import (
    DEFAULT_LIMITS,
    WORK,
    Command,
    Entry,
    ExecResult,
    LeaseInfo,
    Limits,
    SandboxFailed,
    SandboxUnavailable,
    User,
    as_argv,
    merged_env,
)


class DockerLease:
    """One container."""

    def __init__(
        self, engine: Engine, container: str, image: str, first_uid: int, limits: Limits, deadline: float
    ) -> None:
        self.id, self.image = container, image
        self._engine, self._limits = engine, limits
        self._uids: dict[User, int] = {"agent": first_uid, "grader": first_uid + 1}
        self._deadline = deadline
        self._busy, self._oom_kills, self._closed, self._removed = asyncio.Lock(), 0, False, False
        self.on_close: Callable[[str], object] = lambda name: None
        self._files = DockerFiles(self._run)

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
        command = ShellCommand(tuple(as_argv(argv)), cwd, merged_env(env), stdin)
        return await self._run(command, user, timeout or self._limits.seconds, self._limits.output_bytes)

    async def read(self, path: str) -> bytes:
        """See `Lease.read`."""
        return await self._files.read(path)

    async def write(self, path: str, data: bytes) -> None:
        """See `Lease.write`."""
        await self._files.write(path, data)

    async def list(self, path: str = WORK) -> tuple[Entry, ...]:
        """See `Lease.list`."""
        return await self._files.entries(path)

    async def close(self) -> None:
        """See `Lease.close`; a running command ends with its container."""
        self._closed = True
        if not self._removed:
            await self._engine.call(engines.remove, self._engine.client, self.id)
            self._removed = True
            self.on_close(self.id)

    async def _run(self, command: ShellCommand, user: User, seconds: float, room: int) -> ExecResult:
        async with self._busy:
            if self._closed or time.time() > self._deadline:
                raise SandboxFailed(f"lease {self.id} is closed or past its deadline: take a new one")
            started = time.monotonic()
            try:
                running = await self._attach(command, user, room)
                finished = await self._wait(running, seconds)
                result = outcome(running, finished, time.monotonic() - started)
                if not result.clean:
                    result = result.with_oom(await self._kill(user))
            except BaseException:
                await asyncio.shield(self.close())  # unknown state: nobody may use this container again
                raise
            out_of_memory = result.oom_kills > self._oom_kills
            self._oom_kills = max(self._oom_kills, result.oom_kills)
            return result.as_exec_result(out_of_memory)

    async def _attach(self, command: ShellCommand, user: User, room: int) -> Attached:
        return await self._engine.call(
            attach, self._engine.client, self.id, command, f"{self._uids[user]}:{self._uids[user]}", room
        )

    async def _wait(self, running: Attached, seconds: float) -> bool:
        """True if the command ended within its time and output; afterwards its streams are closed."""
        loop = asyncio.get_running_loop()
        feeding = loop.run_in_executor(self._engine.threads, running.feed)
        reading = loop.run_in_executor(self._engine.threads, running.drain)
        try:
            await asyncio.wait({reading}, timeout=seconds)
            return reading.done() and not running.output.overflow.is_set()
        finally:
            running.hang_up()
            await asyncio.gather(feeding, reading)
            await self._engine.call(running.finish, self._engine.client)

    async def _kill(self, user: User) -> int:
        """Kill everything of a user inside; returns the container's count of out-of-memory kills."""
        for _ in range(3):
            killer = await self._attach(ShellCommand(("true",), "/", {}, b""), user, 1 << 12)
            finished = await self._wait(killer, 10.0)
            result = outcome(killer, finished, 0.0)
            if result.clean:
                return result.oom_kills
        raise SandboxFailed(f"the processes of lease {self.id} cannot be killed")


class DockerBackend:
    """Leases as containers of the engine that the environment (`DOCKER_HOST` or the local socket) names."""

    name = "docker"

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._leases: dict[str, DockerLease] = {}

    async def lease(self, image: str, limits: Limits = DEFAULT_LIMITS, owner: str = "") -> DockerLease:
        """See `Backend.lease`; the image is imported or built on first use."""
        engine = await self._connect()
        try:
            reference = await engine.call(ensure_engine_image, engine.client, image)
        except ImageError as error:
            raise SandboxUnavailable(str(error)) from error
        first = new_uids()
        name = f"palestra-{uuid.uuid4().hex[:12]}"
        deadline = time.time() + limits.lease_seconds
        labels = {"owner": owners.mark(), "deadline": str(deadline), "note": owner}
        await engine.call(engines.start, engine.client, name, reference, first, limits, labels)
        lease = DockerLease(engine, name, reference.removeprefix("palestra/"), first, limits, deadline)
        self._leases[name] = lease
        lease.on_close = lambda name: self._leases.pop(name, None)
        return lease

    async def check(self) -> str | None:
        """See `Backend.check`: an engine answers, and runs `true` in an image of ours or could have one made."""
        try:
            engine = await self._connect()
            present = await engine.call(engines.present_image, engine.client)
            if present is None:
                return await engine.call(engines.why_no_image, engine.client)
            lease = await self.lease(present, owner="check")
            try:
                result = await lease.exec(["true"])
            finally:
                await lease.close()
        except (SandboxFailed, SandboxUnavailable) as error:
            return str(error)
        return (
            None
            if result.ok
            else f"`true` ended with {result.exit_code}: {result.text.strip()[-300:]}; {engines.START}"
        )

    async def list_leases(self) -> tuple[LeaseInfo, ...]:
        """See `Backend.list_leases`."""
        engine = await self._connect()
        return await engine.call(engines.list_leases, engine.client)

    async def reap(self) -> tuple[str, ...]:
        """See `Backend.reap`."""
        engine = await self._connect()
        gone = [info.id for info in await self.list_leases() if info.expired]
        for name in gone:
            await engine.call(engines.remove, engine.client, name)
        return tuple(gone)

    async def close(self) -> None:
        """See `Backend.close`."""
        await asyncio.gather(*(lease.close() for lease in list(self._leases.values())))
        if self._engine is not None:
            self._engine.client.close()
            self._engine.threads.shutdown(wait=False)
            self._engine = None

    async def _connect(self) -> Engine:
        if self._engine is None:
            try:
                client = await asyncio.to_thread(engines.open_client)
            except engines.BROKEN as error:
                raise SandboxUnavailable(
                    f"no Docker engine answers ({engines.first_line(error)}); {engines.START}"
                ) from error
            self._engine = Engine(client, ThreadPoolExecutor(256, thread_name_prefix="palestra-docker"))
        return self._engine
