"""`bwrap`: bubblewrap on the host, no engine needed.

One bubblewrap per image is the outer wall: an empty network, new PID, IPC and UTS namespaces, the read-only image. In
it stands a warden that makes the leases. Two ways in:

* as root, the warden moves into a user namespace whose 65,536 ids nobody else has, and makes control groups: agents and
  graders of all leases are different users, and memory, processes and CPU are limited per lease;
* as anybody else there is one id: agent and grader are kept apart by nested namespaces, memory is limited per process,
  CPU is not.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
from pathlib import Path

from ..images.build import find_image
from . import cgroup
from .owner import new_uids
from .threads import in_thread
from .types import SandboxFailed, SandboxUnavailable
from .warden.backend import WardenBackend
from .warden.build import why_not_warden
from .warden.wall import Raised

_INSTALL = "as root: apt-get install -y bubblewrap"
_HOST_ETC = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "nsswitch.conf", "localtime")
_END_SECONDS = 20.0


class BwrapWalls:
    """Outer walls by bubblewrap."""

    name = "bwrap"

    async def raise_wall(self, image: str, home: Path, warden: Path) -> Raised:
        """See `Walls.raise_wall`. Where the image is not built, the host's own /usr stands in, read-only."""
        if shutil.which("bwrap") is None:
            raise SandboxUnavailable(f"bubblewrap is not installed; {_INSTALL}")
        built = find_image(image)
        groups = cgroup.make_folders() if os.getuid() == 0 else ()
        ours, wardens = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with wardens, open(home / "log", "wb") as log:
            argv = _argv(built.rootfs if built else None, warden, groups)
            argv += [
                "--",
                "/lease/warden",
                "outer",
                f"fd:{wardens.fileno()}",
                str(new_uids() if _as_root() else 0),
                home.name,
            ]
            argv += [f"/lease/cg/{index}" for index in range(len(groups))]
            try:
                process = await asyncio.create_subprocess_exec(
                    *argv, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(wardens.fileno(),),
                    start_new_session=True, env={"PATH": os.environ.get("PATH", os.defpath)}, cwd="/",
                )  # fmt: skip
            except OSError as error:
                ours.close()
                raise SandboxFailed(f"cannot start bwrap: {error}") from error

        async def demolish() -> None:
            # The warden ends when its socket does, and takes every lease with it; bwrap follows.
            try:
                await asyncio.wait_for(process.wait(), _END_SECONDS)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
            await in_thread(cgroup.clear, home.name)

        return Raised(ours, built.tag if built and built.rootfs else "host", demolish)

    async def probe(self) -> str | None:
        """See `Walls.probe`."""
        reason = why_not_warden()
        if reason is not None:
            raise SandboxUnavailable(reason)
        return "base"

    async def sweep(self, home: Path) -> None:
        """See `Walls.sweep`: the wall itself died with its owner."""
        await in_thread(cgroup.clear, home.name)

    async def orphans(self) -> tuple[str, ...]:
        """See `Walls.orphans`."""
        return ()

    async def close(self) -> None:
        """See `Walls.close`."""


class BwrapBackend(WardenBackend):
    """Leases by bubblewrap."""

    def __init__(self) -> None:
        super().__init__(BwrapWalls())


def _as_root() -> bool:
    return os.getuid() == 0


def _argv(rootfs: Path | None, warden: Path, groups: tuple[Path, ...]) -> list[str]:
    argv = ["bwrap", "--die-with-parent", "--as-pid-1", "--clearenv"]
    argv += [f"--unshare-{space}" for space in ("pid", "net", "ipc", "uts")]
    # The warden gives these up: for those of a user namespace of its own, or they are such already.
    argv += ["--cap-add", "ALL"] if _as_root() else ["--unshare-user", "--uid", "0", "--gid", "0", "--cap-add", "ALL"]
    argv += ["--ro-bind", str(rootfs), "/"] if rootfs else _host_system()
    argv += [] if _as_root() else ["--proc", "/proc"]
    argv += ["--dev", "/dev", "--remount-ro", "/dev", "--tmpfs", "/lease", "--ro-bind", str(warden), "/lease/warden"]
    for index, folder in enumerate(groups):
        argv += ["--bind", str(folder), f"/lease/cg/{index}"]
    return argv if rootfs else [*argv, "--remount-ro", "/"]


def _host_system() -> list[str]:
    argv = ["--perms", "0755", "--dir", "/etc", "--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        path = Path("/") / name
        if path.is_symlink():
            argv += ["--symlink", os.readlink(path), str(path)]
        elif path.exists():
            argv += ["--ro-bind", str(path), str(path)]
    for name in _HOST_ETC:
        argv += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    for name in ("passwd", "group"):  # places for the sandbox's own
        argv += ["--ro-bind", "/dev/null", f"/etc/{name}"]
    for name in ("work", "tmp", "grade", "proc"):
        argv += ["--dir", f"/{name}"]
    return argv
