"""`palestra job list | show | cancel`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from . import options as opt
from .console import Console

JobId = Annotated[str, typer.Argument(metavar="JOB")]


def register(app: typer.Typer) -> None:
    """Add the group `job`."""
    group = typer.Typer(no_args_is_help=True, help="Jobs: list, show, cancel.", rich_markup_mode=None)
    group.command("list")(list_them)
    group.command("show")(show)
    group.command("cancel")(cancel)
    app.add_typer(group, name="job")


def list_them(
    limit: Annotated[int, typer.Option("--limit", help="At most so many, the newest first.", min=1, max=1000)] = 50,
    store_url: opt.StoreUrl = opt.STORE,
    as_json: opt.Json = False,
) -> None:
    """Show the jobs and how far they are, the newest first."""
    from ...infra.store import Job, Store

    console = Console(as_json)
    with Store(store_url) as store:
        jobs, _ = store.page(Job, newest=True, limit=limit)
    console.data([_as_json(job) for job in jobs])
    rows = [
        [
            job.id,
            job.status,
            f"{job.done} of {job.total}",
            str(job.spec.get("policy", "")),
            f"{job.created_at:%Y-%m-%d %H:%M}",
        ]
        for job in jobs
    ]
    console.table("", ["job", "status", "done", "policy", "made (UTC)"], rows)


def show(job_id: JobId, store_url: opt.StoreUrl = opt.STORE, as_json: opt.Json = False) -> None:
    """Show one job: what was asked for, and its result so far."""
    from ...infra.store import Job, Store
    from ..jobs import summarize
    from .work import result_json

    console = Console(as_json)
    with Store(store_url) as store:
        summary = summarize(store, job_id)
        job = store.get(Job, job_id)
    assert job is not None
    console.data(_as_json(job) | {"result": result_json(summary)})
    asked = {key: value for key, value in job.spec.items() if key != "task_ids"}
    rows = [[key, str(value)] for key, value in asked.items()]
    rows += [
        ["status", job.status],
        ["episodes", f"{summary.done} of {summary.total}"],
        ["outcomes", str(summary.outcomes)],
    ]
    rows += [["validity", str(summary.validity)], ["pass rate", str(summary.pass_rate)]]
    console.table(job_id, ["", ""], rows)


def cancel(job_id: JobId, store_url: opt.StoreUrl = opt.STORE, as_json: opt.Json = False) -> None:
    """Stop a running job after the episode it is at. The command that began it goes on with it later."""
    from ...infra.store import Store
    from ..jobs import cancel_job

    console = Console(as_json)
    with Store(store_url) as store:
        cancel_job(store, job_id)
    console.data({"job": job_id, "status": "cancelled"})
    console.line(f"job {job_id} will stop after the episode it is at")


def _as_json(job: Any) -> dict[str, Any]:
    names = ("id", "kind", "status", "total", "done", "spec", "created_at", "updated_at")
    return {name: getattr(job, name) for name in names}
