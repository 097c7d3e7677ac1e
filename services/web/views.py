"""One function per page: read the store, hand plain values to a template."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import defer

from ...infra import store as db
from ...infra.store.models import Base
from ..store_metrics import exposition
from . import queries, tokens
from .render import Pages, link

router = APIRouter(include_in_schema=False)
_BLOBS = ("tokens", "mask", "logprobs", "answer")


def _pages(request: Request) -> Pages:
    pages = request.app.state.pages
    assert isinstance(pages, Pages)
    return pages


PagesOf = Annotated[Pages, Depends(_pages)]
After = Annotated[str | None, Query(pattern=r"^[0-9]{0,18}$")]


def _listing(
    pages: Pages,
    path: str,
    model: type[Base],
    after: str | None,
    filters: dict[str, str | None],
    where: Sequence[ColumnElement[bool]] = (),
    skip: tuple[str, ...] = (),
    limit: int = 50,
) -> dict[str, Any]:
    """The rows of a list page, newest first, its filters, and the links to its other parts."""
    equals = {name: value for name, value in filters.items() if value and name in model.__mapper__.columns}
    rows, cursor = pages.store.page(
        model, after=after or None, limit=limit, newest=True, where=where, skip=skip, **equals
    )
    return {
        "rows": rows,
        "filters": {name: value or "" for name, value in filters.items()},
        "filtered": any(filters.values()) or bool(after),
        "clear": path,
        "newest": link(path, **filters) if after else None,
        "older": link(path, after=cursor, **filters) if cursor else None,
    }


@router.get("/")
def overview(request: Request, pages: PagesOf) -> Response:
    """What there is, in one view."""
    store = pages.store
    run = queries.run_to_show(store)
    main, _ = queries.grouped(queries.run_series(store, run.id)) if run else ([], [])
    return pages.render(
        request,
        "overview.html",
        totals=queries.totals(store),
        envs=queries.env_summaries(store),
        run=run,
        charts=main,
        runs=store.page(db.Run, newest=True, limit=6)[0],
        jobs=store.page(db.Job, newest=True, limit=6)[0],
        policies=store.page(db.Policy, newest=True, limit=6)[0],
    )


@router.get("/runs")
def runs(request: Request, pages: PagesOf, kind: str = "", status: str = "", after: After = None) -> Response:
    """All runs."""
    listing = _listing(pages, "/runs", db.Run, after, {"kind": kind, "status": status})
    choices = {
        "kind": queries.distinct(pages.store, db.Run.kind),
        "status": queries.distinct(pages.store, db.Run.status),
    }
    return pages.render(request, "runs.html", choices=choices, **listing)


@router.get("/runs/{id:path}")
def run(request: Request, pages: PagesOf, id: str) -> Response:
    """One run: how it was asked for, and its curves."""
    row = pages.store.get(db.Run, id)
    if row is None:
        raise HTTPException(404, f"There is no run {id[:80]!r}.")
    main, rest = queries.grouped(queries.run_series(pages.store, id))
    return pages.render(
        request,
        "run.html",
        run=row,
        charts=main,
        small=rest,
        plot=queries.plot_of(row) is not None,
        tasks=pages.store.count(db.Task, run_id=id),
        rollouts=pages.store.count(db.Rollout, run_id=id),
        policies=pages.store.page(db.Policy, newest=True, limit=20, run_id=id)[0],
    )


@router.get("/plots/{id:path}")
def plot(pages: PagesOf, id: str) -> Response:
    """The PNG that a run drew."""
    row = pages.store.get(db.Run, id)
    path = queries.plot_of(row) if row is not None else None
    if path is None:
        raise HTTPException(404, f"Run {id[:80]!r} has no plot.")
    return FileResponse(path, media_type="image/png")


@router.get("/tasks")
def tasks(
    request: Request, pages: PagesOf, env: str = "", split: str = "", run_id: str = "", after: After = None
) -> Response:
    """All tasks, with what their certificates say."""
    filters: dict[str, str | None] = {"env": env, "split": split, "run_id": run_id}
    listing = _listing(pages, "/tasks", db.Task, after, filters, skip=("world", "key"))
    certificates = queries.certificates_of(pages.store, {row.id for row in listing["rows"]})
    choices = {"env": queries.distinct(pages.store, db.Task.env), "split": queries.distinct(pages.store, db.Task.split)}
    return pages.render(request, "tasks.html", choices=choices, certificates=certificates, **listing)


@router.get("/tasks/{id:path}")
def task(request: Request, pages: PagesOf, id: str) -> Response:
    """One task: its prompt, its certificates, what policies made of it."""
    row = pages.store.get(db.Task, id)
    if row is None:
        raise HTTPException(404, f"There is no task {id[:80]!r}.")
    certificates, _ = pages.store.page(db.Certificate, newest=True, limit=20, task_id=id)
    rollouts, _ = pages.store.page(db.Rollout, newest=True, limit=20, skip=_BLOBS, task_id=id)
    return pages.render(request, "task.html", task=row, certificates=certificates, rollouts=rollouts)


@router.get("/certificates")
def certificates(request: Request, pages: PagesOf, verdict: str = "", env: str = "", after: After = None) -> Response:
    """All certificates: why tasks were kept or rejected."""
    where: list[ColumnElement[bool]] = []
    if verdict in ("accepted", "rejected"):
        where.append(db.Certificate.accepted.is_(verdict == "accepted"))
    if env:
        where.append(db.Certificate.task_id.in_(select(db.Task.id).where(db.Task.env == env)))
    listing = _listing(pages, "/certificates", db.Certificate, after, {"verdict": verdict, "env": env}, where)
    envs = queries.envs_of(pages.store, {row.task_id for row in listing["rows"]})
    choices = {"verdict": ["accepted", "rejected"], "env": queries.distinct(pages.store, db.Task.env)}
    return pages.render(request, "certificates.html", choices=choices, envs=envs, **listing)


@router.get("/rollouts")
def rollouts(
    request: Request,
    pages: PagesOf,
    env: str = "",
    outcome: str = "",
    validity: str = "",
    policy_id: str = "",
    run_id: str = "",
    job_id: str = "",
    task_id: str = "",
    after: After = None,
) -> Response:
    """All rollouts."""
    filters: dict[str, str | None] = {"env": env, "outcome": outcome, "validity": validity, "policy_id": policy_id}
    filters |= {"run_id": run_id, "job_id": job_id, "task_id": task_id}
    where = [db.Rollout.task_id.in_(select(db.Task.id).where(db.Task.env == env))] if env else []
    listing = _listing(pages, "/rollouts", db.Rollout, after, filters, where, skip=_BLOBS)
    store = pages.store
    choices = {
        "env": queries.distinct(store, db.Task.env),
        "outcome": queries.distinct(store, db.Rollout.outcome),
        "validity": queries.distinct(store, db.Rollout.validity),
        "policy_id": queries.distinct(store, db.Rollout.policy_id),
    }
    envs = queries.envs_of(store, {row.task_id for row in listing["rows"]})
    return pages.render(request, "rollouts.html", choices=choices, envs=envs, **listing)


@router.get("/rollouts/{id:path}")
def rollout(request: Request, pages: PagesOf, id: str) -> Response:
    """One rollout: each turn, the verdict with its parts, and the tokens."""
    store = pages.store
    row = store.get(db.Rollout, id)
    if row is None:
        raise HTTPException(404, f"There is no rollout {id[:80]!r}.")
    turns_query = select(db.Turn).where(db.Turn.rollout_id == id).order_by(db.Turn.index).options(defer(db.Turn.trace))
    with store.reading() as session:
        turns = list(session.scalars(turns_query))
        said = select(db.Verdict).where(db.Verdict.rollout_id == id).order_by(db.Verdict.seq.desc())
        verdicts = list(session.scalars(said.limit(50)))
    decode = tokens.decoder(store, row.policy_id)
    siblings = [db.Rollout.job_id == row.job_id, db.Rollout.id != id] if row.job_id else [db.Rollout.id != id]
    others, _ = store.page(db.Rollout, where=siblings, limit=16, skip=_BLOBS, task_id=row.task_id)
    branches, _ = store.page(db.Rollout, newest=True, limit=16, skip=_BLOBS, parent_id=id)
    return pages.render(
        request,
        "rollout.html",
        rollout=row,
        task=store.get(db.Task, row.task_id),
        turns=turns,
        verdict=verdicts[0] if verdicts else None,
        earlier=verdicts[1:],
        pieces=tokens.pieces(row, decode),
        decoded=decode is not None,
        shades=tokens.SHADES,
        others=others,
        branches=branches,
    )


@router.get("/metrics")
def metrics(request: Request, pages: PagesOf, run_id: str = "", name: str = "", after: After = None) -> Response:
    """All numbers, and the curves of one run; for what is no browser, the store as Prometheus metrics."""
    store = pages.store
    accept = request.headers.get("accept", "")
    if "text/html" not in accept:
        text, media_type = exposition(store, accept)
        return Response(text, media_type=media_type)
    listing = _listing(pages, "/metrics", db.Metric, after, {"run_id": run_id, "name": name}, limit=100)
    series = queries.run_series(store, run_id) if run_id else []
    if name:
        series = [one for one in series if one.name == name]
    main, rest = queries.grouped(series)
    choices = {"run_id": queries.distinct(store, db.Metric.run_id), "name": queries.distinct(store, db.Metric.name)}
    return pages.render(request, "metrics.html", choices=choices, charts=main, small=rest, **listing)
