"""Unpack what strangers packed: nothing is written to a disk, no path leaves the archive, everything has a limit."""

from __future__ import annotations

import io
import lzma
import posixpath
import tarfile
import zipfile
import zlib
from collections.abc import Iterator

from .types import HostileArchive, Tree

MAX_ARCHIVE_BYTES = 64 << 20
MAX_UNPACKED_BYTES = 256 << 20
MAX_ENTRIES = 30_000
_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
)


def unpack(data: bytes, name: str) -> dict[str, bytes]:
    """The regular files of a tar (plain, gzip, bzip2, xz) or zip by relative path. A link to a file of the archive
    becomes a copy of it; other links, devices and pipes are dropped. Raises HostileArchive for a path that leaves the
    archive, and for more bytes or entries than the limits allow (counted while unpacking)."""
    files: dict[str, bytes] = {}
    links: dict[str, str] = {}
    try:
        members = _zip(data) if zipfile.is_zipfile(io.BytesIO(data)) else _tar(data)
        total = 0
        for count, (path, content, target) in enumerate(members, start=1):
            total += len(content or b"")
            if count > MAX_ENTRIES or total > MAX_UNPACKED_BYTES:
                raise HostileArchive(f"{name}: more than {MAX_ENTRIES} entries or {MAX_UNPACKED_BYTES} bytes unpacked")
            place = safe_path(path, name)
            if place == "." and content is not None:
                raise HostileArchive(f"{name}: path {path[:200]!r} names no file")
            if content is not None:
                files[place] = content
            elif target is not None:
                links[place] = target
    except HostileArchive:
        raise
    except _BROKEN as error:
        raise HostileArchive(f"{name}: not a whole tar or zip archive ({error})") from error
    return {**files, **resolved(files, links)}


def safe_path(path: str, name: str) -> str:
    """`path` in its shortest form. Raises HostileArchive where it is absolute, climbs out or has odd characters."""
    place = posixpath.normpath(path)
    if not path or place.startswith(("/", "../")) or place == ".." or "\0" in path or "\\" in path or "\n" in path:
        raise HostileArchive(f"{name}: path {path[:200]!r} leaves the archive")
    return place


def resolved(files: Tree, links: dict[str, str]) -> dict[str, bytes]:
    """Copies for the links (path -> target, relative to the link's folder) that lead to one of `files`, at most
    through one another; the others are left out."""
    found = {}
    for path in links:
        place = path
        for _ in range(len(links) + 1):
            if place not in links:
                break
            target = links[place]
            place = posixpath.normpath(posixpath.join(posixpath.dirname(place), target))
        if place in files:
            found[path] = files[place]
    return found


def without_top(tree: Tree) -> dict[str, bytes]:
    """The tree without the one folder that holds everything, where there is one."""
    tops = {path.partition("/")[0] for path in tree}
    if len(tops) != 1 or any("/" not in path for path in tree):
        return dict(tree)
    return {path.partition("/")[2]: data for path, data in tree.items()}


def _tar(data: bytes) -> Iterator[tuple[str, bytes | None, str | None]]:
    """(path, content, link target) of each entry; a folder has neither."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:*") as archive:
        for member in archive:
            if member.isreg():
                if member.size > MAX_UNPACKED_BYTES:
                    raise HostileArchive(f"{member.name[:200]!r} claims {member.size} bytes")
                file = archive.extractfile(member)
                assert file is not None
                yield member.name, file.read(), None
            elif member.issym():
                yield member.name, None, member.linkname
            elif member.islnk():  # its target is named from the archive's root
                folder = posixpath.dirname(posixpath.normpath(member.name))
                yield member.name, None, posixpath.relpath(posixpath.normpath("/" + member.linkname), "/" + folder)
            else:
                yield member.name, None, None


def _zip(data: bytes) -> Iterator[tuple[str, bytes | None, str | None]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        left = MAX_UNPACKED_BYTES
        for entry in archive.infolist():
            if entry.is_dir():
                yield entry.filename, None, None
                continue
            with archive.open(entry) as file:
                content = file.read(left + 1)
            left = max(0, left - len(content))
            yield entry.filename, content, None
