"""`bwrap`: bubblewrap on the host, no engine needed.

Each command runs in new PID, network, IPC, UTS, mount and cgroup namespaces over a read-only image, so that
everything it started dies with it; /work, /tmp and /grade are the lease's own directories. Two ways in:

* as root, bubblewrap sets up the mounts as root and `setpriv` then takes a host user id that no other lease has,
  without capabilities; the directories are a tmpfs of `disk_bytes` and a control group holds memory, processes and
  CPU;
* as anybody else, in a user namespace. Where control groups cannot be made, memory is limited per process, files by
  size each, processes per user; CPU is not.
"""

from __future__ import annotations

import asyncio
import os
import re
import select
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from ..images.build import find_image
from . import cgroup
from .bwrap_place import Place, destroy, make_disk, sandbox_argv, write_names
from .homes import leases_root, list_homes, make_home
from .owner import new_uids
from .paths import LeaseFiles
from .run import Bounds, run
from .seccomp import filter_fd
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
    SandboxUnavailable,
    User,
    as_argv,
    merged_env,
)

_INSTALL = "as root: apt-get install -y bubblewrap"
_INSIDE = 'cd -- "$1" || exit 125; shift; exec "$@"'
_END_SECONDS = 10.0


class BwrapLease:
    """A directory of its own, and a fresh set of namespaces for each command."""

    def __init__(self, place: Place, limits: Limits, group: cgroup.Cgroup | None) -> None:
        self.id, self.image = place.home.name, place.image
        self._place, self._limits, self._group = place, limits, group
        self.on_close: Callable[[str], object] = lambda name: None
        self._busy, self._closing = asyncio.Lock(), asyncio.Event()
        agent, grader = (place.uids["agent"], place.uids["grader"]) if place.as_root else (None, None)
        roots = {root: place.disk / root[1:] for root in (WORK, TMP, GRADE)}
        self._files = LeaseFiles(roots, {WORK: agent, TMP: agent, GRADE: grader})

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
        variables = [f"{name}={value}" for name, value in merged_env(env).items()]
        inside = ["/usr/bin/env", "-i", *variables, "/bin/sh", "-c", _INSIDE, "sh", cwd, *as_argv(argv)]
        bounds = Bounds(timeout or self._limits.seconds, self._limits.output_bytes)
        async with self._busy:
            if self._closing.is_set() or time.time() > self._place.deadline:
                raise SandboxFailed(f"lease {self.id} is closed or past its deadline: take a new one")
            killed_before = self._group.oom_kills() if self._group else 0
            result = await self._run(inside, stdin, bounds, user)
            if self._group and self._group.oom_kills() > killed_before:
                return replace(result, exit_code=137, ended="out_of_memory")
            return result

    async def _run(self, inside: list[str], stdin: bytes, bounds: Bounds, user: User) -> ExecResult:
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        rules = filter_fd()
        try:
            argv = ["/bin/sh", "-c", self._limit_script(), "sh", *sandbox_argv(self._place, user, writer, rules)]
            env = {"PATH": os.environ.get("PATH", os.defpath)}
            result = await run(
                argv + inside,
                env=env,
                cwd="/",
                stdin=stdin,
                bounds=bounds,
                pass_fds=(writer, rules),
                stop=self._closing,
            )
            os.close(writer)
            writer = -1
            status = os.read(reader, 1 << 16)
            await asyncio.to_thread(_wait_for_end, status)
            if result.ended == "exited" and b'"exit-code"' not in status:
                reason = "the lease was closed" if self._closing.is_set() else result.text.strip()[-500:]
                raise SandboxFailed(f"bwrap could not run the command: {reason or 'it was killed from outside'}")
            return result
        except OSError as error:
            raise SandboxFailed(f"cannot start bwrap: {error}") from error
        finally:
            for fd in (reader, writer, rules):
                if fd >= 0:
                    os.close(fd)

    def _limit_script(self) -> str:
        """A shell script that takes on the limits and becomes its arguments."""
        limits = self._limits
        lines = [f"ulimit -n {limits.open_files}", "ulimit -c 0"]
        if self._group:
            lines = [f"echo 0 > {folder}/cgroup.procs || exit 124" for folder in self._group.directories] + lines
        else:
            lines.append(f"ulimit -v {limits.memory_bytes // 1024}")
        others = 0 if self._place.as_root else _own_threads()
        lines.append(f"ulimit -p {limits.processes + others}")
        if not os.path.ismount(self._place.disk):
            lines.append(f"ulimit -f {limits.disk_bytes // 512}")
        return "\n".join([*lines, 'exec "$@"'])

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
        """See `Lease.close`; a running command ends at once."""
        self._closing.set()
        async with self._busy:
            await asyncio.to_thread(destroy, self._place.home)
        self.on_close(self.id)


class BwrapBackend:
    """Leases by bubblewrap."""

    name = "bwrap"

    def __init__(self) -> None:
        self._leases: dict[str, BwrapLease] = {}

    async def lease(self, image: str, limits: Limits = DEFAULT_LIMITS, owner: str = "") -> BwrapLease:
        """See `Backend.lease`. Where the image is not built, the host's own /usr stands in, read-only."""
        if shutil.which("bwrap") is None:
            raise SandboxUnavailable(f"bubblewrap is not installed; {_INSTALL}")
        lease = await asyncio.to_thread(_make, image, limits, owner)
        self._leases[lease.id] = lease
        lease.on_close = lambda name: self._leases.pop(name, None)
        return lease

    async def check(self) -> str | None:
        """See `Backend.check`: runs `true` in a lease."""
        try:
            lease = await self.lease("base", owner="check")
        except (SandboxUnavailable, SandboxFailed) as error:
            return str(error)
        try:
            result = await lease.exec(["true"])
        except SandboxFailed as error:
            return f"{error}; allow new namespaces (sysctl -w kernel.unprivileged_userns_clone=1) or run as root"
        finally:
            await lease.close()
        return None if result.ok else f"`true` ended with {result.exit_code}: {result.text.strip()[-300:]}"

    async def list_leases(self) -> tuple[LeaseInfo, ...]:
        """See `Backend.list_leases`."""
        return list_homes(self.name)

    async def reap(self) -> tuple[str, ...]:
        """See `Backend.reap`."""
        gone = [info.id for info in list_homes(self.name) if info.expired]
        for name in gone:
            await asyncio.to_thread(destroy, leases_root(self.name) / name)
        return tuple(gone)

    async def close(self) -> None:
        """See `Backend.close`."""
        for lease in list(self._leases.values()):
            await lease.close()


def _make(image: str, limits: Limits, note: str) -> BwrapLease:
    as_root = os.getuid() == 0
    built = find_image(image)
    home, deadline = make_home("bwrap", image, limits, note)
    first = new_uids() if as_root else os.getuid()
    uids: dict[User, int] = {"agent": first, "grader": first + 1 if as_root else first}
    rootfs = built.rootfs if built else None
    place = Place(home, built.tag if built and rootfs else "host", rootfs, uids, as_root, deadline)
    try:
        write_names(place)
        make_disk(place, limits)
        return BwrapLease(place, limits, cgroup.create(home.name, limits) if as_root else None)
    except OSError as error:
        destroy(home)
        raise SandboxFailed(f"cannot set up a lease in {home}: {error}") from error


def _wait_for_end(status: bytes) -> None:
    """Wait until the first process of the command's PID namespace is gone, and with it, says the kernel, all others."""
    match = re.search(rb'"child-pid": *(\d+)', status)
    if match is None:
        return
    try:
        handle = os.pidfd_open(int(match[1]))
    except ProcessLookupError:
        return
    try:
        if not select.select([handle], [], [], _END_SECONDS)[0]:
            raise SandboxFailed(f"process {int(match[1])} of a sandbox does not end")
    finally:
        os.close(handle)


def _own_threads() -> int:
    """Threads of this user on the machine: RLIMIT_NPROC counts them all."""
    mine, total = os.getuid(), 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                if entry.stat().st_uid == mine:
                    total += len(os.listdir(f"/proc/{entry.name}/task"))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return total
