"""The machine's own Debian mirror and proxy, as apt knows them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

APT = Path("/etc/apt")
SNAPSHOTS = "http://snapshot.debian.org/archive/debian"
DEFAULT_MIRROR = ""
"""Leave it to debootstrap, which knows Debian's public mirror."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where packages of a suite come from, and the proxy variables that a downloader needs."""

    mirror: str
    proxy_env: Mapping[str, str] = field(default_factory=dict)


def find_source(suite: str, apt: Path = APT, snapshot: str = "") -> Source:
    """The first mirror of the machine that has this suite's `main`, else Debian's public one; for a `snapshot` (a time
    like 20250520T000000Z) Debian's archive of that time."""
    if snapshot:
        return Source(f"{SNAPSHOTS}/{snapshot}", _proxies())
    mirrors = [uri for uri, suites in _entries(apt) if suite in suites]
    return Source(mirrors[0] if mirrors else DEFAULT_MIRROR, _proxies())


def _entries(apt: Path) -> Iterator[tuple[str, list[str]]]:
    folder = apt / "sources.list.d"
    for file in [apt / "sources.list", *sorted(folder.glob("*.list"))]:
        if file.is_file():
            yield from one_line_entries(file.read_text())
    for file in sorted(folder.glob("*.sources")):
        yield from deb822_entries(file.read_text())


def one_line_entries(text: str) -> Iterator[tuple[str, list[str]]]:
    """(mirror, suites) of `deb [options] URI SUITE COMPONENT ...` lines (sources.list(5)) that have `main`."""
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+([^#]+)", line)
        if match and "main" in match[3].split() and match[1].startswith("http"):
            yield match[1].rstrip("/"), [match[2]]


def deb822_entries(text: str) -> Iterator[tuple[str, list[str]]]:
    """(mirror, suites) of the stanzas of a `.sources` file that have `main`."""
    for stanza in re.split(r"\n\s*\n", text):
        lines = [line for line in stanza.splitlines() if not line.startswith("#") and ":" in line]
        fields = {key.strip().lower(): value.split() for key, _, value in (line.partition(":") for line in lines)}
        wanted = "deb" in fields.get("types", []) and "main" in fields.get("components", [])
        if wanted and fields.get("enabled", ["yes"]) != ["no"]:
            for uri in fields.get("uris", []):
                if uri.startswith("http"):
                    yield uri.rstrip("/"), fields.get("suites", [])


def _proxies() -> dict[str, str]:
    tool = shutil.which("apt-config")
    if tool is None:
        return {}
    found = {}
    for scheme in ("http", "https"):
        shown = subprocess.run([tool, "shell", "P", f"Acquire::{scheme}::Proxy"], capture_output=True, text=True)
        match = re.search(r"P='([^']+)'", shown.stdout)
        if match and match[1] != "DIRECT":
            found[f"{scheme}_proxy"] = match[1]
    return found
