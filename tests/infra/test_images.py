"""Definitions, mirrors, trees and the build. `test_image_runners.py` runs tests in the built images."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palestra.infra.images import apt, build, debian, definitions, engine, keystore, manifest, tidy, tree
from palestra.infra.images.definitions import BadDefinition, BuildFailed, ImageError, UnknownImage
from palestra.services.cli.main import run

LANGUAGES = ("c", "cpp", "go", "java", "javascript", "php", "python", "typescript")


def test_definitions_load_and_have_addresses() -> None:
    assert set(definitions.names()) == {"base", "interpreter", *LANGUAGES}
    loaded = [definitions.load(name) for name in definitions.names()]
    assert len({definition.digest for definition in loaded}) == len(loaded)
    assert definitions.load("python").reference == f"palestra/python:{definitions.load('python').digest}"


@pytest.mark.parametrize("name", LANGUAGES)
def test_every_language_can_apply_a_diff_and_write_junit(name: str) -> None:
    definition = definitions.load(name)
    assert definition.parent == definitions.load("base")
    assert {"git", "patch"} <= set(definition.packages)
    assert definition.runner
    assert "/grade/it.xml" in "".join(definition.junit_command("/grade/it.xml"))


def test_address_is_of_the_content() -> None:
    python, base = definitions.load("python"), definitions.load("base")
    assert replace(python, description="other", runner="other", junit=("true", "{report}")).digest == python.digest
    assert replace(python, packages=python.packages[::-1]).digest == python.digest
    assert replace(python, packages=(*python.packages, "gcc")).digest != python.digest
    assert replace(python, remove=("usr/games",)).digest != python.digest
    assert replace(python, suite="trixie").digest != python.digest
    assert replace(python, parent=replace(base, snapshot="20250520T000000Z")).digest != python.digest


def test_junit_command() -> None:
    base = definitions.load("base")
    with pytest.raises(ValueError, match="image 'base' runs no tests"):
        base.junit_command("/tmp/r.xml")
    argv = replace(base, junit=("run", "--to={report}"))
    assert argv.junit_command("/a b") == ("run", "--to=/a b")
    assert replace(argv, env={"A": "b c"}).junit_command("/r") == ("env", "A=b c", "run", "--to=/r")
    shell = replace(base, junit='echo "$A" > {report}', env={"A": "it's"}).junit_command("/tmp/a b")
    assert shell == "export A='it'\"'\"'s'\necho \"$A\" > '/tmp/a b'"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("suite = ", "image 'x'"),
        ("packages = []", "None is not a Debian suite"),
        ('suite = "bookworm"\npackages = ["a;rm"]', "'a;rm' is not"),
        ('suite = "bookworm"\npackages = "gcc"', "packages must be a list"),
        ('suite = "bookworm"\ncolour = 1', "unknown key 'colour'"),
        ('suite = "bookworm"\nsnapshot = "yesterday"', "snapshot 'yesterday' is not a time like"),
        ('parent = "base"\nsuite = "bookworm"', "suite is the parent's to say"),
        ('parent = "cobol"', "parent 'cobol' must be an image that has no parent"),
        ('parent = "python"', "parent 'python' must be an image that has no parent"),
        ('parent = "base"\nremove = ["/etc"]', "remove '/etc' must be a glob relative"),
        ('parent = "base"\nremove = ["a/../../b"]', "must be a glob relative"),
        ('parent = "base"\nrunner = "r"\njunit = ["r"]', "where '{report}' goes"),
        ('parent = "base"\njunit = "r {report}"', "runner and junit go together"),
        ('parent = "base"\njunit = 3', "junit must be a list of strings, not 3"),
        ('parent = "base"\nenv = {A = 1}', "env 'A' must be"),
        ('parent = "base"\nenv = "A=1"', "env must be a table"),
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
    assert apt.find_source("bookworm", tmp_path, "20250520T000000Z").mirror.endswith("/debian/20250520T000000Z")


def test_dockerfile() -> None:
    text = engine.dockerfile(definitions.load("go"))
    assert text.startswith("FROM debian:bookworm-slim\n")
    assert "git golang-go gotestsum patch" in text
    assert "&& rm -rf /var/lib/apt/lists/* /usr/lib/go-*/pkg" in text
    assert "mkdir -p /work /grade /lease && chmod 755 /work && chmod 700 /grade && chmod 700 /lease" in text
    assert "install" not in engine.dockerfile(definitions.load("base"))


def test_every_kind_of_difference_between_trees_is_seen(tmp_path: Path) -> None:
    def make(name: str) -> Path:
        root = tmp_path / name
        (root / "etc").mkdir(parents=True)
        (root / "etc/hosts").write_text("one")
        (root / "etc/link").symlink_to("hosts")
        for path in (root / "etc/hosts", root / "etc/link", root / "etc"):
            os.utime(path, (1, 1), follow_symlinks=False)
        return root

    def retarget(root: Path) -> None:
        (root / "etc/link").unlink()
        (root / "etc/link").symlink_to("other")

    changes: dict[str, Callable[[Path], object]] = {
        "/etc/hosts: -rw-r--r-- ": lambda root: (root / "etc/hosts").write_text("two"),
        "/etc/hosts: -rw-r--r--  ": lambda root: os.utime(root / "etc/hosts", (2, 2)),
        "/etc: drwxr-xr-x": lambda root: (root / "etc").chmod(0o700),
        "/etc/link: ": retarget,
        "/etc/new: nothing | ": lambda root: (root / "etc/new").mkdir(),
    }
    one = tree.entries(make("one"))
    assert tree.first_difference(one, tree.entries(make("same"))) is None
    assert tree.digest(one) == tree.digest(tree.entries(tmp_path / "same"))
    for number, (start, change) in enumerate(changes.items()):
        other = make(str(number))
        change(other)
        os.utime(other / "etc", (1, 1))
        found = tree.first_difference(one, tree.entries(other))
        assert found is not None
        assert found.startswith(start.strip())
        assert tree.digest(one) != tree.digest(tree.entries(other))


def test_size_counts_a_file_with_two_names_once(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"12345")
    (tmp_path / "two").hardlink_to(tmp_path / "one")
    (tmp_path / "link").symlink_to("one")
    assert tree.size(tmp_path) == 5


def test_tidy_keeps_the_times_of_packages_and_never_leaves_the_tree(tmp_path: Path) -> None:
    outside, rootfs = tmp_path / "outside", tmp_path / "rootfs"
    outside.mkdir()
    (outside / "passwd-").write_text("of the machine")
    for name in ("etc", "usr/share/doc/x", "usr/lib/x/jmods", "var/log", "var/cache/apt", "var/lib"):
        (rootfs / name).mkdir(parents=True)
    (rootfs / "usr/lib/away").symlink_to(outside)
    (rootfs / "etc/machine-id").symlink_to(outside / "passwd-")
    (rootfs / "etc/shadow").write_text("root:*:20000:0:99999:7:::\n")
    for name in ("etc/passwd-", "etc/made", "etc/packaged", "var/log/dpkg.log", "var/cache/apt/pkgcache.bin"):
        (rootfs / name).write_text(name)
    os.utime(rootfs / "etc/packaged", (1000, 1000))
    tidy.tidy(rootfs, ["usr/lib/*/jmods", "usr/lib/*/passwd-"], started=2000)
    assert (outside / "passwd-").read_text() == "of the machine"
    assert (rootfs / "etc/machine-id").read_bytes() == b""
    assert (rootfs / "etc/shadow").read_text() == "root:*::0:99999:7:::\n"
    for name in ("usr/share/doc", "usr/lib/x/jmods", "etc/passwd-", "var/log/dpkg.log", "var/cache/apt"):
        assert not (rootfs / name).exists()
    assert (rootfs / "etc/packaged").stat().st_mtime == 1000
    assert {(rootfs / name).stat().st_mtime for name in ("", "etc", "etc/made", "var/cache")} == {tidy.EPOCH}
    assert (rootfs / "usr/lib/away").lstat().st_mtime == tidy.EPOCH


def _store(*entries: tuple[str, int, bytes]) -> bytes:
    """A JKS file as OpenJDK's JavaKeyStore writes it."""
    body = struct.pack(">III", 0xFEEDFEED, 2, len(entries))
    for alias, milliseconds, certificate in entries:
        body += struct.pack(">IH", 2, len(alias)) + alias.encode() + struct.pack(">Q", milliseconds)
        body += struct.pack(">H", 5) + b"X.509" + struct.pack(">I", len(certificate)) + certificate
    return body + hashlib.sha1("changeit".encode("utf-16-be") + b"Mighty Aphrodite" + body).digest()


def test_key_store_gets_one_date() -> None:
    assert keystore.with_date(_store(("a", 1, b"xyz"), ("bc", 2, b"")), 9) == _store(("a", 9, b"xyz"), ("bc", 9, b""))
    assert keystore.with_date(_store(), 9) == _store()


@given(st.binary(max_size=60), st.integers(0, 80))
def test_what_is_no_key_store_is_refused(noise: bytes, cut: int) -> None:
    good = _store(("a", 1, b"xyz"), ("bc", 2, b""))
    for data in (noise, good[: min(cut, len(good) - 1)], good + b"x"):
        with pytest.raises(ValueError, match=r"key store|magic|entry of kind"):
            keystore.with_date(data, 9)


def test_manifests_tell_which_packages_moved(tmp_path: Path) -> None:
    one = manifest.Manifest("x:1", "t", 1, 1, "bookworm", "", "", "2026-01-01", 1.0, {"a": "1", "b": "1"})
    one.save(tmp_path)
    assert manifest.read(tmp_path) == one
    assert manifest.moved_packages(one, one) is None
    assert manifest.moved_packages(one, replace(one, packages={"b": "2", "c": "1"})) == (
        "a 1 -> absent, b 1 -> 2, c absent -> 1"
    )
    (tmp_path / manifest.FILE).write_text('{"tag": 1')
    with pytest.raises(BuildFailed, match=r"remove .* and build again"):
        manifest.read(tmp_path)


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PALESTRA_CACHE", str(tmp_path))
    return tmp_path / "images"


def test_an_empty_cache_has_no_images(empty_cache: Path) -> None:
    assert build.list_images() == ()
    assert build.find_image("base") is None


def test_without_debootstrap_there_is_one_clear_line(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "find_tool", lambda name: None)
    with pytest.raises(ImageError, match=r"image 'base' is not built: .*root"):
        build.ensure_image("base")


# Stands in for debootstrap: fetches (`--make-tarball=FILE`), then makes the little of a system that the build touches.
# Its arguments end with SUITE ROOT MIRROR; while FOLDER/away exists it can fetch nothing; with the named pipes
# FOLDER/hold and FOLDER/never it says on the first that it has come far enough, and waits on the second.
FAKE = """#!/bin/sh
for one in "$@"; do
    case $one in
        --make-tarball=*)
            [ -e {folder}/away ] && echo "E: no such mirror" && exit 3
            echo > "${{one#*=}}"; exit 0;;
        --unpack-tarball=*) from=${{one#*=}};;
    esac
done
[ -e "$from" ] || exit 4
while [ $# -gt 2 ]; do shift; done
[ -e {folder}/hold ] && exec 3> {folder}/hold && echo >&3 && exec cat {folder}/never
mkdir -p $1/etc/apt $1/usr/share/doc/x $1/var/lib/dpkg/info $1/var/lib/dpkg/updates
printf 'Package: dash\nStatus: install ok installed\nVersion: 0.5\nArchitecture: all\n\n' > $1/var/lib/dpkg/status
echo root:x:0:0 > $1/etc/passwd; : > $1/etc/group; echo "I: unpacked"
"""


@pytest.fixture
def fake(empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A debootstrap that answers at once; while the returned file exists, its mirror does not."""
    if reason := build.why_not_debootstrap():
        pytest.skip(reason)
    tool = tmp_path / "debootstrap"
    tool.write_text(FAKE.format(folder=tmp_path))
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path / "away"


def test_failed_build_leaves_nothing(fake: Path, empty_cache: Path) -> None:
    fake.touch()
    with pytest.raises(BuildFailed, match="debootstrap ended with 3: E: no such mirror"):
        build.ensure_image("base")
    assert [file.name for file in empty_cache.iterdir() if file.name != "debs" and file.suffix != ".lock"] == []
    assert [file for file in (empty_cache / "debs").rglob("*") if file.is_file()] == []


def test_build_is_atomic_and_happens_once(fake: Path, empty_cache: Path) -> None:
    lines: list[str] = []
    built = build.ensure_image("base", lines.append)
    assert "I: unpacked" in lines
    assert built.rootfs is not None
    assert "agent:x:1000:1000" in (built.rootfs / "etc/passwd").read_text()
    assert not (built.rootfs / "usr/share/doc").exists()
    modes = {place: stat.S_IMODE((built.rootfs / place).stat().st_mode) for place in ("work", "grade", "lease")}
    assert modes == {"work": 0o755, "grade": 0o700, "lease": 0o700}
    assert built.manifest is not None
    assert built.manifest.packages == {"dash": "0.5"}
    fake.touch()
    assert build.ensure_image("base") == built
    assert build.list_images() == (built,)


def test_without_its_mirror_a_build_uses_what_was_fetched(fake: Path) -> None:
    first = build.ensure_image("base")
    assert first.rootfs is not None
    assert first.manifest is not None
    before = first.manifest
    shutil.rmtree(first.rootfs.parent)
    fake.touch()
    lines: list[str] = []
    second = build.ensure_image("base", lines.append)
    assert any("going on with what was fetched on" in line for line in lines)
    assert second.manifest is not None
    assert second.manifest.tree == before.tree


def test_check_names_the_first_path_that_differs(fake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert build.check_image("base") is None
    furnish = tidy.furnish

    def with_chance(rootfs: Path) -> None:
        furnish(rootfs)
        (rootfs / "etc/seed").write_bytes(os.urandom(8))

    monkeypatch.setattr(build, "furnish", with_chance)
    difference = build.check_image("base")
    assert difference is not None
    assert difference.startswith("/etc/seed: nothing | -rw-r--r-- 0:0")


def test_a_killed_build_leaves_neither_processes_nor_files(fake: Path, empty_cache: Path) -> None:
    hold = fake.with_name("hold")
    for pipe in (hold, fake.with_name("never")):
        os.mkfifo(pipe)
    code = "from palestra.infra.images.build import ensure_image; ensure_image('base')"
    with subprocess.Popen([sys.executable, "-c", code]) as builder, open(hold) as held:
        assert held.readline() == "\n"
        builder.kill()
        assert held.read() == ""  # whoever held the other end is gone
    assert list(empty_cache.glob(".base-*/rootfs"))
    hold.unlink()
    assert build.ensure_image("base").rootfs is not None
    assert list(empty_cache.glob(".base-*")) == []


def test_commands_build_check_and_list(fake: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def palestra(*arguments: str, code: int = 0) -> Any:
        assert run(["images", *arguments, "--json"]) == code
        return json.loads(capfd.readouterr().out)

    assert [one["built"] for one in palestra("list")] == [False] * (2 + len(LANGUAGES))
    built = palestra("build", "base", "--check")[0]
    assert built["tag"] == definitions.load("base").tag
    assert (built["packages"], built["difference"]) == ({"dash": "0.5"}, None)
    listed = {one["name"]: one for one in palestra("list")}
    assert listed["base"]["built"]
    assert listed["base"]["tree"] == built["tree"]
    assert (listed["python"]["built"], listed["python"]["runner"]) == (False, "pytest")
    Path(built["rootfs"], "etc/group").write_text("changed since")
    assert palestra("build", "base", "--check", code=1)[0]["difference"].startswith("/etc/group: -rw-r--r--")


@pytest.mark.slow
@pytest.mark.skipif(build.why_not_debootstrap() is not None, reason="debootstrap cannot run here")
@pytest.mark.parametrize("name", ["base", "java"])
def test_a_second_build_is_the_same_to_the_byte(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the network, from what the first one fetched: the same packages for certain."""
    build.ensure_image(name)
    for proxy in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")
    assert build.check_image(name) is None
