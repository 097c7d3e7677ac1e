"""The shapes that `/api/v1` answers with and the queries that it takes."""

import math
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ...infra.store import unpack_f32, unpack_i32

T = TypeVar("T")


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _ints(value: object) -> object:
    return unpack_i32(value) if value is None or isinstance(value, bytes) else value


def _floats(value: object) -> object:
    return [_finite(item) for item in unpack_f32(value)] if value is None or isinstance(value, bytes) else value


def _numbers(value: object) -> object:
    """Of what an episode measured the numbers; the store keeps those that are not finite by their names."""
    if not isinstance(value, dict):
        return value
    return {name: _finite(item) if isinstance(item, int | float) else None for name, item in value.items()}


Number = Annotated[float | None, BeforeValidator(_finite)]
"""A number, or null where it is not known or not finite."""
Numbers = Annotated[dict[str, float | None], BeforeValidator(_numbers)]
Ints = Annotated[list[int], BeforeValidator(_ints)]
Floats = Annotated[list[float | None], BeforeValidator(_floats)]


class FromRow(BaseModel):
    """Read from a row of the store."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class Page(BaseModel, Generic[T]):
    """Part of a list."""

    items: list[T]
    next: str | None = Field(description="Give it as `after` to get the next part; null when this is the last")


class Run(FromRow):
    id: str
    kind: str
    config: dict[str, Any]
    status: str
    started_at: datetime
    finished_at: datetime | None
    note: str


class Certificate(FromRow):
    id: str
    task_id: str
    verifier_version: str
    accepted: bool
    checks: list[Any] = Field(description='Each {"name", "ok", "detail", "measured"}; the last is left out where empty')
    reasons: list[Any] = Field(description="Why the task was rejected")
    seconds: Number
    created_at: datetime


class Task(FromRow):
    id: str
    env: str
    version: str
    seed: int
    level: int
    split: str
    prompt: str
    run_id: str | None
    created_at: datetime


class TaskDetail(Task):
    world: Any
    key: Any = Field(default=None, description="The hidden key: null unless asked for with reveal=true")
    certificate: Certificate | None = Field(default=None, description="The latest")


class Job(FromRow):
    id: str
    kind: str
    spec: dict[str, Any]
    status: str
    total: int
    done: int
    created_at: datetime
    updated_at: datetime


class Policy(FromRow):
    id: str
    kind: str
    uri: str
    parent_id: str | None
    step: int
    run_id: str | None
    created_at: datetime
    note: str


class Rollout(FromRow):
    id: str
    job_id: str | None
    run_id: str | None
    task_id: str
    sample: int
    policy_id: str
    outcome: str
    validity: str
    reward: Number
    error: str | None
    parent_id: str | None = Field(description="The rollout that this one is a branch of")
    parent_turn: int | None = Field(description="How many of its first turns were played from that rollout's record")
    turns_count: int
    tokens_count: int
    seconds: Number
    metrics: Numbers
    created_at: datetime


class Turn(FromRow):
    index: int
    thinking: str
    content: str
    tool_calls: list[Any]
    results: list[Any]
    reply: str | None = Field(description="What the user said next")
    kind: str = Field(description='"act", or "summary": a note of the policy to itself')
    segment: int = Field(description="Turns of one segment share a context; a rewritten context begins a new one")
    rewrite: str = Field(description="The strategy that made this turn's context out of an earlier one, if one did")
    finish: str
    error: str | None
    prompt_tokens: Ints
    completion_tokens: Ints
    logprobs: Floats = Field(description="One per completion token")
    version: int = Field(description="The policy's, when it sampled the first token")
    seconds: Number


class Verdict(FromRow):
    id: str
    rollout_id: str
    verifier_version: str
    validity: str
    reward: Number
    parts: list[Any] = Field(description='Each {"name", "score", "weight", "gate", "detail"}')
    note: str
    created_at: datetime


class RolloutDetail(Rollout):
    answer: Any
    tokens: Ints
    mask: Ints = Field(description="1 where the policy sampled the token, 0 where it was rendered")
    logprobs: Floats = Field(description="One per token, meaningful where the mask is 1")
    turns: list[Turn] = []
    verdict: Verdict | None = Field(default=None, description="The latest")
    verdicts: list[Verdict] = Field(default=[], description="All, the latest last")


class Metric(FromRow):
    run_id: str
    step: int
    name: str
    value: Number = Field(description="Null when it was not finite")
    at: datetime


class PageQuery(BaseModel):
    """What every list takes."""

    model_config = ConfigDict(extra="forbid")

    after: str | None = Field(default=None, pattern=r"^[0-9]{1,18}$", description="The `next` of an earlier part")
    limit: int = Field(default=50, ge=1, le=500)
    order: Literal["oldest", "newest"] = Field(default="oldest", description="What comes first")

    def filters(self) -> dict[str, object]:
        """The filters that were given."""
        given = self.model_dump(exclude_none=True)
        return {name: value for name, value in given.items() if name not in PageQuery.model_fields}


class RunQuery(PageQuery):
    kind: str | None = None
    status: str | None = None


class TaskQuery(PageQuery):
    env: str | None = None
    split: str | None = None
    level: int | None = Field(default=None, ge=-(2**31), lt=2**31)
    run_id: str | None = None


class CertificateQuery(PageQuery):
    task_id: str | None = None
    accepted: bool | None = None
    env: str | None = None


class JobQuery(PageQuery):
    kind: str | None = None
    status: str | None = None


class PolicyQuery(PageQuery):
    kind: str | None = None
    run_id: str | None = None
    parent_id: str | None = None


class RolloutQuery(PageQuery):
    env: str | None = None
    job_id: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    policy_id: str | None = None
    outcome: str | None = None
    validity: str | None = None
    parent_id: str | None = None


class MetricQuery(PageQuery):
    run_id: str | None = None
    name: str | None = None
    step: int | None = Field(default=None, ge=-(2**63), lt=2**63)
