"""`palestra quickstart | train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from . import options as opt
from .console import Console


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("quickstart")(quickstart)
    app.command("train")(train)


def quickstart(
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Override its recipe, e.g. updates=10.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Where plots and checkpoints go.")] = Path("quickstart"),
    seed: opt.Seed = 0,
    sandbox: opt.Sandbox = "auto",
    store_url: opt.StoreUrl = opt.STORE,
    ray: opt.RayAddress = None,
    as_json: opt.Json = False,
) -> None:
    """Watch a sparse-attention policy get better at tasks that were made and checked here."""
    from ...infra.store import Store
    from ..quickstart import quickstart as run

    console = Console(as_json)
    with Store(store_url) as store:
        found = run(store, out, seed, sandbox, ray, console, overrides or [])
    console.data(found)
    _show_scores(console, found["held_out"])
    console.line(f"took {found['seconds'] / 60:.1f} minutes; the plot is {found['plot']}, the policy {found['policy']}")
    console.line("look:      palestra serve" + ("" if store_url == opt.STORE else f" --store {store_url}"))
    console.line(f"try next:  palestra eval travel-mini --level 2 --seed 5 --policy palestra:{found['policy']} -k 1,4")
    console.line("           palestra env new lights && pip install -e ./lights && palestra env check lights")


def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A TOML file.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY.SUBKEY=VALUE]...", help="Override its values.")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin anew where the output folder holds checkpoints of an earlier run.")
    ] = False,
    metrics_port: opt.MetricsPort = None,
    store_url: opt.StoreUrl = opt.STORE,
    ray: opt.RayAddress = None,
    as_json: opt.Json = False,
) -> None:
    """Train a policy as a TOML file says, with dotted overrides. The same command goes on where a killed one was."""
    from ...infra.store import Store
    from ...infra.store.models import new_id
    from ..metrics import serving
    from ..training.recipes import load_recipe
    from ..training.run import run_recipe

    console = Console(as_json)
    recipe = load_recipe(config, overrides or [])
    with Store(store_url) as store, serving(metrics_port, console.say):
        run_id, curve = run_recipe(recipe, store, new_id(), ray, console, fresh)
    held_out = curve.scores() if curve else {}
    console.data({"run": run_id, "out": recipe.out, "held_out": held_out})
    _show_scores(console, held_out)
    console.line(f"run {run_id}; what it made is in {recipe.out}")


def _show_scores(console: Console, held_out: dict[str, Any]) -> None:
    rows = [
        [
            env,
            *(f"{100 * at['value']:.1f} % [{100 * at['low']:.1f}, {100 * at['high']:.1f}]" for at in found.values()),
            f"{100 * (found['after']['value'] - found['before']['value']):+.1f}",
            str(found["after"]["n"]),
        ]
        for env, found in held_out.items()
    ]
    if rows:
        console.table("pass@1 on held-out tasks", ["environment", "before", "after", "points", "tasks"], rows)
