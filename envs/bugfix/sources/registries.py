"""Python sdists and npm packages, from the indexes that this machine's pip and npm are set up for."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.parse
from dataclasses import dataclass, field
from typing import Any

from packaging.version import InvalidVersion, Version

from .archives import unpack, without_top
from .downloads import check_sha256, download
from .types import Fetched, HostileArchive, SourceError, Spec

PYPI = "https://pypi.org/simple"
NPM = "https://registry.npmjs.org/"
_SIMPLE = {"Accept": "application/vnd.pypi.simple.v1+json, text/html;q=0.1"}
_SDIST = (".tar.gz", ".tar.bz2", ".tar.xz", ".zip")
_PAGE_BYTES = 32 << 20


def fetch_pypi(spec: Spec) -> Fetched:
    """A Python sdist by the simple repository API (PEP 503, 691); its setup.py is not run. Raises SourceError."""
    found: list[tuple[str, str, str]] = []
    problems = []
    for index in pip_indexes():
        try:
            found += _sdists(index, spec)
        except HostileArchive:
            raise
        except SourceError as error:
            problems.append(str(error))
    if not found:
        raise SourceError(f"{spec}: no index has such an sdist" + (f" ({'; '.join(problems)})" if problems else ""))
    version, url, sha256 = max(found, key=lambda item: (_order(item[0]), bool(item[2])))
    data = download(url)
    check_sha256(data, sha256, url)
    found_sha = check_sha256(data, spec.sha256, str(spec))
    pinned = Spec("pypi", spec.name, version, found_sha)
    return Fetched(pinned, version, without_top(unpack(data, f"{spec.name} {version}")))


def fetch_npm(spec: Spec) -> Fetched:
    """An npm package's tarball; none of its scripts is run. Raises SourceError."""
    registry = npm_registry()
    name = urllib.parse.quote(spec.name, safe="@")
    about = _json(download(f"{registry}{name}/{spec.version or 'latest'}", limit=_PAGE_BYTES), str(spec))
    dist = about["dist"] if isinstance(about.get("dist"), dict) else {}
    url, version = str(dist.get("tarball", "")), str(about.get("version", ""))
    if url.startswith(NPM):  # as npm does: packages say the public registry, also in a mirror
        url = registry + url.removeprefix(NPM)
    data = download(url)
    _check_integrity(data, str(dist.get("integrity", "")), str(spec))
    pinned = Spec("npm", spec.name, version, check_sha256(data, spec.sha256, str(spec)))
    return Fetched(pinned, version, without_top(unpack(data, f"{spec.name} {version}")))


def pip_indexes() -> tuple[str, ...]:
    """The index and the extra indexes of this machine's pip configuration, in pip's order of precedence."""
    told = {"index-url": PYPI, "extra-index-url": ""}
    done = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True)
    ranked = sorted(done.stdout.splitlines(), key=lambda line: line.startswith(":env:"))
    for line in ranked:
        match = re.match(r"(?:global|install|download|:env:)\.(index-url|extra-index-url)='(.*)'$", line)
        if match:
            told[match[1]] = match[2].replace("\\n", " ")
    for name in told:
        told[name] = os.environ.get(f"PIP_{name.replace('-', '_').upper()}", told[name])
    return tuple(dict.fromkeys(url.rstrip("/") for url in (told["index-url"] + " " + told["extra-index-url"]).split()))


def npm_registry() -> str:
    """The registry of this machine's npm configuration, with a slash at its end."""
    chosen = os.environ.get("npm_config_registry", "")  # noqa: SIM112  (npm's own spelling)
    tool = shutil.which("npm")
    if not chosen and tool:
        done = subprocess.run([tool, "config", "get", "registry"], capture_output=True, text=True, cwd="/")
        chosen = done.stdout.strip()
    return (chosen if chosen.startswith("http") else NPM).rstrip("/") + "/"


@dataclass
class _Links(html.parser.HTMLParser):
    """The anchors of an HTML index: (text, address)."""

    anchors: list[tuple[str, str]] = field(default_factory=list)
    _href: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._href = dict(attrs).get("href") or ""

    def handle_data(self, data: str) -> None:
        if self._href and data.strip():
            self.anchors.append((data.strip(), self._href))
            self._href = ""


def _sdists(index: str, spec: Spec) -> list[tuple[str, str, str]]:
    """(version, address, sha256) of the sdists of one index that are asked for."""
    project = re.sub(r"[-_.]+", "-", spec.name).lower()
    page = f"{index}/{project}/"
    address = page + "index.html" if page.startswith("file://") else page
    files = _files(download(address, _SIMPLE, _PAGE_BYTES), page)
    found = []
    for name, url, sha256 in files:
        suffix = next((end for end in _SDIST if name.endswith(end)), None)
        stem, _, version = name.removesuffix(suffix or "").rpartition("-")
        if suffix and re.sub(r"[-_.]+", "-", stem).lower() == project and version == (spec.version or version):
            found.append((version, urllib.parse.urljoin(page, url), sha256))
    return found


def _files(data: bytes, page: str) -> list[tuple[str, str, str]]:
    """(name, address, sha256) of the files that an index lists, as JSON (PEP 691) or HTML (PEP 503)."""
    if data.lstrip()[:1] == b"{":
        listed = _json(data, page).get("files", [])
        files = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
        return [
            (str(f.get("filename")), str(f.get("url")), str((f.get("hashes") or {}).get("sha256", ""))) for f in files
        ]
    links = _Links()
    links.feed(data.decode("utf-8", "replace"))
    found = []
    for name, href in links.anchors:
        url, _, fragment = href.partition("#")
        found.append((name, url, fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else ""))
    return found


def _order(version: str) -> tuple[bool, Version]:
    """Releases by number, above all pre-releases."""
    try:
        parsed = Version(version)
    except InvalidVersion:
        return False, Version("0")
    return not parsed.is_prerelease, parsed


def _check_integrity(data: bytes, integrity: str, name: str) -> None:
    """Subresource integrity, as npm records it: the strongest hash counts."""
    for algorithm in ("sha512", "sha384", "sha256", "sha1"):
        for part in integrity.split():
            kind, _, wanted = part.partition("-")
            if kind == algorithm:
                if base64.b64encode(hashlib.new(algorithm, data).digest()).decode() != wanted:
                    raise HostileArchive(f"{name}: {algorithm} is not the one that the registry tells")
                return
    raise HostileArchive(f"{name}: the registry tells no checksum")


def _json(data: bytes, name: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError as error:
        raise SourceError(f"{name}: the registry's answer is not JSON") from error
    if not isinstance(value, dict):
        raise SourceError(f"{name}: the registry's answer is not an object")
    return value
