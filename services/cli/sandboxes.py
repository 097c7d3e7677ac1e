"""`palestra sandbox list/reap`."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated

import typer

from . import options as opt
from .console import Console

Which = Annotated[str, typer.Option("--sandbox", help="all, docker, bwrap, or process.")]


def list_leases(sandbox: Which = "all", as_json: opt.Json = False) -> None:
    """Show the leases on this machine, whoever owns them."""
    from ...infra.sandbox.census import census

    console = Console(as_json)
    leases = census(_chosen(sandbox))
    console.data([asdict(lease) | {"expired": lease.expired} for lease in leases])
    rows = []
    for lease in leases:
        until = f"{lease.deadline - time.time():.0f} s left" if lease.alive else "its owner is gone: reap"
        rows.append([lease.id, lease.backend, lease.image, lease.note, lease.owner.split("/")[-2:][0], until])
    console.table("", ["lease", "backend", "image", "for", "owner's pid", "until"], rows)


def reap(sandbox: Which = "all", as_json: opt.Json = False) -> None:
    """Remove what owners that died left behind."""
    from ...infra.sandbox import census

    console = Console(as_json)
    done = census.reap(_chosen(sandbox))
    console.data({"removed": list(done.removed), "problems": list(done.problems)})
    console.line(f"removed {len(done.removed)} leases" + (f": {', '.join(done.removed)}" if done.removed else ""))
    for problem in done.problems:
        console.line(f"not asked: {problem}")


def _chosen(name: str) -> tuple[str, ...]:
    from ...infra.sandbox.select import BACKENDS
    from ..errors import BadRequest

    if name != "all" and name not in BACKENDS:
        raise BadRequest(f"unknown sandbox {name!r}: choose one of all, {', '.join(BACKENDS)}")
    return tuple(BACKENDS) if name == "all" else (name,)
