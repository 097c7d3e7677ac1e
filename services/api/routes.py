"""The routes of `/api/v1`: for each kind of row a list in parts and, where rows have ids, one in detail."""

from collections.abc import Sequence
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import defer

from ...infra import store as db
from ...infra.store.models import Base, Identified
from . import schemas as api
from .problems import problem_responses

M = TypeVar("M", bound=Base)
R = TypeVar("R", bound=Identified)
S = TypeVar("S", bound=api.FromRow)

router = APIRouter(prefix="/api/v1", responses=problem_responses(422, 500, 503))
_MISSING = problem_responses(404)


def _store(request: Request) -> db.Store:
    store = request.app.state.store
    assert isinstance(store, db.Store)
    return store


Store = Annotated[db.Store, Depends(_store)]


def _page(
    store: db.Store,
    model: type[M],
    shape: type[S],
    query: api.PageQuery,
    skip: Sequence[str] = (),
    env_of: ColumnElement[str] | None = None,
) -> api.Page[S]:
    """A part of a list; `env_of` is the column with the task id by which to filter by environment."""
    filters = query.filters()
    where: list[ColumnElement[bool]] = []
    if env_of is not None and "env" in filters:
        where.append(env_of.in_(select(db.Task.id).where(db.Task.env == filters.pop("env"))))
    rows, cursor = store.page(
        model,
        after=query.after,
        limit=query.limit,
        newest=query.order == "newest",
        where=where,
        skip=skip,
        **filters,
    )
    return api.Page(items=[shape.model_validate(row) for row in rows], next=cursor)


def _one(store: db.Store, model: type[R], id: str) -> R:
    row = store.get(model, id)
    if row is None:
        raise HTTPException(404, f"there is no {model.__name__.lower()} {id[:80]!r}")
    return row


@router.get("/runs", tags=["runs"])
def list_runs(store: Store, query: Annotated[api.RunQuery, Query()]) -> api.Page[api.Run]:
    """The runs: quickstarts, trainings, syntheses, evaluations."""
    return _page(store, db.Run, api.Run, query)


@router.get("/runs/{id:path}", tags=["runs"], responses=_MISSING)
def get_run(store: Store, id: str) -> api.Run:
    """One run."""
    return api.Run.model_validate(_one(store, db.Run, id))


@router.get("/tasks", tags=["tasks"])
def list_tasks(store: Store, query: Annotated[api.TaskQuery, Query()]) -> api.Page[api.Task]:
    """The tasks, without their worlds and keys."""
    return _page(store, db.Task, api.Task, query, skip=("world", "key"))


@router.get("/tasks/{id:path}", tags=["tasks"], responses=_MISSING)
def get_task(store: Store, id: str, reveal: bool = False) -> api.TaskDetail:
    """One task with its certificate; its hidden key only with `reveal=true`."""
    detail = api.TaskDetail.model_validate(_one(store, db.Task, id))
    found, _ = store.page(db.Certificate, limit=1, newest=True, task_id=id)
    certificate = api.Certificate.model_validate(found[0]) if found else None
    return detail.model_copy(update={"certificate": certificate, "key": detail.key if reveal else None})


@router.get("/certificates", tags=["tasks"])
def list_certificates(store: Store, query: Annotated[api.CertificateQuery, Query()]) -> api.Page[api.Certificate]:
    """The evidence for and against tasks."""
    return _page(store, db.Certificate, api.Certificate, query, env_of=db.Certificate.task_id.expression)


@router.get("/certificates/{id:path}", tags=["tasks"], responses=_MISSING)
def get_certificate(store: Store, id: str) -> api.Certificate:
    """One certificate."""
    return api.Certificate.model_validate(_one(store, db.Certificate, id))


@router.get("/jobs", tags=["jobs"])
def list_jobs(store: Store, query: Annotated[api.JobQuery, Query()]) -> api.Page[api.Job]:
    """The jobs and how far they are."""
    return _page(store, db.Job, api.Job, query)


@router.get("/jobs/{id:path}", tags=["jobs"], responses=_MISSING)
def get_job(store: Store, id: str) -> api.Job:
    """One job."""
    return api.Job.model_validate(_one(store, db.Job, id))


@router.get("/policies", tags=["policies"])
def list_policies(store: Store, query: Annotated[api.PolicyQuery, Query()]) -> api.Page[api.Policy]:
    """The versions of policies."""
    return _page(store, db.Policy, api.Policy, query)


@router.get("/policies/{id:path}", tags=["policies"], responses=_MISSING)
def get_policy(store: Store, id: str) -> api.Policy:
    """One version of a policy."""
    return api.Policy.model_validate(_one(store, db.Policy, id))


@router.get("/rollouts", tags=["rollouts"])
def list_rollouts(store: Store, query: Annotated[api.RolloutQuery, Query()]) -> api.Page[api.Rollout]:
    """The rollouts, without their turns and tokens."""
    skip = ("tokens", "mask", "logprobs", "answer")
    return _page(store, db.Rollout, api.Rollout, query, skip=skip, env_of=db.Rollout.task_id.expression)


@router.get("/rollouts/{id:path}", tags=["rollouts"], responses=_MISSING)
def get_rollout(store: Store, id: str) -> api.RolloutDetail:
    """One rollout with its turns, tokens and verdict."""
    detail = api.RolloutDetail.model_validate(_one(store, db.Rollout, id))
    with store.reading() as session:
        found_turns = select(db.Turn).where(db.Turn.rollout_id == id).order_by(db.Turn.index)
        turns = session.scalars(found_turns.options(defer(db.Turn.trace)))
        shown_turns = [api.Turn.model_validate(turn) for turn in turns]
        found = session.scalars(select(db.Verdict).where(db.Verdict.rollout_id == id).order_by(db.Verdict.seq))
        verdicts = [api.Verdict.model_validate(verdict) for verdict in found]
    verdict = verdicts[-1] if verdicts else None
    return detail.model_copy(update={"turns": shown_turns, "verdicts": verdicts, "verdict": verdict})


@router.get("/metrics", tags=["metrics"])
def list_metrics(store: Store, query: Annotated[api.MetricQuery, Query()]) -> api.Page[api.Metric]:
    """The numbers that runs wrote down."""
    return _page(store, db.Metric, api.Metric, query)
