"""Build images into a content-addressed cache, and hand them to an engine.

`ensure_image` makes `CACHE/NAME-DIGEST/rootfs` and `manifest.json` beside it (as root on Debian), once, however many
processes ask at the same time. `ensure_engine_image` gives the engine `palestra/NAME:DIGEST`, imported from that
directory, or built from the registry's `debian:SUITE-slim` where no root file system can be built. CACHE is
`$PALESTRA_CACHE/images`, by default `~/.cache/palestra/images`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from . import debian, engine, manifest, tree
from .apt import find_source
from .definitions import BuildFailed, ImageDefinition, ImageError, load, names
from .manifest import Manifest
from .tidy import furnish, tidy

if TYPE_CHECKING:
    from docker import DockerClient

Progress = Callable[[str], None]


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

    @property
    def manifest(self) -> Manifest | None:
        """What it holds; None where only the engine has it. Raises BuildFailed if the file is damaged."""
        return manifest.read(self.rootfs.parent) if self.rootfs else None


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
    return debian.why_not()


def ensure_image(name: str, progress: Progress = lambda line: None) -> BuiltImage:
    """The built image, made now if need be (half a minute for `base`, ten seconds more on it). Raises UnknownImage,
    ImageError, BuildFailed."""
    definition = load(name)
    if built := find_image(name):
        return built
    if reason := why_not_debootstrap():
        raise ImageError(f"image {name!r} is not built: {reason}")
    if definition.parent:
        ensure_image(definition.parent.name, progress)
    with _locked(f"{_home(definition).name}.build"):
        if built := find_image(name):
            return built
        with _built(definition, progress) as made:
            made.rename(_home(definition))
    progress(f"built {_home(definition)}")
    return BuiltImage(name, definition.tag, _home(definition) / "rootfs")


def check_image(name: str, progress: Progress = lambda line: None) -> str | None:
    """Build a second time beside the first: None if both are the same to the byte, else the first difference in one
    line. The parent is taken as it is: check it by its own name. Raises UnknownImage, ImageError, BuildFailed."""
    first = ensure_image(name, progress)
    assert first.rootfs is not None
    assert first.manifest is not None
    if reason := why_not_debootstrap():
        raise ImageError(f"image {name!r} cannot be built again: {reason}")
    definition = load(name)
    with _locked(f"{_home(definition).name}.build"), _built(definition, progress) as home:
        if moved := manifest.moved_packages(first.manifest, manifest.read(home)):
            return f"the packages have moved since the first build: {moved}"
        return tree.first_difference(tree.entries(first.rootfs), tree.entries(home / "rootfs"))


def ensure_engine_image(client: DockerClient, name: str, progress: Progress = lambda line: None) -> str:
    """The engine's reference of an image, imported or built now if need be. Raises UnknownImage, BuildFailed."""
    from docker.errors import APIError, BuildError, ImageNotFound

    definition = load(name)
    with _locked(f"{_home(definition).name}.engine"):
        try:
            client.images.get(definition.reference)
            return definition.reference
        except ImageNotFound:
            progress(f"{definition.reference} is not in the engine yet")
        try:
            if find_image(name) is None and why_not_debootstrap() is not None:
                engine.build_from_registry(client, definition, progress)
            else:
                rootfs = ensure_image(name, progress).rootfs
                assert rootfs is not None
                engine.import_tree(client, definition, rootfs, progress)
        except (APIError, BuildError) as error:
            reason = f"the engine could not make {definition.reference}: {error}"
            raise BuildFailed(f"{reason}; {debian.REMEDY}") from error
    return definition.reference


def _home(definition: ImageDefinition) -> Path:
    return cache_root() / f"{definition.name}-{definition.digest}"


@contextmanager
def _locked(name: str) -> Iterator[None]:
    cache_root().mkdir(parents=True, exist_ok=True)
    with open(cache_root() / f"{name}.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _built(definition: ImageDefinition, progress: Progress) -> Iterator[Path]:
    """A finished build in a directory of its own, which is gone afterwards unless it was renamed."""
    home = _home(definition)
    for left in cache_root().glob(f".{home.name}.*"):  # of a builder that was killed: we hold the lock
        shutil.rmtree(left)
    temporary = cache_root() / f".{home.name}.{uuid4().hex[:8]}"
    temporary.mkdir()
    try:
        _make(definition, temporary, progress)
        temporary.chmod(0o755)
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _make(definition: ImageDefinition, home: Path, progress: Progress) -> None:
    started = time.time()
    rootfs = home / "rootfs"
    source = find_source(definition.suite, snapshot=definition.snapshot)
    with _locked("packages"):  # the cache of packages belongs to one apt or debootstrap at a time
        if definition.parent is None:
            debian.bootstrap(definition, rootfs, source, cache_root(), progress)
            furnish(rootfs)
        else:
            _copy(_home(definition.parent) / "rootfs", rootfs)
            debian.install(definition, rootfs, source, cache_root(), progress)
    debian.point_apt(rootfs, definition.suite)
    packages = debian.installed(rootfs)
    tidy(rootfs, definition.remove, started - 1)
    progress(f"digest of {rootfs}")
    found = tree.entries(rootfs)
    Manifest(
        tag=definition.tag,
        tree=tree.digest(found),
        size=tree.size(rootfs),
        paths=len(found),
        suite=definition.suite,
        mirror=source.mirror,
        parent=definition.parent.tag if definition.parent else "",
        built=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(time.time() - started, 1),
        packages=packages,
    ).save(home)


def _copy(parent: Path, rootfs: Path) -> None:
    argv = ["cp", "--archive", "--reflink=auto", str(parent), str(rootfs)]
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode != 0:
        raise BuildFailed(f"cannot copy {parent}: {done.stderr.strip()}")
