"""The tables. Every row has `seq`, which counts up in order of insertion (the key of pages), and most have a text `id`.

Token arrays are bytes (see `packing`): `tokens`, `mask`, `prompt_tokens`, `completion_tokens` by `pack_i32`,
`logprobs` by `pack_f32`, and `trace` by `pack_arrays`. In a rollout `mask` is 1 where the policy sampled the token and
0 where it was rendered, and `logprobs` has one number per token, meaningful where the mask is 1; in a turn, one per
completion token.
"""

import uuid
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column

from .columns import SafeJson, SafeText, Sequence64, UtcTime, utcnow


def new_id() -> str:
    """A fresh random id, 32 hexadecimal digits."""
    return uuid.uuid4().hex


class Base(DeclarativeBase):
    """What all tables share: `seq`, and column types that take any text and JSON."""

    type_annotation_map: ClassVar = {
        str: SafeText,
        dict[str, Any]: SafeJson,
        list[Any]: SafeJson,
        Any: SafeJson,
        datetime: UtcTime,
    }

    seq: Mapped[int] = mapped_column(Sequence64, primary_key=True, autoincrement=True, sort_order=-2)

    @declared_attr.directive
    def __table_args__(cls) -> Any:
        return (*getattr(cls, "unique_keys", ()), {"sqlite_autoincrement": True})

    def __init__(self, **values: Any) -> None:
        for name in values:
            if name not in self.__mapper__.columns:
                raise TypeError(f"{type(self).__name__} has no column {name!r}")
        if "id" in self.__mapper__.columns:
            values.setdefault("id", new_id())
        for name, value in values.items():
            setattr(self, name, value)


class Identified(Base):
    """A table whose rows have a text id of their own."""

    __abstract__ = True

    id: Mapped[str] = mapped_column(unique=True, sort_order=-1)


class SchemaVersion(Base):
    """One row: the version of these tables."""

    __tablename__ = "schema_version"

    version: Mapped[int]


class Run(Identified):
    """One invocation: a quickstart, a training, a synthesis, an evaluation."""

    __tablename__ = "runs"

    kind: Mapped[str] = mapped_column(index=True)
    config: Mapped[dict[str, Any]] = mapped_column(default=dict)
    status: Mapped[str] = mapped_column(index=True, default="running")
    started_at: Mapped[datetime] = mapped_column(default=utcnow)
    finished_at: Mapped[datetime | None]
    note: Mapped[str] = mapped_column(default="")


class Task(Identified):
    """A task; the id is the address of its content."""

    __tablename__ = "tasks"

    env: Mapped[str] = mapped_column(index=True)
    version: Mapped[str]
    seed: Mapped[int] = mapped_column(BigInteger)
    level: Mapped[int] = mapped_column(default=1)
    split: Mapped[str] = mapped_column(default="train", index=True)
    prompt: Mapped[str]
    world: Mapped[Any | None]
    key: Mapped[Any | None]
    run_id: Mapped[str | None] = mapped_column(index=True)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class Certificate(Identified):
    """The evidence for or against a task: `checks` are {"name", "ok", "detail"}, `reasons` strings."""

    __tablename__ = "certificates"
    unique_keys = (UniqueConstraint("task_id", "verifier_version"),)

    task_id: Mapped[str] = mapped_column(index=True)
    verifier_version: Mapped[str] = mapped_column(default="1")
    accepted: Mapped[bool] = mapped_column(index=True)
    checks: Mapped[list[Any]] = mapped_column(default=list)
    reasons: Mapped[list[Any]] = mapped_column(default=list)
    seconds: Mapped[float] = mapped_column(default=0.0)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class Job(Identified):
    """A durable unit of work over many tasks."""

    __tablename__ = "jobs"

    kind: Mapped[str]
    spec: Mapped[dict[str, Any]] = mapped_column(default=dict)
    status: Mapped[str] = mapped_column(index=True, default="running")
    total: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=utcnow, onupdate=utcnow)


class Policy(Identified):
    """A version of a policy; `uri` is the folder of its checkpoint or the address of its server."""

    __tablename__ = "policies"

    kind: Mapped[str]
    uri: Mapped[str] = mapped_column(default="")
    parent_id: Mapped[str | None]
    step: Mapped[int] = mapped_column(BigInteger, default=0)
    run_id: Mapped[str | None] = mapped_column(index=True)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    note: Mapped[str] = mapped_column(default="")


class Rollout(Identified):
    """One episode, stored once per (job, task, sample); rollouts without a job are not held to that. Where the context
    was rewritten, `tokens` are those of all segments in a row; the turns say which is whose. A branch has a
    `parent_id`: its first `parent_turn` turns were played from that rollout's record."""

    __tablename__ = "rollouts"
    unique_keys = (UniqueConstraint("job_id", "task_id", "sample"),)

    job_id: Mapped[str | None]
    run_id: Mapped[str | None] = mapped_column(index=True)
    task_id: Mapped[str] = mapped_column(index=True)
    sample: Mapped[int] = mapped_column(default=0)
    policy_id: Mapped[str] = mapped_column(index=True)
    outcome: Mapped[str] = mapped_column(index=True)
    validity: Mapped[str] = mapped_column(default="valid")
    reward: Mapped[float | None]
    answer: Mapped[Any | None]
    error: Mapped[str | None]
    parent_id: Mapped[str | None] = mapped_column(index=True)
    parent_turn: Mapped[int | None]
    turns_count: Mapped[int] = mapped_column(default=0)
    tokens_count: Mapped[int] = mapped_column(default=0)
    seconds: Mapped[float] = mapped_column(default=0.0)
    metrics: Mapped[dict[str, Any]] = mapped_column(default=dict)
    tokens: Mapped[bytes | None] = mapped_column(LargeBinary)
    mask: Mapped[bytes | None] = mapped_column(LargeBinary)
    logprobs: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class Turn(Base):
    """One completion of a rollout and the tool results it caused.

    `rewrite` names the strategy that made its context out of an earlier one, where one did. `version` is the policy's
    when it sampled the first token; `trace` is what else an engine recorded of the sampling (`rollout.records`).
    """

    __tablename__ = "turns"
    unique_keys = (UniqueConstraint("rollout_id", "index"),)

    rollout_id: Mapped[str] = mapped_column(ForeignKey("rollouts.id", ondelete="CASCADE"))
    index: Mapped[int]
    thinking: Mapped[str] = mapped_column(default="")
    content: Mapped[str] = mapped_column(default="")
    tool_calls: Mapped[list[Any]] = mapped_column(default=list)
    results: Mapped[list[Any]] = mapped_column(default=list)
    reply: Mapped[str | None]
    kind: Mapped[str] = mapped_column(default="act")
    segment: Mapped[int] = mapped_column(default=0)
    rewrite: Mapped[str] = mapped_column(default="")
    finish: Mapped[str] = mapped_column(default="")
    error: Mapped[str | None]
    prompt_tokens: Mapped[bytes | None] = mapped_column(LargeBinary)
    completion_tokens: Mapped[bytes | None] = mapped_column(LargeBinary)
    logprobs: Mapped[bytes | None] = mapped_column(LargeBinary)
    version: Mapped[int] = mapped_column(BigInteger, default=0)
    trace: Mapped[bytes | None] = mapped_column(LargeBinary)
    seconds: Mapped[float] = mapped_column(default=0.0)


class Evidence(Base):
    """What the verifier read of a rollout, so that another can judge it again without playing (`rollout.evidence`)."""

    __tablename__ = "evidence"

    rollout_id: Mapped[str] = mapped_column(ForeignKey("rollouts.id", ondelete="CASCADE"), unique=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)


class Verdict(Identified):
    """What a verifier said of a rollout. `parts` is a list of {"name", "score", "weight", "gate", "detail"}. Those of
    newer verifier versions come beside it, the newest last; the rollout's own validity and reward are the newest's."""

    __tablename__ = "verdicts"
    unique_keys = (UniqueConstraint("rollout_id", "verifier_version"),)

    rollout_id: Mapped[str] = mapped_column(ForeignKey("rollouts.id", ondelete="CASCADE"))
    verifier_version: Mapped[str] = mapped_column(default="1")
    validity: Mapped[str] = mapped_column(default="valid")
    reward: Mapped[float | None]
    parts: Mapped[list[Any]] = mapped_column(default=list)
    note: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class Metric(Base):
    """One number of a run at a step; a value that is not finite is kept as NULL."""

    __tablename__ = "metrics"

    run_id: Mapped[str] = mapped_column(index=True)
    step: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str] = mapped_column(index=True)
    value: Mapped[float | None]
    at: Mapped[datetime] = mapped_column(default=utcnow)
