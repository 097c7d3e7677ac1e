"""From a tree to a Project: what is kept, what counts as a test, and which tests are hidden."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

from ....infra.sandbox.sync import Sandboxes
from ..running import Ran, workshop
from ..speech.paths import is_test
from ..types import Files, Project
from .catalogue import Entry
from .detect import detect
from .types import HostileArchive, NotIngested, Tree

MAX_FILES, MAX_BYTES, MAX_FILE_BYTES = 2_000, 8 << 20, 2 << 20
RETRIES = 3
_LEFT_OUT = re.compile(r"(?:debian|\.pc|\.git|\.github|\.hg|\.svn|node_modules)/.*|\.git\w+")
_BEARS_TESTS = {
    "python": (r"(?:.*/)?(?:test_[^/]*|[^/]*_test)\.py", r"^ *(?:async )?def test"),
    "java": (r".*\.java", r"@(?:Test|ParameterizedTest)\b|extends TestCase"),
    "javascript": (r".*\.[cm]?js", r"^\s*(?:describe|it|suite|test|specify)\s*\("),
    "typescript": (r".*\.[cm]?[jt]s", r"^\s*(?:describe|it|suite|test|specify)\s*\("),
    "go": (r".*_test\.go", r"^func Test"),
    "c": (r"(?:.*/)?tests?/.*\.c", r"\bmain\s*\("),
    "cpp": (r"(?:.*/)?tests?/.*\.(?:cc|cpp|cxx)", r"\bmain\s*\(|^\s*TEST(?:_F|_CASE)?\("),
    "php": (r".*Test\.php", r"function test|@test|@dataProvider"),
}


def assemble(tree: Tree, entry: Entry, version: str, source: str, libraries: Mapping[str, bytes]) -> Project:
    """A Project of a tree, all its tests visible and none of them run. Raises NotIngested, HostileArchive."""
    kept = dict(_kept(tree, entry))
    detected = detect(kept | {path: data for path, data in tree.items() if path == "debian/control"}, entry.language)
    added = {path: text.encode() for path, text in entry.add.items()}
    laid = {**libraries, **detected.extra, **added}
    whole = {**kept, **laid}
    _check_size(whole, entry.name)
    tests = {path for path in whole if path in laid or is_test(detected.language, path) or _matches(path, entry.tests)}
    return Project(
        name=entry.name,
        language=detected.language,
        version=version,
        source=source,
        files=texts(whole),
        tests=frozenset(tests),
        hidden={},
        recipe=replace(detected.recipe, **entry.recipe),
    )


def with_hidden(project: Project, entry: Entry, sandboxes: Sandboxes) -> Project:
    """The project with some of its test files hidden: those that the entry names, else every second one. Where the
    others cannot do without these it is the other half, and where neither works, none. Raises NotIngested where the
    tests do not run.
    """
    shop = workshop(sandboxes)
    everything = shop.fresh(project)
    if not everything.passed:
        why = everything.report.problem or everything.ended.replace("_", " ")
        raise NotIngested(f"no test passes ({why}): {last_words(everything.output)}")
    passed = everything.passed
    for hidden in _halves(project, entry):
        files = {path: text for path, text in project.files.items() if path not in hidden}
        kept = {path: project.files[path] for path in sorted(hidden)}
        half = replace(project, files=files, tests=project.tests - hidden, hidden=kept)
        left = shop.visible(half)
        broken = _failed(left) & passed
        for _ in range(RETRIES if broken else 0):  # a test that only passes now and then is not broken by this
            broken &= shop.fresh(project).passed
        passed -= _failed(left) - broken
        if left.passed & passed and left.passed < everything.passed and not broken:
            return half
        if entry.hidden is not None:
            raise NotIngested(f"without its hidden tests the visible ones do not run: {last_words(left.output)}")
    return project


def texts(tree: Tree) -> dict[str, str]:
    """Bytes as a Project holds them."""
    return {path: data.decode("utf-8", "surrogateescape") for path, data in sorted(tree.items())}


def bytes_of(files: Files) -> dict[str, bytes]:
    """The opposite of `texts`."""
    return {path: text.encode("utf-8", "surrogateescape") for path, text in files.items()}


def last_words(output: str) -> str:
    """What a failed command complained of, in one line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    complaints = [
        line for line in lines if re.search(r"error|cannot|unable|not found|undefined|fatal", line, re.IGNORECASE)
    ]
    return " | ".join(dict.fromkeys([*complaints[:4], *lines[-2:]]))[:700]


def _kept(tree: Tree, entry: Entry) -> Iterator[tuple[str, bytes]]:
    start = f"{entry.root.strip('/')}/" if entry.root.strip("/") else ""
    for path, data in tree.items():
        if path.startswith(start):
            place = path.removeprefix(start)
            if not _LEFT_OUT.fullmatch(place) and not _matches(place, entry.drop):
                yield place, data


def _matches(path: str, globs: Iterable[str]) -> bool:
    return any(fnmatchcase(path, glob) for glob in globs)


def _check_size(tree: Tree, name: str) -> None:
    total = sum(map(len, tree.values()))
    largest = max(tree, key=lambda path: len(tree[path]), default="")
    if not tree:
        raise NotIngested(f"{name} has no files")
    if len(tree) > MAX_FILES or total > MAX_BYTES or len(tree[largest]) > MAX_FILE_BYTES:
        what = f"{len(tree)} files, {total >> 10} KiB, the largest {largest} of {len(tree[largest]) >> 10} KiB"
        limit = f"{MAX_FILES} files, {MAX_BYTES >> 10} KiB and {MAX_FILE_BYTES >> 10} KiB for one"
        raise HostileArchive(f"{name} has {what}; at most {limit}: leave something out with `drop` in a catalogue")


def _halves(project: Project, entry: Entry) -> Iterator[set[str]]:
    if entry.hidden is not None:
        chosen = {path for path in project.tests if _matches(path, entry.hidden)}
        yield from [chosen] if chosen else []
        return
    found = sorted(_test_files(project))
    for first in (1, 0) if len(found) > 1 else ():
        yield set(found[first::2])


def _test_files(project: Project) -> Iterator[str]:
    """Test files that bear tests of their own."""
    name, content = _BEARS_TESTS.get(project.language, (r"(?!)", ""))
    for path in project.tests & project.files.keys():
        if re.fullmatch(name, path) and re.search(content, project.files[path], re.MULTILINE):
            yield path


def _failed(ran: Ran) -> frozenset[str]:
    return frozenset(name for name, outcome in ran.report.outcomes().items() if outcome in ("failed", "error"))
