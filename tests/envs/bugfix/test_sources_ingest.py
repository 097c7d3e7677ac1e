"""Repositories become projects, in real sandboxes: tests repeated, flaky ones set aside, patches undone."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from palestra.envs.bugfix import projects
from palestra.envs.bugfix.canaries import Canary
from palestra.envs.bugfix.recording import record
from palestra.envs.bugfix.running import LIMITS, Changes, Ran, workshop
from palestra.envs.bugfix.sources.assemble import assemble, with_hidden
from palestra.envs.bugfix.sources.catalogue import Entry, plain
from palestra.envs.bugfix.sources.changes import find_changes
from palestra.envs.bugfix.sources.ingest import ingest
from palestra.envs.bugfix.sources.patching import patched, undone
from palestra.envs.bugfix.sources.types import HostileArchive, NotIngested, Patch, SourceError, Spec, parse_spec
from palestra.envs.bugfix.types import Project
from palestra.infra.sandbox.sync import Sandboxes
from palestra.services.cli.main import run
from palestra.verifiers.junit import Outcome, Report, TestCase

PAD = '''"""Pad texts."""


def pad(text, width):
    return text.rjust(width)


def twice(number):
    return 2 * number
'''
TESTS = {
    "tests/test_pad.py": """
import random
import pad

ORDER = []

def test_pad():
    assert pad.pad("x", 3) == "  x"

def test_first():
    ORDER.append(1)

def test_after_first():
    assert ORDER, "depends on another test"

def test_now_and_then():
    assert random.randrange(50) == 0

def test_never():
    assert pad.pad("x", 3) == ""
""",
    "tests/test_twice.py": "import pad\n\ndef test_twice():\n    assert pad.twice(2) == 4\n",
}


def write(folder: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    write(tmp_path / "pad", {"pad.py": PAD, **TESTS, "debian/patches/secret": "the bug", "README.md": "Pad"})
    return tmp_path / "pad"


def test_a_folder_becomes_a_project_and_what_cannot_be_trusted_is_set_aside(
    repository: Path, sandboxes: Sandboxes
) -> None:
    told: list[str] = []
    project = ingest(plain(str(repository)), sandboxes, told.append)
    assert (project.name, project.language) == ("pad", "python")
    assert project.suite.visible == ("tests.test_pad.test_first", "tests.test_pad.test_pad")
    assert project.suite.hidden == ("tests.test_twice.test_twice",)
    assert set(project.hidden) == {"tests/test_twice.py"}
    assert not set(project.hidden) & set(project.files)
    flaky = {name.rpartition(".")[2] for name in project.suite.flaky}
    assert flaky == {"test_after_first", "test_now_and_then", "test_never"}
    assert "debian/patches/secret" not in project.files
    assert "tests/test_pad.py" in project.tests
    assert "pad.py" not in project.tests
    assert told[0] == "fetching"
    again = workshop(sandboxes).run(project, {"pad.py": PAD.replace("2 *", "3 *")})
    assert set(project.suite.visible) <= again.passed
    assert not set(project.suite.hidden) & again.passed


class UnsteadyShop:
    """Tests that pass everywhere, but for the named one: the n-th time it fails where the story says "f"."""

    TESTS = (("test_a", "a"), ("test_a", "odd"), ("test_b", "b"))

    def __init__(self, unsteady: str, story: str) -> None:
        self._unsteady, self._story = unsteady, iter(story)

    def _ran(self, files: Iterable[str]) -> Ran:
        tests = [(file, name) for file, name in self.TESTS if f"{file}.py" in files]
        return Ran(Report(tuple(TestCase(name, file, self._outcome(name)) for file, name in tests)), 0, "exited", "")

    def _outcome(self, name: str) -> Outcome:
        return "failed" if name == self._unsteady and next(self._story) == "f" else "passed"

    def fresh(self, project: Project) -> Ran:
        return self._ran({**project.files, **project.hidden})

    def visible(self, project: Project) -> Ran:
        return self._ran(project.files)

    def run(self, project: Project, changes: Changes, sign: Canary) -> Ran:
        ran = self.fresh(project)
        signs = tuple(TestCase(name, "", "failed") for name in sign.names)
        sound = tuple(TestCase(name, "", "passed") for name in sign.sound)
        return replace(ran, report=Report(ran.report.cases + signs + sound))


@pytest.mark.parametrize(
    ("story", "hidden"),
    [("p", "test_b.py"), ("pffpp", "test_b.py"), ("pfpfp", "test_b.py"), ("pfppp", "test_a.py")],
    ids=["steady", "flaky", "flakier", "broken without the other file"],
)
def test_a_flaky_test_does_not_decide_what_is_hidden(story: str, hidden: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = UnsteadyShop("odd", story + "p" * 20)
    monkeypatch.setattr("palestra.envs.bugfix.sources.assemble.workshop", lambda sandboxes: shop)
    text = b"def test_x(): pass\n"
    project = assemble({"a.py": b"", "test_a.py": text, "test_b.py": text}, plain("x"), "1", "x", {})
    assert set(with_hidden(project, plain("x"), cast(Sandboxes, None)).hidden) == {hidden}


def test_a_test_that_fails_once_beside_a_failing_one_is_flaky(monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"def test_x(): pass\n"
    tree = {"a.py": b"", "test_a.py": text, "test_b.py": text}
    project = assemble(tree, plain("x"), "1", "x", {})
    for story, set_aside in (("pppppp", ()), ("ppfppp", ("test_a.odd",)), ("ppppfp", ("test_a.odd",))):
        shop = UnsteadyShop("odd", story)
        monkeypatch.setattr("palestra.envs.bugfix.recording.workshop", lambda sandboxes, shop=shop: shop)
        assert record(project, cast(Sandboxes, None)).flaky == set_aside
    shop = UnsteadyShop("odd", "ppppff")
    monkeypatch.setattr("palestra.envs.bugfix.recording.workshop", lambda sandboxes: shop)
    with pytest.raises(ValueError, match=r"test_a\.odd does not pass beside a test that fails"):
        record(project, cast(Sandboxes, None))


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"a.py": "x = 1\n"}, "no test passes"),
        ({"a.py": "x = 1\n", "test_a.py": "def test_a():\n    assert 0\n"}, "no test passes"),
        ({"a.txt": "x"}, "no source file"),
    ],
)
def test_a_repository_whose_tests_prove_nothing_is_refused_in_one_line(
    files: dict[str, str], reason: str, tmp_path: Path, sandboxes: Sandboxes
) -> None:
    write(tmp_path / "odd", files)
    with pytest.raises(NotIngested, match=reason):
        ingest(plain(str(tmp_path / "odd")), sandboxes)


def test_an_entry_says_what_is_left_out_added_and_hidden() -> None:
    tree = {
        "v2/a.py": b"",
        "v2/test_a.py": b"def test_a(): pass\n",
        "v2/docs/x": b"",
        "v2/data.py": b"",
        "other.py": b"",
    }
    entry = Entry(
        Spec("path", "x"),
        "a",
        root="v2",
        drop=("docs/*",),
        add={"lib/made.py": "1"},
        tests=("data.py",),
        recipe={"seconds": 9.0},
    )
    project = assemble(tree, entry, "1", "x", {"vendor/b.py": b"2"})
    assert set(project.files) == {"a.py", "test_a.py", "data.py", "lib/made.py", "vendor/b.py", "pytest.ini"}
    assert project.tests == set(project.files) - {"a.py"}
    assert project.recipe.seconds == 9.0
    with pytest.raises(HostileArchive, match="leave something out with `drop`"):
        assemble({"a.py": bytes(3 << 20)}, plain("x"), "1", "x", {})


def test_bytes_that_are_no_utf8_survive(sandboxes: Sandboxes) -> None:
    project = assemble({"a.py": b"# \xe9\xff\n", "test_a.py": b"def test_a(): pass\n"}, plain("x"), "1", "x", {})
    with workshop(sandboxes).open(project, {}) as box:
        assert box.read("a.py") == b"# \xe9\xff\n"


def diff(path: str, old: str, new: str) -> bytes:
    return f"--- a/{path}\n+++ b/{path}\n@@ -1,2 +1,2 @@\n line\n-{old}\n+{new}\n".encode()


def test_patches_are_made_in_order_and_undone_exactly(sandboxes: Sandboxes) -> None:
    tree = {"x": b"line\none\n", "y": b"untouched"}
    new = Patch("new", "", b"--- /dev/null\n+++ b/z\n@@ -0,0 +1 @@\n+made\n")
    series = [Patch("1", "", diff("x", "one", "two")), Patch("2", "", diff("x", "two", "three")), new]
    with sandboxes.lease("python", LIMITS) as box:
        after = patched(box, tree, series)
        assert after == {"x": b"line\nthree\n", "y": b"untouched", "z": b"made\n"}
        assert undone(box, after, series[1], {"x"}) == {"x": b"line\ntwo\n"}
        assert undone(box, after, series[0], {"x"}) is None  # the second one stands on it
        assert undone(box, after, new, {"x", "z"}) == {"z": None}
        assert undone(box, after, series[1], {"y"}) is None
        with pytest.raises(HostileArchive, match="does not fit"):
            patched(box, tree, series[1:])
        escape = Patch("3", "", b"--- a/x\n+++ b/../../../grade/x\n@@ -1,2 +1,2 @@\n line\n-one\n+two\n")
        with pytest.raises(HostileArchive):
            patched(box, tree, [escape])


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, check=True)


def test_commits_of_a_git_repository_become_real_bugs(repository: Path, sandboxes: Sandboxes) -> None:
    git(repository, "init", "--quiet")
    write(
        repository,
        {"pad.py": PAD.replace("rjust(width)", "rjust(width - 1)"), "tests/test_pad.py": "def test_x(): pass\n"},
    )
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "first")
    write(
        repository,
        {"pad.py": PAD, "tests/test_pad.py": "import pad\ndef test_pad():\n    assert pad.pad('x', 3) == '  x'\n"},
    )
    git(repository, "commit", "--quiet", "-a", "-m", "Pad to the whole width")
    write(repository, {"README.md": "Pads texts"})
    git(repository, "commit", "--quiet", "-a", "-m", "Say more")
    project = ingest(plain(f"git:{repository}"), sandboxes)
    (change,) = project.changes
    assert "Pad to the whole width" in change.title
    assert change.before == {"pad.py": PAD.replace("rjust(width)", "rjust(width - 1)")}
    passed = workshop(sandboxes).run(project, change.before).passed
    assert "tests.test_pad.test_pad" not in passed
    assert "tests.test_twice.test_twice" in passed
    assert not any(".git" in path for path in project.files)


def test_a_patch_that_no_test_notices_is_no_real_bug(repository: Path, sandboxes: Sandboxes) -> None:
    project = ingest(plain(str(repository)), sandboxes)
    unnoticed = Patch("doc", "", b'--- a/pad.py\n+++ b/pad.py\n@@ -1 +1 @@\n-"""Pad."""\n+"""Pad texts."""\n')
    fatal = Patch("import", "", b'--- a/pad.py\n+++ b/pad.py\n@@ -1,2 +1 @@\n-import nothing\n """Pad texts."""\n')
    assert find_changes(project, [unnoticed, fatal], sandboxes) == ()  # with the second one undone, no test passes


def palestra(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = run(["projects", *words])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_the_command_line_ingests_lists_shows_and_removes(
    repository: Path,
    sandboxes: Sandboxes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PALESTRA_PROJECTS", str(tmp_path / "store"))
    with tarfile.open(tmp_path / "pad.tar.gz", "w:gz") as archive:
        archive.add(repository, "pad-1.0")
    pin = parse_spec(str(tmp_path / "pad.tar.gz"))
    sha256 = hashlib.sha256(Path(pin.name).read_bytes()).hexdigest()
    entry = f"[[project]]\nname = 'pad'\nspec = '{pin.name}'\nsha256 = '{sha256}'\n"
    (tmp_path / "c.toml").write_text(entry + "[[project]]\nname = 'gone'\nspec = '/nowhere'\n")
    ask = ("ingest", "--file", str(tmp_path / "c.toml"), "--sandbox", "bwrap")
    code, out, err = palestra(capsys, *ask)
    assert code == 1
    assert "FAILED gone: '/nowhere' is neither a folder nor an archive" in err
    assert "Traceback" not in err
    code, out, _ = palestra(capsys, *ask, "pad", "--json")
    assert code == 0
    assert json.loads(out)[0]["seconds"] == 0.0  # it was there
    assert "python/pad" in projects.names("python")
    code, out, _ = palestra(capsys, "show", "python/pad", "--json")
    assert json.loads(out)["suite"]["hidden"] == ["tests.test_twice.test_twice"]
    assert palestra(capsys, "show", "pad")[0] == 0
    assert "pad" in palestra(capsys, "list", "--language", "python")[1]
    assert palestra(capsys, "remove", "python/pad")[0] == 0
    code, _, err = palestra(capsys, "remove", "python/pad")
    assert (code, "there is no project 'python/pad'" in err) == (1, True)
    assert palestra(capsys, "ingest")[0] != 0
    assert "no project 'other'" in palestra(capsys, *ask, "other")[2]


def test_errors_of_sources_are_one_tree() -> None:
    assert issubclass(HostileArchive, SourceError)
    assert issubclass(NotIngested, SourceError)
