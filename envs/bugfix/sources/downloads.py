"""Fetch a file over HTTP(S) or `file:`, bounded in size, with the machine's own proxies and certificates."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping

from .archives import MAX_ARCHIVE_BYTES
from .types import HostileArchive, SourceError

SECONDS = 60.0
_SCHEMES = ("http://", "https://", "file://")


def download(url: str, headers: Mapping[str, str] | None = None, limit: int = MAX_ARCHIVE_BYTES) -> bytes:
    """The bytes at a URL. Raises SourceError where there are none, HostileArchive where there are more than `limit`."""
    if not url.startswith(_SCHEMES):
        raise SourceError(f"{url[:200]!r} is fetched by none of http, https and file")
    request = urllib.request.Request(url, headers=dict(headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as response:
            data: bytes = response.read(limit + 1)
    except urllib.error.HTTPError as error:
        raise SourceError(f"{url}: HTTP {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise SourceError(f"{url} cannot be fetched: {error}") from error
    if len(data) > limit:
        raise HostileArchive(f"{url} is larger than {limit} bytes")
    return data


def check_sha256(data: bytes, wanted: str, name: str) -> str:
    """The SHA-256 of `data`, in hexadecimal. Raises HostileArchive where another is `wanted` ("" wants none)."""
    found = hashlib.sha256(data).hexdigest()
    if wanted and found != wanted.lower():
        raise HostileArchive(f"{name}: SHA-256 is {found}, not {wanted}")
    return found
