"""Definitions, mirrors and the build; the build itself runs once, through the cache."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from palestra.infra.images import apt, build, definitions
from palestra.infra.images.definitions import BadDefinition, BuildFailed, ImageError, UnknownImage


def test_definitions_load_and_have_addresses() -> None:
    assert {"base", "python"} <= set(definitions.names())
    loaded = [definitions.load(name) for name in definitions.names()]
    assert len({definition.digest for definition in loaded}) == len(loaded)
    assert definitions.load("python").reference == f"palestra/python:{definitions.load('python').digest}"


def test_address_is_of_the_content() -> None:
    python = definitions.load("python")
    assert replace(python, description="other").digest == python.digest
    assert replace(python, packages=python.packages[::-1]).digest == python.digest
    assert replace(python, packages=(*python.packages, "gcc")).digest != python.digest
    assert replace(python, suite="trixie").digest != python.digest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("suite = ", "image 'x'"),
        ("packages = []", "None is not a Debian suite"),
        ('suite = "bookworm"\npackages = ["a;rm"]', "'a;rm' is not"),
        ('suite = "bookworm"\npackages = "gcc"', "must be a list"),
        ('suite = "bookworm"\ncolour = 1', "unknown key 'colour'"),
    ],
)
def test_bad_definitions(text: str, message: str) -> None:
    with pytest.raises(BadDefinition, match=message):
        definitions.parse("x", text)


def test_unknown_image() -> None:
    with pytest.raises(UnknownImage, match=r"'cobol': choose one of base, "):
        definitions.load("cobol")


def test_mirror_of_the_machine(tmp_path: Path) -> None:
    folder = tmp_path / "sources.list.d"
    folder.mkdir()
    assert apt.find_source("bookworm", tmp_path).mirror == apt.DEFAULT_MIRROR
    (folder / "a.sources").write_text(
        "Types: deb\nURIs: http://off.example/debian\nSuites: bookworm\nComponents: main\nEnabled: no\n\n"
        "Types: deb\n# a comment\nURIs: http://one.example/debian/\n"
        "Suites: bookworm bookworm-updates\nComponents: main\n"
    )
    assert apt.find_source("bookworm", tmp_path).mirror == "http://one.example/debian"
    (tmp_path / "sources.list").write_text(
        "# deb http://no.example/ bookworm main\ndeb cdrom:[x]/ bookworm main\n"
        "deb [signed-by=/k] http://two.example/debian bookworm main contrib\n"
    )
    assert apt.find_source("bookworm", tmp_path).mirror == "http://two.example/debian"
    assert apt.find_source("trixie", tmp_path).mirror == apt.DEFAULT_MIRROR


def test_dockerfile() -> None:
    text = build.dockerfile(definitions.load("python"))
    assert text.startswith("FROM debian:bookworm-slim\n")
    assert "python3 python3-pytest" in text
    assert "install" not in build.dockerfile(definitions.load("base"))


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PALESTRA_CACHE", str(tmp_path))
    return tmp_path / "images"


def test_an_empty_cache_has_no_images(empty_cache: Path) -> None:
    assert build.list_images() == ()
    assert build.find_image("base") is None


def test_without_debootstrap_there_is_one_clear_line(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_debootstrap", lambda: None)
    with pytest.raises(ImageError, match=r"image 'base' is not built: .*root"):
        build.ensure_image("base")


@pytest.mark.skipif(os.getuid() != 0, reason="building needs root")
def test_failed_build_leaves_nothing(empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "debootstrap"
    tool.write_text("#!/bin/sh\necho 'E: no such mirror'\nexit 3\n")
    tool.chmod(0o755)
    monkeypatch.setattr(build, "_debootstrap", lambda: str(tool))
    with pytest.raises(BuildFailed, match="ended with 3: E: no such mirror"):
        build.ensure_image("base")
    assert [file.name for file in empty_cache.iterdir() if file.name not in ("debs",) and file.suffix != ".lock"] == []


@pytest.mark.skipif(os.getuid() != 0, reason="building needs root")
def test_build_is_atomic_and_happens_once(empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "debootstrap"
    # The real tool's arguments end with SUITE ROOT MIRROR; this one makes the little that `_finish` touches.
    tool.write_text(
        "#!/bin/sh\nwhile [ $# -gt 2 ]; do shift; done\nmkdir -p $1/etc $1/usr/share/doc/x\n"
        "echo root:x:0:0 > $1/etc/passwd; : > $1/etc/group; echo I: unpacked\n"
    )
    tool.chmod(0o755)
    monkeypatch.setattr(build, "_debootstrap", lambda: str(tool))
    lines: list[str] = []
    built = build.ensure_image("base", lines.append)
    assert "I: unpacked" in lines
    assert built.rootfs is not None
    assert "agent:x:1000:1000" in (built.rootfs / "etc/passwd").read_text()
    assert not (built.rootfs / "usr/share/doc").exists()
    assert stat.S_IMODE((built.rootfs / "grade").stat().st_mode) == 0o700
    tool.unlink()
    assert build.ensure_image("base") == built
    assert build.list_images() == (built,)


@pytest.mark.skipif(build.why_not_debootstrap() is not None, reason="debootstrap cannot run here")
def test_python_image_has_its_test_runners() -> None:
    rootfs = build.ensure_image("python").rootfs
    assert rootfs is not None
    assert (rootfs / "usr/bin/python3").exists()
    assert (rootfs / "usr/lib/python3/dist-packages/pytest").is_dir()
    assert not list((rootfs / "var/cache/apt").iterdir())
