"""Durable work: a job's id follows from what was asked for, so the same command goes on where a killed one was.

Each finished episode is stored at once, exactly once per (job, task, sample): the store's unique key decides, not this
process. Nothing else needs to survive: what is left to do is all that is asked for, less what is stored.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, Protocol, TypeVar

from sqlalchemy import select

from ..envs.types import Task, canonical
from ..infra import store as db
from ..infra.store.errors import StoreFull, StoreUnavailable
from ..rollout.records import episode_rows, task_of
from ..rollout.types import Episode
from .errors import BadRequest, JobCancelled
from .estimates import Estimate, mean_of, pass_at_k

T = TypeVar("T")
POLL_SECONDS = 0.5
_IN_CLAUSE = 500
_LATER = ("context_strategy", "context_share", "parallel")
"""Fields that came after the first jobs: at their defaults they leave a job's id as it was without them."""


@dataclass(frozen=True)
class JobSpec:
    """Everything that decides what a job's episodes are. How many machines play them, and where, does not."""

    kind: Literal["rollout", "eval"]
    env: str
    version: str
    level: int
    seed: int
    count: int
    samples: int
    policy: str
    temperature: float
    top_p: float
    max_turns: int
    max_tokens: int
    context: int = 0
    tasks: str = ""
    context_strategy: str = "stop"
    context_share: float = 0.8
    parallel: int = 1

    @property
    def id(self) -> str:
        """The id of the job that this spec describes."""
        usual = {one.name: one.default for one in fields(self) if one.name in _LATER}
        told = {key: value for key, value in asdict(self).items() if key not in usual or value != usual[key]}
        return f"{self.kind}-{self.env}-{hashlib.sha256(canonical(told).encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class Patience:
    """How long to wait for a store that fails: `tries` in all, `seconds` before the second, doubling up to
    `longest`.
    """

    tries: int = 7
    seconds: float = 0.5
    longest: float = 16.0

    def keep(self, write: Callable[[], T]) -> T:
        """What `write` returns, tried again while the store cannot be reached or is full. Raises its last StoreError,
        which then says what to do.
        """
        for attempt in range(1, self.tries + 1):
            try:
                return write()
            except (StoreUnavailable, StoreFull) as error:
                if attempt == self.tries:
                    told = f"{error}; tried {attempt} times. What was acknowledged is stored: the same command goes on"
                    raise type(error)(told) from error
                time.sleep(min(self.longest, self.seconds * 2.0 ** (attempt - 1)))
        raise AssertionError


PATIENCE = Patience()


class Plays(Protocol):
    """What plays episodes: `rollout.workers.RolloutPool`, or a fake."""

    def run(self, items: Iterable[tuple[Task, int]]) -> Iterable[Episode]: ...


@dataclass(frozen=True)
class Group:
    """What is stored of one task in a job: counts over its samples, and the sum of valid rewards."""

    valid: int
    passed: int
    reward: float


@dataclass(frozen=True)
class Summary:
    """A job's stored result. `mean_reward` and `pass_rate` are over tasks, of valid episodes only."""

    job: str
    status: str
    total: int
    done: int
    outcomes: dict[str, int]
    validity: dict[str, int]
    mean_reward: Estimate
    pass_rate: Estimate
    groups: tuple[Group, ...]
    seconds: float
    tokens: int

    @property
    def invalid(self) -> int:
        """How many episodes have no valid verdict."""
        return sum(number for name, number in self.validity.items() if name != "valid")

    def pass_at(self, k: int) -> Estimate:
        """Unbiased pass@k, averaged over the tasks that have at least `k` valid samples."""
        return mean_of([pass_at_k(group.valid, group.passed, k) for group in self.groups if group.valid >= k])


def find_job(store: db.Store, spec: JobSpec, name: str | None = None, fresh: bool = False) -> tuple[str, db.Job | None]:
    """The id to work under and the job already there. `fresh` gives a new id (ID-2, ID-3, ...) where there is one.

    Raises BadRequest where `name` is a job that was asked for differently.
    """
    base = name or spec.id
    taken = store.get(db.Job, base)
    if taken is None:
        return base, None
    number = 2
    while (later := store.get(db.Job, f"{base}-{number}")) is not None:
        taken, number = later, number + 1
    if fresh:
        return f"{base}-{number}", None
    usual = {one.name: one.default for one in fields(spec) if one.name in _LATER}
    asked = usual | {key: value for key, value in taken.spec.items() if key in asdict(spec)}
    if asked != asdict(spec):
        other = sorted(key for key, value in asdict(spec).items() if asked.get(key) != value)
        first = other[0]
        raise BadRequest(
            f"job {taken.id!r} was asked for with {first} = {asked.get(first)!r}, not {asdict(spec)[first]!r}: "
            "repeat it as it was, take another --job name, or add --fresh"
        )
    return taken.id, taken


def create_job(store: db.Store, job_id: str, spec: JobSpec, tasks: list[Task]) -> None:
    """Write the job down before its first episode, with its tasks, so that going on needs no synthesis."""
    config = asdict(spec) | {"task_ids": [task.id for task in tasks]}
    store.add_once(db.Job(id=job_id, kind=spec.kind, spec=config, total=len(tasks) * spec.samples))


def job_tasks(store: db.Store, job: db.Job) -> list[Task]:
    """The tasks of a stored job, in its order."""
    wanted: list[str] = list(job.spec.get("task_ids", []))
    rows: dict[str, db.Task] = {}
    with store.reading() as session:
        for start in range(0, len(wanted), _IN_CLAUSE):
            some = wanted[start : start + _IN_CLAUSE]
            rows |= {row.id: row for row in session.scalars(select(db.Task).where(db.Task.id.in_(some)))}
    if missing := [task_id for task_id in wanted if task_id not in rows]:
        raise BadRequest(
            f"job {job.id!r} names task {missing[0]!r}, which is not in {store.shown_url}: start anew with --fresh"
        )
    return [task_of(rows[task_id]) for task_id in wanted]


def play_job(
    store: db.Store,
    job_id: str,
    tasks: list[Task],
    samples: int,
    open_pool: Callable[[int], Plays],
    run_id: str | None = None,
    policy: str = "",
    on_episode: Callable[[Episode, int], None] = lambda episode, done: None,
    patience: Patience = PATIENCE,
    retry_invalid: bool = False,
) -> None:
    """Play what is not stored yet and store each episode as it comes. `open_pool(left)` is called only if some is left.
    `retry_invalid`: play again what is stored as invalid too, and put what comes of it in its place.

    A store that fails is tried again with `patience`, while the workers wait: storing an episode twice stores it once.
    Raises JobCancelled when the job's status became `cancelled`, StoreError when nothing more can be stored.
    """
    keep = patience.keep
    kept = (db.Rollout.validity == "valid",) if retry_invalid else ()
    stored = keep(lambda: store.finished(job_id, *kept))
    left = [(task, sample) for task in tasks for sample in range(samples) if (task.id, sample) not in stored]
    done = len(tasks) * samples - len(left)
    keep(lambda: store.update(db.Job, job_id, status="running", done=done))
    looked = time.monotonic()
    for episode in open_pool(len(left)).run(left) if left else ():
        named = episode if episode.policy else replace(episode, policy=policy)
        done += keep(partial(_store_episode, store, named, job_id, run_id, retry_invalid))
        on_episode(named, done)
        if time.monotonic() - looked >= POLL_SECONDS:
            looked = time.monotonic()
            keep(lambda: _stop_if_cancelled(store, job_id))
            keep(partial(store.update, db.Job, job_id, done=done))
    keep(lambda: _stop_if_cancelled(store, job_id))
    keep(lambda: store.update(db.Job, job_id, status="finished", done=len(store.finished(job_id))))


def _store_episode(store: db.Store, episode: Episode, job_id: str, run_id: str | None, retry_invalid: bool) -> bool:
    rollout, others = episode_rows(episode, job_id, run_id)
    if not retry_invalid:
        return store.add_once(rollout, *others)
    same = (db.Rollout.job_id == job_id, db.Rollout.task_id == rollout.task_id, db.Rollout.sample == rollout.sample)
    return store.add_once(rollout, *others, instead_of=(*same, db.Rollout.validity != "valid"))


def cancel_job(store: db.Store, job_id: str) -> None:
    """Ask the process that drives the job to stop after the episode it is at. BadRequest where no such job runs."""
    job = store.get(db.Job, job_id)
    if job is None:
        raise BadRequest(f"no job {job_id!r} in {store.shown_url}: `palestra job list` shows which there are")
    if job.status != "running":
        raise BadRequest(f"job {job_id!r} is {job.status}: only a running one can be cancelled")
    store.update(db.Job, job_id, status="cancelled")


def _stop_if_cancelled(store: db.Store, job_id: str) -> None:
    job = store.get(db.Job, job_id)
    if job is not None and job.status == "cancelled":
        store.update(db.Job, job_id, done=len(store.finished(job_id)))
        raise JobCancelled(
            f"job {job_id} was cancelled: what was finished is stored, and the same command goes on with it"
        )


def summarize(store: db.Store, job_id: str) -> Summary:
    """The result of a job as far as it is stored. Raises BadRequest for an unknown one."""
    job = store.get(db.Job, job_id)
    if job is None:
        raise BadRequest(f"no job {job_id!r} in {store.shown_url}: `palestra job list` shows which there are")
    columns = (
        db.Rollout.task_id,
        db.Rollout.outcome,
        db.Rollout.validity,
        db.Rollout.reward,
        db.Rollout.seconds,
        db.Rollout.tokens_count,
    )
    with store.reading() as session:
        rows = session.execute(select(*columns).where(db.Rollout.job_id == job_id).order_by(db.Rollout.task_id)).all()
    by_task: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        rewards = by_task[row.task_id]
        if row.validity == "valid" and row.reward is not None:
            rewards.append(row.reward)
    groups = tuple(Group(len(some), sum(reward >= 1.0 for reward in some), sum(some)) for some in by_task.values())
    judged = [group for group in groups if group.valid]
    return Summary(
        job=job_id,
        status=job.status,
        total=job.total,
        done=len(rows),
        outcomes=dict(Counter(row.outcome for row in rows).most_common()),
        validity=dict(Counter(row.validity for row in rows).most_common()),
        mean_reward=mean_of([group.reward / group.valid for group in judged]),
        pass_rate=mean_of([group.passed / group.valid for group in judged]),
        groups=groups,
        seconds=sum(row.seconds for row in rows),
        tokens=sum(row.tokens_count for row in rows),
    )


def store_policy(store: db.Store, policy: Any, run_id: str | None = None) -> None:
    """Write down which policy plays, once."""
    store.add_once(db.Policy(id=policy.identity, kind=policy.kind, uri=policy.uri, run_id=run_id))


def open_run(store: db.Store, run_id: str, kind: str, config: dict[str, Any]) -> None:
    """A run with this id, running (again)."""
    if not store.add_once(db.Run(id=run_id, kind=kind, config=config)):
        store.update(db.Run, run_id, status="running", finished_at=None)


def close_run(store: db.Store, run_id: str, status: str, note: str = "") -> None:
    """Say how a run ended."""
    store.update(db.Run, run_id, status=status, note=note[:500], finished_at=datetime.now(UTC))
