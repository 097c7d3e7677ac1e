"""Debian's own tools, walled off from the machine: debootstrap for a root file system, apt-get for what goes on top.

Both run under bubblewrap in namespaces of their own, so a build that is killed leaves neither mounts nor processes, and
no package's script sees the machine's processes. Whatever they fetch stays in the cache, and a later build with the
mirror away uses it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from time import gmtime, strftime
from uuid import uuid4

from .apt import Source
from .definitions import BuildFailed, ImageDefinition

Progress = Callable[[str], None]
REMEDY = "as root: apt-get install -y debootstrap bubblewrap"
_CANONICAL = "http://deb.debian.org/debian"
_LAST_LINES = 4
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
_JAIL = ("bwrap", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--cap-add", "ALL")
_APT = (
    "apt-get",
    "--yes",
    "--no-install-recommends",
    "--option=Dpkg::Use-Pty=0",
    "--option=Acquire::Check-Valid-Until=false",  # a snapshot is as old as it is
    "--option=Acquire::https::CAInfo=/tmp/ca.crt",
)


def why_not() -> str | None:
    """None if this process can build root file systems, else one line with the remedy."""
    if os.getuid() != 0:
        return (
            "building a root file system needs root: run as root, or let Docker build from the registry's debian image"
        )
    missing = [tool for tool in ("debootstrap", "bwrap") if find_tool(tool) is None]
    return f"{' and '.join(missing)} not installed; {REMEDY}" if missing else None


def find_tool(name: str) -> str | None:
    """Where an administrator's tool is, also where /usr/sbin is not on the path."""
    return shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")


def bootstrap(definition: ImageDefinition, rootfs: Path, source: Source, cache: Path, progress: Progress) -> None:
    """Make a root definition's system in the empty directory `rootfs`. Raises BuildFailed."""
    debs = _debs(definition, cache)
    kept = debs / f"{definition.name}-{definition.digest}.tgz"
    argv = [find_tool("debootstrap") or "debootstrap", "--variant=minbase", "--merged-usr", f"--cache-dir={debs}"]
    if definition.packages:
        argv.append("--include=" + ",".join(sorted(definition.packages)))
    rest = [definition.suite, str(rootfs), *([source.mirror] if source.mirror else [])]
    jail = [*_JAIL, "--dev-bind", "/", "/", "--proc", "/proc", "--"]
    env = _environment(source.proxy_env)
    fetched = debs / f".{uuid4().hex[:8]}.tgz"
    progress(f"debootstrap {definition.name} ({definition.suite} from {source.mirror or 'the default mirror'})")
    try:
        _run([*jail, *argv, f"--make-tarball={fetched}", *rest], env, progress)
        fetched.rename(kept)
    except BuildFailed as error:
        if not kept.exists():
            raise
        progress(f"{error}; going on with what was fetched on {_day(kept)}")
    finally:
        fetched.unlink(missing_ok=True)
    shutil.rmtree(rootfs, ignore_errors=True)
    rootfs.mkdir(parents=True)
    _run([*jail, *argv, f"--unpack-tarball={kept}", *rest], env, progress)


def install(definition: ImageDefinition, rootfs: Path, source: Source, cache: Path, progress: Progress) -> None:
    """Add a definition's packages to its parent's system in `rootfs`. Raises BuildFailed."""
    debs = _debs(definition, cache)
    lists = cache / "lists" / debs.name
    lists.mkdir(parents=True, exist_ok=True)
    man = rootfs / "usr/share/man/man1"  # Java's packages put links there
    man.mkdir(parents=True, exist_ok=True)
    jail = [*_JAIL, "--bind", str(rootfs), "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/run"]
    jail += ["--perms", "1777", "--tmpfs", "/tmp", "--bind", str(lists), "/var/lib/apt/lists"]
    jail += ["--bind", str(debs), "/var/cache/apt/archives", "--ro-bind", "/etc/resolv.conf", "/etc/resolv.conf"]
    jail += ["--ro-bind", "/etc/hosts", "/etc/hosts", "--ro-bind-try", str(_CERTIFICATES), "/tmp/ca.crt", "--"]
    env = _environment(source.proxy_env)
    progress(f"apt-get install for {definition.name} (from {source.mirror or _CANONICAL})")
    update = [*_APT, "update"]  # without a mirror apt goes on with the lists of last time, if there are any
    if not any(lists.glob("*Release")):
        update.append("--error-on=any")
    point_apt(rootfs, definition.suite, source.mirror)
    _run([*jail, *update], env, progress)
    _run([*jail, *_APT, "install", *sorted(definition.packages)], env, progress)


def installed(rootfs: Path) -> dict[str, str]:
    """Version by package name, as the tree's own dpkg records say. Raises BuildFailed."""
    tool = find_tool("dpkg-query") or "dpkg-query"
    argv = [tool, f"--admindir={rootfs}/var/lib/dpkg", "--show", "--showformat", "${Package} ${Version}\\n"]
    done = subprocess.run(argv, capture_output=True, text=True, env=_environment({}))
    if done.returncode != 0:
        raise BuildFailed(f"dpkg-query of {rootfs} ended with {done.returncode}: {done.stderr.strip()}")
    return dict(line.split() for line in sorted(done.stdout.splitlines()))


def point_apt(rootfs: Path, suite: str, mirror: str = "") -> None:
    """Let apt inside the tree fetch from this mirror, by default Debian's own."""
    (rootfs / "etc/apt/sources.list").write_text(f"deb {mirror or _CANONICAL} {suite} main\n")


def _debs(definition: ImageDefinition, cache: Path) -> Path:
    folder = cache / "debs" / "-".join(filter(None, (definition.suite, definition.snapshot)))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _environment(proxy_env: Mapping[str, str]) -> dict[str, str]:
    """Nothing of the caller's but its proxies."""
    proxies = {key: value for key, value in os.environ.items() if key.lower() in _PROXIES}
    return {
        **proxies,
        "HOME": "/root",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
        **proxy_env,
    }


def _day(file: Path) -> str:
    return strftime("%Y-%m-%d", gmtime(file.stat().st_mtime))


def _run(argv: list[str], env: Mapping[str, str], progress: Progress) -> None:
    """Run a tool and pass on its lines. Raises BuildFailed with its complaints, else its last words."""
    last: deque[str] = deque(maxlen=_LAST_LINES)
    complaints: deque[str] = deque(maxlen=_LAST_LINES)
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env
    ) as process:
        assert process.stdout is not None
        for line in map(str.strip, process.stdout):
            (complaints if line.startswith("E:") else last).append(line)
            progress(line)
    if process.returncode != 0:
        tool = Path(argv[argv.index("--") + 1]).name  # not the jail around it
        raise BuildFailed(f"{tool} ended with {process.returncode}: {' | '.join(complaints or last)}")
