"""Where a `bwrap` lease lives, and the command line that puts a command there."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import cgroup
from .paths import remove_tree
from .types import AGENT_UID, GRADE, GRADER_UID, TMP, WORK, Limits, SandboxFailed, User

_HOST_ETC = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "nsswitch.conf", "localtime")
_SHM_BYTES = 64 << 20


@dataclass(frozen=True)
class Place:
    """Where one lease lives: its directory, image and identities (the caller's own unless root made it)."""

    home: Path
    image: str
    rootfs: Path | None
    uids: Mapping[User, int]
    as_root: bool
    deadline: float

    @property
    def disk(self) -> Path:
        """What holds /work, /tmp and /grade."""
        return self.home / "disk"


def sandbox_argv(place: Place, user: User, status_fd: int, seccomp_fd: int) -> list[str]:
    """The `bwrap` command line up to the command; its environment is set by what follows, never by bwrap's own."""
    argv = ["bwrap", "--die-with-parent", "--new-session", "--clearenv"]
    for space in ("pid", "net", "ipc", "uts"):
        argv.append(f"--unshare-{space}")
    argv += ["--unshare-cgroup-try", "--hostname", "sandbox"] if place.as_root else _user_namespace(place, user)
    argv += ["--cap-drop", "ALL"]
    if place.as_root:
        argv += [part for cap in ("SETUID", "SETGID", "SETPCAP") for part in ("--cap-add", f"CAP_{cap}")]
    argv += ["--ro-bind", str(place.rootfs), "/"] if place.rootfs else _host_system()
    argv += ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--size", str(_SHM_BYTES), "--tmpfs", "/dev/shm"]
    argv += ["--remount-ro", "/dev"]
    for name in ("passwd", "group"):
        argv += ["--ro-bind", str(place.home / name), f"/etc/{name}"]
    for root in (WORK, TMP) if user == "agent" else (WORK, TMP, GRADE):
        argv += ["--bind", str(place.disk / root[1:]), root]
    if place.rootfs is None:
        argv += ["--remount-ro", "/"]
    argv += ["--chdir", "/", "--json-status-fd", str(status_fd), "--seccomp", str(seccomp_fd), "--"]
    if place.as_root:
        uid = str(place.uids[user])
        argv += ["/usr/bin/setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", "--inh-caps=-all"]
        argv += ["--ambient-caps=-all", "--bounding-set=-all", "--no-new-privs"]
    return argv


def _user_namespace(place: Place, user: User) -> list[str]:
    inside = str(AGENT_UID if user == "agent" else GRADER_UID)
    return ["--unshare-user", "--unshare-cgroup-try", "--hostname", "sandbox", "--uid", inside, "--gid", inside]


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
    return argv


def write_names(place: Place) -> None:
    """Put the sandbox's `passwd` and `group` into its home."""
    ids = (place.uids["agent"], place.uids["grader"]) if place.as_root else (AGENT_UID, GRADER_UID)
    people = [("root", 0), ("agent", ids[0]), ("grader", ids[1]), ("nobody", 65534)]
    (place.home / "passwd").write_text("".join(f"{name}:x:{id}:{id}::{WORK}:/bin/sh\n" for name, id in people))
    (place.home / "group").write_text("".join(f"{name}:x:{id}:\n" for name, id in people))


def make_disk(place: Place, limits: Limits) -> None:
    """Make /work, /tmp and /grade, as root on a tmpfs of the lease's own."""
    place.disk.mkdir()
    if place.as_root:
        _mount_tmpfs(place.disk, f"size={limits.disk_bytes},nr_inodes=100000,mode=0755")
    for root, user, mode in ((WORK, "agent", 0o755), (TMP, "agent", 0o1777), (GRADE, "grader", 0o700)):
        folder = place.disk / root[1:]
        folder.mkdir()
        folder.chmod(mode)
        if place.as_root:
            uid = place.uids["agent" if user == "agent" else "grader"]
            os.chown(folder, uid, uid)


_libc = ctypes.CDLL(None, use_errno=True)
_NOSUID_NODEV, _DETACH = 2 | 4, 2


def _mount_tmpfs(target: Path, options: str) -> None:
    if _libc.mount(b"palestra", os.fsencode(target), b"tmpfs", _NOSUID_NODEV, options.encode()) != 0:
        # A container's root may lack CAP_SYS_ADMIN: a plain directory still isolates, only its size is not bounded.
        if ctypes.get_errno() in (1, 13):
            return
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(target))


def destroy(home: Path) -> None:
    """Remove all of a lease: processes, control group, mount, directory. Idempotent."""
    cgroup.existing(home.name).remove()
    disk = home / "disk"
    if os.path.ismount(disk) and _libc.umount2(os.fsencode(disk), _DETACH) != 0:
        reason = os.strerror(ctypes.get_errno())
        if os.path.ismount(disk):  # else a reaper was quicker
            raise SandboxFailed(f"cannot unmount {disk}: {reason}")
    remove_tree(home)
