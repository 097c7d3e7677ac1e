"""Debian source packages, fetched by apt-get from this machine's mirror, also where its `deb-src` lines are missing.

apt-get keeps a state of its own here, so nothing of the machine's changes; it checks the archive's signature and every
checksum. Nothing of a package is run or unpacked by Debian's tools.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ....infra.images.apt import find_source
from .archives import unpack, without_top
from .downloads import check_sha256
from .types import Fetched, HostileArchive, Patch, SourceError, Spec

SUITE = "bookworm"
_CANONICAL = "http://deb.debian.org/debian"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SECONDS = 300
_CHECKSUM = re.compile(r"^ ([0-9a-f]{64}) (\d+) ([A-Za-z0-9][A-Za-z0-9.+~_-]*)$", re.MULTILINE)


@dataclass(frozen=True)
class Mirror:
    """A Debian archive; `trusted` accepts one that nobody signed."""

    url: str
    suite: str = SUITE
    trusted: bool = False

    @property
    def line(self) -> str:
        """The line of sources.list(5)."""
        option = "trusted=yes" if self.trusted else f"signed-by={_KEYRING}" if _KEYRING.exists() else ""
        return f"deb-src {f'[{option}] ' if option else ''}{self.url} {self.suite} main\n"


def machine_mirror() -> Mirror:
    """Where this machine's apt gets the suite from, else Debian's own."""
    return Mirror(find_source(SUITE).mirror or _CANONICAL)


def fetch_debian(spec: Spec, cache: Path, mirror: Mirror | None = None) -> Fetched:
    """A source package as its upstream made it, with the patches of `debian/patches` listed but not made: making them
    is left to the sandbox. The folder `debian` is in the tree. Raises SourceError."""
    with tempfile.TemporaryDirectory(prefix="palestra-source-") as folder:
        _download(spec, cache, mirror or machine_mirror(), Path(folder))
        described = sorted(Path(folder).glob("*.dsc"))
        if len(described) != 1:
            raise SourceError(f"{spec}: apt-get brought {len(described)} descriptions (.dsc)")
        dsc = described[0].read_bytes()
        sha256 = check_sha256(dsc, spec.sha256, str(spec))
        parts = _parts(dsc.decode("utf-8", "replace"), Path(folder), str(spec))
    version = _field(dsc, "Version")
    tree, patches = _assemble(parts, str(spec))
    return Fetched(Spec("debian", spec.name, version, sha256), version, tree, patches)


def _download(spec: Spec, cache: Path, mirror: Mirror, folder: Path) -> None:
    tool = shutil.which("apt-get")
    if tool is None:
        raise SourceError(f"{spec}: Debian source packages are fetched by apt-get, which this machine has not")
    home = cache / "apt" / re.sub(r"\W+", "-", mirror.line).strip("-")
    for part in ("lists/partial", "archives/partial"):
        (home / part).mkdir(parents=True, exist_ok=True)
    (home / "sources.list").write_text(mirror.line)
    (home / "status").touch()
    options = {
        "Dir::Etc::sourcelist": home / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State": home,
        "Dir::State::lists": home / "lists",
        "Dir::State::status": home / "status",
        "Dir::Cache": home,
        "APT::Sandbox::User": "root",
        "APT::Update::Post-Invoke-Success::": "",
        "Acquire::Languages": "none",
    }
    apt = [tool, "-q", *(f"--option={key}={value}" for key, value in options.items())]
    wanted = spec.name + (f"={spec.version}" if spec.version else "")
    _run([*apt, "--error-on=any", "update"], folder, f"{mirror.url} {mirror.suite}")
    _run([*apt, "source", "--download-only", "--only-source", "--", wanted], folder, str(spec))


def _run(argv: list[str], folder: Path, name: str) -> None:
    try:
        env = {**os.environ, **find_source(SUITE).proxy_env, "LC_ALL": "C.UTF-8"}
        done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise SourceError(f"{name}: apt-get took more than {_SECONDS} s") from error
    if done.returncode != 0:
        said = " | ".join(line for line in done.stderr.splitlines() if line.startswith(("E:", "W:")))
        raise SourceError(f"{name}: apt-get failed: {said or done.stderr.strip()[-300:]}")


def _field(dsc: bytes, name: str) -> str:
    match = re.search(rf"^{name}: *(.+)$", dsc.decode("utf-8", "replace"), re.MULTILINE)
    return match[1].strip() if match else ""


def _parts(dsc: str, folder: Path, name: str) -> dict[str, bytes]:
    """The files that a .dsc lists, checked against it."""
    start = dsc.find("Checksums-Sha256:")
    section = re.split(r"\n(?=\S)", dsc[start:], maxsplit=1)[0] if start >= 0 else ""
    found = {}
    for sha256, _, file in _CHECKSUM.findall(section):
        if (folder / file).is_file():
            data = (folder / file).read_bytes()
            check_sha256(data, sha256, f"{name}: {file}")
            found[file] = data
    if not found:
        raise HostileArchive(f"{name}: its description lists no file with a SHA-256")
    return found


def _assemble(parts: dict[str, bytes], name: str) -> tuple[dict[str, bytes], tuple[Patch, ...]]:
    """Upstream's tree with `debian/` in it, and the patches (formats 3.0 (quilt) and 3.0 (native))."""
    tree: dict[str, bytes] = {}
    for file, data in sorted(parts.items(), key=lambda item: ".orig" not in item[0]):
        component = re.search(r"\.orig(?:-([A-Za-z0-9-]+))?\.tar\.\w+$", file)
        if component:
            into = f"{component[1]}/" if component[1] else ""
            tree.update({into + path: content for path, content in without_top(unpack(data, file)).items()})
        elif re.search(r"\.debian\.tar\.\w+$", file):
            tree = {path: content for path, content in tree.items() if not path.startswith("debian/")}
            tree.update(unpack(data, file))
        elif re.search(r"\.tar\.\w+$", file):
            tree.update(without_top(unpack(data, file)))
        elif file.endswith(".diff.gz"):
            raise SourceError(f"{name}: source format 1.0 is not read; choose a package of format 3.0")
    return tree, _series(tree)


def _series(tree: dict[str, bytes]) -> tuple[Patch, ...]:
    """The patches of debian/patches/series, in order."""
    listed = tree.get("debian/patches/series", b"").decode("utf-8", "replace")
    names = [line.split("#")[0].split() for line in listed.splitlines()]
    found = []
    for words in names:
        data = tree.get(f"debian/patches/{words[0]}") if words else None
        if data is not None:
            found.append(Patch(words[0], _description(data.decode("utf-8", "replace")), data))
    return tuple(found)


def _description(text: str) -> str:
    """What stands above the diff: DEP-3's Description or Subject, else its first lines."""
    head = re.split(r"^(?:---|diff |Index: )", text, maxsplit=1, flags=re.MULTILINE)[0]
    match = re.search(r"^(?:Description|Subject): *(.+(?:\n[ \t].+)*)", head, re.MULTILINE)
    return re.sub(r"\s*\n\s*\.?\s*", " ", (match[1] if match else head).strip())[:1000]
