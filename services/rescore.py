"""Judge stored rollouts again with the installed verifier, from the evidence that was stored with them: nothing is
played, no machine is needed.

A verdict of another version comes beside the old ones, and the rollout's validity and reward become the newest's, both
in one transaction: a killed process loses nothing, and the same call goes on where it was. What never came to a
verifier (the engine, the sandbox or the environment failed) stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, exists, func, select, update

from ..envs.environment import Environment
from ..envs.errors import PluginError
from ..envs.registry import environment_class
from ..envs.types import Task, canonical
from ..infra import store as db
from ..infra.store.columns import plain_json
from ..rollout.evidence import EvidenceLost, unpack_evidence
from ..rollout.records import task_of, verifier_version
from ..verifiers.types import Validity, Verdict
from .errors import BadRequest

UNJUDGED = ("timeout", "engine_failed", "sandbox_failed", "env_failed")
"""Outcomes of episodes that ended before a verifier could say anything."""
_SETTLED: tuple[Validity, ...] = ("valid", "invalid_env")
"""What a verifier says of a rollout; the others say that it could not."""
_BATCH = 64

Status = Literal["same", "changed", "no_evidence", "failed"]


@dataclass(frozen=True)
class Scope:
    """Which rollouts: all of the store, less what does not match what is given."""

    env: str | None = None
    run: str | None = None
    rollout: str | None = None


@dataclass(frozen=True)
class Said:
    """One verdict in short."""

    version: str
    validity: str
    reward: float | None
    parts: str = field(repr=False)

    @property
    def passed(self) -> bool:
        """Whether the reward is full."""
        return self.reward is not None and self.reward >= 1.0


@dataclass(frozen=True)
class Rescored:
    """What became of one rollout; `note` says why there is no new verdict where there is none."""

    rollout: str
    task: str
    status: Status
    old: Said
    new: Said | None = None
    note: str = ""

    @property
    def flipped(self) -> bool:
        """Whether passing, or being valid at all, changed."""
        if self.new is None:
            return False
        return (self.old.passed, self.old.validity) != (self.new.passed, self.new.validity)


@dataclass
class Plan:
    """What there is to do: the installed environments by name, what is left for each, and what is left out and why."""

    scope: Scope
    classes: dict[str, type[Environment]]
    left: dict[str, int]
    done: dict[str, int]
    unjudged: int
    uninstalled: dict[str, str]

    @property
    def total(self) -> int:
        """How many rollouts are left to judge."""
        return sum(self.left.values())


def plan(store: db.Store, scope: Scope) -> Plan:
    """Look what is left to judge. BadRequest where a named run or rollout is not there, PluginError where a named
    environment is not.
    """
    for model, id in ((db.Run, scope.run), (db.Rollout, scope.rollout)):
        if id is not None and store.get(model, id) is None:
            raise BadRequest(f"no {model.__name__.lower()} {id!r} in {store.shown_url}: `palestra serve` shows them")
    classes: dict[str, type[Environment]] = {}
    uninstalled: dict[str, str] = {}
    with store.reading() as session:
        judged = [*_where(scope), db.Rollout.outcome.not_in(UNJUDGED)]
        envs = sorted(session.scalars(_rollouts(db.Task.env, _where(scope)).distinct()))
        counts: dict[str, int] = {}
        for env in [scope.env] if scope.env is not None else envs:
            try:
                classes[env] = environment_class(env)
            except PluginError as error:
                if scope.env is not None:
                    raise
                uninstalled[env] = str(error)
                continue
            of_env = [*judged, db.Task.env == env]
            counts[env] = session.scalar(_rollouts(func.count(), of_env)) or 0
        left = {
            env: session.scalar(_rollouts(func.count(), [*judged, db.Task.env == env, ~_judged_by(cls)])) or 0
            for env, cls in classes.items()
        }
        unjudged = [*_where(scope), db.Rollout.outcome.in_(UNJUDGED)]
        never = session.scalar(_rollouts(func.count(), unjudged)) or 0
    done = {env: count - left[env] for env, count in counts.items()}
    return Plan(scope, classes, left, done, never, uninstalled)


def rescore(store: db.Store, todo: Plan, dry_run: bool = False) -> Iterator[Rescored]:
    """Judge what is left, oldest first, and store each new verdict as it comes; with `dry_run` store nothing."""
    for env, cls in todo.classes.items():
        after = 0
        while batch := _batch(store, todo.scope, env, cls, after):
            for row in batch:
                after = row.seq
                yield _one(store, cls, row, dry_run)


def _one(store: db.Store, cls: type[Environment], row: Any, dry_run: bool) -> Rescored:
    old = _newest(store, row)
    told = (row.id, row.task_id)
    try:
        task, read = _evidence(store, row)
    except EvidenceLost as lost:
        return Rescored(*told, "no_evidence", old, note=str(lost))
    verdict = _judge(cls, task, read)
    if verdict.validity not in _SETTLED:
        return Rescored(*told, "failed", old, note=f"{verdict.validity}: {verdict.note}")
    parts = [part.model_dump() for part in verdict.parts]
    new = Said(_version(cls), verdict.validity, verdict.reward, _parts(parts))
    if not dry_run:
        _write(store, row.id, cls, verdict, parts)
    same = (old.validity, old.reward, old.parts) == (new.validity, new.reward, new.parts)
    return Rescored(*told, "same" if same else "changed", old, new)


def _judge(cls: type[Environment], task: Task, read: Callable[[], tuple[Any, Any]]) -> Verdict:
    """What the installed verifier says, asked twice, each time with copies of its own."""
    found: list[Verdict] = []
    for _ in range(2):
        answer, world = read()
        try:
            verdict: object = cls(None).verify(task.model_copy(deep=True), answer, world)
        except Exception as error:
            return Verdict.invalid("invalid_verifier", f"{type(error).__name__}: {error}"[:300])
        if not isinstance(verdict, Verdict):
            return Verdict.invalid("invalid_verifier", f"verify returned a {type(verdict).__name__}, not a Verdict")
        found.append(verdict)
    if found[0] != found[1]:
        return Verdict.invalid("invalid_verifier", "asked twice, it said two different things of the same evidence")
    return found[0]


def _evidence(store: db.Store, row: Any) -> tuple[Task, Callable[[], tuple[Any, Any]]]:
    """The task and what reads the evidence afresh. Raises EvidenceLost."""
    stored = store.get(db.Task, row.task_id)
    if stored is None:
        raise EvidenceLost("its task is not in the store")
    task = task_of(stored)
    if task.id != row.task_id:
        raise EvidenceLost("its task was changed since: the stored one has another content address")
    if row.data is None:
        raise EvidenceLost("none was stored")
    unpack_evidence(task, row.data)
    return task, lambda: unpack_evidence(task, row.data)


def _write(store: db.Store, rollout: str, cls: type[Environment], verdict: Verdict, parts: list[Any]) -> None:
    """The new verdict and the rollout's newest reward, or neither. One that was judged meanwhile stays as it is."""
    version = _version(cls)
    same = (db.Verdict.rollout_id == rollout, db.Verdict.verifier_version == version)
    try:
        with store.session() as session:
            known = session.scalars(select(db.Verdict).where(*same)).first()
            if known is not None and known.validity in _SETTLED:
                return
            if known is not None:  # it only said that it could not judge
                session.delete(known)
                session.flush()
            said = {"validity": verdict.validity, "reward": verdict.reward}
            session.add(
                db.Verdict(rollout_id=rollout, verifier_version=version, parts=parts, note=verdict.note, **said)
            )
            session.execute(update(db.Rollout).where(db.Rollout.id == rollout).values(**said))
    except db.StoreConflict:
        return


def _batch(store: db.Store, scope: Scope, env: str, cls: type[Environment], after: int) -> list[Any]:
    columns = (db.Rollout.seq, db.Rollout.id, db.Rollout.task_id, db.Rollout.validity, db.Rollout.reward)
    where = [*_where(scope), db.Rollout.outcome.not_in(UNJUDGED), ~_judged_by(cls)]
    query = select(*columns, db.Evidence.data).join(db.Task, db.Task.id == db.Rollout.task_id)
    query = query.outerjoin(db.Evidence, db.Evidence.rollout_id == db.Rollout.id)
    query = query.where(*where, db.Task.env == env, db.Rollout.seq > after).order_by(db.Rollout.seq).limit(_BATCH)
    with store.reading() as session:
        return list(session.execute(query))


def _newest(store: db.Store, row: Any) -> Said:
    query = select(db.Verdict).where(db.Verdict.rollout_id == row.id).order_by(db.Verdict.seq.desc()).limit(1)
    with store.reading() as session:
        found = session.scalars(query).first()
    if found is None:
        return Said("", row.validity, row.reward, _parts([]))
    return Said(found.verifier_version, found.validity, found.reward, _parts(found.parts))


def _where(scope: Scope) -> list[ColumnElement[bool]]:
    given = ((db.Task.env, scope.env), (db.Rollout.run_id, scope.run), (db.Rollout.id, scope.rollout))
    return [column == value for column, value in given if value is not None]


def _rollouts(what: Any, where: list[ColumnElement[bool]]) -> Select[Any]:
    return select(what).select_from(db.Rollout).join(db.Task, db.Task.id == db.Rollout.task_id).where(*where)


def _judged_by(cls: type[Environment]) -> ColumnElement[bool]:
    """Whether a rollout has a verdict of the installed version that says something of it."""
    return exists().where(
        db.Verdict.rollout_id == db.Rollout.id,
        db.Verdict.verifier_version == _version(cls),
        db.Verdict.validity.in_(_SETTLED),
    )


def _version(cls: type[Environment]) -> str:
    return verifier_version(cls.id, cls.version)


def _parts(parts: list[Any]) -> str:
    return canonical(plain_json(parts))
