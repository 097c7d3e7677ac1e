"""Build images into a content-addressed cache, and hand them to an engine.

`ensure_image` makes `CACHE/NAME-DIGEST/rootfs` with debootstrap (as root on Debian), once, however many processes
ask at the same time. `ensure_engine_image` gives the engine `palestra/NAME:DIGEST`, imported from that directory,
or built from the registry's `debian:SUITE-slim` where debootstrap cannot run. CACHE is `$PALESTRA_CACHE/images`, by
default `~/.cache/palestra/images`.
"""

from __future__ import annotations

import fcntl
import io
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from .apt import Source, find_source
from .definitions import BuildFailed, ImageDefinition, ImageError, load, names

if TYPE_CHECKING:
    from docker import DockerClient

Progress = Callable[[str], None]
_TRASH = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian", "var/log")
_EMPTIED = ("var/cache/apt", "var/lib/apt/lists", "var/cache/debconf", "tmp", "run")
_PEOPLE = (("agent", 1000), ("grader", 1001))
_NEEDED = "as root: apt-get install -y debootstrap"


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image that exists: `tag` is `name:digest`; `rootfs` is None where only the engine has it."""

    name: str
    tag: str
    rootfs: Path | None

    @property
    def reference(self) -> str:
        """The engine's name for it."""
        return f"palestra/{self.tag}"


def cache_root() -> Path:
    """Where images are kept."""
    chosen = os.environ.get("PALESTRA_CACHE")
    return (Path(chosen) if chosen else Path.home() / ".cache" / "palestra") / "images"


def find_image(name: str) -> BuiltImage | None:
    """The image of the current definition if its root file system is built. Raises UnknownImage."""
    definition = load(name)
    rootfs = _home(definition) / "rootfs"
    return BuiltImage(name, definition.tag, rootfs) if rootfs.is_dir() else None


def list_images() -> tuple[BuiltImage, ...]:
    """Every image whose root file system is built from its current definition."""
    return tuple(image for image in map(find_image, names()) if image is not None)


def why_not_debootstrap() -> str | None:
    """None if this process can build root file systems, else one line with the remedy."""
    if os.getuid() != 0:
        return (
            "building a root file system needs root: run as root, or let Docker build from the registry's debian image"
        )
    if _debootstrap() is None:
        return f"debootstrap is not installed; {_NEEDED}"
    return None


def ensure_image(name: str, progress: Progress = lambda line: None) -> BuiltImage:
    """The built image, made now if need be (about half a minute plus the download). Raises UnknownImage, ImageError,
    BuildFailed."""
    definition = load(name)
    if built := find_image(name):
        return built
    if reason := why_not_debootstrap():
        raise ImageError(f"image {name!r} is not built: {reason}")
    with _locked(definition, "build"):
        if built := find_image(name):
            return built
        return _build(definition, progress)


def ensure_engine_image(client: DockerClient, name: str, progress: Progress = lambda line: None) -> str:
    """The engine's reference of an image, imported or built now if need be. Raises UnknownImage, BuildFailed."""
    from docker.errors import APIError, BuildError, ImageNotFound

    definition = load(name)
    with _locked(definition, "engine"):
        try:
            client.images.get(definition.reference)
            return definition.reference
        except ImageNotFound:
            progress(f"{definition.reference} is not in the engine yet")
        try:
            if find_image(name) is None and why_not_debootstrap() is not None:
                _build_in_engine(client, definition, progress)
            else:
                _import(client, definition, ensure_image(name, progress), progress)
        except (APIError, BuildError) as error:
            raise BuildFailed(f"the engine could not make {definition.reference}: {error}; {_NEEDED}") from error
    return definition.reference


def _home(definition: ImageDefinition) -> Path:
    return cache_root() / f"{definition.name}-{definition.digest}"


@contextmanager
def _locked(definition: ImageDefinition, purpose: str) -> Iterator[None]:
    cache_root().mkdir(parents=True, exist_ok=True)
    with open(cache_root() / f"{definition.name}-{definition.digest}.{purpose}.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _debootstrap() -> str | None:
    return shutil.which("debootstrap", path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")


def _build(definition: ImageDefinition, progress: Progress) -> BuiltImage:
    home = _home(definition)
    for left in cache_root().glob(f".{home.name}.*"):  # of a builder that was killed: we hold the lock
        shutil.rmtree(left)
    temporary = cache_root() / f".{home.name}.{uuid4().hex[:8]}"
    rootfs = temporary / "rootfs"
    rootfs.mkdir(parents=True)
    try:
        _bootstrap(definition, rootfs, find_source(definition.suite), progress)
        _finish(rootfs)
        temporary.chmod(0o755)
        temporary.rename(home)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    progress(f"built {home / 'rootfs'}")
    return BuiltImage(definition.name, definition.tag, home / "rootfs")


def _bootstrap(definition: ImageDefinition, rootfs: Path, source: Source, progress: Progress) -> None:
    debs = cache_root() / "debs" / definition.suite
    debs.mkdir(parents=True, exist_ok=True)
    argv = [str(_debootstrap()), "--variant=minbase", f"--cache-dir={debs}", "--merged-usr"]
    if definition.packages:
        argv.append("--include=" + ",".join(sorted(definition.packages)))
    argv += [definition.suite, str(rootfs), *([source.mirror] if source.mirror else [])]
    progress(f"debootstrap {definition.name} ({definition.suite} from {source.mirror or 'the default mirror'})")
    env = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive", **source.proxy_env}
    last: list[str] = []
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env) as process:
        assert process.stdout is not None
        for line in process.stdout:
            last = [*last[-4:], line.strip()]
            progress(line.strip())
    if process.returncode != 0:
        raise BuildFailed(f"debootstrap of {definition.name!r} ended with {process.returncode}: {' | '.join(last)}")


def _finish(rootfs: Path) -> None:
    """Take out what a sandbox never needs and put in its two people and three places."""
    for name in _TRASH + _EMPTIED:
        shutil.rmtree(rootfs / name, ignore_errors=True)
    for name in ("var/log", *_EMPTIED, "work", "grade"):
        (rootfs / name).mkdir(parents=True, exist_ok=True)
    (rootfs / "tmp").chmod(0o1777)
    (rootfs / "grade").chmod(0o700)
    for person, id in _PEOPLE:
        for file, line in (("passwd", f"{person}:x:{id}:{id}::/work:/bin/sh\n"), ("group", f"{person}:x:{id}:\n")):
            with open(rootfs / "etc" / file, "a") as names_file:
                names_file.write(line)
    for name in ("etc/machine-id", "etc/hostname", "etc/resolv.conf"):
        (rootfs / name).write_text("")
    rootfs.chmod(0o755)


def _import(client: DockerClient, definition: ImageDefinition, built: BuiltImage, progress: Progress) -> None:
    progress(f"importing {definition.reference}")
    argv = ["tar", "-C", str(built.rootfs), "--one-file-system", "--exclude=./dev/*", "-c", "."]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as tar:
        assert tar.stdout is not None
        client.api.import_image_from_stream(
            tar.stdout, repository=f"palestra/{definition.name}", tag=definition.digest, changes=["WORKDIR /work"]
        )
    if tar.returncode != 0:
        client.images.remove(definition.reference)
        raise BuildFailed(f"tar of {built.rootfs} ended with {tar.returncode}")


def _build_in_engine(client: DockerClient, definition: ImageDefinition, progress: Progress) -> None:
    progress(f"building {definition.reference} from debian:{definition.suite}-slim")
    client.images.build(fileobj=io.BytesIO(dockerfile(definition).encode()), tag=definition.reference, rm=True)


def dockerfile(definition: ImageDefinition) -> str:
    """The same image for an engine that can reach a registry."""
    install = "apt-get update && apt-get install -y --no-install-recommends " + " ".join(sorted(definition.packages))
    steps = [install + " && rm -rf /var/lib/apt/lists/*"] if definition.packages else []
    steps += [f"groupadd -g {id} {name} && useradd -u {id} -g {id} -d /work {name}" for name, id in _PEOPLE]
    steps.append("mkdir -p /work /grade && chmod 700 /grade")
    return "\n".join([f"FROM debian:{definition.suite}-slim", *(f"RUN {step}" for step in steps), "WORKDIR /work", ""])
