"""`palestra certify`: tasks that are there already, certified anew."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from . import options as opt
from .console import Console


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("certify")(certify)


def certify(
    file: Annotated[
        Path | None, typer.Argument(metavar="[TASKS.jsonl]", help="A file of tasks. Default: stored tasks.")
    ] = None,
    env: Annotated[str | None, typer.Option("--env", help="Only tasks of this environment.", metavar="ENV")] = None,
    run: Annotated[str | None, typer.Option("--run", help="Only stored tasks of this run.", metavar="ID")] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="At most so many; 0 is all.")] = 0,
    depth: opt.Depth = "full",
    mutants: Annotated[int, typer.Option("--mutants", min=1, help="Wrong answers per task that must fail.")] = 5,
    out: Annotated[
        Path | None, typer.Option("--out", help="Also write tasks and certificates here, as JSON lines.")
    ] = None,
    only_accepted: Annotated[bool, typer.Option("--accepted", help="Write only the accepted ones to --out.")] = False,
    sandbox: opt.Sandbox = "auto",
    store_url: opt.StoreUrl = opt.STORE,
    ray: opt.RayAddress = None,
    as_json: opt.Json = False,
) -> None:
    """Certify tasks again, store the evidence, and export them with it."""
    from ...infra.store import Store
    from ..certify import CertifySpec, Outcome, certify_tasks, find_tasks, write_dataset
    from ..errors import BadRequest
    from ..synthesis import check_writable

    console = Console(as_json)
    if file is None and env is None and run is None:
        raise BadRequest("say what to certify: a file of tasks, --env ENV or --run ID")
    if out is not None:
        check_writable(out)
    spec = CertifySpec(file, env, run, opt.as_depth(depth), mutants, limit)
    outcome, certified, began = Outcome(), [], time.perf_counter()
    with Store(store_url) as store:
        for one in certify_tasks(find_tasks(spec, store), spec, store, ray, sandbox, console):
            outcome.add(one.certificate)
            if out is not None and (one.certificate.accepted or not only_accepted):
                certified.append(one)
    seconds = time.perf_counter() - began
    if out is not None:
        write_dataset(out, certified)
    told = {"accepted": outcome.accepted, "rejected": outcome.rejected, "reasons": dict(outcome.reasons)}
    console.data({**told, "depth": depth, "seconds": seconds, "out": str(out) if out else None})
    console.line(f"{outcome.accepted} tasks hold, {outcome.rejected} do not ({depth}, {seconds:.1f} s)")
    for reason, number in outcome.reasons.most_common():
        console.line(f"  {reason} does not hold for {number}")
    if out is not None:
        console.line(f"wrote {len(certified)} tasks with their certificates to {out}")
    if outcome.rejected:
        raise typer.Exit(1)
