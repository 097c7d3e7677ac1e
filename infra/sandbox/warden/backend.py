"""What the `docker` and `bwrap` backends share: one wall per image, raised on first use, and leases inside."""

from __future__ import annotations

import asyncio
import contextlib
import platform
import resource
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ...images.definitions import load
from .. import cgroup
from .. import owner as owners
from ..egress import check_hosts
from ..homes import last_words, list_homes, list_leases, make_home, read_wall
from ..seccomp import program
from ..threads import in_thread
from ..types import DEFAULT_LIMITS, LeaseInfo, Limits, SandboxFailed, SandboxUnavailable
from .build import ensure_warden
from .lease import WardenLease
from .wall import Raised, Wall


class Walls(Protocol):
    """How one backend builds outer walls."""

    name: str

    async def raise_wall(self, image: str, home: Path, warden: Path) -> Raised:
        """A new outer wall with a warden in it. `home` is a private directory for it. Raises SandboxUnavailable,
        SandboxFailed."""
        ...

    async def probe(self) -> str | None:
        """The image to try, or None where none could be had; raises SandboxUnavailable if the backend cannot work."""
        ...

    async def sweep(self, home: Path) -> None:
        """Take down what the wall of a dead owner left, except its home."""
        ...

    async def orphans(self) -> tuple[str, ...]:
        """Walls of dead owners that have no home any more."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class WardenBackend:
    """Leases behind the walls of one kind."""

    def __init__(self, walls: Walls) -> None:
        self.name = walls.name
        self._walls = walls
        self._standing: dict[str, asyncio.Task[Wall]] = {}
        self._reaped, self._closed = False, False

    async def lease(
        self, image: str, limits: Limits = DEFAULT_LIMITS, owner: str = "", allow_hosts: Sequence[str] = ()
    ) -> WardenLease:
        """See `Backend.lease`. The first lease of an image raises its outer wall."""
        hosts = check_hosts(allow_hosts)
        wall = await self._wall(image)
        try:
            return await wall.lease(limits, owner, allow_hosts=hosts)
        except SandboxFailed:
            if not wall.lost:
                raise
        return await (await self._wall(image)).lease(limits, owner, allow_hosts=hosts)

    async def check(self) -> str | None:
        """See `Backend.check`: runs `true` in a lease."""
        try:
            image = await self._walls.probe()
            if image is None:
                return None
            lease = await self.lease(image, owner="check")
            try:
                result = await lease.exec(["true"])
            finally:
                await lease.close()
        except (SandboxUnavailable, SandboxFailed) as error:
            return str(error)
        return None if result.ok else f"`true` ended with {result.exit_code}: {result.text.strip()[-300:]}"

    async def list_leases(self) -> tuple[LeaseInfo, ...]:
        """See `Backend.list_leases`."""
        return list_leases(self.name)

    async def reap(self) -> tuple[str, ...]:
        """See `Backend.reap`. A keeper ends by itself at its deadline, so only dead owners are left to look for."""
        gone = [lease.id for lease in list_leases(self.name) if not lease.alive]
        for home in list_homes(self.name):
            if not read_wall(home).alive:
                await self._walls.sweep(home)
                await in_thread(shutil.rmtree, home, ignore_errors=True)
        gone += await self._walls.orphans()
        await in_thread(cgroup.sweep)
        return tuple(gone)

    async def close(self) -> None:
        """See `Backend.close`."""
        self._closed = True
        standing, self._standing = list(self._standing.values()), {}
        walls = await asyncio.gather(*standing, return_exceptions=True)
        await asyncio.gather(*(self._take_down(wall) for wall in walls if isinstance(wall, Wall)))
        await self._walls.close()

    async def _wall(self, image: str) -> Wall:
        if self._closed:
            raise SandboxFailed(f"this {self.name} backend is closed: open another")
        task = self._standing.get(image)
        if task is not None and task.done():
            broken = task.cancelled() or task.exception() is not None
            if broken or task.result().lost:
                del self._standing[image]
                if not broken:
                    await self._take_down(task.result())
                task = self._standing.get(image)
        if task is None:
            task = self._standing[image] = asyncio.create_task(self._raise_wall(image))
        return await asyncio.shield(task)

    async def _raise_wall(self, image: str) -> Wall:
        _allow_many_files()
        if not self._reaped:  # somebody has to
            self._reaped = True
            with contextlib.suppress(SandboxFailed, SandboxUnavailable):
                await self.reap()
        warden = await in_thread(ensure_warden)
        home = make_home(self.name, image, owners.mark())
        try:
            raised = await self._walls.raise_wall(image, home, warden)
            try:
                return Wall(home, raised, program(platform.machine()), load(image).env)
            except OSError as error:
                raised.control.close()
                await raised.demolish()
                raise SandboxUnavailable(f"the outer wall of {image} fell at once: {last_words(home)}") from error
        except BaseException:
            await in_thread(shutil.rmtree, home, ignore_errors=True)
            raise

    async def _take_down(self, wall: Wall) -> None:
        await wall.close()
        await in_thread(shutil.rmtree, wall.home, ignore_errors=True)


def _allow_many_files() -> None:
    """Each lease is a socket of this process: take what the system lets us have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
