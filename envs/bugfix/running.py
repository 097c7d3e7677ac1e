"""Run the tests of a project in sandboxes: one built snapshot per project, and a fork of it for every run.

`Changes` say how a tree differs from the correct one: a text by path, None for a file that is not there.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ...infra.sandbox.sync import Sandbox, Sandboxes, SandboxSnapshot
from ...infra.sandbox.types import ExecResult, Limits, SandboxError, SandboxFailed
from ...verifiers.junit import MAX_CHARACTERS, Report
from ..errors import EnvError
from .canaries import Canary
from .recipes import PREPARE, completed
from .reports import read_report
from .speech.languages import SPEECHES
from .types import Files, Project

Changes = Mapping[str, str | None]

REPORT: Final = "/tmp/report.xml"
LIMITS = Limits(
    cpus=2.0, memory_bytes=2 << 30, processes=512, disk_bytes=768 << 20, output_bytes=2 << 20, lease_seconds=3600.0
)
BUILD_SECONDS = 600.0
_FRESH_SECONDS = 1800.0
_SNAPSHOTS, _REMEMBERED = 64, 2048
_OPINIONS = 2
BUSY = 0.7
"""How much of its time a run that hangs must have had a processor for, to be believed."""
_UNPACK_FAILED = 97
_TAIL = 6_000


@dataclass(frozen=True)
class Ran:
    """One run of a project's tests: what was reported, and how the command ended."""

    report: Report
    exit_code: int
    ended: str
    output: str
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def passed(self) -> frozenset[str]:
        """Ids of the tests that passed."""
        return frozenset(name for name, outcome in self.report.outcomes().items() if outcome == "passed")


_Patience = Callable[[float], float]


def _soon(usual: float) -> float:
    return max(1.0, 2.0 * usual)


def _later(usual: float) -> float:
    return 4.0 * _soon(usual)


def _in_time(usual: float) -> float:
    return max(20.0, 10.0 * usual)


def _touched(project: Project) -> Changes:
    """Every source with a line end more."""
    suffixes = SPEECHES[project.language].suffixes
    return {
        path: f"{text}\n"
        for path, text in project.files.items()
        if path.endswith(suffixes) and path not in project.tests
    }


@dataclass
class _Kept:
    snapshot: SandboxSnapshot
    until: float


class Workshop:
    """Where projects are built and tested; one per `Sandboxes` (see `workshop`), for any number of threads.

    A run that was made before is answered from memory, a grading (see `opinion`) only after it was made twice.
    """

    def __init__(self, sandboxes: Sandboxes) -> None:
        self._sandboxes = sandboxes
        self._lock = threading.Lock()
        self._building: dict[str, threading.Lock] = {}
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._runs: OrderedDict[str, tuple[Ran, ...]] = OrderedDict()
        self._usually: dict[str, float] = {}

    def run(self, project: Project, changes: Changes, canary: Canary | None = None) -> Ran:
        """Test a tree with the hidden tests in it, for at most a few times as long as the correct one takes; from
        memory where the same was run before."""
        key = _key(project, changes, canary)
        if known := self._remembered(key):
            return known
        ran = self._run(project, changes, canary, _soon)
        if ran.ended == "timed_out" and ran.cpu_seconds < BUSY * ran.seconds:  # the machine was busy with others
            ran = self._run(project, changes, canary, _later)
        return self._remember(key, ran)

    def opinion(self, project: Project, changes: Changes, canary: Canary) -> Ran:
        """Like `run`, but with patience, and where all tests pass it is run a second time; where the two disagree, the
        one in which less passed counts."""
        key = _key(project, changes, canary)
        with self._lock:
            runs = self._runs.get(key, ())
        if runs and (len(runs) >= _OPINIONS or not _all_pass(project, runs[0])):
            return min(runs, key=lambda ran: len(ran.passed))
        return self._remember(key, self._run(project, changes, canary, _in_time))

    def warm(self, project: Project) -> float:
        """Build a project and time its tests, as the first run of one does; the seconds that its tests take."""
        return self._usual(project)

    def fresh(self, project: Project) -> Ran:
        """Test the correct tree with the hidden tests, now."""
        return self._run(project, {}, None, None)

    def visible(self, project: Project) -> Ran:
        """Test the correct tree as an agent would see it, now."""
        with self.open(project, {}) as box:
            return run_tests(box, project)

    def open(self, project: Project, changes: Changes, owner: str = "") -> Sandbox:
        """A sandbox for an agent: the tree without hidden tests, and nothing that was ever made of the correct one."""
        box = self._base(project.recipe.image, owner)
        try:
            tree = {path: text for path, text in {**project.files, **changes}.items() if text is not None}
            lay_out(box, tree)
        except BaseException:
            box.close()
            raise
        return box

    def close(self) -> None:
        """Let go of all snapshots."""
        with self._lock:
            kept, self._kept = self._kept, OrderedDict()
        for one in kept.values():
            one.snapshot.close()

    def _run(self, project: Project, changes: Changes, canary: Canary | None, patience: _Patience | None) -> Ran:
        seconds = patience(self._usual(project)) if patience else project.recipe.seconds
        planted, outside = (canary.planted, canary.outside) if canary else ({}, {})
        with self._built(project) as box:
            return run_tests(box, project, {**changes, **planted}, outside, min(seconds, project.recipe.seconds))

    def _usual(self, project: Project) -> float:
        """How long the correct tree takes on this machine with every source compiled anew, as changed ones are. Raises
        EnvError where its own tests fail here."""
        with self._lock:
            usual = self._usually.get(project.digest)
        if usual is None:
            ran = self._run(project, _touched(project), None, None)
            if lost := sorted({*project.suite.visible, *project.suite.hidden} - ran.passed):
                why = ran.report.problem or f"{lost[0]} does not pass"
                raise EnvError(f"{project.title} is correct, but fails here ({why}): record its suite again")
            usual = ran.seconds
            with self._lock:
                self._usually[project.digest] = usual
        return usual

    def _built(self, project: Project) -> Sandbox:
        """A fork of the built project, hidden tests and all."""

        def make() -> Sandbox:
            box = self._base(project.recipe.image, f"bugfix build {project.title}")
            try:
                for path, data in Canary.support().items():
                    box.write(path, data)
                lay_out(box, {**project.files, **project.hidden})
                _build(box, project)
            except BaseException:
                box.close()
                raise
            return box

        return self._fork(f"project {project.digest}", make, f"bugfix {project.title}")

    def _base(self, image: str, owner: str) -> Sandbox:
        """A fork of an image in which everything is warm, and no project is."""

        def make() -> Sandbox:
            box = self._sandboxes.lease(image, LIMITS, f"bugfix {image}")
            if image in PREPARE:
                result = box.exec(PREPARE[image], timeout=BUILD_SECONDS)
                if not result.ok:
                    box.close()
                    raise SandboxFailed(f"image {image} cannot be prepared: {result.text[-300:]}")
            return box

        return self._fork(f"image {image}", make, owner)

    def _fork(self, key: str, make: Callable[[], Sandbox], owner: str) -> Sandbox:
        for _ in range(2):
            with self._building_of(key):
                kept = self._fresh_snapshot(key)
                if kept is None:
                    with make() as box:
                        kept = self._keep(key, box.snapshot())
                try:
                    return kept.snapshot.lease(owner)
                except SandboxError as error:  # its backend was closed, or its wall fell
                    self._drop(key)
                    failure = error
        raise failure

    def _building_of(self, key: str) -> threading.Lock:
        with self._lock:
            return self._building.setdefault(key, threading.Lock())

    def _fresh_snapshot(self, key: str) -> _Kept | None:
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or kept.until < time.monotonic():
                return None
            self._kept.move_to_end(key)
            return kept

    def _keep(self, key: str, snapshot: SandboxSnapshot) -> _Kept:
        self._drop(key)
        kept = _Kept(snapshot, time.monotonic() + _FRESH_SECONDS)
        with self._lock:
            self._kept[key] = kept
            extra = [self._kept.popitem(last=False)[1] for _ in range(len(self._kept) - _SNAPSHOTS)]
        for one in extra:
            one.snapshot.close()
        return kept

    def _drop(self, key: str) -> None:
        with self._lock:
            kept = self._kept.pop(key, None)
        if kept is not None:
            kept.snapshot.close()

    def _remembered(self, key: str) -> Ran | None:
        with self._lock:
            runs = self._runs.get(key)
            if runs:
                self._runs.move_to_end(key)
            return runs[-1] if runs else None

    def _remember(self, key: str, ran: Ran) -> Ran:
        with self._lock:
            self._runs[key] = (*self._runs.get(key, ()), ran)[-_OPINIONS:]
            self._runs.move_to_end(key)
            while len(self._runs) > _REMEMBERED:
                self._runs.popitem(last=False)
        return ran


@lru_cache(maxsize=8)
def workshop(sandboxes: Sandboxes) -> Workshop:
    """The workshop of these sandboxes."""
    return Workshop(sandboxes)


def run_tests(
    box: Sandbox,
    project: Project,
    changes: Changes | None = None,
    outside: Mapping[str, bytes] | None = None,
    seconds: float | None = None,
) -> Ran:
    """Change the tree in a sandbox, run the tests there, read the report. Raises SandboxFailed."""
    recipe = completed(project.recipe)
    for path, data in (outside or {}).items():
        box.write(path, data)
    command = recipe.test.replace("{report}", REPORT)
    result = lay_out(box, changes or {}, command, recipe.env, seconds or recipe.seconds)
    if result.ended == "exited" and result.exit_code == _UNPACK_FAILED:
        return Ran(
            Report(problem="the changed files could not be written"), _UNPACK_FAILED, "exited", result.text[-_TAIL:]
        )
    try:
        data = box.read(REPORT)
    except (OSError, ValueError) as error:
        report = Report(problem=f"there is no report ({error})"[:200])
    else:
        report = read_report(data[: 4 * MAX_CHARACTERS + 1])
    return Ran(report, result.exit_code, result.ended, result.text[-_TAIL:], result.seconds, result.cpu_seconds)


def lay_out(
    box: Sandbox, changes: Changes, command: str = ":", env: Mapping[str, str] | None = None, seconds: float = 60.0
) -> ExecResult:
    """Write and delete files below /work and run a command there, in one step."""
    gone = sorted(path for path, text in changes.items() if text is None)
    script = (
        f'tar --extract --touch --file=- || exit {_UNPACK_FAILED}\n[ $# -eq 0 ] || rm -f -- "$@"\nset --\n{command}'
    )
    data = packed({path: text for path, text in changes.items() if text is not None})
    return box.exec(["/bin/sh", "-c", script, "sh", *gone], stdin=data, env=env, timeout=seconds)


def packed(files: Files) -> bytes:
    """A tar of these texts, the same for the same files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, text in sorted(files.items()):
            data = text.encode("utf-8", "surrogateescape")
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(data), 0o755 if data.startswith(b"#!") else 0o644
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _build(box: Sandbox, project: Project) -> None:
    recipe = completed(project.recipe)
    if not recipe.build:
        return
    result = box.exec(recipe.build, env=recipe.env, timeout=max(recipe.seconds, BUILD_SECONDS))
    if not result.ok:
        raise ValueError(f"{project.title} cannot be built ({result.ended}, {result.exit_code}): {_last(result.text)}")


def _last(text: str) -> str:
    return " | ".join(line.strip() for line in text.strip().splitlines()[-4:])[-600:]


def _key(project: Project, changes: Changes, canary: Canary | None) -> str:
    text = json.dumps([project.digest, sorted(changes.items()), canary.tag if canary else ""])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def against(project: Project, *layers: Changes) -> dict[str, str | None]:
    """Later layers of changes over earlier ones, and only what then differs from the correct tree."""
    merged: dict[str, str | None] = {}
    for layer in layers:
        merged.update(layer)
    return {path: text for path, text in sorted(merged.items()) if project.files.get(path) != text}


def _all_pass(project: Project, ran: Ran) -> bool:
    return ran.passed.issuperset((*project.suite.visible, *project.suite.hidden))
