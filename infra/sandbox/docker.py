"""`docker`: one locked-down container per image is the outer wall, made through the engine's API; a warden in it makes
the leases.

The container has no network, a read-only image, no capabilities but those to take on user ids it has been given, and a
system call profile; its root cannot mount, trace or load anything on the host. The warden in it enters a user namespace
with 65,536 ids of its own, in which it may make namespaces and mounts; a lease's commands have none of that. It is the
container's only process, ends when its owner does, and the engine then removes the container. Labels name the owner, so
that `reap` finds what is left after the engine itself was killed.

The engine must be on this machine: leases talk over a Unix socket in a directory that both sides see.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from docker import DockerClient

from ..images.build import ensure_engine_image
from ..images.definitions import ImageError
from . import cgroup
from . import docker_engine as engine
from .owner import new_uids
from .threads import in_thread, in_thread_of
from .types import SandboxFailed, SandboxUnavailable
from .warden.backend import WardenBackend
from .warden.build import why_not_warden
from .warden.wall import Raised

T = TypeVar("T")
_CONNECT_SECONDS = 60.0


class DockerWalls:
    """Outer walls as containers of the engine that the environment (`DOCKER_HOST` or the local socket) names."""

    name = "docker"

    def __init__(self) -> None:
        self._client: DockerClient | None = None
        self._threads = ThreadPoolExecutor(8, thread_name_prefix="palestra-docker")

    async def raise_wall(self, image: str, home: Path, warden: Path) -> Raised:
        """See `Walls.raise_wall`; the image is imported or built on first use."""
        if ":" in str(home):
            raise SandboxUnavailable(
                f"Docker cannot mount {home}, its name has a colon; set TMPDIR to another directory"
            )
        client = await self._connect()
        try:
            reference = await self._call(ensure_engine_image, client, image)
        except ImageError as error:
            raise SandboxUnavailable(str(error)) from error
        groups = cgroup.make_folders() or cgroup.folders()  # the engine makes them where we may not
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
            folder = os.open(home, os.O_PATH | os.O_DIRECTORY)
            try:  # a socket's name is at most 107 bytes long, a directory's not
                server.bind(f"/proc/self/fd/{folder}/{engine.SOCKET}")
            finally:
                os.close(folder)
            server.listen(1)
            server.setblocking(False)
            try:
                await self._call(engine.start, client, reference, home, warden, new_uids(), groups)
                control, _ = await asyncio.wait_for(asyncio.get_running_loop().sock_accept(server), _CONNECT_SECONDS)
            except TimeoutError:
                reason = await self._call(engine.last_words, client, home.name)
                await self._call(engine.remove, client, home.name)
                raise SandboxFailed(f"the container {home.name} does not answer: {reason}") from None
            finally:
                os.unlink(home / engine.SOCKET)

        async def demolish() -> None:
            # The warden ends when its socket does; the engine need not be asked, but must be done.
            await self._call(engine.remove, client, home.name)
            await in_thread(cgroup.clear, home.name)

        return Raised(control, reference.removeprefix("palestra/"), demolish)

    async def probe(self) -> str | None:
        """See `Walls.probe`: an image that the engine has; None if it has none but one could be made."""
        reason = why_not_warden()
        if reason is not None:
            raise SandboxUnavailable(reason)
        client = await self._connect()
        present = await self._call(engine.present_image, client)
        if present is None and (reason := await self._call(engine.why_no_image, client)):
            raise SandboxUnavailable(reason)
        return present

    async def sweep(self, home: Path) -> None:
        """See `Walls.sweep`."""
        await self._call(engine.remove, await self._connect(), home.name)
        await in_thread(cgroup.clear, home.name)

    async def orphans(self) -> tuple[str, ...]:
        """See `Walls.orphans`."""
        client = await self._connect()
        gone = await self._call(engine.orphans, client)
        for name in gone:
            await self._call(engine.remove, client, name)
            await in_thread(cgroup.clear, name)
        return gone

    async def close(self) -> None:
        """See `Walls.close`."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def _connect(self) -> DockerClient:
        if self._client is None:
            try:
                self._client = await in_thread(engine.open_client)
            except engine.BROKEN as error:
                raise SandboxUnavailable(
                    f"no Docker engine answers ({engine.first_line(error)}); {engine.START}"
                ) from error
        return self._client

    async def _call(self, work: Callable[..., T], *args: Any) -> T:
        """A blocking engine call; raises SandboxFailed when the engine refuses or does not answer."""
        try:
            return await in_thread_of(self._threads, work, *args)
        except engine.BROKEN as error:
            raise SandboxFailed(f"the Docker engine failed: {engine.first_line(error)}") from error


class DockerBackend(WardenBackend):
    """Leases behind containers."""

    def __init__(self) -> None:
        super().__init__(DockerWalls())
