"""Make certified tasks on Ray: the same seed gives the same tasks in the same order on any number of machines."""

from __future__ import annotations

import functools
import json
import os
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from ..envs.environment import Environment
from ..envs.registry import environment_class
from ..envs.types import Task
from ..infra import store as db
from ..infra.sandbox.sync import Sandboxes
from ..rollout.records import task_row
from ..synth.certify import MUTANTS
from ..synth.synthesize import Made, attempt, collect_seldom, without_duplicates
from ..synth.types import Certificate, Depth
from .errors import BadRequest
from .machines import unwrapped

T = TypeVar("T")
HOPELESS = 60
"""After so many attempts without one accepted task, more will not help."""


@dataclass(frozen=True)
class SynthesisSpec:
    """What to make. `mutants` different wrong answers must fail for each task; `depth` says what else is asked."""

    env: str
    seed: int
    level: int
    count: int
    mutants: int = MUTANTS
    depth: Depth = "quick"

    def check(self) -> type[Environment]:
        """The environment's class; raises BadRequest or PluginError for what it cannot make."""
        cls = environment_class(self.env)
        if self.level not in cls.levels:
            levels = f"{cls.levels.start} to {cls.levels.stop - 1}" if len(cls.levels) > 1 else str(cls.levels.start)
            raise BadRequest(f"{self.env} has no level {self.level}: choose {levels}")
        if self.count < 1 or self.mutants < 1:
            raise BadRequest(f"cannot make {self.count} tasks with {self.mutants} mutants: both must be at least 1")
        return cls


@dataclass
class Tally:
    """What came of the attempts so far, in their order."""

    accepted: list[Task] = field(default_factory=list)
    attempts: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, made: Made) -> None:
        """Count one attempt."""
        self.attempts += 1
        if made.certified is not None and made.accepted:
            self.accepted.append(made.certified.task)
        else:
            self.reasons[made.reason] += 1

    @property
    def rejected(self) -> int:
        """How many attempts gave no task to keep."""
        return self.attempts - len(self.accepted)

    def why(self) -> str:
        """The reasons for rejection, the most frequent first."""
        return "; ".join(f"{reason} ({count})" for reason, count in self.reasons.most_common(5))


def make_tasks(spec: SynthesisSpec, sandbox: str | None, cpus: float) -> Iterator[Made]:
    """Every attempt in order of its number, until `spec.count` different tasks were accepted. Ray must be connected.

    Ends early after 4 x count + 20 attempts, or `HOPELESS` without any accepted. SandboxError: the machine is broken.
    """
    width = max(1, int(cpus))
    size = max(1, min(8, spec.count // (2 * width)))
    chunks = ((spec, sandbox, numbers) for numbers in _chunks(4 * spec.count + 20, size))
    kept = seen = 0
    with closing(in_order(_attempts, chunks, width)) as attempts:
        for made in without_duplicates(attempts):
            kept, seen = kept + made.accepted, seen + 1
            yield made
            if kept >= spec.count or (not kept and seen >= HOPELESS):
                return


def in_order(work: Callable[..., list[T]], chunks: Iterable[tuple[Any, ...]], width: int) -> Generator[T, None, None]:
    """What `work` makes of each chunk of arguments, on `width` processors of Ray, in the order of the chunks. What it
    raises is raised here; chunks that are no longer wanted are cancelled.
    """
    import ray

    remote = ray.remote(work).options(runtime_env={"env_vars": {"OMP_NUM_THREADS": "1"}})
    left = iter(chunks)
    running: deque[Any] = deque()
    try:
        while True:
            while len(running) < 2 * width and (chunk := next(left, None)) is not None:
                running.append(remote.remote(*chunk))
            if not running:
                return
            yield from _get(running.popleft())
    finally:
        for reference in running:
            ray.cancel(reference, force=False)


def _get(reference: Any) -> list[Any]:
    import ray

    try:
        made: list[Any] = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise unwrapped(error) from None
    return made


def _chunks(total: int, size: int) -> Iterator[range]:
    for start in range(0, total, size):
        yield range(start, min(total, start + size))


def _attempts(spec: SynthesisSpec, sandbox: str | None, numbers: Iterable[int]) -> list[Made]:
    collect_seldom()
    cls = environment_class(spec.env)
    sandboxes = opened_sandboxes(sandbox) if sandbox else None
    return [
        attempt(lambda: cls(sandboxes), spec.seed, number, spec.level, spec.mutants, spec.depth) for number in numbers
    ]


@functools.cache
def opened_sandboxes(name: str) -> Sandboxes:
    """One connection per worker process."""
    return Sandboxes(name)


def store_made(store: db.Store, made: Made, run_id: str | None = None, split: str = "train") -> None:
    """Store a task with its certificate, accepted or not; what is there already stays as it is."""
    if made.certified is None:
        return
    row = certificate_row(made.certified.certificate)
    if not store.add_once(task_row(made.certified.task, run_id, split), row):
        store.add_once(certificate_row(made.certified.certificate))


def certificate_row(certificate: Certificate) -> db.Certificate:
    """A certificate as a row."""
    return db.Certificate(
        task_id=certificate.task_id,
        verifier_version=certificate.verifier,
        accepted=certificate.accepted,
        checks=[check.model_dump(exclude_defaults=True) for check in certificate.checks],
        reasons=certificate.reasons,
        seconds=certificate.seconds,
    )


def write_tasks(path: Path, tasks: Iterable[Task]) -> None:
    """One JSON object per line; the file appears whole or not at all. Raises OSError."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with open(partial, "w", encoding="utf-8") as file:
            file.writelines(task.model_dump_json() + "\n" for task in tasks)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """BadRequest where `path` could not be written, said before the work and not after it."""
    folder = path.parent
    if not folder.is_dir():
        raise BadRequest(f"cannot write {path}: the folder {folder} does not exist: mkdir -p '{folder}'")
    if path.is_dir():
        raise BadRequest(f"cannot write {path}: it is a folder: name a file in it")
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.touch()
        partial.unlink()
    except OSError as error:
        raise BadRequest(f"cannot write {path} ({error.strerror}): name another place with --out") from error


def read_tasks(path: Path, env: str) -> list[Task]:
    """The tasks of a file by `write_tasks`. BadRequest names the line that is none, or of another environment."""
    tasks = []
    for number, task, _ in read_lines(path):
        if task.env != env:
            raise BadRequest(f"{path}, line {number} is a task of {task.env}, not of {env}")
        tasks.append(task)
    return tasks


def read_lines(path: Path) -> list[tuple[int, Task, Any]]:
    """The tasks of a file as (line number, task, the checks of its certificate or None): a task a line, or
    {"task": ..., "certificate": ...}. BadRequest names the line that is none, and a file that holds none.
    """
    tasks = []
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"cannot read tasks from {path}: {error}") from error
    for number, line in enumerate(lines, start=1):
        try:
            value = json.loads(line)
            task = Task.model_validate(value.get("task", value) if isinstance(value, dict) else value)
            certificate = value.get("certificate")
            tasks.append((number, task, certificate.get("checks") if isinstance(certificate, dict) else None))
        except (ValidationError, ValueError) as error:
            raise BadRequest(f"{path}, line {number} is not a task: {str(error).splitlines()[0]}") from error
    if not tasks:
        raise BadRequest(f"{path} holds no tasks")
    return tasks
