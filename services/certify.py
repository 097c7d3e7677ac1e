"""`palestra certify`: certify tasks that are there already, store what was found, and export them with it."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import ColumnElement

from ..envs.environment import Environment
from ..envs.registry import environment_class
from ..envs.types import Task
from ..infra import store as db
from ..infra.store.columns import utcnow
from ..rollout.records import task_of, task_row, verifier_version
from ..synth.certify import MUTANTS, certify
from ..synth.synthesize import propose_from
from ..synth.types import Certificate, Certified, Depth, stream_of
from .errors import BadRequest
from .machines import connect_ray, sandbox_for
from .progress import Progress
from .synthesis import certificate_row, in_order, opened_sandboxes, read_lines

_PAGE = 100


@dataclass(frozen=True)
class Known:
    """A task, and the stream that its last certificate says it was proposed from."""

    task: Task
    stream: str | None = None


@dataclass(frozen=True)
class CertifySpec:
    """What to certify: the tasks of a file, or stored ones of an environment, a run or both."""

    file: Path | None = None
    env: str | None = None
    run: str | None = None
    depth: Depth = "full"
    mutants: int = MUTANTS
    limit: int = 0


@dataclass
class Outcome:
    """What came of it: how many tasks held, and how often each check did not."""

    accepted: int = 0
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, certificate: Certificate) -> None:
        """Count one."""
        self.accepted += certificate.accepted
        self.rejected += not certificate.accepted
        self.reasons.update(certificate.reasons)


def find_tasks(spec: CertifySpec, store: db.Store) -> list[Known]:
    """The tasks that are asked for. BadRequest where there are none, or the file holds what is no task."""
    if spec.file is not None:
        read = [known for known in read_dataset(spec.file) if spec.env in (None, known.task.env)]
        tasks = [Known(one.task, one.stream or _stored_stream(store, one.task)) for one in read]
    else:
        tasks = list(_stored(spec, store))
    if not tasks:
        raise BadRequest("there are no such tasks: `palestra synth ENV` makes some, `--env` and `--run` choose")
    return tasks[: spec.limit] if spec.limit else tasks


def _stored_stream(store: db.Store, task: Task) -> str | None:
    version = verifier_version(task.env, task.version)
    found, _ = store.page(db.Certificate, limit=1, newest=True, task_id=task.id, verifier_version=version)
    return stream_of(found[0].checks) if found else None


def _stored(spec: CertifySpec, store: db.Store) -> Iterator[Known]:
    where: list[ColumnElement[bool]] = []
    if spec.env is not None:
        where.append(db.Task.env == spec.env)
    if spec.run is not None:
        where.append(db.Task.run_id == spec.run)
    after: str | None = None
    while True:
        rows, after = store.page(db.Task, where=where, after=after, limit=_PAGE)
        for row in rows:
            task = task_of(row)
            yield Known(task, _stored_stream(store, task))
        if after is None:
            return


def certify_tasks(
    tasks: list[Known],
    spec: CertifySpec,
    store: db.Store,
    ray: str | None,
    sandbox: str,
    progress: Progress,
) -> Iterator[Certified]:
    """Certify each task on Ray, store the certificate, and yield them in order. SandboxError: the machine is broken.

    A task whose stream is known is also proposed again.
    BadRequest for tasks of another version than the installed environment's: their verdicts would say nothing.
    """
    names = list(dict.fromkeys(known.task.env for known in tasks))
    backends = {name: sandbox_for(_class_for(name, tasks), sandbox, progress.say) for name in names}
    width = max(1, int(connect_ray(ray)))
    size = max(1, min(8, len(tasks) // (2 * width)))
    chunks = [(tasks[at : at + size], spec, backends) for at in range(0, len(tasks), size)]
    with progress.stage(f"certifying {len(tasks)} tasks, {spec.depth}", len(tasks)) as update:
        for done, certified in enumerate(in_order(_certify, chunks, width), start=1):
            store_certificate(store, certified)
            update(done, "")
            yield certified


def _class_for(name: str, tasks: list[Known]) -> type[Environment]:
    cls = environment_class(name)
    mine = (known.task for known in tasks if known.task.env == name)
    other = next((task for task in mine if task.version != cls.version), None)
    if other is not None:
        raise BadRequest(
            f"{other.id} is of {name} {other.version} and {name} {cls.version} is installed: make new tasks, or leave "
            "it out with --env or --run"
        )
    return cls


def _certify(tasks: list[Known], spec: CertifySpec, backends: dict[str, str | None]) -> list[Certified]:
    return [_certified(known, spec, backends[known.task.env]) for known in tasks]


def _certified(known: Known, spec: CertifySpec, backend: str | None) -> Certified:
    task, stream = known.task, known.stream
    cls, sandboxes = environment_class(task.env), opened_sandboxes(backend) if backend else None
    again = (lambda: propose_from(cls(sandboxes), stream, task.level)) if stream is not None else None
    certificate = certify(lambda: cls(sandboxes), task, spec.mutants, again, spec.depth, stream)
    return Certified(task=task, certificate=certificate)


def store_certificate(store: db.Store, certified: Certified) -> bool:
    """Store the newest evidence about a task. What is there stays where it went deeper and nothing new is against the
    task; says whether the new one was stored."""
    row = certificate_row(certified.certificate)
    if store.add_once(task_row(certified.task), row) or store.add_once(certificate_row(certified.certificate)):
        return True
    found, _ = store.page(
        db.Certificate, limit=1, newest=True, task_id=row.task_id, verifier_version=row.verifier_version
    )
    old = found[0]
    if len(old.checks) > len(row.checks) and certified.certificate.accepted:
        return False
    store.update(
        db.Certificate,
        old.id,
        accepted=row.accepted,
        checks=row.checks,
        reasons=row.reasons,
        seconds=row.seconds,
        created_at=utcnow(),
    )
    return True


def write_dataset(path: Path, certified: Iterable[Certified]) -> None:
    """A line per task, {"id", "task", "certificate"}; the file appears whole or not at all. Raises OSError."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with open(partial, "w", encoding="utf-8") as file:
            for one in certified:
                certificate = one.certificate.model_dump(mode="json")
                certificate |= {"accepted": one.certificate.accepted, "reasons": one.certificate.reasons}
                line = {"id": one.task.id, "task": one.task.model_dump(), "certificate": certificate}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def read_dataset(path: Path) -> list[Known]:
    """The tasks of a file of tasks, with or without certificates. BadRequest names the line that is none."""
    return [Known(task, stream_of(checks)) for _, task, checks in read_lines(path)]
