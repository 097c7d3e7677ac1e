"""Files of a container lease, by processes inside it that run as the sandbox's own users.

Such a process can reach no more than a command can, so a link swapped in at the wrong moment gains nothing; `realpath`
refuses links before that, to behave as the other backends do.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from .docker_exec import Command
from .paths import split
from .types import (
    BASE_ENV,
    GRADE,
    MAX_ENTRIES,
    MAX_FILE_BYTES,
    Entry,
    ExecResult,
    FileTooLarge,
    Kind,
    PathEscape,
    SandboxFailed,
    User,
)

Run = Callable[[Command, User, float, int], Awaitable[ExecResult]]
_SECONDS = 60.0
_GUARD = '[ "$(realpath -m -- "$1"; echo .)" = "$1\n." ] || exit 91\n'
_READ = (
    _GUARD
    + f'[ -e "$1" ] || exit 92; [ -d "$1" ] && exit 93; [ -f "$1" ] || exit 94; head -c {MAX_FILE_BYTES + 1} -- "$1"'
)
_WRITE = _GUARD + (
    '[ -d "$1" ] && exit 93; [ -e "$1" ] && [ ! -f "$1" ] && exit 94\n'
    'mkdir -p -- "$(dirname -- "$1")" && cat >"$1"'
)  # fmt: skip
_LIST = (
    _GUARD + '[ -e "$1" ] || exit 92; [ -d "$1" ] || exit 95; find "$1" -mindepth 1 -maxdepth 1 -printf "%y %s %f\\0"'
)
_REFUSALS = {92: errno.ENOENT, 93: errno.EISDIR, 94: errno.EINVAL, 95: errno.ENOTDIR}
_KINDS: dict[str, Kind] = {"f": "file", "d": "directory", "l": "link"}


@dataclass(frozen=True)
class DockerFiles:
    """read, write and entries, each one command in the container."""

    run: Run

    async def read(self, path: str) -> bytes:
        """See `Lease.read`."""
        result = await self._script(_READ, path, b"")
        if len(result.stdout) > MAX_FILE_BYTES:
            raise FileTooLarge(f"{path!r} is larger than {MAX_FILE_BYTES} bytes")
        return result.stdout

    async def write(self, path: str, data: bytes) -> None:
        """See `Lease.write`."""
        await self._script(_WRITE, path, data)

    async def entries(self, path: str) -> tuple[Entry, ...]:
        """See `Lease.list`."""
        result = await self._script(_LIST, path, b"")
        lines = result.stdout.split(b"\0")[:-1]
        if len(lines) > MAX_ENTRIES:
            raise FileTooLarge(f"{path!r} has more than {MAX_ENTRIES} entries")
        rows = [os.fsdecode(line).split(" ", 2) for line in lines]
        found = [Entry(name, _KINDS.get(kind, "other"), int(size)) for kind, size, name in rows]
        return tuple(sorted(found, key=lambda entry: entry.name))

    async def _script(self, script: str, path: str, stdin: bytes) -> ExecResult:
        root, parts = split(path)
        user: User = "grader" if root == GRADE else "agent"
        argv = ("/bin/sh", "-c", script, "sh", "/".join((root, *parts)))
        result = await self.run(Command(argv, "/", BASE_ENV, stdin), user, _SECONDS, MAX_FILE_BYTES + (1 << 16))
        if result.exit_code == 91:
            raise PathEscape(f"path {path!r} goes through a link: links are not followed")
        if result.exit_code in _REFUSALS:
            code = _REFUSALS[result.exit_code]
            raise OSError(code, os.strerror(code), path)
        if not result.ok:
            reason = result.stderr.decode("utf-8", "replace").strip()[-300:]
            if "File exists" in reason:  # of mkdir: a file stands where a directory is wanted
                raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
            for code in (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EISDIR):
                if os.strerror(code) in reason:
                    raise OSError(code, os.strerror(code), path)
            raise SandboxFailed(
                f"the file operation on {path!r} ended with {result.exit_code} ({result.ended}): {reason}"
            )
        return result
