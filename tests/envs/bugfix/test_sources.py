"""Where repositories come from: registries on loopback, a real git repository, hostile archives, and detection."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palestra.envs.bugfix.sources import archives
from palestra.envs.bugfix.sources.archives import unpack
from palestra.envs.bugfix.sources.catalogue import CATALOGUE, plain, read_catalogue
from palestra.envs.bugfix.sources.composer import autoload
from palestra.envs.bugfix.sources.debian import Mirror, fetch_debian
from palestra.envs.bugfix.sources.detect import detect
from palestra.envs.bugfix.sources.git import fetch_git
from palestra.envs.bugfix.sources.local import fetch_path
from palestra.envs.bugfix.sources.patching import sections
from palestra.envs.bugfix.sources.registries import fetch_npm, fetch_pypi, pip_indexes
from palestra.envs.bugfix.sources.types import HostileArchive, NotIngested, SourceError, Spec, parse_spec

FILES = {"pad-1.0/pad.py": b"def pad(text): return text\n", "pad-1.0/tests/test_pad.py": b"def test_pad(): pass\n"}


def packed(files: Mapping[str, bytes], *odd: tarfile.TarInfo, mode: str = "w:gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for path, data in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for member in odd:
            archive.addfile(member)
    return out.getvalue()


def odd(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which it is served."""
    folder = tmp_path / "site"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def put(folder: Path, path: str, data: bytes | str) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(data if isinstance(data, bytes) else data.encode())


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("pypi:toolz==1.0", Spec("pypi", "toolz", "1.0")),
        ("pypi:toolz", Spec("pypi", "toolz")),
        ("npm:@scope/name@2.0.1", Spec("npm", "@scope/name", "2.0.1")),
        ("debian:cjson=1.7.15-1+deb12u4", Spec("debian", "cjson", "1.7.15-1+deb12u4")),
        ("git:https://example.org/a/b.git@v1.0", Spec("git", "https://example.org/a/b.git", "v1.0")),
        ("git:git@example.org:a/b.git", Spec("git", "git@example.org:a/b.git")),
        ("./here", Spec("path", "./here")),
    ],
)
def test_specs_are_read_and_said_again(text: str, spec: Spec) -> None:
    assert parse_spec(text) == spec
    assert parse_spec(str(spec)) == spec


@pytest.mark.parametrize("text", ["pypi:a b", "npm:x==1", "debian:../x", "pypi:", "git:--upload-pack=x", "git:/x@-y"])
def test_what_is_no_spec_is_refused(text: str) -> None:
    with pytest.raises(SourceError, match="is no source"):
        parse_spec(text)


@given(st.text(max_size=30))
def test_any_text_is_a_spec_or_refused(text: str) -> None:
    try:
        spec = parse_spec(text)
    except SourceError:
        return
    assert not spec.name.startswith("-") or spec.kind == "path"


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tars_of_every_kind_are_unpacked(mode: str) -> None:
    assert unpack(packed(FILES, mode=mode), "pad") == FILES


def test_zips_are_unpacked() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, data in FILES.items():
            archive.writestr(path, data)
    assert unpack(out.getvalue(), "pad") == FILES


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "a/..", "..", "a\\..\\x", "a\nb"])
def test_a_path_that_leaves_the_archive_is_refused(path: str) -> None:
    with pytest.raises(HostileArchive, match=r"leaves the archive|names no file"):
        unpack(packed({path: b"x"}), "bad")


def test_links_become_copies_or_are_dropped_and_devices_are_dropped() -> None:
    members = [
        odd("d/inside", tarfile.SYMTYPE, "real"),
        odd("d/twice", tarfile.SYMTYPE, "inside"),
        odd("d/hard", tarfile.LNKTYPE, "d/real"),
        odd("d/outside", tarfile.SYMTYPE, "../../etc/passwd"),
        odd("d/absolute", tarfile.SYMTYPE, "/etc/passwd"),
        odd("d/round", tarfile.SYMTYPE, "round"),
        odd("d/null", tarfile.CHRTYPE),
        odd("d/pipe", tarfile.FIFOTYPE),
        odd("d/folder", tarfile.DIRTYPE),
    ]
    found = unpack(packed({"d/real": b"x"}, *members), "links")
    assert found == {"d/real": b"x", "d/inside": b"x", "d/twice": b"x", "d/hard": b"x"}


def test_a_bomb_is_stopped_while_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_UNPACKED_BYTES", 1 << 20)
    bomb = packed({f"{number}": bytes(1 << 18) for number in range(8)})
    assert len(bomb) < 1 << 14
    with pytest.raises(HostileArchive, match="bytes unpacked"):
        unpack(bomb, "bomb")
    monkeypatch.setattr(archives, "MAX_ENTRIES", 5)
    with pytest.raises(HostileArchive, match="more than 5 entries"):
        unpack(packed({f"{number}": b"" for number in range(8)}), "many")


@given(st.binary(max_size=200), st.integers(0, 200), st.integers(0, 255))
def test_damaged_archives_raise_nothing_else(junk: bytes, at: int, byte: int) -> None:
    whole = packed(FILES)
    for data in (junk, whole[:at], whole[:at] + bytes([byte]) + whole[at + 1 :]):
        try:
            found = unpack(data, "damaged")
        except HostileArchive:
            continue
        assert all(not path.startswith(("/", "..")) for path in found)


@pytest.mark.parametrize("style", ["json", "html"])
def test_an_sdist_comes_from_the_index_that_pip_uses(
    style: str, site: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = site
    new, old = packed(FILES), packed({"pad-0.9/x.py": b""})
    put(folder, "files/pad-1.0.tar.gz", new)
    put(folder, "files/pad-0.9.tar.gz", old)
    listed = [
        ("pad-0.9.tar.gz", old),
        ("pad-1.0.tar.gz", new),
        ("pad-1.0-py3-none-any.whl", b""),
        ("pad-1.1rc1.tar.gz", b""),
    ]
    if style == "json":
        files = [{"filename": n, "url": f"/files/{n}", "hashes": {"sha256": sha256(data)}} for n, data in listed]
        page = json.dumps({"meta": {"api-version": "1.0"}, "name": "pad", "files": files})
    else:
        page = "".join(f'<a href="../../files/{n}#sha256={sha256(data)}">{n}</a>' for n, data in listed)
    put(folder, "simple/pad/index.html", page)
    monkeypatch.setenv("PIP_INDEX_URL", f"{url}/simple/")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    assert pip_indexes() == (f"{url}/simple",)
    fetched = fetch_pypi(parse_spec("pypi:Pad"))
    assert (fetched.version, fetched.tree) == ("1.0", {path.removeprefix("pad-1.0/"): d for path, d in FILES.items()})
    assert fetched.spec == Spec("pypi", "Pad", "1.0", sha256(new))
    assert fetch_pypi(parse_spec("pypi:pad==0.9", sha256(old))).version == "0.9"
    with pytest.raises(HostileArchive, match="SHA-256"):
        fetch_pypi(parse_spec("pypi:pad==1.0", sha256(old)))
    with pytest.raises(SourceError, match="no index has such an sdist"):
        fetch_pypi(parse_spec("pypi:pad==7"))
    put(folder, "files/pad-1.0.tar.gz", old)  # not what the index says
    with pytest.raises(HostileArchive, match="SHA-256"):
        fetch_pypi(parse_spec("pypi:pad==1.0"))


def test_an_npm_package_comes_from_the_registry_that_npm_uses(
    site: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = site
    data = packed({"package/package.json": b"{}", "package/index.js": b"1"})
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    dist = {"tarball": "https://registry.npmjs.org/pad/-/pad-2.0.0.tgz", "integrity": integrity}
    put(folder, "pad/2.0.0", json.dumps({"name": "pad", "version": "2.0.0", "dist": dist}))
    put(folder, "pad/-/pad-2.0.0.tgz", data)
    monkeypatch.setenv("npm_config_registry", url)
    fetched = fetch_npm(parse_spec("npm:pad@2.0.0"))
    assert fetched.tree == {"package.json": b"{}", "index.js": b"1"}
    assert fetched.spec.sha256 == sha256(data)
    put(folder, "pad/-/pad-2.0.0.tgz", data + b"\0")
    with pytest.raises(HostileArchive, match="sha512"):
        fetch_npm(parse_spec("npm:pad@2.0.0"))
    put(folder, "pad/2.0.0", json.dumps({"version": "2.0.0", "dist": {"tarball": "file:///etc/passwd"}}))
    with pytest.raises(SourceError):
        fetch_npm(parse_spec("npm:pad@2.0.0"))
    with pytest.raises(SourceError, match="HTTP 404"):
        fetch_npm(parse_spec("npm:pad@3.0.0"))


PATCH = """Description: pad on the left
 as everybody expects.
--- a/pad.c
+++ b/pad.c
@@ -1 +1 @@
-int pad(int x) { return x; }
+int pad(int x) { return x + 1; }
"""


def debian_archive(folder: Path, orig: bytes, debian: bytes) -> bytes:
    """An unsigned Debian archive with one source package; its .dsc."""
    parts = {"pad_1.0.orig.tar.gz": orig, "pad_1.0-1.debian.tar.xz": debian}
    sums = "".join(f"\n {sha256(data)} {len(data)} {name}" for name, data in parts.items())
    head = "Format: 3.0 (quilt)\nSource: pad\nBinary: pad\nArchitecture: any\nVersion: 1.0-1\n"
    dsc = f"{head}Checksums-Sha256:{sums}\n".encode()
    everything = {**parts, "pad_1.0-1.dsc": dsc}
    for name, data in everything.items():
        put(folder, f"pool/{name}", data)
    sums = "".join(f"\n {sha256(data)} {len(data)} {name}" for name, data in everything.items())
    head = "Package: pad\nFormat: 3.0 (quilt)\nBinary: pad\nArchitecture: any\nVersion: 1.0-1\nDirectory: pool\n"
    sources = f"{head}Checksums-Sha256:{sums}\n\n".encode()
    put(folder, "dists/stable/main/source/Sources", sources)
    listed = f"SHA256:\n {sha256(sources)} {len(sources)} main/source/Sources\n"
    release = "Origin: Test\nSuite: stable\nCodename: stable\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nComponents: main\n"
    put(folder, "dists/stable/Release", release + listed)
    return dsc


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="needs apt-get")
def test_a_debian_source_package_is_fetched_checked_and_its_patches_listed(
    site: tuple[Path, str], tmp_path: Path
) -> None:
    folder, url = site
    orig = packed({"pad-1.0/pad.c": b"int pad(int x) { return x; }\n", "pad-1.0/debian/old": b"upstream's own"})
    debian = {"debian/control": b"Source: pad\n", "debian/patches/series": b"left.patch # first\n\n"}
    debian["debian/patches/left.patch"] = PATCH.encode()
    dsc = debian_archive(folder, orig, packed(debian, mode="w:xz"))
    mirror = Mirror(url, "stable", trusted=True)
    fetched = fetch_debian(parse_spec("debian:pad=1.0-1", sha256(dsc)), tmp_path / "cache", mirror)
    assert fetched.version == "1.0-1"
    assert fetched.tree == {"pad.c": b"int pad(int x) { return x; }\n", **debian}
    (patch,) = fetched.patches
    assert (patch.name, patch.description) == ("left.patch", "pad on the left as everybody expects.")
    assert list(sections(patch.diff)) == ["pad.c"]
    with pytest.raises(HostileArchive, match="SHA-256"):
        fetch_debian(parse_spec("debian:pad", "0" * 64), tmp_path / "cache", mirror)
    put(folder, "pool/pad_1.0.orig.tar.gz", packed({"pad-1.0/pad.c": b"evil"}))
    with pytest.raises(SourceError, match="apt-get failed"):
        fetch_debian(parse_spec("debian:pad"), tmp_path / "cache", mirror)
    with pytest.raises(SourceError, match="apt-get failed"):
        fetch_debian(parse_spec("debian:nothing"), tmp_path / "cache", mirror)


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits; the second one corrects a mistake and tests for it."""
    folder = tmp_path / "pad"
    folder.mkdir()
    git(folder, "init", "--quiet")
    put(
        folder,
        "pad.py",
        "def pad(text, width):\n    return text.rjust(width - 1)\n\n\ndef twice(x):\n    return 2 * x\n",
    )
    put(folder, "test_pad.py", "from pad import twice\n\n\ndef test_twice():\n    assert twice(2) == 4\n")
    (folder / "link.py").symlink_to("pad.py")
    (folder / "away").symlink_to("/etc/passwd")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    put(folder, "pad.py", (folder / "pad.py").read_text().replace("width - 1", "width"))
    tests = "import pad\n\n\ndef test_pad():\n    assert pad.pad('x', 3) == '  x'\n"
    put(folder, "test_pad.py", tests + "\n\ndef test_twice():\n    assert pad.twice(2) == 4\n")
    git(folder, "commit", "--quiet", "-a", "-m", "Pad to the whole width\n\nIt was one short.")
    return folder


@pytest.mark.parametrize("form", ["git:{}", "git:file://{}", "git:{}@main"])
def test_a_git_repository_is_read_commit_by_commit(form: str, repository: Path) -> None:
    fetched = fetch_git(parse_spec(form.format(repository)))
    head = git(repository, "rev-parse", "HEAD")
    assert fetched.spec.version == head
    assert fetched.tree["link.py"] == fetched.tree["pad.py"] == (repository / "pad.py").read_bytes()
    assert "away" not in fetched.tree
    (patch,) = fetched.patches
    assert patch.name == head[:12]
    assert patch.description.startswith("Pad to the whole width")
    assert sorted(sections(patch.diff)) == ["pad.py", "test_pad.py"]


def test_git_pins_hold_and_nothing_of_the_repository_runs(repository: Path, tmp_path: Path) -> None:
    first = git(repository, "rev-list", "--max-parents=0", "HEAD")
    trap = tmp_path / "sprung"
    for hook in ("post-checkout", "post-merge", "pre-receive", "reference-transaction", "post-index-change"):
        put(repository, f".git/hooks/{hook}", f"#!/bin/sh\ntouch {trap}\n")
        (repository / ".git/hooks" / hook).chmod(0o755)
    git(repository, "config", "filter.evil.smudge", f"touch {trap}")
    put(repository, ".gitattributes", "* filter=evil\n")
    fetched = fetch_git(parse_spec(f"git:{repository}@{first}", first))
    assert fetched.patches == ()
    assert not trap.exists()
    with pytest.raises(HostileArchive, match="not"):
        fetch_git(parse_spec(f"git:{repository}@main", first))
    with pytest.raises(SourceError, match="no commit"):
        fetch_git(parse_spec(f"git:{repository}@nowhere"))
    with pytest.raises(SourceError, match="git fetch failed"):
        fetch_git(parse_spec(f"git:ext::sh -c 'touch {trap}'/x"))
    assert not trap.exists()


def test_a_folder_keeps_its_own_files_only(tmp_path: Path) -> None:
    put(tmp_path, "secret", "x")
    put(tmp_path, "here/a.py", "1")
    put(tmp_path, "here/.git/config", "x")
    put(tmp_path, "here/node_modules/x/index.js", "x")
    (tmp_path / "here/out").symlink_to("../secret")
    (tmp_path / "here/in").symlink_to("a.py")
    assert fetch_path(parse_spec(str(tmp_path / "here"))).tree == {"a.py": b"1", "in": b"1"}
    (tmp_path / "pad.tgz").write_bytes(packed(FILES))
    assert set(fetch_path(parse_spec(str(tmp_path / "pad.tgz"))).tree) == {"pad.py", "tests/test_pad.py"}
    with pytest.raises(SourceError, match="neither a folder nor an archive"):
        fetch_path(parse_spec(str(tmp_path / "nothing")))


@pytest.mark.parametrize(
    ("tree", "language", "words"),
    [
        ({"setup.py": b"", "a.py": b""}, "python", ""),
        ({"pyproject.toml": b"", "src/a.py": b""}, "python", "pythonpath='src .'"),
        (
            {"package.json": b'{"scripts": {"test": "nyc mocha -R dot spec/*.js"}}', "a.js": b""},
            "javascript",
            "spec/*.js",
        ),
        (
            {"package.json": b'{"scripts": {"test": "jest"}}', "src/a.spec.ts": b""},
            "typescript",
            "jest.js 'src/a.spec.ts'",
        ),
        ({"package.json": b"{}", "a.js": b"", "test/a.js": b""}, "javascript", ""),
        ({"package.json": b"{}", "a.js": b"", "tests/a.js": b""}, "javascript", "--recursive tests"),
        ({"CMakeLists.txt": b"", "a.c": b"", "a.h": b""}, "c", ""),
        ({"CMakeLists.txt": b"", "a.cpp": b"", "b.cpp": b"", "c.c": b""}, "cpp", ""),
        ({"a.go": b"", "debian/control": b"XS-Go-Import-Path: example.org/a"}, "go", ""),
        ({"pom.xml": b"", "src/main/java/A.java": b""}, "java", ""),
        ({"composer.json": b"{}", "src/A.php": b""}, "php", ""),
    ],
)
def test_language_and_recipe_are_detected(tree: dict[str, bytes], language: str, words: str) -> None:
    found = detect(tree)
    assert (found.language, found.recipe.image) == (language, language)
    assert words in found.recipe.test
    assert bool(words) == bool(found.recipe.test)  # empty: the image's own way


def test_what_is_missing_for_the_runner_is_made() -> None:
    go = detect({"a.go": b"package a", "debian/control": b"XS-Go-Import-Path: example.org/a\n"})
    assert go.extra["go.mod"].startswith(b"module example.org/a\n")
    php = detect({"composer.json": b"{}", "src/A.php": b"", "phpunit.xml.dist": b'<phpunit colors="true"/>'})
    assert b'bootstrap="vendor/autoload.php"' in php.extra["phpunit.xml"]
    assert detect({"a.py": b"", "setup.cfg": b"[tool:pytest]\naddopts = --cov=a"}).extra == {
        "pytest.ini": b"[pytest]\n"
    }
    assert detect({"a.py": b"", "tox.ini": b"[pytest]\n"}).extra == {}
    with pytest.raises(NotIngested, match="no source file"):
        detect({"README": b""})
    with pytest.raises(NotIngested, match="CMakeLists"):
        detect({"a.c": b""})


def test_composer_classes_are_found_where_composer_would_find_them() -> None:
    about = {
        "autoload": {"psr-4": {"A\\": "src/", "A\\B\\": ["b"]}, "files": ["f.php", "none.php"], "classmap": ["lib/"]}
    }
    tree = {"composer.json": json.dumps(about).encode(), "f.php": b"", "lib/x.php": b""}
    text = autoload(tree)["vendor/autoload.php"].decode()
    assert text.index('["A\\\\B\\\\", "b"]') < text.index('["A\\\\", "src"]')  # the longest prefix wins
    assert '["f.php", "lib/x.php"]' in text
    assert autoload({**tree, "vendor/autoload.php": b""}) == {}


def test_sections_of_a_diff() -> None:
    diff = b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\ndiff --git a/y b/y\n--- /dev/null\n+++ b/d/y\n@@ -0,0 +1 @@\n+c\n"
    diff += b"--- a/z\t2020-01-01\n+++ /dev/null\n@@ -1 +0,0 @@\n-c\n"
    found = sections(diff)
    assert list(found) == ["x", "d/y", "z"]
    assert found["x"] == b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"


def test_the_catalogue_is_pinned_and_covers_every_language_twice() -> None:
    entries = read_catalogue()
    assert len(entries) >= 24
    counted = {language: sum(e.language == language for e in entries) for language in {e.language for e in entries}}
    assert sorted(counted) == ["c", "cpp", "go", "java", "javascript", "php", "python", "typescript"]
    assert min(counted.values()) >= 2, counted
    for entry in entries:
        assert entry.licence, entry.name
        for spec in (entry.spec, *(library.spec for library in entry.libraries)):
            assert spec.version, entry.name
            assert len(spec.sha256) == 64, entry.name
    assert CATALOGUE.read_text().count("http") == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[[project]]\nname='a'", "spec"),
        ("[[project]]\nname='a'\nspec='pypi:a'\nbuilt='x'", "unknown key 'built'"),
        ("[[project]]\nname='a'\nspec='npm:a==1'", "is no source"),
        ("[[project]]\nname='a'\nspec='npm:a'\n[[project]]\nname='a'\nspec='npm:b'", "one name"),
        ("x =", "is no catalogue"),
    ],
)
def test_a_catalogue_with_a_mistake_says_where(text: str, reason: str, tmp_path: Path) -> None:
    put(tmp_path, "c.toml", text)
    with pytest.raises(SourceError, match=reason):
        read_catalogue(tmp_path / "c.toml")


def test_a_spec_alone_is_named_after_its_source(tmp_path: Path) -> None:
    assert plain("npm:@scope/pad@1.0.0").name == "pad"
    assert plain("git:https://example.org/a/pad.git@v1").name == "pad"
    assert plain(str(tmp_path)).name == tmp_path.name
