"""Java's key store of trusted certificates (the JKS format) with one date for all entries: it records when each was
added, which is the only thing in Debian's Java packages that differs from build to build.

The format is that of OpenJDK's `sun.security.provider.JavaKeyStore.engineLoad`.
"""

from __future__ import annotations

import hashlib
import struct

_MAGIC, _VERSION, _TRUSTED = 0xFEEDFEED, 2, 2
_DIGEST_BYTES = 20
_PASSWORD = "changeit"  # Java's public default; it protects against accidents only


def with_date(data: bytes, milliseconds: int) -> bytes:
    """The same store with every entry added at this Unix time. Raises ValueError if it is not a JKS file of trusted
    certificates alone."""
    try:
        magic, version, count = struct.unpack_from(">III", data)
        if (magic, version) != (_MAGIC, _VERSION):
            raise ValueError(f"magic {magic:#x}, version {version}")
        body = bytearray(data[:-_DIGEST_BYTES])
        at = 12
        for _ in range(count):
            (tag,) = struct.unpack_from(">I", body, at)
            if tag != _TRUSTED:
                raise ValueError(f"an entry of kind {tag}")
            at = _after(body, ">H", at + 4)  # its alias
            struct.pack_into(">Q", body, at, milliseconds)
            at = _after(body, ">H", at + 8)  # its type
            at = _after(body, ">I", at)  # the certificate
    except struct.error as error:
        raise ValueError(f"the key store is cut short: {error}") from error
    if at != len(body):
        raise ValueError(f"{len(body) - at} bytes after the last entry of the key store")
    return bytes(body) + _digest(body)


def _after(body: bytes | bytearray, length: str, at: int) -> int:
    (size,) = struct.unpack_from(length, body, at)
    return at + struct.calcsize(length) + int(size)


def _digest(body: bytes | bytearray) -> bytes:
    salt = _PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite"
    return hashlib.sha1(salt + body).digest()
