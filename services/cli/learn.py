"""`palestra quickstart | train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options as opt
from .console import Console


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("quickstart")(quickstart)
    app.command("train")(train)


def quickstart(
    out: Annotated[Path, typer.Option("--out", help="Where plots and checkpoints go.")] = Path("quickstart"),
    seed: opt.Seed = 0,
    sandbox: opt.Sandbox = "auto",
    store_url: opt.StoreUrl = opt.STORE,
    ray: opt.RayAddress = None,
    as_json: opt.Json = False,
) -> None:
    """Watch a sparse-attention policy get better at tasks that were made and checked here."""
    from ..quickstart import run_quickstart

    run_quickstart(
        store_url=store_url, ray_address=ray, out_dir=out, seed=seed, sandbox=sandbox, console=Console(as_json)
    )


def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A TOML file.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY.SUBKEY=VALUE]...", help="Override its values.")
    ] = None,
    store_url: opt.StoreUrl = opt.STORE,
    ray: opt.RayAddress = None,
    as_json: opt.Json = False,
) -> None:
    """Train a policy as a TOML file says, with dotted overrides."""
    from ..training import run_training

    run_training(config, overrides or [], store_url=store_url, ray_address=ray, console=Console(as_json))
