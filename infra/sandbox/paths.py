"""Files of a lease, reached from outside it without ever following a link.

`split` is pure and shared by every backend. `LeaseFiles` walks host directories one component at a time with
`O_NOFOLLOW`, so that neither `..` nor a link, nor one swapped in during the walk, can lead out of the lease.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from .types import GRADE, MAX_ENTRIES, MAX_FILE_BYTES, TMP, WORK, Entry, FileTooLarge, Kind, PathEscape

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def split(path: str) -> tuple[str, tuple[str, ...]]:
    """The root (/work, /tmp or /grade) and the components below it. Raises PathEscape, or ValueError for NUL."""
    if "\0" in path:
        raise ValueError(f"path {path!r} contains a NUL byte")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise PathEscape(f"path {path!r} contains '..': name the file without it")
    if not path.startswith("/"):
        return WORK, tuple(parts)
    root = "/" + (parts[0] if parts else "")
    if root not in (WORK, TMP, GRADE):
        raise PathEscape(f"path {path!r} is outside {WORK}, {TMP} and {GRADE}")
    return root, tuple(parts[1:])


@dataclass(frozen=True)
class LeaseFiles:
    """The roots of one lease as host directories."""

    roots: Mapping[str, Path]

    def read(self, path: str) -> bytes:
        """See `Lease.read`."""
        root, parts = split(path)
        if not parts:
            raise IsADirectoryError(21, "Is a directory", path)
        with self._parent(root, parts, path, make=False) as parent:
            # O_NONBLOCK: a FIFO must not hang us before fstat can refuse it.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with os.fdopen(_open(parts[-1], flags, parent, path), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise OSError(22, "Not a regular file", path)
                data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise FileTooLarge(f"{path!r} is larger than {MAX_FILE_BYTES} bytes")
        return data

    def write(self, path: str, data: bytes) -> None:
        """See `Lease.write`."""
        root, parts = split(path)
        if not parts:
            raise IsADirectoryError(21, "Is a directory", path)
        with self._parent(root, parts, path, make=True) as parent:
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            fd = _open(parts[-1], flags, parent, path)
            with os.fdopen(fd, "wb") as file:
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    raise OSError(22, "Not a regular file", path)
                os.ftruncate(fd, 0)
                file.write(data)

    def entries(self, path: str) -> tuple[Entry, ...]:
        """See `Lease.list`."""
        root, parts = split(path)
        with self._parent(root, (*parts, "."), path, make=False) as directory:
            found: list[Entry] = []
            with os.scandir(directory) as items:
                for item in items:
                    if len(found) == MAX_ENTRIES:
                        raise FileTooLarge(f"{path!r} has more than {MAX_ENTRIES} entries")
                    info = item.stat(follow_symlinks=False)
                    found.append(Entry(item.name, kind_of(info.st_mode), info.st_size))
        return tuple(sorted(found, key=lambda entry: entry.name))

    @contextmanager
    def _parent(self, root: str, parts: tuple[str, ...], path: str, *, make: bool) -> Iterator[int]:
        """A descriptor of the directory that holds the last component."""
        fd = os.open(self.roots[root], _DIRECTORY)
        try:
            for part in parts[:-1]:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, 0o755, dir_fd=fd)
                below = _open(part, _DIRECTORY, fd, path)
                os.close(fd)
                fd = below
            yield fd
        finally:
            os.close(fd)


def kind_of(mode: int) -> Kind:
    """`file`, `directory`, `link` or `other` for a stat mode."""
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    return "link" if stat.S_ISLNK(mode) else "other"


def _open(name: str, flags: int, parent: int, path: str) -> int:
    try:
        return os.open(name, flags, 0o644, dir_fd=parent)
    except OSError as error:
        # O_NOFOLLOW says ELOOP for a link, with O_DIRECTORY some kernels say ENOTDIR: look which of the two it was.
        if _is_link(name, parent):
            raise PathEscape(f"path {path!r} goes through the link {name!r}: links are not followed") from error
        raise OSError(error.errno, error.strerror, path) from error


def _is_link(name: str, parent: int) -> bool:
    try:
        return stat.S_ISLNK(os.lstat(name, dir_fd=parent).st_mode)
    except OSError:
        return False


def remove_tree(path: Path) -> None:
    """Delete a directory tree, also where a command took away its own permissions; never follows links."""
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return
    except PermissionError:
        os.chmod(path, 0o700)
        for folder, folders, _ in os.walk(path):  # opens each directory's children before the walk enters them
            for name in folders:
                if not os.path.islink(os.path.join(folder, name)):
                    os.chmod(os.path.join(folder, name), 0o700)
        shutil.rmtree(path)
